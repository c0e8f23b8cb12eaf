/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a known schema: made, opened again, migrated, and refused when they are not ours. */
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/sqlite_file.h"

static const char *const migrations[] = {
    "CREATE TABLE note (text TEXT NOT NULL) STRICT",
    "ALTER TABLE note ADD COLUMN author TEXT",
    "this is no statement",
};

static int add_first_note(sqlite3 *db, struct error *err)
{
    return sqlite_exec(db, "INSERT INTO note (text) VALUES ('first')", err);
}

/* The kind of the notes' file as it was and is. */
static struct sqlite_file_kind kind_at(int version)
{
    return (struct sqlite_file_kind){
        .name = "a file of notes",
        .application_id = 0x12345678,
        .migrations = migrations,
        .version = version,
        .settings = "PRAGMA cache_size = -100",
        .on_create = add_first_note,
    };
}

struct folder {
    char path[64], file[96];
};

static int setup(void **state)
{
    static struct folder folder;
    snprintf(folder.path, sizeof folder.path, "/tmp/argosy-test.XXXXXX");
    assert_non_null(mkdtemp(folder.path));
    snprintf(folder.file, sizeof folder.file, "%s/notes.db", folder.path);
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

static sqlite3 *open_at(const struct folder *folder, int version)
{
    struct sqlite_file_kind kind = kind_at(version);
    struct error err = {0};
    sqlite3 *db = NULL;
    if (sqlite_file_open(&kind, folder->file, &db, &err) != 0)
        fail_msg("%s", err.text);
    return db;
}

static int64_t number(sqlite3 *db, const char *sql)
{
    int64_t value = -1;
    assert_int_equal(sqlite_get_int64(db, sql, &value, NULL), 0);
    return value;
}

static void expect_refused(const struct folder *folder, int version, int code, const char *text)
{
    struct sqlite_file_kind kind = kind_at(version);
    struct error err = {0};
    sqlite3 *db = NULL;
    assert_int_equal(sqlite_file_open(&kind, folder->file, &db, &err), code);
    assert_null(db);
    assert_non_null(strstr(err.text, text));
}

static void test_made_and_opened_again(void **state)
{
    sqlite3 *db = open_at(*state, 2);
    assert_int_equal(number(db, "PRAGMA synchronous"), 2);
    assert_int_equal(number(db, "PRAGMA cache_size"), -100);
    assert_int_equal(number(db, "PRAGMA user_version"), 2);
    sqlite_close(db);
    db = open_at(*state, 2);
    assert_int_equal(number(db, "SELECT count(*) FROM note"), 1);
    struct sqlite_file_kind kind = kind_at(2);
    sqlite3 *other;
    assert_int_equal(
        sqlite_file_connect(&kind, ((const struct folder *)*state)->file, &other, NULL), 0);
    assert_int_equal(number(other, "PRAGMA cache_size"), -100);
    assert_int_equal(number(other, "SELECT count(*) FROM note"), 1);
    sqlite_close(other);
    sqlite_close(db);
}

static void test_migrated(void **state)
{
    sqlite_close(open_at(*state, 1));
    sqlite3 *db = open_at(*state, 2);
    assert_int_equal(number(db, "SELECT count(*) FROM note WHERE author IS NULL"), 1);
    sqlite_close(db);
}

/* A migration that fails leaves the file as it was. */
static void test_failed_migration(void **state)
{
    sqlite_close(open_at(*state, 1));
    expect_refused(*state, 3, ERR_STORAGE, "notes.db");
    sqlite3 *db = open_at(*state, 1);
    assert_int_equal(number(db, "SELECT count(*) FROM pragma_table_info('note')"), 1);
    sqlite_close(db);
}

static void test_refused(void **state)
{
    sqlite_close(open_at(*state, 2));
    expect_refused(*state, 1, ERR_UNSUPPORTED, "written by a newer Argosy (schema 2");

    sqlite3 *db = open_at(*state, 2);
    assert_int_equal(sqlite_exec(db, "PRAGMA application_id = 7", NULL), 0);
    sqlite_close(db);
    expect_refused(*state, 2, ERR_STORAGE, "notes.db: not a file of notes");

    FILE *file = fopen(((const struct folder *)*state)->file, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("a file of another kind\n", file);
    assert_int_equal(fclose(file), 0);
    expect_refused(*state, 2, ERR_CORRUPT, "notes.db");
}

/* Tables without a version are somebody's. */
static void test_not_ours_to_fill(void **state)
{
    sqlite3 *db;
    assert_int_equal(sqlite_open(((const struct folder *)*state)->file, true, &db, NULL), 0);
    assert_int_equal(sqlite_exec(db, "CREATE TABLE theirs (x)", NULL), 0);
    sqlite_close(db);
    expect_refused(*state, 2, ERR_STORAGE, "not a file of notes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_made_and_opened_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_migrated, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_migration, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_ours_to_fill, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
