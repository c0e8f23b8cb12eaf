/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is the SQLite store's alone: its lock, its version, files that are none, and the index file
 * that can be lost, damaged or of another store.
 */
#include "tests/unit/engine/store_fixture.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)100)

static int setup(void **state)
{
    static struct store_fixture fixture;
    fixture_open(&fixture, false);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void close_store(struct store_fixture *fixture)
{
    store_close(fixture->store);
    fixture->store = NULL;
}

static int open_again(struct store_fixture *fixture, struct error *err)
{
    struct store *store;
    *err = (struct error){0};
    return store_open(fixture->path, &store, err);
}

static void a_second_engine_is_refused(void **state)
{
    struct store_fixture *fixture = *state;
    struct error err;
    char pid[32];
    assert_int_equal(open_again(fixture, &err), ERR_STORAGE);
    snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    /* The first one is unharmed. */
    commit_one(fixture->store, write_open(&fixture->arena, 1, "a", SIZE));
}

static void a_newer_schema_is_refused(void **state)
{
    struct store_fixture *fixture = *state;
    struct error err;
    close_store(fixture);
    run_sql(fixture->path, "PRAGMA user_version = 999");
    assert_int_equal(open_again(fixture, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "newer"));
}

/* Version 1 had no settings. */
static void a_store_of_version_1_is_migrated(void **state)
{
    struct store_fixture *fixture = *state;
    struct error err = {0};
    commit_one(fixture->store, write_open(&fixture->arena, 1, "a", SIZE));
    close_store(fixture);
    run_sql(fixture->path, "DROP TABLE setting; PRAGMA user_version = 1");
    assert_int_equal(store_open(fixture->path, &fixture->store, &err), 0);
    struct store_write write = {.setting = "name",
                                .records = {.data = (const uint8_t *)"value", .size = 5}};
    commit_one(fixture->store, write);
    check_log(fixture, 1, 1, SIZE);
}

static void foreign_files_are_refused(void **state)
{
    struct store_fixture *fixture = *state;
    struct error err;
    close_store(fixture);
    folder_remove(fixture->folder);
    assert_int_equal(open_again(fixture, &err), ERR_STORAGE); /* no such folder */
    assert_non_null(strstr(err.text, "No such file"));
    folder_create(fixture->folder);
    snprintf(fixture->path, sizeof fixture->path, "%s/engine.db", fixture->folder);
    run_sql(fixture->path, "CREATE TABLE mine (x)");
    assert_int_equal(open_again(fixture, &err), ERR_STORAGE);
    assert_non_null(strstr(err.text, "not a store"));
    write_file(fixture->path, "this is text, and more than a hundred bytes of it, so that it is "
                              "not taken for an empty database file at all");
    assert_int_equal(open_again(fixture, &err), ERR_CORRUPT);
}

static void write_some_runs(struct store_fixture *fixture)
{
    for (int64_t key = 1; key <= 6; key++) {
        commit_one(fixture->store, write_open(&fixture->arena, key, "a", SIZE));
        commit_one(fixture->store, write_more(&fixture->arena, key, 2, SIZE));
        if (key % 2 == 0)
            commit_one(fixture->store, write_close(&fixture->arena, key, 3, SIZE));
    }
}

static void check_some_runs(struct store_fixture *fixture)
{
    const struct store_filter running = {
        .namespace_name = "default", .status = RUNNING, .before_run_key = INT64_MAX};
    int64_t count;
    assert_int_equal(store_count(fixture->store, &running, &count, NULL), 0);
    assert_int_equal(count, 3);
    for (int64_t key = 1; key <= 6; key++) {
        char run_id[32];
        struct store_run run;
        snprintf(run_id, sizeof run_id, "run-%lld", (long long)key);
        assert_int_equal(
            store_find(fixture->store, "default", "a", run_id, &fixture->arena, &run, NULL), 0);
        assert_int_equal(run.run_key, key);
        check_log(fixture, key, key % 2 == 0 ? 3 : 2, SIZE);
    }
}

static void the_index_is_rebuilt(void **state)
{
    struct store_fixture *fixture = *state;
    char index[128];
    snprintf(index, sizeof index, "%s.index", fixture->path);
    write_some_runs(fixture);
    close_store(fixture);
    assert_int_equal(unlink(index), 0); /* lost */
    fixture_reopen(fixture);
    check_some_runs(fixture);
    close_store(fixture);
    write_file(index, "neither an index nor a database, but some hundred bytes of text that "
                      "were written over the file by mistake");
    fixture_reopen(fixture);
    check_some_runs(fixture);
    close_store(fixture);
    run_sql(index, "UPDATE state SET indexed_run_key = 1000"); /* ahead of the store */
    fixture_reopen(fixture);
    check_some_runs(fixture);
    close_store(fixture);
    run_sql(index, "UPDATE state SET store_id = 'another'; DELETE FROM workflow");
    fixture_reopen(fixture);
    check_some_runs(fixture);
}

/* An index from before the last runs, as a crash leaves it: what is missing is read again. */
static void an_old_index_is_brought_up_to_date(void **state)
{
    struct store_fixture *fixture = *state;
    char index[128], kept[128];
    snprintf(index, sizeof index, "%s.index", fixture->path);
    snprintf(kept, sizeof kept, "%s.kept", fixture->path);
    commit_one(fixture->store, write_open(&fixture->arena, 1, "a", SIZE));
    commit_one(fixture->store, write_open(&fixture->arena, 2, "a", SIZE));
    close_store(fixture);
    assert_int_equal(link(index, kept), 0);
    assert_int_equal(unlink(index), 0);
    fixture_reopen(fixture);
    commit_one(fixture->store, write_more(&fixture->arena, 1, 2, SIZE));
    commit_one(fixture->store, write_more(&fixture->arena, 2, 2, SIZE));
    commit_one(fixture->store, write_close(&fixture->arena, 2, 3, SIZE));
    for (int64_t key = 3; key <= 6; key++) {
        commit_one(fixture->store, write_open(&fixture->arena, key, "a", SIZE));
        commit_one(fixture->store, write_more(&fixture->arena, key, 2, SIZE));
        if (key % 2 == 0)
            commit_one(fixture->store, write_close(&fixture->arena, key, 3, SIZE));
    }
    close_store(fixture);
    assert_int_equal(rename(kept, index), 0);
    fixture_reopen(fixture);
    check_some_runs(fixture);
    fixture_reopen(fixture);
    check_some_runs(fixture);
}

static void a_broken_chain_is_found(void **state)
{
    struct store_fixture *fixture = *state;
    write_some_runs(fixture);
    close_store(fixture);
    run_sql(fixture->path, "DELETE FROM log WHERE seq = 4"); /* run 2: rows 3, 4, 5 */
    fixture_reopen(fixture);
    struct store_blob *records;
    size_t count;
    assert_int_equal(store_load(fixture->store, 2, &fixture->arena, &records, &count, NULL),
                     ERR_CORRUPT);
    check_log(fixture, 1, 2, SIZE);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        CASE(a_second_engine_is_refused),
        CASE(a_newer_schema_is_refused),
        CASE(a_store_of_version_1_is_migrated),
        CASE(foreign_files_are_refused),
        CASE(the_index_is_rebuilt),
        CASE(an_old_index_is_brought_up_to_date),
        CASE(a_broken_chain_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
