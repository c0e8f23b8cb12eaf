/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry_policy: the public retry policy as a message, for activities and for starts.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_SDK_RETRY_POLICY_H
#define ARGOSY_SDK_RETRY_POLICY_H

#include <argosy/retry_policy.h>
#include <stdbool.h>

#include "api/messages.h"
#include "common/arena.h"

/* All zeros: what the engine fills in by itself. */
bool retry_policy_is_default(const struct argosy_retry_policy *policy);

/* What is wrong with policy, or NULL. */
const char *retry_policy_problem(const struct argosy_retry_policy *policy);

/* The message in arena, texts included; NULL when memory is exhausted. */
Api__RetryPolicy *retry_policy_message(const struct argosy_retry_policy *policy,
                                       struct arena *arena);

#endif
