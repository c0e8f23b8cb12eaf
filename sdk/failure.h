/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure: the public struct argosy_failure is the schema's Failure message.
 * Threading: any thread; failures are immutable once made.
 */
#ifndef ARGOSY_SDK_FAILURE_H
#define ARGOSY_SDK_FAILURE_H

#include <argosy/failure.h>

#include "api/messages.h"
#include "common/arena.h"

static inline const struct argosy_failure *failure_public(const Api__Failure *message)
{
    return (const struct argosy_failure *)message;
}

static inline const Api__Failure *failure_message(const struct argosy_failure *failure)
{
    return (const Api__Failure *)failure;
}

/* The failure that stands for err: its own when it has one, else an application failure of its text
 * whose type is the code's name. In arena; NULL when that is exhausted. */
Api__Failure *failure_of_error(const struct argosy_error *err, struct arena *arena);

/* A failure of kind CANCELED. NULL when arena is exhausted. */
Api__Failure *failure_canceled(const char *message, struct arena *arena);

/* A deep copy in arena; NULL when that is exhausted. */
Api__Failure *failure_copy(const Api__Failure *failure, struct arena *arena);

/* Sets err to code with the message of the chain's root, and to failure, which is borrowed. Returns
 * code. */
int failure_raise(int code, const Api__Failure *failure, struct argosy_error *err);

#endif
