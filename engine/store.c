/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: see store.h. Hands each call to the implementation's table of operations; pages of runs
 * are gathered here, for both.
 */
#include "engine/store.h"

#include <string.h>

#include "engine/store_ops.h"

int store_open(const char *path, struct store **ret_store, struct error *err)
{
    if (path == NULL || path[0] == '\0')
        return store_memory_open(ret_store, err);
    return store_sqlite_open(path, ret_store, err);
}

void store_close(struct store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

int store_commit(struct store *store, const struct store_write *writes, size_t count,
                 struct error *err)
{
    if (count == 0)
        return 0;
    return store->ops->commit(store, writes, count, err);
}

int store_scan_open(struct store *store, store_run_fn *each, void *arg, struct error *err)
{
    return store->ops->scan_open(store, each, arg, err);
}

int store_scan_settings(struct store *store, store_setting_fn *each, void *arg, struct error *err)
{
    return store->ops->scan_settings(store, each, arg, err);
}

int store_next_run_key(struct store *store, int64_t *ret_run_key, struct error *err)
{
    return store->ops->next_run_key(store, ret_run_key, err);
}

int store_find(struct store *store, const char *namespace_name, const char *workflow_id,
               const char *run_id, struct arena *arena, struct store_run *ret_run,
               struct error *err)
{
    return store->ops->find(store, namespace_name, workflow_id, run_id, arena, ret_run, err);
}

int store_load(struct store *store, int64_t run_key, struct arena *arena,
               struct store_blob **ret_records, size_t *ret_count, struct error *err)
{
    return store->ops->load(store, run_key, arena, ret_records, ret_count, err);
}

bool store_filter_matches(const struct store_filter *filter, const struct store_run *run)
{
    return run->run_key < filter->before_run_key &&
           (filter->status == 0 || run->status == filter->status) &&
           strcmp(run->namespace_name, filter->namespace_name) == 0 &&
           (filter->workflow_id == NULL || strcmp(run->workflow_id, filter->workflow_id) == 0) &&
           (filter->workflow_type == NULL ||
            strcmp(run->workflow_type, filter->workflow_type) == 0);
}

int store_run_copy(const struct store_run *run, struct arena *arena, struct store_run *ret_run,
                   struct error *err)
{
    struct store_run copy = *run;
    const char **texts[] = {&copy.namespace_name, &copy.workflow_id, &copy.run_id,
                            &copy.workflow_type, &copy.task_queue};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        *texts[i] = arena_strdup(arena, *texts[i]);
        if (*texts[i] == NULL)
            return error_set(err, ERR_LIMIT, "a run's description does not fit in its arena");
    }
    *ret_run = copy;
    return 0;
}

/* A page being gathered. */
struct page {
    struct arena *arena;
    struct store_run *runs;
    size_t count;
    size_t limit;
    int code;
    struct error *err;
};

static int page_add(void *arg, const struct store_run *run)
{
    struct page *page = arg;
    if (page->count == page->limit)
        return 1;
    page->code = store_run_copy(run, page->arena, &page->runs[page->count], page->err);
    if (page->code != 0)
        return 1;
    page->count++;
    return page->count == page->limit;
}

int store_list(struct store *store, const struct store_filter *filter, size_t limit,
               struct arena *arena, struct store_run **ret_runs, size_t *ret_count,
               struct error *err)
{
    struct page page = {.arena = arena, .limit = limit, .err = err};
    page.runs = arena_calloc(arena, limit, sizeof *page.runs);
    if (page.runs == NULL)
        return error_set(err, ERR_LIMIT, "a page of %zu runs does not fit in its arena", limit);
    int code = store->ops->each(store, filter, page_add, &page, err);
    if (code == 0)
        code = page.code;
    if (code != 0)
        return code;
    *ret_runs = page.runs;
    *ret_count = page.count;
    return 0;
}

static int count_add(void *arg, const struct store_run *run)
{
    int64_t *count = arg;
    (void)run;
    (*count)++;
    return 0;
}

int store_count(struct store *store, const struct store_filter *filter, int64_t *ret_count,
                struct error *err)
{
    int64_t count = 0;
    int code = store->ops->each(store, filter, count_add, &count, err);
    if (code == 0)
        *ret_count = count;
    return code;
}
