/* SPDX-License-Identifier: Apache-2.0 */
/* outcome: see outcome.h. */
#include "workflows/evaluation/outcome.h"

#include <math.h>
#include <stdlib.h>

static int by_value(const void *left, const void *right, void *arg)
{
    const double *values = arg;
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    if (values[a] != values[b])
        return values[a] < values[b] ? -1 : 1;
    return a < b ? -1 : a > b;
}

void ranks_of(const double *values, size_t count, uint32_t *order, double *ranks)
{
    for (size_t i = 0; i < count; i++)
        order[i] = (uint32_t)i;
    qsort_r(order, count, sizeof *order, by_value, (void *)(uintptr_t)values);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && values[order[end]] == values[order[first]];)
            end++;
        for (size_t i = first; i < end; i++)
            ranks[order[i]] = (double)(first + end + 1) / 2;
    }
}

static int judge_ranks(struct outcomes *outcomes, struct error *err)
{
    size_t count = outcomes->count;
    double *values = calloc(count, sizeof *values), *truth = malloc(count * sizeof *truth);
    double *answer = malloc(count * sizeof *answer);
    uint32_t *order = malloc(count * sizeof *order);
    int code = values == NULL || truth == NULL || answer == NULL || order == NULL
                   ? error_set(err, ERR_MEMORY, "out of memory")
                   : 0;
    if (code == 0) {
        for (size_t i = 0; i < count; i++)
            values[i] = outcomes->cases[i].truth;
        ranks_of(values, count, order, truth);
        for (size_t i = 0; i < count; i++)
            values[i] = outcomes->cases[i].answer;
        ranks_of(values, count, order, answer);
        for (size_t i = 0; i < count; i++)
            outcomes->cases[i].is_right =
                fabs(truth[i] - answer[i]) <= OUTCOME_RANK_TOLERANCE * (double)count;
    }
    free(values);
    free(truth);
    free(answer);
    free(order);
    return code;
}

int outcomes_judge(struct outcomes *outcomes, uint32_t cut, struct error *err)
{
    if (outcomes->type == SUITE_SIMILARITY)
        return judge_ranks(outcomes, err);
    for (size_t i = 0; i < outcomes->count; i++) {
        struct outcome *outcome = &outcomes->cases[i];
        outcome->is_right = outcomes->type == SUITE_CLASSIFICATION
                                ? outcome->truth_label == outcome->answer_label
                                : outcome->hit_count > 0 && outcome->hits[0].rank <= cut;
    }
    return 0;
}
