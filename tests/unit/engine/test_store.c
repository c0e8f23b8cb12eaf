/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promises of engine/store.h, the same table of tests over both implementations. Where a store
 * can be opened again, tests do so in the middle: what it says must not depend on that.
 */
#include "tests/unit/engine/store_fixture.h"

#include <stdio.h>
#include <string.h>

#include "common/buffer.h"

#define SIZE ((size_t)100)

static int setup(void **state, bool is_memory)
{
    static struct store_fixture fixture;
    fixture_open(&fixture, is_memory);
    *state = &fixture;
    return 0;
}

static int setup_memory(void **state)
{
    return setup(state, true);
}

static int setup_sqlite(void **state)
{
    return setup(state, false);
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static void find(struct store_fixture *fixture, const char *workflow_id, const char *run_id,
                 struct store_run *ret_run)
{
    struct error err = {0};
    if (store_find(fixture->store, "default", workflow_id, run_id, &fixture->arena, ret_run,
                   &err) != 0)
        fail_msg("%s", err.text);
}

static void empty_store_has_nothing(void **state)
{
    struct store_fixture *fixture = *state;
    struct store_run run;
    struct store_blob *records;
    size_t count = 7;
    int64_t run_key;
    assert_int_equal(store_find(fixture->store, "default", "a", "", &fixture->arena, &run, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(store_load(fixture->store, 1, &fixture->arena, &records, &count, NULL),
                     ERR_NOT_FOUND);
    assert_int_equal(count, 7);
    assert_int_equal(store_next_run_key(fixture->store, &run_key, NULL), 0);
    assert_int_equal(run_key, 1);
}

static void logs_come_back_in_order(void **state)
{
    struct store_fixture *fixture = *state;
    struct arena *arena = &fixture->arena;
    struct store_write writes[] = {
        write_open(arena, 1, "a", SIZE), write_open(arena, 2, "b", SIZE),
        write_more(arena, 1, 2, SIZE),   write_more(arena, 2, 2, SIZE),
        write_more(arena, 1, 3, SIZE),
    };
    commit_all(fixture->store, writes, 5);
    commit_one(fixture->store, write_close(arena, 2, 3, SIZE));
    check_log(fixture, 1, 3, SIZE);
    check_log(fixture, 2, 3, SIZE);
    fixture_reopen(fixture);
    check_log(fixture, 1, 3, SIZE);
    check_log(fixture, 2, 3, SIZE);
    commit_one(fixture->store, write_more(arena, 1, 4, SIZE));
    check_log(fixture, 1, 4, SIZE);
    int64_t run_key;
    assert_int_equal(store_next_run_key(fixture->store, &run_key, NULL), 0);
    assert_int_equal(run_key, 3);
}

static int collect_setting(void *arg, const char *name, const struct store_blob *value,
                           struct error *err)
{
    (void)err;
    buffer_printf(arg, "%s=%.*s;", name, (int)value->size, (const char *)value->data);
    return 0;
}

static void expect_settings(struct store_fixture *fixture, const char *expected)
{
    struct buffer text = {0};
    assert_int_equal(store_scan_settings(fixture->store, collect_setting, &text, NULL), 0);
    assert_string_equal(buffer_text(&text), expected);
    buffer_fini(&text);
}

static struct store_write write_setting(const char *name, const char *value)
{
    return (struct store_write){.setting = name,
                                .records = {.data = (const uint8_t *)value, .size = strlen(value)}};
}

/* Settings are replaced and removed, in the order of the writes, beside runs. */
static void settings_come_back(void **state)
{
    struct store_fixture *fixture = *state;
    expect_settings(fixture, "");
    struct store_write writes[] = {
        write_setting("a", "1"), write_open(&fixture->arena, 1, "id", SIZE),
        write_setting("a", "2"), write_setting("b", "3"),
        write_setting("b", ""),
    };
    commit_all(fixture->store, writes, 5);
    fixture_reopen(fixture);
    expect_settings(fixture, "a=2;");
    check_log(fixture, 1, 1, SIZE);
    commit_one(fixture->store, write_setting("a", ""));
    commit_one(fixture->store, write_setting("never there", ""));
    fixture_reopen(fixture);
    expect_settings(fixture, "");
}

static void blobs_of_any_size_come_back(void **state)
{
    struct store_fixture *fixture = *state;
    static const size_t sizes[] = {1, 8191, 8192, 8193, 3 * 1024 * 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        commit_one(fixture->store, write_open(&fixture->arena, (int64_t)i + 1, "a", sizes[i]));
    fixture_reopen(fixture);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        check_log(fixture, (int64_t)i + 1, 1, sizes[i]);
}

static void a_log_that_does_not_fit_is_refused(void **state)
{
    struct store_fixture *fixture = *state;
    commit_one(fixture->store, write_open(&fixture->arena, 1, "a", 10000));
    struct arena small;
    arena_init(&small, 5000);
    struct store_blob *records;
    size_t count;
    assert_int_equal(store_load(fixture->store, 1, &small, &records, &count, NULL), ERR_LIMIT);
    arena_fini(&small);
    check_log(fixture, 1, 1, 10000);
}

/* Ids are used again: the latest run, and any run by its run id, open or closed. */
static void finds_runs_by_id(void **state)
{
    struct store_fixture *fixture = *state;
    struct arena *arena = &fixture->arena;
    for (int64_t key = 1; key <= 3; key++) {
        commit_one(fixture->store, write_open(arena, key, "again", SIZE));
        if (key < 3)
            commit_one(fixture->store, write_close(arena, key, 2, SIZE));
    }
    commit_one(fixture->store, write_open(arena, 4, "other", SIZE));
    for (int pass = 0; pass < 2; pass++) {
        struct store_run run;
        find(fixture, "again", "", &run);
        assert_int_equal(run.run_key, 3);
        assert_int_equal(run.status, RUNNING);
        assert_int_equal(run.close_utc_us, 0);
        find(fixture, "again", "run-1", &run);
        assert_int_equal(run.run_key, 1);
        assert_int_equal(run.status, COMPLETED);
        assert_int_equal(run.start_utc_us, 1001);
        assert_int_equal(run.close_utc_us, 2001);
        assert_int_equal(run.history_length, 11);
        assert_string_equal(run.namespace_name, "default");
        assert_string_equal(run.workflow_id, "again");
        assert_string_equal(run.run_id, "run-1");
        assert_string_equal(run.workflow_type, "Odd");
        assert_string_equal(run.task_queue, "cpu-queue");
        assert_int_equal(store_find(fixture->store, "default", "again", "run-4", arena, &run, NULL),
                         ERR_NOT_FOUND);
        assert_int_equal(store_find(fixture->store, "else", "again", "", arena, &run, NULL),
                         ERR_NOT_FOUND);
        assert_int_equal(store_find(fixture->store, "default", "agai", "", arena, &run, NULL),
                         ERR_NOT_FOUND);
        fixture_reopen(fixture);
    }
}

/* Enough runs that the index is flushed behind the commits at least twice while they go on. */
static void finds_every_run_while_the_index_is_written(void **state)
{
    struct store_fixture *fixture = *state;
    const int64_t total = 20000, batch = 100;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct store_write writes[200];
    for (int64_t first = 1; first <= total; first += batch) {
        arena_reset(&arena);
        size_t count = 0;
        for (int64_t key = first; key < first + batch; key++) {
            writes[count++] =
                write_open(&arena, key, arena_printf(&arena, "id-%lld", (long long)key), 20);
            if (key % 10 != 0)
                writes[count++] = write_close(&arena, key, 2, 20);
        }
        commit_all(fixture->store, writes, count);
        struct store_run run;
        int64_t probe = first + (first * 7919) % batch; /* of this batch, and of an older one */
        find(fixture, arena_printf(&arena, "id-%lld", (long long)probe), "", &run);
        assert_int_equal(run.run_key, probe);
        int64_t older = 1 + (first * 6700417) % (first + batch - 1);
        find(fixture, arena_printf(&arena, "id-%lld", (long long)older), "", &run);
        assert_int_equal(run.run_key, older);
    }
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t key = 1; key <= total; key++) {
            struct store_run run;
            arena_reset(&arena);
            int code =
                store_find(fixture->store, "default",
                           arena_printf(&arena, "id-%lld", (long long)key), "", &arena, &run, NULL);
            assert_int_equal(code, 0);
            assert_int_equal(run.run_key, key);
            assert_int_equal(run.status, key % 10 == 0 ? RUNNING : COMPLETED);
        }
        fixture_reopen(fixture);
    }
    arena_fini(&arena);
}

static int collect_open(void *arg, const struct store_run *run, const struct store_blob *records,
                        size_t record_count, struct error *err)
{
    char *text = arg;
    (void)err;
    for (size_t i = 0; i < record_count; i++)
        assert_true(blob_is(&records[i], run->run_key, (int)i + 1, SIZE));
    sprintf(text + strlen(text), "%s:%zu ", run->run_id, record_count);
    return strcmp(run->run_id, "run-5") == 0 ? 42 : 0;
}

static void scans_open_runs_in_order(void **state)
{
    struct store_fixture *fixture = *state;
    struct arena *arena = &fixture->arena;
    for (int64_t key = 1; key <= 6; key++)
        commit_one(fixture->store, write_open(arena, key, "a", SIZE));
    commit_one(fixture->store, write_more(arena, 4, 2, SIZE));
    fixture_reopen(fixture);
    commit_one(fixture->store, write_more(arena, 2, 2, SIZE));
    commit_one(fixture->store, write_more(arena, 2, 3, SIZE));
    commit_one(fixture->store, write_close(arena, 1, 2, SIZE));
    commit_one(fixture->store, write_close(arena, 4, 3, SIZE));
    fixture_reopen(fixture);
    char text[200] = "";
    assert_int_equal(store_scan_open(fixture->store, collect_open, text, NULL), 42);
    assert_string_equal(text, "run-2:3 run-3:1 run-5:1 ");
}

static int64_t list_and_count(struct store_fixture *fixture, struct store_filter filter,
                              size_t limit, char *ret_keys)
{
    struct store_run *runs;
    size_t run_count;
    int64_t total;
    filter.namespace_name = "default";
    assert_int_equal(
        store_list(fixture->store, &filter, limit, &fixture->arena, &runs, &run_count, NULL), 0);
    assert_int_equal(store_count(fixture->store, &filter, &total, NULL), 0);
    ret_keys[0] = '\0';
    for (size_t i = 0; i < run_count; i++)
        sprintf(ret_keys + strlen(ret_keys), "%lld ", (long long)runs[i].run_key);
    return total;
}

static void lists_newest_first(void **state)
{
    struct store_fixture *fixture = *state;
    struct arena *arena = &fixture->arena;
    for (int64_t key = 1; key <= 8; key++) {
        commit_one(fixture->store, write_open(arena, key, key <= 4 ? "low" : "high", SIZE));
        if (key % 3 != 0)
            commit_one(fixture->store, write_close(arena, key, 2, SIZE));
    }
    static const struct {
        struct store_filter filter;
        size_t limit;
        const char *keys;
        int64_t total;
    } cases[] = {
        {{.before_run_key = INT64_MAX}, 100, "8 7 6 5 4 3 2 1 ", 8},
        {{.before_run_key = INT64_MAX}, 3, "8 7 6 ", 8},
        {{.before_run_key = 6}, 3, "5 4 3 ", 5},
        {{.before_run_key = 1}, 3, "", 0},
        {{.before_run_key = INT64_MAX, .status = RUNNING}, 10, "6 3 ", 2},
        {{.before_run_key = 6, .status = RUNNING}, 10, "3 ", 1},
        {{.before_run_key = INT64_MAX, .status = COMPLETED}, 2, "8 7 ", 6},
        {{.before_run_key = INT64_MAX, .workflow_id = "low"}, 10, "4 3 2 1 ", 4},
        {{.before_run_key = 3, .workflow_id = "low"}, 10, "2 1 ", 2},
        {{.before_run_key = INT64_MAX, .workflow_id = "low", .status = RUNNING}, 10, "3 ", 1},
        {{.before_run_key = INT64_MAX, .workflow_type = "Even"}, 10, "8 6 4 2 ", 4},
        {{.before_run_key = INT64_MAX, .workflow_type = "Even", .status = RUNNING}, 10, "6 ", 1},
        {{.before_run_key = INT64_MAX, .workflow_type = "None"}, 10, "", 0},
        {{.before_run_key = INT64_MAX, .workflow_id = "none"}, 10, "", 0},
    };
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            char keys[100];
            int64_t total = list_and_count(fixture, cases[i].filter, cases[i].limit, keys);
            assert_string_equal(keys, cases[i].keys);
            assert_int_equal(total, cases[i].total);
        }
        fixture_reopen(fixture);
    }
    char keys[100];
    struct store_run *runs;
    size_t count;
    const struct store_filter elsewhere = {.namespace_name = "else", .before_run_key = INT64_MAX};
    assert_int_equal(store_list(fixture->store, &elsewhere, 10, arena, &runs, &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_int_equal(
        list_and_count(fixture, (struct store_filter){.before_run_key = INT64_MAX}, 0, keys), 8);
    assert_string_equal(keys, "");
}

/* A run may open, go on and close in one commit, and close without records of its own. */
static void one_commit_may_hold_a_whole_run(void **state)
{
    struct store_fixture *fixture = *state;
    struct arena *arena = &fixture->arena;
    struct store_write writes[] = {write_open(arena, 1, "a", SIZE), write_more(arena, 1, 2, SIZE),
                                   write_close(arena, 1, 3, SIZE)};
    writes[2].records = (struct store_blob){0};
    commit_all(fixture->store, writes, 3);
    for (int pass = 0; pass < 2; pass++) {
        struct store_run run;
        check_log(fixture, 1, 2, SIZE);
        find(fixture, "a", "", &run);
        assert_int_equal(run.status, COMPLETED);
        fixture_reopen(fixture);
    }
}

#define BOTH(test)                                                                                 \
    {#test " (memory)", test, setup_memory, teardown, NULL},                                       \
    {                                                                                              \
#test " (sqlite)", test, setup_sqlite, teardown, NULL                                      \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(empty_store_has_nothing),
        BOTH(logs_come_back_in_order),
        BOTH(blobs_of_any_size_come_back),
        BOTH(a_log_that_does_not_fit_is_refused),
        BOTH(finds_runs_by_id),
        BOTH(finds_every_run_while_the_index_is_written),
        BOTH(settings_come_back),
        BOTH(scans_open_runs_in_order),
        BOTH(lists_newest_first),
        BOTH(one_commit_may_hold_a_whole_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
