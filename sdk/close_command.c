/* SPDX-License-Identifier: Apache-2.0 */
/*
 * close_command: the one command that ends a run: complete, fail or cancel, from what the workflow
 * function returned. On replay only its kind is compared: results are the engine's to keep.
 */
#include <string.h>

#include "sdk/error.h"
#include "sdk/failure.h"
#include "sdk/payload.h"
#include "sdk/run.h"

static bool close_matches(const struct command *command, const Api__HistoryEvent *event)
{
    (void)command, (void)event;
    return true;
}

static void close_describe(const struct command *command, char text[COMMAND_TEXT_MAX])
{
    (void)command;
    text[0] = '\0';
}

static void close_record(struct command *command, const Api__HistoryEvent *event)
{
    (void)event;
    struct argosy_workflow *run = command->owner;
    run->is_closed = true;
}

#define CLOSE_OPS(label, event)                                                                    \
    {                                                                                              \
        .name = label, .event_type = event, .matches = close_matches, .describe = close_describe,  \
        .record = close_record                                                                     \
    }

static const struct command_ops complete_ops =
    CLOSE_OPS("CompleteWorkflowExecution", EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED);
static const struct command_ops fail_ops =
    CLOSE_OPS("FailWorkflowExecution", EVENT_TYPE_WORKFLOW_EXECUTION_FAILED);
static const struct command_ops cancel_ops =
    CLOSE_OPS("CancelWorkflowExecution", EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED);

static void complete_fill(struct argosy_workflow *run, Api__Command *message)
{
    Api__CompleteWorkflowExecutionCommandAttributes *complete =
        arena_alloc(run->task_arena, sizeof *complete);
    run_check_memory(run, complete);
    api__complete_workflow_execution_command_attributes__init(complete);
    complete->result = payload_message(&run->result, run->task_arena);
    run_check_memory(run, complete->result);
    message->attributes_case =
        API__COMMAND__ATTRIBUTES_COMPLETE_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    message->complete_workflow_execution_command_attributes = complete;
}

static void fail_fill(struct argosy_workflow *run, Api__Command *message)
{
    Api__FailWorkflowExecutionCommandAttributes *fail = arena_alloc(run->task_arena, sizeof *fail);
    run_check_memory(run, fail);
    api__fail_workflow_execution_command_attributes__init(fail);
    fail->failure = failure_of_error(&run->result_error, run->task_arena);
    run_check_memory(run, fail->failure);
    message->attributes_case = API__COMMAND__ATTRIBUTES_FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    message->fail_workflow_execution_command_attributes = fail;
}

static void cancel_fill(struct argosy_workflow *run, Api__Command *message)
{
    Api__CancelWorkflowExecutionCommandAttributes *cancel =
        arena_alloc(run->task_arena, sizeof *cancel);
    run_check_memory(run, cancel);
    api__cancel_workflow_execution_command_attributes__init(cancel);
    message->attributes_case =
        API__COMMAND__ATTRIBUTES_CANCEL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    message->cancel_workflow_execution_command_attributes = cancel;
}

/* What the function returned, made consistent: a code it did not explain gets its usual text. */
static void settle_error(struct argosy_workflow *run)
{
    struct argosy_error *error = &run->result_error;
    if (error->code != run->result_code)
        argosy_error_set(error, run->result_code, "%s", argosy_error_text(run->result_code));
}

static void make_failing(struct argosy_workflow *run)
{
    settle_error(run);
    bool is_canceled = run->result_code == ARGOSY_ERR_CANCELED && run->is_cancel_requested;
    Api__Command *message =
        run_command_add(run, &run->close, is_canceled ? &cancel_ops : &fail_ops, run,
                        is_canceled ? COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION
                                    : COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
    if (message != NULL)
        (is_canceled ? cancel_fill : fail_fill)(run, message);
}

void close_command_make(struct argosy_workflow *run)
{
    if (run->result_code >= 0 && run->result.size > LIMIT_PAYLOAD_SIZE)
        run->result_code =
            argosy_error_set(&run->result_error, ARGOSY_ERR_LIMIT, "the result is over 2 MiB");
    if (run->result_code < 0) {
        make_failing(run);
        return;
    }
    Api__Command *message = run_command_add(run, &run->close, &complete_ops, run,
                                            COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    if (message != NULL)
        complete_fill(run, message);
}
