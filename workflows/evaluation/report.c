/* SPDX-License-Identifier: Apache-2.0 */
/* report: see report.h. */
#include "workflows/evaluation/report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "workflows/classification.h"

/* Two numbers that are equal on paper may differ by this in a double: 0.9 - 0.88 > 0.02. */
#define TOLERANCE 1e-9

/* ---- thresholds ---- */

bool is_below_minimum(const struct metric *metric, const struct metric_score *score)
{
    return score->own.value < metric->minimum - TOLERANCE; /* false for NaN */
}

bool is_dropped(const struct metric *metric, const struct metric_score *score)
{
    return -score->difference.value > metric->maximum_drop + TOLERANCE;
}

static json_t *regression_json(const struct metric *metric, const char *kind, double value,
                               double limit, const char *text)
{
    return json_pack("{s:s, s:s, s:f, s:f, s:s}", "metric", metric->name, "kind", kind, "value",
                     value, "limit", limit, "text", text);
}

static json_t *regressions_json(const struct evaluation *evaluation)
{
    json_t *list = json_array();
    char text[256];
    for (size_t i = 0; i < evaluation->metrics.count; i++) {
        const struct metric *metric = &evaluation->metrics.metrics[i];
        const struct metric_score *score = &evaluation->scores[i];
        if (is_below_minimum(metric, score)) {
            snprintf(text, sizeof text, "%s is %.4g, below its minimum of %.4g", metric->name,
                     score->own.value, metric->minimum);
            json_array_append_new(
                list, regression_json(metric, "minimum", score->own.value, metric->minimum, text));
        }
        if (evaluation->baseline != NULL && is_dropped(metric, score)) {
            snprintf(text, sizeof text,
                     "%s is %.4g, %.4g below the baseline's %.4g, more than the %.4g it may be",
                     metric->name, score->own.value, -score->difference.value,
                     score->baseline.value, metric->maximum_drop);
            json_array_append_new(list, regression_json(metric, "drop", score->own.value,
                                                        metric->maximum_drop, text));
        }
    }
    return list;
}

void report_regressions_text(const json_t *report, struct buffer *out)
{
    size_t place;
    const json_t *regression;
    json_array_foreach(json_object_get(report, "regressions"), place, regression)
    {
        const char *text = json_string_value(json_object_get(regression, "text"));
        buffer_printf(out, "%s%s", place > 0 ? "; " : "", text != NULL ? text : "");
    }
}

/* ---- metrics ---- */

static json_t *estimate_json(const struct estimate *estimate)
{
    return json_pack("{s:f, s:f, s:f}", "value", estimate->value, "low", estimate->low, "high",
                     estimate->high);
}

static void limit_set(json_t *json, const char *member, double limit)
{
    if (!isnan(limit))
        json_object_set_new(json, member, json_real(limit));
}

static json_t *metrics_json(const struct evaluation *evaluation)
{
    json_t *list = json_array();
    for (size_t i = 0; i < evaluation->metrics.count; i++) {
        const struct metric *metric = &evaluation->metrics.metrics[i];
        const struct metric_score *score = &evaluation->scores[i];
        bool is_passed = !is_below_minimum(metric, score);
        json_t *own = estimate_json(&score->own);
        json_t *json = json_pack("{s:s}", "name", metric->name);
        json_object_update(json, own);
        json_decref(own);
        limit_set(json, "minimum", metric->minimum);
        limit_set(json, "maximum_drop", metric->maximum_drop);
        if (evaluation->baseline != NULL) {
            json_object_set_new(json, "baseline", estimate_json(&score->baseline));
            json_object_set_new(json, "difference", estimate_json(&score->difference));
            is_passed = is_passed && !is_dropped(metric, score);
        }
        json_object_set_new(json, "passed", json_boolean(is_passed));
        json_array_append_new(list, json);
    }
    return list;
}

/* ---- cases ---- */

static void answer_set(json_t *json, const struct outcomes *outcomes, const struct outcome *outcome)
{
    if (outcomes->type == SUITE_CLASSIFICATION) {
        json_object_set_new(json, "answer", json_string(outcomes->labels[outcome->answer_label]));
        json_object_set_new(json, "confidence", json_real(outcome->confidence));
    } else if (outcomes->type == SUITE_SIMILARITY) {
        json_object_set_new(json, "answer", json_real(outcome->answer));
    } else {
        json_t *hits = json_array();
        for (uint32_t i = 0; i < outcome->hit_count; i++)
            json_array_append_new(hits, json_pack("[I, I]", (json_int_t)outcome->hits[i].rank,
                                                  (json_int_t)outcome->hits[i].grade));
        json_object_set_new(json, "answer", json_string(outcome->best));
        json_object_set_new(json, "hits", hits);
    }
    json_object_set_new(json, "right", json_boolean(outcome->is_right));
}

static json_t *case_json(const struct evaluation *evaluation, size_t place)
{
    const struct outcomes *own = evaluation->own;
    const struct outcome *outcome = &own->cases[place];
    const struct suite_case *from = &evaluation->suite->cases[place];
    json_t *json = json_pack("{s:s, s:I, s:s}", "id", outcome->id, "line",
                             (json_int_t)outcome->line, "text", evaluation->excerpts[from->text]);
    if (own->type == SUITE_CLASSIFICATION) {
        json_object_set_new(json, "truth", json_string(own->labels[outcome->truth_label]));
    } else if (own->type == SUITE_SIMILARITY) {
        json_object_set_new(json, "other", json_string(evaluation->excerpts[from->text + 1]));
        json_object_set_new(json, "truth", json_real(outcome->truth));
    }
    answer_set(json, own, outcome);
    return json;
}

static json_t *cases_json(const struct evaluation *evaluation)
{
    json_t *list = json_array();
    for (size_t i = 0; i < evaluation->own->count; i++) {
        if (json_array_append_new(list, case_json(evaluation, i)) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* Cases that were right with the baseline and are wrong now, and the other way round. */
static json_t *changes_json(const struct evaluation *evaluation)
{
    const struct outcomes *own = evaluation->own, *baseline = evaluation->baseline;
    json_int_t worse = 0, better = 0;
    if (baseline == NULL)
        return json_null();
    json_t *listed = json_array();
    for (size_t i = 0; i < own->count; i++) {
        better += own->cases[i].is_right && !baseline->cases[i].is_right;
        if (own->cases[i].is_right || !baseline->cases[i].is_right)
            continue;
        worse++;
        if (json_array_size(listed) == REPORT_LISTED_MAX)
            continue;
        json_t *json = case_json(evaluation, i), *before = json_object();
        answer_set(before, baseline, &baseline->cases[i]);
        json_object_set_new(json, "baseline", before);
        json_array_append_new(listed, json);
    }
    return json_pack("{s:I, s:I, s:o}", "worse", worse, "better", better, "worse_cases", listed);
}

/* ---- details ---- */

static json_t *classification_details(const struct outcomes *outcomes)
{
    struct classification classification;
    if (classification_init(&classification, outcomes->label_count, NULL) != 0)
        return NULL;
    for (size_t i = 0; i < outcomes->count; i++)
        classification_add(&classification, outcomes->cases[i].truth_label,
                           outcomes->cases[i].answer_label);
    json_t *json = classification_json(&classification, outcomes->labels);
    classification_fini(&classification);
    return json;
}

/* recall@1, recall@2, ... */
static json_t *recall_curve(const struct outcomes *outcomes, uint32_t length)
{
    double found[REPORT_CURVE_MAX + 1] = {0}, sum = 0;
    for (size_t i = 0; i < outcomes->count; i++) {
        const struct outcome *outcome = &outcomes->cases[i];
        for (uint32_t j = 0; j < outcome->hit_count && outcome->hits[j].rank <= length; j++)
            found[outcome->hits[j].rank] += 1.0 / outcome->hit_count;
    }
    json_t *curve = json_array();
    for (uint32_t k = 1; k <= length; k++) {
        sum += found[k];
        json_array_append_new(curve, json_real(sum / (double)outcomes->count));
    }
    return curve;
}

static json_t *retrieval_details(const struct evaluation *evaluation)
{
    uint32_t length = evaluation->suite->cuts[evaluation->suite->cut_count - 1];
    if (length > REPORT_CURVE_MAX)
        length = REPORT_CURVE_MAX;
    json_t *json = json_pack("{s:o}", "recall", recall_curve(evaluation->own, length));
    if (evaluation->baseline != NULL)
        json_object_set_new(json, "baseline_recall", recall_curve(evaluation->baseline, length));
    return json;
}

static json_t *details_json(const struct evaluation *evaluation)
{
    if (evaluation->own->type == SUITE_CLASSIFICATION)
        return classification_details(evaluation->own);
    if (evaluation->own->type == SUITE_RETRIEVAL)
        return retrieval_details(evaluation);
    return json_object();
}

/* ---- the whole ---- */

static json_t *suite_json(const struct evaluation *evaluation)
{
    const struct suite *suite = evaluation->suite;
    json_t *json = json_pack("{s:s, s:s, s:s, s:I, s:s}", "name", suite->name, "type",
                             suite_type_name(suite->type), "description", suite->description,
                             "cases", (json_int_t)suite->case_count, "digest", evaluation->digest);
    if (suite->type == SUITE_RETRIEVAL)
        json_object_set_new(json, "documents", json_integer((json_int_t)suite->document_count));
    return json;
}

json_t *report_create(const struct evaluation *evaluation)
{
    json_t *baseline = evaluation->baseline != NULL
                           ? json_pack("{s:s}", "model", evaluation->baseline_model)
                           : json_null();
    json_t *confidence = json_pack("{s:f, s:s, s:i, s:i}", "level", BOOTSTRAP_LEVEL, "method",
                                   "percentile bootstrap over cases", "resamples",
                                   BOOTSTRAP_RESAMPLES, "seed", BOOTSTRAP_SEED);
    json_t *regressions = regressions_json(evaluation);
    bool is_passed = json_array_size(regressions) == 0;
    return json_pack("{s:i, s:o, s:s, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o}", "schema",
                     REPORT_SCHEMA, "suite", suite_json(evaluation), "model", evaluation->model,
                     "baseline", baseline, "passed", (int)is_passed, "confidence", confidence,
                     "metrics", metrics_json(evaluation), "regressions", regressions, "changes",
                     changes_json(evaluation), "details", details_json(evaluation), "cases",
                     cases_json(evaluation));
}
