/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metric: how good a model's outcomes are, as numbers from a list that the suite's type gives:
 *
 *   accuracy   classification: the share of cases whose answer is the truth
 *   macro_f1   the mean of F1 over the labels that occur (classification.h)
 *   spearman   similarity: Pearson's correlation of the average ranks of truth and answer; 0 where
 *              all truths or all answers are equal, since there is no order then
 *   recall@K   retrieval: of the documents that matter to a query, the share among the first K;
 *              the mean over queries
 *   ndcg@K     the sum of grade / log2(rank + 1) over the first K, divided by the same sum of the
 *              best order there is; the mean over queries (linear gain, as scikit-learn and
 *              trec_eval have it)
 *
 * A metric's series computes it with a weight for each case, which is how often a resample drew it
 * (bootstrap.h), in time linear in the cases.
 *
 * Threading: one thread at a time per series.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_METRIC_H
#define ARGOSY_WORKFLOWS_EVALUATION_METRIC_H

#include <jansson.h>
#include <stdint.h>

#include "common/error.h"
#include "workflows/evaluation/outcome.h"

enum metric_kind { METRIC_ACCURACY, METRIC_MACRO_F1, METRIC_SPEARMAN, METRIC_RECALL, METRIC_NDCG };

#define METRIC_NAME_SIZE 24
#define METRIC_CUTS_MAX  8u
#define METRIC_CUT_MAX   1000u
#define METRICS_MAX      (2 * METRIC_CUTS_MAX)

struct metric {
    enum metric_kind kind;
    uint32_t cut; /* K of recall@K and ndcg@K */
    char name[METRIC_NAME_SIZE];
    double minimum;      /* the least it may be; NaN: no threshold */
    double maximum_drop; /* the most it may be below the baseline's; NaN: no threshold */
};

struct metric_list {
    struct metric metrics[METRICS_MAX];
    size_t count;
};

/* The metrics of a type, without thresholds; cuts are those of retrieval. */
void metric_list_init(struct metric_list *list, enum suite_type type, const uint32_t *cuts,
                      size_t cut_count);

/* Thresholds from {"accuracy": 0.9}, which may be NULL: minimum if is_minimum, else maximum_drop.
 * ERR_INVALID names an unknown metric and those there are. */
int metric_list_limit(struct metric_list *list, bool is_minimum, const json_t *limits,
                      struct error *err);

struct metric_series;

/* outcomes are borrowed until the series is destroyed. ERR_MEMORY. */
int metric_series_create(const struct metric *metric, const struct outcomes *outcomes,
                         struct metric_series **ret_series, struct error *err);

/* Accepts NULL. */
void metric_series_destroy(struct metric_series *series);

/* The metric over the cases, each counted weights[i] times; at least one counts. */
double metric_series_value(struct metric_series *series, const uint32_t *weights);

#endif
