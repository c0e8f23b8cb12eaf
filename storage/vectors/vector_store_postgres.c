/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_store_postgres: the vector store in a PostgreSQL server with pgvector, in its schema
 * "argosy". The tables are those of the SQLite file (vector_file.h), but that a replaced version's
 * chunks go in the commit.
 *
 * Searches are exact: no approximate index. The server sorts by distances that it computes in
 * floats; all rows whose distance is within the rounding of the k-th's are fetched and scored here,
 * so that scores and order are those of the SQLite store, bit for bit.
 *
 * Threading: any thread, several at once, each call on a connection of its own.
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "storage/vectors/vector_postgres.h"

#define SCHEMA_VERSION 1

/* Collections that an unknown name is compared with. */
#define NAMES_MAX 256

#define COLLECTION_COLUMNS                                                                         \
    "SELECT collection_key, name, model, dimension, document_count, chunk_count"                   \
    " FROM argosy.collection "
#define CHUNK_COLUMNS                                                                              \
    "INSERT INTO argosy.chunk (chunk_key, upload_key, hash, metadata, facts, content, embedding) "
#define CHUNK_REPLACE                                                                              \
    " ON CONFLICT (chunk_key) DO UPDATE SET hash = excluded.hash, metadata = excluded.metadata,"   \
    " facts = excluded.facts, content = excluded.content, embedding = excluded.embedding"

static const char *const statements[VECTOR_STATEMENT_COUNT] = {
    [GET_COLLECTION] = COLLECTION_COLUMNS "WHERE name = $1",
    [LOCK_COLLECTION] = COLLECTION_COLUMNS "WHERE name = $1 FOR UPDATE",
    [ADD_COLLECTION] = "INSERT INTO argosy.collection"
                       " (name, model, dimension, document_count, chunk_count)"
                       " VALUES ($1, $2, $3, 0, 0) ON CONFLICT DO NOTHING",
    [COUNT_COLLECTION] = "UPDATE argosy.collection SET document_count = document_count + $2,"
                         " chunk_count = chunk_count + $3 WHERE collection_key = $1",
    [DELETE_COLLECTION] = "DELETE FROM argosy.collection WHERE collection_key = $1",
    [LIST_COLLECTIONS] = COLLECTION_COLUMNS "WHERE name > $1 ORDER BY name LIMIT $2",
    [GET_DOCUMENT] = "SELECT upload_key, chunk_count FROM argosy.document"
                     " WHERE collection_key = $1 AND name = $2",
    [PUT_DOCUMENT] = "INSERT INTO argosy.document"
                     " (collection_key, name, upload_key, chunk_count, metadata, facts)"
                     " VALUES ($1, $2, $3, $4, $5::text, $5::text::jsonb)",
    [DELETE_DOCUMENT] = "DELETE FROM argosy.document WHERE collection_key = $1 AND name = $2",
    [DELETE_DOCUMENTS] = "DELETE FROM argosy.document WHERE collection_key = $1",
    [ADD_UPLOAD] = "INSERT INTO argosy.upload"
                   " (collection, document, name, model, dimension, is_committed, used_utc_us)"
                   " VALUES ($1, $2, $3, $4, $5, 0, $6) ON CONFLICT DO NOTHING",
    [GET_UPLOAD] = "SELECT upload_key, model, dimension, is_committed FROM argosy.upload"
                   " WHERE collection = $1 AND document = $2 AND name = $3 FOR UPDATE",
    [USE_UPLOAD] = "UPDATE argosy.upload SET used_utc_us = $2 WHERE upload_key = $1",
    [COMMIT_UPLOAD] =
        "UPDATE argosy.upload SET is_committed = 1, used_utc_us = $2 WHERE upload_key = $1",
    [DELETE_UPLOADS] = "DELETE FROM argosy.upload WHERE collection = $1",
    [PRUNE_CHUNKS] = "DELETE FROM argosy.chunk WHERE upload_key IN (SELECT upload_key"
                     " FROM argosy.upload WHERE used_utc_us < $1 AND is_committed = 0)",
    [PRUNE_UPLOADS] =
        "DELETE FROM argosy.upload WHERE used_utc_us < $1 AND NOT EXISTS"
        " (SELECT 1 FROM argosy.document WHERE document.upload_key = upload.upload_key)",
    [COUNT_CHUNKS] = "SELECT count(*), max(chunk_key) FROM argosy.chunk WHERE upload_key = $1",
    [GET_HASH] = "SELECT hash FROM argosy.chunk WHERE chunk_key = $1",
    [PUT_CHUNK] = CHUNK_COLUMNS
    "VALUES ($1, $2, $3, $4::text, $4::text::jsonb, $5, $6::vector)" CHUNK_REPLACE,
    [COPY_CHUNK] = CHUNK_COLUMNS "SELECT $1, $2, $3, $4::text, $4::text::jsonb, $5, embedding"
                                 " FROM argosy.chunk WHERE upload_key = $6 AND hash = $3"
                                 " LIMIT 1" CHUNK_REPLACE,
    [DELETE_CHUNKS] = "DELETE FROM argosy.chunk WHERE upload_key = $1",
    [DELETE_ALL_CHUNKS] = "DELETE FROM argosy.chunk WHERE upload_key IN"
                          " (SELECT upload_key FROM argosy.upload WHERE collection = $1)",
    [LIST_HASHES] = "SELECT DISTINCT hash FROM argosy.chunk WHERE upload_key ="
                    " (SELECT upload_key FROM argosy.document JOIN argosy.collection"
                    "  USING (collection_key) WHERE collection.name = $1 AND document.name = $2)"
                    " AND hash > $3 ORDER BY hash LIMIT $4",
    [GET_CONTENTS] = "SELECT chunk_key, content, chunk.metadata, document.metadata"
                     " FROM argosy.chunk JOIN argosy.document USING (upload_key)"
                     " WHERE chunk_key = ANY ($1::bigint[])",
};

/* Names are compared by their bytes, everywhere. */
static const char schema_sql[] = "CREATE SCHEMA argosy;"
                                 "CREATE TABLE argosy.vector_store (version bigint NOT NULL);"
                                 "CREATE TABLE argosy.collection ("
                                 "  collection_key bigserial PRIMARY KEY,"
                                 "  name text COLLATE \"C\" NOT NULL UNIQUE,"
                                 "  model text COLLATE \"C\" NOT NULL,"
                                 "  dimension bigint NOT NULL,"
                                 "  document_count bigint NOT NULL,"
                                 "  chunk_count bigint NOT NULL);"
                                 "CREATE TABLE argosy.document ("
                                 "  collection_key bigint NOT NULL,"
                                 "  name text COLLATE \"C\" NOT NULL,"
                                 "  upload_key bigint NOT NULL UNIQUE,"
                                 "  chunk_count bigint NOT NULL,"
                                 "  metadata text,"
                                 "  facts jsonb,"
                                 "  PRIMARY KEY (collection_key, name));"
                                 "CREATE TABLE argosy.upload ("
                                 "  upload_key bigserial PRIMARY KEY,"
                                 "  collection text COLLATE \"C\" NOT NULL,"
                                 "  document text COLLATE \"C\" NOT NULL,"
                                 "  name text COLLATE \"C\" NOT NULL,"
                                 "  model text COLLATE \"C\" NOT NULL,"
                                 "  dimension bigint NOT NULL,"
                                 "  is_committed bigint NOT NULL,"
                                 "  used_utc_us bigint NOT NULL,"
                                 "  UNIQUE (collection, document, name));"
                                 "CREATE TABLE argosy.chunk ("
                                 "  chunk_key bigint PRIMARY KEY,"
                                 "  upload_key bigint NOT NULL,"
                                 "  hash bytea NOT NULL,"
                                 "  metadata text,"
                                 "  facts jsonb,"
                                 "  content text NOT NULL,"
                                 "  embedding vector NOT NULL);"
                                 "CREATE INDEX chunk_hash ON argosy.chunk (upload_key, hash);"
                                 "INSERT INTO argosy.vector_store VALUES (1)";

/* ---- tasks ---- */

int vector_task_execute(const struct vector_task *task, enum vector_statement statement,
                        struct postgres_parameters *parameters, PGresult **ret_result)
{
    return postgres_execute(&task->postgres->pool, task->connection, statement, NULL, parameters,
                            ret_result, task->err);
}

int vector_task_check_fit(const struct vector_task *task, const char *collection, const char *model,
                          uint32_t dimension, const char *wanted_model, uint32_t wanted_dimension)
{
    if (strcmp(model, wanted_model) != 0)
        return vector_store_fail_model(collection, model, wanted_model, task->err);
    if (dimension != wanted_dimension)
        return vector_store_fail_dimension(collection, dimension, wanted_dimension, task->err);
    return 0;
}

int vector_task_collection(const struct vector_task *task, enum vector_statement statement,
                           const char *name, const char *model, uint32_t dimension,
                           int64_t *ret_key)
{
    struct postgres_parameters parameters = {0};
    PGresult *result;
    postgres_add_text(&parameters, name);
    int code = vector_task_execute(task, statement, &parameters, &result);
    if (code != 0)
        return code;
    if (PQntuples(result) == 1) {
        code = vector_task_check_fit(task, name, postgres_text(result, 0, 2),
                                     (uint32_t)postgres_integer(result, 0, 3), model, dimension);
        if (code == 0) {
            *ret_key = postgres_integer(result, 0, 0);
            code = 1;
        }
    }
    PQclear(result);
    return code;
}

int vector_task_fail_unknown(const struct vector_task *task, const char *name)
{
    struct postgres_parameters parameters = {0};
    const char *names[NAMES_MAX];
    PGresult *result;
    postgres_add_text(&parameters, "");
    postgres_add_integer(&parameters, NAMES_MAX);
    int code = vector_task_execute(task, LIST_COLLECTIONS, &parameters, &result);
    if (code != 0)
        return code;
    int count = PQntuples(result);
    for (int i = 0; i < count; i++)
        names[i] = postgres_text(result, i, 1);
    code = vector_store_fail_collection(name, names, (size_t)count, task->err);
    PQclear(result);
    return code;
}

/* ---- opening ---- */

static int run_sql(const struct vector_task *task, const char *sql, PGresult **ret_result)
{
    struct postgres_parameters none = {0};
    return postgres_execute(&task->postgres->pool, task->connection, 0, sql, &none, ret_result,
                            task->err);
}

/* Several statements at once cannot have binary results: one after the other. */
static int create_schema(const struct vector_task *task)
{
    char *copy = strdup(schema_sql), *rest = copy;
    int code = copy != NULL ? run_sql(task, "CREATE EXTENSION IF NOT EXISTS vector", NULL)
                            : error_set(task->err, ERR_MEMORY, "no memory for a schema");
    for (char *sql; code == 0 && (sql = strsep(&rest, ";")) != NULL;)
        code = run_sql(task, sql, NULL);
    free(copy);
    return code;
}

static int check_schema(const struct vector_task *task)
{
    PGresult *result;
    int code = run_sql(task, "SELECT version FROM argosy.vector_store", &result);
    if (code != 0)
        return code;
    int64_t version = PQntuples(result) == 1 ? postgres_integer(result, 0, 0) : 0;
    PQclear(result);
    if (version != SCHEMA_VERSION)
        return error_set(task->err, ERR_UNSUPPORTED,
                         "PostgreSQL: schema argosy has version %" PRId64 ", this Argosy knows %d",
                         version, SCHEMA_VERSION);
    return 0;
}

static int open_work(struct postgres_connection *connection, void *context, struct error *err)
{
    const struct vector_task task = {context, connection, err};
    PGresult *result;
    /* Of two that open an empty database one waits here. */
    int code = run_sql(&task, "SELECT pg_advisory_xact_lock(4739264)", NULL);
    if (code == 0)
        code = run_sql(&task,
                       "SELECT current_setting('server_encoding'),"
                       " to_regclass('argosy.vector_store')::text",
                       &result);
    if (code != 0)
        return code;
    bool is_there = !PQgetisnull(result, 0, 1);
    if (strcmp(postgres_text(result, 0, 0), "UTF8") != 0)
        code =
            error_set(err, ERR_UNSUPPORTED, "PostgreSQL: the database's encoding is %s, not UTF8",
                      postgres_text(result, 0, 0));
    PQclear(result);
    if (code == 0)
        code = is_there ? check_schema(&task) : create_schema(&task);
    return code;
}

static int open_schema(struct vector_postgres *postgres, struct error *err)
{
    int code = postgres_transact(&postgres->pool, VECTOR_BEGIN_WRITE, open_work, postgres, err);
    if (code == 0)
        atomic_store(&postgres->is_open, true);
    return code;
}

int vector_postgres_transact(struct vector_postgres *postgres, const char *begin,
                             postgres_work_fn *work, void *context, struct error *err)
{
    int code = atomic_load(&postgres->is_open) ? 0 : open_schema(postgres, err);
    return code == 0 ? postgres_transact(&postgres->pool, begin, work, context, err) : code;
}

static void postgres_close(struct vector_store *store)
{
    struct vector_postgres *postgres = (struct vector_postgres *)store;
    postgres_pool_fini(&postgres->pool);
    free(postgres);
}

static const struct vector_store_ops postgres_ops = {
    .close = postgres_close,
    .hashes = vector_postgres_hashes,
    .upload = vector_postgres_upload,
    .commit = vector_postgres_commit,
    .search = vector_postgres_search,
    .contents = vector_postgres_contents,
    .collections = vector_postgres_collections,
    .collection_delete = vector_postgres_collection_delete,
};

int vector_store_postgres_open(const struct vector_store_options *options,
                               struct vector_store **ret_store, struct error *err)
{
    struct vector_postgres *postgres = calloc(1, sizeof *postgres);
    if (postgres == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a vector store");
    postgres->store.ops = &postgres_ops;
    postgres_pool_init(&postgres->pool, options->address, options->password_file, statements,
                       VECTOR_STATEMENT_COUNT);
    struct error reason = {0};
    int code = open_schema(postgres, &reason);
    if (code == ERR_UNAVAILABLE) {
        /* The first call that needs it tries again. */
        char quoted[ERROR_TEXT_MAX + 64];
        log_warn("vectors.unavailable", "reason=%s", log_quote(reason.text, quoted, sizeof quoted));
        code = 0;
    }
    if (code != 0) {
        error_set(err, code, "%s", reason.text);
        postgres_close(&postgres->store);
        return code;
    }
    *ret_store = &postgres->store;
    return 0;
}
