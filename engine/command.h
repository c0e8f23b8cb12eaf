/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: what a completed workflow task asks for (docs/spec/02-history.md, section 2).
 *
 * Commands are first checked, all of them, against the state they will find; only then are they
 * carried out, in order, one event each. So a task fails as a whole or not at all.
 */
#ifndef ARGOSY_ENGINE_COMMAND_H
#define ARGOSY_ENGINE_COMMAND_H

#include "engine/core_state.h"

struct command_batch {
    struct core *core;
    struct run *run;
    Api__Command **commands;
    size_t count; /* up to and including the first that closes the run */
    int64_t completed_event_id;
    /* of this batch, while it is checked */
    struct request_id *new_activity_ids, *new_timer_ids, *canceled_timer_ids;
    int64_t next_event_id; /* of the command being checked */
    int64_t *canceled;     /* scheduled event ids of activities that end without having started */
    size_t canceled_count;
};

/* 0; or ERR_INVALID with the cause with which the task must fail. */
int command_batch_check(struct command_batch *batch, Api__WorkflowTaskFailedCause *ret_cause,
                        struct error *err);

/* Carries out the checked commands. The WorkflowTaskCompleted event has been recorded. */
void command_batch_apply(struct command_batch *batch);

#endif
