/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_workflow_start: `argosy workflow start`, `execute` and `result`.
 *
 * Inputs are read and checked before a connection is made: a malformed one changes nothing.
 */
#include <argosy/client.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/wait_hint.h"
#include "cli/workflow_options.h"
#include "common/fleet_config.h"
#include "common/uuid.h"

static const char *const reuse_choices[] = {"AllowDuplicate", "AllowDuplicateFailedOnly",
                                            "RejectDuplicate", NULL};
static const enum argosy_id_reuse_policy reuse_policies[] = {
    ARGOSY_REUSE_ALLOW, ARGOSY_REUSE_ALLOW_FAILED_ONLY, ARGOSY_REUSE_REJECT};

static const char *const conflict_choices[] = {"Fail", "UseExisting", "TerminateExisting", NULL};
static const enum argosy_id_conflict_policy conflict_policies[] = {
    ARGOSY_CONFLICT_FAIL, ARGOSY_CONFLICT_USE_EXISTING, ARGOSY_CONFLICT_TERMINATE};

static const struct option start_options[] = {
    {"type", NULL, 0, OPTION_TEXT, "NAME", "the workflow's type", NULL},
    {"workflow-id", "id", 'w', OPTION_TEXT, "ID", "its id (a random one)", NULL},
    {"task-queue", NULL, 't', OPTION_TEXT, "NAME",
     "queue of its workflow tasks (" FLEET_QUEUE_CPU ")", NULL},
    {"execution-timeout", NULL, 0, OPTION_DURATION, "TIME", "all runs together (none)", NULL},
    {"run-timeout", NULL, 0, OPTION_DURATION, "TIME", "one run (none)", NULL},
    {"task-timeout", NULL, 0, OPTION_DURATION, "TIME", "one workflow task (10s)", NULL},
    {"id-reuse-policy", NULL, 0, OPTION_CHOICE, "POLICY",
     "when a closed run has the id: AllowDuplicate (the default), AllowDuplicateFailedOnly, "
     "RejectDuplicate",
     reuse_choices},
    {"id-conflict-policy", NULL, 0, OPTION_CHOICE, "POLICY",
     "when a running one has it: Fail (the default), UseExisting, TerminateExisting",
     conflict_choices},
    {"priority", NULL, 0, OPTION_NUMBER, "N",
     "1 to 5: of waiting tasks the lowest number goes first (3)", NULL},
    {0},
};

static size_t choice_index(const struct parsed *parsed, const char *name,
                           const char *const *choices)
{
    const char *text = parsed_text(parsed, name);
    size_t index = 0;
    while (text != NULL && strcmp(choices[index], text) != 0)
        index++;
    return index;
}

/* A start as the command line asks for it. */
struct start {
    struct argosy_start_options options;
    struct inputs inputs;
    struct argosy_payload payloads[INPUTS_MAX];
    char id[UUID_TEXT_SIZE];
    char run_id[ARGOSY_RUN_ID_SIZE];
};

/* 0, EXIT_USAGE or a negative code. start_fini frees. */
static int start_read(const struct invocation *invocation, struct start *start, struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *type = parsed_text(parsed, "type");
    if (type == NULL)
        return command_usage(invocation, "--type is missing");
    int64_t priority = parsed_number(parsed, "priority", 1);
    if (priority < 1 || priority > 5)
        return command_usage(invocation, "--priority is not 1 to 5");
    int code = inputs_read(parsed, &start->inputs, err);
    if (code != 0)
        return code;
    const char *id = parsed_text(parsed, "workflow-id");
    if (id == NULL) {
        uuid_create(start->id);
        id = start->id;
    }
    const char *queue = parsed_text(parsed, "task-queue");
    start->options = (struct argosy_start_options){
        .workflow_id = id,
        .workflow_type = type,
        .task_queue = queue != NULL ? queue : FLEET_QUEUE_CPU,
        .input = inputs_as_payloads(&start->inputs, start->payloads),
        .execution_timeout_ms = parsed_duration_ms(parsed, "execution-timeout", 0),
        .run_timeout_ms = parsed_duration_ms(parsed, "run-timeout", 0),
        .task_timeout_ms = parsed_duration_ms(parsed, "task-timeout", 0),
        .id_reuse_policy = reuse_policies[choice_index(parsed, "id-reuse-policy", reuse_choices)],
        .id_conflict_policy =
            conflict_policies[choice_index(parsed, "id-conflict-policy", conflict_choices)],
        .priority = (int32_t)parsed_number(parsed, "priority", 0),
    };
    return 0;
}

static int start_send(struct session *session, struct start *start, struct error *err)
{
    struct argosy_error why = {0};
    int code = argosy_client_start(session->client, &start->options, start->run_id, &why);
    if (code == ARGOSY_ERR_EXISTS && strstr(why.text, start->run_id) == NULL)
        return error_set(err, ERR_EXISTS, "%s (run id %s)", why.text, start->run_id);
    return code == 0 ? 0 : session_error(&why, err);
}

static int workflow_start(const struct invocation *invocation, struct error *err)
{
    struct start start = {0};
    struct session session;
    int code = start_read(invocation, &start, err);
    if (code == 0)
        code = session_open(invocation, &session, err);
    if (code != 0) {
        inputs_fini(&start.inputs);
        return code;
    }
    code = start_send(&session, &start, err);
    if (code == 0)
        wait_hint_start(&session, start.options.workflow_type, start.options.task_queue);
    if (code == 0 && invocation->json)
        code =
            output_json(json_pack("{s:s, s:s, s:s, s:s}", "workflowId", start.options.workflow_id,
                                  "runId", start.run_id, "type", start.options.workflow_type,
                                  "taskQueue", start.options.task_queue),
                        err);
    else if (code == 0)
        printf("started %s\n  workflow id  %s\n  run id       %s\n  task queue   %s\n",
               start.options.workflow_type, start.options.workflow_id, start.run_id,
               start.options.task_queue);
    session_close(&session);
    inputs_fini(&start.inputs);
    return code;
}

static int workflow_execute(const struct invocation *invocation, struct error *err)
{
    struct start start = {0};
    struct session session;
    int code = start_read(invocation, &start, err);
    if (code == 0)
        code = session_open(invocation, &session, err);
    if (code != 0) {
        inputs_fini(&start.inputs);
        return code;
    }
    code = start_send(&session, &start, err);
    if (code == 0) {
        wait_hint_start(&session, start.options.workflow_type, start.options.task_queue);
        if (!invocation->json)
            fprintf(stderr, "workflow id %s, run id %s\n", start.options.workflow_id, start.run_id);
        code =
            outcome_report(invocation, &session, start.options.workflow_id, start.run_id, -1, err);
    }
    session_close(&session);
    inputs_fini(&start.inputs);
    return code;
}

static const struct option result_options[] = {
    {"wait", NULL, 0, OPTION_DURATION, "TIME", "wait at most this long (for ever)", NULL},
    {0},
};

static int workflow_result(const struct invocation *invocation, struct error *err)
{
    const char *workflow_id, *run_id;
    int status = run_options_read(invocation, &workflow_id, &run_id);
    if (status != 0)
        return status;
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    code = outcome_report(invocation, &session, workflow_id, run_id,
                          parsed_duration_ms(&invocation->parsed, "wait", -1), err);
    session_close(&session);
    return code;
}

const struct command command_workflow_start = {
    .name = "workflow start",
    .summary = "start a workflow and return at once",
    .arguments = "",
    .about = "Prints the run's id. While a run of the same workflow id is open the start is\n"
             "refused with that run's id (exit status 73), unless --id-conflict-policy says else.",
    .example = "argosy workflow start --type PrepareAndInferWorkflow --id infer-1 "
               "--input '\"  Hello  world  \"'\n"
               "argosy workflow start --type BatchEmbedWorkflow --input-file texts.json",
    .options = {{start_options, input_options, session_options, common_options}},
    .run = workflow_start,
};

const struct command command_workflow_execute = {
    .name = "workflow execute",
    .summary = "start a workflow and wait for its result",
    .arguments = "",
    .about =
        "The result alone goes to standard output, as the workflow gave it. Progress is shown\n"
        "on a terminal. A run that did not complete is exit status 1. Interrupting the wait\n"
        "leaves the run going: `argosy workflow result` waits for it again.",
    .example = "argosy workflow execute --type PrepareAndInferWorkflow "
               "--input '\"  Hello  world  \"'\n"
               "echo '[\"first text\", \"second text\"]' | "
               "argosy workflow execute --type BatchEmbedWorkflow --input -",
    .options = {{start_options, input_options, session_options, common_options}},
    .run = workflow_execute,
};

const struct command command_workflow_result = {
    .name = "workflow result",
    .summary = "wait for a run's result",
    .arguments = "[ID]",
    .arguments_max = 1,
    .example = "argosy workflow result --workflow-id infer-1\n"
               "argosy workflow result infer-1 --wait 30s --output json",
    .options = {{run_options, result_options, session_options, common_options}},
    .run = workflow_result,
};
