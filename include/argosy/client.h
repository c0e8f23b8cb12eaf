/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: starts workflows and asks about them.
 *
 * A call blocks until it is answered or timeout_ms of the client is over (a result: as long as it
 * was asked to wait). What a call hands out lives in the arena it was given, err->failure included.
 * A run is named by workflow id and run id; a NULL or empty run id means the current or latest run.
 *
 * Threading: a client may be used by many threads at once; calls do not wait for one another.
 */
#ifndef ARGOSY_CLIENT_H
#define ARGOSY_CLIENT_H

#include <argosy/arena.h>
#include <argosy/connection.h>
#include <argosy/failure.h>
#include <argosy/payload.h>
#include <argosy/retry_policy.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGOSY_RUN_ID_SIZE 64

struct argosy_client;

/* Connects. It waits up to 5 s for an engine to answer: ARGOSY_ERR_UNAVAILABLE. The caller owns
 * *ret_client. */
ARGOSY_API int argosy_client_connect(const struct argosy_connection_options *options,
                                     struct argosy_client **ret_client, struct argosy_error *err);

/* Pending calls of other threads return ARGOSY_ERR_CLOSED. NULL is fine. */
ARGOSY_API void argosy_client_close(struct argosy_client *client);

/* Sets how long a call waits for its answer; 10,000 ms at first. */
ARGOSY_API void argosy_client_set_timeout(struct argosy_client *client, int64_t timeout_ms);

/* ---- starting ---- */

/* When a closed run of the same workflow id exists. Numbers are those of the API. */
enum argosy_id_reuse_policy {
    ARGOSY_REUSE_ALLOW = 0,             /* start anew (the default) */
    ARGOSY_REUSE_ALLOW_FAILED_ONLY = 2, /* unless it completed */
    ARGOSY_REUSE_REJECT = 3,            /* ARGOSY_ERR_EXISTS */
};

/* When a run of the same workflow id is open. Numbers are those of the API. */
enum argosy_id_conflict_policy {
    ARGOSY_CONFLICT_FAIL = 0,         /* ARGOSY_ERR_EXISTS (the default) */
    ARGOSY_CONFLICT_USE_EXISTING = 2, /* answer with that run */
    ARGOSY_CONFLICT_TERMINATE = 3,    /* end it and start anew */
};

struct argosy_start_options {
    const char *workflow_id;   /* needed */
    const char *workflow_type; /* needed */
    const char *task_queue;    /* needed */
    struct argosy_payloads input;
    int64_t execution_timeout_ms; /* 0: none */
    int64_t run_timeout_ms;       /* 0: none */
    int64_t task_timeout_ms;      /* 0: 10 s */
    /* A run that fails or passes its run timeout is started anew under the same id, as long as this
     * allows; NULL: never. */
    const struct argosy_retry_policy *retry_policy;
    enum argosy_id_reuse_policy id_reuse_policy;
    enum argosy_id_conflict_policy id_conflict_policy;
    /* At most concurrency_limit runs of one key are open at once (over all workflow types): a
     * further start is refused, ARGOSY_ERR_LIMIT, and the text names the runs. NULL: no bound. */
    const char *concurrency_key;
    int32_t concurrency_limit;
    /* Two starts with one request id are one start; NULL: a random one. */
    const char *request_id;
    /* Place of the run's tasks in their queues, its activities' too where they do not say
     * otherwise: 1 (first) to 5 (last); 0: 3. */
    int32_t priority;
};

/* Starts a run and writes its run id. On ARGOSY_ERR_EXISTS ret_run_id holds the id of the run that
 * is in the way. */
ARGOSY_API int argosy_client_start(struct argosy_client *client,
                                   const struct argosy_start_options *options,
                                   char ret_run_id[ARGOSY_RUN_ID_SIZE], struct argosy_error *err);

/* Called once for a call made with ..._async: code is 0 or negative; payload, run_id and err are
 * borrowed for the call. It runs on the client's own thread and must be quick. */
typedef void argosy_client_done_function(void *user_data, int code,
                                         const struct argosy_payload *result,
                                         const struct argosy_error *err);

/* Starts a run and waits for its result without blocking a thread. done is called exactly once,
 * with ARGOSY_ERR_CLOSED if the client is closed first. options are copied. */
ARGOSY_API int argosy_client_execute_async(struct argosy_client *client,
                                           const struct argosy_start_options *options,
                                           argosy_client_done_function *done, void *user_data,
                                           struct argosy_error *err);

/* ---- waiting ---- */

/* Waits until the run is closed, at most timeout_ms (negative: for ever): 0 with its first result
 * payload in *ret_result (may be NULL). ARGOSY_ERR_FAILED: it failed; ARGOSY_ERR_TIMEOUT: it timed
 * out (err->failure is set), or the wait did (it is NULL); ARGOSY_ERR_CANCELED: it was canceled;
 * ARGOSY_ERR_ABORTED: it was terminated; ARGOSY_ERR_NOT_FOUND. */
ARGOSY_API int argosy_client_result(struct argosy_client *client, const char *workflow_id,
                                    const char *run_id, int64_t timeout_ms,
                                    struct argosy_arena *arena, struct argosy_payload *ret_result,
                                    struct argosy_error *err);

/* ---- talking to a run ---- */

ARGOSY_API int argosy_client_signal(struct argosy_client *client, const char *workflow_id,
                                    const char *run_id, const char *name,
                                    struct argosy_payloads input, struct argosy_error *err);

/* Asks the run's worker. ARGOSY_ERR_INVALID: no such query, or it failed; the text says which. */
ARGOSY_API int argosy_client_query(struct argosy_client *client, const char *workflow_id,
                                   const char *run_id, const char *type,
                                   struct argosy_payloads input, struct argosy_arena *arena,
                                   struct argosy_payload *ret_answer, struct argosy_error *err);

/* Asks the run to cancel; its code decides how. reason may be NULL. */
ARGOSY_API int argosy_client_cancel(struct argosy_client *client, const char *workflow_id,
                                    const char *run_id, const char *reason,
                                    struct argosy_error *err);

/* Ends the run at once, without its code. reason may be NULL. */
ARGOSY_API int argosy_client_terminate(struct argosy_client *client, const char *workflow_id,
                                       const char *run_id, const char *reason,
                                       struct argosy_error *err);

/* ---- looking, as JSON text in arena (Temporal's JSON form of the message named) ---- */

/* DescribeWorkflowExecutionResponse. */
ARGOSY_API int argosy_client_describe(struct argosy_client *client, const char *workflow_id,
                                      const char *run_id, struct argosy_arena *arena,
                                      const char **ret_json, struct argosy_error *err);

/* History of the run, all pages: {"events": [...]}. argosy_replay_history reads it. */
ARGOSY_API int argosy_client_history(struct argosy_client *client, const char *workflow_id,
                                     const char *run_id, struct argosy_arena *arena,
                                     const char **ret_json, struct argosy_error *err);

/* Any method of the API by name, request and response as JSON: what the command line uses for list,
 * count, task queues and everything without a function of its own. A request without "namespace"
 * gets the client's. ARGOSY_ERR_INVALID for an unknown method or a malformed request.
 * argosy_client_call(client, "ListWorkflowExecutions", "{\"pageSize\": 20}", arena, &json, err) */
ARGOSY_API int argosy_client_call(struct argosy_client *client, const char *method,
                                  const char *request_json, struct argosy_arena *arena,
                                  const char **ret_json, struct argosy_error *err);

#endif
