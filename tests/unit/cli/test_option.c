/* SPDX-License-Identifier: Apache-2.0 */
/* test_option: every form an option may be written in, every value that is refused. */
#include "cli/option.h"

#include <string.h>

#include "tests/test.h"

static const char *const colours[] = {"red", "green", NULL};

static const struct option first[] = {
    {"workflow-id", "id", 'w', OPTION_TEXT, "ID", "help", NULL},
    {"input", NULL, 'i', OPTION_LIST, "JSON", "help", NULL},
    {"follow", NULL, 'f', OPTION_FLAG, NULL, "help", NULL},
    {0},
};

static const struct option second[] = {
    {"limit", NULL, 'l', OPTION_NUMBER, "N", "help", NULL},
    {"run-timeout", NULL, 0, OPTION_DURATION, "TIME", "help", NULL},
    {"colour", NULL, 0, OPTION_CHOICE, "red|green", "help", colours},
    {0},
};

static const struct option_sets sets = {{first, second}};

#define PARSE(parsed, err, ...)                                                                    \
    option_parse(&sets, (const char *const[]){__VA_ARGS__},                                        \
                 sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), parsed, err)

static void every_form_gives_the_same_value(void **state)
{
    (void)state;
    static const char *const forms[][3] = {
        {"--workflow-id", "x y"},
        {"--workflow-id=x y"},
        {"--id", "x y"},
        {"--id=x y"},
        {"-w", "x y"},
        {"-wx y"},
    };
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct parsed parsed;
        size_t count = forms[i][1] != NULL ? 2 : 1;
        assert_int_equal(option_parse(&sets, forms[i], count, &parsed, NULL), 0);
        assert_string_equal(parsed_text(&parsed, "workflow-id"), "x y");
        assert_int_equal(parsed.argument_count, 0);
        parsed_fini(&parsed);
    }
}

static void options_and_arguments_mix_until_two_dashes(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, NULL, "one", "-f", "-", "--limit=3", "--", "--follow", "-x"),
                     0);
    assert_true(parsed_has(&parsed, "follow"));
    assert_int_equal(parsed_number(&parsed, "limit", 7), 3);
    assert_int_equal(parsed.argument_count, 4);
    assert_string_equal(parsed.arguments[0], "one");
    assert_string_equal(parsed.arguments[1], "-");
    assert_string_equal(parsed.arguments[2], "--follow");
    assert_string_equal(parsed.arguments[3], "-x");
    parsed_fini(&parsed);
}

static void what_is_absent_reads_as_its_fallback(void **state)
{
    (void)state;
    struct parsed parsed;
    size_t cursor = 0;
    assert_int_equal(PARSE(&parsed, NULL, "argument"), 0);
    assert_null(parsed_text(&parsed, "workflow-id"));
    assert_false(parsed_has(&parsed, "follow"));
    assert_int_equal(parsed_number(&parsed, "limit", 100), 100);
    assert_int_equal(parsed_duration_ms(&parsed, "run-timeout", -1), -1);
    assert_null(parsed_next(&parsed, "input", &cursor));
    parsed_fini(&parsed);
}

static void the_last_of_a_repeated_option_counts_and_a_list_keeps_all(void **state)
{
    (void)state;
    struct parsed parsed;
    assert_int_equal(PARSE(&parsed, NULL, "-l", "1", "-i", "1", "-l2", "--input=", "-i", "-"), 0);
    assert_int_equal(parsed_number(&parsed, "limit", 0), 2);
    size_t cursor = 0;
    assert_string_equal(parsed_next(&parsed, "input", &cursor), "1");
    assert_string_equal(parsed_next(&parsed, "input", &cursor), "");
    assert_string_equal(parsed_next(&parsed, "input", &cursor), "-");
    assert_null(parsed_next(&parsed, "input", &cursor));
    parsed_fini(&parsed);
}

static void what_is_wrong_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *words[2];
        const char *text;
    } rows[] = {
        {{"--workflw-id", "x"}, "unknown option --workflw-id; did you mean --workflow-id?"},
        {{"--zzzzzzzzzzzz"}, "unknown option --zzzzzzzzzzzz"},
        {{"--limit2=5"}, "unknown option --limit2; did you mean --limit?"},
        {{"-z"}, "unknown option -z"},
        {{"--workflow-id"}, "--workflow-id needs a value: ID"},
        {{"-w"}, "--workflow-id needs a value: ID"},
        {{"--workflow-id="}, "--workflow-id: the value is empty"},
        {{"--follow=yes"}, "--follow takes no value"},
        {{"-fx"}, "--follow takes no value"},
        {{"--limit", "-1"}, "--limit: \"-1\" is not a whole number from 0 to 2147483647"},
        {{"--limit", "2147483648"},
         "--limit: \"2147483648\" is not a whole number from 0 to 2147483647"},
        {{"--limit", "99999999999999999999"},
         "--limit: \"99999999999999999999\" is not a whole number from 0 to 2147483647"},
        {{"--limit", "3x"}, "--limit: \"3x\" is not a whole number from 0 to 2147483647"},
        {{"--limit", " 3"}, "--limit: \" 3\" is not a whole number from 0 to 2147483647"},
        {{"--colour", "gren"}, "--colour: no such choice as \"gren\"; did you mean \"green\"?"},
        {{"--colour", "mauve"}, "--colour: \"mauve\" is not one of red|green"},
        {{"--run-timeout", "5"},
         "--run-timeout: \"5\" is not a duration such as 30s, 1h30m or 250ms"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct parsed parsed = {.argument_count = 77};
        struct error err = {0};
        size_t count = rows[i].words[1] != NULL ? 2 : 1;
        assert_int_equal(option_parse(&sets, rows[i].words, count, &parsed, &err), ERR_INVALID);
        assert_string_equal(err.text, rows[i].text);
        assert_int_equal(parsed.argument_count, 77);
    }
}

static void durations_are_sums_of_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } rows[] = {
        {"250ms", 250},
        {"30s", 30000},
        {"1.5s", 1500},
        {"1m", 60000},
        {"1h30m", 5400000},
        {"2d", 172800000},
        {"0s", 0},
        {"1m1ms", 60001},
        {"0.001s", 1},
        {"0.25h", 900000},
        {"36600d", 36600LL * 86400000},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t ms = -1;
        assert_int_equal(duration_parse(rows[i].text, &ms, NULL), 0);
        assert_int_equal(ms, rows[i].ms);
    }
    static const char *const wrong[] = {"",    "5",     "s",      "-5s",
                                        "1.s", "1..5s", "5 s",    "5sx",
                                        "1h5", "5us",   "36601d", "99999999999999999999s"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        int64_t ms = 7;
        assert_int_equal(duration_parse(wrong[i], &ms, NULL), ERR_INVALID);
        assert_int_equal(ms, 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_gives_the_same_value),
        cmocka_unit_test(options_and_arguments_mix_until_two_dashes),
        cmocka_unit_test(what_is_absent_reads_as_its_fallback),
        cmocka_unit_test(the_last_of_a_repeated_option_counts_and_a_list_keeps_all),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(durations_are_sums_of_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
