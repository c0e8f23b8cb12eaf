/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_retry: a workflow that fails or passes its run timeout is tried again, if it was started with
 * a retry policy: the closing event names a new run, which begins in the same transaction with the
 * next attempt and its backoff (docs/spec/02-history.md, 1).
 *
 *     struct run_retry retry;
 *     run_retry_decide(core, run, failure, &retry);
 *     ... the closing event, with retry.state and run_retry_id(&retry, ...); run_close ...
 *     run_retry_begin(core, run, &retry);
 */
#ifndef ARGOSY_ENGINE_RUN_RETRY_H
#define ARGOSY_ENGINE_RUN_RETRY_H

#include "engine/core_state.h"

struct run_retry {
    Api__RetryState state; /* IN_PROGRESS: there is a next run */
    int64_t due_us;
    char run_id[UUID_TEXT_SIZE];
    const Api__Failure *failure; /* of the run that ends */
};

/* failure must live as long as the run. */
void run_retry_decide(struct core *core, const struct run *run, const Api__Failure *failure,
                      struct run_retry *ret_retry);

/* The next run's id in arena, NULL when there is none. */
const char *run_retry_id(const struct run_retry *retry, struct arena *arena);

/* Opens the next run, if there is one; run, which is closed, is what it continues. */
void run_retry_begin(struct core *core, const struct run *run, const struct run_retry *retry);

#endif
