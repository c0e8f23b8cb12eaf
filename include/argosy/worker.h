/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker: runs workflow tasks and activities of one or more task queues over one connection.
 *
 * A worker registers what its registry holds, so that it is handed only tasks it can run. Runs it
 * has begun stay in its memory and their next tasks come back to it (sticky); a run it has dropped
 * or that another worker had is rebuilt from its history. When the engine is away it reconnects by
 * itself and says which tasks it still holds.
 *
 * Threading: argosy_worker_run blocks the thread that calls it; workflow code runs on that thread,
 * activities on threads of the worker. argosy_worker_stop may be called from any thread and from a
 * signal handler; argosy_worker_set_slots from any thread.
 */
#ifndef ARGOSY_WORKER_H
#define ARGOSY_WORKER_H

#include <argosy/connection.h>
#include <argosy/error.h>
#include <argosy/log.h>
#include <argosy/registry.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct argosy_worker;

struct argosy_worker_queue {
    const char *name;
    int slots; /* activities of this queue at once in this process; 0: one per core */
};

struct argosy_worker_options {
    struct argosy_connection_options connection;
    const struct argosy_worker_queue *queues; /* at least one; copied */
    size_t queue_count;
    bool without_workflows;  /* take no workflow tasks, though workflows are registered */
    bool without_activities; /* take no activities */
    int workflow_slots;      /* workflow tasks in hand at once; 0: 256 */
    int cached_runs;         /* runs kept in memory; 0: 1000 */

    /* All may be NULL; called on the thread of argosy_worker_run with user_data. */
    void *user_data;
    /* The engine has been sent the polls for the first time: the worker is serving. */
    void (*on_ready)(void *user_data);
    /* The loop has completed a turn: proof of life; at most 4 times a second. */
    void (*on_turn)(void *user_data);
    /* Called when watch_fd is readable (a signalfd, a control pipe): reads it, and may call
     * argosy_worker_stop. watch_fd is only looked at when this is set. */
    void (*on_watch)(void *user_data);
    int watch_fd;
    /* What workflow code logs, and what goes wrong that no caller is told. NULL: to standard error
     * as logfmt. Unlike the others, on any thread. */
    argosy_log_function *on_log;
};

/* A worker that is not yet connected. registry is borrowed: it must outlive the worker. The caller
 * owns *ret_worker. ARGOSY_ERR_INVALID names a wrong option. */
ARGOSY_API int argosy_worker_create(const struct argosy_worker_options *options,
                                    const struct argosy_registry *registry,
                                    struct argosy_worker **ret_worker, struct argosy_error *err);

/* Serves until argosy_worker_stop has been called and the drain is over: 0. An engine that cannot
 * be reached is waited for. Negative only for what waiting cannot mend (a wrong endpoint or key, an
 * unknown namespace). */
ARGOSY_API int argosy_worker_run(struct argosy_worker *worker, struct argosy_error *err);

/* Drains and ends argosy_worker_run: no new task is taken; activities may finish within grace_ms,
 * then their newest heartbeat details are sent and they are handed back
 * (argosy_activity_is_draining and _is_canceled turn true). A second call shortens the grace.
 * Async-signal-safe. */
ARGOSY_API void argosy_worker_stop(struct argosy_worker *worker, int64_t grace_ms);

/* Changes the slots of a queue while it runs; running activities are left alone. What an operator
 * has set for each process of the fleet goes before it.
 * ARGOSY_ERR_NOT_FOUND for a queue that the worker does not serve. */
ARGOSY_API int argosy_worker_set_slots(struct argosy_worker *worker, const char *queue, int slots,
                                       struct argosy_error *err);

/* Frees a worker that does not run. NULL is fine. Activities that still run after the grace are
 * waited for: their functions must return. */
ARGOSY_API void argosy_worker_destroy(struct argosy_worker *worker);

#endif
