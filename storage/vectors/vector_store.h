/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_store: where collections are kept (docs/spec/06-storage.md, section "Vectors"). One
 * interface with two implementations: SQLite (storage/vectors/vector_store_sqlite.c, the embedded
 * default) and PostgreSQL with pgvector (storage/vectors/vector_store_postgres.c). Both give the
 * same results, bit for bit: what comes in is checked and normalised here, and scores are
 * vector_score's.
 *
 * The functions promise what storage/vectors.h says; what differs is that they are not split by
 * size: a call's data is what one message holds, and is one transaction. What is acknowledged is on
 * disk.
 *
 * Threading: any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_VECTOR_STORE_H
#define ARGOSY_STORAGE_VECTOR_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "storage/vectors.h"

struct vector_store;

struct vector_store_options {
    /* "sqlite", or "postgres://..." (libpq's connection URI); borrowed, as all here, for the
     * store's life */
    const char *address;
    const char *password_file; /* PostgreSQL's, read for each connection; NULL: libpq's own ways */
    const char *folder;        /* of the SQLite file, vectors.db; must be there */
    size_t memory_bytes; /* SQLite: most memory for vectors; over it they are read from the file */
    unsigned thread_count; /* SQLite: of a search; 0: one for each core */
};

/* ERR_STORAGE says what is wrong with file or server, ERR_CORRUPT, ERR_UNSUPPORTED (a newer schema;
 * or PostgreSQL and built without libpq). A server that is not there is no error: it is a warning
 * in the log, and calls give ERR_UNAVAILABLE until it is. */
int vector_store_open(const struct vector_store_options *options, struct vector_store **ret_store,
                      struct error *err);
/* NULL is fine. */
void vector_store_close(struct vector_store *store);

/* Up to limit of the document's hashes, in their order, behind `after` (NULL: from the first). */
int vector_store_hashes(struct vector_store *store, const char *collection, const char *document,
                        const uint8_t *after, size_t limit, struct arena *arena,
                        const uint8_t (**ret_hashes)[VECTOR_HASH_SIZE], size_t *ret_count,
                        struct error *err);

int vector_store_upload(struct vector_store *store, const struct vector_upload_options *options,
                        const struct vector_chunk *chunks, size_t count, struct error *err);

int vector_store_commit(struct vector_store *store, const struct vector_upload_options *options,
                        uint32_t chunk_count, const char *metadata, struct error *err);

/* What a neighbour says; text NULL where it was left out to keep the answer small. */
struct vector_hit {
    int64_t chunk_key; /* names this chunk of this version of its document, for ever */
    double score;
    const char *document;
    uint32_t ordinal;
    const char *text;
    const char *metadata; /* NULL with text */
};

/* The neighbours, with texts and metadata up to content_size bytes, best first. */
int vector_store_search(struct vector_store *store, const struct vector_query *query,
                        size_t content_size, struct arena *arena, struct vector_hit **ret_hits,
                        size_t *ret_count, struct error *err);

/* Text and metadata of hits by their chunk keys, as many from the first as content_size holds, at
 * least one. ERR_ABORTED where one of them is gone: its document was replaced, search again. */
int vector_store_contents(struct vector_store *store, struct vector_hit *hits, size_t count,
                          size_t content_size, struct arena *arena, size_t *ret_filled,
                          struct error *err);

/* Up to limit collections by name, behind `after` ("": from the first). */
int vector_store_collections(struct vector_store *store, const char *after, size_t limit,
                             struct arena *arena, struct vector_collection **ret_collections,
                             size_t *ret_count, struct error *err);

int vector_store_collection_delete(struct vector_store *store, const char *collection,
                                   struct error *err);

#endif
