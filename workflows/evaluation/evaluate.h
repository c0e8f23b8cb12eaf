/* SPDX-License-Identifier: Apache-2.0 */
/*
 * evaluate: what the steps of EvalWorkflow hand to each other; all of it JSON.
 *
 *   request  {"suite": NAME, "model": NAME or NAME@VERSION, "cases": REF of the suite's file,
 *             "baseline"?: {"model": NAME or NAME@VERSION} or {"report": REF},
 *             "minimum"?: {METRIC: number}, "maximum_drop"?: {METRIC: number}}
 *            REF: artifact_reference.h. Thresholds here replace those of the suite's first line,
 *            metric by metric.
 *   stored   {"type", "texts": REF of JSONL, "count", "parts": [[byte offset, count, line]...]}
 *   answers  {"model": ANSWERS, "baseline"?: ANSWERS}
 *            ANSWERS: {"model": NAME that served, "dimension"?, "parts": [REF...]}, one per part:
 *            vectors, or lines {"label", "score"}
 *   result   {"suite", "cases": REF, "model", "baseline": NAME or null, "passed", "metrics",
 *             "regressions", "report": REF, "page": REF, "changes": null or
 *             {"worse", "better", "worse_cases": [ID...]}}
 *
 *   validate_suite (request) -> report (suite.h)                                  cpu-queue
 *   store_suite (request) -> stored                                               storage-queue
 *   embed_artifact, for a classification classify_artifact; one per part          gpu-queue
 *   score_suite (request, stored, answers) -> result without "page"               cpu-queue
 *   write_page (result) -> result                                                 storage-queue
 *
 * A suite whose thresholds are met completes with the result. One that misses any fails with
 * "EvalRegression": the regressions in the text, the result in the details. Other failures that a
 * retry would not mend: "InvalidInput" for a wrong request or baseline, "InvalidSuite" for a suite
 * that is not fit: the first problems in the text, the report in the details.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_EVALUATE_H
#define ARGOSY_WORKFLOWS_EVALUATION_EVALUATE_H

#include <argosy/activity.h>
#include <argosy/workflow.h>
#include <jansson.h>
#include <stdbool.h>

#include "common/error.h"
#include "storage/artifact.h"
#include "workflows/evaluation/metric.h"

#define EVALUATE_WORKFLOW_ID "eval-%s-%s" /* of a suite's name and a model's */

/* Texts of one GPU activity: a second of a GPU, some ten of a CPU. A suite of the largest size has
 * 400 of them. */
#define EVALUATE_PART 512u

#define EVALUATE_MODEL_MAX 200

/* Cases that got worse which the result names; the report has more (REPORT_LISTED_MAX). */
#define EVALUATE_NAMED_MAX 20u

/* A report of the largest suite has some 60 MB. */
#define EVALUATE_REPORT_SIZE_MAX ((uint64_t)256 << 20)

#define FAILURE_EVAL_REGRESSION "EvalRegression"
#define FAILURE_EVAL_SUITE      "InvalidSuite"

struct evaluate_request {
    const char *suite;
    const char *model;
    struct artifact cases;
    const char *baseline_model; /* NULL: not by a model */
    struct artifact baseline_report;
    bool has_baseline_report;
};

/* Reads and checks a request; its strings live in arena. ERR_INVALID says what is wrong. */
int evaluate_request_read(const struct argosy_payload *input, struct argosy_arena *arena,
                          struct evaluate_request *ret_request, struct error *err);

/* Puts the request's thresholds into metrics. ERR_INVALID names what is unknown. */
int evaluate_request_limit(const json_t *request, struct metric_list *metrics, struct error *err);

argosy_workflow_function evaluate;

/* user_data: the process's struct shipped_context. */
argosy_activity_function validate_suite;
argosy_activity_function store_suite;
argosy_activity_function score_suite;
argosy_activity_function write_page;

#endif
