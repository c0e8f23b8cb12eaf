/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: what an evaluation found, as JSON (docs/evaluation.md has its members):
 *
 *   {"schema": 1, "suite": {...}, "model": "NAME@2", "baseline": {...} or null, "passed": true,
 *    "confidence": {...}, "metrics": [...], "regressions": [...], "changes": {...}, "details":
 * {...}, "cases": [...]}
 *
 * The same outcomes give the same report, byte for byte: it holds no time and no run. It keeps
 * every case's answer, so that it can be the baseline of a later evaluation.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_REPORT_H
#define ARGOSY_WORKFLOWS_EVALUATION_REPORT_H

#include <jansson.h>

#include "workflows/evaluation/bootstrap.h"
#include "workflows/evaluation/outcome_set.h"
#include "workflows/evaluation/suite.h"

#define REPORT_SCHEMA 1

/* Floats in a report: those of vectors, which are fp32, come back as they were. */
#define REPORT_DIGITS 9

/* Cases that got worse which are listed; all are counted. */
#define REPORT_LISTED_MAX 100u

/* Bytes of a text that a report shows. */
#define REPORT_EXCERPT_SIZE 120

/* The points of a recall curve. */
#define REPORT_CURVE_MAX 100u

#define REPORT_DIGEST_SIZE 72 /* "sha256:", 64 digits, NUL */

struct evaluation {
    const struct suite *suite;
    const char *digest;          /* of the cases: suite_digest */
    const char *const *excerpts; /* of all texts, in their order; UTF-8 */
    struct metric_list metrics;  /* with thresholds */
    struct metric_score scores[METRICS_MAX];
    const char *model;
    const struct outcomes *own;
    const char *baseline_model;      /* NULL: no baseline */
    const struct outcomes *baseline; /* NULL: no baseline */
};

/* Names the cases: texts (the artifact that holds them) and truths, without the first line. */
int suite_digest(const struct suite *suite, const char *texts, char ret_digest[REPORT_DIGEST_SIZE],
                 struct error *err);

/* Whether a threshold of the metric is missed. */
bool is_below_minimum(const struct metric *metric, const struct metric_score *score);
bool is_dropped(const struct metric *metric, const struct metric_score *score);

/* The report; NULL when memory is exhausted. The caller releases it. */
json_t *report_create(const struct evaluation *evaluation);

/* The regressions as one line: "accuracy is 0.812, below its minimum of 0.9; ...". Appends. */
void report_regressions_text(const json_t *report, struct buffer *out);

/* The outcomes of an earlier evaluation of the same cases, and its model. ERR_INVALID: no report,
 * or one of other cases. The caller destroys *ret_set; *ret_model is borrowed from report. */
int report_outcomes(const json_t *report, const struct suite *suite, const char *digest,
                    struct outcome_set **ret_set, const char **ret_model, struct error *err);

#endif
