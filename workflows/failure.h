/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure: how an error becomes the failure of an activity or a workflow, and so whether it is
 * tried again. One rule for all of them, by the error's disposition (common/error.h):
 *
 *     canceled                  passes through, as what it is
 *     the task is at fault      final, with a type: wrong input, nothing there, not supported
 *     stored data is damaged    final, with a type: it is damaged at the next attempt, too
 *     anything else             left to the retry policy: a peer that is away, a full disk, memory,
 *                               a device, what an operator is to mend; at another time, or on
 *                               another worker, it may work
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_FAILURE_H
#define ARGOSY_WORKFLOWS_FAILURE_H

#include <argosy/failure.h>

#include "common/error.h"

/* Failure type of an input that is not what is documented. */
#define FAILURE_INVALID_INPUT "InvalidInput"

/* Fails for good: a failure of that type that is not tried again. Returns ARGOSY_ERR_FAILED. */
int failure_final(struct argosy_arena *arena, const char *type, struct argosy_error *err,
                  const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Fails as why says, by the rule above; what is final has that type. Returns why's code, or
 * ARGOSY_ERR_FAILED where it is final. */
int failure_from(struct argosy_arena *arena, const char *type, const struct error *why,
                 struct argosy_error *err);

#endif
