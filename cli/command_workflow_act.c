/* SPDX-License-Identifier: Apache-2.0 */
/* command_workflow_act: `argosy workflow signal`, `query`, `cancel` and `terminate`. */
#include <argosy/client.h>

#include "cli/command_table.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/workflow_options.h"

static const struct option name_options[] = {
    {"name", "type", 0, OPTION_TEXT, "NAME", "name of the signal or query", NULL},
    {0},
};

static const struct option reason_options[] = {
    {"reason", NULL, 0, OPTION_TEXT, "TEXT", "why; kept in the history", NULL},
    {0},
};

/* What signal and query have in common: which run, which name, which input; and a session. */
struct message {
    const char *workflow_id, *run_id, *name;
    struct inputs inputs;
    struct argosy_payload items[INPUTS_MAX];
    struct argosy_payloads payloads;
    struct session session;
};

/* 0, EXIT_USAGE or a negative code; message_fini only after 0. */
static int message_init(const struct invocation *invocation, struct message *message,
                        struct error *err)
{
    int code = run_options_read(invocation, &message->workflow_id, &message->run_id);
    if (code != 0)
        return code;
    message->name = parsed_text(&invocation->parsed, "name");
    if (message->name == NULL)
        return command_usage(invocation, "--name is missing");
    code = inputs_read(&invocation->parsed, &message->inputs, err);
    if (code != 0)
        return code;
    message->payloads = inputs_as_payloads(&message->inputs, message->items);
    code = session_open(invocation, &message->session, err);
    if (code != 0)
        inputs_fini(&message->inputs);
    return code;
}

static void message_fini(struct message *message)
{
    session_close(&message->session);
    inputs_fini(&message->inputs);
}

/* What was done to a run, for people and machines. */
static int done_report(const struct invocation *invocation, const char *workflow_id,
                       const char *done, struct error *err)
{
    if (invocation->json)
        return output_json(json_pack("{s:s, s:s}", "workflowId", workflow_id, "done", done), err);
    printf("%s: %s\n", workflow_id, done);
    return 0;
}

static int workflow_signal(const struct invocation *invocation, struct error *err)
{
    struct message message = {0};
    int code = message_init(invocation, &message, err);
    if (code != 0)
        return code;
    struct argosy_error why = {0};
    code = argosy_client_signal(message.session.client, message.workflow_id, message.run_id,
                                message.name, message.payloads, &why);
    code = code == 0 ? done_report(invocation, message.workflow_id, "signaled", err)
                     : session_error(&why, err);
    message_fini(&message);
    return code;
}

static int workflow_query(const struct invocation *invocation, struct error *err)
{
    struct message message = {0};
    int code = message_init(invocation, &message, err);
    if (code != 0)
        return code;
    struct argosy_error why = {0};
    struct argosy_payload answer;
    code =
        argosy_client_query(message.session.client, message.workflow_id, message.run_id,
                            message.name, message.payloads, message.session.arena, &answer, &why);
    if (code != 0)
        code = session_error(&why, err);
    else if (invocation->json)
        code = output_json(json_pack("{s:s, s:o}", "workflowId", message.workflow_id, "answer",
                                     outcome_value(&answer, message.session.arena)),
                           err);
    else
        code = outcome_print(&answer, message.session.arena, err);
    message_fini(&message);
    return code;
}

typedef int end_call(struct argosy_client *client, const char *workflow_id, const char *run_id,
                     const char *reason, struct argosy_error *err);

static int workflow_end(const struct invocation *invocation, end_call *call, const char *done,
                        struct error *err)
{
    const char *workflow_id, *run_id;
    int status = run_options_read(invocation, &workflow_id, &run_id);
    if (status != 0)
        return status;
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    struct argosy_error why = {0};
    code =
        call(session.client, workflow_id, run_id, parsed_text(&invocation->parsed, "reason"), &why);
    code = code == 0 ? done_report(invocation, workflow_id, done, err) : session_error(&why, err);
    session_close(&session);
    return code;
}

static int workflow_cancel(const struct invocation *invocation, struct error *err)
{
    return workflow_end(invocation, argosy_client_cancel, "cancellation requested", err);
}

static int workflow_terminate(const struct invocation *invocation, struct error *err)
{
    return workflow_end(invocation, argosy_client_terminate, "terminated", err);
}

const struct command command_workflow_signal = {
    .name = "workflow signal",
    .summary = "send a signal to a run",
    .arguments = "[ID]",
    .arguments_max = 1,
    .example =
        "argosy workflow signal --workflow-id order-7 --name approve --input '{\"by\": \"ada\"}'",
    .options = {{run_options, name_options, input_options, session_options, common_options}},
    .run = workflow_signal,
};

const struct command command_workflow_query = {
    .name = "workflow query",
    .summary = "ask a run about its state",
    .arguments = "[ID]",
    .arguments_max = 1,
    .example = "argosy workflow query --workflow-id order-7 --name balance",
    .options = {{run_options, name_options, input_options, session_options, common_options}},
    .run = workflow_query,
};

const struct command command_workflow_cancel = {
    .name = "workflow cancel",
    .summary = "ask a run to cancel; its code may clean up first",
    .arguments = "[ID]",
    .arguments_max = 1,
    .example = "argosy workflow cancel --workflow-id embed-1 --reason \"wrong file\"",
    .options = {{run_options, reason_options, session_options, common_options}},
    .run = workflow_cancel,
};

const struct command command_workflow_terminate = {
    .name = "workflow terminate",
    .summary = "end a run at once, without its code",
    .arguments = "[ID]",
    .arguments_max = 1,
    .example = "argosy workflow terminate --workflow-id embed-1 --reason \"stuck\"",
    .options = {{run_options, reason_options, session_options, common_options}},
    .run = workflow_terminate,
};
