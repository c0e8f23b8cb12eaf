/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_upkeep: the thread that does what commits must not wait for: checkpoints of the
 * write-ahead log, and flushes of the index. It sleeps until one of them is due.
 *
 * A checkpoint runs beside commits, but as long as commits go on the log cannot start over, so when
 * it has grown past STORE_UPKEEP_WAL_PAGES_MAX the thread holds commits back for the little that is
 * left to copy. A failure here ends the store: store_upkeep_check tells the next commit.
 */
#ifndef ARGOSY_ENGINE_STORE_UPKEEP_H
#define ARGOSY_ENGINE_STORE_UPKEEP_H

#include <pthread.h>

#include "common/error.h"
#include "common/sqlite.h"
#include "engine/store_index.h"

/* Pages of 8 KiB in the write-ahead log: worth a checkpoint (8 MiB), worth holding commits back for
 * a moment (64 MiB). */
#define STORE_UPKEEP_WAL_PAGES     1000
#define STORE_UPKEEP_WAL_PAGES_MAX 8000

struct store_upkeep;

/* Starts the thread for the store at path. commit_lock is what store_commit holds; both are
 * borrowed. */
int store_upkeep_start(const char *path, struct store_index *index, pthread_mutex_t *commit_lock,
                       struct store_upkeep **ret_upkeep, struct error *err);

/* Stops it after a last flush; accepts NULL. */
void store_upkeep_stop(struct store_upkeep *upkeep);

/* Called after each commit: the write-ahead log's pages, 0 if unknown. Wakes the thread if it has
 * something to do. */
void store_upkeep_tell(struct store_upkeep *upkeep, int wal_pages);

/* 0, or what upkeep failed with. */
int store_upkeep_check(struct store_upkeep *upkeep, struct error *err);

#endif
