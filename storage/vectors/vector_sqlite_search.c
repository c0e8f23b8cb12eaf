/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_sqlite_search: exact nearest neighbours in the SQLite store, in two passes
 * (vector_segment.h): over the index in memory, or over the file where the collection does not fit;
 * then the exact scores of the candidates, whose vectors are read from the file.
 *
 * A search sees one state: it opens its snapshots of the file and scans the index under one lock.
 * Threading: vector_sqlite.h.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/vectors/vector_sqlite.h"

static const char search_failed[] = "could not search vectors";

/* A search under way. */
struct search {
    const struct vector_store_query *query;
    struct vector_scan scan;
    struct vector_collection_row row;
    struct vector_snapshot snapshot; /* one reader; one a thread for a stream */
    struct vector_collector collector;
};

/* ---- the first pass, in a file ---- */

/* A scan of the file that threads share. */
struct stream {
    const struct search *search;
    struct vector_collector collectors[PARALLEL_THREADS_MAX];
};

/* Reads and scans one document, a segment at a time. */
static int stream_document(struct stream *stream, const struct vector_document_row *row,
                           sqlite3_stmt *rows, struct vector_collector *collector,
                           struct error *err)
{
    const struct search *search = stream->search;
    uint32_t dimension = search->row.dimension;
    struct buffer metadata = {0};
    int code = vector_metadata_pack(row->metadata, &metadata, err);
    const struct vector_segment_document document = {row->name, {metadata.data, metadata.size}};
    sqlite3_bind_int64(rows, 1, row->upload_key);
    uint32_t read = 0;
    while (code == 0 && read < row->chunk_count) {
        struct vector_segment *segment = NULL;
        uint32_t rest = row->chunk_count - read;
        uint32_t count = rest < VECTOR_SEGMENT_ROWS ? rest : VECTOR_SEGMENT_ROWS;
        code = vector_segment_create(&document, vector_chunk_key(row->upload_key, read), dimension,
                                     count, &segment, err);
        for (uint32_t i = 0; code == 0 && i < count; i++) {
            const float *vector;
            code = sqlite_step_row(rows, err, search_failed);
            if (code == 0)
                code = error_set(err, ERR_CORRUPT, "document \"%s\" has lost chunks", row->name);
            if (code == 1)
                code = vector_column(rows, 0, dimension, &vector, err);
            if (code == 0)
                code = vector_segment_append(segment, vector,
                                             (const char *)sqlite3_column_text(rows, 1), err);
        }
        if (code == 0)
            vector_segment_scan(segment, &search->scan, collector);
        vector_segment_destroy(segment);
        read += count;
    }
    sqlite3_reset(rows);
    buffer_fini(&metadata);
    return code;
}

static int stream_visit(void *context, unsigned thread, struct vector_reader *reader,
                        const struct vector_document_row *row, struct error *err)
{
    struct stream *stream = context;
    const struct vector_filter *filter = stream->search->scan.filter;
    if (filter != NULL && !vector_filter_accepts_document(filter, row->name))
        return 0;
    return stream_document(stream, row, reader->rows, &stream->collectors[thread], err);
}

static int run_stream(struct search *search, struct error *err)
{
    unsigned threads = search->snapshot.reader_count;
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a search");
    stream->search = search;
    int code = 0;
    for (unsigned i = 0; code == 0 && i < threads; i++)
        code = vector_collector_init(&stream->collectors[i], search->query->neighbour_count, err);
    if (code == 0)
        code = vector_snapshot_visit(&search->snapshot, &search->row, stream_visit, stream, err);
    for (unsigned i = 0; i < threads; i++) {
        vector_collector_merge(&search->collector, &stream->collectors[i]);
        vector_collector_fini(&stream->collectors[i]);
    }
    free(stream);
    return code == 0 ? vector_collector_finish(&search->collector, err) : code;
}

/* ---- the first pass ---- */

static int check_row(const struct search *search, struct error *err)
{
    const struct vector_store_query *query = search->query;
    if (strcmp(search->row.model, query->model) != 0)
        return vector_store_fail_model(query->collection, search->row.model, query->model, err);
    if (search->row.dimension != query->dimension)
        return vector_store_fail_dimension(query->collection, search->row.dimension,
                                           query->dimension, err);
    return 0;
}

/* With lock: opens the snapshots; scans where the collection is in memory. *ret_resident: NULL
 * where nobody has tried to bring it there. */
static int scan_locked(struct search *search, const struct vector_resident **ret_resident,
                       struct error *err)
{
    struct vector_sqlite *sqlite = search->snapshot.sqlite;
    int code = vector_snapshot_open(&search->snapshot, 1, err);
    if (code == 0)
        code = vector_reader_collection(search->snapshot.readers[0], search->query->collection,
                                        &search->row, err);
    if (code == 0)
        code = check_row(search, err);
    if (code != 0)
        return code;
    const struct vector_resident *resident =
        vector_resident_find(sqlite, search->row.collection_key);
    *ret_resident = resident;
    if (resident != NULL && resident->index == NULL)
        return vector_snapshot_open(&search->snapshot, sqlite->thread_count, err);
    if (resident != NULL)
        return vector_index_scan(resident->index, &search->scan, sqlite->thread_count,
                                 &search->collector, err);
    return 0;
}

/* The first pass: search->collector holds the candidates. */
static int find_candidates(struct search *search, struct error *err)
{
    struct vector_sqlite *sqlite = search->snapshot.sqlite;
    for (;;) {
        const struct vector_resident *resident = NULL;
        pthread_rwlock_rdlock(&sqlite->lock);
        int code = scan_locked(search, &resident, err);
        bool is_tried = resident != NULL;
        bool is_streamed = is_tried && resident->index == NULL;
        pthread_rwlock_unlock(&sqlite->lock);
        if (code == 0 && is_streamed)
            code = run_stream(search, err);
        if (code != 0 || is_tried)
            return code;
        vector_snapshot_close(&search->snapshot);
        code = vector_resident_load(sqlite, search->query->collection, err);
        if (code != 0)
            return code;
    }
}

/* ---- the second pass ---- */

static int score_candidate(struct search *search, int64_t chunk_key, double *ret_score,
                           struct error *err)
{
    sqlite3_stmt *stmt = search->snapshot.readers[0]->vector;
    const float *vector;
    sqlite3_bind_int64(stmt, 1, chunk_key);
    int code = sqlite_step_row(stmt, err, search_failed);
    if (code == 0)
        return error_set(err, ERR_CORRUPT, "a chunk has lost its vector");
    if (code < 0)
        return code;
    code = vector_column(stmt, 0, search->row.dimension, &vector, err);
    if (code == 0)
        *ret_score = vector_score(vector, search->query->vector, search->row.dimension);
    sqlite3_reset(stmt);
    return code;
}

static int compare_scores(const void *a, const void *b)
{
    double left = ((const struct vector_hit *)a)->score;
    double right = ((const struct vector_hit *)b)->score;
    return (left < right) - (left > right);
}

static int name_document(struct search *search, struct vector_hit *hit, struct arena *arena,
                         struct error *err)
{
    sqlite3_stmt *stmt = search->snapshot.readers[0]->upload;
    sqlite3_bind_int64(stmt, 1, vector_chunk_upload(hit->chunk_key));
    int code = sqlite_step_row(stmt, err, search_failed);
    if (code == 0)
        return error_set(err, ERR_CORRUPT, "a chunk has lost its document");
    if (code < 0)
        return code;
    hit->document = arena_strdup(arena, sqlite_column_text(stmt, 0));
    hit->ordinal = vector_chunk_ordinal(hit->chunk_key);
    sqlite3_reset(stmt);
    return hit->document != NULL ? 0 : error_set(err, ERR_LIMIT, "no room for the neighbours");
}

/* Exact scores; the k best and all that equal the last of them get their names, which decide. */
static int rank_candidates(struct search *search, struct vector_hit *hits, struct arena *arena,
                           size_t *ret_count, struct error *err)
{
    const struct vector_collector *collector = &search->collector;
    size_t count = collector->count, wanted = search->query->neighbour_count;
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++) {
        hits[i] = (struct vector_hit){.chunk_key = collector->candidates[i].chunk_key};
        code = score_candidate(search, hits[i].chunk_key, &hits[i].score, err);
    }
    if (code != 0)
        return code;
    qsort(hits, count, sizeof *hits, compare_scores);
    size_t kept = wanted < count ? wanted : count;
    while (kept < count && hits[kept].score == hits[kept - 1].score)
        kept++;
    for (size_t i = 0; code == 0 && i < kept; i++)
        code = name_document(search, &hits[i], arena, err);
    if (code != 0)
        return code;
    qsort(hits, kept, sizeof *hits, vector_hit_compare);
    *ret_count = kept < wanted ? kept : wanted;
    return 0;
}

static int run_search(struct search *search, size_t content_size, struct arena *arena,
                      struct vector_hit **ret_hits, size_t *ret_count, struct error *err)
{
    int code = find_candidates(search, err);
    if (code != 0)
        return code;
    struct arena own;
    arena_init(&own, ARENA_NO_LIMIT);
    size_t count = 0, filled = 0;
    struct vector_hit *hits = arena_alloc(&own, search->collector.count * sizeof *hits);
    code = hits != NULL ? rank_candidates(search, hits, arena, &count, err)
                        : error_set(err, ERR_MEMORY, "no memory for a search");
    struct vector_hit *copy = NULL;
    if (code == 0) {
        copy = arena_memdup(arena, hits, count * sizeof *hits);
        code = copy != NULL ? vector_reader_contents(search->snapshot.readers[0], copy, count,
                                                     content_size, arena, &filled, err)
                            : error_set(err, ERR_LIMIT, "no room for the neighbours");
    }
    arena_fini(&own);
    if (code != 0)
        return code;
    *ret_hits = copy;
    *ret_count = count;
    return 0;
}

int vector_sqlite_search(struct vector_store *store, const struct vector_store_query *query,
                         size_t content_size, struct arena *arena, struct vector_hit **ret_hits,
                         size_t *ret_count, struct error *err)
{
    struct search search = {
        .snapshot = {.sqlite = (struct vector_sqlite *)store},
        .query = query,
        .scan = {.isa = vector_isa_best(), .query = query->vector, .filter = query->filter},
    };
    int code = vector_collector_init(&search.collector, query->neighbour_count, err);
    if (code == 0)
        code = run_search(&search, content_size, arena, ret_hits, ret_count, err);
    vector_snapshot_close(&search.snapshot);
    vector_collector_fini(&search.collector);
    return code;
}
