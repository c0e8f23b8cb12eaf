/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a child's lines in the fleet's log, in both formats. */
#include "tests/test.h"

#include <string.h>

#include <jansson.h>

#include "common/utf8.h"
#include "supervisor/log/log_line.h"

static const struct log_line_writer worker = {"worker-cpu", "cpu/0"};
static const struct log_line_writer engine = {"engine", "engine"};

static char record[LOG_LINE_RECORD_MAX + 1];

static const char *composed(const struct log_line_writer *writer, const char *text, size_t cut)
{
    char line[LOG_LINE_MAX];
    size_t size = strlen(text);
    memcpy(line, text, size);
    log_line_clean(line, size);
    size_t length = log_line_compose(record, writer, line, size, cut);
    assert_true(length > 0 && length <= LOG_LINE_RECORD_MAX);
    record[length] = '\0';
    assert_ptr_equal(strchr(record, '\n'), record + length - 1);
    assert_true(utf8_is_valid(record, length));
    return record;
}

static void a_record_gets_its_writer(void **state)
{
    (void)state;
    log_open("supervisor", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    assert_string_equal(
        composed(&worker,
                 "ts=2026-01-31T23:59:59.123456Z level=info process=worker-cpu event=a.b c=d", 0),
        "ts=2026-01-31T23:59:59.123456Z level=info process=worker-cpu worker=cpu/0 event=a.b "
        "c=d\n");
    assert_string_equal(composed(&engine, "ts=1 level=error process=engine event=a.b", 0),
                        "ts=1 level=error process=engine event=a.b\n");
    log_open("supervisor", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    assert_string_equal(
        composed(&worker,
                 "{\"ts\":\"1\",\"level\":\"warn\",\"process\":\"worker-cpu\",\"event\":\"a.b\","
                 "\"text\":\"\\\"x\\\" \\u001b\"}",
                 0),
        "{\"ts\":\"1\",\"level\":\"warn\",\"process\":\"worker-cpu\",\"worker\":\"cpu/0\","
        "\"event\":\"a.b\",\"text\":\"\\\"x\\\" \\u001b\"}\n");
}

static void other_text_becomes_a_record(void **state)
{
    (void)state;
    log_open("supervisor", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    assert_non_null(strstr(composed(&worker, "it \"says\"\tso\x1b[31m\xc2\x9b", 0),
                           " level=warn process=worker-cpu event=process.output worker=cpu/0 "
                           "text=\"it \\\"says\\\" so [31m  \"\n"));
    assert_non_null(strstr(composed(&engine, "caf\xc3\xa9 \xff", 12),
                           " process=engine event=process.output text=\"caf\xc3\xa9 ?\" cut=12\n"));
    log_open("supervisor", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    json_t *json = json_loads(composed(&worker, "it \"says\" {so} \\", 0), 0, NULL);
    assert_non_null(json);
    assert_string_equal(json_string_value(json_object_get(json, "text")), "it \"says\" {so} \\");
    assert_string_equal(json_string_value(json_object_get(json, "worker")), "cpu/0");
    json_decref(json);
}

/* A collector that was promised JSON gets nothing else. */
static void what_only_looks_like_a_record_is_none(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "ts=1 level=info process=engine event=a.b",
        "{\"ts\":\"1\",\"level\":\"info\",\"process\":\"engine\"",
        "{\"ts\":\"1\",\"level\":\"info\",\"process\":\"engine\"}}",
        "{\"ts\":\"1\",\"level\":\"info\",\"process\":\"engine\"},",
        "{\"ts\":\"1\",\"level\":\"info\",\"process\":\"engine\",\"a\":1}",
        "{\"ts\":\"1\",\"level\":\"info\",\"process\":\"engine\",\"a\":\"\\x\"}",
        "{\"ts\":\"1\",\"level\":\"info\",\"process\":\"engine\",\"a\":\"\\u00g0\"}",
        "{\"ts\":\"1\",\"level\":\"info\",\"process\":\"engine\",\"a\":\"\\u00",
        "{\"ts\":\"1\",\"level\":\"loud\",\"process\":\"engine\"}",
        "{\"ts\":\"1\",\"level\":\"info\",\"process\":\"\"}",
    };
    log_open("supervisor", LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        json_t *json = json_loads(composed(&worker, lines[i], 0), 0, NULL);
        assert_non_null(json);
        assert_string_equal(json_string_value(json_object_get(json, "event")), "process.output");
        assert_string_equal(json_string_value(json_object_get(json, "text")), lines[i]);
        json_decref(json);
    }
}

static void levels_are_read(void **state)
{
    (void)state;
    log_open("supervisor", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    const char *line = "ts=1 level=debug process=engine event=a.b";
    assert_int_equal(log_line_level(line, strlen(line)), LOG_LEVEL_DEBUG);
    line = "ts=1 level=error process=engine event=a.b";
    assert_int_equal(log_line_level(line, strlen(line)), LOG_LEVEL_ERROR);
    line = "Aborted";
    assert_int_equal(log_line_level(line, strlen(line)), LOG_LEVEL_WARN);
}

/* The longest line of quotes and of three-byte characters, in both formats. */
static void long_lines_fit(void **state)
{
    (void)state;
    char line[LOG_LINE_MAX];
    for (int format = LOG_FORMAT_LOGFMT; format <= LOG_FORMAT_JSON; format++) {
        log_open("supervisor", LOG_LEVEL_INFO, (enum log_format)format);
        memset(line, '"', sizeof line - 1);
        line[sizeof line - 1] = '\0';
        assert_true(strlen(composed(&worker, line, 100000)) > 1000);
        for (size_t i = 0; i + 3 < sizeof line; i += 3)
            memcpy(line + i, "\xe2\x82\xac", 3);
        assert_true(strlen(composed(&worker, line, 0)) > 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_gets_its_writer),
        cmocka_unit_test(other_text_becomes_a_record),
        cmocka_unit_test(what_only_looks_like_a_record_is_none),
        cmocka_unit_test(levels_are_read),
        cmocka_unit_test(long_lines_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
