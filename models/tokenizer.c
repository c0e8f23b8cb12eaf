/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer: see tokenizer.h. One pass over the text: code points are normalised as they are read
 * and collected in a word; white space, punctuation and ideographs end it. ASCII, nearly all of
 * most texts, goes by a table; the rest asks utf8proc.
 *
 * Two facts keep special tokens out of reach of text: they all start with "[", and "[" is
 * punctuation, so no word of text is longer than "[" and starts with it.
 *
 * Canonical reordering of marks is left out: nonspacing marks are dropped, and what else has a
 * combining class (a few musical and East Asian tone marks) is in no vocabulary.
 */
#include "models/tokenizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "common/assert.h"
#include "models/file.h"
#include "models/vocabulary.h"

enum ascii_class { ASCII_DROP, ASCII_SPACE, ASCII_PUNCTUATION, ASCII_WORD };

struct tokenizer {
    struct vocabulary *vocabulary;
    struct tokenizer_options options;
    int32_t unknown_id;
    int32_t first_id; /* [CLS] */
    int32_t last_id;  /* [SEP] */
    uint8_t ascii_class[128];
    uint8_t ascii_word[128]; /* as it goes into a word: lower-cased if so asked */
};

/* The text being cut: one word at a time, and the ids so far. */
struct encoding {
    const struct tokenizer *tokenizer;
    int32_t *ids;
    uint32_t count;
    uint32_t room; /* ids that fit before [SEP] */
    uint32_t word_points;
    uint32_t word_size;
    uint8_t word[TOKENIZER_WORD_MAX * 4]; /* UTF-8 */
};

static void ascii_tables_fill(struct tokenizer *tokenizer)
{
    for (int c = 0; c < 128; c++) {
        bool is_upper = c >= 'A' && c <= 'Z';
        bool is_word = is_upper || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        bool is_space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        tokenizer->ascii_class[c] = is_word                ? ASCII_WORD
                                    : is_space             ? ASCII_SPACE
                                    : c < ' ' || c == 0x7f ? ASCII_DROP
                                                           : ASCII_PUNCTUATION;
        tokenizer->ascii_word[c] =
            (uint8_t)(is_upper && tokenizer->options.lowercase ? c - 'A' + 'a' : c);
    }
}

static int special_ids_find(struct tokenizer *tokenizer, const char *name, struct error *err)
{
    const struct {
        const char *token;
        int32_t *id;
    } specials[] = {
        {"[UNK]", &tokenizer->unknown_id},
        {"[CLS]", &tokenizer->first_id},
        {"[SEP]", &tokenizer->last_id},
    };
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
        *specials[i].id = vocabulary_id(tokenizer->vocabulary, specials[i].token);
        if (*specials[i].id < 0)
            return error_set(err, ERR_CORRUPT, "%s: the token %s is missing", name,
                             specials[i].token);
    }
    return 0;
}

int tokenizer_create(const char *vocab, size_t size, const char *name,
                     const struct tokenizer_options *options, struct tokenizer **ret_tokenizer,
                     struct error *err)
{
    struct tokenizer *tokenizer = calloc(1, sizeof *tokenizer);
    if (tokenizer == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    tokenizer->options = *options;
    ascii_tables_fill(tokenizer);
    int code = vocabulary_create(vocab, size, name, &tokenizer->vocabulary, err);
    if (code == 0)
        code = special_ids_find(tokenizer, name, err);
    if (code != 0) {
        tokenizer_destroy(tokenizer);
        return code;
    }
    *ret_tokenizer = tokenizer;
    return 0;
}

int tokenizer_open(const char *path, const struct tokenizer_options *options,
                   struct tokenizer **ret_tokenizer, struct error *err)
{
    char *text;
    size_t size;
    int code = file_read(path, TOKENIZER_VOCAB_SIZE_MAX, &text, &size, err);
    if (code != 0)
        return code;
    code = tokenizer_create(text, size, path, options, ret_tokenizer, err);
    free(text);
    return code;
}

void tokenizer_destroy(struct tokenizer *tokenizer)
{
    if (tokenizer == NULL)
        return;
    vocabulary_destroy(tokenizer->vocabulary);
    free(tokenizer);
}

uint32_t tokenizer_vocab_count(const struct tokenizer *tokenizer)
{
    return vocabulary_count(tokenizer->vocabulary);
}

/* Cuts the collected word into pieces; returns how many. A word without a match is one [UNK]. */
static uint32_t word_cut(const struct encoding *encoding, int32_t pieces[TOKENIZER_WORD_MAX])
{
    const struct tokenizer *tokenizer = encoding->tokenizer;
    pieces[0] = tokenizer->unknown_id;
    if (encoding->word_points > TOKENIZER_WORD_MAX)
        return 1;
    uint32_t count = 0;
    for (uint32_t at = 0; at < encoding->word_size;) {
        size_t length;
        int32_t id = vocabulary_match(tokenizer->vocabulary, encoding->word + at,
                                      encoding->word_size - at, at > 0, &length);
        if (id < 0) {
            pieces[0] = tokenizer->unknown_id;
            return 1;
        }
        pieces[count++] = id;
        at += (uint32_t)length;
    }
    return count;
}

/* Ends the word that was being collected, if any. */
static void word_end(struct encoding *encoding)
{
    if (encoding->word_points == 0)
        return;
    int32_t pieces[TOKENIZER_WORD_MAX];
    uint32_t count = word_cut(encoding, pieces);
    if (count > encoding->room - encoding->count)
        count = encoding->room - encoding->count;
    memcpy(encoding->ids + encoding->count, pieces, count * sizeof *pieces);
    encoding->count += count;
    encoding->word_points = 0;
    encoding->word_size = 0;
}

static inline void word_add_ascii(struct encoding *encoding, uint8_t byte)
{
    if (encoding->word_points < TOKENIZER_WORD_MAX)
        encoding->word[encoding->word_size++] = byte;
    encoding->word_points += encoding->word_points <= TOKENIZER_WORD_MAX;
}

static void word_add(struct encoding *encoding, int32_t point)
{
    if (encoding->word_points < TOKENIZER_WORD_MAX)
        encoding->word_size +=
            (uint32_t)utf8proc_encode_char(point, encoding->word + encoding->word_size);
    encoding->word_points += encoding->word_points <= TOKENIZER_WORD_MAX;
}

static bool is_punctuation(int32_t point, utf8proc_category_t category)
{
    if (point < 128)
        return (point >= 33 && point <= 47) || (point >= 58 && point <= 64) ||
               (point >= 91 && point <= 96) || (point >= 123 && point <= 126);
    return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

static bool is_cjk(int32_t point)
{
    return (point >= 0x4e00 && point <= 0x9fff) || (point >= 0x3400 && point <= 0x4dbf) ||
           (point >= 0x20000 && point <= 0x2a6df) || (point >= 0x2a700 && point <= 0x2b73f) ||
           (point >= 0x2b740 && point <= 0x2b81f) || (point >= 0x2b820 && point <= 0x2ceaf) ||
           (point >= 0xf900 && point <= 0xfaff) || (point >= 0x2f800 && point <= 0x2fa1f);
}

static bool is_space(utf8proc_category_t category)
{
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP;
}

enum tokenizer_class tokenizer_classify(const struct tokenizer *tokenizer, uint32_t point)
{
    if (point < 128)
        return tokenizer->ascii_class[point] == ASCII_SPACE ? TOKENIZER_SPACE : TOKENIZER_WORD;
    if (is_space(utf8proc_category((int32_t)point)))
        return TOKENIZER_SPACE;
    return tokenizer->options.split_cjk && is_cjk((int32_t)point) ? TOKENIZER_ALONE
                                                                  : TOKENIZER_WORD;
}

static bool is_dropped(int32_t point, utf8proc_category_t category)
{
    return point == 0xfffd || category == UTF8PROC_CATEGORY_CC ||
           category == UTF8PROC_CATEGORY_CF || category == UTF8PROC_CATEGORY_CO ||
           category == UTF8PROC_CATEGORY_CS;
}

/* A code point that is normalised but for case: into the word, or a word of its own. */
static void add_normalised(struct encoding *encoding, int32_t point)
{
    const struct tokenizer_options *options = &encoding->tokenizer->options;
    utf8proc_category_t category = utf8proc_category(point);
    if (options->strip_accents && category == UTF8PROC_CATEGORY_MN)
        return;
    if (options->lowercase)
        point = utf8proc_tolower(point);
    if (!is_punctuation(point, category)) {
        word_add(encoding, point);
        return;
    }
    word_end(encoding);
    word_add(encoding, point);
    word_end(encoding);
}

/* The longest canonical decomposition of one code point has 4 (Unicode's stability policy keeps it
 * so); the buffer has the size utf8proc asks for. */
#define DECOMPOSITION_MAX 18

static void add_point(struct encoding *encoding, int32_t point)
{
    const struct tokenizer_options *options = &encoding->tokenizer->options;
    utf8proc_category_t category = utf8proc_category(point);
    if (is_dropped(point, category))
        return;
    if (is_space(category)) {
        word_end(encoding);
        return;
    }
    bool is_alone = options->split_cjk && is_cjk(point);
    if (is_alone)
        word_end(encoding);
    if (options->strip_accents) {
        utf8proc_int32_t parts[DECOMPOSITION_MAX];
        int boundary = 0;
        utf8proc_ssize_t count =
            utf8proc_decompose_char(point, parts, DECOMPOSITION_MAX, UTF8PROC_DECOMPOSE, &boundary);
        ASSERT(count >= 0 && count <= DECOMPOSITION_MAX);
        for (utf8proc_ssize_t i = 0; i < count; i++)
            add_normalised(encoding, parts[i]);
    } else {
        add_normalised(encoding, point);
    }
    if (is_alone)
        word_end(encoding);
}

static void add_ascii(struct encoding *encoding, uint8_t byte)
{
    switch ((enum ascii_class)encoding->tokenizer->ascii_class[byte]) {
    case ASCII_DROP:
        return;
    case ASCII_SPACE:
        word_end(encoding);
        return;
    case ASCII_PUNCTUATION:
        word_end(encoding);
        word_add_ascii(encoding, byte);
        word_end(encoding);
        return;
    case ASCII_WORD:
        word_add_ascii(encoding, encoding->tokenizer->ascii_word[byte]);
        return;
    }
}

uint32_t tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t size,
                          int32_t *ids, uint32_t capacity)
{
    ASSERT(capacity >= 2);
    struct encoding encoding;
    encoding.tokenizer = tokenizer;
    encoding.ids = ids;
    encoding.count = 0;
    encoding.room = capacity - 1;
    encoding.word_points = 0;
    encoding.word_size = 0;
    ids[encoding.count++] = tokenizer->first_id;

    const uint8_t *at = (const uint8_t *)text;
    const uint8_t *end = at + size;
    while (at < end && encoding.count < encoding.room) {
        if (*at < 128) {
            add_ascii(&encoding, *at++);
            continue;
        }
        utf8proc_int32_t point;
        utf8proc_ssize_t length = utf8proc_iterate(at, end - at, &point);
        if (length <= 0) { /* not UTF-8: as U+FFFD */
            at++;
            continue;
        }
        add_point(&encoding, point);
        at += length;
    }
    word_end(&encoding);
    ids[encoding.count++] = tokenizer->last_id;
    return encoding.count;
}
