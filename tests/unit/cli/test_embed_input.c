/* SPDX-License-Identifier: Apache-2.0 */
/* embed_input: what `argosy embed` reads becomes JSONL, and the same texts the same job. */
#include "cli/embed_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/test.h"

static char path[] = "/tmp/argosy-embed-input.XXXXXX";

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd >= 0 ? close(fd) : -1;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

static int open_bytes(const char *data, size_t size, bool is_text, struct embed_input *input,
                      struct error *err)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
    return embed_input_open(path, is_text, input, err);
}

/* text and jsonl are literals: they may hold NUL. */
#define assert_jsonl(text, is_text, jsonl) assert_read(text, sizeof text - 1, is_text, jsonl)

static void assert_read(const char *text, size_t size, bool is_text, const char *jsonl)
{
    struct embed_input input;
    struct error err = {0};
    char *read;
    size_t read_size;
    if (open_bytes(text, size, is_text, &input, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(file_read(input.path, 1 << 20, &read, &read_size, &err), 0);
    assert_string_equal(read, jsonl);
    free(read);
    embed_input_close(&input);
}

static void each_line_of_plain_text_is_a_text(void **state)
{
    (void)state;
    assert_jsonl("one\n\ntwo \"2\" \\\r\nlast", true,
                 "\"one\"\n\"\"\n\"two \\\"2\\\" \\\\\"\n\"last\"\n");
    assert_jsonl("\n", true, "\"\"\n");
    assert_jsonl("", true, "");
    assert_jsonl("a\0b\n", true, "\"a\\u0000b\"\n");
}

static void jsonl_is_taken_as_it_is(void **state)
{
    (void)state;
    assert_jsonl("{\"text\": \"a\"}\r\n\n\"b\"", false, "{\"text\": \"a\"}\r\n\n\"b\"");
}

static void lines_that_are_no_text_are_named(void **state)
{
    (void)state;
    struct embed_input input;
    struct error err = {0};
    assert_int_equal(open_bytes("good\n\xff\n", 7, true, &input, &err), ERR_INVALID);
    assert_string_equal(err.text, "line 2 is not UTF-8");
    size_t size = (size_t)2 << 20;
    char *line = calloc(1, size);
    memset(line, 'a', size);
    assert_int_equal(open_bytes(line, size, true, &input, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "line 1 is longer than"));
    free(line);
    assert_int_equal(embed_input_open("/nonexistent", false, &input, &err), ERR_NOT_FOUND);
}

static void the_same_texts_are_the_same_job(void **state)
{
    (void)state;
    struct embed_input input;
    char id[EMBED_JOB_ID_SIZE], same[EMBED_JOB_ID_SIZE], other[3][EMBED_JOB_ID_SIZE];
    assert_int_equal(open_bytes("\"a\"\n", 4, false, &input, NULL), 0);
    embed_job_id(&input, NULL, "npy", id);
    embed_job_id(&input, "mine", "npy", other[0]);
    embed_job_id(&input, NULL, "safetensors", other[1]);
    embed_input_close(&input);
    assert_int_equal(open_bytes("a\n", 2, true, &input, NULL), 0);
    embed_job_id(&input, NULL, "npy", same);
    embed_input_close(&input);
    assert_int_equal(open_bytes("\"b\"\n", 4, false, &input, NULL), 0);
    embed_job_id(&input, NULL, "npy", other[2]);
    embed_input_close(&input);
    assert_int_equal(strlen(id), strlen("embed-") + 16);
    assert_string_equal(id, same);
    for (int i = 0; i < 3; i++)
        assert_string_not_equal(id, other[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_line_of_plain_text_is_a_text),
        cmocka_unit_test(jsonl_is_taken_as_it_is),
        cmocka_unit_test(lines_that_are_no_text_are_named),
        cmocka_unit_test(the_same_texts_are_the_same_job),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
