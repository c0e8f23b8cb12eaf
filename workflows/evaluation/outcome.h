/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome: what came of each case of a suite (suite.h): the truth beside a model's answer. All
 * metrics are computed from it (metric.h), the model's own and those of its baseline.
 *
 * Threading: never changed once made; any thread may read it.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_OUTCOME_H
#define ARGOSY_WORKFLOWS_EVALUATION_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum suite_type { SUITE_CLASSIFICATION, SUITE_SIMILARITY, SUITE_RETRIEVAL };

/* Where a document that matters to a query was found. */
struct hit {
    uint32_t rank;  /* from 1 */
    uint32_t grade; /* how much it matters, from 1 */
};

struct outcome {
    const char *id;
    uint64_t line; /* of the suite's file */

    /* classification: places in labels, and how sure the model was */
    uint32_t truth_label, answer_label;
    double confidence;

    /* similarity: the suite's score, and the cosine of the two vectors */
    double truth, answer;

    /* retrieval: every document that matters, by rank, and the document that was found first */
    const struct hit *hits;
    uint32_t hit_count;
    const char *best;

    /* Classification: the answer is the truth. Retrieval: a document that matters is among the
     * first K, the suite's largest. Similarity: the case's place in the order of the answers is
     * within OUTCOME_RANK_TOLERANCE of its place in the order of the truth. */
    bool is_right;
};

/* Of the number of cases: a pair of middling similarity is not called very alike or unlike. */
#define OUTCOME_RANK_TOLERANCE 0.25

/* Borrows everything. */
struct outcomes {
    enum suite_type type;
    struct outcome *cases;
    size_t count;              /* at least 1 */
    const char *const *labels; /* classification: the suite's by name, then those only answered */
    uint32_t label_count;
};

/* Sets is_right of every case; cut is K. ERR_MEMORY. */
int outcomes_judge(struct outcomes *outcomes, uint32_t cut, struct error *err);

/* Average ranks, from 1, of values: ranks[i] is that of values[i]; equal values share the mean of
 * their places. order is room for count places and holds the ascending order afterwards. */
void ranks_of(const double *values, size_t count, uint32_t *order, double *ranks);

#endif
