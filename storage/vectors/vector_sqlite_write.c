/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_sqlite_write: what changes the SQLite store: uploads, commits, deletions; each is one
 * transaction, flushed before it is answered. Threading: vector_sqlite.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "storage/vectors/vector_sqlite.h"

static const char write_failed[] = "could not write vectors";

/* The writing connection's statements, in the order of statement_sql. */
struct vector_writer {
    sqlite3_stmt *begin, *commit, *rollback;
    sqlite3_stmt *get_collection, *add_collection, *count_collection, *delete_collection;
    sqlite3_stmt *get_document, *put_document, *delete_document;
    sqlite3_stmt *get_upload, *add_upload, *use_upload, *commit_upload, *count_chunks;
    sqlite3_stmt *get_hash, *find_hash, *get_vector, *put_chunk, *put_vector, *put_text;
    sqlite3_stmt *discard, *discard_collection, *delete_uploads, *delete_documents, *rows;
};

static const char *const statement_sql[] = {
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "SELECT collection_key, name, model, dimension, document_count, chunk_count FROM collection"
    " WHERE name = ?1",
    "INSERT INTO collection (name, model, dimension, document_count, chunk_count)"
    " VALUES (?1, ?2, ?3, 0, 0)",
    "UPDATE collection SET document_count = document_count + ?2, chunk_count = chunk_count + ?3"
    " WHERE collection_key = ?1",
    "DELETE FROM collection WHERE collection_key = ?1",
    "SELECT upload_key, chunk_count FROM document WHERE collection_key = ?1 AND name = ?2",
    "INSERT OR REPLACE INTO document (collection_key, name, upload_key, chunk_count, metadata)"
    " VALUES (?1, ?2, ?3, ?4, ?5)",
    "DELETE FROM document WHERE collection_key = ?1 AND name = ?2",
    "SELECT upload_key, model, dimension, is_committed FROM upload"
    " WHERE collection = ?1 AND document = ?2 AND name = ?3",
    "INSERT INTO upload (collection, document, name, model, dimension, is_committed, used_utc_us)"
    " VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6)",
    "UPDATE upload SET used_utc_us = ?2 WHERE upload_key = ?1",
    "UPDATE upload SET is_committed = 1, used_utc_us = ?2 WHERE upload_key = ?1",
    "SELECT count(*), max(chunk_key) FROM chunk WHERE upload_key = ?1",
    "SELECT hash FROM chunk WHERE chunk_key = ?1",
    "SELECT chunk_key FROM chunk WHERE upload_key = ?1 AND hash = ?2 LIMIT 1",
    "SELECT value FROM vector WHERE chunk_key = ?1",
    "INSERT OR REPLACE INTO chunk (chunk_key, upload_key, hash, metadata) VALUES (?1, ?2, ?3, ?4)",
    "INSERT OR REPLACE INTO vector (chunk_key, value) VALUES (?1, ?2)",
    "INSERT OR REPLACE INTO text (chunk_key, value) VALUES (?1, ?2)",
    "INSERT INTO garbage (upload_key) VALUES (?1)",
    "INSERT OR IGNORE INTO garbage (upload_key) SELECT upload_key FROM upload"
    " WHERE collection = ?1",
    "DELETE FROM upload WHERE collection = ?1",
    "DELETE FROM document WHERE collection_key = ?1",
    VECTOR_ROWS_SQL,
};

#define STATEMENT_COUNT (sizeof statement_sql / sizeof statement_sql[0])

_Static_assert(sizeof(struct vector_writer) == STATEMENT_COUNT * sizeof(sqlite3_stmt *),
               "every statement has its text");

/* ---- rows ---- */

static void bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
    sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

void vector_sqlite_read_collection(sqlite3_stmt *stmt, struct vector_collection_row *ret_row)
{
    *ret_row =
        (struct vector_collection_row){.collection_key = sqlite3_column_int64(stmt, 0),
                                       .dimension = (uint32_t)sqlite3_column_int64(stmt, 3),
                                       .document_count = (uint64_t)sqlite3_column_int64(stmt, 4),
                                       .chunk_count = (uint64_t)sqlite3_column_int64(stmt, 5)};
    snprintf(ret_row->name, sizeof ret_row->name, "%s", sqlite_column_text(stmt, 1));
    snprintf(ret_row->model, sizeof ret_row->model, "%s", sqlite_column_text(stmt, 2));
}

/* 1 when there is one. */
static int get_collection(struct vector_sqlite *sqlite, const char *name,
                          struct vector_collection_row *ret_row, struct error *err)
{
    sqlite3_stmt *stmt = sqlite->statements->get_collection;
    bind_text(stmt, 1, name);
    int code = sqlite_step_row(stmt, err, write_failed);
    if (code == 1) {
        vector_sqlite_read_collection(stmt, ret_row);
        sqlite3_reset(stmt);
    }
    return code;
}

static int check_fit(const struct vector_upload_options *options, const char *model,
                     uint32_t dimension, struct error *err)
{
    if (strcmp(model, options->model) != 0)
        return vector_store_fail_model(options->collection, model, options->model, err);
    if (dimension != options->dimension)
        return vector_store_fail_dimension(options->collection, dimension, options->dimension, err);
    return 0;
}

/* The collection of options, whose model and dimension fit; 0 when there is none. */
static int get_fitting(struct vector_sqlite *sqlite, const struct vector_upload_options *options,
                       struct vector_collection_row *ret_row, struct error *err)
{
    struct vector_collection_row row;
    int code = get_collection(sqlite, options->collection, &row, err);
    if (code != 1)
        return code;
    code = check_fit(options, row.model, row.dimension, err);
    if (code != 0)
        return code;
    *ret_row = row;
    return 1;
}

struct document_row {
    int64_t upload_key;
    int64_t chunk_count;
};

/* 1 when there is one. */
static int get_document(struct vector_sqlite *sqlite, int64_t collection_key, const char *name,
                        struct document_row *ret_row, struct error *err)
{
    sqlite3_stmt *stmt = sqlite->statements->get_document;
    sqlite3_bind_int64(stmt, 1, collection_key);
    bind_text(stmt, 2, name);
    int code = sqlite_step_row(stmt, err, write_failed);
    if (code == 1) {
        *ret_row =
            (struct document_row){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 1)};
        sqlite3_reset(stmt);
    }
    return code;
}

struct upload_row {
    int64_t upload_key;
    bool is_committed;
};

/* 1 when there is one, which then fits. */
static int get_upload(struct vector_sqlite *sqlite, const struct vector_upload_options *options,
                      struct upload_row *ret_row, struct error *err)
{
    sqlite3_stmt *stmt = sqlite->statements->get_upload;
    bind_text(stmt, 1, options->collection);
    bind_text(stmt, 2, options->document);
    bind_text(stmt, 3, options->upload);
    int code = sqlite_step_row(stmt, err, write_failed);
    if (code != 1)
        return code;
    *ret_row =
        (struct upload_row){sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 3) != 0};
    code = check_fit(options, sqlite_column_text(stmt, 1), (uint32_t)sqlite3_column_int64(stmt, 2),
                     err);
    sqlite3_reset(stmt);
    return code == 0 ? 1 : code;
}

/* The upload of options, made where it is not there yet. */
static int open_upload(struct vector_sqlite *sqlite, const struct vector_upload_options *options,
                       struct upload_row *ret_row, struct error *err)
{
    struct upload_row row;
    int code = get_upload(sqlite, options, &row, err);
    if (code == 1)
        *ret_row = row;
    if (code != 0)
        return code < 0 ? code : 0;
    sqlite3_stmt *stmt = sqlite->statements->add_upload;
    bind_text(stmt, 1, options->collection);
    bind_text(stmt, 2, options->document);
    bind_text(stmt, 3, options->upload);
    bind_text(stmt, 4, options->model);
    sqlite3_bind_int64(stmt, 5, options->dimension);
    sqlite3_bind_int64(stmt, 6, clock_utc_us());
    code = sqlite_step_done(stmt, err, write_failed);
    if (code != 0)
        return code;
    int64_t key = sqlite3_last_insert_rowid(sqlite->writer);
    if (key > VECTOR_UPLOAD_KEY_MAX)
        return error_set(err, ERR_LIMIT, "the store has used up its keys for uploads");
    *ret_row = (struct upload_row){.upload_key = key};
    return 0;
}

static int step_key(sqlite3_stmt *stmt, int64_t key, struct error *err)
{
    sqlite3_bind_int64(stmt, 1, key);
    return sqlite_step_done(stmt, err, write_failed);
}

/* A statement of a key and the time. */
static int step_key_now(sqlite3_stmt *stmt, int64_t key, struct error *err)
{
    sqlite3_bind_int64(stmt, 2, clock_utc_us());
    return step_key(stmt, key, err);
}

/* ---- transactions ---- */

static int begin(struct vector_sqlite *sqlite, struct error *err)
{
    return sqlite_step_done(sqlite->statements->begin, err, write_failed);
}

/* Ends the transaction with code: committed where it is 0, else undone. */
static int finish(struct vector_sqlite *sqlite, int code, struct error *err)
{
    if (code == 0)
        code = sqlite_step_done(sqlite->statements->commit, err, write_failed);
    /* Some errors have undone it already; then there is nothing more to undo. */
    if (code != 0 && !sqlite3_get_autocommit(sqlite->writer))
        sqlite_step_done(sqlite->statements->rollback, NULL, write_failed);
    return code;
}

/* ---- upload ---- */

static int put_row(sqlite3_stmt *stmt, int64_t chunk_key, const void *value, size_t size,
                   bool is_text, struct error *err)
{
    sqlite3_bind_int64(stmt, 1, chunk_key);
    if (is_text)
        sqlite3_bind_text64(stmt, 2, value, size, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_blob64(stmt, 2, value, size, SQLITE_STATIC);
    return sqlite_step_done(stmt, err, write_failed);
}

/* Copies the vector of the document's chunk with this hash. */
static int copy_vector(struct vector_sqlite *sqlite, const struct vector_upload_options *options,
                       int64_t document_upload, const struct vector_chunk *chunk, int64_t chunk_key,
                       struct error *err)
{
    struct vector_writer *statements = sqlite->statements;
    sqlite3_bind_int64(statements->find_hash, 1, document_upload);
    sqlite3_bind_blob(statements->find_hash, 2, chunk->hash, VECTOR_HASH_SIZE, SQLITE_STATIC);
    int code = sqlite_step_row(statements->find_hash, err, write_failed);
    if (code == 0)
        return vector_store_fail_hash(chunk->ordinal, options->document, err);
    if (code < 0)
        return code;
    sqlite3_bind_int64(statements->get_vector, 1, sqlite3_column_int64(statements->find_hash, 0));
    sqlite3_reset(statements->find_hash);
    code = sqlite_step_row(statements->get_vector, err, write_failed);
    if (code == 0)
        return error_set(err, ERR_CORRUPT, "a chunk of \"%s\" has lost its vector",
                         options->document);
    if (code < 0)
        return code;
    const float *vector;
    code = vector_column(statements->get_vector, 0, options->dimension, &vector, err);
    if (code == 0)
        code = put_row(statements->put_vector, chunk_key, vector,
                       options->dimension * sizeof(float), false, err);
    sqlite3_reset(statements->get_vector);
    return code;
}

static int put_chunk(struct vector_sqlite *sqlite, const struct vector_upload_options *options,
                     int64_t upload_key, int64_t document_upload, const struct vector_chunk *chunk,
                     struct error *err)
{
    struct vector_writer *statements = sqlite->statements;
    int64_t key = vector_chunk_key(upload_key, chunk->ordinal);
    int code = chunk->vector != NULL
                   ? put_row(statements->put_vector, key, chunk->vector,
                             options->dimension * sizeof(float), false, err)
                   : copy_vector(sqlite, options, document_upload, chunk, key, err);
    if (code == 0)
        code = put_row(statements->put_text, key, chunk->text, chunk->text_size, true, err);
    if (code != 0)
        return code;
    sqlite3_bind_int64(statements->put_chunk, 1, key);
    sqlite3_bind_int64(statements->put_chunk, 2, upload_key);
    sqlite3_bind_blob(statements->put_chunk, 3, chunk->hash, VECTOR_HASH_SIZE, SQLITE_STATIC);
    bind_text(statements->put_chunk, 4, chunk->metadata);
    return sqlite_step_done(statements->put_chunk, err, write_failed);
}

/* Whether the committed upload has just this chunk. */
static int check_committed(struct vector_sqlite *sqlite,
                           const struct vector_upload_options *options, int64_t upload_key,
                           const struct vector_chunk *chunk, struct error *err)
{
    sqlite3_stmt *stmt = sqlite->statements->get_hash;
    sqlite3_bind_int64(stmt, 1, vector_chunk_key(upload_key, chunk->ordinal));
    int code = sqlite_step_row(stmt, err, write_failed);
    if (code < 0)
        return code;
    bool is_same = code == 1 && sqlite3_column_bytes(stmt, 0) == VECTOR_HASH_SIZE &&
                   memcmp(sqlite3_column_blob(stmt, 0), chunk->hash, VECTOR_HASH_SIZE) == 0;
    sqlite3_reset(stmt);
    return is_same ? 0 : vector_store_fail_committed(options->upload, err);
}

static int upload_chunks(struct vector_sqlite *sqlite, const struct vector_upload_options *options,
                         const struct vector_chunk *chunks, size_t count, struct error *err)
{
    struct vector_collection_row collection;
    struct document_row document = {0};
    struct upload_row upload;
    int code = get_fitting(sqlite, options, &collection, err);
    if (code == 1)
        code = get_document(sqlite, collection.collection_key, options->document, &document, err);
    if (code >= 0)
        code = open_upload(sqlite, options, &upload, err);
    for (size_t i = 0; code == 0 && i < count; i++)
        code = upload.is_committed
                   ? check_committed(sqlite, options, upload.upload_key, &chunks[i], err)
                   : put_chunk(sqlite, options, upload.upload_key, document.upload_key, &chunks[i],
                               err);
    if (code == 0)
        code = step_key_now(sqlite->statements->use_upload, upload.upload_key, err);
    return code;
}

int vector_sqlite_upload(struct vector_store *store, const struct vector_upload_options *options,
                         const struct vector_chunk *chunks, size_t count, struct error *err)
{
    struct vector_sqlite *sqlite = (struct vector_sqlite *)store;
    pthread_mutex_lock(&sqlite->writer_lock);
    int code = begin(sqlite, err);
    if (code == 0)
        code = finish(sqlite, upload_chunks(sqlite, options, chunks, count, err), err);
    pthread_mutex_unlock(&sqlite->writer_lock);
    return code;
}

/* ---- commit ---- */

/* A commit under way. */
struct commit {
    struct vector_sqlite *sqlite;
    const struct vector_upload_options *options;
    uint32_t chunk_count;
    const char *metadata;
    struct vector_collection_row collection;
    bool has_collection;
    struct vector_document *document; /* for the index; owned until it is there */
};

static int check_ordinals(struct commit *commit, int64_t upload_key, struct error *err)
{
    sqlite3_stmt *stmt = commit->sqlite->statements->count_chunks;
    sqlite3_bind_int64(stmt, 1, upload_key);
    int code = sqlite_step_row(stmt, err, write_failed);
    if (code < 0)
        return code;
    uint64_t count = code == 1 ? (uint64_t)sqlite3_column_int64(stmt, 0) : 0;
    uint32_t last = count > 0 ? vector_chunk_ordinal(sqlite3_column_int64(stmt, 1)) : 0;
    sqlite3_reset(stmt);
    if (count != commit->chunk_count || last != commit->chunk_count - 1)
        return vector_store_fail_ordinals(commit->options->upload, count, commit->chunk_count, err);
    return 0;
}

/* The collection, made where a document is to come. */
static int open_collection(struct commit *commit, struct error *err)
{
    const struct vector_upload_options *options = commit->options;
    int code = get_fitting(commit->sqlite, options, &commit->collection, err);
    if (code == 0 && commit->chunk_count > 0) {
        sqlite3_stmt *stmt = commit->sqlite->statements->add_collection;
        bind_text(stmt, 1, options->collection);
        bind_text(stmt, 2, options->model);
        sqlite3_bind_int64(stmt, 3, options->dimension);
        code = sqlite_step_done(stmt, err, write_failed);
        if (code == 0)
            code = get_collection(commit->sqlite, options->collection, &commit->collection, err);
    }
    if (code < 0)
        return code;
    commit->has_collection = code == 1;
    return 0;
}

static int count_collection(struct commit *commit, int64_t documents, int64_t chunks,
                            struct error *err)
{
    sqlite3_stmt *stmt = commit->sqlite->statements->count_collection;
    sqlite3_bind_int64(stmt, 2, documents);
    sqlite3_bind_int64(stmt, 3, chunks);
    commit->collection.document_count += (uint64_t)documents;
    commit->collection.chunk_count += (uint64_t)chunks;
    return step_key(stmt, commit->collection.collection_key, err);
}

/* Takes the document's present version away, if there is one. */
static int remove_version(struct commit *commit, struct error *err)
{
    struct vector_writer *statements = commit->sqlite->statements;
    struct document_row row;
    int64_t key = commit->collection.collection_key;
    int code = get_document(commit->sqlite, key, commit->options->document, &row, err);
    if (code != 1)
        return code;
    code = step_key(statements->discard, row.upload_key, err);
    if (code == 0)
        code = count_collection(commit, -1, -row.chunk_count, err);
    bind_text(statements->delete_document, 2, commit->options->document);
    return code == 0 ? step_key(statements->delete_document, key, err) : code;
}

static int add_version(struct commit *commit, int64_t upload_key, struct error *err)
{
    sqlite3_stmt *stmt = commit->sqlite->statements->put_document;
    bind_text(stmt, 2, commit->options->document);
    sqlite3_bind_int64(stmt, 3, upload_key);
    sqlite3_bind_int64(stmt, 4, commit->chunk_count);
    bind_text(stmt, 5, commit->metadata);
    int code = step_key(stmt, commit->collection.collection_key, err);
    return code == 0 ? count_collection(commit, 1, commit->chunk_count, err) : code;
}

/* The new version for the index, where the collection is in memory. Nobody but a writer changes
 * which collections are. */
static int prepare_index(struct commit *commit, int64_t upload_key, struct error *err)
{
    const struct vector_resident *resident =
        vector_resident_find(commit->sqlite, commit->collection.collection_key);
    if (resident == NULL || resident->index == NULL)
        return 0;
    const struct vector_document_row row = {.name = commit->options->document,
                                            .metadata = commit->metadata,
                                            .upload_key = upload_key,
                                            .chunk_count = commit->chunk_count};
    return vector_document_load(commit->sqlite->statements->rows, &row, commit->options->dimension,
                                &commit->document, err);
}

/* 1 when the upload is committed already. */
static int write_commit(struct commit *commit, struct error *err)
{
    struct vector_writer *statements = commit->sqlite->statements;
    struct upload_row upload;
    int code = open_upload(commit->sqlite, commit->options, &upload, err);
    if (code == 0 && upload.is_committed)
        return 1;
    if (code == 0 && commit->chunk_count > 0)
        code = check_ordinals(commit, upload.upload_key, err);
    if (code == 0)
        code = open_collection(commit, err);
    if (code == 0 && commit->has_collection)
        code = remove_version(commit, err);
    if (code == 0)
        code = commit->chunk_count > 0 ? add_version(commit, upload.upload_key, err)
                                       : step_key(statements->discard, upload.upload_key, err);
    if (code == 0)
        code = step_key_now(statements->commit_upload, upload.upload_key, err);
    if (code == 0 && commit->chunk_count > 0)
        code = prepare_index(commit, upload.upload_key, err);
    return code;
}

static int run_commit(struct commit *commit, struct error *err)
{
    struct vector_sqlite *sqlite = commit->sqlite;
    int code = begin(sqlite, err);
    if (code != 0)
        return code;
    code = write_commit(commit, err);
    if (code != 0) {
        finish(sqlite, code < 0 ? code : ERR_EXISTS, NULL);
        return code < 0 ? code : 0;
    }
    pthread_rwlock_wrlock(&sqlite->lock);
    code = finish(sqlite, 0, err);
    if (code == 0 && commit->has_collection) {
        vector_resident_update(sqlite, &commit->collection, commit->options->document,
                               commit->document);
        commit->document = NULL;
    }
    pthread_rwlock_unlock(&sqlite->lock);
    return code;
}

int vector_sqlite_commit(struct vector_store *store, const struct vector_upload_options *options,
                         uint32_t chunk_count, const char *metadata, struct error *err)
{
    struct vector_sqlite *sqlite = (struct vector_sqlite *)store;
    struct commit commit = {
        .sqlite = sqlite, .options = options, .chunk_count = chunk_count, .metadata = metadata};
    pthread_mutex_lock(&sqlite->writer_lock);
    int code = run_commit(&commit, err);
    pthread_mutex_unlock(&sqlite->writer_lock);
    vector_document_destroy(commit.document);
    if (code == 0)
        vector_sweeper_wake(sqlite);
    return code;
}

/* ---- delete ---- */

static int delete_rows(struct vector_sqlite *sqlite, const struct vector_collection_row *row,
                       struct error *err)
{
    struct vector_writer *statements = sqlite->statements;
    bind_text(statements->discard_collection, 1, row->name);
    int code = sqlite_step_done(statements->discard_collection, err, write_failed);
    bind_text(statements->delete_uploads, 1, row->name);
    if (code == 0)
        code = sqlite_step_done(statements->delete_uploads, err, write_failed);
    if (code == 0)
        code = step_key(statements->delete_documents, row->collection_key, err);
    return code == 0 ? step_key(statements->delete_collection, row->collection_key, err) : code;
}

/* Names of collections for an error. */
static int fail_unknown(struct vector_sqlite *sqlite, const char *name, struct error *err)
{
    struct vector_reader *reader;
    struct vector_collection_row row;
    int code = vector_reader_take(sqlite, &reader, err);
    if (code != 0)
        return code;
    code = vector_reader_collection(reader, name, &row, err);
    vector_reader_release(sqlite, reader);
    return code;
}

static int run_delete(struct vector_sqlite *sqlite, const char *name, struct error *err)
{
    struct vector_collection_row row;
    int code = begin(sqlite, err);
    if (code != 0)
        return code;
    code = get_collection(sqlite, name, &row, err);
    if (code != 1) {
        finish(sqlite, code < 0 ? code : ERR_NOT_FOUND, NULL);
        return code < 0 ? code : fail_unknown(sqlite, name, err);
    }
    code = delete_rows(sqlite, &row, err);
    pthread_rwlock_wrlock(&sqlite->lock);
    code = finish(sqlite, code, err);
    if (code == 0)
        vector_resident_remove(sqlite, row.collection_key);
    pthread_rwlock_unlock(&sqlite->lock);
    return code;
}

int vector_sqlite_collection_delete(struct vector_store *store, const char *collection,
                                    struct error *err)
{
    struct vector_sqlite *sqlite = (struct vector_sqlite *)store;
    pthread_mutex_lock(&sqlite->writer_lock);
    int code = run_delete(sqlite, collection, err);
    pthread_mutex_unlock(&sqlite->writer_lock);
    if (code == 0)
        vector_sweeper_wake(sqlite);
    return code;
}

/* ---- statements ---- */

int vector_writer_open(struct vector_sqlite *sqlite, struct error *err)
{
    sqlite->statements = calloc(1, sizeof *sqlite->statements);
    if (sqlite->statements == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a vector store");
    sqlite3_stmt **statements = (sqlite3_stmt **)sqlite->statements;
    int code = 0;
    for (size_t i = 0; code == 0 && i < STATEMENT_COUNT; i++)
        code = sqlite_prepare(sqlite->writer, statement_sql[i], &statements[i], err);
    return code;
}

void vector_writer_close(struct vector_sqlite *sqlite)
{
    sqlite3_stmt **statements = (sqlite3_stmt **)sqlite->statements;
    for (size_t i = 0; statements != NULL && i < STATEMENT_COUNT; i++)
        sqlite3_finalize(statements[i]);
    free(statements);
}
