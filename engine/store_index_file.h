/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_index_file: PATH.index, the derived file of engine/store_index.h: hashes of ids to run
 * keys, and the open runs with the last rows of their logs, as of one moment of the store.
 *
 * Threading: store_index_file_write and store_index_file_each have a connection of their own each,
 * and may run at the same time.
 */
#ifndef ARGOSY_ENGINE_STORE_INDEX_FILE_H
#define ARGOSY_ENGINE_STORE_INDEX_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/sqlite.h"
#include "engine/store_pending.h"

struct store_index_file {
    sqlite3 *writer, *reader;
    sqlite3_stmt *insert_run, *delete_head, *put_head, *put_state;
    sqlite3_stmt *select_runs;
    /* How far the file has read the store. */
    int64_t indexed_run_key;
    int64_t head_seq;
};

struct store_index_head {
    int64_t run_key;
    int64_t last_seq;
};

/* Opens or rebuilds PATH.index as the index of the store in db. */
int store_index_file_open(struct store_index_file *file, const char *path, sqlite3 *db,
                          struct error *err);
/* Accepts a zeroed struct. */
void store_index_file_close(struct store_index_file *file);

/* What recovery finds, in rising run keys: runs that are open, runs that the file has as open and
 * that have closed, and then the log's rows since the file was written, oldest first. */
struct store_index_visitor {
    void *arg;
    void (*run_is_open)(void *arg, int64_t run_key, int64_t last_seq);
    void (*run_is_closed)(void *arg, int64_t run_key);
    void (*row_is_new)(void *arg, int64_t run_key, int64_t seq);
};

/* Reads what the store in db has and the file does not know. Adds the missing ids to the file;
 * store_index_file_write then makes the rest of it current. */
int store_index_file_recover(struct store_index_file *file, sqlite3 *db,
                             const struct store_index_visitor *visitor, struct error *err);

/* What one flush writes, in one transaction. */
struct store_index_batch {
    struct store_pending_run *runs;
    size_t run_count;
    int64_t *gone; /* closed runs that are no heads any more */
    size_t gone_count;
    struct store_index_head *heads; /* new, or moved */
    size_t head_count;
    int64_t indexed_run_key;
    int64_t head_seq;
};

int store_index_file_write(struct store_index_file *file, const struct store_index_batch *batch,
                           struct error *err);

/* Calls each with the run keys of this hash below before_run_key, newest first, until it returns
 * non-zero, which is returned. */
int store_index_file_each(struct store_index_file *file, uint64_t hash, int64_t before_run_key,
                          int (*each)(void *arg, int64_t run_key, struct error *err), void *arg,
                          struct error *err);

#endif
