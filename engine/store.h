/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store: where the logs of runs are kept. One small interface with two implementations: SQLite
 * (engine/store_sqlite.c, the embedded default) and memory (engine/store_memory.c, for tests and
 * simulation).
 *
 * A log is a sequence of blobs per run, one per transition, each an encoded list of records that
 * only the core understands (engine/proto/record.proto). Run keys are integers the core hands out
 * in rising order, so that rows are appended and no index on random text is written in the hot path
 * (docs/ARCHITECTURE.md says what that costs). Finding closed runs by id, and listing, may lag
 * behind the log inside the store but never run ahead of it, and every answer includes what is
 * committed.
 *
 * Threading: store_commit is called by one thread at a time; the read functions may run on another
 * thread at the same time. Errors: ERR_STORAGE (the disk refused: fail-stop), ERR_CORRUPT.
 */
#ifndef ARGOSY_ENGINE_STORE_H
#define ARGOSY_ENGINE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"

struct store_blob {
    const uint8_t *data;
    size_t size;
};

/* A run as clients list it. Strings are never NULL. */
struct store_run {
    int64_t run_key;
    const char *namespace_name;
    const char *workflow_id;
    const char *run_id;
    const char *workflow_type;
    const char *task_queue;
    int64_t start_utc_us;
    int64_t close_utc_us; /* 0 while open */
    int32_t status;       /* Api__WorkflowExecutionStatus */
    int64_t history_length;
};

/* One transition of one run, or a setting. */
struct store_write {
    const char *setting; /* a setting's name: records is its value, empty to remove it, and nothing
                            else counts. NULL: a run's */
    int64_t run_key;
    struct store_blob records; /* appended to the run's log; may be empty only with `closed` */
    bool opened;               /* the run's first write */
    bool closed;               /* its last: run.status, close_utc_us and history_length are final */
    struct store_run run;      /* all fields if opened; the three above if closed; else unused */
};

struct store;

/* Opens (and creates) the store in the file at path; NULL or "" opens a memory store. ERR_STORAGE
 * says what is wrong with the file; ERR_CORRUPT, ERR_UNSUPPORTED (a newer schema). */
int store_open(const char *path, struct store **ret_store, struct error *err);
void store_close(struct store *store);

/* Appends all writes, in order, in one transaction with one flush; all or nothing. */
int store_commit(struct store *store, const struct store_write *writes, size_t count,
                 struct error *err);

/* Recovery: calls each for every open run with its whole log, in run_key order; stops at the first
 * non-zero return and returns it. */
typedef int store_run_fn(void *arg, const struct store_run *run, const struct store_blob *records,
                         size_t record_count, struct error *err);
int store_scan_open(struct store *store, store_run_fn *each, void *arg, struct error *err);

/* Recovery: calls each for every setting; stops at the first non-zero return and returns it. */
typedef int store_setting_fn(void *arg, const char *name, const struct store_blob *value,
                             struct error *err);
int store_scan_settings(struct store *store, store_setting_fn *each, void *arg, struct error *err);

/* Greater than every run key in use. */
int store_next_run_key(struct store *store, int64_t *ret_run_key, struct error *err);

/* The run of (namespace, workflow_id) with this run_id, or with run_id "" the latest one, open or
 * closed; strings in arena. ERR_NOT_FOUND. */
int store_find(struct store *store, const char *namespace_name, const char *workflow_id,
               const char *run_id, struct arena *arena, struct store_run *ret_run,
               struct error *err);

/* The run's log, in order, in arena. ERR_LIMIT when it does not fit there. */
int store_load(struct store *store, int64_t run_key, struct arena *arena,
               struct store_blob **ret_records, size_t *ret_count, struct error *err);

/* Newest first, a page at a time. */
struct store_filter {
    const char *namespace_name;
    const char *workflow_id;   /* NULL: any */
    const char *workflow_type; /* NULL: any */
    int32_t status;            /* 0: any */
    int64_t before_run_key;    /* only older runs; INT64_MAX: from the newest */
};
int store_list(struct store *store, const struct store_filter *filter, size_t limit,
               struct arena *arena, struct store_run **ret_runs, size_t *ret_count,
               struct error *err);
int store_count(struct store *store, const struct store_filter *filter, int64_t *ret_count,
                struct error *err);

#endif
