/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_eval: `argosy eval`: a model answers a suite, and its scores are compared with thresholds
 * and a baseline (workflows/evaluation/evaluate.h).
 *
 * A run that misses a threshold has failed, with its report: that is written and shown like that of
 * one that passed, and the exit status says which it was.
 */
#include <argosy/client.h>
#include <argosy/failure.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/eval_request.h"
#include "cli/job.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/storage_session.h"
#include "workflows/artifact_reference.h"
#include "workflows/evaluation/evaluate.h"
#include "workflows/shipped.h"

struct eval_command {
    const struct invocation *invocation;
    struct eval_request request;
    struct session session;
    struct storage_session storage;
    struct progress progress;
    struct artifact cases;
    struct artifact baseline; /* a report */
    bool has_baseline;
    struct job job;
};

/* ---- the suite ---- */

static void problems_print(const struct eval_request *request)
{
    struct buffer text = {0}, safe = {0};
    suite_report_text(request->suite, request->path, &text);
    /* Names are the suite's: line by line, so that line feeds stay. */
    for (const char *line = buffer_text(&text), *end; *line != '\0'; line = end) {
        end = line + strcspn(line, "\n");
        buffer_clear(&safe);
        output_safe(line, (size_t)(end - line), &safe);
        fprintf(stderr, "%s\n", buffer_text(&safe));
        end += *end == '\n';
    }
    buffer_fini(&text);
    buffer_fini(&safe);
}

/* Says what was found; EXIT_BAD_INPUT where the suite is not fit. As JSON the report is the answer
 * of --check and of a refusal. */
static int suite_look(const struct eval_command *command, struct error *err)
{
    const struct suite *suite = command->request.suite;
    bool is_fit = suite->error_count == 0,
         is_check = parsed_has(&command->invocation->parsed, "check");
    if (command->invocation->json && (is_check || !is_fit)) {
        int code = output_json(suite_report_json(suite), err);
        return code != 0 ? code : is_fit ? EXIT_OK : EXIT_BAD_INPUT;
    }
    problems_print(&command->request);
    if (is_check && is_fit) {
        printf("%s: %s, %zu cases", suite->name, suite_type_name(suite->type), suite->case_count);
        if (suite->type == SUITE_RETRIEVAL)
            printf(", %zu documents", suite->document_count);
        if (suite->type == SUITE_CLASSIFICATION)
            printf(", %u labels", suite->label_count);
        printf("\n");
    }
    return is_fit ? EXIT_OK : EXIT_BAD_INPUT;
}

/* ---- results ---- */

/* What an evaluation came to: the result of a run that passed, the details of one that did not.
 * *ret_result is NULL where the run has neither. The caller releases it. */
static int result_get(struct session *session, const char *workflow_id, const char *run_id,
                      json_t **ret_result, struct error *err)
{
    struct argosy_payload payload;
    struct argosy_error why = {0};
    int code = argosy_client_result(session->client, workflow_id, run_id, -1, session->arena,
                                    &payload, &why);
    const struct argosy_failure *root =
        why.failure != NULL ? argosy_failure_root(why.failure) : NULL;
    *ret_result = NULL;
    if (code == 0) {
        *ret_result = outcome_value(&payload, session->arena);
    } else if (root != NULL && strcmp(argosy_failure_type(root), FAILURE_EVAL_REGRESSION) == 0) {
        struct argosy_payloads details = argosy_failure_details(root, session->arena);
        if (details.count == 1)
            *ret_result = outcome_value(&details.items[0], session->arena);
    } else if (root == NULL && code != ARGOSY_ERR_CANCELED && code != ARGOSY_ERR_ABORTED) {
        return session_error(&why, err);
    }
    return 0;
}

/* The report of an earlier evaluation. */
static int baseline_get(struct eval_command *command, struct error *err)
{
    const char *workflow_id = command->request.baseline_run;
    json_t *result;
    int code = result_get(&command->session, workflow_id, NULL, &result, err);
    if (code != 0)
        return error_prefix(err, "baseline");
    code = artifact_reference_read(json_object_get(result, "report"), &command->baseline, NULL);
    json_decref(result);
    if (code != 0)
        return error_set(err, ERR_INVALID, "workflow %s ended without a report to compare with",
                         workflow_id);
    command->has_baseline = true;
    return 0;
}

/* ---- the run ---- */

static int file_put(struct eval_command *command, const char *path, struct artifact *ret_artifact,
                    struct error *err)
{
    char owner[ARTIFACT_OWNER_MAX + 1];
    if ((size_t)snprintf(owner, sizeof owner, "workflow:%s", command->request.workflow_id) >=
        sizeof owner)
        return error_set(err, ERR_INVALID, "the workflow id is too long");
    progress_stage(&command->progress, "upload", "bytes");
    return artifact_put_file(command->storage.client, path, owner, progress_update,
                             &command->progress, ret_artifact, err);
}

static int baseline_keep(struct eval_command *command, struct error *err)
{
    char owner[ARTIFACT_OWNER_MAX + 1];
    snprintf(owner, sizeof owner, "workflow:%s", command->request.workflow_id);
    int code = artifact_keep(command->storage.client, command->baseline.id, owner, err);
    if (code == ERR_NOT_FOUND)
        return error_set(err, ERR_NOT_FOUND,
                         "the report of workflow %s is no longer kept: compare with a report that "
                         "was written to a file, or run it again",
                         command->request.baseline_run);
    return code;
}

static int upload(struct eval_command *command, struct error *err)
{
    int code = file_put(command, command->request.path, &command->cases, err);
    if (code == 0 && command->request.baseline_path != NULL) {
        code = file_put(command, command->request.baseline_path, &command->baseline, err);
        command->has_baseline = true;
    } else if (code == 0 && command->has_baseline) {
        code = baseline_keep(command, err);
    }
    progress_close(&command->progress);
    return code;
}

/* A run of this suite and model that is open is this run; one that is over is run again. */
static int start(struct eval_command *command, struct error *err)
{
    json_t *input = eval_request_json(&command->request, &command->cases,
                                      command->has_baseline ? &command->baseline : NULL);
    return job_start(&command->session, &command->job, input, ARGOSY_REUSE_ALLOW, err);
}

/* The open run of that id may be one of another suite. */
static int result_check(const struct eval_command *command, const json_t *result, struct error *err)
{
    struct artifact cases;
    int code = artifact_reference_read(json_object_get(result, "cases"), &cases, err);
    if (code != 0)
        return error_set(err, ERR_PROTOCOL, "the run's result is not one of " WORKFLOW_EVAL);
    if (strcmp(cases.id, command->cases.id) != 0)
        return error_set(err, ERR_EXISTS,
                         "workflow id %s belonged to an evaluation of other cases: run it again",
                         command->request.workflow_id);
    return 0;
}

/* ---- the report ---- */

static int report_write(struct eval_command *command, const json_t *result, const char *path,
                        struct error *err)
{
    size_t size = strlen(path);
    bool is_json = size > 5 && strcmp(path + size - 5, ".json") == 0;
    struct artifact artifact;
    int code = artifact_reference_read(json_object_get(result, is_json ? "report" : "page"),
                                       &artifact, err);
    return code == 0
               ? artifact_get_file(command->storage.client, artifact.id, path, NULL, NULL, err)
               : code;
}

static int reports_write(struct eval_command *command, const json_t *result, struct error *err)
{
    size_t cursor = 0;
    const char *path;
    int code = 0;
    while (code == 0 &&
           (path = parsed_next(&command->invocation->parsed, "report", &cursor)) != NULL)
        code = report_write(command, result, path, err);
    return code;
}

static double number(const json_t *object, const char *member)
{
    return json_number_value(json_object_get(object, member));
}

static void estimate_print(const json_t *estimate, const char *format, char cell[64])
{
    if (json_is_object(estimate))
        snprintf(cell, 64, format, number(estimate, "value"), number(estimate, "low"),
                 number(estimate, "high"));
    else
        snprintf(cell, 64, "-");
}

static int metrics_print(const json_t *result, struct error *err)
{
    static const char *const heads[] = {"METRIC",     "VALUE (95 %)", "BASELINE (95 %)",
                                        "DIFFERENCE", "THRESHOLD",    NULL};
    struct table table;
    size_t place;
    const json_t *metric;
    table_init(&table, heads);
    json_array_foreach(json_object_get(result, "metrics"), place, metric)
    {
        char cells[3][64];
        bool is_limited = json_object_get(metric, "minimum") != NULL ||
                          (json_object_get(metric, "maximum_drop") != NULL &&
                           json_object_get(metric, "baseline") != NULL);
        estimate_print(metric, "%.3f (%.3f to %.3f)", cells[0]);
        estimate_print(json_object_get(metric, "baseline"), "%.3f (%.3f to %.3f)", cells[1]);
        estimate_print(json_object_get(metric, "difference"), "%+.3f (%+.3f to %+.3f)", cells[2]);
        table_add(&table, json_string_value(json_object_get(metric, "name")), cells[0], cells[1],
                  cells[2],
                  !is_limited                                       ? NULL
                  : json_is_true(json_object_get(metric, "passed")) ? "met"
                                                                    : "missed");
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

/* Names are the suite's, or a report's: what could disturb a terminal is made visible. */
static void name_print(const char *before, const json_t *name)
{
    struct buffer safe = {0};
    output_safe(json_string_value(name), json_string_length(name), &safe);
    printf("%s%s", before, buffer_text(&safe));
    buffer_fini(&safe);
}

static int result_print(const struct eval_command *command, const json_t *result, struct error *err)
{
    const json_t *changes = json_object_get(result, "changes"), *regression, *name;
    const json_t *baseline = json_object_get(result, "baseline");
    size_t place;
    printf("suite %s", command->request.suite->name);
    name_print(", model ", json_object_get(result, "model"));
    if (json_is_string(baseline))
        name_print(", baseline ", baseline);
    printf("\n");
    int code = metrics_print(result, err);
    if (code == 0 && json_is_object(changes))
        printf("%.0f cases were right with the baseline and are wrong now, %.0f the other way "
               "round\n",
               number(changes, "worse"), number(changes, "better"));
    json_array_foreach(json_object_get(changes, "worse_cases"), place, name)
    {
        name_print("  worse: ", name);
        printf("\n");
    }
    json_array_foreach(json_object_get(result, "regressions"), place, regression)
    {
        const char *text = json_string_value(json_object_get(regression, "text"));
        fprintf(stderr, "regression: %s\n", text != NULL ? text : "?");
    }
    return code;
}

static int result_report(struct eval_command *command, const json_t *result, struct error *err)
{
    bool is_passed = json_is_true(json_object_get(result, "passed"));
    int code = result_check(command, result, err);
    if (code == 0)
        code = reports_write(command, result, err);
    if (code == 0)
        code = command->invocation->json
                   ? output_json(json_pack("{s:s, s:s, s:O}", "workflowId",
                                           command->request.workflow_id, "status",
                                           is_passed ? "COMPLETED" : "FAILED", "result", result),
                                 err)
                   : result_print(command, result, err);
    return code != 0 ? code : is_passed ? EXIT_OK : EXIT_FAILED;
}

/* ---- the command ---- */

static int run_command(struct eval_command *command, struct error *err)
{
    const struct invocation *invocation = command->invocation;
    const char *workflow_id = command->request.workflow_id;
    json_t *result = NULL;
    int code = command->request.baseline_run != NULL ? baseline_get(command, err) : 0;
    if (code == 0)
        code = upload(command, err);
    if (code == 0)
        code = start(command, err);
    if (code != 0)
        return code;
    job_watch(invocation, &command->session, &command->job);
    code = result_get(&command->session, workflow_id, command->job.run_id, &result, err);
    if (code == 0 && result == NULL)
        return outcome_report(invocation, &command->session, workflow_id, command->job.run_id, -1,
                              err);
    if (code == 0)
        code = result_report(command, result, err);
    json_decref(result);
    return code;
}

static int eval(const struct invocation *invocation, struct error *err)
{
    struct eval_command command = {.invocation = invocation};
    int code = eval_request_read(invocation, &command.request, err);
    command.job =
        (struct job){.workflow_type = WORKFLOW_EVAL, .workflow_id = command.request.workflow_id};
    if (code == 0)
        code = suite_look(&command, err);
    if (code != 0 || parsed_has(&invocation->parsed, "check")) {
        eval_request_fini(&command.request);
        return code;
    }
    progress_open(&command.progress, invocation->json);
    code = session_open(invocation, &command.session, err);
    if (code == 0) {
        code = storage_session_open(invocation, &command.storage, err);
        if (code == 0)
            code = run_command(&command, err);
        storage_session_close(&command.storage);
        session_close(&command.session);
    }
    progress_close(&command.progress);
    eval_request_fini(&command.request);
    return code;
}

const struct command command_eval = {
    .name = "eval",
    .summary = "score a model on a suite and compare it with a baseline",
    .arguments = "SUITE",
    .arguments_max = 1,
    .about =
        "The suite is JSONL: labelled texts, pairs of texts, or documents and queries. Scores\n"
        "come with 95 % intervals. A threshold that is missed (the suite's own, or --minimum\n"
        "and --maximum-drop) fails the run and the command: exit status 1, with the list of\n"
        "regressions. docs/evaluation.md tells more.",
    .example = "argosy eval tickets.jsonl --model tickets --report report.html\n"
               "argosy eval tickets.jsonl --model tickets@2 --baseline-model tickets@1 "
               "--maximum-drop accuracy=0.02\n"
               "argosy eval tickets.jsonl --model tickets --baseline last.json --report now.json",
    .options = {{eval_options, session_options, common_options}},
    .run = eval,
};
