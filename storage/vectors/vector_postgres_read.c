/* SPDX-License-Identifier: Apache-2.0 */
/* vector_postgres_read: contents, hashes and collections of the PostgreSQL store. Threading:
 * vector_store_postgres.c. */
#include <inttypes.h>
#include <string.h>

#include "storage/vectors/vector_postgres.h"

/* ---- contents ---- */

static int query_contents(const struct vector_task *task, const struct vector_hit *hits,
                          size_t count, PGresult **ret_result)
{
    struct postgres_parameters parameters = {0};
    struct buffer keys = {0};
    buffer_append_byte(&keys, '{');
    for (size_t i = 0; i < count; i++)
        buffer_printf(&keys, "%s%" PRId64, i > 0 ? "," : "", hits[i].chunk_key);
    buffer_append_byte(&keys, '}');
    postgres_add_text(&parameters, buffer_text(&keys));
    parameters.failed |= keys.failed;
    int code = vector_task_execute(task, GET_CONTENTS, &parameters, ret_result);
    buffer_fini(&keys);
    return code;
}

/* The row of a key; -1 when it is not there. */
static int find_row(const PGresult *result, int64_t chunk_key)
{
    for (int row = 0; row < PQntuples(result); row++) {
        if (postgres_integer(result, row, 0) == chunk_key)
            return row;
    }
    return -1;
}

/* As vector_reader_contents. */
int vector_task_contents(const struct vector_task *task, struct vector_hit *hits, size_t count,
                         size_t content_size, size_t filled_min, struct arena *arena,
                         size_t *ret_filled)
{
    PGresult *result;
    size_t filled = 0, used = 0;
    int code = query_contents(task, hits, count, &result);
    if (code != 0)
        return code;
    for (; code == 0 && filled < count; filled++) {
        struct vector_hit *hit = &hits[filled];
        int row = find_row(result, hit->chunk_key);
        if (row < 0) {
            code = error_set(task->err, ERR_ABORTED, "a document was replaced: search again");
            break;
        }
        size_t size = (size_t)PQgetlength(result, row, 1) + (size_t)PQgetlength(result, row, 2) +
                      (size_t)PQgetlength(result, row, 3);
        if (filled >= filled_min && used + size > content_size)
            break;
        used += size;
        code = vector_metadata_merge(postgres_text(result, row, 3), postgres_text(result, row, 2),
                                     arena, &hit->metadata, task->err);
        hit->text = arena_strdup(arena, postgres_text(result, row, 1));
        if (code == 0 && hit->text == NULL)
            code = error_set(task->err, ERR_LIMIT, "no room for a text");
    }
    PQclear(result);
    if (code == 0)
        *ret_filled = filled;
    return code;
}

struct contents_work {
    struct vector_postgres *postgres;
    struct vector_hit *hits;
    size_t count;
    size_t content_size;
    struct arena *arena;
    size_t filled;
};

static int contents_work(struct postgres_connection *connection, void *context, struct error *err)
{
    struct contents_work *work = context;
    const struct vector_task task = {work->postgres, connection, err};
    return vector_task_contents(&task, work->hits, work->count, work->content_size, 1, work->arena,
                                &work->filled);
}

int vector_postgres_contents(struct vector_store *store, struct vector_hit *hits, size_t count,
                             size_t content_size, struct arena *arena, size_t *ret_filled,
                             struct error *err)
{
    struct vector_postgres *postgres = (struct vector_postgres *)store;
    struct contents_work work = {.postgres = postgres,
                                 .hits = hits,
                                 .count = count,
                                 .content_size = content_size,
                                 .arena = arena};
    int code = vector_postgres_transact(postgres, VECTOR_BEGIN_READ, contents_work, &work, err);
    if (code == 0)
        *ret_filled = work.filled;
    return code;
}

/* ---- hashes, collections ---- */

struct list_work {
    struct vector_postgres *postgres;
    enum vector_statement statement;
    const char *texts[2];
    size_t text_count;
    const void *bytes; /* NULL: none */
    size_t byte_count;
    size_t limit;
    PGresult *result;
};

/* A listing whose parameters are texts, bytes and a limit, in this order. */
static int list_work(struct postgres_connection *connection, void *context, struct error *err)
{
    struct list_work *work = context;
    const struct vector_task task = {work->postgres, connection, err};
    struct postgres_parameters parameters = {0};
    for (size_t i = 0; i < work->text_count; i++)
        postgres_add_text(&parameters, work->texts[i]);
    if (work->bytes != NULL)
        postgres_add_bytes(&parameters, work->bytes, work->byte_count);
    postgres_add_integer(&parameters, (int64_t)work->limit);
    PQclear(work->result);
    work->result = NULL;
    return vector_task_execute(&task, work->statement, &parameters, &work->result);
}

int vector_postgres_hashes(struct vector_store *store, const char *collection, const char *document,
                           const uint8_t *after, size_t limit, struct arena *arena,
                           const uint8_t (**ret_hashes)[VECTOR_HASH_SIZE], size_t *ret_count,
                           struct error *err)
{
    struct vector_postgres *postgres = (struct vector_postgres *)store;
    struct list_work work = {.postgres = postgres,
                             .statement = LIST_HASHES,
                             .texts = {collection, document},
                             .text_count = 2,
                             .bytes = after != NULL ? (const void *)after : "",
                             .byte_count = after != NULL ? VECTOR_HASH_SIZE : 0,
                             .limit = limit};
    int code = vector_postgres_transact(postgres, VECTOR_BEGIN_READ, list_work, &work, err);
    size_t count = code == 0 ? (size_t)PQntuples(work.result) : 0;
    uint8_t(*hashes)[VECTOR_HASH_SIZE] = arena_alloc(arena, count * sizeof *hashes);
    if (code == 0 && hashes == NULL)
        code = error_set(err, ERR_LIMIT, "no room for %zu hashes", count);
    for (size_t i = 0; code == 0 && i < count; i++) {
        if (PQgetlength(work.result, (int)i, 0) != VECTOR_HASH_SIZE)
            code = error_set(err, ERR_CORRUPT, "a stored hash has another size");
        else
            memcpy(hashes[i], PQgetvalue(work.result, (int)i, 0), VECTOR_HASH_SIZE);
    }
    PQclear(work.result);
    if (code != 0)
        return code;
    *ret_hashes = (const uint8_t(*)[VECTOR_HASH_SIZE])hashes;
    *ret_count = count;
    return 0;
}

int vector_postgres_collections(struct vector_store *store, const char *after, size_t limit,
                                struct arena *arena, struct vector_collection **ret_collections,
                                size_t *ret_count, struct error *err)
{
    struct vector_postgres *postgres = (struct vector_postgres *)store;
    struct list_work work = {.postgres = postgres,
                             .statement = LIST_COLLECTIONS,
                             .texts = {after},
                             .text_count = 1,
                             .limit = limit};
    int code = vector_postgres_transact(postgres, VECTOR_BEGIN_READ, list_work, &work, err);
    size_t count = code == 0 ? (size_t)PQntuples(work.result) : 0;
    struct vector_collection *collections = arena_calloc(arena, count, sizeof *collections);
    if (code == 0 && collections == NULL)
        code = error_set(err, ERR_LIMIT, "no room for %zu collections", count);
    for (size_t i = 0; code == 0 && i < count; i++) {
        int row = (int)i;
        collections[i] = (struct vector_collection){
            .name = arena_strdup(arena, postgres_text(work.result, row, 1)),
            .model = arena_strdup(arena, postgres_text(work.result, row, 2)),
            .dimension = (uint32_t)postgres_integer(work.result, row, 3),
            .document_count = (uint64_t)postgres_integer(work.result, row, 4),
            .chunk_count = (uint64_t)postgres_integer(work.result, row, 5)};
        if (collections[i].name == NULL || collections[i].model == NULL)
            code = error_set(err, ERR_LIMIT, "no room for %zu collections", count);
    }
    PQclear(work.result);
    if (code != 0)
        return code;
    *ret_collections = collections;
    *ret_count = count;
    return 0;
}
