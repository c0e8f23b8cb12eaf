/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suite: a good file is what it says, everything that is wrong with another is told with its line,
 * and texts are handed out in the order of the file, in the form a model is given.
 */
#include "workflows/evaluation/suite.h"

#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/test.h"

#define CLASSIFICATION "{\"suite\": \"s\", \"type\": \"classification\"}\n"
#define SIMILARITY     "{\"suite\": \"s\", \"type\": \"similarity\"}\n"
#define RETRIEVAL      "{\"suite\": \"s\", \"type\": \"retrieval\"}\n"

static int collect(void *arg, const char *text, size_t size, struct error *err)
{
    (void)err;
    struct buffer *out = arg;
    buffer_append(out, text, size);
    buffer_append_byte(out, '|');
    return 0;
}

static struct suite *read_bytes(const char *data, size_t size, struct buffer *texts)
{
    struct suite *suite;
    int fd = memfd_create("suite", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    assert_int_equal(suite_read(fd, texts != NULL ? collect : NULL, texts, &suite, NULL), 0);
    close(fd);
    return suite;
}

static struct suite *read_text(const char *text, struct buffer *texts)
{
    return read_bytes(text, strlen(text), texts);
}

static void a_classification_has_labels_in_order(void **state)
{
    (void)state;
    struct buffer texts = {0};
    struct suite *suite =
        read_text("{\"suite\": \"t-1\", \"type\": \"classification\", \"description\": \"D\","
                  " \"minimum\": {\"accuracy\": 0.9}, \"maximum_drop\": {\"macro_f1\": 0.1}}\n"
                  "\n"
                  "{\"text\": \"The  Parcel\", \"label\": \"late\", \"note\": 1}\n"
                  "  \t\r\n"
                  "{\"id\": \"b\", \"text\": \"Money\", \"label\": \"bill\"}",
                  &texts);
    assert_int_equal(suite->error_count, 0);
    assert_string_equal(suite->name, "t-1");
    assert_string_equal(suite->description, "D");
    assert_int_equal(suite->case_count, 2);
    assert_int_equal(suite->label_count, 2);
    assert_string_equal(suite->labels[0], "bill");
    assert_string_equal(suite->labels[1], "late");
    assert_string_equal(suite->cases[0].id, "line-3");
    assert_int_equal(suite->cases[0].label, 1);
    assert_int_equal(suite->cases[1].line, 5);
    assert_int_equal(suite->cases[1].label, 0);
    assert_true(suite->metrics.metrics[0].minimum == 0.9 &&
                isnan(suite->metrics.metrics[0].maximum_drop));
    assert_true(suite->metrics.metrics[1].maximum_drop == 0.1);
    assert_string_equal(buffer_text(&texts), "the parcel|money|");
    buffer_fini(&texts);
    suite_destroy(suite);
}

static void a_similarity_has_two_texts_a_case(void **state)
{
    (void)state;
    struct buffer texts = {0};
    struct suite *suite = read_text(SIMILARITY "{\"a\": \"One\", \"b\": \"Two\", \"score\": 4}\n"
                                               "{\"a\": \"x\", \"b\": \"y\", \"score\": -0.5}\n",
                                    &texts);
    assert_int_equal(suite->error_count, 0);
    assert_int_equal(suite->text_count, 4);
    assert_int_equal(suite->cases[1].text, 2);
    assert_true(suite->cases[1].score == -0.5);
    assert_string_equal(buffer_text(&texts), "One|Two|x|y|");
    buffer_fini(&texts);
    suite_destroy(suite);
}

static void a_retrieval_may_name_documents_that_come_later(void **state)
{
    (void)state;
    struct suite *suite =
        read_text("{\"suite\": \"s\", \"type\": \"retrieval\", \"k\": [2, 7]}\n"
                  "{\"query\": \"q1\", \"text\": \"a\", \"relevant\": [\"d2\"]}\n"
                  "{\"document\": \"d1\", \"text\": \"b\"}\n"
                  "{\"query\": \"d1\", \"text\": \"c\", \"relevant\": {\"d2\": 3, \"d1\": 1}}\n"
                  "{\"document\": \"d2\", \"text\": \"d\"}\n",
                  NULL);
    assert_int_equal(suite->error_count, 0);
    assert_int_equal(suite->case_count, 2);
    assert_int_equal(suite->document_count, 2);
    assert_int_equal(suite->documents[1].text, 3);
    assert_int_equal(suite->relevants[0].document, 1);
    assert_int_equal(suite->relevants[0].grade, 1);
    assert_int_equal(suite->cases[1].relevant_first, 1);
    assert_int_equal(suite->cases[1].relevant_count, 2);
    assert_int_equal(suite->relevants[1].grade, 3);
    assert_int_equal(suite->metrics.count, 4);
    assert_string_equal(suite->metrics.metrics[1].name, "recall@7");
    assert_string_equal(suite->metrics.metrics[2].name, "ndcg@2");
    suite_destroy(suite);
}

/* The problem of the last line of text. */
static void assert_problem(const char *text, uint64_t line, const char *expected)
{
    struct suite *suite = read_text(text, NULL);
    bool is_found = false;
    for (size_t i = 0; i < suite->problem_count; i++)
        is_found |=
            suite->problems[i].line == line && strstr(suite->problems[i].text, expected) != NULL;
    if (!is_found)
        fail_msg("%s\nhas no problem \"%s\" in line %d, but \"%s\"", text, expected, (int)line,
                 suite->problem_count > 0 ? suite->problems[0].text : "none");
    suite_destroy(suite);
}

static void each_wrong_line_is_told_by_its_number(void **state)
{
    (void)state;
    static const struct {
        const char *header, *line, *text;
    } cases[] = {
        {CLASSIFICATION, "{\"text\": \"a\", \"label\": \"x\"", "no JSON"},
        {CLASSIFICATION, "[1]", "must be a JSON object"},
        {CLASSIFICATION, "{\"text\": \"a\", \"text\": \"b\", \"label\": \"x\"}", "duplicate"},
        {CLASSIFICATION, "{\"text\": \"\\u0000\", \"label\": \"x\"}", "no JSON"},
        {CLASSIFICATION, "{\"text\": \"\xff\", \"label\": \"x\"}", "not UTF-8"},
        {CLASSIFICATION, "{\"label\": \"x\"}", "\"text\" is missing"},
        {CLASSIFICATION, "{\"text\": 3, \"label\": \"x\"}", "\"text\" is no string"},
        {CLASSIFICATION, "{\"text\": \" \\t\", \"label\": \"x\"}", "\"text\" is blank"},
        {CLASSIFICATION, "{\"text\": \"a\"}", "\"label\" is missing"},
        {CLASSIFICATION, "{\"text\": \"a\", \"label\": \" x\"}", "no blank first"},
        {CLASSIFICATION, "{\"text\": \"a\", \"label\": \"x\", \"id\": 7}", "\"id\" is no string"},
        {CLASSIFICATION, "{\"text\": \"a\", \"label\": \"x\", \"id\": \"a\\nb\"}", "control"},
        {SIMILARITY, "{\"a\": \"a\", \"b\": \"b\"}", "\"score\" is missing"},
        {SIMILARITY, "{\"a\": \"a\", \"b\": \"b\", \"score\": \"1\"}", "\"score\" is no number"},
        {SIMILARITY, "{\"a\": \"a\", \"score\": 1}", "\"b\" is missing"},
        {RETRIEVAL, "{\"text\": \"a\"}", "\"query\" is missing"},
        {RETRIEVAL, "{\"query\": \"q\", \"text\": \"a\"}", "at least one document"},
        {RETRIEVAL, "{\"query\": \"q\", \"text\": \"a\", \"relevant\": [3]}", "name documents"},
        {RETRIEVAL, "{\"query\": \"q\", \"text\": \"a\", \"relevant\": {\"d\": 0}}", "the grade"},
        {RETRIEVAL, "{\"query\": \"q\", \"text\": \"a\", \"relevant\": [\"d\"]}",
         "there is no document d"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, "%s\n%s\n", cases[i].header, cases[i].line);
        assert_problem(text, 3, cases[i].text);
    }
    assert_problem(CLASSIFICATION "{\"id\": \"a\", \"text\": \"a\", \"label\": \"x\"}\n"
                                  "{\"id\": \"a\", \"text\": \"b\", \"label\": \"x\"}\n",
                   3, "\"id\" a was used in line 2");
    assert_problem(RETRIEVAL "{\"document\": \"d\", \"text\": \"a\"}\n"
                             "{\"document\": \"d\", \"text\": \"b\"}\n",
                   3, "is there already");
    assert_problem(RETRIEVAL "{\"document\": \"d\", \"text\": \"a\"}\n"
                             "{\"query\": \"q\", \"text\": \"b\", \"relevant\": [\"d\", \"d\"]}\n",
                   3, "names d twice");
    assert_problem(CLASSIFICATION "{\"text\": \"a\", \"label\": \"x\"}\n", 0, "at least 2 cases");
    assert_problem("", 0, "at least 2 cases");
}

static void the_first_line_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *line, *text;
    } cases[] = {
        {"{\"text\": \"a\", \"label\": \"x\"}", "the first line must be the suite's"},
        {"{\"suite\": \"a b\", \"type\": \"similarity\"}", "may have letters"},
        {"{\"suite\": \"s\", \"type\": \"regression\"}", "\"type\" must be"},
        {"{\"suite\": \"s\", \"type\": \"similarity\", \"minimun\": {}}",
         "did you mean \"minimum\""},
        {"{\"suite\": \"s\", \"type\": \"similarity\", \"k\": [1]}", "for retrieval only"},
        {"{\"suite\": \"s\", \"type\": \"retrieval\", \"k\": [5, 3]}", "ascending"},
        {"{\"suite\": \"s\", \"type\": \"retrieval\", \"k\": []}", "ascending"},
        {"{\"suite\": \"s\", \"type\": \"retrieval\", \"k\": [1001]}", "ascending"},
        {"{\"suite\": \"s\", \"type\": \"similarity\", \"minimum\": {\"accuracy\": 1}}",
         "no metric of this suite is called \"accuracy\": spearman"},
        {"{\"suite\": \"s\", \"type\": \"similarity\", \"maximum_drop\": {\"spearman\": -1}}",
         "must be a number from 0 to 2"},
        {"not json", "no JSON"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_problem(cases[i].line, 1, cases[i].text);
}

static void all_problems_are_counted_and_the_first_listed(void **state)
{
    (void)state;
    struct buffer text = {0}, report = {0};
    buffer_append_text(&text, CLASSIFICATION);
    for (int i = 0; i < 250; i++)
        buffer_append_text(&text, "{\"text\": \"a\"}\n");
    struct suite *suite = read_text(buffer_text(&text), NULL);
    assert_int_equal(suite->error_count, 250);
    assert_int_equal(suite->problem_count, SUITE_PROBLEMS_MAX);
    suite_report_text(suite, "bad.jsonl", &report);
    assert_non_null(strstr(buffer_text(&report), "bad.jsonl:2: \"label\" is missing\n"));
    assert_non_null(strstr(buffer_text(&report), "bad.jsonl: and 150 more\n"));
    json_t *json = suite_report_json(suite);
    assert_int_equal(json_integer_value(json_object_get(json, "errors")), 250);
    assert_false(json_is_true(json_object_get(json, "fit")));
    json_decref(json);
    buffer_fini(&text);
    buffer_fini(&report);
    suite_destroy(suite);
}

/* A line that does not fit is one problem, and reading goes on behind it. */
static void a_line_that_is_too_long_is_not_held(void **state)
{
    (void)state;
    struct buffer text = {0};
    buffer_append_text(&text, CLASSIFICATION "{\"text\": \"a\", \"label\": \"x\"}\n{\"text\": \"");
    for (int i = 0; i < 600 * 1024; i++)
        buffer_append_byte(&text, 'a');
    buffer_append_text(&text, "\", \"label\": \"x\"}\n{\"text\": \"b\", \"label\": \"x\"}\n");
    struct suite *suite = read_bytes((const char *)text.data, text.size, NULL);
    assert_int_equal(suite->error_count, 1);
    assert_int_equal(suite->problems[0].line, 3);
    assert_int_equal(suite->case_count, 2);
    buffer_fini(&text);
    suite_destroy(suite);
}

/* A problem's text that is cut within a character is still a text. */
static void a_problem_is_utf8_whatever_it_names(void **state)
{
    (void)state;
    struct buffer text = {0};
    buffer_append_text(&text, RETRIEVAL "{\"query\": \"q\", \"text\": \"a\", \"relevant\": [\"x");
    for (int i = 0; i < 300; i++)
        buffer_append_text(&text, "\xc3\xa9");
    buffer_append_text(&text, "\"]}\n");
    struct suite *suite = read_text(buffer_text(&text), NULL);
    json_t *json = suite_report_json(suite);
    assert_int_equal(json_array_size(json_object_get(json, "problems")), suite->problem_count);
    assert_true(suite->problem_count > 0);
    json_decref(json);
    buffer_fini(&text);
    suite_destroy(suite);
}

static int refuse(void *arg, const char *text, size_t size, struct error *err)
{
    (void)arg;
    (void)text;
    (void)size;
    return error_set(err, ERR_IO, "the disk is full");
}

static void what_the_taker_of_texts_returns_ends_the_reading(void **state)
{
    (void)state;
    static const char data[] = CLASSIFICATION "{\"text\": \"a\", \"label\": \"x\"}\n";
    struct suite *suite = NULL;
    struct error err;
    int fd = memfd_create("suite", MFD_CLOEXEC);
    assert_int_equal(write(fd, data, sizeof data - 1), sizeof data - 1);
    assert_int_equal(suite_read(fd, refuse, NULL, &suite, &err), ERR_IO);
    assert_string_equal(err.text, "the disk is full");
    assert_null(suite);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_classification_has_labels_in_order),
        cmocka_unit_test(a_similarity_has_two_texts_a_case),
        cmocka_unit_test(a_retrieval_may_name_documents_that_come_later),
        cmocka_unit_test(each_wrong_line_is_told_by_its_number),
        cmocka_unit_test(the_first_line_is_checked),
        cmocka_unit_test(all_problems_are_counted_and_the_first_listed),
        cmocka_unit_test(a_line_that_is_too_long_is_not_held),
        cmocka_unit_test(a_problem_is_utf8_whatever_it_names),
        cmocka_unit_test(what_the_taker_of_texts_returns_ends_the_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
