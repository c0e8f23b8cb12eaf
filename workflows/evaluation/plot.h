/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plot: a report's figures as SVG elements that stand in a page (page.h), whose style sheet colours
 * them. Each appends nothing where the report has nothing to draw.
 *
 * Threading: none; the caller's buffer.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_PLOT_H
#define ARGOSY_WORKFLOWS_EVALUATION_PLOT_H

#include <jansson.h>

#include "common/buffer.h"

/* A matrix of more labels could not be read. */
#define PLOT_LABELS_MAX 24u

/* More points would make one blot: of larger suites every n-th case is drawn. */
#define PLOT_POINTS_MAX 2000u

/* Each metric with its interval, the baseline's beside it, and its minimum. */
void plot_metrics(const json_t *report, struct buffer *out);

/* Classification: the cases by truth and answer. */
void plot_confusion(const json_t *report, struct buffer *out);

/* Similarity: the model's cosine over the suite's score. */
void plot_scatter(const json_t *report, struct buffer *out);

/* Retrieval: recall@K over K, the model's and the baseline's. */
void plot_recall(const json_t *report, struct buffer *out);

#endif
