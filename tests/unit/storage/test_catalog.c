/* SPDX-License-Identifier: Apache-2.0 */
/* storage.db: whose file it is, that it is written ahead, and what is refused in its place. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "storage/artifacts/artifact_catalog.h"

#define DIGEST ((const struct digest){.bytes = {1, 2, 3}})

struct folder {
    char path[64], file[96];
};

static int setup(void **state)
{
    static struct folder folder;
    snprintf(folder.path, sizeof folder.path, "/tmp/argosy-test.XXXXXX");
    assert_non_null(mkdtemp(folder.path));
    snprintf(folder.file, sizeof folder.file, "%s/storage.db", folder.path);
    *state = &folder;
    return 0;
}

static int teardown(void **state)
{
    const struct folder *folder = *state;
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    for (int i = 0; i < 3; i++) {
        char name[112];
        snprintf(name, sizeof name, "%s%s", folder->file, suffixes[i]);
        unlink(name);
    }
    return rmdir(folder->path);
}

static struct catalog *open_catalog(const struct folder *folder)
{
    struct catalog *catalog = NULL;
    struct error err = {0};
    if (catalog_open(folder->file, &catalog, &err) != 0)
        fail_msg("%s", err.text);
    return catalog;
}

/* What another program finds in the file, or does to it. */
static int64_t ask(const struct folder *folder, const char *sql)
{
    sqlite3 *db;
    int64_t value = -1;
    assert_int_equal(sqlite_open(folder->file, true, &db, NULL), 0);
    assert_int_equal(sqlite_get_int64(db, sql, &value, NULL), 0);
    sqlite_close(db);
    return value;
}

/* Byte 18 of a SQLite file: 2 where it has a write-ahead log. */
static bool is_written_ahead(const struct folder *folder)
{
    FILE *file = fopen(folder->file, "re");
    assert_non_null(file);
    assert_int_equal(fseek(file, 18, SEEK_SET), 0);
    int version = fgetc(file);
    fclose(file);
    return version == 2;
}

static void expect_refused(const struct folder *folder, int code, const char *text)
{
    struct catalog *catalog = NULL;
    struct error err = {0};
    assert_int_equal(catalog_open(folder->file, &catalog, &err), code);
    assert_null(catalog);
    assert_non_null(strstr(err.text, text));
}

static void test_opened_again(void **state)
{
    bool is_there = false;
    struct catalog *catalog = open_catalog(*state);
    assert_int_equal(artifact_catalog_add(catalog, &DIGEST, 7, "pin:x", NULL), 0);
    catalog_close(catalog);
    assert_int_equal(ask(*state, "PRAGMA application_id"), 0x41726753); /* docs/spec/06 */
    assert_int_equal(ask(*state, "PRAGMA user_version"), 1);
    assert_true(is_written_ahead(*state));
    catalog = open_catalog(*state);
    assert_int_equal(artifact_catalog_has(catalog, &DIGEST, &is_there, NULL), 0);
    assert_true(is_there);
    catalog_close(catalog);
}

static void test_another_program(void **state)
{
    ask(*state, "CREATE TABLE artifacts(x)");
    expect_refused(*state, ERR_STORAGE, "not a storage catalog of Argosy");
    assert_int_equal(ask(*state, "SELECT count(*) FROM sqlite_schema"), 1);
}

static void test_newer_release(void **state)
{
    catalog_close(open_catalog(*state));
    ask(*state, "PRAGMA user_version = 2");
    expect_refused(*state, ERR_UNSUPPORTED, "written by a newer Argosy (schema 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opened_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_program, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_release, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
