/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tokenizer: BERT's WordPiece, from UTF-8 text to token ids.
 *
 *   1. drop U+0000, U+FFFD, control and format characters; white space becomes a word border
 *   2. CJK ideographs stand alone
 *   3. uncased models: lower-case, canonical decomposition, drop nonspacing marks
 *   4. punctuation (ASCII symbols and category P) stands alone
 *   5. each word: longest match first over the vocabulary, later pieces with "##"; a word of more
 *      than 100 code points or without a match is one [UNK]
 *   6. [CLS] pieces [SEP], cut to the capacity
 *
 * This is what the `tokenizers` package does (tests/golden/wordpiece.*), save for one block of CJK
 * extension E, where that package has a typing error (U+2B920 for U+2B820).
 *
 * Text is only ever text: "[SEP]" in it is cut into "[", "sep", "]" and never becomes the special
 * token. Bytes that are not UTF-8 count as U+FFFD and are dropped.
 *
 * Cost is linear in the text with a small bound per word, and reading stops when the capacity is
 * full, so a huge text costs no more than it must. Nothing is allocated per call.
 *
 * Threading: a tokenizer is never changed once made; any number of threads may use it at once.
 */
#ifndef ARGOSY_MODELS_TOKENIZER_H
#define ARGOSY_MODELS_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* A vocabulary file: 30,522 lines take 232 KB; multilingual ones 120,000 lines and 1 MB. */
#define TOKENIZER_VOCAB_SIZE_MAX  (16u << 20)
#define TOKENIZER_VOCAB_COUNT_MAX (1u << 20)
#define TOKENIZER_WORD_MAX        100 /* code points; longer words are [UNK] */

struct tokenizer_options {
    bool lowercase;     /* step 3's lower-casing: uncased models */
    bool strip_accents; /* step 3's decomposition and dropping of marks: as lowercase unless set */
    bool split_cjk;     /* step 2 */
};

/* What uncased BERT models use. */
#define TOKENIZER_UNCASED ((struct tokenizer_options){true, true, true})

struct tokenizer;

/* Reads vocab.txt: one token a line, the line number is its id. ERR_NOT_FOUND, ERR_IO; ERR_CORRUPT
 * with file and line for what is not UTF-8, empty, too long or doubled, and when [UNK], [CLS] or
 * [SEP] is missing. */
int tokenizer_open(const char *path, const struct tokenizer_options *options,
                   struct tokenizer **ret_tokenizer, struct error *err);

/* The same from memory, which is free afterwards; name stands for it in errors. */
int tokenizer_create(const char *vocab, size_t size, const char *name,
                     const struct tokenizer_options *options, struct tokenizer **ret_tokenizer,
                     struct error *err);

/* Accepts NULL. */
void tokenizer_destroy(struct tokenizer *tokenizer);

uint32_t tokenizer_vocab_count(const struct tokenizer *tokenizer);

/* What a code point does to the words around it. Text cut before or after SPACE or ALONE has, in
 * its parts together, the tokens of the whole. */
enum tokenizer_class {
    TOKENIZER_WORD,  /* may belong to a word with what stands beside it */
    TOKENIZER_SPACE, /* ends a word and is dropped */
    TOKENIZER_ALONE, /* an ideograph that is a word of its own */
};
enum tokenizer_class tokenizer_classify(const struct tokenizer *tokenizer, uint32_t point);

/* Writes at most capacity ids (2 or more, [CLS] and [SEP] included) and returns how many: 2 for a
 * text without tokens. */
uint32_t tokenizer_encode(const struct tokenizer *tokenizer, const char *text, size_t size,
                          int32_t *ids, uint32_t capacity);

#endif
