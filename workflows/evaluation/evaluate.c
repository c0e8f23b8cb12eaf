/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evaluate: a model, and the one it is compared with, answer the cases of a suite, and the answers
 * are scored; evaluate.h says what the steps hand on.
 *
 * All parts of all models are on the GPU queue at once, so that all GPU workers there are share
 * them; what a part gave is an artifact and is there again whatever dies later. The query
 * "progress" answers {"stage", "done", "total", "unit"} in texts. Cancellation ends it at the step
 * under way, which learns of it by its heartbeats.
 */
#include "workflows/evaluation/evaluate.h"

#include <string.h>

#include "common/fleet_config.h"
#include "workflows/artifact_reference.h"
#include "workflows/evaluation/report.h"
#include "workflows/evaluation/suite.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/shipped.h"

/* Many texts give way to what people wait for. */
#define BULK_PRIORITY 4

/* Storage may be away for a restart or a full volume: about two minutes. */
static const struct argosy_retry_policy storage_retry = {
    .initial_interval_ms = 1000,
    .backoff_coefficient = 2,
    .maximum_attempts = 8,
};

static const struct argosy_retry_policy gpu_retry = {
    .initial_interval_ms = 2000,
    .backoff_coefficient = 2,
    .maximum_interval_ms = 30000,
    .maximum_attempts = 8,
};

enum subject { SUBJECT_MODEL, SUBJECT_BASELINE, SUBJECT_COUNT };

static const char *const subject_names[SUBJECT_COUNT] = {"model", "baseline"};

struct part {
    enum subject subject;
    int64_t offset, count, line;
    struct argosy_future *future;
};

/* A run's variables; they live as long as the run, since queries look at them. */
struct evaluate_run {
    struct argosy_workflow *workflow;
    struct evaluate_request request;
    const char *stage;
    struct artifact texts;
    bool is_classification;
    struct part *parts; /* the model's, then the baseline's */
    size_t part_count;
    int64_t text_count; /* of all parts */
    struct argosy_payload request_json, stored, answers, scored;
};

static int fail(struct evaluate_run *run, const struct error *from, struct argosy_error *err)
{
    return failure_from(argosy_workflow_arena(run->workflow), FAILURE_INVALID_INPUT, from, err);
}

static int progress(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                    void *user_data, struct argosy_payload *ret_answer, struct argosy_error *err)
{
    const struct evaluate_run *run = user_data;
    int64_t done = 0;
    (void)input;
    for (size_t i = 0; i < run->part_count; i++) {
        if (run->parts[i].future != NULL && argosy_future_is_ready(run->parts[i].future))
            done += run->parts[i].count;
    }
    return argosy_payload_pack(argosy_workflow_arena(workflow), ret_answer, err,
                               "{s:s, s:I, s:I, s:s}", "stage", run->stage, "done",
                               (json_int_t)done, "total", (json_int_t)run->text_count, "unit",
                               "texts");
}

/* ---- steps of one activity ---- */

static int step(struct evaluate_run *run, const char *stage,
                const struct argosy_activity_options *options, struct argosy_payload *ret_result,
                struct argosy_error *err)
{
    run->stage = stage;
    return argosy_activity_execute(run->workflow, options, ret_result, err);
}

static int validate(struct evaluate_run *run, struct argosy_error *err)
{
    return step(run, "validate",
                &(struct argosy_activity_options){
                    .type = ACTIVITY_VALIDATE_SUITE,
                    .task_queue = FLEET_QUEUE_CPU,
                    .input = {&run->request_json, 1},
                    .start_to_close_timeout_ms = 600000,
                    .retry_policy = storage_retry,
                },
                NULL, err);
}

static int store(struct evaluate_run *run, struct argosy_error *err)
{
    return step(run, "store",
                &(struct argosy_activity_options){
                    .type = ACTIVITY_STORE_SUITE,
                    .task_queue = FLEET_QUEUE_STORAGE,
                    .input = {&run->request_json, 1},
                    .start_to_close_timeout_ms = 600000,
                    .retry_policy = storage_retry,
                },
                &run->stored, err);
}

static int score(struct evaluate_run *run, struct argosy_error *err)
{
    return step(run, "score",
                &(struct argosy_activity_options){
                    .type = ACTIVITY_SCORE_SUITE,
                    .task_queue = FLEET_QUEUE_CPU,
                    .input = ARGOSY_PAYLOADS(run->request_json, run->stored, run->answers),
                    .start_to_close_timeout_ms = 3600000,
                    .heartbeat_timeout_ms = 120000,
                    .retry_policy = storage_retry,
                },
                &run->scored, err);
}

static int report(struct evaluate_run *run, struct argosy_payload *ret_result,
                  struct argosy_error *err)
{
    return step(run, "report",
                &(struct argosy_activity_options){
                    .type = ACTIVITY_WRITE_PAGE,
                    .task_queue = FLEET_QUEUE_STORAGE,
                    .input = {&run->scored, 1},
                    .start_to_close_timeout_ms = 600000,
                    .retry_policy = storage_retry,
                },
                ret_result, err);
}

/* ---- answers ---- */

static int part_take(struct evaluate_run *run, enum subject subject, const json_t *from,
                     struct error *err)
{
    struct part part = {.subject = subject,
                        .offset = json_integer_value(json_array_get(from, 0)),
                        .count = json_integer_value(json_array_get(from, 1)),
                        .line = json_integer_value(json_array_get(from, 2))};
    if (part.offset < 0 || part.count < 1 || part.line < 1)
        return error_set(err, ERR_INVALID, "store_suite gave a part that is none");
    run->parts[run->part_count++] = part;
    run->text_count += part.count;
    return 0;
}

/* What store_suite gave, into texts and parts. */
static int stored_take(struct evaluate_run *run, const json_t *stored, struct error *err)
{
    const char *type = json_string_value(json_object_get(stored, "type"));
    const json_t *parts = json_object_get(stored, "parts"), *part;
    int subjects = run->request.baseline_model != NULL ? SUBJECT_COUNT : SUBJECT_BASELINE;
    size_t place;
    int code = artifact_reference_read(json_object_get(stored, "texts"), &run->texts, err);
    if (code != 0)
        return error_prefix(err, "store_suite gave no texts");
    run->is_classification =
        type != NULL && strcmp(type, suite_type_name(SUITE_CLASSIFICATION)) == 0;
    run->parts = argosy_workflow_alloc(run->workflow, (size_t)subjects * json_array_size(parts) *
                                                          sizeof *run->parts);
    for (int subject = 0; subject < subjects; subject++) {
        json_array_foreach(parts, place, part)
        {
            code = part_take(run, (enum subject)subject, part, err);
            if (code != 0)
                return code;
        }
    }
    return 0;
}

static int part_start(struct evaluate_run *run, struct part *part, struct error *err)
{
    struct argosy_payload input;
    const char *model =
        part->subject == SUBJECT_MODEL ? run->request.model : run->request.baseline_model;
    int code = json_payload_write(
        json_pack("{s:o, s:I, s:I, s:I, s:s}", "texts", artifact_reference_create(&run->texts),
                  "offset", (json_int_t)part->offset, "count", (json_int_t)part->count, "line",
                  (json_int_t)part->line, "model", model),
        argosy_workflow_arena(run->workflow), &input, err);
    if (code != 0)
        return code;
    part->future = argosy_activity_start(
        run->workflow,
        &(struct argosy_activity_options){
            .type = run->is_classification ? ACTIVITY_CLASSIFY_ARTIFACT : ACTIVITY_EMBED_ARTIFACT,
            .task_queue = FLEET_QUEUE_GPU,
            .input = {&input, 1},
            .start_to_close_timeout_ms = 3600000,
            .heartbeat_timeout_ms = 30000,
            .retry_policy = gpu_retry,
            .priority = BULK_PRIORITY,
        });
    return 0;
}

static int parts_start(struct evaluate_run *run, struct error *err)
{
    json_t *stored;
    int code = json_payload_read(&run->stored, &stored, err);
    if (code != 0)
        return code;
    code = stored_take(run, stored, err);
    json_decref(stored);
    for (size_t i = 0; code == 0 && i < run->part_count; i++)
        code = part_start(run, &run->parts[i], err);
    return code;
}

/* Takes a member that all parts of a model have in common. */
static int common_take(json_t *of, const char *member, json_t *value, struct error *err)
{
    json_t *before = json_object_get(of, member);
    if (value == NULL || (before != NULL && !json_equal(before, value)))
        return error_set(err, ERR_INVALID, "parts of one model differ in \"%s\"", member);
    json_object_set(of, member, value);
    return 0;
}

/* A part's answers into the list of its model's. */
static int part_add(json_t *answers, const struct part *part, const struct argosy_payload *result,
                    bool is_classification, struct error *err)
{
    json_t *value, *of = json_object_get(answers, subject_names[part->subject]);
    int code = json_payload_read(result, &value, err);
    if (code != 0)
        return code;
    code = common_take(of, "model", json_object_get(value, "model"), err);
    if (code == 0 && !is_classification)
        code = common_take(of, "dimension", json_object_get(value, "dimension"), err);
    if (code == 0 &&
        json_array_append(json_object_get(of, "parts"),
                          json_object_get(value, is_classification ? "labels" : "vectors")) != 0)
        code = error_set(err, ERR_INVALID, "a model gave no answers");
    json_decref(value);
    return code;
}

/* Waits for nothing: every part has ended. */
static int answers_gather(struct evaluate_run *run, struct error *err)
{
    json_t *answers = json_pack("{s:{s:[]}}", "model", "parts");
    if (run->request.baseline_model != NULL)
        json_object_set_new(answers, "baseline", json_pack("{s:[]}", "parts"));
    int code = answers == NULL ? error_set(err, ERR_MEMORY, "out of memory") : 0;
    for (size_t i = 0; code == 0 && i < run->part_count; i++) {
        struct argosy_payload result;
        code = argosy_await(run->parts[i].future, &result, NULL);
        if (code == 0)
            code = part_add(answers, &run->parts[i], &result, run->is_classification, err);
    }
    if (code != 0) {
        json_decref(answers);
        return code;
    }
    return json_payload_write(answers, argosy_workflow_arena(run->workflow), &run->answers, err);
}

static int answer(struct evaluate_run *run, struct argosy_error *err)
{
    struct error why;
    run->stage = "answer";
    if (parts_start(run, &why) != 0)
        return fail(run, &why, err);
    struct argosy_future **futures =
        argosy_workflow_alloc(run->workflow, run->part_count * sizeof *futures);
    for (size_t i = 0; i < run->part_count; i++)
        futures[i] = run->parts[i].future;
    int code = argosy_await_all(futures, run->part_count, err);
    if (code == 0 && answers_gather(run, &why) != 0)
        code = fail(run, &why, err);
    return code;
}

/* ---- the whole ---- */

/* The run fails with its regressions where there are any. */
static int judge(struct evaluate_run *run, const struct argosy_payload *result,
                 struct argosy_error *err)
{
    struct buffer text = {0};
    struct error why;
    json_t *value;
    if (json_payload_read(result, &value, &why) != 0)
        return fail(run, &why, err);
    report_regressions_text(value, &text);
    bool is_passed = json_is_true(json_object_get(value, "passed"));
    const char *message =
        argosy_arena_printf(argosy_workflow_arena(run->workflow), "suite %s, model %s: %s",
                            run->request.suite, run->request.model, buffer_text(&text));
    json_decref(value);
    buffer_fini(&text);
    if (is_passed)
        return 0;
    return argosy_failure_raise(argosy_workflow_arena(run->workflow),
                                &(struct argosy_failure_options){
                                    .type = FAILURE_EVAL_REGRESSION,
                                    .message = message != NULL ? message : "out of memory",
                                    .non_retryable = true,
                                    .details = {result, 1},
                                },
                                err);
}

int evaluate(struct argosy_workflow *workflow, void *user_data, struct argosy_payload *ret_result,
             struct argosy_error *err)
{
    (void)user_data;
    struct evaluate_run *run = argosy_workflow_alloc(workflow, sizeof *run);
    *run = (struct evaluate_run){
        .workflow = workflow, .stage = "start", .request_json = *argosy_workflow_input(workflow)};
    argosy_query_handle(workflow, "progress", progress, run);
    struct error why;
    if (evaluate_request_read(&run->request_json, argosy_workflow_arena(workflow), &run->request,
                              &why) != 0)
        return fail(run, &why, err);
    int code = validate(run, err);
    if (code == 0)
        code = store(run, err);
    if (code == 0)
        code = answer(run, err);
    if (code == 0)
        code = score(run, err);
    if (code == 0)
        code = report(run, ret_result, err);
    if (code != 0)
        return code;
    run->stage = "done";
    return judge(run, ret_result, err);
}
