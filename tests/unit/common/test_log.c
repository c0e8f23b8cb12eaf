/* SPDX-License-Identifier: Apache-2.0 */
/* The log's records as they leave the process: one line each, whatever stands in them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/log.h"

static char record[8192]; /* larger than any record */

/* What a record of a run puts on standard error. */
static const char *written(enum log_format format, const char *id, const char *text)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    log_open("test", LOG_LEVEL_INFO, format);
    log_write_run(LOG_LEVEL_INFO, "workflow.logged", "Order", id, "run-1", text);
    log_write_run(LOG_LEVEL_DEBUG, "workflow.logged", "Order", id, "run-1", "not written");
    dup2(saved, STDERR_FILENO);
    close(saved);
    ssize_t size = read(ends[0], record, sizeof record - 1);
    close(ends[0]);
    assert_true(size > 0 && size <= 4096); /* one write that a pipe keeps together */
    record[size] = '\0';
    assert_ptr_equal(strchr(record, '\n'), record + size - 1);
    return record;
}

static void test_logfmt(void **state)
{
    (void)state;
    const char *line = written(LOG_FORMAT_LOGFMT, "order 1", "paid \"all\"\n\x1b[31mof it");
    assert_non_null(strstr(line, " level=info process=test event=workflow.logged workflow_type="
                                 "\"Order\" workflow_id=\"order 1\" run_id=\"run-1\" "
                                 "text=\"paid \\\"all\\\"  [31mof it\"\n"));
    assert_non_null(strstr(written(LOG_FORMAT_LOGFMT, NULL, "no run"),
                           " event=workflow.logged text=\"no run\"\n"));
}

static json_t *parsed(const char *id, const char *text)
{
    json_t *json = json_loads(written(LOG_FORMAT_JSON, id, text), 0, NULL);
    assert_non_null(json);
    return json;
}

static void test_json(void **state)
{
    (void)state;
    json_t *json = parsed("order \"1\"", "a \\ b");
    assert_string_equal(json_string_value(json_object_get(json, "workflow_id")), "order \"1\"");
    assert_string_equal(json_string_value(json_object_get(json, "run_id")), "run-1");
    assert_string_equal(json_string_value(json_object_get(json, "text")), "a \\ b");
    assert_string_equal(json_string_value(json_object_get(json, "level")), "info");
    json_decref(json);
}

static void test_long_texts_are_cut(void **state)
{
    (void)state;
    static char plain[4001], quotes[4001];
    memset(plain, 'x', sizeof plain - 1);
    memset(quotes, '"', sizeof quotes - 1);
    json_t *json = parsed(plain, plain);
    assert_true(json_string_length(json_object_get(json, "text")) > 1024);
    json_decref(json);
    json = parsed(quotes, quotes);
    assert_true(json_string_length(json_object_get(json, "text")) > 500);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_texts_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
