/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow: what workflow code may call.
 *
 * A workflow is a C function that runs on a stack of its own and may wait for as long as it likes:
 *
 *     static int greet(struct argosy_workflow *workflow, void *user_data,
 *                      struct argosy_payload *ret_result, struct argosy_error *err)
 *     {
 *         return argosy_activity_execute(workflow, &(struct argosy_activity_options){
 *             .type = "say_hello", .start_to_close_timeout_ms = 30000,
 *             .input = ARGOSY_PAYLOADS(*argosy_workflow_input(workflow))}, ret_result, err);
 *     }
 *
 * It survives crashes because it is run again from its history ("replay"). So it must be
 * deterministic: the same history, the same calls in the same order. Time, randomness and uuids
 * come from here; files, sockets, threads, clocks and global variables belong into activities. It
 * must not block other than by the waiting calls below, and what it allocates comes from
 * argosy_workflow_alloc: a run may be dropped from memory at any wait, without a return from it,
 * and then nothing else it holds is released. The stack is ARGOSY_WORKFLOW_STACK_SIZE bytes;
 * code that runs over it fails its workflow task with an error that names the run's type and id,
 * and the run waits for better code. So does code that computes for seconds of processor time
 * without waiting (the library takes SIGVTALRM for that in threads that run workers).
 *
 * How it ends: return 0 and the run completes with *ret_result (an untouched one is null); return a
 * negative code and it fails with err: with err->failure as its cause when an activity failed,
 * else as an application failure of err's text. ARGOSY_ERR_CANCELED after the run was asked to
 * cancel closes it as canceled.
 *
 * What a call does not take, it does not keep: options, input bytes and names are copied where they
 * are needed longer. Pointers to futures, failures and results live as long as the run.
 *
 * Threading: only from the run's own function and its handlers, never from another thread.
 *
 * Planned, and not yet here: child workflows, continue-as-new, updates, versioning (patches), local
 * activities. Their names will begin with argosy_child_, argosy_workflow_continue_, argosy_update_,
 * argosy_workflow_patch and argosy_local_activity_.
 */
#ifndef ARGOSY_WORKFLOW_H
#define ARGOSY_WORKFLOW_H

#include <argosy/failure.h>
#include <argosy/payload.h>
#include <argosy/retry_policy.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGOSY_WORKFLOW_STACK_SIZE (256 * 1024)
#define ARGOSY_UUID_SIZE           37 /* 36 characters and NUL */

struct argosy_workflow;
struct argosy_future;

/* A workflow. user_data is what was registered with it. ret_result points to an absent payload;
 * what is put there must live as long as the run (its arena) or for ever. */
typedef int argosy_workflow_function(struct argosy_workflow *workflow, void *user_data,
                                     struct argosy_payload *ret_result, struct argosy_error *err);

/* ---- the run ---- */

struct argosy_workflow_info {
    const char *workflow_id;
    const char *run_id;
    const char *workflow_type;
    const char *task_queue;
    const char *name_space;
    int32_t attempt; /* 1 for the first */
    int64_t start_time_utc_us;
    int64_t run_timeout_ms;       /* 0: none */
    int64_t execution_timeout_ms; /* 0: none */
};

/* Borrowed; constant over the run. */
ARGOSY_API const struct argosy_workflow_info *
argosy_workflow_info(const struct argosy_workflow *workflow);

/* The first argument; a null payload when there is none. Lives as long as the run. */
ARGOSY_API const struct argosy_payload *
argosy_workflow_input(const struct argosy_workflow *workflow);
/* All arguments. */
ARGOSY_API struct argosy_payloads argosy_workflow_inputs(const struct argosy_workflow *workflow);

/* Memory of the run: given back when it ends or is dropped. Never NULL: when it is exhausted the
 * call does not return and the workflow task fails. The second gives the same memory as an arena,
 * for functions that take one. */
ARGOSY_API void *argosy_workflow_alloc(struct argosy_workflow *workflow, size_t size);
ARGOSY_API struct argosy_arena *argosy_workflow_arena(struct argosy_workflow *workflow);

/* Time of the workflow task, in UTC microseconds: the same on replay. */
ARGOSY_API int64_t argosy_workflow_now_utc_us(const struct argosy_workflow *workflow);
/* Random numbers and version 4 uuids, seeded by the run id: the same on replay. */
ARGOSY_API uint64_t argosy_workflow_random(struct argosy_workflow *workflow);
ARGOSY_API void argosy_workflow_uuid(struct argosy_workflow *workflow,
                                     char ret_text[ARGOSY_UUID_SIZE]);

/* Logs one line (at most 1023 bytes) with the run's type and ids: in a fleet as `workflow.logged`
 * at level info, elsewhere to the worker's log function. Nothing on replay: each line comes once,
 * unless the workflow task that said it is tried again. */
ARGOSY_API void argosy_workflow_log(struct argosy_workflow *workflow, const char *format, ...)
    ARGOSY_PRINTF(2, 3);

/* Whether the code now runs over old history; to guard output only, never a decision. */
ARGOSY_API bool argosy_workflow_is_replaying(const struct argosy_workflow *workflow);

/* ---- activities ---- */

/* What argosy_future_cancel, and a canceled run, do to an activity. */
enum argosy_cancellation_type {
    ARGOSY_CANCEL_TRY = 0,     /* ask it to stop; the future is canceled at once */
    ARGOSY_CANCEL_WAIT = 1,    /* ask it to stop; the future waits for how it ends */
    ARGOSY_CANCEL_ABANDON = 2, /* do not ask; the future is canceled at once */
};

struct argosy_activity_options {
    const char *type;       /* needed */
    const char *task_queue; /* NULL: the workflow's own */
    const char *id;         /* unique among the run's pending activities; NULL: a number */
    struct argosy_payloads input;
    /* One of the first two is needed. All in milliseconds, 0 for none. */
    int64_t start_to_close_timeout_ms;    /* one attempt */
    int64_t schedule_to_close_timeout_ms; /* all attempts together */
    int64_t schedule_to_start_timeout_ms; /* in the queue, before an attempt begins */
    int64_t heartbeat_timeout_ms;         /* between two heartbeats of an attempt */
    struct argosy_retry_policy retry_policy;
    enum argosy_cancellation_type cancellation_type;
    /* Place in its queue: 1 (first) to 5 (last); 0: the workflow's own, else 3. Of equals the
     * oldest goes first. */
    int32_t priority;
};

/* Starts an activity; it is on its way when the code next waits. Never NULL: wrong options are told
 * by the await. The future lives as long as the run. */
ARGOSY_API struct argosy_future *
argosy_activity_start(struct argosy_workflow *workflow,
                      const struct argosy_activity_options *options);

/* Starts an activity and waits for it: argosy_activity_start and argosy_await in one. */
ARGOSY_API int argosy_activity_execute(struct argosy_workflow *workflow,
                                       const struct argosy_activity_options *options,
                                       struct argosy_payload *ret_result, struct argosy_error *err);

/* ---- timers ---- */

/* A durable timer: ready after delay_ms (at least 1 ms; 0 and less count as 1). Never NULL. */
ARGOSY_API struct argosy_future *argosy_timer_start(struct argosy_workflow *workflow,
                                                    int64_t delay_ms);
/* Waits for delay_ms. ARGOSY_ERR_CANCELED when the run is asked to cancel meanwhile. */
ARGOSY_API int argosy_workflow_sleep(struct argosy_workflow *workflow, int64_t delay_ms,
                                     struct argosy_error *err);

/* ---- futures ---- */

/* Waits until future is ready. 0 with its result in *ret_result (may be NULL; a timer's is null).
 * ARGOSY_ERR_FAILED: the activity failed, err->failure says how. ARGOSY_ERR_TIMEOUT: it timed out
 * (err->failure too). ARGOSY_ERR_CANCELED: it was canceled. ARGOSY_ERR_INVALID: wrong options.
 * ARGOSY_ERR_STATE: in a handler, which may not wait. */
ARGOSY_API int argosy_await(struct argosy_future *future, struct argosy_payload *ret_result,
                            struct argosy_error *err);

/* Waits until all count futures are ready. 0 when all succeeded, else the error of the first one
 * in the list that did not; argosy_await on each then returns at once with its result. */
ARGOSY_API int argosy_await_all(struct argosy_future *const *futures, size_t count,
                                struct argosy_error *err);

/* Waits until one of count futures is ready, whatever its outcome; *ret_index is the one that was
 * ready first. ARGOSY_ERR_INVALID when count is 0. */
ARGOSY_API int argosy_await_any(struct argosy_future *const *futures, size_t count,
                                size_t *ret_index, struct argosy_error *err);

/* Whether argosy_await would return at once. */
ARGOSY_API bool argosy_future_is_ready(const struct argosy_future *future);

/* Cancels an activity (as its cancellation_type says) or a timer. A ready one is left as it is. */
ARGOSY_API void argosy_future_cancel(struct argosy_future *future);

/* ---- conditions ---- */

/* Looks at the run's own variables; called after every change (signal, result). No side effects. */
typedef bool argosy_condition_function(void *user_data);

/* Waits until condition(user_data) is true. timeout_ms < 0 waits for ever; 0 only looks.
 * ARGOSY_ERR_TIMEOUT when the time is over, ARGOSY_ERR_CANCELED when the run is asked to cancel. */
ARGOSY_API int argosy_condition_wait(struct argosy_workflow *workflow,
                                     argosy_condition_function *condition, void *user_data,
                                     int64_t timeout_ms, struct argosy_error *err);

/* ---- signals ---- */

/* Called for one signal. It may change the run's variables and start or cancel futures, but not
 * wait. input lives as long as the run. */
typedef void argosy_signal_function(struct argosy_workflow *workflow,
                                    const struct argosy_payloads *input, void *user_data);

/* Sets the handler of the signals called name (NULL removes it). Signals that came earlier wait in
 * a buffer: the handler is called with them at once, in order. */
ARGOSY_API void argosy_signal_handle(struct argosy_workflow *workflow, const char *name,
                                     argosy_signal_function *handler, void *user_data);

/* Takes the oldest unhandled signal called name; its first argument goes to *ret_input (may be
 * NULL). timeout_ms and errors as in argosy_condition_wait. */
ARGOSY_API int argosy_signal_receive(struct argosy_workflow *workflow, const char *name,
                                     int64_t timeout_ms, struct argosy_payload *ret_input,
                                     struct argosy_error *err);

/* ---- queries ---- */

/* Answers one query from the run's variables. Read only: it may not wait, start, cancel or change
 * anything. *ret_answer and failing as with a workflow function. */
typedef int argosy_query_function(struct argosy_workflow *workflow,
                                  const struct argosy_payloads *input, void *user_data,
                                  struct argosy_payload *ret_answer, struct argosy_error *err);

/* Sets the handler of the queries called type (NULL removes it). Set handlers before the first
 * wait: a query without one fails. Runs that are over are asked too: what user_data points to
 * should come from argosy_workflow_alloc; when it is a local variable, such a query fails. */
ARGOSY_API void argosy_query_handle(struct argosy_workflow *workflow, const char *type,
                                    argosy_query_function *handler, void *user_data);

/* ---- cancellation ---- */

/* Whether the run was asked to cancel. From then on every pending activity and timer is canceled
 * and every wait returns ARGOSY_ERR_CANCELED, except in a shielded part. */
ARGOSY_API bool argosy_workflow_is_canceled(const struct argosy_workflow *workflow);

/* Begins (true) or ends (false) a shielded part: what is started and waited for inside is not
 * reached by the run's cancellation. For cleaning up. Returns the value before. */
ARGOSY_API bool argosy_workflow_shield(struct argosy_workflow *workflow, bool shielded);

#endif
