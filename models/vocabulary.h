/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vocabulary: the tokens of a WordPiece model and the longest-match look-up over them.
 *
 * One open-addressed hash table holds every token; a continuation ("##ing") is stored without its
 * mark under a hash that is seeded differently. To match at a place, the hashes of all prefixes are
 * computed in one pass and tried from the longest down: a word that is a token, the usual case,
 * costs one probe. Work per place is bounded by the longest token.
 *
 * Threading: never changed once made; any thread may read it.
 */
#ifndef ARGOSY_MODELS_VOCABULARY_H
#define ARGOSY_MODELS_VOCABULARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Bytes of one token; the longest of bert-base-uncased has 18, multilingual ones some 60. */
#define VOCABULARY_TOKEN_MAX 255

struct vocabulary;

/* From the bytes of a vocab.txt, which are free afterwards. Errors as tokenizer_create. */
int vocabulary_create(const char *text, size_t size, const char *name,
                      struct vocabulary **ret_vocabulary, struct error *err);

/* Accepts NULL. */
void vocabulary_destroy(struct vocabulary *vocabulary);

uint32_t vocabulary_count(const struct vocabulary *vocabulary);

/* The id of a token as the file spells it; -1 when there is none. */
int32_t vocabulary_id(const struct vocabulary *vocabulary, const char *token);

/* The longest token that word starts with: its id, and its length in *ret_length; -1 when there is
 * none. word is UTF-8, size at least 1. is_continuation asks for tokens marked "##". */
int32_t vocabulary_match(const struct vocabulary *vocabulary, const uint8_t *word, size_t size,
                         bool is_continuation, size_t *ret_length);

#endif
