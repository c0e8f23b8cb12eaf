/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_script: the requests of clients and workers, short enough that a test reads as a story.
 * Sessions are small numbers; queues are "wq" (workflow tasks) and "aq" (activities); the type of a
 * workflow is "Flow", of an activity "Act".
 */
#ifndef ARGOSY_TESTS_WORKER_SCRIPT_H
#define ARGOSY_TESTS_WORKER_SCRIPT_H

#include "tests/unit/engine/core_fixture.h"

typedef Api__PollWorkflowTaskQueueResponse workflow_task_message;
typedef Api__PollActivityTaskQueueResponse activity_task_message;

/* Messages of a test live until the fixture ends. */
Api__Payloads *script_payloads(struct fixture *fixture, const char *text);
Api__Duration *script_duration(struct fixture *fixture, int64_t us);
Api__TaskQueue *script_queue(struct fixture *fixture, const char *name, Api__TaskQueueKind kind);
Api__WorkflowExecution *script_execution(struct fixture *fixture, const char *workflow_id);

/* A start request for workflow "Flow" on "wq" with input "in"; script_start sends it from session 1
 * and returns the run id. */
Api__StartWorkflowExecutionRequest *script_start_request(struct fixture *fixture,
                                                         const char *workflow_id);
const char *script_start(struct fixture *fixture, const char *workflow_id);

void script_signal(struct fixture *fixture, const char *workflow_id, const char *name);

/* Polls; each returns the correlation id. slots 0: one task. The identity is "w<session>". */
uint64_t script_poll_workflow(struct fixture *fixture, uint64_t session, int32_t slots);
uint64_t script_poll_sticky(struct fixture *fixture, uint64_t session, const char *queue,
                            int32_t slots);
uint64_t script_poll_activity(struct fixture *fixture, uint64_t session, int32_t slots);

/* The next task a poll was answered with; asserts that there is one (…_none: that there is none).
 */
workflow_task_message *script_workflow_task(struct fixture *fixture, uint64_t session,
                                            uint64_t poll);
activity_task_message *script_activity_task(struct fixture *fixture, uint64_t session,
                                            uint64_t poll);
void script_no_task(struct fixture *fixture, uint64_t session, uint64_t poll);

/* Commands. */
Api__Command *script_schedule(struct fixture *fixture, const char *activity_id);
Api__Command *script_timer(struct fixture *fixture, const char *timer_id, int64_t us);
Api__Command *script_cancel_timer(struct fixture *fixture, const char *timer_id);
Api__Command *script_cancel_activity(struct fixture *fixture, int64_t scheduled_event_id);
Api__Command *script_complete(struct fixture *fixture, const char *result);

/* A completion of a workflow task with up to four commands (NULL ends them), from the session. */
Api__RespondWorkflowTaskCompletedRequest *script_completion(struct fixture *fixture,
                                                            const workflow_task_message *task,
                                                            Api__Command *const commands[4]);
#define script_respond(fixture, session, task, ...)                                                \
    fixture_ok(fixture, session, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,                           \
               script_completion(fixture, task, (Api__Command *const[4]){__VA_ARGS__}))

/* Reports on an activity task. */
void script_activity_done(struct fixture *fixture, uint64_t session,
                          const activity_task_message *task, const char *result);
Api__RespondActivityTaskFailedRequest *script_failure(struct fixture *fixture,
                                                      const activity_task_message *task,
                                                      const char *message, const char *type);
bool script_heartbeat(struct fixture *fixture, uint64_t session, const activity_task_message *task,
                      const char *details);

void script_hello(struct fixture *fixture, uint64_t session, const char *instance_id);

#endif
