/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_ops: what an implementation of engine/store.h brings: one function per call there, with the
 * same promises. Only store.c and the implementations include this.
 */
#ifndef ARGOSY_ENGINE_STORE_OPS_H
#define ARGOSY_ENGINE_STORE_OPS_H

#include "engine/store.h"

struct store_ops {
    void (*close)(struct store *store);
    int (*commit)(struct store *store, const struct store_write *writes, size_t count,
                  struct error *err);
    int (*scan_open)(struct store *store, store_run_fn *each, void *arg, struct error *err);
    int (*scan_settings)(struct store *store, store_setting_fn *each, void *arg, struct error *err);
    int (*next_run_key)(struct store *store, int64_t *ret_run_key, struct error *err);
    int (*find)(struct store *store, const char *namespace_name, const char *workflow_id,
                const char *run_id, struct arena *arena, struct store_run *ret_run,
                struct error *err);
    int (*load)(struct store *store, int64_t run_key, struct arena *arena,
                struct store_blob **ret_records, size_t *ret_count, struct error *err);
    /* Calls each for every run that passes the filter, newest first, until it returns non-zero; the
     * run is borrowed for the call. Returns 0 or what failed in the store. */
    int (*each)(struct store *store, const struct store_filter *filter,
                int (*each)(void *arg, const struct store_run *run), void *arg, struct error *err);
};

/* The first member of every implementation's struct. */
struct store {
    const struct store_ops *ops;
};

int store_memory_open(struct store **ret_store, struct error *err);
int store_sqlite_open(const char *path, struct store **ret_store, struct error *err);

/* Whether the run passes every condition of the filter. */
bool store_filter_matches(const struct store_filter *filter, const struct store_run *run);

/* A copy with its strings in arena. ERR_LIMIT when it does not fit. */
int store_run_copy(const struct store_run *run, struct arena *arena, struct store_run *ret_run,
                   struct error *err);

#endif
