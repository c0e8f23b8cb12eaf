/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity: what activity code may call. An activity does the real work: it may read files, use a
 * GPU, take minutes. It runs on one of the worker's threads, at least once per attempt.
 *
 *     static int word_count(struct argosy_activity *activity, void *user_data,
 *                           struct argosy_payload *ret_result, struct argosy_error *err)
 *
 * Returning 0 completes it with *ret_result. Returning a negative code fails the attempt: with the
 * failure that argosy_failure_raise made, else with one of err's text whose type is the code's name
 * ("ERR_INVALID"); the retry policy decides what follows. Returning ARGOSY_ERR_CANCELED after
 * argosy_activity_is_canceled said true closes it as canceled. Returning ARGOSY_ACTIVITY_RELEASED
 * hands the task back untouched: another worker begins at the last heartbeat's details.
 *
 * An asynchronous activity (argosy_registry_add_async_activity) gets the same handle, keeps it,
 * returns at once and finishes it later, from any thread, by exactly one of
 * argosy_activity_complete, _fail, _cancel or _release; the handle is then gone. That is how one
 * batch serves many tasks. A handle may outlive the worker, if the registry does too: what is said
 * of it then goes nowhere.
 *
 * Threading: every function here may be called from any thread, except that the arena is for one
 * thread at a time.
 */
#ifndef ARGOSY_ACTIVITY_H
#define ARGOSY_ACTIVITY_H

#include <argosy/failure.h>
#include <argosy/payload.h>
#include <stdbool.h>
#include <stdint.h>

#define ARGOSY_ACTIVITY_RELEASED 1

struct argosy_activity;

/* An activity. ret_result points to an absent payload; what is put there must live until the
 * function has returned (use the task's arena). */
typedef int argosy_activity_function(struct argosy_activity *activity, void *user_data,
                                     struct argosy_payload *ret_result, struct argosy_error *err);

/* An asynchronous activity: takes the handle and returns without waiting. It is called on the
 * worker's own loop, so it must be quick: put the task on a list and leave. */
typedef void argosy_async_activity_function(struct argosy_activity *activity, void *user_data);

struct argosy_activity_info {
    const char *activity_type;
    const char *activity_id;
    const char *workflow_id;
    const char *run_id;
    const char *workflow_type;
    const char *task_queue;
    int32_t attempt; /* 1 for the first */
    /* How often this attempt was lost with its process since it last made progress. */
    int32_t loss_count;
    int32_t priority;                      /* 1 (first) to 5 (last); 3 when nobody said */
    int64_t scheduled_time_utc_us;         /* the first attempt's */
    int64_t attempt_scheduled_time_utc_us; /* this attempt's */
    int64_t started_time_utc_us;
    int64_t start_to_close_timeout_ms; /* 0: none */
    int64_t heartbeat_timeout_ms;      /* 0: none */
};

/* Borrowed; constant over the task. */
ARGOSY_API const struct argosy_activity_info *
argosy_activity_info(const struct argosy_activity *activity);

/* The first argument (a null payload when there is none); all arguments. They live as long as the
 * task. */
ARGOSY_API const struct argosy_payload *
argosy_activity_input(const struct argosy_activity *activity);
ARGOSY_API struct argosy_payloads argosy_activity_inputs(const struct argosy_activity *activity);

/* Memory of the task: given back when it is finished. */
ARGOSY_API struct argosy_arena *argosy_activity_arena(struct argosy_activity *activity);

/* Tells the engine that the work goes on, with details to resume from (may be NULL or absent: the
 * ones before are kept). Cheap: at most one message per 0.8 heartbeat timeouts leaves the process
 * (without a timeout: per 30 s); the newest details always leave before a drain, a failure or a
 * release. details are copied; those over 2 MiB are ignored. */
ARGOSY_API void argosy_activity_heartbeat(struct argosy_activity *activity,
                                          const struct argosy_payload *details);

/* The details of the last heartbeat of the dispatch before this one: where to resume; a null
 * payload when there are none. They live as long as the task. */
ARGOSY_API const struct argosy_payload *
argosy_activity_last_heartbeat(const struct argosy_activity *activity);

/* Whether the work is no longer wanted: canceled by the workflow, timed out, or given to another
 * worker. Learned from heartbeats, so only activities that send them hear of it. */
ARGOSY_API bool argosy_activity_is_canceled(const struct argosy_activity *activity);

/* Whether the worker is shutting down: a long activity should checkpoint and return
 * ARGOSY_ACTIVITY_RELEASED (or call argosy_activity_release). */
ARGOSY_API bool argosy_activity_is_draining(const struct argosy_activity *activity);

/* ---- finishing an asynchronous activity; each takes the handle ---- */

/* Completes it; result (may be NULL for null) is copied. */
ARGOSY_API void argosy_activity_complete(struct argosy_activity *activity,
                                         const struct argosy_payload *result);
/* Fails the attempt with err, as returning its code would. */
ARGOSY_API void argosy_activity_fail(struct argosy_activity *activity,
                                     const struct argosy_error *err);
/* Closes it as canceled. */
ARGOSY_API void argosy_activity_cancel(struct argosy_activity *activity);
/* Hands it back untouched, with its last heartbeat details. */
ARGOSY_API void argosy_activity_release(struct argosy_activity *activity);

#endif
