/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_finetune: `argosy finetune`: a classifier of one's own from labelled texts.
 *
 * The dataset is checked here first, by the code that checks it again on a worker: what is wrong is
 * said with its line before anything is sent.
 */
#include <argosy/client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/finetune_request.h"
#include "cli/job.h"
#include "cli/outcome.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/storage_session.h"
#include "workflows/shipped.h"

/* ---- the dataset ---- */

static void problems_print(const struct dataset_report *report)
{
    struct buffer text = {0}, safe = {0};
    dataset_report_text(report, &text);
    /* Names of files and labels are the dataset's: line by line, so that line feeds stay. */
    for (char *line = (char *)(uintptr_t)buffer_text(&text), *end; *line != '\0'; line = end) {
        end = line + strcspn(line, "\n");
        buffer_clear(&safe);
        output_safe(line, (size_t)(end - line), &safe);
        fprintf(stderr, "%s\n", buffer_text(&safe));
        end += *end == '\n';
    }
    buffer_fini(&text);
    buffer_fini(&safe);
}

static void dataset_summarise(const struct dataset_report *report)
{
    unsigned long long examples = report->files[0].examples, held_out = report->files[1].examples;
    fprintf(stderr, "%llu examples of %u labels", examples, report->label_count);
    if (report->file_count == 2)
        fprintf(stderr, ", %llu held out", held_out);
    fprintf(stderr, "; %llu errors, %llu warnings\n",
            (unsigned long long)report->totals[DATASET_ERROR],
            (unsigned long long)report->totals[DATASET_WARNING]);
}

/* How many examples each label has: the balance that --check is asked for. */
static int labels_show(const struct dataset_report *report, struct error *err)
{
    static const char *const heads[] = {"LABEL", "EXAMPLES", "DIFFERENT", "HELD OUT", NULL};
    struct table table;
    table_init(&table, heads);
    for (uint32_t i = 0; i < report->label_count; i++) {
        const struct dataset_label *label = &report->labels[i];
        char cells[3][24];
        snprintf(cells[0], sizeof cells[0], "%llu", (unsigned long long)label->examples[0]);
        snprintf(cells[1], sizeof cells[1], "%llu", (unsigned long long)label->distinct);
        snprintf(cells[2], sizeof cells[2], "%llu", (unsigned long long)label->examples[1]);
        table_add(&table, label->name, cells[0], cells[1],
                  report->file_count == 2 ? cells[2] : "-");
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

/* Says what was found; EXIT_BAD_INPUT where it may not be trained on. As JSON the report is the
 * answer, of --check and of a refusal. */
static int dataset_look(const struct invocation *invocation, const struct finetune_request *request,
                        struct error *err)
{
    const struct dataset_report *report = dataset_report(request->dataset);
    bool is_fit = dataset_is_fit(request->dataset);
    bool is_check = parsed_has(&invocation->parsed, "check");
    int code = 0;
    if (!invocation->json) {
        problems_print(report);
        dataset_summarise(report);
        if (is_check && report->label_count > 0)
            code = labels_show(report, err);
    } else if (!is_fit || is_check) {
        code = output_json(dataset_report_json(report), err);
    }
    if (code != 0)
        return code;
    return is_fit ? 0 : EXIT_BAD_INPUT;
}

/* ---- the job ---- */

static int files_put(const struct invocation *invocation, const struct finetune_request *request,
                     struct error *err)
{
    struct storage_session storage;
    struct progress progress;
    char owner[ARTIFACT_OWNER_MAX + 1];
    snprintf(owner, sizeof owner, "workflow:%s", request->workflow_id);
    int code = storage_session_open(invocation, &storage, err);
    if (code != 0)
        return code;
    progress_open(&progress, invocation->json);
    progress_stage(&progress, "upload", "bytes");
    for (uint32_t i = 0; code == 0 && i < request->file_count; i++) {
        struct artifact artifact;
        code = artifact_put_file(storage.client, request->paths[i], owner, progress_update,
                                 &progress, &artifact, err);
        if (code == 0 && strcmp(artifact.id, request->artifacts[i].id) != 0)
            code = error_set(err, ERR_ABORTED, "%s was changed after it was checked",
                             request->paths[i]);
    }
    progress_close(&progress);
    storage_session_close(&storage);
    return code;
}

/* ---- the result ---- */

static double number(const json_t *object, const char *member)
{
    return json_number_value(json_object_get(object, member));
}

static int labels_print(const json_t *labels, struct error *err)
{
    static const char *const heads[] = {"LABEL", "PRECISION", "RECALL", "F1", "EXAMPLES", NULL};
    struct table table;
    size_t place;
    const json_t *label;
    table_init(&table, heads);
    json_array_foreach(labels, place, label)
    {
        char cells[4][32];
        snprintf(cells[0], sizeof cells[0], "%.3f", number(label, "precision"));
        snprintf(cells[1], sizeof cells[1], "%.3f", number(label, "recall"));
        snprintf(cells[2], sizeof cells[2], "%.3f", number(label, "f1"));
        snprintf(cells[3], sizeof cells[3], "%.0f", number(label, "support"));
        table_add(&table, json_string_value(json_object_get(label, "label")), cells[0], cells[1],
                  cells[2], cells[3]);
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

static int result_print(const json_t *result, struct error *err)
{
    const json_t *metrics = json_object_get(result, "metrics");
    const json_t *trained = json_object_get(result, "trained");
    const char *model = json_string_value(json_object_get(result, "model"));
    const char *stopped = json_string_value(json_object_get(trained, "stopped"));
    if (model == NULL || metrics == NULL || stopped == NULL)
        return error_set(err, ERR_PROTOCOL, "the run's result is not one of %s",
                         WORKFLOW_FINE_TUNE);
    printf("registered %s\n", model);
    printf("  accuracy  %.3f  on %.0f held-out examples\n", number(metrics, "accuracy"),
           number(metrics, "examples"));
    printf("  macro F1  %.3f\n", number(metrics, "macro_f1"));
    printf("  epochs    %.0f, the best was %.0f; stopped %s\n\n", number(trained, "epochs"),
           number(trained, "best_epoch"), stopped);
    int code = labels_print(json_object_get(metrics, "labels"), err);
    if (code == 0)
        printf("\nuse it:\n  argosy workflow execute --type %s --input '{\"text\": \"...\", "
               "\"model\": \"%s\"}'\n",
               WORKFLOW_PREPARE_AND_INFER, model);
    return code;
}

/* For people a table; a failure, and everything as JSON, as other commands report it. */
static int job_report(const struct invocation *invocation, struct session *session,
                      const struct job *job, struct error *err)
{
    struct argosy_payload payload;
    if (invocation->json || argosy_client_result(session->client, job->workflow_id, job->run_id, -1,
                                                 session->arena, &payload, NULL) != 0)
        return outcome_report(invocation, session, job->workflow_id, job->run_id, -1, err);
    json_t *result = outcome_value(&payload, session->arena);
    int code = result_print(result, err);
    json_decref(result);
    return code;
}

/* A run of this job that is open, or completed, is the job's run: nothing is trained twice. */
static int job_run(const struct invocation *invocation, const struct finetune_request *request,
                   struct error *err)
{
    struct session session;
    struct job job = {.workflow_type = WORKFLOW_FINE_TUNE, .workflow_id = request->workflow_id};
    int code = session_open(invocation, &session, err);
    if (code != 0)
        return code;
    code = files_put(invocation, request, err);
    if (code == 0)
        code = job_start(&session, &job, finetune_request_json(request),
                         ARGOSY_REUSE_ALLOW_FAILED_ONLY, err);
    if (code == 0) {
        if (job.was_done)
            fprintf(stderr, "job %s is done already; this is its result\n", request->job_id);
        job_watch(invocation, &session, &job);
        code = job_report(invocation, &session, &job, err);
    }
    session_close(&session);
    return code;
}

static int finetune(const struct invocation *invocation, struct error *err)
{
    struct finetune_request request;
    int code = finetune_request_read(invocation, &request, err);
    if (code == 0)
        code = dataset_look(invocation, &request, err);
    if (code == 0 && !parsed_has(&invocation->parsed, "check"))
        code = job_run(invocation, &request, err);
    finetune_request_fini(&request);
    return code;
}

const struct command command_finetune = {
    .name = "finetune",
    .summary = "train a classifier on labelled texts and register it",
    .arguments = "",
    .about =
        "A classification head is trained on top of a frozen encoder, evaluated on examples it\n"
        "has not seen, and registered as NAME@VERSION. The dataset is checked first: each error\n"
        "is said with its line (exit status 65). Interrupting the wait leaves the job going; the\n"
        "same command waits for it again. docs/fine-tuning.md tells more.",
    .example = "argosy finetune --dataset tickets.jsonl --name tickets\n"
               "argosy finetune --dataset train.jsonl --held-out test.jsonl --name tickets "
               "--epochs 50\n"
               "argosy finetune --dataset tickets.jsonl --check",
    .options = {{finetune_options, session_options, common_options}},
    .run = finetune,
};
