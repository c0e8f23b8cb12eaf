/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_store_ops: what an implementation of vector_store.h provides. What it is given is checked:
 * names, texts, metadata (canonical), vectors (normalised), filters (parsed).
 *
 * A chunk's key is its upload's key and its ordinal in one number; an upload's key is never used
 * again. So keys of a document's chunks follow each other, and a key names one content for ever.
 */
#ifndef ARGOSY_STORAGE_VECTOR_STORE_OPS_H
#define ARGOSY_STORAGE_VECTOR_STORE_OPS_H

#include "storage/vectors/vector_filter.h"
#include "storage/vectors/vector_math.h"
#include "storage/vectors/vector_store.h"

/* How long an upload's name is remembered, and how often the forgetful look. */
#define VECTOR_UPLOAD_KEEP_US  (7 * 24 * 3600 * INT64_C(1000000))
#define VECTOR_UPLOAD_PRUNE_US (3600 * INT64_C(1000000))

#define VECTOR_UPLOAD_KEY_MAX INT32_MAX

static inline int64_t vector_chunk_key(int64_t upload_key, uint32_t ordinal)
{
    return upload_key << 32 | ordinal;
}

static inline int64_t vector_chunk_upload(int64_t chunk_key)
{
    return chunk_key >> 32;
}

static inline uint32_t vector_chunk_ordinal(int64_t chunk_key)
{
    return (uint32_t)chunk_key;
}

struct vector_store_query {
    const char *collection;
    const char *model;
    const float *vector; /* normalised, padded with zeros to VECTOR_STRIDE */
    uint32_t dimension;
    uint32_t neighbour_count;
    const struct vector_filter *filter; /* NULL: all */
};

struct vector_store_ops {
    void (*close)(struct vector_store *store);
    int (*hashes)(struct vector_store *store, const char *collection, const char *document,
                  const uint8_t *after, size_t limit, struct arena *arena,
                  const uint8_t (**ret_hashes)[VECTOR_HASH_SIZE], size_t *ret_count,
                  struct error *err);
    int (*upload)(struct vector_store *store, const struct vector_upload_options *options,
                  const struct vector_chunk *chunks, size_t count, struct error *err);
    int (*commit)(struct vector_store *store, const struct vector_upload_options *options,
                  uint32_t chunk_count, const char *metadata, struct error *err);
    int (*search)(struct vector_store *store, const struct vector_store_query *query,
                  size_t content_size, struct arena *arena, struct vector_hit **ret_hits,
                  size_t *ret_count, struct error *err);
    int (*contents)(struct vector_store *store, struct vector_hit *hits, size_t count,
                    size_t content_size, struct arena *arena, size_t *ret_filled,
                    struct error *err);
    int (*collections)(struct vector_store *store, const char *after, size_t limit,
                       struct arena *arena, struct vector_collection **ret_collections,
                       size_t *ret_count, struct error *err);
    int (*collection_delete)(struct vector_store *store, const char *collection, struct error *err);
};

/* First member of every implementation. */
struct vector_store {
    const struct vector_store_ops *ops;
};

int vector_store_sqlite_open(const struct vector_store_options *options,
                             struct vector_store **ret_store, struct error *err);
int vector_store_postgres_open(const struct vector_store_options *options,
                               struct vector_store **ret_store, struct error *err);

/* The errors that both give in the same words. */
int vector_store_fail_model(const char *collection, const char *has, const char *wanted,
                            struct error *err);
int vector_store_fail_dimension(const char *collection, uint32_t has, uint32_t wanted,
                                struct error *err);
int vector_store_fail_collection(const char *collection, const char *const *names, size_t count,
                                 struct error *err);
int vector_store_fail_ordinals(const char *upload, uint64_t staged, uint32_t wanted,
                               struct error *err);
int vector_store_fail_committed(const char *upload, struct error *err);
int vector_store_fail_hash(uint32_t ordinal, const char *document, struct error *err);

/* Orders hits best first: by score, document (bytes) and ordinal; for qsort. */
int vector_hit_compare(const void *a, const void *b);

#endif
