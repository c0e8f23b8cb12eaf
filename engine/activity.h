/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity: attempts, timeouts, retries, losses and cancellation of activities
 * (docs/spec/03-activity.md). The methods workers call are in activity_respond.c.
 */
#ifndef ARGOSY_ENGINE_ACTIVITY_H
#define ARGOSY_ENGINE_ACTIVITY_H

#include "engine/core_state.h"

/* A worker has an attempt of it. */
static inline bool activity_is_started(const struct activity *activity)
{
    return activity->state == ACTIVITY_STARTED || activity->state == ACTIVITY_CANCELING;
}

/* Brings queue and deadline in step with the state; takes both down. */
void activity_arm(struct core *core, struct activity *activity);
void activity_disarm(struct core *core, struct activity *activity);

/* After a recovery: an attempt that was dispatched before counts in its queue until its session
 * claims it, so that bounds hold. */
void activity_await_claim(struct core *core, struct activity *activity);

/* The queue matched its task with a poll. */
void activity_dispatch(struct core *core, struct activity *activity, struct pending *poll);

/* Its deadline passed: a timeout, or the next attempt is due. */
void activity_due(struct core *core, struct activity *activity);

/* The attempt's process is gone. */
void activity_lost(struct core *core, struct activity *activity, const char *reason);

/* The attempt is handed back untouched. */
void activity_released(struct core *core, struct activity *activity);

/* The attempt ended. Each writes the started event with the closing one, schedules a workflow task,
 * and ends the activity, but for a failure that is retried. */
void activity_complete(struct core *core, struct activity *activity, const Api__Payloads *result,
                       const char *identity);
void activity_fail(struct core *core, struct activity *activity, const Api__Failure *failure,
                   const char *identity);
void activity_cancel(struct core *core, struct activity *activity, const Api__Payloads *details,
                     const char *identity);

/* Progress of the running attempt. details may be NULL. */
void activity_heartbeat(struct core *core, struct activity *activity, const Api__Payloads *details);

/* The token of its latest dispatch. */
ProtobufCBinaryData activity_token(const struct activity *activity, struct arena *arena);

#endif
