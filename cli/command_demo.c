/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_demo: `argosy demo`: the shipped workflows on texts of one's own, with results, nearest
 * pairs, and each run's history with the process that did each step.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/demo.h"
#include "cli/history_steps.h"
#include "cli/history_view.h"
#include "cli/message_view.h"
#include "cli/output.h"
#include "workflows/shipped.h"

#define TEXT_WIDTH    56
#define FIRST_VALUES  4
#define PAIRS_MAX     5
#define HISTORIES_MAX 12

/* Pairs that mean the same in other words, and what preprocessing has to do: white space, a final
 * sigma, a line feed. */
static const char *const sample[] = {
    "  The parcel arrived two days early, and in perfect shape!  ",
    "My delivery came sooner than expected.\tGreat service.",
    "Nobody answered my calls and the refund never came.",
    "I have been waiting three weeks for my money back.",
    "A GPU multiplies matrices;\na CPU does everything else.",
    "Ο ΟΔΥΣΣΕΥΣ γύρισε στην Ιθάκη.",
};

static const struct option demo_options[] = {
    {"file", NULL, 'f', OPTION_TEXT, "FILE", "one text on each line; - is standard input", NULL},
    {"histories", NULL, 0, OPTION_NUMBER, "N", "show the histories of at most N runs (12)", NULL},
    {0},
};

/* A text as a table's cell: in quotes, cut. */
#define CELL_SIZE (TEXT_WIDTH * 8)

static const char *text_cell(const char *text, char cell[CELL_SIZE])
{
    struct buffer safe = {0};
    output_safe(text, strlen(text), &safe);
    output_cut(&safe, TEXT_WIDTH);
    snprintf(cell, CELL_SIZE, "\"%s\"", buffer_text(&safe));
    buffer_fini(&safe);
    return cell;
}

static int labels_print(const struct demo *demo, struct error *err)
{
    printf("%s: %zu run%s\n\n", WORKFLOW_PREPARE_AND_INFER, demo->texts->count,
           demo->texts->count == 1 ? "" : "s");
    struct table table;
    table_init(&table, (const char *const[]){"LABEL", "SCORE", "TEXT", NULL});
    for (size_t i = 0; i < demo->texts->count; i++) {
        const struct demo_run *run = &demo->inferences[i];
        char cell[CELL_SIZE], score[24] = "-";
        const char *label = "failed";
        if (run->result != NULL) {
            label = view_text(run->result, "label");
            snprintf(score, sizeof(score), "%.3f",
                     json_number_value(json_object_get(run->result, "score")));
        }
        table_add(&table, label, score, text_cell(demo->texts->items[i], cell));
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    for (size_t i = 0; i < demo->texts->count; i++)
        if (demo->inferences[i].failure != NULL)
            printf("\n%s failed: %s\n", demo->inferences[i].workflow_id,
                   demo->inferences[i].failure);
    return code;
}

static int vectors_print(const struct demo *demo, struct error *err)
{
    const struct vectors *vectors = &demo->vectors;
    printf("\n%s: %zu run%s, %zu vector%s of %zu numbers\n\n", WORKFLOW_BATCH_EMBED,
           demo->batch_count, demo->batch_count == 1 ? "" : "s", vectors->count,
           vectors->count == 1 ? "" : "s", vectors->dimension);
    for (size_t i = 0; i < demo->batch_count; i++)
        if (demo->batches[i].failure != NULL)
            printf("%s failed: %s\n", demo->batches[i].workflow_id, demo->batches[i].failure);
    if (vectors->count == 0)
        return 0;
    struct table table;
    table_init(&table, (const char *const[]){"NORM", "FIRST VALUES", "TEXT", NULL});
    for (size_t i = 0; i < vectors->count; i++) {
        char cell[CELL_SIZE], norm[24], first[FIRST_VALUES * 16 + 8];
        int length = 0;
        for (size_t j = 0; j < FIRST_VALUES && j < vectors->dimension; j++)
            length += snprintf(first + length, sizeof(first) - (size_t)length, "%+.4f ",
                               (double)vectors_get(vectors, i)[j]);
        snprintf(first + length, sizeof(first) - (size_t)length, "...");
        snprintf(norm, sizeof(norm), "%.4f", vectors_norm(vectors, i));
        table_add(&table, norm, first, text_cell(demo->texts->items[demo->embedded[i]], cell));
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

static int pairs_print(const struct demo *demo, struct error *err)
{
    struct vector_pair pairs[PAIRS_MAX];
    size_t count = vectors_nearest(&demo->vectors, pairs, PAIRS_MAX);
    if (count == 0)
        return 0;
    puts("\nnearest pairs, by cosine:\n");
    struct table table;
    table_init(&table, (const char *const[]){"COSINE", "TEXT", "AND", NULL});
    for (size_t i = 0; i < count; i++) {
        char a[CELL_SIZE], b[CELL_SIZE], cosine[24];
        snprintf(cosine, sizeof(cosine), "%.4f", pairs[i].cosine);
        table_add(&table, cosine, text_cell(demo->texts->items[demo->embedded[pairs[i].a]], a),
                  text_cell(demo->texts->items[demo->embedded[pairs[i].b]], b));
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

/* One row for each activity of a run. */
static void steps_add(struct table *table, const struct demo_run *run, const json_t *history)
{
    json_t *steps = history_steps(history);
    size_t index;
    const json_t *step;
    json_array_foreach(steps, index, step)
    {
        char pid[24], attempt[24], took[24];
        snprintf(pid, sizeof(pid), "%" PRId64, view_number(step, "pid"));
        snprintf(attempt, sizeof(attempt), "%" PRId64, view_number(step, "attempt"));
        snprintf(took, sizeof(took), "%.1fms", json_number_value(json_object_get(step, "ms")));
        table_add(table, run->workflow_id, view_text(step, "activity"), view_text(step, "queue"),
                  pid, view_text(step, "identity"), attempt, view_text(step, "outcome"), took);
    }
    json_decref(steps);
}

/* Prints the run's history and keeps its steps for the table of all. */
static int run_print(struct session *session, const struct demo_run *run, struct table *steps,
                     struct error *err)
{
    json_t *history;
    int code = session_history(session, run->workflow_id, run->run_id, &history, err);
    if (code != 0)
        return code;
    printf("history of %s (run %s)\n\n", run->workflow_id, run->run_id);
    code = history_print(history, false, stdout, err);
    puts("");
    steps_add(steps, run, history);
    json_decref(history);
    return code;
}

/* Every batch's history, then the inferences', up to max runs in all; then who did what. */
static int histories_print(struct session *session, const struct demo *demo, size_t max,
                           struct error *err)
{
    size_t total = demo->texts->count + demo->batch_count, shown = 0;
    struct table steps;
    table_init(&steps, (const char *const[]){"RUN", "STEP", "QUEUE", "PID", "PROCESS", "ATTEMPT",
                                             "OUTCOME", "TOOK", NULL});
    int code = 0;
    for (size_t i = 0; i < demo->batch_count && shown < max && code == 0; i++, shown++)
        code = run_print(session, &demo->batches[i], &steps, err);
    for (size_t i = 0; i < demo->texts->count && shown < max && code == 0; i++, shown++)
        code = run_print(session, &demo->inferences[i], &steps, err);
    if (code == 0 && shown > 0) {
        puts("which process did which step\n");
        code = table_print(&steps, stdout, err);
        puts("");
    }
    if (code == 0 && shown < total)
        printf("%zu more runs have histories: --histories N shows more\n\n", total - shown);
    table_fini(&steps);
    return code;
}

/* Results come last: they are what stays on the screen. */
static int text_report(struct session *session, const struct demo *demo, size_t histories,
                       struct error *err)
{
    int code = histories_print(session, demo, histories, err);
    if (code == 0)
        code = labels_print(demo, err);
    if (code == 0)
        code = vectors_print(demo, err);
    if (code == 0)
        code = pairs_print(demo, err);
    return code;
}

/* Adds the run's ids, outcome and steps to an object. */
static int run_json(struct session *session, const struct demo_run *run, json_t *object,
                    struct error *err)
{
    json_t *history;
    int code = session_history(session, run->workflow_id, run->run_id, &history, err);
    if (code != 0)
        return code;
    json_object_set_new(object, "workflowId", json_string(run->workflow_id));
    json_object_set_new(object, "runId", json_string(run->run_id));
    if (run->failure != NULL)
        json_object_set_new(object, "failure", json_string(run->failure));
    else
        json_object_set(object, "result", run->result);
    json_object_set_new(object, "steps", history_steps(history));
    json_decref(history);
    return 0;
}

static int json_report(struct session *session, const struct demo *demo, struct error *err)
{
    json_t *inferences = json_array(), *batches = json_array(), *nearest = json_array();
    int code = 0;
    for (size_t i = 0; i < demo->texts->count && code == 0; i++) {
        json_t *run = json_pack("{s:s}", "text", demo->texts->items[i]);
        code = run_json(session, &demo->inferences[i], run, err);
        json_array_append_new(inferences, run);
    }
    for (size_t i = 0; i < demo->batch_count && code == 0; i++) {
        json_t *run = json_object();
        code = run_json(session, &demo->batches[i], run, err);
        json_array_append_new(batches, run);
    }
    struct vector_pair pairs[PAIRS_MAX];
    size_t count = vectors_nearest(&demo->vectors, pairs, PAIRS_MAX);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(
            nearest, json_pack("{s:I, s:I, s:f}", "a", (json_int_t)demo->embedded[pairs[i].a], "b",
                               (json_int_t)demo->embedded[pairs[i].b], "cosine", pairs[i].cosine));
    json_t *report =
        json_pack("{s:o, s:o, s:I, s:o}", "inferences", inferences, "batches", batches, "dimension",
                  (json_int_t)demo->vectors.dimension, "nearest", nearest);
    if (code == 0)
        return output_json(report, err);
    json_decref(report);
    return code;
}

/* Which texts: a file's, standard input's ("-" alone), the arguments, else the sample. */
static int texts_read(const struct invocation *invocation, struct text_list *ret_texts,
                      struct error *err)
{
    const struct parsed *parsed = &invocation->parsed;
    const char *file = parsed_text(parsed, "file");
    size_t count = parsed->argument_count;
    if (file != NULL && count > 0)
        return command_usage(invocation, "give texts or --file, not both");
    if (file == NULL && count == 1 && strcmp(parsed->arguments[0], "-") == 0)
        file = "-";
    int code =
        file == NULL && count == 0
            ? text_list_read(NULL, sample, sizeof(sample) / sizeof(sample[0]), ret_texts, err)
            : text_list_read(file, parsed->arguments, count, ret_texts, err);
    if (code == 0 && ret_texts->count == 0) {
        text_list_fini(ret_texts);
        return error_set(err, ERR_INVALID, "there are no texts: every line is blank");
    }
    return code;
}

static int demo_command(const struct invocation *invocation, struct error *err)
{
    struct text_list texts;
    int code = texts_read(invocation, &texts, err);
    if (code != 0)
        return code;
    struct session session;
    code = session_open(invocation, &session, err);
    if (code != 0) {
        text_list_fini(&texts);
        return code;
    }
    struct demo demo;
    code = demo_run(&session, &texts, &demo, err);
    if (code == 0 && invocation->json)
        code = json_report(&session, &demo, err);
    else if (code == 0)
        code = text_report(&session, &demo,
                           (size_t)parsed_number(&invocation->parsed, "histories", HISTORIES_MAX),
                           err);
    if (code == 0 && !demo_is_complete(&demo))
        code = EXIT_FAILED;
    demo_fini(&demo);
    session_close(&session);
    text_list_fini(&texts);
    return code;
}

const struct command command_demo = {
    .name = "demo",
    .summary = "run the shipped workflows on texts and show what came of it",
    .arguments = "[TEXT... | -]",
    .arguments_max = TEXT_LIST_MAX,
    .about = "Each text is labelled by PrepareAndInferWorkflow; all are embedded by\n"
             "BatchEmbedWorkflow. Shows each run's event history, which process did which step,\n"
             "labels, vectors and the nearest pairs. It needs a running fleet. Without texts a\n"
             "sample is used; exit status 1 means that a run failed.",
    .example = "argosy demo\n"
               "argosy demo \"The parcel arrived two days early.\" \"Nobody answered my call.\"\n"
               "argosy demo --file texts.txt --output json",
    .options = {{demo_options, session_options, common_options}},
    .run = demo_command,
};
