/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure: what went wrong in an activity or a run, as its history keeps it: a message, a kind, a
 * type that retry policies match, and the failure that caused it.
 *
 * An activity that fails with "no such file" reaches its workflow as a failure of kind ACTIVITY
 * ("activity task failed") whose cause is of kind APPLICATION ("no such file"). Failing with a type
 * of one's own:
 *
 *     return argosy_failure_raise(argosy_activity_arena(activity),
 *         &(struct argosy_failure_options){.type = "EmptyInput", .message = "Input text is empty",
 *                                          .non_retryable = true}, err);
 *
 * A failure is immutable and lives in the arena or run it came from.
 */
#ifndef ARGOSY_FAILURE_H
#define ARGOSY_FAILURE_H

#include <argosy/payload.h>
#include <stdbool.h>
#include <stdint.h>

struct argosy_failure;

enum argosy_failure_kind {
    ARGOSY_FAILURE_OTHER = 0,
    ARGOSY_FAILURE_APPLICATION = 1, /* code of a user reported it */
    ARGOSY_FAILURE_TIMEOUT = 2,
    ARGOSY_FAILURE_CANCELED = 3,
    ARGOSY_FAILURE_TERMINATED = 4,
    ARGOSY_FAILURE_SERVER = 5,
    ARGOSY_FAILURE_ACTIVITY = 6, /* an activity failed; its cause says why */
};

/* Why no further attempt follows. Numbers are those of the API. */
enum argosy_retry_state {
    ARGOSY_RETRY_UNSPECIFIED = 0,
    ARGOSY_RETRY_IN_PROGRESS = 1,
    ARGOSY_RETRY_NON_RETRYABLE_FAILURE = 2,
    ARGOSY_RETRY_TIMEOUT = 3,
    ARGOSY_RETRY_MAXIMUM_ATTEMPTS_REACHED = 4,
    ARGOSY_RETRY_POLICY_NOT_SET = 5,
    ARGOSY_RETRY_INTERNAL_SERVER_ERROR = 6,
    ARGOSY_RETRY_CANCEL_REQUESTED = 7,
};

/* Which timeout it was. Numbers are those of the API. */
enum argosy_timeout_type {
    ARGOSY_TIMEOUT_UNSPECIFIED = 0,
    ARGOSY_TIMEOUT_START_TO_CLOSE = 1,
    ARGOSY_TIMEOUT_SCHEDULE_TO_START = 2,
    ARGOSY_TIMEOUT_SCHEDULE_TO_CLOSE = 3,
    ARGOSY_TIMEOUT_HEARTBEAT = 4,
};

struct argosy_failure_options {
    const char *type;               /* matched against non_retryable_types; NULL: none */
    const char *message;            /* for people */
    bool non_retryable;             /* no further attempt, whatever the policy says */
    int64_t next_retry_delay_ms;    /* replaces the policy's next interval; 0: the policy's own */
    struct argosy_payloads details; /* for programs */
    const struct argosy_failure *cause;
};

/* Makes err hold an application failure made from options, in arena, and returns
 * ARGOSY_ERR_FAILED: what an activity or workflow function returns to fail in detail. */
ARGOSY_API int argosy_failure_raise(struct argosy_arena *arena,
                                    const struct argosy_failure_options *options,
                                    struct argosy_error *err);

/* All strings are borrowed from the failure and never NULL ("" when unset). */
ARGOSY_API enum argosy_failure_kind argosy_failure_kind(const struct argosy_failure *failure);
ARGOSY_API const char *argosy_failure_message(const struct argosy_failure *failure);
/* Kind APPLICATION: its type; others: "". */
ARGOSY_API const char *argosy_failure_type(const struct argosy_failure *failure);
ARGOSY_API bool argosy_failure_is_non_retryable(const struct argosy_failure *failure);
/* The failure behind this one, or NULL; and the last one of that chain (never NULL). */
ARGOSY_API const struct argosy_failure *argosy_failure_cause(const struct argosy_failure *failure);
ARGOSY_API const struct argosy_failure *argosy_failure_root(const struct argosy_failure *failure);
/* Kind ACTIVITY: the activity's type and id, and why it was not tried again. */
ARGOSY_API const char *argosy_failure_activity_type(const struct argosy_failure *failure);
ARGOSY_API const char *argosy_failure_activity_id(const struct argosy_failure *failure);
ARGOSY_API enum argosy_retry_state argosy_failure_retry_state(const struct argosy_failure *failure);
/* Kind TIMEOUT: which one. */
ARGOSY_API enum argosy_timeout_type
argosy_failure_timeout_type(const struct argosy_failure *failure);
/* Details of kinds APPLICATION and CANCELED, last heartbeat details of kind TIMEOUT; else empty.
 * The list lives in arena, its bytes in the failure. */
ARGOSY_API struct argosy_payloads argosy_failure_details(const struct argosy_failure *failure,
                                                         struct argosy_arena *arena);

/* "activity task failed: no such file": the messages of the whole chain, in arena. */
ARGOSY_API const char *argosy_failure_text(const struct argosy_failure *failure,
                                           struct argosy_arena *arena);

#endif
