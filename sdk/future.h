/* SPDX-License-Identifier: Apache-2.0 */
/*
 * future: what workflow code waits for: an activity or a timer, from its command to its outcome.
 *
 * A future is pending while history may still say something of it, ready once its outcome is known
 * to code; a canceled activity may be ready and pending at once. Lives in the run's arena.
 */
#ifndef ARGOSY_SDK_FUTURE_H
#define ARGOSY_SDK_FUTURE_H

#include <argosy/workflow.h>
#include <stdbool.h>
#include <stdint.h>

#include "api/messages.h"
#include "sdk/command.h"
#include "sdk/state_machine.h"

struct future_ops {
    /* Cancels one that is not ready. */
    void (*cancel)(struct argosy_future *future);
};

struct argosy_future {
    /* identity */
    struct argosy_workflow *run;
    const struct future_ops *ops;
    const char *id;   /* activity or timer id */
    const char *type; /* activity type; NULL for a timer */
    enum argosy_cancellation_type cancellation_type;
    bool is_shielded;

    /* state */
    struct state_machine machine; /* table of its kind */
    int64_t event_id;             /* its scheduled or started event; 0 before */
    struct command start;
    struct command cancel;

    /* outcome */
    bool is_ready;
    uint64_t ready_order; /* the how-manyth of its run to become ready */
    int code;
    struct argosy_payload result;
    const Api__Failure *failure; /* code < 0: why; never NULL then */

    /* links: the run's pending futures */
    bool is_pending;
    struct argosy_future *prev;
    struct argosy_future *next;
};

/* A new future of the running code. Never NULL (the run is given up when memory is exhausted). */
struct argosy_future *future_create(struct argosy_workflow *run, const struct future_ops *ops,
                                    const struct state_row *rows);

/* Lists it among the run's pending ones; takes it off the list. */
void future_begin(struct argosy_future *future);
void future_end(struct argosy_future *future);

/* Makes it ready. result is copied by the caller where needed; failure lives as long as the run. */
void future_succeed(struct argosy_future *future, struct argosy_payload result);
void future_fail(struct argosy_future *future, int code, const Api__Failure *failure);

/* Makes it ready and canceled. */
void future_become_canceled(struct argosy_future *future, const char *message);

/* The pending future whose scheduled or started event is event_id; NULL when there is none. */
struct argosy_future *future_find(struct argosy_workflow *run, int64_t event_id);

#endif
