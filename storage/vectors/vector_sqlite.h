/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_sqlite: what the files of the SQLite store share.
 *
 * Threading. `writer_lock` is held by whoever writes to the file; `lock` guards what searches see:
 * a commit holds it for writing while its transaction ends and the index in memory changes, a
 * search for reading while it opens its snapshot of the file and scans the index. So both show one
 * state. Order: writer_lock, then lock, then readers_lock.
 */
#ifndef ARGOSY_STORAGE_VECTOR_SQLITE_H
#define ARGOSY_STORAGE_VECTOR_SQLITE_H

#include <pthread.h>
#include <stdbool.h>

#include "common/hash.h"
#include "common/sqlite.h"
#include "storage/vectors/parallel.h"
#include "storage/vectors/vector_index.h"
#include "storage/vectors/vector_store_ops.h"

/* A connection for reading, with its statements. */
struct vector_reader {
    sqlite3 *db;
    sqlite3_stmt *begin, *end;
    sqlite3_stmt *collection; /* by name */
    sqlite3_stmt *documents;  /* of a collection */
    sqlite3_stmt *rows;       /* vectors and metadata of an upload */
    sqlite3_stmt *vector;     /* of a chunk */
    sqlite3_stmt *upload;     /* its document */
    sqlite3_stmt *content;    /* of a chunk */
    sqlite3_stmt *hashes;
    sqlite3_stmt *collections;
    struct vector_reader *next;
};

/* A collection that is in memory, or that has been found not to fit. */
struct vector_resident {
    int64_t collection_key;
    struct vector_index *index; /* NULL: it does not fit */
    UT_hash_handle hh;
};

struct vector_sqlite {
    struct vector_store store;
    char *path;
    size_t memory_bytes;
    unsigned thread_count;

    /* guarded by writer_lock */
    pthread_mutex_t writer_lock;
    sqlite3 *writer;
    struct vector_writer *statements;

    /* guarded by lock */
    pthread_rwlock_t lock;
    struct vector_resident *residents;

    /* guarded by readers_lock */
    pthread_mutex_t readers_lock;
    struct vector_reader *readers; /* those not in use */

    /* the sweeper's: guarded by sweep_lock */
    pthread_mutex_t sweep_lock;
    pthread_cond_t sweep_wake;
    pthread_t sweeper;
    bool has_sweeper, sweep_wanted, is_closing;
};

/* A collection's row. */
struct vector_collection_row {
    int64_t collection_key;
    uint32_t dimension;
    uint64_t document_count;
    uint64_t chunk_count;
    char name[VECTOR_NAME_MAX + 1];
    char model[VECTOR_NAME_MAX + 1];
};

/* A document's row. */
struct vector_document_row {
    const char *name;
    const char *metadata; /* canonical; NULL without */
    int64_t upload_key;
    uint32_t chunk_count;
};

/* ---- writing (vector_sqlite_write.c) ---- */

int vector_sqlite_upload(struct vector_store *store, const struct vector_upload_options *options,
                         const struct vector_chunk *chunks, size_t count, struct error *err);
int vector_sqlite_commit(struct vector_store *store, const struct vector_upload_options *options,
                         uint32_t chunk_count, const char *metadata, struct error *err);
int vector_sqlite_collection_delete(struct vector_store *store, const char *collection,
                                    struct error *err);

/* The writing connection's statements. */
int vector_writer_open(struct vector_sqlite *sqlite, struct error *err);
/* Accepts a store without them. */
void vector_writer_close(struct vector_sqlite *sqlite);

/* The row that stmt stands on: collection_key, name, model, dimension, document_count, chunk_count.
 */
void vector_sqlite_read_collection(sqlite3_stmt *stmt, struct vector_collection_row *ret_row);

/* ---- reading (vector_sqlite_read.c) ---- */

int vector_sqlite_hashes(struct vector_store *store, const char *collection, const char *document,
                         const uint8_t *after, size_t limit, struct arena *arena,
                         const uint8_t (**ret_hashes)[VECTOR_HASH_SIZE], size_t *ret_count,
                         struct error *err);
int vector_sqlite_contents(struct vector_store *store, struct vector_hit *hits, size_t count,
                           size_t content_size, struct arena *arena, size_t *ret_filled,
                           struct error *err);
int vector_sqlite_collections(struct vector_store *store, const char *after, size_t limit,
                              struct arena *arena, struct vector_collection **ret_collections,
                              size_t *ret_count, struct error *err);

/* A reader that nobody else uses; given back with vector_reader_release, which ends its snapshot.
 */
int vector_reader_take(struct vector_sqlite *sqlite, struct vector_reader **ret_reader,
                       struct error *err);
void vector_reader_release(struct vector_sqlite *sqlite, struct vector_reader *reader);
void vector_reader_destroy(struct vector_reader *reader);

/* From here to its release the reader sees one state of the file. */
int vector_reader_begin(struct vector_reader *reader, struct error *err);

/* ERR_NOT_FOUND names the nearest. */
int vector_reader_collection(struct vector_reader *reader, const char *name,
                             struct vector_collection_row *ret_row, struct error *err);

/* Fills the contents of hits, from the first on, up to content_size bytes, at least *ret_filled of
 * them on entry. ERR_ABORTED where one is gone. */
int vector_reader_contents(struct vector_reader *reader, struct vector_hit *hits, size_t count,
                           size_t content_size, struct arena *arena, size_t *ret_filled,
                           struct error *err);

/* The vector that a row's column holds; ERR_CORRUPT where it has another size. Borrowed until the
 * next step. */
int vector_column(sqlite3_stmt *stmt, int column, uint32_t dimension, const float **ret_vector,
                  struct error *err);

/* ---- one state of the file, on several cores (vector_sqlite_snapshot.c) ---- */

struct vector_snapshot {
    struct vector_sqlite *sqlite;
    struct vector_reader *readers[PARALLEL_THREADS_MAX];
    unsigned reader_count;
};

/* Opens readers until there are count of them. The caller holds a lock that keeps commits off, so
 * that they see the same. */
int vector_snapshot_open(struct vector_snapshot *snapshot, unsigned count, struct error *err);
/* One without readers is fine. */
void vector_snapshot_close(struct vector_snapshot *snapshot);

/* Something done with a document, by the thread of that number with a reader of its own: 0, a
 * negative code, or 1, which ends the pass. */
typedef int vector_document_visit(void *context, unsigned thread, struct vector_reader *reader,
                                  const struct vector_document_row *document, struct error *err);

/* Visits each document of the collection, in no order, on as many threads as there are readers (at
 * least one). The first visit that does not return 0 ends it, and is what is returned. */
int vector_snapshot_visit(const struct vector_snapshot *snapshot,
                          const struct vector_collection_row *row, vector_document_visit *visit,
                          void *context, struct error *err);

/* ---- searching (vector_sqlite_search.c) ---- */

int vector_sqlite_search(struct vector_store *store, const struct vector_store_query *query,
                         size_t content_size, struct arena *arena, struct vector_hit **ret_hits,
                         size_t *ret_count, struct error *err);

/* ---- collections in memory (vector_resident.c); the caller holds lock, for writing but in find --
 */

struct vector_resident *vector_resident_find(const struct vector_sqlite *sqlite,
                                             int64_t collection_key);
/* Whether the next search will bring the collection into memory. */
bool vector_resident_is_wanted(const struct vector_sqlite *sqlite,
                               const struct vector_collection_row *row);
/* Brings it there, or finds that it does not fit; takes the locks itself. */
int vector_resident_load(struct vector_sqlite *sqlite, const char *collection, struct error *err);
/* Drops it; what has not fitted before may fit now. */
void vector_resident_remove(struct vector_sqlite *sqlite, int64_t collection_key);
/* After a commit: a new document, or (document NULL) none of that name any more. */
void vector_resident_update(struct vector_sqlite *sqlite, const struct vector_collection_row *row,
                            const char *name, struct vector_document *document);

/* Reads a document for the index by a statement of VECTOR_ROWS_SQL. */
int vector_document_load(sqlite3_stmt *rows, const struct vector_document_row *row,
                         uint32_t dimension, struct vector_document **ret_document,
                         struct error *err);

#define VECTOR_ROWS_SQL                                                                            \
    "SELECT vector.value, chunk.metadata FROM chunk JOIN vector USING (chunk_key)"                 \
    " WHERE chunk.chunk_key >= ?1 << 32 AND chunk.chunk_key < (?1 + 1) << 32"                      \
    " ORDER BY chunk.chunk_key"

/* ---- sweeping (vector_sqlite_sweep.c) ---- */

int vector_sweeper_start(struct vector_sqlite *sqlite, struct error *err);
void vector_sweeper_wake(struct vector_sqlite *sqlite);
void vector_sweeper_stop(struct vector_sqlite *sqlite);

#endif
