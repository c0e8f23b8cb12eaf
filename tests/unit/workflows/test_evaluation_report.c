/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report: what is retrieved and how it is ranked, against ranks worked out by hand; thresholds and
 * regressions; a report as the baseline of the next one; the page, whatever the texts look like.
 */
#include "workflows/evaluation/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <libxml/parser.h>

#include "tests/test.h"
#include "workflows/evaluation/answers.h"
#include "workflows/evaluation/page.h"

static int file_of(const void *data, size_t size)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    return fd;
}

static struct suite *suite_of(const char *text)
{
    struct suite *suite;
    int fd = file_of(text, strlen(text));
    assert_int_equal(suite_read(fd, NULL, NULL, &suite, NULL), 0);
    close(fd);
    for (size_t i = 0; i < suite->problem_count; i++)
        fail_msg("%s", suite->problems[i].text);
    return suite;
}

/* An evaluation in the making, and what it owns. */
struct fixture {
    struct suite *suite;
    struct outcome_set *own, *baseline;
    char digest[REPORT_DIGEST_SIZE];
    const char *excerpts[16];
    struct evaluation evaluation;
};

static void fixture_open(struct fixture *fixture, const char *suite)
{
    *fixture = (struct fixture){.suite = suite_of(suite)};
    for (size_t i = 0; i < 16; i++)
        fixture->excerpts[i] = "an excerpt";
    assert_int_equal(suite_digest(fixture->suite, "sha256:texts", fixture->digest, NULL), 0);
    assert_int_equal(outcome_set_create(fixture->suite, &fixture->own, NULL), 0);
}

static void fixture_close(struct fixture *fixture)
{
    outcome_set_destroy(fixture->own);
    outcome_set_destroy(fixture->baseline);
    suite_destroy(fixture->suite);
}

/* Scores what was answered; the caller releases the report. */
static json_t *fixture_report(struct fixture *fixture, const char *baseline_model)
{
    const struct suite *suite = fixture->suite;
    uint32_t cut = suite->cut_count > 0 ? suite->cuts[suite->cut_count - 1] : 0;
    struct evaluation *evaluation = &fixture->evaluation;
    *evaluation = (struct evaluation){.suite = suite,
                                      .digest = fixture->digest,
                                      .excerpts = fixture->excerpts,
                                      .metrics = suite->metrics,
                                      .model = "model@2",
                                      .own = outcome_set_get(fixture->own)};
    assert_int_equal(outcomes_judge(outcome_set_get(fixture->own), cut, NULL), 0);
    if (fixture->baseline != NULL) {
        evaluation->baseline = outcome_set_get(fixture->baseline);
        evaluation->baseline_model = baseline_model;
        assert_int_equal(outcomes_judge(outcome_set_get(fixture->baseline), cut, NULL), 0);
    }
    assert_int_equal(bootstrap_score(&evaluation->metrics, evaluation->own, evaluation->baseline,
                                     NULL, NULL, evaluation->scores, NULL),
                     0);
    json_t *report = report_create(evaluation);
    assert_non_null(report);
    return report;
}

/* label of case i is answers[i]; a NULL ends. */
static void classify(struct outcome_set *set, const char *const *answers)
{
    struct buffer lines = {0};
    size_t count = 0;
    for (; answers[count] != NULL; count++)
        buffer_printf(&lines, "{\"label\":\"%s\",\"score\":0.5}\n", answers[count]);
    int fd = file_of(lines.data, lines.size);
    assert_int_equal(answers_classify(set, 0, count, fd, NULL), 0);
    close(fd);
    buffer_fini(&lines);
}

#define TICKETS                                                                                    \
    "{\"suite\": \"t\", \"type\": \"classification\", \"minimum\": {\"accuracy\": 0.75},"          \
    " \"maximum_drop\": {\"accuracy\": 0.25}}\n"                                                   \
    "{\"id\": \"1\", \"text\": \"a\", \"label\": \"x\"}\n"                                         \
    "{\"id\": \"2\", \"text\": \"b\", \"label\": \"x\"}\n"                                         \
    "{\"id\": \"3\", \"text\": \"c\", \"label\": \"y\"}\n"                                         \
    "{\"id\": \"4\", \"text\": \"d\", \"label\": \"y\"}\n"

static const char *const all_right[] = {"x", "x", "y", "y", NULL};
static const char *const two_right[] = {"x", "y", "y", "<z>", NULL};
static const char *const three_right[] = {"x", "x", "y", "x", NULL};

static void a_missed_threshold_is_a_regression(void **state)
{
    (void)state;
    struct fixture fixture;
    struct buffer text = {0};
    fixture_open(&fixture, TICKETS);
    classify(fixture.own, two_right);
    json_t *report = fixture_report(&fixture, NULL);
    report_regressions_text(report, &text);
    assert_string_equal(buffer_text(&text), "accuracy is 0.5, below its minimum of 0.75");
    assert_false(json_is_true(json_object_get(report, "passed")));
    assert_true(json_is_null(json_object_get(report, "changes")));
    json_decref(report);

    assert_int_equal(outcome_set_create(fixture.suite, &fixture.baseline, NULL), 0);
    classify(fixture.baseline, all_right);
    report = fixture_report(&fixture, "model@1");
    buffer_clear(&text);
    report_regressions_text(report, &text);
    assert_string_equal(buffer_text(&text),
                        "accuracy is 0.5, below its minimum of 0.75; accuracy is 0.5, 0.5 below "
                        "the baseline's 1, more than the 0.25 it may be");
    const json_t *changes = json_object_get(report, "changes");
    assert_int_equal(json_integer_value(json_object_get(changes, "worse")), 2);
    assert_int_equal(json_integer_value(json_object_get(changes, "better")), 0);
    const json_t *worse = json_array_get(json_object_get(changes, "worse_cases"), 0);
    assert_string_equal(json_string_value(json_object_get(worse, "id")), "2");
    assert_string_equal(json_string_value(json_object_get(worse, "answer")), "y");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(worse, "baseline"), "answer")), "x");
    json_decref(report);
    buffer_fini(&text);
    fixture_close(&fixture);
}

/* 1 - 0.75 is a drop of 0.25 exactly: not more than it may be. */
static void a_drop_of_just_as_much_passes(void **state)
{
    (void)state;
    struct fixture fixture;
    fixture_open(&fixture, TICKETS);
    classify(fixture.own, three_right);
    assert_int_equal(outcome_set_create(fixture.suite, &fixture.baseline, NULL), 0);
    classify(fixture.baseline, all_right);
    json_t *report = fixture_report(&fixture, "model@1");
    assert_true(json_is_true(json_object_get(report, "passed")));
    assert_int_equal(json_array_size(json_object_get(report, "regressions")), 0);
    json_decref(report);
    fixture_close(&fixture);
}

/* What was written is read as it was: no difference, no change. */
static void a_report_is_the_next_ones_baseline(void **state)
{
    (void)state;
    static const char *const suites[] = {
        TICKETS,
        "{\"suite\": \"s\", \"type\": \"similarity\"}\n"
        "{\"a\": \"a\", \"b\": \"b\", \"score\": 0.1}\n{\"a\": \"c\", \"b\": \"d\", \"score\": 5}\n"
        "{\"a\": \"e\", \"b\": \"f\", \"score\": 3}\n",
        "{\"suite\": \"r\", \"type\": \"retrieval\", \"k\": [1, 2]}\n"
        "{\"document\": \"d1\", \"text\": \"a\"}\n{\"document\": \"d2\", \"text\": \"b\"}\n"
        "{\"query\": \"q1\", \"text\": \"c\", \"relevant\": {\"d1\": 1, \"d2\": 3}}\n"
        "{\"query\": \"q2\", \"text\": \"d\", \"relevant\": [\"d2\"]}\n",
    };
    static const struct hit both[] = {{1, 3}, {2, 1}}, second[] = {{2, 1}};
    for (int i = 0; i < 3; i++) {
        struct fixture fixture;
        const char *model;
        fixture_open(&fixture, suites[i]);
        struct outcome *cases = outcome_set_get(fixture.own)->cases;
        if (i == 0)
            classify(fixture.own, two_right);
        for (int j = 0; i == 1 && j < 3; j++)
            cases[j].answer = (double)(0.123456789f * (float)(j + 1));
        if (i == 2) {
            assert_int_equal(outcome_set_hits(fixture.own, 0, both, 2, "d2", NULL), 0);
            assert_int_equal(outcome_set_hits(fixture.own, 1, second, 1, "d1", NULL), 0);
        }
        json_t *first = fixture_report(&fixture, NULL);
        char *text = json_dumps(first, JSON_REAL_PRECISION(REPORT_DIGITS));
        json_t *loaded = json_loads(text, 0, NULL);
        assert_int_equal(
            report_outcomes(loaded, fixture.suite, fixture.digest, &fixture.baseline, &model, NULL),
            0);
        assert_string_equal(model, "model@2");
        for (size_t j = 0; j < fixture.suite->case_count; j++)
            assert_true(outcome_set_get(fixture.baseline)->cases[j].answer == cases[j].answer);
        json_t *next = fixture_report(&fixture, model);
        const json_t *changes = json_object_get(next, "changes"), *metric;
        assert_int_equal(json_integer_value(json_object_get(changes, "worse")), 0);
        size_t place;
        json_array_foreach(json_object_get(next, "metrics"), place, metric)
        {
            const json_t *difference = json_object_get(metric, "difference");
            assert_true(json_number_value(json_object_get(difference, "low")) == 0 &&
                        json_number_value(json_object_get(difference, "high")) == 0);
        }
        json_decref(next);
        json_decref(loaded);
        free(text);
        json_decref(first);
        fixture_close(&fixture);
    }
}

static void a_baseline_of_other_cases_is_refused(void **state)
{
    (void)state;
    struct fixture fixture, other;
    struct outcome_set *set;
    const char *model;
    struct error err;
    fixture_open(&fixture, TICKETS);
    classify(fixture.own, two_right);
    json_t *report = fixture_report(&fixture, NULL);
    fixture_open(&other, TICKETS "{\"id\": \"5\", \"text\": \"e\", \"label\": \"y\"}\n");
    assert_int_equal(report_outcomes(report, other.suite, other.digest, &set, &model, &err),
                     ERR_INVALID);
    assert_non_null(strstr(err.text, "of other cases"));
    json_object_set_new(report, "cases", json_array());
    assert_int_equal(report_outcomes(report, fixture.suite, fixture.digest, &set, &model, &err),
                     ERR_INVALID);
    json_object_set_new(report, "schema", json_integer(2));
    assert_int_equal(report_outcomes(report, fixture.suite, fixture.digest, &set, &model, &err),
                     ERR_INVALID);
    json_object_clear(report);
    assert_int_equal(report_outcomes(report, fixture.suite, fixture.digest, &set, &model, &err),
                     ERR_INVALID);
    assert_string_equal(err.text, "the baseline is no report of an evaluation");
    json_decref(report);
    fixture_close(&fixture);
    fixture_close(&other);
}

/* Rows: four documents, then two queries. The second query is as near to d1 as to d4. */
static void documents_are_ranked_by_their_cosine(void **state)
{
    (void)state;
    static const float vectors[6][2] = {{1, 0}, {0.6f, 0.8f}, {0, 1}, {1, 0}, {1, 0}, {0.8f, 0.6f}};
    struct vector_rows rows = {.dimension = 2};
    struct fixture fixture;
    fixture_open(
        &fixture,
        "{\"suite\": \"r\", \"type\": \"retrieval\"}\n"
        "{\"document\": \"d1\", \"text\": \"a\"}\n{\"document\": \"d2\", \"text\": \"b\"}\n"
        "{\"document\": \"d3\", \"text\": \"c\"}\n{\"document\": \"d4\", \"text\": \"d\"}\n"
        "{\"query\": \"q1\", \"text\": \"e\", \"relevant\": [\"d3\", \"d4\"]}\n"
        "{\"query\": \"q2\", \"text\": \"f\", \"relevant\": {\"d4\": 2, \"d2\": 5}}\n");
    int first = file_of(vectors, 4 * sizeof vectors[0]);
    int second = file_of(vectors[4], 2 * sizeof vectors[0]);
    assert_int_equal(vector_rows_add(&rows, first, 3, NULL), ERR_INVALID);
    assert_int_equal(vector_rows_add(&rows, first, 4, NULL), 0);
    assert_int_equal(vector_rows_add(&rows, second, 2, NULL), 0);
    assert_int_equal(answers_retrieve(fixture.own, fixture.suite, &rows, NULL, NULL, NULL), 0);
    const struct outcome *cases = outcome_set_get(fixture.own)->cases;
    /* q1: d1 and d4 have 1 (d1 comes first), d2 0.6, d3 0. */
    assert_string_equal(cases[0].best, "d1");
    assert_int_equal(cases[0].hits[0].rank, 2);
    assert_int_equal(cases[0].hits[1].rank, 4);
    /* q2: d2 0.96, d1 and d4 0.8, d3 0.6. */
    assert_string_equal(cases[1].best, "d2");
    assert_int_equal(cases[1].hits[0].rank, 1);
    assert_int_equal(cases[1].hits[0].grade, 5);
    assert_int_equal(cases[1].hits[1].rank, 3);
    vector_rows_fini(&rows);
    close(first);
    close(second);
    fixture_close(&fixture);
}

static void vectors_of_pairs_are_compared(void **state)
{
    (void)state;
    float vectors[4][19] = {{0}};
    struct vector_rows rows = {.dimension = 19};
    struct fixture fixture;
    struct error err;
    fixture_open(&fixture, "{\"suite\": \"s\", \"type\": \"similarity\"}\n"
                           "{\"a\": \"a\", \"b\": \"b\", \"score\": 1}\n"
                           "{\"a\": \"c\", \"b\": \"d\", \"score\": 2}\n");
    vectors[0][2] = vectors[1][2] = 0.6f;
    vectors[0][18] = vectors[1][18] = 0.8f;
    vectors[2][0] = 1;
    vectors[3][17] = 1;
    int fd = file_of(vectors, sizeof vectors);
    assert_int_equal(vector_rows_add(&rows, fd, 4, NULL), 0);
    assert_int_equal(answers_compare(fixture.own, fixture.suite, &rows, NULL), 0);
    const struct outcome *cases = outcome_set_get(fixture.own)->cases;
    assert_true(fabs(cases[0].answer - 1) < 1e-6 && cases[1].answer == 0);
    vector_rows_fini(&rows);
    close(fd);

    vectors[3][0] = NAN;
    fd = file_of(vectors, sizeof vectors);
    rows.dimension = 19;
    assert_int_equal(vector_rows_add(&rows, fd, 4, NULL), 0);
    assert_int_equal(answers_compare(fixture.own, fixture.suite, &rows, &err), ERR_INVALID);
    assert_string_equal(err.text, "the model's vectors of line-3 are not finite");
    vector_rows_fini(&rows);
    close(fd);
    fixture_close(&fixture);
}

static void answers_that_are_none_are_refused(void **state)
{
    (void)state;
    static const char three[] = "{\"label\":\"x\",\"score\":1}\n{\"label\":\"x\",\"score\":1}\n"
                                "{\"label\":\"x\",\"score\":1}\n";
    static const char *const files[] = {"", "{\"label\":\"x\"}\n", "nope\n",
                                        "{\"label\":\"x\",\"score\":1}\n", three};
    struct fixture fixture;
    fixture_open(&fixture, TICKETS);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        int fd = file_of(files[i], strlen(files[i]));
        assert_int_equal(answers_classify(fixture.own, 0, 2, fd, NULL), ERR_INVALID);
        close(fd);
    }
    fixture_close(&fixture);
}

/* The page has no doctype's entities and closes all it opens but for meta and br: as XML, with
 * those closed, a strict parser takes it. */
static void assert_well_formed(struct buffer *page)
{
    struct buffer xml = {0};
    for (const char *at = buffer_text(page); *at != '\0'; at++) {
        bool is_void = strncmp(at, "<meta", 5) == 0 || strncmp(at, "<br", 3) == 0;
        if (!is_void) {
            buffer_append_byte(&xml, (uint8_t)*at);
            continue;
        }
        at += strcspn(at, ">");
    }
    xmlDoc *doc = xmlReadMemory((const char *)xml.data, (int)xml.size, NULL, "UTF-8",
                                XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
    if (doc == NULL)
        fail_msg("the page is not well-formed: %s", buffer_text(&xml));
    xmlFreeDoc(doc);
    buffer_fini(&xml);
}

static void a_page_shows_texts_and_interprets_none(void **state)
{
    (void)state;
    struct fixture fixture;
    struct buffer page = {0};
    fixture_open(&fixture, "{\"suite\": \"t\", \"type\": \"classification\","
                           " \"description\": \"<script>alert(1)</script> & more\"}\n"
                           "{\"id\": \"<i>\", \"text\": \"a\", \"label\": \"\\\"<b>'\"}\n"
                           "{\"id\": \"2\", \"text\": \"b\", \"label\": \"y\"}\n");
    fixture.excerpts[0] = "</td><img src=x onerror=alert(1)> \x01 \xe2\x80\xae right to left";
    classify(fixture.own, (const char *const[]){"y", "<svg onload=x>", NULL});
    json_t *report = fixture_report(&fixture, NULL);
    page_write(report, &page);
    const char *text = buffer_text(&page);
    assert_null(strstr(text, "<script"));
    assert_null(strstr(text, "<img"));
    assert_null(strstr(text, "<svg onload"));
    assert_null(strstr(text, "<i>"));
    assert_non_null(strstr(text, "&lt;img src=x onerror=alert(1)&gt; \xef\xbf\xbd "));
    assert_non_null(strstr(text, "default-src 'none'"));
    assert_non_null(strstr(text, "&lt;script&gt;"));
    assert_well_formed(&page);
    json_decref(report);
    buffer_fini(&page);
    fixture_close(&fixture);
}

static void pages_of_every_type_are_well_formed(void **state)
{
    (void)state;
    static const struct hit hits[] = {{2, 1}};
    struct buffer page = {0};
    struct fixture fixture;
    fixture_open(&fixture, "{\"suite\": \"s\", \"type\": \"similarity\"}\n"
                           "{\"a\": \"a\", \"b\": \"b\", \"score\": 1}\n"
                           "{\"a\": \"c\", \"b\": \"d\", \"score\": 1}\n");
    json_t *report = fixture_report(&fixture, NULL);
    page_write(report, &page);
    assert_non_null(strstr(buffer_text(&page), "out of order"));
    assert_null(strstr(buffer_text(&page), "nan"));
    assert_well_formed(&page);
    json_decref(report);
    fixture_close(&fixture);

    fixture_open(&fixture, "{\"suite\": \"r\", \"type\": \"retrieval\", \"k\": [1]}\n"
                           "{\"document\": \"d1\", \"text\": \"a\"}\n"
                           "{\"document\": \"d2\", \"text\": \"b\"}\n"
                           "{\"query\": \"q1\", \"text\": \"c\", \"relevant\": [\"d1\"]}\n"
                           "{\"query\": \"q2\", \"text\": \"d\", \"relevant\": [\"d2\"]}\n");
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(outcome_set_hits(fixture.own, i, hits, 1, "d1", NULL), 0);
    report = fixture_report(&fixture, NULL);
    buffer_clear(&page);
    page_write(report, &page);
    assert_non_null(strstr(buffer_text(&page), "recall@K over K"));
    assert_non_null(strstr(buffer_text(&page), "what matters at place 2"));
    assert_well_formed(&page);
    json_decref(report);
    fixture_close(&fixture);

    report = json_object();
    buffer_clear(&page);
    page_write(report, &page);
    assert_well_formed(&page);
    json_decref(report);
    buffer_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missed_threshold_is_a_regression),
        cmocka_unit_test(a_drop_of_just_as_much_passes),
        cmocka_unit_test(a_report_is_the_next_ones_baseline),
        cmocka_unit_test(a_baseline_of_other_cases_is_refused),
        cmocka_unit_test(documents_are_ranked_by_their_cosine),
        cmocka_unit_test(vectors_of_pairs_are_compared),
        cmocka_unit_test(answers_that_are_none_are_refused),
        cmocka_unit_test(a_page_shows_texts_and_interprets_none),
        cmocka_unit_test(pages_of_every_type_are_well_formed),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    xmlCleanupParser();
    return failed;
}
