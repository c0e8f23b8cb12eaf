/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancel: requests to end a run: asking its workflow to cancel, and terminating it
 * (docs/spec/02-history.md, section 2).
 */
#include <string.h>

#include "engine/handler.h"
#include "engine/start.h"
#include "engine/validate.h"
#include "engine/workflow_task.h"

static void record_accepted(struct core *core, struct run *run, const char *request_id)
{
    Engine__CancelAccepted accepted = ENGINE__CANCEL_ACCEPTED__INIT;
    accepted.request_id = request_id;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_CANCEL_ACCEPTED;
    record.cancel_accepted = &accepted;
    run_record(core, run, &record);
}

/* A run is asked once; asking again is accepted and changes nothing. */
static void request_cancel(struct core *core, struct run *run,
                           const Api__RequestCancelWorkflowExecutionRequest *body)
{
    if (run->cancel_requested)
        return;
    record_accepted(core, run, body->request_id);
    Api__HistoryEvent *event =
        run_event_new(core, run, EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED);
    Api__WorkflowExecutionCancelRequestedEventAttributes *attributes =
        event->workflow_execution_cancel_requested_event_attributes;
    attributes->cause = text_copy(&run->arena, body->reason);
    attributes->identity = text_copy(&run->arena, body->identity);
    run_event(core, run, event);
    if (!run_is_backing_off(run))
        workflow_task_need(core, run);
    run_settle(core, run);
}

enum core_result handle_request_cancel(struct core *core, const struct core_request *request,
                                       struct core_need *need)
{
    (void)need;
    const Api__RequestCancelWorkflowExecutionRequest *body =
        (const Api__RequestCancelWorkflowExecutionRequest *)request->body;
    struct error err;
    int rc = validate_text("identity", body->identity, &err);
    if (rc == 0)
        rc = validate_text("request id", body->request_id, &err);
    if (rc == 0)
        rc = validate_text("reason", body->reason, &err);
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return CORE_HANDLED;
    }
    struct run *run = core_run_open(core, request, body->workflow_execution);
    if (run == NULL)
        return CORE_HANDLED;
    request_cancel(core, run, body);
    reply_send(core, request,
               message_new(&core->outbox->arena,
                           &api__request_cancel_workflow_execution_response__descriptor));
    return CORE_HANDLED;
}

enum core_result handle_terminate(struct core *core, const struct core_request *request,
                                  struct core_need *need)
{
    (void)need;
    const Api__TerminateWorkflowExecutionRequest *body =
        (const Api__TerminateWorkflowExecutionRequest *)request->body;
    struct error err;
    int rc = validate_text("identity", body->identity, &err);
    if (rc == 0)
        rc = validate_text("reason", body->reason, &err);
    if (rc == 0)
        rc = validate_size("details", body->details, LIMIT_PAYLOAD_SIZE, &err);
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return CORE_HANDLED;
    }
    struct run *run = core_run_open(core, request, body->workflow_execution);
    if (run == NULL)
        return CORE_HANDLED;
    run_terminate(core, run, body->reason, body->details, body->identity);
    reply_send(
        core, request,
        message_new(&core->outbox->arena, &api__terminate_workflow_execution_response__descriptor));
    return CORE_HANDLED;
}
