/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_resident: which collections of the SQLite store are in memory. One comes there with its
 * first search and stays; all together take at most memory_bytes. What does not fit is read from
 * the file by every search, which the log says once.
 */
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "storage/vectors/vector_sqlite.h"

/* Threads that bring a collection into memory: each has a reader, whose page cache of 8 MB stays.
 */
#define LOAD_THREADS_MAX 8

struct vector_resident *vector_resident_find(const struct vector_sqlite *sqlite,
                                             int64_t collection_key)
{
    struct vector_resident *resident;
    HASH_FIND(hh, sqlite->residents, &collection_key, sizeof collection_key, resident);
    return resident;
}

static size_t used_bytes(const struct vector_sqlite *sqlite)
{
    size_t used = 0;
    for (const struct vector_resident *resident = sqlite->residents; resident != NULL;
         resident = resident->hh.next)
        used += resident->index != NULL ? vector_index_bytes(resident->index) : 0;
    return used;
}

bool vector_resident_is_wanted(const struct vector_sqlite *sqlite,
                               const struct vector_collection_row *row)
{
    if (vector_resident_find(sqlite, row->collection_key) != NULL)
        return false;
    size_t used = used_bytes(sqlite);
    return used < sqlite->memory_bytes &&
           vector_index_estimate(row->dimension, row->document_count, row->chunk_count) <=
               sqlite->memory_bytes - used;
}

void vector_resident_remove(struct vector_sqlite *sqlite, int64_t collection_key)
{
    struct vector_resident *resident, *next;
    HASH_ITER (hh, sqlite->residents, resident, next) {
        if (resident->collection_key != collection_key && resident->index != NULL)
            continue;
        HASH_DEL(sqlite->residents, resident);
        vector_index_destroy(resident->index);
        free(resident);
    }
}

/* Takes the index; NULL where the collection does not fit. */
static void add(struct vector_sqlite *sqlite, int64_t collection_key, struct vector_index *index)
{
    struct vector_resident *resident = calloc(1, sizeof *resident);
    if (resident == NULL) {
        /* The next search tries again. */
        vector_index_destroy(index);
        return;
    }
    resident->collection_key = collection_key;
    resident->index = index;
    HASH_ADD(hh, sqlite->residents, collection_key, sizeof resident->collection_key, resident);
}

static void log_streamed(const struct vector_sqlite *sqlite, const char *collection)
{
    char quoted[VECTOR_NAME_MAX * 4 + 3];
    log_warn("vectors.streamed",
             "collection=%s memory_mb=%zu reason=\"storage.memory_mb is too small\"",
             log_quote(collection, quoted, sizeof quoted), sqlite->memory_bytes >> 20);
}

void vector_resident_update(struct vector_sqlite *sqlite, const struct vector_collection_row *row,
                            const char *name, struct vector_document *document)
{
    struct vector_resident *resident = vector_resident_find(sqlite, row->collection_key);
    if (resident == NULL || resident->index == NULL) {
        vector_document_destroy(document);
        return;
    }
    if (document == NULL) {
        vector_index_remove(resident->index, name);
        return;
    }
    if (vector_index_put(resident->index, document, NULL) != 0) {
        /* The file is right; the index is made anew by the next search. */
        vector_document_destroy(document);
        vector_index_destroy(resident->index);
        HASH_DEL(sqlite->residents, resident);
        free(resident);
    } else if (used_bytes(sqlite) > sqlite->memory_bytes) {
        vector_index_destroy(resident->index);
        resident->index = NULL;
        log_streamed(sqlite, row->name);
    }
}

int vector_document_load(sqlite3_stmt *rows, const struct vector_document_row *row,
                         uint32_t dimension, struct vector_document **ret_document,
                         struct error *err)
{
    struct vector_document *document = NULL;
    int code = vector_document_create(row->name, row->metadata, dimension,
                                      vector_chunk_key(row->upload_key, 0), row->chunk_count,
                                      &document, err);
    sqlite3_bind_int64(rows, 1, row->upload_key);
    uint32_t count = 0;
    while (code == 0 && (code = sqlite_step_row(rows, err, "could not read vectors")) == 1) {
        const float *vector;
        code = count++ < row->chunk_count
                   ? vector_column(rows, 0, dimension, &vector, err)
                   : error_set(err, ERR_CORRUPT, "document \"%s\" has too many chunks", row->name);
        if (code == 0)
            code = vector_document_append(document, vector,
                                          (const char *)sqlite3_column_text(rows, 1), err);
        if (code != 0)
            sqlite3_reset(rows);
    }
    if (code == 0 && count < row->chunk_count)
        code = error_set(err, ERR_CORRUPT, "document \"%s\" has lost chunks: %u of %u are there",
                         row->name, count, row->chunk_count);
    if (code != 0) {
        vector_document_destroy(document);
        return code;
    }
    *ret_document = document;
    return 0;
}

/* An index in the making, which threads share. */
struct loading {
    pthread_mutex_t mutex;
    struct vector_index *index;
    uint32_t dimension;
    size_t memory_left;
};

/* 1 when the index outgrew the memory that is left. */
static int load_document(void *context, unsigned thread, struct vector_reader *reader,
                         const struct vector_document_row *row, struct error *err)
{
    (void)thread;
    struct loading *loading = context;
    struct vector_document *document;
    int code = vector_document_load(reader->rows, row, loading->dimension, &document, err);
    if (code != 0)
        return code;
    pthread_mutex_lock(&loading->mutex);
    code = vector_index_put(loading->index, document, err);
    if (code != 0)
        vector_document_destroy(document);
    else if (vector_index_bytes(loading->index) > loading->memory_left)
        code = 1;
    pthread_mutex_unlock(&loading->mutex);
    return code;
}

/* 1 when the index outgrew the memory that is left. */
static int load_documents(struct vector_snapshot *snapshot, const struct vector_collection_row *row,
                          struct vector_index *index, struct error *err)
{
    const struct vector_sqlite *sqlite = snapshot->sqlite;
    unsigned threads =
        sqlite->thread_count < LOAD_THREADS_MAX ? sqlite->thread_count : LOAD_THREADS_MAX;
    struct loading loading = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                              .index = index,
                              .dimension = row->dimension,
                              .memory_left = sqlite->memory_bytes - used_bytes(sqlite)};
    int code = vector_snapshot_open(snapshot, threads, err);
    return code == 0 ? vector_snapshot_visit(snapshot, row, load_document, &loading, err) : code;
}

/* With writer_lock: no commit changes the collection while it is read. */
static int load(struct vector_snapshot *snapshot, const char *collection, struct error *err)
{
    struct vector_sqlite *sqlite = snapshot->sqlite;
    struct vector_collection_row row;
    struct vector_index *index;
    uint64_t started_ns = clock_monotonic_ns();
    int code = vector_snapshot_open(snapshot, 1, err);
    if (code == 0)
        code = vector_reader_collection(snapshot->readers[0], collection, &row, err);
    if (code != 0)
        return code;
    if (vector_resident_find(sqlite, row.collection_key) != NULL)
        return 0;
    code = vector_index_create(row.dimension, &index, err);
    if (code != 0)
        return code;
    code = vector_resident_is_wanted(sqlite, &row) ? load_documents(snapshot, &row, index, err) : 1;
    if (code != 0) {
        vector_index_destroy(index);
        index = NULL;
    }
    if (code < 0)
        return code;
    char quoted[VECTOR_NAME_MAX * 4 + 3];
    if (index != NULL)
        log_info("vectors.loaded", "collection=%s chunks=%llu bytes=%zu duration_ms=%llu",
                 log_quote(collection, quoted, sizeof quoted), (unsigned long long)row.chunk_count,
                 vector_index_bytes(index),
                 (unsigned long long)((clock_monotonic_ns() - started_ns) / 1000000));
    else
        log_streamed(sqlite, collection);
    pthread_rwlock_wrlock(&sqlite->lock);
    add(sqlite, row.collection_key, index);
    pthread_rwlock_unlock(&sqlite->lock);
    return 0;
}

int vector_resident_load(struct vector_sqlite *sqlite, const char *collection, struct error *err)
{
    struct vector_snapshot snapshot = {.sqlite = sqlite};
    pthread_mutex_lock(&sqlite->writer_lock);
    int code = load(&snapshot, collection, err);
    pthread_mutex_unlock(&sqlite->writer_lock);
    vector_snapshot_close(&snapshot);
    return code;
}
