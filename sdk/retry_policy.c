/* SPDX-License-Identifier: Apache-2.0 */
/* retry_policy: see retry_policy.h. */
#include "sdk/retry_policy.h"

#include "sdk/duration.h"

bool retry_policy_is_default(const struct argosy_retry_policy *policy)
{
    return policy->initial_interval_ms == 0 && policy->backoff_coefficient == 0 &&
           policy->maximum_interval_ms == 0 && policy->maximum_attempts == 0 &&
           policy->non_retryable_type_count == 0;
}

const char *retry_policy_problem(const struct argosy_retry_policy *policy)
{
    if (policy->initial_interval_ms < 0 || policy->maximum_interval_ms < 0 ||
        policy->maximum_attempts < 0)
        return "a number of the retry policy is negative";
    if (policy->backoff_coefficient != 0 && !(policy->backoff_coefficient >= 1))
        return "the backoff coefficient is below 1";
    if (policy->maximum_interval_ms != 0 &&
        policy->maximum_interval_ms < policy->initial_interval_ms)
        return "the maximum interval is below the initial interval";
    return NULL;
}

Api__RetryPolicy *retry_policy_message(const struct argosy_retry_policy *policy,
                                       struct arena *arena)
{
    size_t count = policy->non_retryable_type_count;
    Api__RetryPolicy *message = arena_alloc(arena, sizeof *message);
    const char **types = arena_calloc(arena, count, sizeof *types);
    if (message == NULL || types == NULL)
        return NULL;
    api__retry_policy__init(message);
    if (policy->initial_interval_ms != 0 &&
        (message->initial_interval = duration_create(policy->initial_interval_ms, arena)) == NULL)
        return NULL;
    if (policy->maximum_interval_ms != 0 &&
        (message->maximum_interval = duration_create(policy->maximum_interval_ms, arena)) == NULL)
        return NULL;
    message->has_backoff_coefficient = policy->backoff_coefficient != 0;
    message->backoff_coefficient = policy->backoff_coefficient;
    message->has_maximum_attempts = policy->maximum_attempts != 0;
    message->maximum_attempts = policy->maximum_attempts;
    for (size_t i = 0; i < count; i++) {
        types[i] = arena_strdup(arena, policy->non_retryable_types[i]);
        if (types[i] == NULL)
            return NULL;
    }
    message->n_non_retryable_error_types = count;
    message->non_retryable_error_types = (__typeof__(message->non_retryable_error_types))types;
    return message;
}
