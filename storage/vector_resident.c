/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_resident: which collections of the SQLite store are in memory. One comes there with its
 * first search and stays; all together take at most memory_bytes. What does not fit is read from
 * the file by every search, which the log says once.
 */
#include <stdlib.h>

#include "common/clock.h"
#include "common/log.h"
#include "storage/vector_sqlite.h"

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

int vector_document_load(sqlite3_stmt *rows, const char *name, const char *metadata,
                         uint32_t dimension, int64_t upload_key, uint32_t chunk_count,
                         struct vector_document **ret_document, struct error *err)
{
    struct vector_document *document = NULL;
    int code = vector_document_create(name, metadata, dimension, vector_chunk_key(upload_key, 0),
                                      chunk_count, &document, err);
    sqlite3_bind_int64(rows, 1, upload_key);
    uint32_t count = 0;
    while (code == 0 && (code = sqlite_step_row(rows, err, "could not read vectors")) == 1) {
        const float *vector;
        code = count++ < chunk_count
                   ? vector_column(rows, 0, dimension, &vector, err)
                   : error_set(err, ERR_CORRUPT, "document \"%s\" has too many chunks", name);
        if (code == 0)
            code = vector_document_append(document, vector,
                                          (const char *)sqlite3_column_text(rows, 1), err);
        if (code != 0)
            sqlite3_reset(rows);
    }
    if (code == 0 && count < chunk_count)
        code = error_set(err, ERR_CORRUPT, "document \"%s\" has lost chunks: %u of %u are there",
                         name, count, chunk_count);
    if (code != 0) {
        vector_document_destroy(document);
        return code;
    }
    *ret_document = document;
    return 0;
}

/* 1 when the index outgrew the memory that is left. */
static int load_documents(struct vector_reader *reader, const struct vector_collection_row *row,
                          size_t memory_left, struct vector_index *index, struct error *err)
{
    sqlite3_stmt *stmt = reader->documents;
    sqlite3_bind_int64(stmt, 1, row->collection_key);
    int code;
    while ((code = sqlite_step_row(stmt, err, "could not read documents")) == 1) {
        struct vector_document *document;
        code = vector_document_load(reader->rows, sqlite_column_text(stmt, 0),
                                    (const char *)sqlite3_column_text(stmt, 3), row->dimension,
                                    sqlite3_column_int64(stmt, 1),
                                    (uint32_t)sqlite3_column_int64(stmt, 2), &document, err);
        if (code == 0) {
            code = vector_index_put(index, document, err);
            if (code != 0)
                vector_document_destroy(document);
        }
        if (code == 0 && vector_index_bytes(index) > memory_left)
            code = 1;
        if (code != 0) {
            sqlite3_reset(stmt);
            break;
        }
    }
    return code;
}

/* With writer_lock: no commit changes the collection while it is read. */
static int load(struct vector_sqlite *sqlite, struct vector_reader *reader, const char *collection,
                struct error *err)
{
    struct vector_collection_row row;
    struct vector_index *index;
    uint64_t started_ns = clock_monotonic_ns();
    int code = vector_reader_collection(reader, collection, &row, err);
    if (code != 0)
        return code;
    if (vector_resident_find(sqlite, row.collection_key) != NULL)
        return 0;
    code = vector_index_create(row.dimension, &index, err);
    if (code != 0)
        return code;
    code = vector_resident_is_wanted(sqlite, &row)
               ? load_documents(reader, &row, sqlite->memory_bytes - used_bytes(sqlite), index, err)
               : 1;
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
    struct vector_reader *reader;
    int code = vector_reader_take(sqlite, &reader, err);
    if (code != 0)
        return code;
    pthread_mutex_lock(&sqlite->writer_lock);
    code = load(sqlite, reader, collection, err);
    pthread_mutex_unlock(&sqlite->writer_lock);
    vector_reader_release(sqlite, reader);
    return code;
}
