/* SPDX-License-Identifier: Apache-2.0 */
/* test_input: JSON is checked, with its place, before anything could be sent; texts are read whole.
 */
#include "cli/input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/text_list.h"
#include "common/limits.h"
#include "tests/test.h"

static const struct option_sets sets = {{input_options}};

static int read_inputs(const char *const *words, size_t count, struct inputs *inputs,
                       struct error *err)
{
    struct parsed parsed;
    assert_int_equal(option_parse(&sets, words, count, &parsed, err), 0);
    int code = inputs_read(&parsed, inputs, err);
    parsed_fini(&parsed);
    return code;
}

/* A file with the text; the caller removes it. */
static char *file_with(const char *text, size_t size)
{
    char *path = strdup("/tmp/argosy-input-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    close(fd);
    return path;
}

static void documents_keep_their_order_and_bytes(void **state)
{
    (void)state;
    char *path = file_with("[1, \"\\u0000\"]\n", 14);
    struct inputs inputs;
    const char *words[] = {"--input", "\"  Hello  \"", "--input-file", path, "-i", "null"};
    assert_int_equal(read_inputs(words, 6, &inputs, NULL), 0);
    assert_int_equal(inputs.count, 3);
    assert_string_equal(buffer_text(&inputs.documents[0]), "\"  Hello  \"");
    assert_string_equal(buffer_text(&inputs.documents[1]), "[1, \"\\u0000\"]\n");
    assert_string_equal(buffer_text(&inputs.documents[2]), "null");
    inputs_fini(&inputs);
    unlink(path);
    free(path);
}

static void malformed_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *input, *text;
    } rows[] = {
        {"hello", "--input is not JSON: line 1, column "},
        {"{\"a\": 1,\n  \"b\" 2}", "--input is not JSON: line 2, column "},
        {"", "--input is not JSON: line 1, column 0"},
        {"1 2", "--input is not JSON: line 1, column "},
        {"\"\xff\"", "--input is not JSON: line 1, column "},
        {"\"\\ud800\"", "--input is not JSON: line 1, column "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct inputs inputs = {.count = 77};
        struct error err = {0};
        const char *words[] = {"--input", rows[i].input};
        assert_int_equal(read_inputs(words, 2, &inputs, &err), ERR_INVALID);
        assert_memory_equal(err.text, rows[i].text, strlen(rows[i].text));
        assert_int_equal(inputs.count, 77);
    }
}

static void bounds_and_missing_files_are_errors(void **state)
{
    (void)state;
    struct inputs inputs;
    struct error err = {0};
    const char *missing[] = {"--input-file", "/nonexistent/input.json"};
    assert_int_equal(read_inputs(missing, 2, &inputs, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "cannot read /nonexistent/input.json: No such file or directory");

    size_t size = LIMIT_PAYLOAD_SIZE + 1;
    char *big = malloc(size);
    memset(big, ' ', size);
    big[0] = '1';
    char *path = file_with(big, size);
    const char *over[] = {"--input-file", path};
    assert_int_equal(read_inputs(over, 2, &inputs, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, " is over the limit of 2097152 bytes"));
    assert_int_equal(truncate(path, LIMIT_PAYLOAD_SIZE), 0);
    assert_int_equal(read_inputs(over, 2, &inputs, &err), 0);
    inputs_fini(&inputs);
    unlink(path);
    free(path);
    free(big);

    const char *many[2 * (INPUTS_MAX + 1)];
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++)
        many[i] = i % 2 == 0 ? "-i" : "1";
    assert_int_equal(read_inputs(many, 2 * INPUTS_MAX, &inputs, &err), 0);
    inputs_fini(&inputs);
    assert_int_equal(read_inputs(many, 2 * (INPUTS_MAX + 1), &inputs, &err), ERR_INVALID);
}

static void texts_are_lines_or_arguments(void **state)
{
    (void)state;
    struct text_list list;
    char *path = file_with("one\n\n \t\n  two  \nthree", 21);
    assert_int_equal(text_list_read(path, NULL, 0, &list, NULL), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0], "one");
    assert_string_equal(list.items[1], "  two  ");
    assert_string_equal(list.items[2], "three");
    text_list_fini(&list);
    unlink(path);
    free(path);

    const char *arguments[] = {"one", ""};
    assert_int_equal(text_list_read(NULL, arguments, 2, &list, NULL), 0);
    assert_int_equal(list.count, 2);
    assert_string_equal(list.items[1], "");
    text_list_fini(&list);
}

static void lines_that_are_no_text_are_named(void **state)
{
    (void)state;
    struct text_list list;
    struct error err = {0};
    char want[128];
    char *path = file_with("one\ntw\xffo\n", 9);
    assert_int_equal(text_list_read(path, NULL, 0, &list, &err), ERR_INVALID);
    snprintf(want, sizeof(want), "%s, line 2: text is not valid UTF-8 at byte 2", path);
    assert_string_equal(err.text, want);
    unlink(path);
    free(path);
    path = file_with("a\0b", 3);
    assert_int_equal(text_list_read(path, NULL, 0, &list, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "line 1: text holds a NUL byte"));
    unlink(path);
    free(path);
    const char *arguments[] = {"ok", "\xff"};
    assert_int_equal(text_list_read(NULL, arguments, 2, &list, &err), ERR_INVALID);
    assert_string_equal(err.text, "argument 2: text is not valid UTF-8 at byte 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_keep_their_order_and_bytes),
        cmocka_unit_test(malformed_json_is_refused_with_its_place),
        cmocka_unit_test(bounds_and_missing_files_are_errors),
        cmocka_unit_test(texts_are_lines_or_arguments),
        cmocka_unit_test(lines_that_are_no_text_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
