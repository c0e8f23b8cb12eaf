/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_fixture: a store in a folder of its own, and short ways to write runs into it and to check
 * what it holds. The content of every blob is a pattern of (run key, number), so that what is read
 * back is held against what was meant, not against what was written.
 */
#ifndef ARGOSY_TESTS_STORE_FIXTURE_H
#define ARGOSY_TESTS_STORE_FIXTURE_H

#include "api/enums.h"
#include "common/arena.h"
#include "engine/store.h"
#include "tests/test.h"

#define RUNNING   WORKFLOW_EXECUTION_STATUS_RUNNING
#define COMPLETED WORKFLOW_EXECUTION_STATUS_COMPLETED

struct store_fixture {
    char folder[64];
    char path[96]; /* "" for a memory store */
    struct store *store;
    struct arena arena;
};

/* A new folder under /tmp and an open store in it. */
void fixture_open(struct store_fixture *fixture, bool is_memory);
void fixture_close(struct store_fixture *fixture);
/* Closes the store and opens it again; a memory store stays as it is. */
void fixture_reopen(struct store_fixture *fixture);

/* Files of a folder under /tmp. */
void folder_create(char folder[64]);
void folder_remove(const char *folder);

/* The number-th blob of a run: its bytes, a pattern of both. */
struct store_blob blob_make(struct arena *arena, int64_t run_key, int number, size_t size);
bool blob_is(const struct store_blob *blob, int64_t run_key, int number, size_t size);

/* A run that opens, goes on, closes. Ids are "id-<n>", run ids "run-<run_key>". */
struct store_write write_open(struct arena *arena, int64_t run_key, const char *workflow_id,
                              size_t size);
struct store_write write_more(struct arena *arena, int64_t run_key, int number, size_t size);
struct store_write write_close(struct arena *arena, int64_t run_key, int number, size_t size);

/* Commits, and fails the test where that fails. */
void commit_all(struct store *store, const struct store_write *writes, size_t count);
void commit_one(struct store *store, struct store_write write);

/* Fails the test unless the run's log is blobs 1 to count of the given size. */
void check_log(struct store_fixture *fixture, int64_t run_key, int count, size_t size);

#endif
