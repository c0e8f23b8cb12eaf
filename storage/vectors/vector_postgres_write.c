/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_postgres_write: what changes the PostgreSQL store: uploads, commits, deletions; each is
 * one transaction. Whoever locks a collection's row does so before any upload's.
 * Threading: vector_store_postgres.c.
 */
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "storage/vectors/vector_postgres.h"

/* A statement of one key whose result nobody wants. */
static int execute_key(const struct vector_task *task, enum vector_statement statement, int64_t key)
{
    struct postgres_parameters parameters = {0};
    postgres_add_integer(&parameters, key);
    return vector_task_execute(task, statement, &parameters, NULL);
}

static int execute_key_now(const struct vector_task *task, enum vector_statement statement,
                           int64_t key)
{
    struct postgres_parameters parameters = {0};
    postgres_add_integer(&parameters, key);
    postgres_add_integer(&parameters, clock_utc_us());
    return vector_task_execute(task, statement, &parameters, NULL);
}

static int execute_text(const struct vector_task *task, enum vector_statement statement,
                        const char *text)
{
    struct postgres_parameters parameters = {0};
    postgres_add_text(&parameters, text);
    return vector_task_execute(task, statement, &parameters, NULL);
}
/* ---- rows ---- */

struct document_row {
    int64_t upload_key;
    int64_t chunk_count;
};

/* 1 when there is one. */
static int get_document(const struct vector_task *task, int64_t collection_key, const char *name,
                        struct document_row *ret_row)
{
    struct postgres_parameters parameters = {0};
    PGresult *result;
    postgres_add_integer(&parameters, collection_key);
    postgres_add_text(&parameters, name);
    int code = vector_task_execute(task, GET_DOCUMENT, &parameters, &result);
    if (code != 0)
        return code;
    code = PQntuples(result) == 1;
    if (code == 1)
        *ret_row =
            (struct document_row){postgres_integer(result, 0, 0), postgres_integer(result, 0, 1)};
    PQclear(result);
    return code;
}

struct upload_row {
    int64_t upload_key;
    bool is_committed;
};

/* The upload of options, made where it is not there yet; nobody else works on it until the end of
 * the transaction. */
static int open_upload(const struct vector_task *task, const struct vector_upload_options *options,
                       struct upload_row *ret_row)
{
    struct postgres_parameters parameters = {0}, names = {0};
    PGresult *result;
    postgres_add_text(&parameters, options->collection);
    postgres_add_text(&parameters, options->document);
    postgres_add_text(&parameters, options->upload);
    postgres_add_text(&parameters, options->model);
    postgres_add_integer(&parameters, options->dimension);
    postgres_add_integer(&parameters, clock_utc_us());
    int code = vector_task_execute(task, ADD_UPLOAD, &parameters, NULL);
    postgres_add_text(&names, options->collection);
    postgres_add_text(&names, options->document);
    postgres_add_text(&names, options->upload);
    if (code == 0)
        code = vector_task_execute(task, GET_UPLOAD, &names, &result);
    else
        postgres_parameters_fini(&names);
    if (code != 0)
        return code;
    if (PQntuples(result) != 1)
        code = error_set(task->err, ERR_ABORTED, "upload \"%s\" is being removed", options->upload);
    else
        code = vector_task_check_fit(task, options->collection, postgres_text(result, 0, 1),
                                     (uint32_t)postgres_integer(result, 0, 2), options->model,
                                     options->dimension);
    if (code == 0)
        *ret_row = (struct upload_row){postgres_integer(result, 0, 0),
                                       postgres_integer(result, 0, 3) != 0};
    PQclear(result);
    if (code == 0 && ret_row->upload_key > VECTOR_UPLOAD_KEY_MAX)
        code = error_set(task->err, ERR_LIMIT, "the store has used up its keys for uploads");
    return code;
}

/* ---- upload ---- */

struct upload_work {
    struct vector_postgres *postgres;
    const struct vector_upload_options *options;
    const struct vector_chunk *chunks;
    size_t count;
};

static int put_chunk(const struct vector_task *task, const struct vector_upload_options *options,
                     int64_t upload_key, int64_t document_upload, const struct vector_chunk *chunk)
{
    struct postgres_parameters parameters = {0};
    PGresult *result;
    postgres_add_integer(&parameters, vector_chunk_key(upload_key, chunk->ordinal));
    postgres_add_integer(&parameters, upload_key);
    postgres_add_bytes(&parameters, chunk->hash, VECTOR_HASH_SIZE);
    postgres_add_text(&parameters, chunk->metadata);
    postgres_add_sized_text(&parameters, chunk->text, chunk->text_size);
    if (chunk->vector != NULL)
        postgres_add_vector(&parameters, chunk->vector, options->dimension);
    else
        postgres_add_integer(&parameters, document_upload);
    int code = vector_task_execute(task, chunk->vector != NULL ? PUT_CHUNK : COPY_CHUNK,
                                   &parameters, &result);
    if (code != 0)
        return code;
    bool is_there = strcmp(PQcmdTuples(result), "1") == 0;
    PQclear(result);
    return is_there ? 0 : vector_store_fail_hash(chunk->ordinal, options->document, task->err);
}

/* Whether the committed upload has just this chunk. */
static int check_committed(const struct vector_task *task,
                           const struct vector_upload_options *options, int64_t upload_key,
                           const struct vector_chunk *chunk)
{
    struct postgres_parameters parameters = {0};
    PGresult *result;
    postgres_add_integer(&parameters, vector_chunk_key(upload_key, chunk->ordinal));
    int code = vector_task_execute(task, GET_HASH, &parameters, &result);
    if (code != 0)
        return code;
    bool is_same = PQntuples(result) == 1 && PQgetlength(result, 0, 0) == VECTOR_HASH_SIZE &&
                   memcmp(PQgetvalue(result, 0, 0), chunk->hash, VECTOR_HASH_SIZE) == 0;
    PQclear(result);
    return is_same ? 0 : vector_store_fail_committed(options->upload, task->err);
}

static int upload_work(struct postgres_connection *connection, void *context, struct error *err)
{
    const struct upload_work *work = context;
    const struct vector_upload_options *options = work->options;
    const struct vector_task task = {work->postgres, connection, err};
    int64_t collection;
    struct document_row document = {0};
    struct upload_row upload;
    int code = vector_task_collection(&task, GET_COLLECTION, options->collection, options->model,
                                      options->dimension, &collection);
    if (code == 1)
        code = get_document(&task, collection, options->document, &document);
    if (code >= 0)
        code = open_upload(&task, options, &upload);
    for (size_t i = 0; code == 0 && i < work->count; i++)
        code = upload.is_committed
                   ? check_committed(&task, options, upload.upload_key, &work->chunks[i])
                   : put_chunk(&task, options, upload.upload_key, document.upload_key,
                               &work->chunks[i]);
    return code == 0 ? execute_key_now(&task, USE_UPLOAD, upload.upload_key) : code;
}

int vector_postgres_upload(struct vector_store *store, const struct vector_upload_options *options,
                           const struct vector_chunk *chunks, size_t count, struct error *err)
{
    struct vector_postgres *postgres = (struct vector_postgres *)store;
    struct upload_work work = {postgres, options, chunks, count};
    return vector_postgres_transact(postgres, VECTOR_BEGIN_WRITE, upload_work, &work, err);
}

/* ---- commit ---- */

struct commit_work {
    struct vector_postgres *postgres;
    const struct vector_upload_options *options;
    uint32_t chunk_count;
    const char *metadata;
};

static int check_ordinals(const struct vector_task *task, const struct commit_work *work,
                          int64_t upload_key)
{
    struct postgres_parameters parameters = {0};
    PGresult *result;
    postgres_add_integer(&parameters, upload_key);
    int code = vector_task_execute(task, COUNT_CHUNKS, &parameters, &result);
    if (code != 0)
        return code;
    uint64_t count = (uint64_t)postgres_integer(result, 0, 0);
    uint32_t last = vector_chunk_ordinal(postgres_integer(result, 0, 1));
    PQclear(result);
    if (count != work->chunk_count || last != work->chunk_count - 1)
        return vector_store_fail_ordinals(work->options->upload, count, work->chunk_count,
                                          task->err);
    return 0;
}

/* 1 with the collection, locked, made where a document is to come. */
static int add_collection(const struct vector_task *task, const struct commit_work *work,
                          int64_t *ret_key)
{
    const struct vector_upload_options *options = work->options;
    struct postgres_parameters parameters = {0};
    if (work->chunk_count == 0)
        return 0;
    postgres_add_text(&parameters, options->collection);
    postgres_add_text(&parameters, options->model);
    postgres_add_integer(&parameters, options->dimension);
    int code = vector_task_execute(task, ADD_COLLECTION, &parameters, NULL);
    return code == 0 ? vector_task_collection(task, LOCK_COLLECTION, options->collection,
                                              options->model, options->dimension, ret_key)
                     : code;
}

static int count_collection(const struct vector_task *task, int64_t collection_key,
                            int64_t documents, int64_t chunks)
{
    struct postgres_parameters parameters = {0};
    postgres_add_integer(&parameters, collection_key);
    postgres_add_integer(&parameters, documents);
    postgres_add_integer(&parameters, chunks);
    return vector_task_execute(task, COUNT_COLLECTION, &parameters, NULL);
}

static int remove_version(const struct vector_task *task, int64_t collection_key, const char *name)
{
    struct postgres_parameters parameters = {0};
    struct document_row row;
    int code = get_document(task, collection_key, name, &row);
    if (code != 1)
        return code;
    postgres_add_integer(&parameters, collection_key);
    postgres_add_text(&parameters, name);
    code = vector_task_execute(task, DELETE_DOCUMENT, &parameters, NULL);
    if (code == 0)
        code = execute_key(task, DELETE_CHUNKS, row.upload_key);
    return code == 0 ? count_collection(task, collection_key, -1, -row.chunk_count) : code;
}

static int add_version(const struct vector_task *task, const struct commit_work *work,
                       int64_t collection_key, int64_t upload_key)
{
    struct postgres_parameters parameters = {0};
    postgres_add_integer(&parameters, collection_key);
    postgres_add_text(&parameters, work->options->document);
    postgres_add_integer(&parameters, upload_key);
    postgres_add_integer(&parameters, work->chunk_count);
    postgres_add_text(&parameters, work->metadata);
    int code = vector_task_execute(task, PUT_DOCUMENT, &parameters, NULL);
    return code == 0 ? count_collection(task, collection_key, 1, work->chunk_count) : code;
}

/* The collection is locked before the upload, by everybody. */
static int commit_work(struct postgres_connection *connection, void *context, struct error *err)
{
    const struct commit_work *work = context;
    const struct vector_upload_options *options = work->options;
    const struct vector_task task = {work->postgres, connection, err};
    int64_t collection = 0;
    struct upload_row upload;
    int has_collection = vector_task_collection(&task, LOCK_COLLECTION, options->collection,
                                                options->model, options->dimension, &collection);
    int code = has_collection < 0 ? has_collection : open_upload(&task, options, &upload);
    if (code != 0 || upload.is_committed)
        return code;
    if (work->chunk_count > 0)
        code = check_ordinals(&task, work, upload.upload_key);
    if (code == 0 && has_collection == 0)
        code = has_collection = add_collection(&task, work, &collection);
    if (code >= 0 && has_collection == 1)
        code = remove_version(&task, collection, options->document);
    if (code == 0)
        code = work->chunk_count > 0 ? add_version(&task, work, collection, upload.upload_key)
                                     : execute_key(&task, DELETE_CHUNKS, upload.upload_key);
    return code == 0 ? execute_key_now(&task, COMMIT_UPLOAD, upload.upload_key) : code;
}

/* Forgets uploads that were not used for long: as vector_sqlite_sweep. */
static int prune_work(struct postgres_connection *connection, void *context, struct error *err)
{
    const struct vector_task task = {context, connection, err};
    int64_t before_utc_us = clock_utc_us() - VECTOR_UPLOAD_KEEP_US;
    int code = execute_key(&task, PRUNE_CHUNKS, before_utc_us);
    return code == 0 ? execute_key(&task, PRUNE_UPLOADS, before_utc_us) : code;
}

/* Once an hour at most, by the commit that comes then; what fails is for the next. */
static void prune_sometimes(struct vector_postgres *postgres)
{
    uint64_t now_ns = clock_monotonic_ns(), last_ns = atomic_load(&postgres->pruned_ns);
    if (now_ns - last_ns > VECTOR_UPLOAD_PRUNE_US * 1000 &&
        atomic_compare_exchange_strong(&postgres->pruned_ns, &last_ns, now_ns))
        vector_postgres_transact(postgres, VECTOR_BEGIN_WRITE, prune_work, postgres, NULL);
}

int vector_postgres_commit(struct vector_store *store, const struct vector_upload_options *options,
                           uint32_t chunk_count, const char *metadata, struct error *err)
{
    struct vector_postgres *postgres = (struct vector_postgres *)store;
    struct commit_work work = {postgres, options, chunk_count, metadata};
    int code = vector_postgres_transact(postgres, VECTOR_BEGIN_WRITE, commit_work, &work, err);
    if (code == 0)
        prune_sometimes(postgres);
    return code;
}
/* ---- delete ---- */

struct delete_work {
    struct vector_postgres *postgres;
    const char *collection;
};

static int delete_work(struct postgres_connection *connection, void *context, struct error *err)
{
    const struct delete_work *work = context;
    const struct vector_task task = {work->postgres, connection, err};
    struct postgres_parameters parameters = {0};
    PGresult *result;
    postgres_add_text(&parameters, work->collection);
    int code = vector_task_execute(&task, LOCK_COLLECTION, &parameters, &result);
    if (code != 0)
        return code;
    bool is_there = PQntuples(result) == 1;
    int64_t key = is_there ? postgres_integer(result, 0, 0) : 0;
    PQclear(result);
    if (!is_there)
        return vector_task_fail_unknown(&task, work->collection);
    code = execute_text(&task, DELETE_ALL_CHUNKS, work->collection);
    if (code == 0)
        code = execute_text(&task, DELETE_UPLOADS, work->collection);
    if (code == 0)
        code = execute_key(&task, DELETE_DOCUMENTS, key);
    return code == 0 ? execute_key(&task, DELETE_COLLECTION, key) : code;
}

int vector_postgres_collection_delete(struct vector_store *store, const char *collection,
                                      struct error *err)
{
    struct vector_postgres *postgres = (struct vector_postgres *)store;
    struct delete_work work = {postgres, collection};
    return vector_postgres_transact(postgres, VECTOR_BEGIN_WRITE, delete_work, &work, err);
}
