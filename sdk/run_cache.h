/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_cache: the runs a worker keeps in memory between their workflow tasks, the one used longest
 * ago dropped first. A dropped run is rebuilt from its history when its next task comes.
 *
 * Threading: one thread at a time. The cache owns the runs in it.
 */
#ifndef ARGOSY_SDK_RUN_CACHE_H
#define ARGOSY_SDK_RUN_CACHE_H

#include <stddef.h>

#include "sdk/run.h"

struct run_cache {
    size_t capacity; /* 0: nothing is kept */
    struct argosy_workflow *by_id;
    struct argosy_workflow *by_use; /* last used first */
};

void run_cache_fini(struct run_cache *cache);

/* Takes the run out; NULL when it is not there. The caller owns it then. */
struct argosy_workflow *run_cache_take(struct run_cache *cache, const char *run_id);

/* Puts run in, which the cache then owns; drops the one used longest ago when it is full. A run of
 * the same id must not be there. */
void run_cache_put(struct run_cache *cache, struct argosy_workflow *run);

/* Drops a run, if it is there. */
void run_cache_drop(struct run_cache *cache, const char *run_id);

#endif
