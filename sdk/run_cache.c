/* SPDX-License-Identifier: Apache-2.0 */
/* run_cache: see run_cache.h. */
#include "sdk/run_cache.h"

#include <string.h>

void run_cache_fini(struct run_cache *cache)
{
    while (cache->by_use != NULL)
        run_cache_drop(cache, cache->by_use->info.run_id);
}

struct argosy_workflow *run_cache_take(struct run_cache *cache, const char *run_id)
{
    struct argosy_workflow *run;
    HASH_FIND_STR(cache->by_id, run_id, run);
    if (run == NULL)
        return NULL;
    HASH_DEL(cache->by_id, run);
    DL_DELETE(cache->by_use, run);
    return run;
}

void run_cache_put(struct run_cache *cache, struct argosy_workflow *run)
{
    const char *run_id = run->info.run_id;
    HASH_ADD_KEYPTR(hh, cache->by_id, run_id, strlen(run_id), run);
    DL_PREPEND(cache->by_use, run);
    if (HASH_COUNT(cache->by_id) > cache->capacity) {
        struct argosy_workflow *oldest = cache->by_use->prev; /* utlist: head's prev is the tail */
        run_cache_drop(cache, oldest->info.run_id);
    }
}

void run_cache_drop(struct run_cache *cache, const char *run_id)
{
    run_destroy(run_cache_take(cache, run_id));
}
