/* SPDX-License-Identifier: Apache-2.0 */
/* The log's records as they leave the process: one line each, whatever stands in them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "common/log.h"
#include "common/utf8.h"

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

static void test_level_changes(void **state)
{
    (void)state;
    log_open("test", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    log_set_level(LOG_LEVEL_WARN);
    assert_true(log_is_enabled(LOG_LEVEL_WARN) && !log_is_enabled(LOG_LEVEL_INFO));
    log_set_level(LOG_LEVEL_DEBUG);
    assert_true(log_is_enabled(LOG_LEVEL_DEBUG));
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

/* A pipe that nobody reads holds nobody up; what it had no room for is said when it has. */
static void test_full_pipe(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int capacity = fcntl(ends[1], F_SETPIPE_SZ, 16384);
    assert_true(capacity >= 16384);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    log_open("test", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    size_t written_count = 1000;
    for (size_t i = 0; i < written_count; i++)
        log_info("pipe.filled", "number=%zu", i);
    static char text[1 << 20];
    ssize_t size = read(ends[0], text, sizeof text - 1);
    assert_true(size > 0 && size < (ssize_t)sizeof text - 1);
    text[size] = '\0';
    size_t kept_count = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        kept_count++;
    assert_in_range(kept_count, 1, written_count - 1);
    log_info("pipe.emptied", "last=true");
    dup2(saved, STDERR_FILENO);
    close(saved);
    size = read(ends[0], text, sizeof text - 1);
    close(ends[0]);
    assert_true(size > 0);
    text[size] = '\0';
    char expected[64];
    snprintf(expected, sizeof expected, " level=warn process=test event=log.dropped lines=%zu\n",
             written_count - kept_count);
    assert_non_null(strstr(text, expected));
    assert_non_null(strstr(strchr(text, '\n'), " event=pipe.emptied last=true\n"));
}

/* A reader that has gone ends nobody. */
static void test_no_reader(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    close(ends[0]);
    log_open("test", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    log_info("pipe.broken", "alive=true");
    dup2(saved, STDERR_FILENO);
    close(saved);
    log_info("pipe.left", "said=true"); /* what was dropped is said here */
}

/* A text of several bytes a character is not cut within one. */
static void test_cut_between_characters(void **state)
{
    (void)state;
    char text[4001] = "";
    for (size_t lead = 0; lead < 4; lead++) {
        memset(text, 'x', lead);
        for (size_t i = lead; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac\0", 4);
        const char *line = written(LOG_FORMAT_LOGFMT, NULL, text);
        assert_true(utf8_is_valid(line, strlen(line)));
        json_decref(parsed(text, text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt),
        cmocka_unit_test(test_level_changes),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_long_texts_are_cut),
        cmocka_unit_test(test_cut_between_characters),
        cmocka_unit_test(test_full_pipe),
        cmocka_unit_test(test_no_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
