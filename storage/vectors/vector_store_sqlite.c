/* SPDX-License-Identifier: Apache-2.0 */
/* vector_store_sqlite: the vector store in an SQLite file: opening and closing it. Threading:
 * vector_sqlite.h. */
#include <stdio.h>
#include <stdlib.h>

#include "storage/vectors/parallel.h"
#include "storage/vectors/vector_file.h"
#include "storage/vectors/vector_sqlite.h"

static void sqlite_store_close(struct vector_store *store)
{
    struct vector_sqlite *sqlite = (struct vector_sqlite *)store;
    vector_sweeper_stop(sqlite);
    vector_writer_close(sqlite);
    sqlite_close(sqlite->writer);
    while (sqlite->readers != NULL) {
        struct vector_reader *reader = sqlite->readers;
        LL_DELETE(sqlite->readers, reader);
        vector_reader_destroy(reader);
    }
    struct vector_resident *resident, *next;
    HASH_ITER (hh, sqlite->residents, resident, next) {
        HASH_DEL(sqlite->residents, resident);
        vector_index_destroy(resident->index);
        free(resident);
    }
    pthread_cond_destroy(&sqlite->sweep_wake);
    pthread_mutex_destroy(&sqlite->sweep_lock);
    pthread_mutex_destroy(&sqlite->readers_lock);
    pthread_rwlock_destroy(&sqlite->lock);
    pthread_mutex_destroy(&sqlite->writer_lock);
    free(sqlite->path);
    free(sqlite);
}

static const struct vector_store_ops sqlite_ops = {
    .close = sqlite_store_close,
    .hashes = vector_sqlite_hashes,
    .upload = vector_sqlite_upload,
    .commit = vector_sqlite_commit,
    .search = vector_sqlite_search,
    .contents = vector_sqlite_contents,
    .collections = vector_sqlite_collections,
    .collection_delete = vector_sqlite_collection_delete,
};

/* Waiting commits come before searches that start later: searches in a row would starve them. */
static void init_locks(struct vector_sqlite *sqlite)
{
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&sqlite->lock, &attributes);
    pthread_rwlockattr_destroy(&attributes);
    pthread_mutex_init(&sqlite->writer_lock, NULL);
    pthread_mutex_init(&sqlite->readers_lock, NULL);
    pthread_mutex_init(&sqlite->sweep_lock, NULL);
    pthread_condattr_t clock;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&sqlite->sweep_wake, &clock);
    pthread_condattr_destroy(&clock);
}

int vector_store_sqlite_open(const struct vector_store_options *options,
                             struct vector_store **ret_store, struct error *err)
{
    struct vector_sqlite *sqlite = calloc(1, sizeof *sqlite);
    if (sqlite == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a vector store");
    sqlite->store.ops = &sqlite_ops;
    sqlite->memory_bytes = options->memory_bytes;
    sqlite->thread_count =
        options->thread_count > 0 ? options->thread_count : parallel_thread_count();
    if (sqlite->thread_count > PARALLEL_THREADS_MAX)
        sqlite->thread_count = PARALLEL_THREADS_MAX;
    init_locks(sqlite);
    int code = 0;
    if (asprintf(&sqlite->path, "%s/" VECTOR_FILE_NAME, options->folder) < 0) {
        sqlite->path = NULL;
        code = error_set(err, ERR_MEMORY, "no memory for a path");
    }
    if (code == 0)
        code = vector_file_open(sqlite->path, &sqlite->writer, err);
    if (code == 0)
        code = vector_writer_open(sqlite, err);
    if (code == 0)
        code = vector_sweeper_start(sqlite, err);
    if (code != 0) {
        sqlite_store_close(&sqlite->store);
        return code;
    }
    *ret_store = &sqlite->store;
    return 0;
}
