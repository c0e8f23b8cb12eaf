/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_postgres_search: exact nearest neighbours in PostgreSQL. There is no approximate index:
 * the server computes the distance of every chunk, in floats. Those whose distance is within the
 * rounding of the k-th's are scored here as in every store (vector_math.h), so that scores and
 * order have the same bits.
 *
 * Mostly the first k and a few more show where the k-th's rounding ends. Where they do not (many
 * chunks that are alike) a cursor goes over all that are near enough, a page at a time: memory is
 * bounded whatever the data.
 *
 * Threading: vector_store_postgres.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/vectors/vector_postgres.h"
#include "storage/vectors/vector_postgres_filter.h"

/* Neighbours asked for beyond k. */
#define SURPLUS 16

/* Rows of a page: 2 MiB of 384 values each. */
#define PAGE_ROWS 1024

#define NAME_SIZE (VECTOR_NAME_MAX + 1)

/* A row with its exact score. */
struct ranked {
    struct vector_hit hit; /* document points to name */
    char name[NAME_SIZE];
};

struct search_work {
    struct vector_postgres *postgres;
    const struct vector_store_query *query;
    size_t content_size;
    struct arena *arena;
    struct vector_hit *hits;
    size_t count;
};

/* The best rows so far. */
struct ranking {
    const struct vector_store_query *query;
    float *vector;
    struct ranked *rows; /* room for k and a page */
    size_t count;
};

/* How far the server's distance may be from the exact one: the rounding of a sum of floats
 * (vector_math.h), doubled for orders of summation that we do not know. */
static double distance_error(uint32_t dimension)
{
    return 2.002 * (dimension + 2) * 0x1p-24;
}

/* ---- ranking ---- */

static void ranking_fini(struct ranking *ranking)
{
    free(ranking->vector);
    free(ranking->rows);
}

static int ranking_init(struct ranking *ranking, const struct vector_store_query *query,
                        struct error *err)
{
    *ranking = (struct ranking){.query = query};
    ranking->vector = malloc(query->dimension * sizeof *ranking->vector);
    ranking->rows = malloc((query->neighbour_count + PAGE_ROWS) * sizeof *ranking->rows);
    if (ranking->vector != NULL && ranking->rows != NULL)
        return 0;
    ranking_fini(ranking);
    return error_set(err, ERR_MEMORY, "no memory for a search");
}

static int compare_ranked(const void *a, const void *b)
{
    const struct ranked *left = a, *right = b;
    struct vector_hit left_hit = left->hit, right_hit = right->hit;
    left_hit.document = left->name;
    right_hit.document = right->name;
    return vector_hit_compare(&left_hit, &right_hit);
}

/* Scores a page of rows and keeps the k best. */
static int rank_rows(struct ranking *ranking, const PGresult *result, struct error *err)
{
    const struct vector_store_query *query = ranking->query;
    for (int row = 0; row < PQntuples(result); row++) {
        if (!postgres_vector(result, row, 2, query->dimension, ranking->vector))
            return error_set(err, ERR_CORRUPT, "a stored vector has another dimension");
        struct ranked *ranked = &ranking->rows[ranking->count++];
        int64_t key = postgres_integer(result, row, 0);
        ranked->hit = (struct vector_hit){
            .chunk_key = key,
            .score = vector_score(ranking->vector, query->vector, query->dimension),
            .ordinal = vector_chunk_ordinal(key)};
        snprintf(ranked->name, sizeof ranked->name, "%s", postgres_text(result, row, 1));
    }
    qsort(ranking->rows, ranking->count, sizeof *ranking->rows, compare_ranked);
    if (ranking->count > query->neighbour_count)
        ranking->count = query->neighbour_count;
    return 0;
}

/* ---- candidates ---- */

/* Chunks that pass the filter, with their distances; sql goes on. */
static void append_select(const struct vector_store_query *query, int64_t collection_key,
                          struct buffer *sql, struct postgres_parameters *parameters)
{
    postgres_add_vector(parameters, query->vector, query->dimension);
    postgres_add_integer(parameters, collection_key);
    buffer_append_text(sql, "SELECT chunk.chunk_key, document.name, chunk.embedding,"
                            " chunk.embedding <#> $1::vector AS distance"
                            " FROM argosy.chunk JOIN argosy.document USING (upload_key)"
                            " WHERE document.collection_key = $2::bigint");
    if (query->filter != NULL)
        vector_postgres_filter(query->filter, sql, parameters);
}

/* Runs sql and frees it. */
static int execute_sql(const struct vector_task *task, struct buffer *sql,
                       struct postgres_parameters *parameters, PGresult **ret_result)
{
    const char *text = buffer_text(sql);
    parameters->failed |= sql->failed;
    int code = postgres_execute(&task->postgres->pool, task->connection, 0, text, parameters,
                                ret_result, task->err);
    buffer_fini(sql);
    return code;
}

/* The first by distance. */
static int query_nearest(const struct vector_task *task, const struct vector_store_query *query,
                         int64_t collection_key, int limit, PGresult **ret_result)
{
    struct postgres_parameters parameters = {0};
    struct buffer sql = {0};
    append_select(query, collection_key, &sql, &parameters);
    buffer_printf(&sql, " ORDER BY distance LIMIT %d", limit);
    return execute_sql(task, &sql, &parameters, ret_result);
}

/* All of at most that distance, page by page. The cursor ends with the transaction. */
static int rank_within(const struct vector_task *task, struct ranking *ranking,
                       int64_t collection_key, double distance_max)
{
    struct postgres_parameters parameters = {0};
    struct buffer sql = {0};
    buffer_append_text(&sql, "DECLARE near NO SCROLL CURSOR FOR ");
    append_select(ranking->query, collection_key, &sql, &parameters);
    postgres_add_double(&parameters, distance_max);
    buffer_printf(&sql, " AND chunk.embedding <#> $1::vector <= $%d::float8", parameters.count);
    int code = execute_sql(task, &sql, &parameters, NULL);
    for (int rows = PAGE_ROWS; code == 0 && rows == PAGE_ROWS;) {
        struct postgres_parameters none = {0};
        struct buffer fetch = {0};
        PGresult *result;
        buffer_printf(&fetch, "FETCH %d FROM near", PAGE_ROWS);
        code = execute_sql(task, &fetch, &none, &result);
        if (code != 0)
            return code;
        rows = PQntuples(result);
        code = rank_rows(ranking, result, task->err);
        PQclear(result);
    }
    return code;
}

/* The k best, ties included in the choice. */
static int rank_nearest(const struct vector_task *task, struct ranking *ranking,
                        int64_t collection_key)
{
    const struct vector_store_query *query = ranking->query;
    int k = (int)query->neighbour_count, limit = k + SURPLUS;
    PGresult *result;
    int code = query_nearest(task, query, collection_key, limit, &result);
    if (code != 0)
        return code;
    int count = PQntuples(result);
    double reach = count == limit
                       ? postgres_double(result, k - 1, 3) + 2 * distance_error(query->dimension)
                       : 0;
    bool is_all = count < limit || postgres_double(result, count - 1, 3) > reach;
    if (is_all)
        code = rank_rows(ranking, result, task->err);
    PQclear(result);
    return is_all ? code : rank_within(task, ranking, collection_key, reach);
}

/* ---- searching ---- */

static int copy_hits(struct search_work *work, const struct ranking *ranking, struct error *err)
{
    struct vector_hit *hits = arena_calloc(work->arena, ranking->count, sizeof *hits);
    if (hits == NULL)
        return error_set(err, ERR_LIMIT, "no room for the neighbours");
    for (size_t i = 0; i < ranking->count; i++) {
        hits[i] = ranking->rows[i].hit;
        hits[i].document = arena_strdup(work->arena, ranking->rows[i].name);
        if (hits[i].document == NULL)
            return error_set(err, ERR_LIMIT, "no room for the neighbours");
    }
    work->hits = hits;
    work->count = ranking->count;
    return 0;
}

static int search_work(struct postgres_connection *connection, void *context, struct error *err)
{
    struct search_work *work = context;
    const struct vector_store_query *query = work->query;
    const struct vector_task task = {work->postgres, connection, err};
    struct ranking ranking;
    int64_t collection_key;
    size_t filled;
    int code = vector_task_collection(&task, GET_COLLECTION, query->collection, query->model,
                                      query->dimension, &collection_key);
    if (code == 0)
        return vector_task_fail_unknown(&task, query->collection);
    if (code == 1)
        code = ranking_init(&ranking, query, err);
    if (code != 0)
        return code;
    code = rank_nearest(&task, &ranking, collection_key);
    if (code == 0)
        code = copy_hits(work, &ranking, err);
    ranking_fini(&ranking);
    if (code == 0 && work->count > 0)
        code = vector_task_contents(&task, work->hits, work->count, work->content_size, 0,
                                    work->arena, &filled);
    return code;
}

int vector_postgres_search(struct vector_store *store, const struct vector_store_query *query,
                           size_t content_size, struct arena *arena, struct vector_hit **ret_hits,
                           size_t *ret_count, struct error *err)
{
    struct search_work work = {.postgres = (struct vector_postgres *)store,
                               .query = query,
                               .content_size = content_size,
                               .arena = arena};
    int code = vector_postgres_transact(work.postgres, VECTOR_BEGIN_READ, search_work, &work, err);
    if (code != 0)
        return code;
    *ret_hits = work.hits;
    *ret_count = work.count;
    return 0;
}
