/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_fixture: an empty vector store of either kind, short ways to fill it, and data whose
 * numbers come from a seed.
 */
#ifndef ARGOSY_TESTS_VECTOR_FIXTURE_H
#define ARGOSY_TESTS_VECTOR_FIXTURE_H

#include <stdbool.h>

#include "common/arena.h"
#include "storage/vectors/vector_store.h"
#include "tests/test.h"

#define MODEL     "tiny"
#define DIMENSION 8

struct vector_fixture {
    char folder[64];
    char address[256];   /* "sqlite" or of a PostgreSQL server */
    size_t memory_bytes; /* 1 GiB where nobody changes it before fixture_reopen */
    struct vector_store *store;
    struct arena arena;
};

/* An empty store; address "sqlite", or of a server, of which schema "argosy" is dropped. */
void fixture_open(struct vector_fixture *fixture, const char *address);
void fixture_close(struct vector_fixture *fixture);
void fixture_reopen(struct vector_fixture *fixture);

/* Numbers in [-1, 1), the same for the same state. */
float random_value(uint64_t *state);
void random_vector(uint64_t *state, float *ret_vector, uint32_t dimension);

/* The unit vector of an axis, turned a little towards the next: vectors of different `turn` have
 * different scores. */
void axis_vector(float ret_vector[DIMENSION], uint32_t axis, float turn);

/* The hash that stands for a number. */
void hash_of(uint32_t number, uint8_t ret_hash[VECTOR_HASH_SIZE]);

struct vector_upload_options upload_of(const char *collection, const char *document,
                                       const char *upload);

/* One chunk: text and hash made of seed, vector of axis_vector(seed % DIMENSION, ...); with_vector
 * false: without. */
void put_chunk(struct vector_fixture *fixture, const struct vector_upload_options *options,
               uint32_t ordinal, uint32_t seed, const char *metadata, bool with_vector);

/* A document of count chunks with seeds first_seed and up, committed. */
void put_document(struct vector_fixture *fixture, const char *collection, const char *document,
                  const char *upload, uint32_t first_seed, uint32_t count, const char *metadata);

/* The call succeeds, or the test fails with its error. */
void ok(int code, const struct error *err);

/* All of a collection's chunks that pass the filter, best for axis 0 first; at most 1,000. */
size_t search_all(struct vector_fixture *fixture, const char *collection, const char *filter,
                  struct vector_hit **ret_hits);

#endif
