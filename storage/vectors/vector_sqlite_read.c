/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_sqlite_read: the SQLite store's connections for reading, and what is read through them but
 * for searches. Threading: vector_sqlite.h.
 */
#include <stdlib.h>
#include <string.h>

#include "storage/vectors/vector_file.h"
#include "storage/vectors/vector_sqlite.h"

static const char read_failed[] = "could not read vectors";

/* Names looked through for the nearest to an unknown one. */
#define NAMES_MAX 256

#define COLLECTION_COLUMNS                                                                         \
    "SELECT collection_key, name, model, dimension, document_count, chunk_count FROM collection "

static int prepare_all(struct vector_reader *reader, struct error *err)
{
    const struct {
        sqlite3_stmt **stmt;
        const char *sql;
    } statements[] = {
        {&reader->begin, "BEGIN"},
        {&reader->end, "ROLLBACK"},
        {&reader->collection, COLLECTION_COLUMNS "WHERE name = ?1"},
        {&reader->documents, "SELECT name, upload_key, chunk_count, metadata FROM document"
                             " WHERE collection_key = ?1 ORDER BY name"},
        {&reader->rows, VECTOR_ROWS_SQL},
        {&reader->vector, "SELECT value FROM vector WHERE chunk_key = ?1"},
        {&reader->upload, "SELECT document FROM upload WHERE upload_key = ?1"},
        {&reader->content,
         "SELECT text.value, chunk.metadata, document.metadata"
         " FROM chunk JOIN text USING (chunk_key) JOIN document USING (upload_key)"
         " WHERE chunk.chunk_key = ?1"},
        {&reader->hashes, "SELECT DISTINCT hash FROM chunk WHERE upload_key ="
                          " (SELECT upload_key FROM document JOIN collection USING (collection_key)"
                          "  WHERE collection.name = ?1 AND document.name = ?2)"
                          " AND hash > ?3 ORDER BY hash LIMIT ?4"},
        {&reader->collections, COLLECTION_COLUMNS "WHERE name > ?1 ORDER BY name LIMIT ?2"},
    };
    int code = 0;
    for (size_t i = 0; code == 0 && i < sizeof statements / sizeof statements[0]; i++)
        code = sqlite_prepare(reader->db, statements[i].sql, statements[i].stmt, err);
    return code;
}

void vector_reader_destroy(struct vector_reader *reader)
{
    if (reader == NULL)
        return;
    sqlite3_stmt *const statements[] = {
        reader->begin,  reader->end,    reader->collection, reader->documents, reader->rows,
        reader->vector, reader->upload, reader->content,    reader->hashes,    reader->collections};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        sqlite3_finalize(statements[i]);
    sqlite_close(reader->db);
    free(reader);
}

int vector_reader_take(struct vector_sqlite *sqlite, struct vector_reader **ret_reader,
                       struct error *err)
{
    pthread_mutex_lock(&sqlite->readers_lock);
    struct vector_reader *reader = sqlite->readers;
    if (reader != NULL)
        LL_DELETE(sqlite->readers, reader);
    pthread_mutex_unlock(&sqlite->readers_lock);
    if (reader == NULL) {
        reader = calloc(1, sizeof *reader);
        int code = reader != NULL ? vector_file_connect(sqlite->path, &reader->db, err)
                                  : error_set(err, ERR_MEMORY, "no memory for a reader");
        if (code == 0)
            code = prepare_all(reader, err);
        if (code != 0) {
            vector_reader_destroy(reader);
            return code;
        }
    }
    *ret_reader = reader;
    return 0;
}

void vector_reader_release(struct vector_sqlite *sqlite, struct vector_reader *reader)
{
    if (!sqlite3_get_autocommit(reader->db))
        sqlite_step_done(reader->end, NULL, read_failed);
    pthread_mutex_lock(&sqlite->readers_lock);
    LL_PREPEND(sqlite->readers, reader);
    pthread_mutex_unlock(&sqlite->readers_lock);
}

int vector_reader_begin(struct vector_reader *reader, struct error *err)
{
    int64_t first;
    int code = sqlite_step_done(reader->begin, err, read_failed);
    /* The first read takes the snapshot. */
    return code == 0 ? sqlite_get_int64(reader->db, "SELECT 1 FROM collection LIMIT 1", &first, err)
                     : code;
}

static int fail_unknown(struct vector_reader *reader, const char *name, struct error *err)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    sqlite3_stmt *stmt = reader->collections;
    sqlite3_bind_text(stmt, 1, "", -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, NAMES_MAX);
    int code;
    while ((code = sqlite_step_row(stmt, err, read_failed)) == 1) {
        names[count] = arena_strdup(&arena, sqlite_column_text(stmt, 1));
        count += names[count] != NULL;
    }
    if (code == 0)
        code = vector_store_fail_collection(name, names, count, err);
    arena_fini(&arena);
    return code;
}

int vector_reader_collection(struct vector_reader *reader, const char *name,
                             struct vector_collection_row *ret_row, struct error *err)
{
    sqlite3_bind_text(reader->collection, 1, name, -1, SQLITE_STATIC);
    int code = sqlite_step_row(reader->collection, err, read_failed);
    if (code == 0)
        return fail_unknown(reader, name, err);
    if (code < 0)
        return code;
    vector_sqlite_read_collection(reader->collection, ret_row);
    sqlite3_reset(reader->collection);
    return 0;
}

int vector_column(sqlite3_stmt *stmt, int column, uint32_t dimension, const float **ret_vector,
                  struct error *err)
{
    if ((size_t)sqlite3_column_bytes(stmt, column) != dimension * sizeof(float))
        return error_set(err, ERR_CORRUPT, "a stored vector has %d bytes, not %zu",
                         sqlite3_column_bytes(stmt, column), dimension * sizeof(float));
    *ret_vector = sqlite3_column_blob(stmt, column);
    return 0;
}

/* ---- hashes, collections ---- */

int vector_sqlite_hashes(struct vector_store *store, const char *collection, const char *document,
                         const uint8_t *after, size_t limit, struct arena *arena,
                         const uint8_t (**ret_hashes)[VECTOR_HASH_SIZE], size_t *ret_count,
                         struct error *err)
{
    struct vector_sqlite *sqlite = (struct vector_sqlite *)store;
    struct vector_reader *reader;
    uint8_t(*hashes)[VECTOR_HASH_SIZE] = arena_alloc(arena, limit * sizeof *hashes);
    if (hashes == NULL)
        return error_set(err, ERR_LIMIT, "no room for %zu hashes", limit);
    int code = vector_reader_take(sqlite, &reader, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = reader->hashes;
    sqlite3_bind_text(stmt, 1, collection, -1, SQLITE_STATIC);
    sqlite3_bind_text(stmt, 2, document, -1, SQLITE_STATIC);
    sqlite3_bind_blob(stmt, 3, after != NULL ? (const void *)after : "",
                      after != NULL ? VECTOR_HASH_SIZE : 0, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, (int64_t)limit);
    size_t count = 0;
    while ((code = sqlite_step_row(stmt, err, read_failed)) == 1) {
        if (sqlite3_column_bytes(stmt, 0) != VECTOR_HASH_SIZE) {
            sqlite3_reset(stmt);
            code = error_set(err, ERR_CORRUPT, "a stored hash has %d bytes",
                             sqlite3_column_bytes(stmt, 0));
            break;
        }
        memcpy(hashes[count++], sqlite3_column_blob(stmt, 0), VECTOR_HASH_SIZE);
    }
    vector_reader_release(sqlite, reader);
    if (code != 0)
        return code;
    *ret_hashes = (const uint8_t(*)[VECTOR_HASH_SIZE])hashes;
    *ret_count = count;
    return 0;
}

/* Does a search of it read the file? Of one that is not in memory yet: will it? */
static bool is_streamed(struct vector_sqlite *sqlite, const struct vector_collection_row *row)
{
    pthread_rwlock_rdlock(&sqlite->lock);
    const struct vector_resident *resident = vector_resident_find(sqlite, row->collection_key);
    bool is_in_memory = resident != NULL && resident->index != NULL;
    bool is_streamed = !is_in_memory && !vector_resident_is_wanted(sqlite, row);
    pthread_rwlock_unlock(&sqlite->lock);
    return is_streamed;
}

int vector_sqlite_collections(struct vector_store *store, const char *after, size_t limit,
                              struct arena *arena, struct vector_collection **ret_collections,
                              size_t *ret_count, struct error *err)
{
    struct vector_sqlite *sqlite = (struct vector_sqlite *)store;
    struct vector_collection *collections = arena_calloc(arena, limit, sizeof *collections);
    struct vector_reader *reader;
    if (collections == NULL)
        return error_set(err, ERR_LIMIT, "no room for %zu collections", limit);
    int code = vector_reader_take(sqlite, &reader, err);
    if (code != 0)
        return code;
    sqlite3_stmt *stmt = reader->collections;
    sqlite3_bind_text(stmt, 1, after, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, (int64_t)limit);
    size_t count = 0;
    while ((code = sqlite_step_row(stmt, err, read_failed)) == 1) {
        struct vector_collection_row row;
        vector_sqlite_read_collection(stmt, &row);
        struct vector_collection *collection = &collections[count++];
        *collection = (struct vector_collection){.name = arena_strdup(arena, row.name),
                                                 .model = arena_strdup(arena, row.model),
                                                 .dimension = row.dimension,
                                                 .document_count = row.document_count,
                                                 .chunk_count = row.chunk_count,
                                                 .is_streamed = is_streamed(sqlite, &row)};
        if (collection->name == NULL || collection->model == NULL) {
            sqlite3_reset(stmt);
            code = error_set(err, ERR_LIMIT, "no room for %zu collections", limit);
            break;
        }
    }
    vector_reader_release(sqlite, reader);
    if (code != 0)
        return code;
    *ret_collections = collections;
    *ret_count = count;
    return 0;
}

/* ---- contents ---- */

/* Text and metadata of the row, in arena. */
static int read_content(sqlite3_stmt *stmt, struct vector_hit *hit, struct arena *arena,
                        struct error *err)
{
    const char *own = (const char *)sqlite3_column_text(stmt, 1);
    const char *document = (const char *)sqlite3_column_text(stmt, 2);
    int code = vector_metadata_merge(document, own, arena, &hit->metadata, err);
    if (code != 0)
        return code;
    hit->text = arena_strdup(arena, sqlite_column_text(stmt, 0));
    return hit->text != NULL ? 0 : error_set(err, ERR_LIMIT, "no room for a text");
}

int vector_reader_contents(struct vector_reader *reader, struct vector_hit *hits, size_t count,
                           size_t content_size, struct arena *arena, size_t *ret_filled,
                           struct error *err)
{
    sqlite3_stmt *stmt = reader->content;
    size_t filled = 0, used = 0;
    while (filled < count) {
        sqlite3_bind_int64(stmt, 1, hits[filled].chunk_key);
        int code = sqlite_step_row(stmt, err, read_failed);
        if (code == 0)
            return error_set(err, ERR_ABORTED, "a document was replaced: search again");
        if (code < 0)
            return code;
        /* Merged metadata is at most both together. */
        size_t size = (size_t)sqlite3_column_bytes(stmt, 0) +
                      (size_t)sqlite3_column_bytes(stmt, 1) + (size_t)sqlite3_column_bytes(stmt, 2);
        if (filled >= *ret_filled && used + size > content_size) {
            sqlite3_reset(stmt);
            break;
        }
        used += size;
        code = read_content(stmt, &hits[filled], arena, err);
        sqlite3_reset(stmt);
        if (code != 0)
            return code;
        filled++;
    }
    *ret_filled = filled;
    return 0;
}

int vector_sqlite_contents(struct vector_store *store, struct vector_hit *hits, size_t count,
                           size_t content_size, struct arena *arena, size_t *ret_filled,
                           struct error *err)
{
    struct vector_sqlite *sqlite = (struct vector_sqlite *)store;
    struct vector_reader *reader;
    size_t filled = 1;
    int code = vector_reader_take(sqlite, &reader, err);
    if (code != 0)
        return code;
    code = vector_reader_contents(reader, hits, count, content_size, arena, &filled, err);
    vector_reader_release(sqlite, reader);
    if (code == 0)
        *ret_filled = filled;
    return code;
}
