/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow_task: scheduling, handing out and ending of workflow tasks (docs/spec/02-history.md,
 * section 3). What the completed task asks for is in command.h.
 */
#ifndef ARGOSY_ENGINE_WORKFLOW_TASK_H
#define ARGOSY_ENGINE_WORKFLOW_TASK_H

#include "engine/core_state.h"

/* Brings queue and deadline in step with the state; takes both down. */
void workflow_task_arm(struct core *core, struct run *run);
void workflow_task_disarm(struct core *core, struct run *run);

/* Something happened that workflow code must hear of: schedules a task unless one is pending. */
void workflow_task_need(struct core *core, struct run *run);

/* The queue matched the task with a poll. */
void workflow_task_dispatch(struct core *core, struct run *run, struct pending *poll);

/* What a token of the started task carries beside its event and attempt. A crash can undo a task
 * that left before it was durable; the next one may have the same ids, but starts at another time.
 */
int32_t workflow_task_dispatch_number(const struct workflow_task *task);

/* The started task ends without an answer that counts; the next one follows. */
void workflow_task_fail(struct core *core, struct run *run, Api__WorkflowTaskFailedCause cause,
                        const Api__Failure *failure, const char *identity);

/* The task's worker is gone, or handed it back. */
void workflow_task_lost(struct core *core, struct run *run, const char *reason);

/* Its deadline passed. */
void workflow_task_due(struct core *core, struct run *run);

/* The run's sticky queue lost its worker: a task that waits there goes to the normal queue. */
void workflow_task_unstick(struct core *core, struct run *run);

/* Ends a started task because the run is being closed from outside; flushes buffered events. */
void workflow_task_force_close(struct core *core, struct run *run, const char *identity);

/* Call before recording events from outside: a task behind which too many wait is failed, so that
 * they get their place in the history. */
void run_make_room(struct core *core, struct run *run);

/* Gives buffered events their place in the history; true when there were any. */
bool run_flush(struct core *core, struct run *run);

/* A step from which outside events may have come has ended: readers hear of them. */
void run_settle(struct core *core, struct run *run);

/* The response to a poll for a task or query of the run, but for token and history; in the outbox.
 */
Api__PollWorkflowTaskQueueResponse *workflow_task_response(struct core *core, const struct run *run,
                                                           int64_t started_event_id);

/* The two events of a started transient attempt as they will be written; in arena. */
Api__HistoryEvent *workflow_task_scheduled_event(const struct run *run, struct arena *arena);
Api__HistoryEvent *workflow_task_started_event(const struct run *run, struct arena *arena);

#endif
