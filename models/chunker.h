/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunker: cuts a text into overlapping chunks that a model can read whole.
 *
 *     chunker_create(tokenizer, &options, &chunker, err);
 *     for each piece of the text {
 *         chunker_add(chunker, piece, size, err);
 *         while (chunker_next(chunker, &chunk)) ...
 *     }
 *     chunker_end(chunker);
 *     while (chunker_next(chunker, &chunk)) ...
 *
 * What holds for every text:
 *   - chunks stand in order and leave nothing out: each begins at or before the end of the one
 *     before it and ends after it; the first begins at 0, the last ends with the text
 *   - no chunk has more than token_max tokens ([CLS] and [SEP] not counted) or size_max bytes
 *   - a chunk begins and ends between words: at white space or beside an ideograph. Only a word
 *     that is longer than a chunk is cut, at a character's border, and nothing overlaps there
 *   - a chunk ends at a paragraph's end if there is one in the second half of what it adds, else at
 *     a sentence's end there, else at the last word that fits
 *   - the overlap is at most overlap_max tokens, and begins at a sentence where there is one
 *   - the chunks depend on the text alone, not on the pieces it came in
 *
 * A paragraph ends at an empty line, a sentence at ". ! ? ..." before white space or at an
 * ideographic full stop. Bytes that are not UTF-8 count as letters without a token.
 *
 * Memory is bounded by size_max and the largest piece. Threading: one thread at a time.
 */
#ifndef ARGOSY_MODELS_CHUNKER_H
#define ARGOSY_MODELS_CHUNKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "models/tokenizer.h"

#define CHUNK_TOKENS_MIN 16u    /* one character is at most a few tokens: always fits */
#define CHUNK_TOKENS_MAX 65536u /* the longest model there is (MODEL_POSITIONS_MAX) */
#define CHUNK_SIZE_MIN   64u
#define CHUNK_SIZE_MAX   (1u << 20)

struct chunker_options {
    uint32_t token_max;   /* CHUNK_TOKENS_MIN to CHUNK_TOKENS_MAX */
    uint32_t overlap_max; /* tokens; at most token_max / 2 */
    size_t size_max;      /* bytes; CHUNK_SIZE_MIN to CHUNK_SIZE_MAX */
};

struct chunk {
    const char *text; /* until the next call on the chunker */
    size_t size;
    uint64_t offset;      /* bytes from the beginning of the text */
    uint32_t token_count; /* 0: white space alone, or nothing the model can see */
};

struct chunker;

/* tokenizer is borrowed until chunker_destroy. ERR_INVALID for options out of bounds, ERR_MEMORY.
 */
int chunker_create(const struct tokenizer *tokenizer, const struct chunker_options *options,
                   struct chunker **ret_chunker, struct error *err);

/* Accepts NULL. */
void chunker_destroy(struct chunker *chunker);

/* Adds text, which is copied. Not after chunker_end. ERR_MEMORY. */
int chunker_add(struct chunker *chunker, const char *text, size_t size, struct error *err);

/* Says that the text is complete. */
void chunker_end(struct chunker *chunker);

/* The next chunk, if it is certain; false: more text is needed, or all has been told. */
bool chunker_next(struct chunker *chunker, struct chunk *ret_chunk);

#endif
