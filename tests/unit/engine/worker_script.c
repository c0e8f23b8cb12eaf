/* SPDX-License-Identifier: Apache-2.0 */
/* worker_script: see worker_script.h. */
#include "tests/unit/engine/worker_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/message.h"

#define NEW(fixture, lower) message_new(&(fixture)->arena, &api__##lower##__descriptor)

static const char *identity(struct fixture *fixture, uint64_t session)
{
    return text_format(&fixture->arena, "w%d", (int)session);
}

Api__Payloads *script_payloads(struct fixture *fixture, const char *text)
{
    Api__Payloads *payloads = NEW(fixture, payloads);
    Api__Payload *payload = payload_json_new(&fixture->arena, text);
    payloads->n_payloads = 1;
    payloads->payloads = memory_copy(&fixture->arena, &payload, sizeof payload);
    return payloads;
}

Api__Duration *script_duration(struct fixture *fixture, int64_t us)
{
    return duration_new(&fixture->arena, us);
}

Api__TaskQueue *script_queue(struct fixture *fixture, const char *name, Api__TaskQueueKind kind)
{
    Api__TaskQueue *queue = NEW(fixture, task_queue);
    queue->name = name;
    queue->has_kind = true;
    queue->kind = kind;
    return queue;
}

Api__WorkflowExecution *script_execution(struct fixture *fixture, const char *workflow_id)
{
    Api__WorkflowExecution *execution = NEW(fixture, workflow_execution);
    execution->workflow_id = workflow_id;
    return execution;
}

Api__StartWorkflowExecutionRequest *script_start_request(struct fixture *fixture,
                                                         const char *workflow_id)
{
    Api__StartWorkflowExecutionRequest *start = NEW(fixture, start_workflow_execution_request);
    start->namespace_ = "default";
    start->workflow_id = workflow_id;
    start->workflow_type = NEW(fixture, workflow_type);
    start->workflow_type->name = "Flow";
    start->task_queue = script_queue(fixture, "wq", TASK_QUEUE_KIND_NORMAL);
    start->input = script_payloads(fixture, "in");
    start->identity = "client";
    return start;
}

const char *script_start(struct fixture *fixture, const char *workflow_id)
{
    Api__StartWorkflowExecutionResponse *response = fixture_ok(
        fixture, 1, METHOD_START_WORKFLOW_EXECUTION, script_start_request(fixture, workflow_id));
    assert_true(response->started);
    return response->run_id;
}

void script_signal(struct fixture *fixture, const char *workflow_id, const char *name)
{
    Api__SignalWorkflowExecutionRequest *signal = NEW(fixture, signal_workflow_execution_request);
    signal->namespace_ = "default";
    signal->workflow_execution = script_execution(fixture, workflow_id);
    signal->signal_name = name;
    fixture_ok(fixture, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, signal);
}

static uint64_t poll_workflow(struct fixture *fixture, uint64_t session, Api__TaskQueue *queue,
                              int32_t slots)
{
    Api__PollWorkflowTaskQueueRequest *poll = NEW(fixture, poll_workflow_task_queue_request);
    poll->namespace_ = "default";
    poll->task_queue = queue;
    poll->identity = identity(fixture, session);
    poll->has_slots = true;
    poll->slots = slots;
    return fixture_send(fixture, session, METHOD_POLL_WORKFLOW_TASK_QUEUE, poll);
}

uint64_t script_poll_workflow(struct fixture *fixture, uint64_t session, int32_t slots)
{
    return poll_workflow(fixture, session, script_queue(fixture, "wq", TASK_QUEUE_KIND_NORMAL),
                         slots);
}

uint64_t script_poll_sticky(struct fixture *fixture, uint64_t session, const char *queue,
                            int32_t slots)
{
    return poll_workflow(fixture, session, script_queue(fixture, queue, TASK_QUEUE_KIND_STICKY),
                         slots);
}

uint64_t script_poll_activity(struct fixture *fixture, uint64_t session, int32_t slots)
{
    Api__PollActivityTaskQueueRequest *poll = NEW(fixture, poll_activity_task_queue_request);
    poll->namespace_ = "default";
    poll->task_queue = script_queue(fixture, "aq", TASK_QUEUE_KIND_NORMAL);
    poll->identity = identity(fixture, session);
    poll->has_slots = true;
    poll->slots = slots;
    return fixture_send(fixture, session, METHOD_POLL_ACTIVITY_TASK_QUEUE, poll);
}

workflow_task_message *script_workflow_task(struct fixture *fixture, uint64_t session,
                                            uint64_t poll)
{
    struct fixture_reply *reply = fixture_take(fixture, session, poll);
    assert_int_equal(reply->grpc_status, 0);
    workflow_task_message *task = (workflow_task_message *)reply->body;
    assert_true(task->task_token.len > 0);
    assert_true(reply->early);
    return task;
}

activity_task_message *script_activity_task(struct fixture *fixture, uint64_t session,
                                            uint64_t poll)
{
    struct fixture_reply *reply = fixture_take(fixture, session, poll);
    assert_int_equal(reply->grpc_status, 0);
    activity_task_message *task = (activity_task_message *)reply->body;
    assert_true(task->task_token.len > 0);
    assert_false(reply->early);
    return task;
}

void script_no_task(struct fixture *fixture, uint64_t session, uint64_t poll)
{
    assert_null(fixture_find(fixture, session, poll));
}

/* --- commands ------------------------------------------------------------------------------------
 */

Api__Command *script_schedule(struct fixture *fixture, const char *activity_id)
{
    Api__Command *command = NEW(fixture, command);
    command->has_command_type = true;
    command->command_type = COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK;
    command->attributes_case = API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    Api__ScheduleActivityTaskCommandAttributes *attributes =
        NEW(fixture, schedule_activity_task_command_attributes);
    attributes->activity_id = activity_id;
    attributes->activity_type = NEW(fixture, activity_type);
    attributes->activity_type->name = "Act";
    attributes->task_queue = script_queue(fixture, "aq", TASK_QUEUE_KIND_NORMAL);
    attributes->input = script_payloads(fixture, activity_id);
    attributes->start_to_close_timeout = script_duration(fixture, 60 * S);
    command->schedule_activity_task_command_attributes = attributes;
    return command;
}

Api__Command *script_timer(struct fixture *fixture, const char *timer_id, int64_t us)
{
    Api__Command *command = NEW(fixture, command);
    command->has_command_type = true;
    command->command_type = COMMAND_TYPE_START_TIMER;
    command->attributes_case = API__COMMAND__ATTRIBUTES_START_TIMER_COMMAND_ATTRIBUTES;
    command->start_timer_command_attributes = NEW(fixture, start_timer_command_attributes);
    command->start_timer_command_attributes->timer_id = timer_id;
    command->start_timer_command_attributes->start_to_fire_timeout = script_duration(fixture, us);
    return command;
}

Api__Command *script_cancel_timer(struct fixture *fixture, const char *timer_id)
{
    Api__Command *command = NEW(fixture, command);
    command->has_command_type = true;
    command->command_type = COMMAND_TYPE_CANCEL_TIMER;
    command->attributes_case = API__COMMAND__ATTRIBUTES_CANCEL_TIMER_COMMAND_ATTRIBUTES;
    command->cancel_timer_command_attributes = NEW(fixture, cancel_timer_command_attributes);
    command->cancel_timer_command_attributes->timer_id = timer_id;
    return command;
}

Api__Command *script_cancel_activity(struct fixture *fixture, int64_t scheduled_event_id)
{
    Api__Command *command = NEW(fixture, command);
    command->has_command_type = true;
    command->command_type = COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK;
    command->attributes_case =
        API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    Api__RequestCancelActivityTaskCommandAttributes *attributes =
        NEW(fixture, request_cancel_activity_task_command_attributes);
    attributes->has_scheduled_event_id = true;
    attributes->scheduled_event_id = scheduled_event_id;
    command->request_cancel_activity_task_command_attributes = attributes;
    return command;
}

Api__Command *script_complete(struct fixture *fixture, const char *result)
{
    Api__Command *command = NEW(fixture, command);
    command->has_command_type = true;
    command->command_type = COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION;
    command->attributes_case =
        API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    command->complete_workflow_execution_command_attributes =
        NEW(fixture, complete_workflow_execution_command_attributes);
    command->complete_workflow_execution_command_attributes->result =
        script_payloads(fixture, result);
    return command;
}

Api__RespondWorkflowTaskCompletedRequest *script_completion(struct fixture *fixture,
                                                            const workflow_task_message *task,
                                                            Api__Command *const commands[4])
{
    Api__RespondWorkflowTaskCompletedRequest *completion =
        NEW(fixture, respond_workflow_task_completed_request);
    completion->namespace_ = "default";
    completion->has_task_token = true;
    completion->task_token = task->task_token;
    completion->commands = memory_copy(&fixture->arena, commands, 4 * sizeof commands[0]);
    while (completion->n_commands < 4 && commands[completion->n_commands] != NULL)
        completion->n_commands++;
    return completion;
}

/* --- activities
 * ----------------------------------------------------------------------------------- */

void script_activity_done(struct fixture *fixture, uint64_t session,
                          const activity_task_message *task, const char *result)
{
    Api__RespondActivityTaskCompletedRequest *done =
        NEW(fixture, respond_activity_task_completed_request);
    done->namespace_ = "default";
    done->has_task_token = true;
    done->task_token = task->task_token;
    done->result = script_payloads(fixture, result);
    done->identity = identity(fixture, session);
    fixture_ok(fixture, session, METHOD_RESPOND_ACTIVITY_TASK_COMPLETED, done);
}

Api__RespondActivityTaskFailedRequest *script_failure(struct fixture *fixture,
                                                      const activity_task_message *task,
                                                      const char *message, const char *type)
{
    Api__RespondActivityTaskFailedRequest *failed =
        NEW(fixture, respond_activity_task_failed_request);
    failed->namespace_ = "default";
    failed->has_task_token = true;
    failed->task_token = task->task_token;
    failed->failure = NEW(fixture, failure);
    failed->failure->message = message;
    failed->failure->failure_info_case = API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failed->failure->application_failure_info = NEW(fixture, application_failure_info);
    failed->failure->application_failure_info->type = type;
    return failed;
}

bool script_heartbeat(struct fixture *fixture, uint64_t session, const activity_task_message *task,
                      const char *details)
{
    Api__RecordActivityTaskHeartbeatRequest *heartbeat =
        NEW(fixture, record_activity_task_heartbeat_request);
    heartbeat->namespace_ = "default";
    heartbeat->has_task_token = true;
    heartbeat->task_token = task->task_token;
    heartbeat->details = details != NULL ? script_payloads(fixture, details) : NULL;
    Api__RecordActivityTaskHeartbeatResponse *response =
        fixture_ok(fixture, session, METHOD_RECORD_ACTIVITY_TASK_HEARTBEAT, heartbeat);
    return response->cancel_requested;
}

void script_hello(struct fixture *fixture, uint64_t session, const char *instance_id)
{
    Api__HelloRequest *hello = NEW(fixture, hello_request);
    hello->identity = identity(fixture, session);
    hello->instance_id = instance_id;
    hello->node = "node1";
    hello->has_pid = true;
    hello->pid = (int64_t)session;
    fixture_ok(fixture, session, METHOD_HELLO, hello);
}
