/* SPDX-License-Identifier: Apache-2.0 */
/* test_output: tables align by what a terminal shows, and nothing printed can disturb one. */
#include "cli/output.h"

#include <string.h>

#include "tests/test.h"

static void unsafe_bytes_become_visible(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
        const char *shown;
    } rows[] = {
        {"plain ünïcode 日本", 0, "plain ünïcode 日本"},
        {"\x1b[31mred", 0, "\\x1b[31mred"},
        {"a\nb\tc\r", 0, "a\\nb\\tc\\x0d"},
        {"nul\0end", 7, "nul\\x00end"},
        {"\xff\xfe", 0, "\\xff\\xfe"},
        {"cut\xe2\x82", 0, "cut\\xe2\\x82"},
        {"\xe2\x80\xae"
         "abc",
         0, "\\u{202E}abc"}, /* right-to-left override */
        {"\xe2\x80\xa8", 0, "\\u{2028}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer out = {0};
        size_t size = rows[i].size != 0 ? rows[i].size : strlen(rows[i].text);
        output_safe(rows[i].text, size, &out);
        assert_string_equal(buffer_text(&out), rows[i].shown);
        buffer_fini(&out);
    }
}

static void a_table_is_aligned_by_columns_of_the_terminal(void **state)
{
    (void)state;
    struct table table;
    table_init(&table, (const char *const[]){"NAME", "N", "LAST", NULL});
    table_add(&table, "日本", "1", "x");
    table_add(&table, "é", NULL, "a\nb");
    for (int i = 0; i < 200; i++) /* the table grows */
        table_add(&table, "abcdef", "22", "");
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_int_equal(table_print(&table, file, NULL), 0);
    fclose(file);
    const char *head = "NAME    N   LAST\n"
                       "日本    1   x\n"
                       "é       -   a\\nb\n"
                       "abcdef  22  \n";
    assert_memory_equal(text, head, strlen(head));
    free(text);
    table_fini(&table);
}

static void texts_are_cut_to_columns_between_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t width;
        const char *cut;
    } rows[] = {
        {"", 8, ""},
        {"abcdefgh", 8, "abcdefgh"},
        {"abcdefghi", 8, "abcde..."},
        {"γύρισε στ", 8, "γύρισ..."},
        {"日本日本", 8, "日本日本"},
        {"日本日本日", 8, "日本..."}, /* the third would take columns 5 and 6 of 5 */
        {"\xff\xff\xff\xff\xff", 4, "\xff..."},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer text = {0};
        buffer_append_text(&text, rows[i].text);
        output_cut(&text, rows[i].width);
        assert_string_equal(buffer_text(&text), rows[i].cut);
        buffer_fini(&text);
    }
}

static void durations_are_short(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } rows[] = {
        {0, "0ms"},           {15999, "15ms"},       {1234000, "1.23s"},     {59999999, "59.99s"},
        {192000000, "3m12s"}, {3723000000, "1h02m"}, {90000000000, "1d01h"},
    };
    char text[OUTPUT_TIME_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(output_duration(rows[i].us, text), rows[i].text);
    assert_string_equal(output_time(0, text), "-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsafe_bytes_become_visible),
        cmocka_unit_test(a_table_is_aligned_by_columns_of_the_terminal),
        cmocka_unit_test(texts_are_cut_to_columns_between_characters),
        cmocka_unit_test(durations_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
