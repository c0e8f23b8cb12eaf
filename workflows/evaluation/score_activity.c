/* SPDX-License-Identifier: Apache-2.0 */
/*
 * score_activity: score_suite and write_page; see evaluate.h.
 *
 * All that is scored comes from artifacts, and the report holds no time and no run: a second
 * attempt makes the same report, to the byte.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"
#include "common/utf8.h"
#include "workflows/artifact_reference.h"
#include "workflows/evaluation/answers.h"
#include "workflows/evaluation/evaluate.h"
#include "workflows/evaluation/page.h"
#include "workflows/evaluation/report.h"
#include "workflows/evaluation/suite.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/scratch_file.h"
#include "workflows/shipped.h"

enum { INPUT_REQUEST, INPUT_STORED, INPUT_ANSWERS, INPUT_COUNT };

/* The beginnings of all texts, in their order. */
struct excerpts {
    char **texts; /* owns the list; the texts are the arena's */
    size_t count, room;
    struct arena arena;
};

struct scoring {
    struct argosy_activity *activity;
    const struct shipped_context *context;
    struct evaluate_request request;
    json_t *inputs[INPUT_COUNT];
    struct suite *suite;
    struct excerpts excerpts;
    char digest[REPORT_DIGEST_SIZE];
    struct outcome_set *own, *baseline; /* baseline: NULL without one */
    const char *model, *baseline_model;
    json_t *baseline_report;
    json_t *report;
};

/* ---- reading ---- */

static int excerpt_take(void *arg, const char *text, size_t size, struct error *err)
{
    struct excerpts *excerpts = arg;
    size_t end = 0, length;
    uint32_t point;
    while (end < size && (length = utf8_decode(text + end, size - end, &point)) > 0 &&
           end + length <= REPORT_EXCERPT_SIZE)
        end += length;
    if (excerpts->count == excerpts->room) {
        size_t room = excerpts->room == 0 ? 1024 : 2 * excerpts->room;
        char **texts = realloc(excerpts->texts, room * sizeof *texts);
        if (texts == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
        excerpts->texts = texts;
        excerpts->room = room;
    }
    char *copy = arena_printf(&excerpts->arena, "%.*s%s", (int)end, text, end < size ? "..." : "");
    if (copy == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    excerpts->texts[excerpts->count++] = copy;
    return 0;
}

static int suite_open(struct scoring *scoring, struct error *err)
{
    const json_t *texts = json_object_get(scoring->inputs[INPUT_STORED], "texts");
    struct artifact artifact;
    int fd;
    uint64_t size;
    int code = artifact_reference_read(texts, &artifact, err);
    if (code == 0)
        code = artifact_open(scoring->context->storage, scoring->request.cases.id, NULL, NULL, &fd,
                             &size, err);
    if (code != 0)
        return code;
    code = suite_read(fd, excerpt_take, &scoring->excerpts, &scoring->suite, err);
    close(fd);
    if (code == 0 && scoring->suite->error_count > 0)
        code = error_set(err, ERR_INVALID, "the suite is not fit: validate_suite says why");
    return code == 0 ? suite_digest(scoring->suite, artifact.id, scoring->digest, err) : code;
}

static int inputs_read(struct scoring *scoring, struct error *err)
{
    struct argosy_payloads inputs = argosy_activity_inputs(scoring->activity);
    if (inputs.count != INPUT_COUNT)
        return error_set(err, ERR_INVALID, "score_suite takes %d arguments, not %zu", INPUT_COUNT,
                         inputs.count);
    int code = evaluate_request_read(&inputs.items[0], argosy_activity_arena(scoring->activity),
                                     &scoring->request, err);
    for (int i = 0; code == 0 && i < INPUT_COUNT; i++)
        code = json_payload_read(&inputs.items[i], &scoring->inputs[i], err);
    return code;
}

/* The worker is alive, and the run still wants the answer. */
static int tick(void *arg, struct error *err)
{
    struct scoring *scoring = arg;
    argosy_activity_heartbeat(scoring->activity, NULL);
    return argosy_activity_is_canceled(scoring->activity)
               ? error_set(err, ERR_CANCELED, "the evaluation is no longer wanted")
               : 0;
}

/* ---- answers ---- */

static int part_open(struct scoring *scoring, const json_t *reference, int *ret_fd,
                     struct error *err)
{
    struct artifact artifact;
    uint64_t size;
    int code = artifact_reference_read(reference, &artifact, err);
    return code == 0 ? artifact_open(scoring->context->storage, artifact.id, NULL, NULL, ret_fd,
                                     &size, err)
                     : code;
}

/* How many texts a part has; a suite's parts come from store_suite. */
static size_t part_count(const struct scoring *scoring, size_t place)
{
    const json_t *parts = json_object_get(scoring->inputs[INPUT_STORED], "parts");
    return (size_t)json_integer_value(json_array_get(json_array_get(parts, place), 1));
}

static int labels_read(struct scoring *scoring, const json_t *parts, struct outcome_set *set,
                       struct error *err)
{
    size_t place, first = 0;
    const json_t *reference;
    json_array_foreach(parts, place, reference)
    {
        size_t count = part_count(scoring, place);
        int fd;
        if (count > scoring->suite->case_count - first)
            return error_set(err, ERR_INVALID, "there are more answers than cases");
        int code = part_open(scoring, reference, &fd, err);
        if (code != 0)
            return code;
        code = answers_classify(set, first, count, fd, err);
        close(fd);
        if (code != 0)
            return code;
        first += count;
    }
    return first == scoring->suite->case_count
               ? 0
               : error_set(err, ERR_INVALID, "there are fewer answers than cases");
}

static int rows_read(struct scoring *scoring, const json_t *parts, struct vector_rows *rows,
                     struct error *err)
{
    size_t place;
    const json_t *reference;
    json_array_foreach(parts, place, reference)
    {
        int fd;
        int code = part_open(scoring, reference, &fd, err);
        if (code != 0)
            return code;
        code = vector_rows_add(rows, fd, (uint32_t)part_count(scoring, place), err);
        close(fd);
        if (code != 0)
            return code;
    }
    return rows->count == scoring->suite->text_count
               ? 0
               : error_set(err, ERR_INVALID, "there are not as many vectors as texts");
}

static int vectors_read(struct scoring *scoring, const json_t *answers, struct outcome_set *set,
                        struct error *err)
{
    json_int_t dimension = json_integer_value(json_object_get(answers, "dimension"));
    struct vector_rows rows = {.dimension = (uint32_t)dimension};
    if (dimension < 1 || dimension > UINT16_MAX)
        return error_set(err, ERR_INVALID, "\"dimension\" of the vectors is none");
    int code = rows_read(scoring, json_object_get(answers, "parts"), &rows, err);
    if (code == 0)
        code = scoring->suite->type == SUITE_SIMILARITY
                   ? answers_compare(set, scoring->suite, &rows, err)
                   : answers_retrieve(set, scoring->suite, &rows, tick, scoring, err);
    vector_rows_fini(&rows);
    return code;
}

static int answers_read(struct scoring *scoring, const char *subject, struct outcome_set **ret_set,
                        const char **ret_model, struct error *err)
{
    const json_t *answers = json_object_get(scoring->inputs[INPUT_ANSWERS], subject);
    *ret_model = json_string_value(json_object_get(answers, "model"));
    if (*ret_model == NULL)
        return error_set(err, ERR_INVALID, "the answers name no model");
    int code = outcome_set_create(scoring->suite, ret_set, err);
    if (code == 0)
        code = scoring->suite->type == SUITE_CLASSIFICATION
                   ? labels_read(scoring, json_object_get(answers, "parts"), *ret_set, err)
                   : vectors_read(scoring, answers, *ret_set, err);
    return code;
}

/* ---- baseline ---- */

/* Takes fd. */
static int report_load(int fd, json_t **ret_report, struct error *err)
{
    json_error_t where;
    FILE *file = fdopen(fd, "r");
    if (file == NULL) {
        close(fd);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    *ret_report = json_loadf(file, JSON_REJECT_DUPLICATES, &where);
    fclose(file);
    return *ret_report != NULL ? 0
                               : error_set(err, ERR_INVALID, "the report is no JSON: line %d: %s",
                                           where.line, where.text);
}

static int report_open(struct storage_client *storage, const struct artifact *artifact,
                       json_t **ret_report, struct error *err)
{
    int fd;
    uint64_t size;
    int code = artifact_open(storage, artifact->id, NULL, NULL, &fd, &size, err);
    if (code != 0)
        return code;
    if (size > EVALUATE_REPORT_SIZE_MAX) {
        close(fd);
        return error_set(err, ERR_INVALID, "a report of %llu bytes is above the limit of %llu",
                         (unsigned long long)size, (unsigned long long)EVALUATE_REPORT_SIZE_MAX);
    }
    return report_load(fd, ret_report, err);
}

static int baseline_read(struct scoring *scoring, struct error *err)
{
    const struct evaluate_request *request = &scoring->request;
    if (request->baseline_model != NULL)
        return answers_read(scoring, "baseline", &scoring->baseline, &scoring->baseline_model, err);
    if (!request->has_baseline_report)
        return 0;
    int code = report_open(scoring->context->storage, &request->baseline_report,
                           &scoring->baseline_report, err);
    return code == 0 ? report_outcomes(scoring->baseline_report, scoring->suite, scoring->digest,
                                       &scoring->baseline, &scoring->baseline_model, err)
                     : error_prefix(err, "baseline");
}

/* ---- the report ---- */

static uint32_t largest_cut(const struct suite *suite)
{
    return suite->cut_count > 0 ? suite->cuts[suite->cut_count - 1] : 0;
}

static int score(struct scoring *scoring, struct error *err)
{
    struct outcomes *own = outcome_set_get(scoring->own), *baseline = NULL;
    struct evaluation evaluation = {.suite = scoring->suite,
                                    .digest = scoring->digest,
                                    .excerpts = (const char *const *)scoring->excerpts.texts,
                                    .metrics = scoring->suite->metrics,
                                    .model = scoring->model,
                                    .own = own};
    int code = evaluate_request_limit(scoring->inputs[INPUT_REQUEST], &evaluation.metrics, err);
    if (code == 0)
        code = outcomes_judge(own, largest_cut(scoring->suite), err);
    if (code == 0 && scoring->baseline != NULL) {
        baseline = outcome_set_get(scoring->baseline);
        evaluation.baseline = baseline;
        evaluation.baseline_model = scoring->baseline_model;
        code = outcomes_judge(baseline, largest_cut(scoring->suite), err);
    }
    if (code == 0)
        code = bootstrap_score(&evaluation.metrics, own, baseline, tick, scoring, evaluation.scores,
                               err);
    if (code != 0)
        return code;
    scoring->report = report_create(&evaluation);
    return scoring->report != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

/* Puts a file that write makes as an artifact. */
static int report_put(struct scoring *scoring, struct artifact *ret_artifact, struct error *err)
{
    FILE *file;
    int code = scratch_file_open(scoring->context->config, &file, err);
    if (code != 0)
        return code;
    if (json_dumpf(scoring->report, file, JSON_INDENT(1) | JSON_REAL_PRECISION(REPORT_DIGITS)) !=
            0 ||
        fputc('\n', file) == EOF)
        code = error_set(err, ERR_IO, "could not write the report");
    if (code == 0)
        code =
            scratch_file_put(file, scoring->context->storage, scoring->activity, ret_artifact, err);
    fclose(file);
    return code;
}

/* What changed, with the names of the first cases that got worse; null without a baseline. */
static json_t *changes_create(const json_t *changes)
{
    if (!json_is_object(changes))
        return json_null();
    const json_t *worse = json_object_get(changes, "worse_cases");
    json_t *names = json_array();
    for (size_t i = 0; i < json_array_size(worse) && i < EVALUATE_NAMED_MAX; i++)
        json_array_append(names, json_object_get(json_array_get(worse, i), "id"));
    return json_pack("{s:O, s:O, s:o}", "worse", json_object_get(changes, "worse"), "better",
                     json_object_get(changes, "better"), "worse_cases", names);
}

static json_t *result_create(const struct scoring *scoring, const struct artifact *report)
{
    const json_t *from = scoring->report, *baseline = json_object_get(from, "baseline");
    json_t *changes = changes_create(json_object_get(from, "changes"));
    return json_pack(
        "{s:s, s:o, s:s, s:o, s:O, s:O, s:O, s:o, s:o}", "suite", scoring->request.suite, "cases",
        artifact_reference_create(&scoring->request.cases), "model", scoring->model, "baseline",
        json_is_object(baseline) ? json_incref(json_object_get(baseline, "model")) : json_null(),
        "passed", json_object_get(from, "passed"), "metrics", json_object_get(from, "metrics"),
        "regressions", json_object_get(from, "regressions"), "changes", changes, "report",
        artifact_reference_create(report));
}

static void scoring_fini(struct scoring *scoring)
{
    for (int i = 0; i < INPUT_COUNT; i++)
        json_decref(scoring->inputs[i]);
    outcome_set_destroy(scoring->own);
    outcome_set_destroy(scoring->baseline);
    json_decref(scoring->baseline_report);
    json_decref(scoring->report);
    free(scoring->excerpts.texts);
    arena_fini(&scoring->excerpts.arena);
    suite_destroy(scoring->suite);
}

int score_suite(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct scoring scoring = {.activity = activity, .context = user_data};
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct artifact report;
    struct error why;
    arena_init(&scoring.excerpts.arena, ARENA_NO_LIMIT); /* the suite's limits bound it */
    int code = inputs_read(&scoring, &why);
    if (code == 0)
        code = suite_open(&scoring, &why);
    if (code == 0)
        code = answers_read(&scoring, "model", &scoring.own, &scoring.model, &why);
    if (code == 0)
        code = baseline_read(&scoring, &why);
    if (code == 0)
        code = score(&scoring, &why);
    if (code == 0)
        code = report_put(&scoring, &report, &why);
    if (code == 0)
        code = json_payload_write(result_create(&scoring, &report), arena, ret_result, &why);
    scoring_fini(&scoring);
    return code == 0 ? 0 : failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
}

/* ---- write_page ---- */

static int page_put(struct argosy_activity *activity, const struct shipped_context *context,
                    json_t *result, struct error *err)
{
    struct buffer page = {0};
    struct artifact artifact;
    json_t *report = NULL;
    const char *owner = argosy_arena_printf(argosy_activity_arena(activity), "workflow:%s",
                                            argosy_activity_info(activity)->workflow_id);
    int code = artifact_reference_read(json_object_get(result, "report"), &artifact, err);
    if (code == 0)
        code = report_open(context->storage, &artifact, &report, err);
    if (code == 0)
        page_write(report, &page);
    if (code == 0 && (page.failed || owner == NULL))
        code = error_set(err, ERR_MEMORY, "out of memory");
    if (code == 0)
        code = artifact_put_bytes(context->storage, page.data, page.size, owner, &artifact, err);
    if (code == 0 && json_object_set_new(result, "page", artifact_reference_create(&artifact)) != 0)
        code = error_set(err, ERR_MEMORY, "out of memory");
    json_decref(report);
    buffer_fini(&page);
    return code;
}

int write_page(struct argosy_activity *activity, void *user_data, struct argosy_payload *ret_result,
               struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct error why;
    json_t *result;
    int code = json_payload_read(argosy_activity_input(activity), &result, &why);
    if (code == 0) {
        code = page_put(activity, user_data, result, &why);
        if (code == 0)
            code = json_payload_write(json_incref(result), arena, ret_result, &why);
        json_decref(result);
    }
    return code == 0 ? 0 : failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
}
