/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classification and training_options: scores worked out by hand, and options with their bounds.
 */
#include "workflows/classification.h"

#include <math.h>
#include <string.h>

#include "tests/test.h"
#include "workflows/finetune/training_options.h"

static void assert_near(double value, double expected)
{
    if (!(fabs(value - expected) < 1e-12))
        fail_msg("%.17g is not %.17g", value, expected);
}

/* Rows are the truth, columns the answer:   a  b  c
 *                                        a  5  1  0
 *                                        b  2  2  0
 *                                        c  0  0  0   c never occurs                            */
static void scores_are_those_worked_out_by_hand(void **state)
{
    (void)state;
    static const uint32_t counts[3][3] = {{5, 1, 0}, {2, 2, 0}, {0, 0, 0}};
    static const char *const labels[] = {"a", "b", "c"};
    struct classification classification;
    assert_int_equal(classification_init(&classification, 3, NULL), 0);
    assert_near(classification_accuracy(&classification), 0);
    assert_near(classification_macro_f1(&classification), 0);
    for (uint32_t truth = 0; truth < 3; truth++) {
        for (uint32_t answer = 0; answer < 3; answer++) {
            for (uint32_t i = 0; i < counts[truth][answer]; i++)
                classification_add(&classification, truth, answer);
        }
    }
    assert_int_equal(classification_count(&classification), 10);
    assert_near(classification_accuracy(&classification), 0.7);
    struct label_score a = classification_label(&classification, 0);
    assert_near(a.precision, 5.0 / 7);
    assert_near(a.recall, 5.0 / 6);
    assert_near(a.f1, 10.0 / 13);
    assert_int_equal(a.support, 6);
    struct label_score b = classification_label(&classification, 1);
    assert_near(b.precision, 2.0 / 3);
    assert_near(b.recall, 0.5);
    assert_near(b.f1, 4.0 / 7);
    assert_near(classification_macro_f1(&classification), (10.0 / 13 + 4.0 / 7) / 2);
    json_t *json = classification_json(&classification, labels);
    const json_t *confusion = json_object_get(json, "confusion");
    assert_int_equal(json_integer_value(json_array_get(json_array_get(confusion, 1), 0)), 2);
    assert_string_equal(json_string_value(json_object_get(
                            json_array_get(json_object_get(json, "labels"), 2), "label")),
                        "c");
    json_decref(json);
    classification_fini(&classification);
}

static int options_of(const char *text, struct training_options *options, struct error *err)
{
    json_t *object = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(object);
    int code = training_options_read(object, options, err);
    json_decref(object);
    return code;
}

static void options_have_defaults_and_bounds(void **state)
{
    (void)state;
    struct training_options options;
    struct error err;
    assert_int_equal(training_options_read(NULL, &options, NULL), 0);
    assert_int_equal(options.seed, 42);
    assert_int_equal(options.schedule, TRAINING_COSINE);
    assert_int_equal(options_of("{\"epochs\": 3, \"learning_rate\": 1, \"schedule\": \"linear\"}",
                                &options, NULL),
                     0);
    assert_int_equal(options.epochs, 3);
    assert_near(options.learning_rate, 1);
    assert_int_equal(options.schedule, TRAINING_LINEAR);
    json_t *json = training_options_json(&options);
    struct training_options again;
    assert_int_equal(training_options_read(json, &again, NULL), 0);
    json_t *same = training_options_json(&again);
    assert_true(json_equal(json, same));
    json_decref(json);
    json_decref(same);

    static const struct {
        const char *text, *error;
    } wrong[] = {
        {"3", "\"training\" must be an object"},
        {"{\"epochs\": 0}", "\"epochs\" must be 1 to 100000, not 0"},
        {"{\"epochs\": 1.5}", "\"epochs\" must be a whole number"},
        {"{\"seed\": -1}", "\"seed\" must be 0 to 9007199254740992, not -1"},
        {"{\"learning_rate\": \"high\"}", "\"learning_rate\" must be a number"},
        {"{\"schedule\": \"cosinus\"}", "\"cosine\", \"linear\" or \"constant\""},
        {"{\"epoch\": 3}", "did you mean \"epochs\"?"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(options_of(wrong[i].text, &options, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, wrong[i].error));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_are_those_worked_out_by_hand),
        cmocka_unit_test(options_have_defaults_and_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
