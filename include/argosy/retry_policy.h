/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retry_policy: how often, and after which pauses, a failed activity or workflow is tried again.
 *
 * The pause before attempt n + 1 is initial_interval * coefficient^(n - 1), at most
 * maximum_interval.
 */
#ifndef ARGOSY_RETRY_POLICY_H
#define ARGOSY_RETRY_POLICY_H

#include <stddef.h>
#include <stdint.h>

/* Zeros mean: from 1 s, coefficient 2, up to 100 times the first interval, no limit of attempts. */
struct argosy_retry_policy {
    int64_t initial_interval_ms;
    double backoff_coefficient; /* at least 1 */
    int64_t maximum_interval_ms;
    int32_t maximum_attempts;               /* the first one counts; 1: no retry */
    const char *const *non_retryable_types; /* failure types that end the attempts at once */
    size_t non_retryable_type_count;
};

#endif
