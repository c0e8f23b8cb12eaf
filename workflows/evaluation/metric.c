/* SPDX-License-Identifier: Apache-2.0 */
/* metric: see metric.h. */
#include "workflows/evaluation/metric.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/buffer.h"

/* ---- the list ---- */

static void list_add(struct metric_list *list, enum metric_kind kind, const char *name,
                     uint32_t cut)
{
    struct metric *metric = &list->metrics[list->count++];
    *metric = (struct metric){.kind = kind, .cut = cut, .minimum = NAN, .maximum_drop = NAN};
    if (cut > 0)
        snprintf(metric->name, sizeof metric->name, "%s@%u", name, cut);
    else
        snprintf(metric->name, sizeof metric->name, "%s", name);
}

void metric_list_init(struct metric_list *list, enum suite_type type, const uint32_t *cuts,
                      size_t cut_count)
{
    ASSERT(cut_count <= METRIC_CUTS_MAX);
    list->count = 0;
    if (type == SUITE_CLASSIFICATION) {
        list_add(list, METRIC_ACCURACY, "accuracy", 0);
        list_add(list, METRIC_MACRO_F1, "macro_f1", 0);
    } else if (type == SUITE_SIMILARITY) {
        list_add(list, METRIC_SPEARMAN, "spearman", 0);
    } else {
        for (size_t i = 0; i < cut_count; i++)
            list_add(list, METRIC_RECALL, "recall", cuts[i]);
        for (size_t i = 0; i < cut_count; i++)
            list_add(list, METRIC_NDCG, "ndcg", cuts[i]);
    }
}

static struct metric *list_find(struct metric_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->metrics[i].name, name) == 0)
            return &list->metrics[i];
    }
    return NULL;
}

static int set_unknown(const struct metric_list *list, const char *name, struct error *err)
{
    struct buffer names = {0};
    for (size_t i = 0; i < list->count; i++)
        buffer_printf(&names, "%s%s", i > 0 ? ", " : "", list->metrics[i].name);
    int code = error_set(err, ERR_INVALID, "no metric of this suite is called \"%.100s\": %s", name,
                         buffer_text(&names));
    buffer_fini(&names);
    return code;
}

int metric_list_limit(struct metric_list *list, bool is_minimum, const json_t *limits,
                      struct error *err)
{
    const char *member = is_minimum ? "minimum" : "maximum_drop", *name;
    double least = is_minimum ? -1 : 0, most = is_minimum ? 1 : 2;
    json_t *value;
    if (limits != NULL && !json_is_object(limits))
        return error_set(err, ERR_INVALID, "\"%s\" must be an object of metrics and numbers",
                         member);
    json_object_foreach((json_t *)(uintptr_t)limits, name, value)
    {
        struct metric *metric = list_find(list, name);
        double limit = json_number_value(value);
        if (metric == NULL)
            return set_unknown(list, name, err);
        if (!json_is_number(value) || !(limit >= least && limit <= most))
            return error_set(err, ERR_INVALID, "\"%s\" of %s must be a number from %g to %g",
                             member, name, least, most);
        *(is_minimum ? &metric->minimum : &metric->maximum_drop) = limit;
    }
    return 0;
}

/* ---- series ---- */

struct metric_series {
    const struct metric *metric;
    const struct outcomes *outcomes;

    double *values; /* of a mean: each case's part */

    uint64_t *right, *answers, *support; /* macro F1: by label */

    uint32_t *by_truth, *by_answer; /* Spearman: ascending orders, and room for ranks */
    double *truth_ranks, *answer_ranks;
};

static double recall_of(const struct outcome *outcome, uint32_t cut)
{
    uint32_t found = 0;
    while (found < outcome->hit_count && outcome->hits[found].rank <= cut)
        found++;
    return outcome->hit_count > 0 ? (double)found / outcome->hit_count : 0;
}

static int by_grade_descending(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a > b ? -1 : a < b;
}

/* grades is room for those of the case. */
static double ndcg_of(const struct outcome *outcome, uint32_t cut, uint32_t *grades)
{
    double sum = 0, best = 0;
    for (uint32_t i = 0; i < outcome->hit_count; i++) {
        const struct hit *hit = &outcome->hits[i];
        grades[i] = hit->grade;
        if (hit->rank <= cut)
            sum += hit->grade / log2(hit->rank + 1.0);
    }
    qsort(grades, outcome->hit_count, sizeof *grades, by_grade_descending);
    for (uint32_t i = 0; i < outcome->hit_count && i < cut; i++)
        best += grades[i] / log2(i + 2.0);
    return best > 0 ? sum / best : 0;
}

static int prepare_mean(struct metric_series *series, struct error *err)
{
    const struct outcomes *outcomes = series->outcomes;
    uint32_t hits_max = 1;
    for (size_t i = 0; i < outcomes->count; i++) {
        if (outcomes->cases[i].hit_count > hits_max)
            hits_max = outcomes->cases[i].hit_count;
    }
    uint32_t *grades = malloc(hits_max * sizeof *grades);
    series->values = malloc(outcomes->count * sizeof *series->values);
    int code =
        grades == NULL || series->values == NULL ? error_set(err, ERR_MEMORY, "out of memory") : 0;
    for (size_t i = 0; code == 0 && i < outcomes->count; i++) {
        const struct outcome *outcome = &outcomes->cases[i];
        if (series->metric->kind == METRIC_ACCURACY)
            series->values[i] = outcome->truth_label == outcome->answer_label;
        else if (series->metric->kind == METRIC_RECALL)
            series->values[i] = recall_of(outcome, series->metric->cut);
        else
            series->values[i] = ndcg_of(outcome, series->metric->cut, grades);
    }
    free(grades);
    return code;
}

static int prepare_macro_f1(struct metric_series *series, struct error *err)
{
    size_t labels = series->outcomes->label_count;
    series->right = calloc(labels, sizeof *series->right);
    series->answers = calloc(labels, sizeof *series->answers);
    series->support = calloc(labels, sizeof *series->support);
    return series->right == NULL || series->answers == NULL || series->support == NULL
               ? error_set(err, ERR_MEMORY, "out of memory")
               : 0;
}

static int prepare_spearman(struct metric_series *series, struct error *err)
{
    size_t count = series->outcomes->count;
    double *values = calloc(count, sizeof *values);
    series->by_truth = malloc(count * sizeof *series->by_truth);
    series->by_answer = malloc(count * sizeof *series->by_answer);
    series->truth_ranks = malloc(count * sizeof *series->truth_ranks);
    series->answer_ranks = malloc(count * sizeof *series->answer_ranks);
    int code = values == NULL || series->by_truth == NULL || series->by_answer == NULL ||
                       series->truth_ranks == NULL || series->answer_ranks == NULL
                   ? error_set(err, ERR_MEMORY, "out of memory")
                   : 0;
    if (code == 0) {
        for (size_t i = 0; i < count; i++)
            values[i] = series->outcomes->cases[i].truth;
        ranks_of(values, count, series->by_truth, series->truth_ranks);
        for (size_t i = 0; i < count; i++)
            values[i] = series->outcomes->cases[i].answer;
        ranks_of(values, count, series->by_answer, series->answer_ranks);
    }
    free(values);
    return code;
}

int metric_series_create(const struct metric *metric, const struct outcomes *outcomes,
                         struct metric_series **ret_series, struct error *err)
{
    struct metric_series *series = calloc(1, sizeof *series);
    if (series == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    series->metric = metric;
    series->outcomes = outcomes;
    int code = metric->kind == METRIC_MACRO_F1   ? prepare_macro_f1(series, err)
               : metric->kind == METRIC_SPEARMAN ? prepare_spearman(series, err)
                                                 : prepare_mean(series, err);
    if (code != 0) {
        metric_series_destroy(series);
        return code;
    }
    *ret_series = series;
    return 0;
}

void metric_series_destroy(struct metric_series *series)
{
    if (series == NULL)
        return;
    free(series->values);
    free(series->right);
    free(series->answers);
    free(series->support);
    free(series->by_truth);
    free(series->by_answer);
    free(series->truth_ranks);
    free(series->answer_ranks);
    free(series);
}

static double mean(const struct metric_series *series, const uint32_t *weights)
{
    double sum = 0;
    uint64_t total = 0;
    for (size_t i = 0; i < series->outcomes->count; i++) {
        sum += weights[i] * series->values[i];
        total += weights[i];
    }
    return sum / (double)total;
}

static double macro_f1(struct metric_series *series, const uint32_t *weights)
{
    uint32_t labels = series->outcomes->label_count, occurring = 0;
    double sum = 0;
    memset(series->right, 0, labels * sizeof *series->right);
    memset(series->answers, 0, labels * sizeof *series->answers);
    memset(series->support, 0, labels * sizeof *series->support);
    for (size_t i = 0; i < series->outcomes->count; i++) {
        const struct outcome *outcome = &series->outcomes->cases[i];
        series->support[outcome->truth_label] += weights[i];
        series->answers[outcome->answer_label] += weights[i];
        if (outcome->truth_label == outcome->answer_label)
            series->right[outcome->truth_label] += weights[i];
    }
    for (uint32_t label = 0; label < labels; label++) {
        uint64_t either = series->answers[label] + series->support[label];
        if (either == 0)
            continue;
        sum += 2 * (double)series->right[label] / (double)either;
        occurring++;
    }
    return sum / occurring;
}

/* Average ranks where case i stands weights[i] times; equal values stand together in order. */
static void weighted_ranks(const struct metric_series *series, bool is_truth,
                           const uint32_t *weights)
{
    const struct outcome *cases = series->outcomes->cases;
    const uint32_t *order = is_truth ? series->by_truth : series->by_answer;
    double *ranks = is_truth ? series->truth_ranks : series->answer_ranks;
    size_t count = series->outcomes->count;
    double before = 0;
    for (size_t first = 0, end; first < count; first = end) {
        const struct outcome *head = &cases[order[first]];
        double here = 0;
        for (end = first; end < count; end++) {
            const struct outcome *outcome = &cases[order[end]];
            if (is_truth ? outcome->truth != head->truth : outcome->answer != head->answer)
                break;
            here += weights[order[end]];
        }
        for (size_t i = first; i < end; i++)
            ranks[order[i]] = before + (here + 1) / 2;
        before += here;
    }
}

static double spearman(const struct metric_series *series, const uint32_t *weights)
{
    size_t count = series->outcomes->count;
    double total = 0, product = 0, truth_square = 0, answer_square = 0;
    weighted_ranks(series, true, weights);
    weighted_ranks(series, false, weights);
    for (size_t i = 0; i < count; i++)
        total += weights[i];
    double middle = (total + 1) / 2; /* the mean of all ranks, ties or not */
    for (size_t i = 0; i < count; i++) {
        double truth = series->truth_ranks[i] - middle, answer = series->answer_ranks[i] - middle;
        product += weights[i] * truth * answer;
        truth_square += weights[i] * truth * truth;
        answer_square += weights[i] * answer * answer;
    }
    if (truth_square <= 0 || answer_square <= 0)
        return 0;
    return product / sqrt(truth_square * answer_square);
}

double metric_series_value(struct metric_series *series, const uint32_t *weights)
{
    switch (series->metric->kind) {
    case METRIC_MACRO_F1:
        return macro_f1(series, weights);
    case METRIC_SPEARMAN:
        return spearman(series, weights);
    default:
        return mean(series, weights);
    }
}
