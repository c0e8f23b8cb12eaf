/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow_task_respond: the methods with which a worker ends a workflow task
 * (docs/spec/02-history.md, section 3).
 */
#include <string.h>

#include "common/assert.h"
#include "common/time_unit.h"
#include "engine/activity.h"
#include "engine/command.h"
#include "engine/failure.h"
#include "engine/handler.h"
#include "engine/query.h"
#include "engine/start.h"
#include "engine/task_token.h"
#include "engine/validate.h"
#include "engine/workflow_task.h"

/* The run whose started workflow task the token names; NULL after replying that there is none. */
static struct run *find_task(struct core *core, const struct core_request *request,
                             ProtobufCBinaryData data)
{
    struct task_token token;
    struct error err;
    if (task_token_decode(data, &token, &err) < 0) {
        reply_error(core, request, ERR_INVALID, "%s", err.text);
        return NULL;
    }
    const Api__WorkflowExecution execution = {.run_id = token.run_id};
    struct run *run = core_run_find(core, &execution);
    if (token.kind == TASK_WORKFLOW && run != NULL && run_is_open(run) &&
        run->workflow_task.state == WORKFLOW_TASK_STARTED &&
        run->workflow_task.started_event_id == token.id &&
        run->workflow_task.attempt == token.attempt &&
        workflow_task_dispatch_number(&run->workflow_task) == token.dispatch)
        return run;
    Api__NotFoundFailure detail = API__NOT_FOUND_FAILURE__INIT;
    reply_error_detail(core, request, ERR_NOT_FOUND, "NotFoundFailure", &detail,
                       "workflow task not found");
    return NULL;
}

/* A failed first attempt leaves an event and is followed by the next. A later one is left to time
 * out, so that a task that always fails does so slowly; its slot is free at once. A task that only
 * came too early is done again at once. */
static void fail_task(struct core *core, struct run *run, Api__WorkflowTaskFailedCause cause,
                      const Api__Failure *failure, const char *identity)
{
    if (run->workflow_task.attempt == 1 || cause == WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND)
        workflow_task_fail(core, run, cause, failure, identity);
    else
        queue_remove(core, &run->workflow_task.task);
}

/* --- completed ---------------------------------------------------------------------------------
 */

static void record_completed(struct core *core, struct run *run,
                             const Api__RespondWorkflowTaskCompletedRequest *body)
{
    struct arena *arena = &run->arena;
    if (run->workflow_task.attempt > 1) {
        run_event(core, run, workflow_task_scheduled_event(run, arena));
        run_event(core, run, workflow_task_started_event(run, arena));
    }
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_WORKFLOW_TASK_COMPLETED);
    Api__WorkflowTaskCompletedEventAttributes *attributes =
        event->workflow_task_completed_event_attributes;
    attributes->has_scheduled_event_id = attributes->has_started_event_id = true;
    attributes->scheduled_event_id = run->workflow_task.scheduled_event_id;
    attributes->started_event_id = run->workflow_task.started_event_id;
    attributes->identity = text_copy(arena, body->identity);
    attributes->sdk_metadata = message_copy(arena, body->sdk_metadata);
    attributes->metering_metadata = message_copy(arena, body->metering_metadata);
    attributes->has_versioning_behavior = body->has_versioning_behavior;
    attributes->versioning_behavior = body->versioning_behavior;
    run_event(core, run, event);
}

/* For a worker that names none: a task must not wait for ever for one that is gone. Temporal's SDKs
 * say the same. */
#define STICKY_DEFAULT_US (10 * US_PER_S)

/* The sticky queue the worker names for the next task; a record only when it changes. */
static void record_sticky(struct core *core, struct run *run,
                          const Api__StickyExecutionAttributes *sticky)
{
    Engine__StickySet set = ENGINE__STICKY_SET__INIT;
    if (sticky != NULL && sticky->worker_task_queue != NULL &&
        *text_or_empty(sticky->worker_task_queue->name) != '\0') {
        set.task_queue = sticky->worker_task_queue->name;
        set.has_schedule_to_start_us = true;
        set.schedule_to_start_us = duration_us(sticky->schedule_to_start_timeout);
        if (set.schedule_to_start_us == 0)
            set.schedule_to_start_us = STICKY_DEFAULT_US;
    }
    if (strcmp(text_or_empty(run->sticky_queue), text_or_empty(set.task_queue)) == 0 &&
        run->sticky_schedule_to_start_us == set.schedule_to_start_us)
        return;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_STICKY_SET;
    record.sticky_set = &set;
    run_record(core, run, &record);
}

/* Activities that were canceled before they started end behind what the commands did. */
static void end_canceled(struct core *core, const struct command_batch *batch)
{
    struct arena *arena = &core->outbox->arena;
    static const char text[] = "\"ACTIVITY_ID_NOT_STARTED\"";
    for (size_t i = 0; i < batch->canceled_count; i++) {
        Api__Payloads *details = message_new(arena, &api__payloads__descriptor);
        details->n_payloads = 1;
        details->payloads = memory_copy(arena, &(Api__Payload *){NULL}, sizeof(Api__Payload *));
        details->payloads[0] = payload_json_new(arena, text);
        activity_cancel(core, run_activity_get(batch->run, batch->canceled[i]), details, NULL);
    }
}

static void complete_task(struct core *core, struct command_batch *batch,
                          const Api__RespondWorkflowTaskCompletedRequest *body)
{
    struct run *run = batch->run;
    workflow_task_disarm(core, run);
    record_completed(core, run, body);
    record_sticky(core, run, body->sticky_attributes);
    query_answered(core, run, body);
    command_batch_apply(batch);
    if (!run_is_open(run))
        return;
    bool has_news = run_flush(core, run);
    end_canceled(core, batch);
    if (has_news || body->force_create_new_workflow_task)
        workflow_task_need(core, run);
    run_settle(core, run);
}

static int check_completed(const Api__RespondWorkflowTaskCompletedRequest *body, struct error *err)
{
    if (body->intermediate_page)
        return error_set(err, ERR_UNSUPPORTED, "completion in pages is not supported");
    int rc = validate_text("identity", body->identity, err);
    if (rc == 0)
        rc = validate_size("sdk metadata", body->sdk_metadata, VALIDATE_MARGIN, err);
    if (rc == 0 && body->sticky_attributes != NULL &&
        body->sticky_attributes->worker_task_queue != NULL)
        rc = validate_text("sticky task queue", body->sticky_attributes->worker_task_queue->name,
                           err);
    if (rc == 0 && body->sticky_attributes != NULL)
        rc = validate_duration("sticky schedule-to-start timeout",
                               body->sticky_attributes->schedule_to_start_timeout, err);
    return rc;
}

enum core_result handle_workflow_task_completed(struct core *core,
                                                const struct core_request *request,
                                                struct core_need *need)
{
    (void)need;
    const Api__RespondWorkflowTaskCompletedRequest *body =
        (const Api__RespondWorkflowTaskCompletedRequest *)request->body;
    struct arena *arena = &core->outbox->arena;
    struct error err;
    int rc = check_completed(body, &err);
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return CORE_HANDLED;
    }
    struct run *run = find_task(core, request, body->task_token);
    if (run == NULL)
        return CORE_HANDLED;
    struct command_batch batch = {
        .core = core, .run = run, .commands = body->commands, .count = body->n_commands};
    batch.completed_event_id = run_next_event_id(run) + (run->workflow_task.attempt > 1 ? 2 : 0);
    batch.next_event_id = batch.completed_event_id + 1;
    Api__WorkflowTaskFailedCause cause;
    if (command_batch_check(&batch, &cause, &err) < 0) {
        fail_task(core, run, cause, failure_server(arena, text_copy_valid(arena, err.text), false),
                  body->identity);
        reply_error(core, request, ERR_INVALID, "%s", err.text);
        return CORE_HANDLED;
    }
    complete_task(core, &batch, body);
    reply_send(core, request,
               message_new(arena, &api__respond_workflow_task_completed_response__descriptor));
    return CORE_HANDLED;
}

/* --- failed ------------------------------------------------------------------------------------
 */

enum core_result handle_workflow_task_failed(struct core *core, const struct core_request *request,
                                             struct core_need *need)
{
    (void)need;
    const Api__RespondWorkflowTaskFailedRequest *body =
        (const Api__RespondWorkflowTaskFailedRequest *)request->body;
    struct error err;
    int rc = validate_text("identity", body->identity, &err);
    if (rc == 0)
        rc = validate_size("failure", body->failure, LIMIT_PAYLOAD_SIZE, &err);
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return CORE_HANDLED;
    }
    struct run *run = find_task(core, request, body->task_token);
    if (run == NULL)
        return CORE_HANDLED;
    bool repeated = run->workflow_task.attempt > 1;
    fail_task(core, run, body->cause, body->failure, body->identity);
    if (repeated)
        reply_error(core, request, ERR_INVALID,
                    "workflow task failed again: it is left to time out before the next attempt");
    else
        reply_send(core, request,
                   message_new(&core->outbox->arena,
                               &api__respond_workflow_task_failed_response__descriptor));
    return CORE_HANDLED;
}

/* --- sticky queues -----------------------------------------------------------------------------
 */

enum core_result handle_reset_sticky(struct core *core, const struct core_request *request,
                                     struct core_need *need)
{
    (void)need;
    const Api__ResetStickyTaskQueueRequest *body =
        (const Api__ResetStickyTaskQueueRequest *)request->body;
    struct run *run = core_run_open(core, request, body->execution);
    if (run == NULL)
        return CORE_HANDLED;
    workflow_task_unstick(core, run);
    reply_send(
        core, request,
        message_new(&core->outbox->arena, &api__reset_sticky_task_queue_response__descriptor));
    return CORE_HANDLED;
}
