/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunker: what its header promises, on written examples and on random texts of many alphabets, cut
 * into pieces at random. Token counts are compared with those of the whole chunk's encoding.
 */
#include "models/chunker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/utf8.h"
#include "tests/test.h"

static struct tokenizer *tokenizer;

static int setup(void **state)
{
    (void)state;
    char path[4096];
    const char *root = getenv("ARGOSY_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/wordpiece.vocab.txt", root != NULL ? root : ".");
    return tokenizer_open(path, &TOKENIZER_UNCASED, &tokenizer, NULL);
}

static int teardown(void **state)
{
    (void)state;
    tokenizer_destroy(tokenizer);
    return 0;
}

/* All chunks of a text, with copies of their words. */
struct chunks {
    struct chunk items[20000];
    size_t count;
};

static struct chunks found, again;

/* Chunks of a text that comes in pieces of random size up to piece_max (0: in one piece). */
static void chunk_all(const char *text, size_t size, const struct chunker_options *options,
                      size_t piece_max, struct chunks *ret_chunks)
{
    struct chunker *chunker;
    assert_int_equal(chunker_create(tokenizer, options, &chunker, NULL), 0);
    ret_chunks->count = 0;
    size_t at = 0;
    do {
        size_t piece = piece_max == 0 ? size : 1 + (size_t)rand() % piece_max;
        if (piece > size - at)
            piece = size - at;
        assert_int_equal(chunker_add(chunker, text + at, piece, NULL), 0);
        at += piece;
        if (at == size)
            chunker_end(chunker);
        struct chunk chunk;
        while (chunker_next(chunker, &chunk)) {
            assert_true(chunk.offset + chunk.size <= size);
            assert_memory_equal(chunk.text, text + chunk.offset, chunk.size);
            chunk.text = text + chunk.offset;
            assert_true(ret_chunks->count < sizeof ret_chunks->items / sizeof ret_chunks->items[0]);
            ret_chunks->items[ret_chunks->count++] = chunk;
        }
    } while (at < size);
    chunker_destroy(chunker);
}

static uint32_t tokens_of(const char *text, size_t size)
{
    static int32_t ids[1 << 17];
    return tokenizer_encode(tokenizer, text, size, ids, 1 << 17) - 2;
}

/* Order, cover, limits and true token counts: what holds for every text. */
static void check_promises(size_t size, const struct chunker_options *options)
{
    uint64_t end = 0;
    for (size_t i = 0; i < found.count; i++) {
        const struct chunk *chunk = &found.items[i];
        assert_true(chunk->size > 0 && chunk->size <= options->size_max);
        assert_true(chunk->token_count <= options->token_max);
        assert_int_equal(chunk->token_count, tokens_of(chunk->text, chunk->size));
        assert_true(chunk->offset <= end && chunk->offset + chunk->size > end);
        assert_true(i == 0 || chunk->offset > found.items[i - 1].offset);
        assert_true(tokens_of(chunk->text, (size_t)(end - chunk->offset)) <= options->overlap_max);
        end = chunk->offset + chunk->size;
    }
    assert_int_equal(end, size);
}

static void check(const char *text, size_t size, const struct chunker_options *options)
{
    chunk_all(text, size, options, 0, &found);
    check_promises(size, options);
    const size_t pieces[] = {1, 7, 1000};
    for (size_t i = 0; i < 3; i++) {
        if (size > 20000 && pieces[i] == 1)
            continue; /* quadratic in a unit's size: slow, not wrong */
        chunk_all(text, size, options, pieces[i], &again);
        assert_int_equal(again.count, found.count);
        for (size_t at = 0; at < found.count; at++) {
            assert_int_equal(again.items[at].offset, found.items[at].offset);
            assert_int_equal(again.items[at].size, found.items[at].size);
        }
    }
}

static bool begins_with(const struct chunk *chunk, const char *text)
{
    return strncmp(chunk->text, text, strlen(text)) == 0;
}

static bool ends_with(const struct chunk *chunk, const char *text)
{
    size_t size = strlen(text);
    return chunk->size >= size && memcmp(chunk->text + chunk->size - size, text, size) == 0;
}

static void a_short_text_is_one_chunk(void **state)
{
    (void)state;
    const char *text = "  One sentence.\n\nAnother one. ";
    check(text, strlen(text), &(struct chunker_options){16, 4, 1024});
    assert_int_equal(found.count, 1);
    check("", 0, &(struct chunker_options){16, 4, 1024});
    assert_int_equal(found.count, 0);
}

static void ends_at_a_paragraph_before_a_sentence_before_a_word(void **state)
{
    (void)state;
    /* Every letter is a token, every stop too. */
    const char *paragraphs = "a b c d e f. g h i.\n\nj k. l m n o p q r s t u v w x y z";
    check(paragraphs, strlen(paragraphs), &(struct chunker_options){16, 0, 1024});
    assert_true(ends_with(&found.items[0], "g h i.\n\n"));

    const char *sentences = "a b c d e f. g h i. j k l m n o p q r s t u v w x y z";
    check(sentences, strlen(sentences), &(struct chunker_options){16, 0, 1024});
    assert_true(ends_with(&found.items[0], "i. "));

    const char *words = "a b c d e f g h i j k l m n o p q r s t";
    check(words, strlen(words), &(struct chunker_options){16, 0, 1024});
    assert_true(ends_with(&found.items[0], "o p "));

    /* A paragraph in the first half would make a chunk too small to say much. */
    const char *early = "a b.\n\nc d e f g h i j k l. m n o p q r s t u v";
    check(early, strlen(early), &(struct chunker_options){16, 0, 1024});
    assert_true(ends_with(&found.items[0], "l. "));
}

static void stops_inside_numbers_and_words_end_no_sentence(void **state)
{
    (void)state;
    const char *text = "a b c d e (f g.) h i 3.5 u.s.x k l m n o p";
    check(text, strlen(text), &(struct chunker_options){16, 0, 1024});
    assert_true(ends_with(&found.items[0], "g.) "));
}

static void the_next_chunk_repeats_from_a_sentence_where_it_can(void **state)
{
    (void)state;
    const char *text = "a b c d e f g h. i j. k l m n o p q r s t u v w x y z";
    check(text, strlen(text), &(struct chunker_options){16, 4, 1024});
    assert_true(ends_with(&found.items[0], "i j. "));
    assert_true(begins_with(&found.items[1], "i j. k"));

    const char *words = "a b c d e f g h i j k l m n o p q r s t u v w x y z";
    check(words, strlen(words), &(struct chunker_options){16, 4, 1024});
    assert_true(begins_with(&found.items[1], "m n o p q"));
}

static void ideographs_are_words_and_their_stops_end_sentences(void **state)
{
    (void)state;
    const char *text = "一二三四五六七八九十。一二三四五六七八九";
    check(text, strlen(text), &(struct chunker_options){16, 0, 1024});
    assert_true(ends_with(&found.items[0], "十。"));
    const char *kana = "これはペンです。それはほんです。あれはいぬです。これはねこです。";
    check(kana, strlen(kana), &(struct chunker_options){16, 0, 64});
    assert_true(ends_with(&found.items[0], "。"));
}

static void a_word_longer_than_a_chunk_is_cut_between_characters(void **state)
{
    (void)state;
    struct buffer text = {0};
    buffer_append_text(&text, "before ");
    for (int i = 0; i < 3000; i++)
        buffer_append_text(&text, "ä€");
    buffer_append_text(&text, " behind");
    check(buffer_text(&text), text.size, &(struct chunker_options){16, 8, 100});
    assert_true(found.count > 100);
    for (size_t i = 0; i < found.count; i++)
        assert_true(utf8_is_valid(found.items[i].text, found.items[i].size));
    /* Many tokens in few bytes: cut by tokens, not by bytes. */
    buffer_clear(&text);
    for (int i = 0; i < 500; i++)
        buffer_append_text(&text, "a.b,");
    check(buffer_text(&text), text.size, &(struct chunker_options){64, 8, 4096});
    assert_true(found.count >= 2000 / 64);
    buffer_fini(&text);
}

static void white_space_without_end_is_bounded(void **state)
{
    (void)state;
    size_t size = 10000;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, ' ', size);
    memcpy(text + 5000, "word", 4);
    check(text, size, &(struct chunker_options){16, 8, 100});
    uint32_t tokens = 0;
    for (size_t i = 0; i < found.count; i++)
        tokens += found.items[i].token_count;
    assert_true(tokens >= 1);
    free(text);
}

/* A text of words, marks, breaks, ideographs, emoji and broken bytes. */
static void random_text(struct buffer *text, size_t size)
{
    static const char *const parts[] = {
        "the",
        "unaffable",
        "x",
        "ing",
        "e\xcc\x81",
        "Ä",
        "中",
        "文字",
        "かな",
        "한국어",
        "👩‍🚀",
        "ﬀ",
        "1234.5",
        "\xff",
        "\xe4\xb8",
        "[SEP]",
        ".",
        "!",
        "。",
        ",",
        "(",
        ")",
        "\"",
        "…",
        " ",
        " ",
        " ",
        "\n",
        "\n\n",
        "\t",
        "\r\n",
        "\xc2\xa0",
        " a ",
        ". ",
        "\0",
        "\xc2\x85",
        "\xe2\x80\xa9",
        "\xe3\x80\x80",
        "A.B. ",
        "ß",
    };
    size_t count = sizeof parts / sizeof parts[0];
    while (text->size < size) {
        const char *part = parts[(size_t)rand() % count];
        for (int repeat = rand() % 40 == 0 ? 60 : 1; repeat > 0; repeat--)
            buffer_append(text, part, part[0] == '\0' ? 1 : strlen(part));
    }
}

static void promises_hold_for_random_texts(void **state)
{
    (void)state;
    srand(1);
    for (int round = 0; round < 150; round++) {
        struct buffer text = {0};
        random_text(&text, (size_t)rand() % 6000);
        struct chunker_options options = {.token_max = 16 + (uint32_t)rand() % 100};
        options.overlap_max = (uint32_t)rand() % (options.token_max / 2 + 1);
        options.size_max = 64 + (size_t)rand() % 600;
        check(buffer_text(&text), text.size, &options);
        buffer_fini(&text);
    }
}

static void options_are_checked(void **state)
{
    (void)state;
    struct chunker *chunker;
    struct error err = {0};
    const struct chunker_options wrong[] = {
        {15, 0, 1024}, {CHUNK_TOKENS_MAX + 1, 0, 1024}, {64, 33, 1024},
        {64, 0, 63},   {64, 0, CHUNK_SIZE_MAX + 1},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(chunker_create(tokenizer, &wrong[i], &chunker, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "bytes"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_text_is_one_chunk),
        cmocka_unit_test(ends_at_a_paragraph_before_a_sentence_before_a_word),
        cmocka_unit_test(stops_inside_numbers_and_words_end_no_sentence),
        cmocka_unit_test(the_next_chunk_repeats_from_a_sentence_where_it_can),
        cmocka_unit_test(ideographs_are_words_and_their_stops_end_sentences),
        cmocka_unit_test(a_word_longer_than_a_chunk_is_cut_between_characters),
        cmocka_unit_test(white_space_without_end_is_bounded),
        cmocka_unit_test(promises_hold_for_random_texts),
        cmocka_unit_test(options_are_checked),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
