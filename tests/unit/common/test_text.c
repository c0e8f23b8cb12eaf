/* SPDX-License-Identifier: Apache-2.0 */
/* test_text: uuids, times and log quoting. */
#include "tests/test.h"

#include <string.h>

#include "common/clock.h"
#include "common/error.h"
#include "common/log.h"
#include "common/uuid.h"

static void formats_uuids_as_version_4(void **state)
{
    (void)state;
    uint8_t ones[16];
    memset(ones, 0xff, sizeof ones);
    char text[UUID_TEXT_SIZE];
    uuid_format(ones, text);
    assert_string_equal(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    char a[UUID_TEXT_SIZE];
    char b[UUID_TEXT_SIZE];
    uuid_create(a);
    uuid_create(b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), 36);
}

static void formats_utc(void **state)
{
    (void)state;
    char text[CLOCK_UTC_TEXT_SIZE];
    assert_string_equal(clock_utc_format(0, text), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(clock_utc_format(INT64_C(1700000000123456), text),
                        "2023-11-14T22:13:20.123456Z");
    assert_string_equal(clock_utc_format(-1, text), "1969-12-31T23:59:59.999999Z");
}

static void quotes_log_values(void **state)
{
    (void)state;
    char out[32];
    assert_string_equal(log_quote("a \"b\"\nc", out, sizeof out), "\"a \\\"b\\\" c\"");
    char small[12];
    log_quote("abcdefghijklmnopq", small, sizeof small);
    assert_int_equal(small[strlen(small) - 1], '"');
    assert_non_null(strstr(small, "..."));
}

static void parses_log_settings(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_INFO;
    enum log_format format = LOG_FORMAT_LOGFMT;
    assert_int_equal(log_level_parse("WARN", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_int_equal(log_level_parse("loud", &level), ERR_INVALID);
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_int_equal(log_format_parse("json", &format), 0);
    assert_int_equal(format, LOG_FORMAT_JSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_uuids_as_version_4),
        cmocka_unit_test(formats_utc),
        cmocka_unit_test(quotes_log_values),
        cmocka_unit_test(parses_log_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
