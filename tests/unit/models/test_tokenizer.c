/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer: against the `tokenizers` package on stored texts, on hostile input, and its errors.
 */
#include "models/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "tests/test.h"

#define GOLDEN "tests/golden/"

static struct tokenizer *uncased;

static const char *source_path(const char *file, char path[4096])
{
    const char *root = getenv("ARGOSY_SOURCE_DIR");
    snprintf(path, 4096, "%s/%s", root != NULL ? root : ".", file);
    return path;
}

static int setup(void **state)
{
    (void)state;
    char path[4096];
    struct error err;
    if (tokenizer_open(source_path(GOLDEN "wordpiece.vocab.txt", path), &TOKENIZER_UNCASED,
                       &uncased, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return -1;
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tokenizer_destroy(uncased);
    return 0;
}

/* One line of the golden file; false when the ids differ, with both printed. */
static bool check_line(const json_t *line, int number)
{
    const json_t *text = json_object_get(line, "text");
    const json_t *wanted = json_object_get(line, "ids");
    uint32_t capacity = (uint32_t)json_integer_value(json_object_get(line, "capacity"));
    int32_t *ids = malloc(capacity * sizeof *ids); /* exact, so that a sanitizer sees an overrun */
    assert_non_null(ids);
    uint32_t count =
        tokenizer_encode(uncased, json_string_value(text), json_string_length(text), ids, capacity);
    bool same = count == json_array_size(wanted);
    for (uint32_t i = 0; same && i < count; i++)
        same = ids[i] == json_integer_value(json_array_get(wanted, i));
    if (!same) {
        char *dump = json_dumps(line, JSON_COMPACT);
        printf("line %d: %s\n   got:", number, dump);
        for (uint32_t i = 0; i < count; i++)
            printf(" %d", ids[i]);
        printf("\n");
        free(dump);
    }
    free(ids);
    return same;
}

static void agrees_with_the_reference(void **state)
{
    (void)state;
    char path[4096];
    FILE *file = fopen(source_path(GOLDEN "wordpiece.jsonl", path), "r");
    assert_non_null(file);
    int lines = 0, different = 0;
    char *text = NULL;
    size_t room = 0;
    while (getline(&text, &room, file) > 0) {
        json_t *line = json_loads(text, JSON_ALLOW_NUL, NULL);
        assert_non_null(line);
        different += !check_line(line, ++lines);
        json_decref(line);
    }
    free(text);
    fclose(file);
    assert_true(lines >= 500);
    assert_int_equal(different, 0);
}

static uint32_t encode(const char *text, size_t size, int32_t *ids, uint32_t capacity)
{
    return tokenizer_encode(uncased, text, size, ids, capacity);
}

static void special_tokens_of_text_stay_text(void **state)
{
    (void)state;
    int32_t ids[64];
    static const char text[] = "[CLS] [SEP] [PAD] [UNK] [MASK] [unused5]";
    uint32_t count = encode(text, sizeof text - 1, ids, 64);
    assert_int_equal(ids[0], 101);
    assert_int_equal(ids[count - 1], 102);
    for (uint32_t i = 1; i + 1 < count; i++)
        assert_true(ids[i] > 103);
}

static void bytes_that_are_not_utf8_are_dropped(void **state)
{
    (void)state;
    int32_t ids[16], clean[16];
    static const char dirty[] = "he\xffl\xc0lo \xed\xa0\x80wor\xf4ld\xe4\xb8";
    uint32_t count = encode(dirty, sizeof dirty - 1, ids, 16);
    assert_int_equal(count, encode("hello world", 11, clean, 16));
    assert_memory_equal(ids, clean, count * sizeof *ids);
}

/* 64 MiB without a word border, of nothing but marks, and of spaces: linear, and one [UNK]. */
static void huge_texts_are_read_in_linear_time(void **state)
{
    (void)state;
    static const struct {
        const char *unit;
        uint32_t count;
    } cases[] = {{"ab", 3}, {"\xcc\x81", 2}, {" ", 2}, {"a ", 256}, {"\xe4\xbd\xa0", 256}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t unit = strlen(cases[i].unit);
        size_t size = ((size_t)4 << 20) / unit * unit;
        char *text = malloc(size);
        assert_non_null(text);
        for (size_t at = 0; at < size; at += unit)
            memcpy(text + at, cases[i].unit, unit);
        int32_t ids[256];
        assert_int_equal(encode(text, size, ids, 256), cases[i].count);
        free(text);
    }
}

static void cased_models_keep_case_and_accents(void **state)
{
    (void)state;
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\nCaf\xc3\xa9\ncafe\nX\n##y";
    struct tokenizer_options options = {false, false, true};
    struct tokenizer *cased;
    struct error err;
    assert_int_equal(tokenizer_create(vocab, sizeof vocab - 1, "v", &options, &cased, &err), 0);
    int32_t ids[8];
    static const int32_t wanted[] = {2, 4, 6, 7, 1, 3};
    assert_int_equal(tokenizer_encode(cased, "Caf\xc3\xa9 Xy CAFE", 13, ids, 8), 6);
    assert_memory_equal(ids, wanted, sizeof wanted);
    tokenizer_destroy(cased);
}

static void bad_vocabularies_are_refused_with_file_and_line(void **state)
{
    (void)state;
    static const struct {
        const char *vocab;
        const char *wanted;
    } cases[] = {
        {"", "v: a vocabulary has"},
        {"[UNK]\n[CLS]\n\n[SEP]\n", "v:3: a token of 0 bytes"},
        {"[UNK]\n[CLS]\n[SEP]\n[UNK]\n", "v:4: the token \"[UNK]\" is there twice"},
        {"[UNK]\n[CLS]\n[SEP]\n##a\n##a\n", "v:5: the token \"##a\" is there twice"},
        {"[UNK]\n\xff\n", "v:2: the token is not UTF-8"},
        {"[UNK]\n[CLS]\nx\n", "v: the token [SEP] is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tokenizer *tokenizer = NULL;
        struct error err;
        assert_int_equal(tokenizer_create(cases[i].vocab, strlen(cases[i].vocab), "v",
                                          &TOKENIZER_UNCASED, &tokenizer, &err),
                         ERR_CORRUPT);
        assert_null(tokenizer);
        assert_non_null(strstr(err.text, cases[i].wanted));
    }
    struct tokenizer *tokenizer = NULL;
    struct error err;
    assert_int_equal(tokenizer_open("/nonexistent/vocab.txt", &TOKENIZER_UNCASED, &tokenizer, &err),
                     ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_the_reference),
        cmocka_unit_test(special_tokens_of_text_stay_text),
        cmocka_unit_test(bytes_that_are_not_utf8_are_dropped),
        cmocka_unit_test(huge_texts_are_read_in_linear_time),
        cmocka_unit_test(cased_models_keep_case_and_accents),
        cmocka_unit_test(bad_vocabularies_are_refused_with_file_and_line),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
