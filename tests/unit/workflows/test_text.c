/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_text: the text rules against Python's own answers (tests/golden/text_rules.txt): every code
 * point alone, between digits and before a capital sigma, and some thousand random strings; then
 * what Python's file cannot show: bytes that are not UTF-8, NUL, where failures leave the output.
 */
#include "workflows/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "tests/test.h"

#define LINE_SIZE 4096

static struct buffer out;

static void append_code_point(struct buffer *buffer, int32_t code_point)
{
    uint8_t *room = buffer_reserve(buffer, 4);
    assert_non_null(room);
    buffer->size += (size_t)utf8proc_encode_char(code_point, room);
}

static struct buffer *text_of(struct buffer *buffer, const int32_t *code_points, size_t count)
{
    buffer_clear(buffer);
    for (size_t i = 0; i < count; i++)
        append_code_point(buffer, code_points[i]);
    return buffer;
}

static void clean_into_out(const struct buffer *text)
{
    struct error err = {0};
    buffer_clear(&out);
    if (text_clean((const char *)text->data, text->size, &out, &err) != 0)
        fail_msg("%s", err.text);
}

/* text_clean(code points) gives exactly the expected code points. */
static void assert_clean(const int32_t *code_points, size_t count, const int32_t *expected,
                         size_t expected_count)
{
    static struct buffer text, want;
    clean_into_out(text_of(&text, code_points, count));
    text_of(&want, expected, expected_count);
    if (out.size != want.size || (want.size > 0 && memcmp(out.data, want.data, want.size) != 0))
        fail_msg("U+%04" PRIX32 " (first of %zu code points) is cleaned otherwise than in Python",
                 code_points[0], count);
}

struct golden_rule {
    enum { RULE_KEEP, RULE_SPACE, RULE_DROP, RULE_LOWER } rule;
    int32_t lower[2];
    size_t lower_count;
    enum { CONTEXT_OTHER, CONTEXT_IGNORABLE, CONTEXT_CASED } context;
};

/* "lower:69.307" */
static void lower_parse(const char *text, int32_t offset, struct golden_rule *rule)
{
    char *end;
    rule->lower[0] = (int32_t)strtol(text, &end, 16) + offset;
    rule->lower_count = 1;
    if (*end == '.') {
        rule->lower[1] = (int32_t)strtol(end + 1, &end, 16);
        rule->lower_count = 2;
    }
    assert_int_equal(*end, '\0');
}

static void check_code_point(int32_t c, const struct golden_rule *rule)
{
    struct text_measure measure;
    static struct buffer alone;
    text_of(&alone, &c, 1);
    assert_int_equal(text_measure((char *)alone.data, alone.size, &measure, NULL), 0);
    assert_int_equal(measure.length, 1);
    assert_int_equal(measure.blank, rule->rule == RULE_SPACE || rule->rule == RULE_DROP);

    int32_t between[] = {'1', c, '1'};
    switch (rule->rule) {
    case RULE_KEEP:
        assert_clean(&c, 1, &c, 1);
        assert_clean(between, 3, between, 3);
        break;
    case RULE_SPACE:
        assert_clean(&c, 1, NULL, 0);
        assert_clean(between, 3, (int32_t[]){'1', ' ', '1'}, 3);
        break;
    case RULE_DROP:
        assert_clean(&c, 1, NULL, 0);
        assert_clean(between, 3, (int32_t[]){'1', '1'}, 2);
        break;
    case RULE_LOWER: {
        int32_t lower[4] = {'1', rule->lower[0], rule->lower[1]};
        lower[1 + rule->lower_count] = '1';
        assert_clean(&c, 1, rule->lower, rule->lower_count);
        assert_clean(between, 3, lower, 2 + rule->lower_count);
        break;
    }
    }

    const int32_t sigma = 0x3A3, final_sigma = 0x3C2;
    int32_t after_letter[] = {'A', c, sigma}, after_digit[] = {'1', c, sigma};
    static struct buffer text, last;
    text_of(&last, &final_sigma, 1);
    clean_into_out(text_of(&text, after_letter, 3));
    bool final_after_letter = memcmp(out.data + out.size - 2, last.data, 2) == 0;
    clean_into_out(text_of(&text, after_digit, 3));
    bool final_after_digit = memcmp(out.data + out.size - 2, last.data, 2) == 0;
    if (final_after_letter != (rule->context != CONTEXT_OTHER) ||
        final_after_digit != (rule->context == CONTEXT_CASED))
        fail_msg("U+%04" PRIX32 " before a capital sigma is not as in Python", c);
}

static int32_t check_range(const char *line)
{
    unsigned first, last;
    char rule_text[64], context_text[64];
    assert_int_equal(sscanf(line, "range %x %x %63s %63s", &first, &last, rule_text, context_text),
                     4);
    if (strcmp(rule_text, "none") == 0)
        return 0;
    struct golden_rule rule = {0};
    rule.context = strcmp(context_text, "ignorable") == 0 ? CONTEXT_IGNORABLE
                   : strcmp(context_text, "cased") == 0   ? CONTEXT_CASED
                                                          : CONTEXT_OTHER;
    for (unsigned c = first; c <= last; c++) {
        if (strncmp(rule_text, "lower:", 6) == 0) {
            rule.rule = RULE_LOWER;
            lower_parse(rule_text + 6, (int32_t)(c - first), &rule);
        } else {
            rule.rule = strcmp(rule_text, "space") == 0  ? RULE_SPACE
                        : strcmp(rule_text, "drop") == 0 ? RULE_DROP
                                                         : RULE_KEEP;
        }
        check_code_point((int32_t)c, &rule);
    }
    return (int32_t)(last - first + 1);
}

static void hex_decode(const char *hex, struct buffer *buffer)
{
    buffer_clear(buffer);
    for (; hex[0] != '-' && hex[0] != '\0'; hex += 2) {
        unsigned byte;
        assert_int_equal(sscanf(hex, "%2x", &byte), 1);
        buffer_append_byte(buffer, (uint8_t)byte);
    }
}

static void check_string(const char *line)
{
    static struct buffer text, want;
    char input[LINE_SIZE], cleaned[LINE_SIZE];
    unsigned length;
    assert_int_equal(sscanf(line, "string %4095s %x %4095s", input, &length, cleaned), 3);
    hex_decode(input, &text);
    hex_decode(cleaned, &want);

    struct text_measure measure;
    assert_int_equal(text_measure((char *)text.data, text.size, &measure, NULL), 0);
    assert_int_equal(measure.length, length);
    assert_int_equal(measure.blank, want.size == 0);
    clean_into_out(&text);
    if (out.size != want.size || (want.size > 0 && memcmp(out.data, want.data, want.size) != 0))
        fail_msg("a text is cleaned otherwise than in Python: %s", line);
}

static void golden_agrees_with_python(void **state)
{
    (void)state;
    const char *root = getenv("ARGOSY_SOURCE_DIR");
    char path[LINE_SIZE], line[2 * LINE_SIZE];
    snprintf(path, sizeof(path), "%s/tests/golden/text_rules.txt", root != NULL ? root : ".");
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t code_points = 0, strings = 0;
    while (fgets(line, sizeof(line), file) != NULL) {
        assert_non_null(strchr(line, '\n'));
        if (strncmp(line, "range ", 6) == 0) {
            code_points += (size_t)check_range(line);
        } else if (strncmp(line, "string ", 7) == 0) {
            check_string(line);
            strings++;
        }
    }
    fclose(file);
    print_message("Unicode %s here: %zu code points and %zu strings agree\n",
                  utf8proc_unicode_version(), code_points, strings);
    assert_int_equal(code_points, 282230); /* assigned or private in Unicode 14.0 */
    assert_true(strings > 4000);
}

static void bytes_that_are_not_utf8_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size, wrong;
    } rows[] = {
        {"ab\xFFzz", 5, 2},             /* no such byte */
        {"\xC0\x80", 2, 0},             /* overlong NUL */
        {"x\xED\xA0\x80", 4, 1},        /* a surrogate */
        {"\xF4\x90\x80\x80", 4, 0},     /* above U+10FFFF */
        {"abc\xE2\x82", 5, 3},          /* cut off */
        {"\xCE\xA3\xCE\xA3\xCE", 5, 4}, /* cut off where a sigma looks ahead */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct error err = {0};
        struct text_measure measure = {.length = 77};
        char want[64];
        snprintf(want, sizeof(want), "text is not valid UTF-8 at byte %zu", rows[i].wrong);
        assert_int_equal(text_measure(rows[i].text, rows[i].size, &measure, &err), ERR_INVALID);
        assert_string_equal(err.text, want);
        assert_int_equal(measure.length, 77);

        buffer_clear(&out);
        buffer_append_text(&out, "before");
        assert_int_equal(text_clean(rows[i].text, rows[i].size, &out, &err), ERR_INVALID);
        assert_string_equal(err.text, want);
        assert_int_equal(out.size, 6);
    }
}

static void clean_appends_behind_what_is_there(void **state)
{
    (void)state;
    buffer_clear(&out);
    buffer_append_text(&out, "A:");
    assert_int_equal(text_clean("  Hello  world  ", 16, &out, NULL), 0);
    assert_string_equal(buffer_text(&out), "A:hello world");
    assert_int_equal(text_clean("", 0, &out, NULL), 0);
    assert_int_equal(text_clean(NULL, 0, &out, NULL), 0);
    assert_string_equal(buffer_text(&out), "A:hello world");
}

static int out_fini(void **state)
{
    (void)state;
    buffer_fini(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_agrees_with_python),
        cmocka_unit_test(bytes_that_are_not_utf8_are_refused),
        cmocka_unit_test(clean_appends_behind_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, out_fini);
}
