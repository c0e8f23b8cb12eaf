/* SPDX-License-Identifier: Apache-2.0 */
/* command_workflow_look: `argosy workflow describe`, `show`, `list` and `count`. */
#include <inttypes.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/history_view.h"
#include "cli/message_view.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/wait_hint.h"
#include "cli/workflow_options.h"
#include "common/clock.h"
#include "common/limits.h"

#define STATUS_PREFIX "WORKFLOW_EXECUTION_STATUS_"

/* ---- describe ---- */

static void field_print(const char *label, const char *text)
{
    struct buffer safe = {0};
    output_safe(text, strlen(text), &safe);
    printf("%-14s %s\n", label, safe.size > 0 ? buffer_text(&safe) : "-");
    buffer_fini(&safe);
}

/* How long a run took, or has been going. */
static const char *run_duration(const json_t *info, char text[OUTPUT_TIME_SIZE])
{
    int64_t start = view_time_us(info, "startTime"), close = view_time_us(info, "closeTime");
    return output_duration((close != 0 ? close : clock_utc_us()) - start, text);
}

static int pending_print(const json_t *pending, struct error *err)
{
    struct table table;
    table_init(&table, (const char *const[]){"ACTIVITY", "ID", "STATE", "ATTEMPT", "WORKER",
                                             "LAST FAILURE", NULL});
    size_t index;
    const json_t *activity;
    json_array_foreach(pending, index, activity)
    {
        struct buffer state = {0}, failure = {0};
        char attempt[24];
        view_enum(view_text(activity, "state"), "PENDING_ACTIVITY_STATE_", &state);
        view_failure(view_get(activity, "lastFailure"), &failure);
        snprintf(attempt, sizeof(attempt), "%" PRId64, view_number(activity, "attempt"));
        const char *worker = view_text(activity, "lastWorkerIdentity");
        table_add(&table, view_text(activity, "activityType.name"),
                  view_text(activity, "activityId"), buffer_text(&state), attempt,
                  worker[0] != '\0' ? worker : "-", failure.size > 0 ? buffer_text(&failure) : "-");
        buffer_fini(&state);
        buffer_fini(&failure);
    }
    puts("\npending activities:");
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

static int describe_print(struct session *session, const json_t *reply, struct error *err)
{
    const json_t *info = view_get(reply, "workflowExecutionInfo");
    char time[OUTPUT_TIME_SIZE], text[64];
    struct buffer status = {0};
    view_enum(view_text(info, "status"), STATUS_PREFIX, &status);
    field_print("workflow id", view_text(info, "execution.workflowId"));
    field_print("run id", view_text(info, "execution.runId"));
    field_print("type", view_text(info, "type.name"));
    field_print("status", buffer_text(&status));
    field_print("task queue", view_text(info, "taskQueue"));
    field_print("started", output_time(view_time_us(info, "startTime"), time));
    field_print("closed", output_time(view_time_us(info, "closeTime"), time));
    field_print("duration", run_duration(info, time));
    snprintf(text, sizeof(text), "%" PRId64, view_number(info, "historyLength"));
    field_print("events", text);
    buffer_fini(&status);
    wait_hint_describe(session, reply);
    const json_t *pending = view_get(reply, "pendingActivities");
    return json_array_size(pending) > 0 ? pending_print(pending, err) : 0;
}

static int workflow_describe(const struct invocation *invocation, struct error *err)
{
    const char *workflow_id, *run_id;
    int status = run_options_read(invocation, &workflow_id, &run_id);
    if (status != 0)
        return status;
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    json_t *reply;
    code = session_call(
        &session, "DescribeWorkflowExecution",
        json_pack("{s:{s:s, s:s*}}", "execution", "workflowId", workflow_id, "runId", run_id),
        &reply, err);
    if (code == 0 && invocation->json) {
        code = output_json(reply, err);
    } else if (code == 0) {
        code = describe_print(&session, reply, err);
        json_decref(reply);
    }
    session_close(&session);
    return code;
}

/* ---- show ---- */

static const struct option show_options[] = {
    {"full", NULL, 0, OPTION_FLAG, NULL, "do not cut long values", NULL},
    {"follow", NULL, 'f', OPTION_FLAG, NULL, "show events as they happen, until the run is closed",
     NULL},
    {0},
};

struct followed {
    bool json, full;
};

static void followed_print(const json_t *history, const json_t *event, void *arg)
{
    const struct followed *followed = arg;
    if (followed->json) {
        char *line = json_dumps(event, JSON_COMPACT);
        if (line != NULL)
            puts(line);
        free(line);
    } else {
        struct buffer line = {0}, safe = {0};
        buffer_printf(&line, "%3" PRId64 "  ", view_number(event, "eventId"));
        history_event_type(event, &line);
        buffer_append_text(&line, "  ");
        history_details(history, event, followed->full, &line);
        output_safe((const char *)line.data, line.size, &safe);
        puts(buffer_text(&safe));
        buffer_fini(&line);
        buffer_fini(&safe);
    }
    fflush(stdout);
}

static int workflow_show(const struct invocation *invocation, struct error *err)
{
    const char *workflow_id, *run_id;
    int status = run_options_read(invocation, &workflow_id, &run_id);
    if (status != 0)
        return status;
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    struct followed followed = {.json = invocation->json,
                                .full = parsed_has(&invocation->parsed, "full")};
    json_t *history = NULL;
    if (parsed_has(&invocation->parsed, "follow"))
        code = session_follow(&session, workflow_id, run_id, followed_print, &followed, err);
    else
        code = session_history(&session, workflow_id, run_id, &history, err);
    if (history != NULL && invocation->json) {
        code = output_json(history, err);
    } else if (history != NULL) {
        code = history_print(history, followed.full, stdout, err);
        json_decref(history);
    }
    session_close(&session);
    return code;
}

/* ---- list, count ---- */

static const struct option list_options[] = {
    {"query", NULL, 'q', OPTION_TEXT, "FILTER",
     "which runs, as in \"ExecutionStatus = 'Running'\" (all)", NULL},
    {"limit", NULL, 'l', OPTION_NUMBER, "N", "at most this many runs (100)", NULL},
    {0},
};

static const struct option count_options[] = {
    {"query", NULL, 'q', OPTION_TEXT, "FILTER",
     "which runs, as in \"ExecutionStatus = 'Running'\" (all)", NULL},
    {0},
};

/* Appends up to limit runs to runs, page after page. */
static int runs_fetch(struct session *session, const char *query, int64_t limit, json_t *runs,
                      struct error *err)
{
    json_t *reply = NULL;
    const char *page = NULL; /* borrowed from reply */
    int code = 0;
    do {
        int64_t rest = limit - (int64_t)json_array_size(runs);
        json_t *request =
            json_pack("{s:I, s:s*, s:s*}", "pageSize",
                      (json_int_t)(rest < LIMIT_HISTORY_PAGE ? rest : LIMIT_HISTORY_PAGE), "query",
                      query, "nextPageToken", page);
        json_decref(reply);
        reply = NULL;
        code = session_call(session, "ListWorkflowExecutions", request, &reply, err);
        if (code != 0)
            break;
        json_array_extend(runs, json_object_get(reply, "executions"));
        page = view_text(reply, "nextPageToken");
    } while (page[0] != '\0' && (int64_t)json_array_size(runs) < limit);
    json_decref(reply);
    return code;
}

static int runs_print(const json_t *runs, struct error *err)
{
    struct table table;
    table_init(&table, (const char *const[]){"STATUS", "WORKFLOW ID", "TYPE", "STARTED", "DURATION",
                                             "RUN ID", NULL});
    size_t index;
    const json_t *info;
    json_array_foreach(runs, index, info)
    {
        struct buffer status = {0};
        char started[OUTPUT_TIME_SIZE], duration[OUTPUT_TIME_SIZE];
        view_enum(view_text(info, "status"), STATUS_PREFIX, &status);
        table_add(&table, buffer_text(&status), view_text(info, "execution.workflowId"),
                  view_text(info, "type.name"),
                  output_time(view_time_us(info, "startTime"), started),
                  run_duration(info, duration), view_text(info, "execution.runId"));
        buffer_fini(&status);
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

static int workflow_list(const struct invocation *invocation, struct error *err)
{
    int64_t limit = parsed_number(&invocation->parsed, "limit", 100);
    if (limit == 0)
        return command_usage(invocation, "--limit must be at least 1");
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    json_t *runs = json_array();
    code = runs_fetch(&session, parsed_text(&invocation->parsed, "query"), limit, runs, err);
    if (code == 0 && invocation->json) {
        code = output_json(json_pack("{s:o}", "executions", runs), err);
    } else {
        if (code == 0)
            code = runs_print(runs, err);
        json_decref(runs);
    }
    session_close(&session);
    return code;
}

static int workflow_count(const struct invocation *invocation, struct error *err)
{
    struct session session;
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    json_t *reply;
    code = session_call(&session, "CountWorkflowExecutions",
                        json_pack("{s:s*}", "query", parsed_text(&invocation->parsed, "query")),
                        &reply, err);
    if (code == 0) {
        int64_t count = view_number(reply, "count");
        json_decref(reply);
        if (invocation->json)
            code = output_json(json_pack("{s:I}", "count", (json_int_t)count), err);
        else
            printf("%" PRId64 "\n", count);
    }
    session_close(&session);
    return code;
}

const struct command command_workflow_describe = {
    .name = "workflow describe",
    .summary = "state of a run and its pending activities",
    .arguments = "[ID]",
    .arguments_max = 1,
    .example = "argosy workflow describe --workflow-id infer-1\n"
               "argosy workflow describe infer-1 --output json",
    .options = {{run_options, session_options, common_options}},
    .run = workflow_describe,
};

const struct command command_workflow_show = {
    .name = "workflow show",
    .summary = "event history of a run: what happened, and which process did it",
    .arguments = "[ID]",
    .arguments_max = 1,
    .about = "\"by\" is the identity of who did a step: pid@host#group. With --output json the\n"
             "history is printed in the API's JSON form, which replay reads; with --follow too,\n"
             "one event on each line.",
    .example = "argosy workflow show --workflow-id infer-1\n"
               "argosy workflow show infer-1 --output json > infer-1.json",
    .options = {{run_options, show_options, session_options, common_options}},
    .run = workflow_show,
};

const struct command command_workflow_list = {
    .name = "workflow list",
    .summary = "runs, newest first",
    .arguments = "",
    .example = "argosy workflow list\n"
               "argosy workflow list --query \"ExecutionStatus = 'Running'\" --limit 20",
    .options = {{list_options, session_options, common_options}},
    .run = workflow_list,
};

const struct command command_workflow_count = {
    .name = "workflow count",
    .summary = "number of runs",
    .arguments = "",
    .example = "argosy workflow count --query \"WorkflowType = 'BatchEmbedWorkflow'\"",
    .options = {{count_options, session_options, common_options}},
    .run = workflow_count,
};
