/* SPDX-License-Identifier: Apache-2.0 */
/* test_text_lines: texts with their places, from any line on, and what is wrong with a line. */
#include "models/text_lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "tests/test.h"

static int file_of(const void *data, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fflush(file), 0);
    int fd = dup(fileno(file));
    assert_true(fd >= 0);
    fclose(file);
    return fd;
}

static struct text_lines *lines_of(int fd, uint64_t offset, uint64_t number)
{
    struct text_lines *lines;
    struct error err = {0};
    if (text_lines_create(fd, offset, number, &lines, &err) != 0)
        fail_msg("%s", err.text);
    return lines;
}

static void next(struct text_lines *lines, struct text_line *line)
{
    struct error err = {0};
    if (text_lines_next(lines, line, &err) != 0)
        fail_msg("%s", err.text);
}

static void texts_come_with_their_places(void **state)
{
    (void)state;
    static const char data[] = "{\"text\": \"one\", \"id\": 7}\n"
                               " \t\r\n"
                               "\"two\"\r\n"
                               "\n"
                               "{\"text\":\"a\\u0000b\"}"; /* no line feed at the end */
    int fd = file_of(data, sizeof data - 1);
    struct text_lines *lines = lines_of(fd, 0, 1);
    struct text_line line;
    next(lines, &line);
    assert_string_equal(line.text, "one");
    assert_int_equal(line.number, 1);
    assert_int_equal(line.offset, 0);
    assert_int_equal(line.end_offset, 25);
    next(lines, &line);
    assert_string_equal(line.text, "two");
    assert_int_equal(line.number, 3);
    assert_int_equal(line.offset, 29);
    uint64_t behind = line.end_offset;
    next(lines, &line);
    assert_int_equal(line.size, 3);
    assert_memory_equal(line.text, "a\0b", 3);
    assert_int_equal(line.number, 5);
    assert_int_equal(line.end_offset, sizeof data - 1);
    next(lines, &line);
    assert_null(line.text);
    next(lines, &line);
    assert_null(line.text);
    text_lines_destroy(lines);

    lines = lines_of(fd, behind, 4);
    next(lines, &line);
    assert_int_equal(line.number, 5);
    assert_memory_equal(line.text, "a\0b", 3);
    text_lines_destroy(lines);
    struct error err = {0};
    assert_int_equal(text_lines_create(fd, 3, 1, &lines, &err), ERR_INVALID);
    assert_string_equal(err.text, "no line begins at byte 3");
    assert_int_equal(text_lines_create(fd, 1000, 1, &lines, &err), ERR_INVALID);
    assert_int_equal(text_lines_create(fd, UINT64_MAX, 1, &lines, &err), ERR_INVALID);
    close(fd);
}

static void a_wrong_line_is_named_and_reading_goes_on(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *wanted;
    } rows[] = {
        {"{\"text\": \"on", "line 2 is not JSON"},
        {"{\"texts\": \"one\"}", "line 2: \"text\" is missing"},
        {"{\"text\": 5}", "line 2: \"text\" is not a string"},
        {"[\"one\"]", "line 2 is neither a string nor an object"},
        {"17", "line 2 is neither a string nor an object"},
        {"\"\xff\"", "line 2 is not JSON"},
        {"\"one\" \"two\"", "line 2 is not JSON"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buffer data = {0};
        buffer_printf(&data, "\n%s\n\"good\"\n", rows[i].line);
        int fd = file_of(data.data, data.size);
        struct text_lines *lines = lines_of(fd, 0, 1);
        struct text_line line;
        struct error err = {0};
        assert_int_equal(text_lines_next(lines, &line, &err), ERR_INVALID);
        if (strncmp(err.text, rows[i].wanted, strlen(rows[i].wanted)) != 0)
            fail_msg("%s", err.text);
        next(lines, &line);
        assert_string_equal(line.text, "good");
        assert_int_equal(line.number, 3);
        text_lines_destroy(lines);
        close(fd);
        buffer_fini(&data);
    }
}

/* A line just within the bound, one just over it, one far over it, and one behind them. */
static void lines_are_bounded(void **state)
{
    (void)state;
    static const size_t sizes[] = {TEXT_LINE_SIZE_MAX, TEXT_LINE_SIZE_MAX + 1,
                                   3 * TEXT_LINE_SIZE_MAX};
    struct buffer data = {0};
    for (size_t i = 0; i < 3; i++) {
        buffer_append_byte(&data, '"');
        memset(buffer_reserve(&data, sizes[i]), 'x', sizes[i] - 2);
        data.size += sizes[i] - 2;
        buffer_append_text(&data, "\"\n");
    }
    buffer_append_text(&data, "\"last\"");
    int fd = file_of(data.data, data.size);
    struct text_lines *lines = lines_of(fd, 0, 1);
    struct text_line line;
    struct error err = {0};
    next(lines, &line);
    assert_int_equal(line.size, TEXT_LINE_SIZE_MAX - 2);
    assert_int_equal(text_lines_next(lines, &line, &err), ERR_INVALID);
    assert_string_equal(err.text, "line 2 is longer than 8388608 bytes");
    assert_int_equal(text_lines_next(lines, &line, &err), ERR_INVALID);
    assert_string_equal(err.text, "line 3 is longer than 8388608 bytes");
    next(lines, &line);
    assert_string_equal(line.text, "last");
    assert_int_equal(line.number, 4);
    assert_int_equal(line.end_offset, data.size);
    text_lines_destroy(lines);
    close(fd);
    buffer_fini(&data);
}

/* 20,000 lines of lengths that never fit the reads: read whole, and again from each 1,000th. */
static void every_line_can_be_a_beginning(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    static uint64_t offsets[LINES];
    struct buffer data = {0};
    for (int i = 0; i < LINES; i++) {
        offsets[i] = data.size;
        buffer_printf(&data, "\"text %d %*s\"\n", i, i % 97, "");
    }
    int fd = file_of(data.data, data.size);
    for (int first = 0; first < LINES; first += 1000) {
        struct text_lines *lines = lines_of(fd, offsets[first], (uint64_t)first + 1);
        struct text_line line;
        int count = 0;
        for (next(lines, &line); line.text != NULL; next(lines, &line), count++) {
            assert_int_equal(line.offset, offsets[first + count]);
            assert_int_equal(line.number, first + count + 1);
            assert_int_equal(atoi(line.text + 5), first + count);
        }
        assert_int_equal(count, LINES - first);
        text_lines_destroy(lines);
    }
    close(fd);
    buffer_fini(&data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_come_with_their_places),
        cmocka_unit_test(a_wrong_line_is_named_and_reading_goes_on),
        cmocka_unit_test(lines_are_bounded),
        cmocka_unit_test(every_line_can_be_a_beginning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
