/* SPDX-License-Identifier: Apache-2.0 */
/* signal: see signal.h. */
#include "engine/signal.h"

#include <string.h>

#include "engine/failure.h"
#include "engine/handler.h"
#include "engine/validate.h"
#include "engine/workflow_task.h"

int signal_check(const struct signal *signal, struct error *err)
{
    int rc = validate_id("signal name", signal->name, err);
    if (rc == 0)
        rc = validate_text("identity", signal->identity, err);
    if (rc == 0)
        rc = validate_text("request id", signal->request_id, err);
    if (rc == 0)
        rc = validate_size("signal input", signal->input, LIMIT_PAYLOAD_SIZE, err);
    if (rc == 0)
        rc = validate_size("signal header", signal->header, LIMIT_PAYLOAD_SIZE / 2, err);
    return rc;
}

void signal_record(struct core *core, struct run *run, const struct signal *signal)
{
    struct arena *arena = &run->arena;
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED);
    Api__WorkflowExecutionSignaledEventAttributes *attributes =
        event->workflow_execution_signaled_event_attributes;
    attributes->signal_name = text_copy(arena, signal->name);
    attributes->input = message_copy(arena, signal->input);
    attributes->identity = text_copy(arena, signal->identity);
    attributes->header = message_copy(arena, signal->header);
    attributes->request_id = text_copy(arena, signal->request_id);
    run_event(core, run, event);
}

int signal_run(struct core *core, struct run *run, const struct signal *signal, struct error *err)
{
    const char *id = text_or_empty(signal->request_id);
    struct request_id *known = NULL;
    if (*id != '\0')
        HASH_FIND(hh, run->signal_ids, id, strlen(id), known);
    if (known != NULL)
        return 0;
    if (run->signal_count >= LIMIT_SIGNALS)
        return error_set(err, ERR_LIMIT, "run %s has had %d signals", run->run_id, LIMIT_SIGNALS);
    run_make_room(core, run);
    signal_record(core, run, signal);
    if (!run_is_backing_off(run))
        workflow_task_need(core, run);
    run_settle(core, run);
    return 0;
}

enum core_result handle_signal(struct core *core, const struct core_request *request,
                               struct core_need *need)
{
    (void)need;
    const Api__SignalWorkflowExecutionRequest *body =
        (const Api__SignalWorkflowExecutionRequest *)request->body;
    struct signal signal = {.name = body->signal_name,
                            .input = body->input,
                            .identity = body->identity,
                            .request_id = body->request_id,
                            .header = body->header};
    struct error err;
    int rc = signal_check(&signal, &err);
    if (rc == 0) {
        struct run *run = core_run_open(core, request, body->workflow_execution);
        if (run == NULL)
            return CORE_HANDLED;
        rc = signal_run(core, run, &signal, &err);
    }
    if (rc < 0)
        reply_error(core, request, rc, "%s", err.text);
    else
        reply_send(core, request,
                   message_new(&core->outbox->arena,
                               &api__signal_workflow_execution_response__descriptor));
    return CORE_HANDLED;
}
