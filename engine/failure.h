/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure: failures that the engine makes, and what a failure means for retrying.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_ENGINE_FAILURE_H
#define ARGOSY_ENGINE_FAILURE_H

#include "engine/run.h"

/* Retried failures are stored cut to this size. Temporal: 4 KiB. */
#define FAILURE_STORED_SIZE (4 * LIMIT_KIB)

Api__Failure *failure_server(struct arena *arena, const char *message, bool non_retryable);
Api__Failure *failure_application(struct arena *arena, const char *message, const char *type);
/* "activity StartToClose timeout" and so on, with the last heartbeat details. */
Api__Failure *failure_timeout(struct arena *arena, Api__TimeoutType type,
                              const Api__Payloads *last_heartbeat_details);

/* The failure itself when it is small enough to be stored with every retry, else a copy without
 * causes, details and most of its text. */
const Api__Failure *failure_cut(const Api__Failure *failure, struct arena *arena);

/* Whether, and when, the attempt after this one is due. */
struct retry_question {
    const struct retry_policy *policy;
    const Api__Failure *failure;
    int32_t attempt; /* that failed, from 1 */
    int64_t now_us;
    int64_t expiration_us; /* the next attempt must not be due later; INT64_MAX: none */
};
/* RETRY_STATE_IN_PROGRESS with *ret_due_us set, or the reason why there is no next attempt. */
Api__RetryState retry_decide(const struct retry_question *question, int64_t *ret_due_us);

/* Fills in defaults, as Temporal does, and checks: 0, or ERR_INVALID. policy may be NULL; the
 * result is in arena. */
int retry_policy_fill(const Api__RetryPolicy *policy, struct arena *arena,
                      Api__RetryPolicy **ret_policy, struct error *err);

#endif
