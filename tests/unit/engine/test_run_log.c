/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs of earlier releases must load for ever: tests/golden/run_log holds one per version, with the
 * history it stands for. And a damaged log is refused, whatever is missing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/run.h"
#include "tests/unit/engine/history_text.h"

static struct buffer read_file(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/run_log/%s", getenv("ARGOSY_SOURCE_DIR"), name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    struct buffer bytes = {0};
    char chunk[4096];
    size_t size;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0)
        buffer_append(&bytes, chunk, size);
    fclose(file);
    return bytes;
}

static int load(const struct buffer *bytes, size_t size, struct run **ret_run)
{
    struct store_blob blob = {.data = bytes->data, .size = size};
    struct error err = {0};
    *ret_run = run_create(1, "golden", "7b1c8f5e-1d3a-4c59-9a86-0f3f0e9d2b11");
    return run_load(*ret_run, &blob, 1, &err);
}

static void test_version_1(void **state)
{
    (void)state;
    struct buffer bytes = read_file("1.bin"), expected = read_file("1.txt"), text = {0};
    struct run *run;
    assert_int_equal(load(&bytes, bytes.size, &run), 0);
    assert_int_equal(run->status, WORKFLOW_EXECUTION_STATUS_COMPLETED);
    assert_string_equal(run->request_id, "start-1");
    assert_string_equal(run->cancel_request_id, "cancel-1");
    assert_int_equal(run->run_timeout_us, INT64_C(3600) * 1000000);
    for (size_t i = 0; i < run->history.count; i++)
        history_text_append(run->history.entries[i].event, &text);
    assert_string_equal(buffer_text(&text), buffer_text(&expected));
    run_destroy(run);
    buffer_fini(&bytes);
    buffer_fini(&expected);
    buffer_fini(&text);
}

/* Cut anywhere: either between two records, and the run is open, or refused. */
static void test_cut(void **state)
{
    (void)state;
    struct buffer bytes = read_file("1.bin");
    size_t loaded = 0;
    for (size_t size = 0; size < bytes.size; size++) {
        struct run *run;
        int rc = load(&bytes, size, &run);
        assert_true(rc == 0 || rc == ERR_CORRUPT);
        if (rc == 0)
            assert_true(run_is_open(run));
        loaded += rc == 0;
        run_destroy(run);
    }
    assert_in_range(loaded, 30, 60); /* the log's records but the first and the last */
    buffer_fini(&bytes);
}

/* A record left out leaves a hole that is noticed. */
static void test_hole(void **state)
{
    (void)state;
    struct buffer bytes = read_file("1.bin");
    size_t refused = 0, records = 0;
    for (size_t at = 0; at < bytes.size; records++) {
        size_t size = 4;
        for (int i = 0; i < 4; i++)
            size += (size_t)bytes.data[at + (size_t)i] << (8 * i);
        struct buffer holed = {0};
        buffer_append(&holed, bytes.data, at);
        buffer_append(&holed, bytes.data + at + size, bytes.size - at - size);
        struct run *run;
        int rc = load(&holed, holed.size, &run);
        /* Only what changes no order can be missing unnoticed: request ids, stickiness, a
         * heartbeat; and the end. */
        refused += rc == ERR_CORRUPT;
        run_destroy(run);
        buffer_fini(&holed);
        at += size;
    }
    assert_true(refused + 10 >= records);
    buffer_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_hole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
