/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics and intervals against numbers of others. All expected values were computed with SciPy
 * 1.17.1 (spearmanr), scikit-learn 1.9.1 (accuracy_score, f1_score(average="macro"), ndcg_score)
 * and NumPy 2.4.6 (percentile); weights were given to them as repetitions of the cases, and
 * intervals from resamples that a splitmix64 in Python drew, seeded as ours.
 */
#include <math.h>
#include <string.h>

#include "tests/test.h"
#include "workflows/evaluation/answers.h"
#include "workflows/evaluation/bootstrap.h"

#define CASES 10
#define EXACT 1e-12

static void assert_near(double value, double expected, double most)
{
    if (!(fabs(value - expected) <= most))
        fail_msg("%.17g is not %.17g", value, expected);
}

static const char *const labels[] = {"a", "b", "c", "d"};

/* Ten answers, one of a label that is never the truth. */
static struct outcomes classified(struct outcome cases[CASES], bool is_baseline)
{
    static const uint32_t truth[] = {0, 0, 0, 1, 1, 1, 2, 2, 2, 2};
    static const uint32_t own[] = {0, 0, 1, 1, 1, 2, 2, 2, 0, 3};
    static const uint32_t baseline[] = {0, 1, 0, 1, 1, 1, 2, 1, 2, 2};
    for (size_t i = 0; i < CASES; i++)
        cases[i] = (struct outcome){.truth_label = truth[i],
                                    .answer_label = is_baseline ? baseline[i] : own[i]};
    return (struct outcomes){SUITE_CLASSIFICATION, cases, CASES, labels, 4};
}

/* Ties in both, and not at the same places. */
static struct outcomes compared(struct outcome cases[CASES])
{
    static const double truth[] = {0.0, 1.0, 1.0, 2.5, 3.0, 3.0, 3.0, 4.2, 5.0, 5.0};
    static const double answer[] = {0.11, 0.35, 0.22, 0.35, 0.50, 0.41, 0.77, 0.70, 0.70, 0.93};
    for (size_t i = 0; i < CASES; i++)
        cases[i] = (struct outcome){.truth = truth[i], .answer = answer[i]};
    return (struct outcomes){.type = SUITE_SIMILARITY, .cases = cases, .count = CASES};
}

static const uint32_t ones[CASES] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const uint32_t weights[CASES] = {2, 0, 1, 3, 0, 1, 1, 0, 1, 1};

static double value_of(const struct metric_list *list, const char *name,
                       const struct outcomes *outcomes, const uint32_t *weighted)
{
    for (size_t i = 0; i < list->count; i++) {
        struct metric_series *series;
        if (strcmp(list->metrics[i].name, name) != 0)
            continue;
        assert_int_equal(metric_series_create(&list->metrics[i], outcomes, &series, NULL), 0);
        double value = metric_series_value(series, weighted);
        metric_series_destroy(series);
        return value;
    }
    fail_msg("no metric %s", name);
    return 0;
}

static void classification_scores_are_those_of_scikit_learn(void **state)
{
    (void)state;
    struct outcome cases[CASES];
    struct metric_list list;
    struct outcomes outcomes = classified(cases, false);
    metric_list_init(&list, SUITE_CLASSIFICATION, NULL, 0);
    assert_near(value_of(&list, "accuracy", &outcomes, ones), 0.6, EXACT);
    assert_near(value_of(&list, "macro_f1", &outcomes, ones), 0.47619047619047616, EXACT);
    assert_near(value_of(&list, "accuracy", &outcomes, weights), 0.6, EXACT);
    assert_near(value_of(&list, "macro_f1", &outcomes, weights), 0.4541666666666666, EXACT);
}

static void spearman_is_that_of_scipy_with_ties(void **state)
{
    (void)state;
    struct outcome cases[CASES];
    struct metric_list list;
    struct outcomes outcomes = compared(cases);
    metric_list_init(&list, SUITE_SIMILARITY, NULL, 0);
    assert_near(value_of(&list, "spearman", &outcomes, ones), 0.9006906157452222, EXACT);
    assert_near(value_of(&list, "spearman", &outcomes, weights), 0.9685726154462582, EXACT);
    /* The order turned round is the same number with another sign; no order is none. */
    for (size_t i = 0; i < CASES; i++)
        cases[i].answer = -cases[i].answer;
    assert_near(value_of(&list, "spearman", &outcomes, ones), -0.9006906157452222, EXACT);
    for (size_t i = 0; i < CASES; i++)
        cases[i].answer = 0.5;
    assert_near(value_of(&list, "spearman", &outcomes, ones), 0, EXACT);
}

static void retrieval_scores_are_those_of_scikit_learn(void **state)
{
    (void)state;
    static const struct hit graded[] = {{1, 3}, {4, 1}, {7, 2}}, one[] = {{2, 1}},
                            late[] = {{3, 2}, {12, 2}};
    struct outcome cases[] = {{.hits = graded, .hit_count = 3},
                              {.hits = one, .hit_count = 1},
                              {.hits = late, .hit_count = 2}};
    struct outcomes outcomes = {.type = SUITE_RETRIEVAL, .cases = cases, .count = 3};
    static const struct {
        const char *name;
        double value;
    } expected[] = {
        {"recall@1", 0.1111111111111111}, {"recall@3", 0.611111111111111},
        {"recall@5", 0.7222222222222222}, {"recall@10", 0.8333333333333334},
        {"ndcg@1", 0.3333333333333333},   {"ndcg@3", 0.5225031124053596},
        {"ndcg@5", 0.5526507579786465},   {"ndcg@10", 0.599317868146194},
    };
    struct metric_list list;
    metric_list_init(&list, SUITE_RETRIEVAL, (const uint32_t[]){1, 3, 5, 10}, 4);
    assert_int_equal(list.count, 8);
    for (size_t i = 0; i < 8; i++)
        assert_near(value_of(&list, expected[i].name, &outcomes, ones), expected[i].value, EXACT);
}

static void assert_estimate(const struct estimate *estimate, double value, double low, double high)
{
    assert_near(estimate->value, value, EXACT);
    assert_near(estimate->low, low, 1e-9);
    assert_near(estimate->high, high, 1e-9);
}

static void intervals_are_those_of_numpy_on_the_same_resamples(void **state)
{
    (void)state;
    struct outcome cases[CASES], before[CASES];
    struct metric_score scores[METRICS_MAX];
    struct metric_list list;
    struct outcomes own = classified(cases, false), baseline = classified(before, true);
    metric_list_init(&list, SUITE_CLASSIFICATION, NULL, 0);
    assert_int_equal(bootstrap_score(&list, &own, &baseline, NULL, NULL, scores, NULL), 0);
    assert_estimate(&scores[0].own, 0.6, 0.3, 0.9);
    assert_near(scores[0].baseline.value, 0.8, EXACT);
    assert_estimate(&scores[0].difference, -0.2, -0.7, 0.3);
    assert_estimate(&scores[1].own, 0.47619047619047616, 0.19444444444444442, 0.8962962962962964);

    own = compared(cases);
    metric_list_init(&list, SUITE_SIMILARITY, NULL, 0);
    assert_int_equal(bootstrap_score(&list, &own, NULL, NULL, NULL, scores, NULL), 0);
    assert_estimate(&scores[0].own, 0.9006906157452222, 0.5676457614843198, 0.9968503858773891);
}

static int stop_third(void *arg, struct error *err)
{
    return ++*(int *)arg == 3 ? error_set(err, ERR_CANCELED, "no longer wanted") : 0;
}

static void a_tick_can_end_the_work(void **state)
{
    (void)state;
    struct outcome cases[CASES];
    struct metric_score scores[METRICS_MAX];
    struct metric_list list;
    struct outcomes own = compared(cases);
    int ticks = 0;
    metric_list_init(&list, SUITE_SIMILARITY, NULL, 0);
    assert_int_equal(bootstrap_score(&list, &own, NULL, stop_third, &ticks, scores, NULL),
                     ERR_CANCELED);
    assert_int_equal(ticks, 3);
}

/* A pair is in order when its places among truths and answers are within a quarter of all. */
static void a_case_is_right_by_the_rules_of_its_type(void **state)
{
    (void)state;
    struct outcome cases[CASES];
    struct outcomes outcomes = classified(cases, false);
    assert_int_equal(outcomes_judge(&outcomes, 0, NULL), 0);
    static const bool right[] = {true, true, false, true, true, false, true, true, false, false};
    for (size_t i = 0; i < CASES; i++)
        assert_int_equal(cases[i].is_right, right[i]);

    outcomes = compared(cases);
    cases[0].answer = 0.36; /* from place 1 to 4, which is 3 of 10 */
    assert_int_equal(outcomes_judge(&outcomes, 0, NULL), 0);
    assert_false(cases[0].is_right);
    assert_true(cases[9].is_right);

    static const struct hit third[] = {{3, 1}, {9, 5}};
    struct outcome query = {.hits = third, .hit_count = 2};
    outcomes = (struct outcomes){.type = SUITE_RETRIEVAL, .cases = &query, .count = 1};
    assert_int_equal(outcomes_judge(&outcomes, 2, NULL), 0);
    assert_false(query.is_right);
    assert_int_equal(outcomes_judge(&outcomes, 3, NULL), 0);
    assert_true(query.is_right);
}

static void thresholds_are_of_metrics_there_are(void **state)
{
    (void)state;
    struct metric_list list;
    struct error err;
    json_t *limits = json_pack("{s:f, s:i}", "accuracy", 0.9, "macro_f1", 1);
    metric_list_init(&list, SUITE_CLASSIFICATION, NULL, 0);
    assert_true(isnan(list.metrics[0].minimum) && isnan(list.metrics[0].maximum_drop));
    assert_int_equal(metric_list_limit(&list, true, limits, &err), 0);
    assert_near(list.metrics[0].minimum, 0.9, 0);
    assert_near(list.metrics[1].minimum, 1, 0);
    assert_true(isnan(list.metrics[0].maximum_drop));
    json_object_set_new(limits, "accuracy", json_real(1.5));
    assert_int_equal(metric_list_limit(&list, true, limits, &err), ERR_INVALID);
    assert_string_equal(err.text, "\"minimum\" of accuracy must be a number from -1 to 1");
    json_object_clear(limits);
    json_object_set_new(limits, "acuracy", json_real(0.5));
    assert_int_equal(metric_list_limit(&list, false, limits, &err), ERR_INVALID);
    assert_string_equal(err.text,
                        "no metric of this suite is called \"acuracy\": accuracy, macro_f1");
    json_decref(limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classification_scores_are_those_of_scikit_learn),
        cmocka_unit_test(spearman_is_that_of_scipy_with_ties),
        cmocka_unit_test(retrieval_scores_are_those_of_scikit_learn),
        cmocka_unit_test(intervals_are_those_of_numpy_on_the_same_resamples),
        cmocka_unit_test(a_tick_can_end_the_work),
        cmocka_unit_test(a_case_is_right_by_the_rules_of_its_type),
        cmocka_unit_test(thresholds_are_of_metrics_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
