/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the PostgreSQL store promises: it outlives its server's crashes, waits for a server
 * that is not there yet, takes its password from a file and keeps it to itself, and leaves a schema
 * of a newer Argosy alone.
 */
#include "tests/unit/vectors/vector_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/vectors/postgres_fixture.h"

static char address[256];

static int setup(void **state)
{
    static struct vector_fixture fixture;
    fixture_open(&fixture, address);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static void check_text(struct vector_fixture *fixture, const char *text)
{
    struct vector_hit *hits;
    assert_int_equal(search_all(fixture, "papers", NULL, &hits), 1);
    assert_string_equal(hits[0].text, text);
}

static int list(struct vector_store *store, struct arena *arena, struct error *err)
{
    struct vector_collection *collections;
    size_t count;
    return vector_store_collections(store, "", 10, arena, &collections, &count, err);
}

static void test_crash(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    put_document(fixture, "papers", "a", "one", 8, 1, NULL);
    postgres_crash();
    assert_int_equal(list(fixture->store, &fixture->arena, &err), ERR_UNAVAILABLE);
    postgres_resume();
    check_text(fixture, "text 8");
    put_document(fixture, "papers", "a", "two", 16, 1, NULL);
    check_text(fixture, "text 16");
}

/* The store opens without its server, whose database is empty when it comes. */
static void test_late(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    postgres_run_sql(address, "DROP SCHEMA argosy CASCADE");
    postgres_crash();
    fixture_reopen(fixture);
    assert_int_equal(list(fixture->store, &fixture->arena, &err), ERR_UNAVAILABLE);
    postgres_resume();
    put_document(fixture, "papers", "a", "one", 8, 1, NULL);
    check_text(fixture, "text 8");
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_int_equal(fclose(file), 0);
}

/* The file counts, not the environment; it is read for every connection; errors do not tell it. */
static void test_password(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_store *store;
    char path[96], right[64];
    snprintf(path, sizeof path, "%s/password", fixture->folder);
    write_file(path, "wrong horse\n");
    const struct vector_store_options options = {.address = address, .password_file = path};
    ok(vector_store_open(&options, &store, &err), &err);
    assert_int_equal(list(store, &fixture->arena, &err), ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "password authentication failed"));
    assert_null(strstr(err.text, "horse"));
    write_file(path, "\n");
    assert_int_equal(list(store, &fixture->arena, &err), ERR_CONFIG);
    snprintf(right, sizeof right, "%s\n", getenv("PGPASSWORD"));
    write_file(path, right);
    ok(list(store, &fixture->arena, &err), &err);
    vector_store_close(store);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(vector_store_open(&options, &store, &err), ERR_PERMISSION);
    unlink(path);
    assert_int_equal(vector_store_open(&options, &store, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, path));
}

static void test_newer_schema(void **state)
{
    struct vector_fixture *fixture = *state;
    struct error err = {0};
    struct vector_store *store;
    const struct vector_store_options options = {.address = address,
                                                 .password_file = postgres_password_file()};
    postgres_run_sql(address, "UPDATE argosy.vector_store SET version = 2");
    assert_int_equal(vector_store_open(&options, &store, &err), ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "version 2, this Argosy knows 1"));
    postgres_run_sql(address, "UPDATE argosy.vector_store SET version = 1");
    ok(list(fixture->store, &fixture->arena, &err), &err);
}

int main(void)
{
    if (!postgres_start(address, sizeof address))
        return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late, setup, teardown),
        cmocka_unit_test_setup_teardown(test_password, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_schema, setup, teardown),
    };
    int failures = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_stop();
    return failures;
}
