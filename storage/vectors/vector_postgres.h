/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_postgres: what the files of the PostgreSQL store share: its statements, and a task, which
 * is what every step of one transaction needs.
 *
 * Threading: a task belongs to one thread.
 */
#ifndef ARGOSY_STORAGE_VECTOR_POSTGRES_H
#define ARGOSY_STORAGE_VECTOR_POSTGRES_H

#include <stdatomic.h>

#include "storage/vectors/postgres.h"
#include "storage/vectors/vector_store_ops.h"

#define VECTOR_BEGIN_WRITE "BEGIN"
#define VECTOR_BEGIN_READ  "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

struct vector_postgres {
    struct vector_store store;
    struct postgres_pool pool;
    _Atomic bool is_open;       /* the schema was there, or was made */
    _Atomic uint64_t pruned_ns; /* when uploads were last forgotten */
};

/* Their SQL: vector_store_postgres.c. */
enum vector_statement {
    GET_COLLECTION,
    LOCK_COLLECTION,
    ADD_COLLECTION,
    COUNT_COLLECTION,
    DELETE_COLLECTION,
    LIST_COLLECTIONS,
    GET_DOCUMENT,
    PUT_DOCUMENT,
    DELETE_DOCUMENT,
    DELETE_DOCUMENTS,
    ADD_UPLOAD,
    GET_UPLOAD,
    USE_UPLOAD,
    COMMIT_UPLOAD,
    DELETE_UPLOADS,
    PRUNE_CHUNKS,
    PRUNE_UPLOADS,
    COUNT_CHUNKS,
    GET_HASH,
    PUT_CHUNK,
    COPY_CHUNK,
    DELETE_CHUNKS,
    DELETE_ALL_CHUNKS,
    LIST_HASHES,
    GET_CONTENTS,
    VECTOR_STATEMENT_COUNT,
};

struct vector_task {
    struct vector_postgres *postgres;
    struct postgres_connection *connection;
    struct error *err;
};

/* As postgres_transact; before the first that succeeds, opens the schema. */
int vector_postgres_transact(struct vector_postgres *postgres, const char *begin,
                             postgres_work_fn *work, void *context, struct error *err);

/* As postgres_execute. */
int vector_task_execute(const struct vector_task *task, enum vector_statement statement,
                        struct postgres_parameters *parameters, PGresult **ret_result);

/* 1 when there is one, whose model and dimension then fit: GET_COLLECTION, or LOCK_COLLECTION until
 * the transaction ends. */
int vector_task_collection(const struct vector_task *task, enum vector_statement statement,
                           const char *name, const char *model, uint32_t dimension,
                           int64_t *ret_key);

/* ERR_NOT_FOUND, with the nearest name. */
int vector_task_fail_unknown(const struct vector_task *task, const char *name);

/* ERR_INVALID where they differ. */
int vector_task_check_fit(const struct vector_task *task, const char *collection, const char *model,
                          uint32_t dimension, const char *wanted_model, uint32_t wanted_dimension);

/* Fills the first hits' texts and metadata, up to content_size bytes but filled_min at least. */
int vector_task_contents(const struct vector_task *task, struct vector_hit *hits, size_t count,
                         size_t content_size, size_t filled_min, struct arena *arena,
                         size_t *ret_filled);

/* The operations (vector_store_ops.h): vector_postgres_write.c, _search.c, _read.c. */
int vector_postgres_upload(struct vector_store *store, const struct vector_upload_options *options,
                           const struct vector_chunk *chunks, size_t count, struct error *err);
int vector_postgres_commit(struct vector_store *store, const struct vector_upload_options *options,
                           uint32_t chunk_count, const char *metadata, struct error *err);
int vector_postgres_collection_delete(struct vector_store *store, const char *collection,
                                      struct error *err);
int vector_postgres_search(struct vector_store *store, const struct vector_store_query *query,
                           size_t content_size, struct arena *arena, struct vector_hit **ret_hits,
                           size_t *ret_count, struct error *err);
int vector_postgres_contents(struct vector_store *store, struct vector_hit *hits, size_t count,
                             size_t content_size, struct arena *arena, size_t *ret_filled,
                             struct error *err);
int vector_postgres_hashes(struct vector_store *store, const char *collection, const char *document,
                           const uint8_t *after, size_t limit, struct arena *arena,
                           const uint8_t (**ret_hashes)[VECTOR_HASH_SIZE], size_t *ret_count,
                           struct error *err);
int vector_postgres_collections(struct vector_store *store, const char *after, size_t limit,
                                struct arena *arena, struct vector_collection **ret_collections,
                                size_t *ret_count, struct error *err);

#endif
