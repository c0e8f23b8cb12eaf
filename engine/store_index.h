/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_index: what the SQLite store knows beside its file: which runs have a workflow id, which
 * runs are open and where their logs end.
 *
 * The store's own file is only ever appended to in key order; an index on random text there would
 * cost a page write per started run. So this lives in memory (`pending`: runs that the index file
 * does not know yet; `heads`: open runs) and is written behind, a large batch at a time, to
 * PATH.index, a second SQLite file with its own write lock: commits never wait for it. The index
 * file is derived: it says how far it has read the store (indexed_run_key, head_seq), what comes
 * after is read again when the store is opened, and a missing, damaged or foreign one is rebuilt.
 *
 * Threading: three users. The committing thread stages and publishes, the reading thread looks up,
 * the upkeep thread flushes; a mutex inside keeps the memory part whole.
 */
#ifndef ARGOSY_ENGINE_STORE_INDEX_H
#define ARGOSY_ENGINE_STORE_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/sqlite.h"
#include "engine/store.h"

/* Runs opened, or rows of the log written, after which a flush is worth its pages. */
#define STORE_INDEX_FLUSH_RUNS 8192
#define STORE_INDEX_FLUSH_ROWS 65536

struct store_index;

/* Opens PATH.index and brings it up to date with the store in db. */
int store_index_open(const char *path, sqlite3 *db, struct store_index **ret_index,
                     struct error *err);
/* Accepts NULL. Does not flush. */
void store_index_close(struct store_index *index);

/* Committing thread. Staging tells of the transaction under way; publishing makes it visible once
 * it is durable, in the same order. store_index_stage returns the run's row of the log before seq;
 * with seq 0 it only tells. */
void store_index_stage_open(struct store_index *index, int64_t run_key);
int64_t store_index_stage(struct store_index *index, int64_t run_key, int64_t seq);
void store_index_publish(struct store_index *index, const struct store_write *writes, size_t count);

/* Reading thread. Calls each with the keys of the runs that may have this id (hashes can collide:
 * compare), newest first, until it returns non-zero, which is returned. */
typedef int store_index_fn(void *arg, int64_t run_key, struct error *err);
int store_index_each(struct store_index *index, const char *namespace_name, const char *workflow_id,
                     store_index_fn *each, void *arg, struct error *err);

/* Open runs older than before_run_key, newest first, in arena. ERR_LIMIT. */
int store_index_open_runs(struct store_index *index, int64_t before_run_key, struct arena *arena,
                          int64_t **ret_keys, size_t *ret_count, struct error *err);

/* The last row of an open run's log; 0 when the run is not open. */
int64_t store_index_head(struct store_index *index, int64_t run_key);

/* Upkeep thread. Whether a flush is worth while, and the flush. */
bool store_index_is_flush_due(struct store_index *index);
int store_index_flush(struct store_index *index, struct error *err);

#endif
