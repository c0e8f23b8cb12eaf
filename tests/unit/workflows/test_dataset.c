/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataset: everything that is wrong with a file is found, with its line; duplicates, contradictions
 * and leaks; the split against figures worked out by hand.
 */
#include "workflows/finetune/dataset.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/test.h"

static int file_of(const char *text, size_t size)
{
    int fd = memfd_create("dataset", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, size), size);
    return fd;
}

struct opened {
    int fds[2];
    uint32_t count;
    struct dataset *dataset;
    const struct dataset_report *report;
};

/* held_out may be NULL. */
static struct opened open_texts(const char *train, const char *held_out)
{
    struct opened opened = {.fds = {file_of(train, strlen(train)), -1}, .count = 1};
    if (held_out != NULL)
        opened.fds[opened.count++] = file_of(held_out, strlen(held_out));
    struct dataset_source sources[2] = {{opened.fds[0], "train.jsonl"},
                                        {opened.fds[1], "held.jsonl"}};
    assert_int_equal(dataset_read(sources, opened.count, &opened.dataset, NULL), 0);
    opened.report = dataset_report(opened.dataset);
    return opened;
}

static void opened_close(struct opened *opened)
{
    dataset_destroy(opened->dataset);
    for (uint32_t i = 0; i < opened->count; i++)
        close(opened->fds[i]);
}

/* count examples of a label: {"text": "<prefix> <i>", ...}. */
static void add_examples(struct buffer *out, const char *label, const char *prefix, int count)
{
    for (int i = 0; i < count; i++)
        buffer_printf(out, "{\"text\": \"%s %d\", \"label\": \"%s\"}\n", prefix, i, label);
}

static const struct dataset_problem *problem_at(const struct dataset_report *report,
                                                enum dataset_severity severity, uint64_t line)
{
    for (uint32_t i = 0; i < report->problem_counts[severity]; i++) {
        if (report->problems[severity][i].line == line)
            return &report->problems[severity][i];
    }
    return NULL;
}

static void each_wrong_line_is_told_by_its_number(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum dataset_problem_kind kind;
        const char *text;
    } cases[] = {
        {"{\"text\": \"a\", \"label\": \"x\"", DATASET_MALFORMED_JSON, "column"},
        {"[\"a\", \"x\"]", DATASET_MALFORMED_JSON, "must be an object"},
        {"{\"text\": \"a\", \"text\": \"b\", \"label\": \"x\"}", DATASET_MALFORMED_JSON,
         "duplicate"},
        {"{\"label\": \"x\"}", DATASET_TEXT_MISSING, "\"text\" is missing"},
        {"{\"text\": 3, \"label\": \"x\"}", DATASET_TEXT_MISSING, "\"text\" is no string"},
        {"{\"text\": \" \\t\\u200b\", \"label\": \"x\"}", DATASET_TEXT_BLANK, "blank"},
        {"{\"text\": \"a\"}", DATASET_LABEL_MISSING, "\"label\" is missing"},
        {"{\"text\": \"a\", \"label\": null}", DATASET_LABEL_MISSING, "\"label\" is no string"},
        {"{\"text\": \"a\", \"label\": \"\"}", DATASET_LABEL_BLANK, "blank"},
        {"{\"text\": \"a\", \"label\": \"x \"}", DATASET_LABEL_MALFORMED, "ends with a blank"},
        {"{\"text\": \"a\", \"label\": \"x\\u0000y\"}", DATASET_LABEL_MALFORMED, "control"},
        {"{\"text\": \"caf\xe9\", \"label\": \"x\"}", DATASET_INVALID_UTF8, "byte 14"},
    };
    enum { COUNT = sizeof cases / sizeof cases[0] };
    struct buffer text = {0};
    for (size_t i = 0; i < COUNT; i++)
        buffer_printf(&text, "%s\n\n", cases[i].line); /* every second line is empty */
    struct opened opened = open_texts(buffer_text(&text), NULL);
    for (size_t i = 0; i < COUNT; i++) {
        const struct dataset_problem *problem = problem_at(opened.report, DATASET_ERROR, 2 * i + 1);
        assert_non_null(problem);
        assert_int_equal(problem->kind, cases[i].kind);
        assert_non_null(strstr(problem->text, cases[i].text));
    }
    /* The lines, the file without examples, and too few labels. */
    assert_int_equal(opened.report->totals[DATASET_ERROR], COUNT + 2);
    assert_false(dataset_is_fit(opened.dataset));
    opened_close(&opened);
    buffer_fini(&text);
}

static void lengths_are_bounded_at_the_documented_place(void **state)
{
    (void)state;
    struct buffer text = {0};
    for (int extra = 0; extra <= 1; extra++) { /* 10,000 characters, and one more */
        buffer_append_text(&text, "{\"label\": \"x\", \"text\": \"");
        for (int i = 0; i < DATASET_TEXT_LENGTH_MAX + extra; i++)
            buffer_append_text(&text, "\xc3\xa4");
        buffer_append_text(&text, "\"}\n");
    }
    for (int extra = 0; extra <= 1; extra++) {
        buffer_append_text(&text, "{\"text\": \"t\", \"label\": \"");
        for (unsigned i = 0; i < DATASET_LABEL_SIZE_MAX + (unsigned)extra; i++)
            buffer_append_byte(&text, 'l');
        buffer_append_text(&text, "\"}\n");
    }
    for (unsigned i = 0; i <= DATASET_LINE_SIZE_MAX; i++)
        buffer_append_byte(&text, '{');
    buffer_append_text(&text, "\n{\"text\": \"after\", \"label\": \"x\"}"); /* no line feed */
    struct opened opened = open_texts(buffer_text(&text), NULL);
    assert_null(problem_at(opened.report, DATASET_ERROR, 1));
    assert_int_equal(problem_at(opened.report, DATASET_ERROR, 2)->kind, DATASET_TEXT_TOO_LONG);
    assert_non_null(strstr(problem_at(opened.report, DATASET_ERROR, 2)->text, "10001"));
    assert_null(problem_at(opened.report, DATASET_ERROR, 3));
    assert_int_equal(problem_at(opened.report, DATASET_ERROR, 4)->kind, DATASET_LABEL_TOO_LONG);
    assert_int_equal(problem_at(opened.report, DATASET_ERROR, 5)->kind, DATASET_LINE_TOO_LONG);
    assert_int_equal(opened.report->files[0].examples, 3);
    opened_close(&opened);
    buffer_fini(&text);
}

static void equal_texts_are_found_whatever_their_case(void **state)
{
    (void)state;
    struct buffer train = {0}, held_out = {0};
    add_examples(&train, "no", "refuse", 20);  /* lines 1 to 20 */
    add_examples(&train, "yes", "accept", 20); /* 21 to 40 */
    buffer_append_text(&train, "{\"text\": \"refuse 3\", \"label\": \"no\"}\n"
                               "{\"text\": \"  REFUSE   4\", \"label\": \"no\"}\n"
                               "{\"text\": \"Accept 5\", \"label\": \"no\"}\n");
    add_examples(&held_out, "no", "refuse again", 2);
    buffer_append_text(&held_out, "{\"text\": \"ACCEPT 6\", \"label\": \"yes\"}\n"
                                  "{\"text\": \"odd one\", \"label\": \"maybe\"}\n");
    struct opened opened = open_texts(buffer_text(&train), buffer_text(&held_out));
    const struct dataset_report *report = opened.report;
    assert_int_equal(report->counts[DATASET_DUPLICATE], 1);
    assert_int_equal(report->counts[DATASET_NEAR_DUPLICATE], 1);
    assert_int_equal(report->counts[DATASET_CONTRADICTION], 1);
    assert_int_equal(report->counts[DATASET_LEAK], 1);
    assert_int_equal(report->counts[DATASET_LABEL_UNKNOWN], 1);
    assert_int_equal(report->totals[DATASET_ERROR], 3);
    assert_int_equal(report->totals[DATASET_WARNING], 2);
    assert_string_equal(problem_at(report, DATASET_WARNING, 41)->text,
                        "the same example as train.jsonl:4");
    assert_non_null(strstr(problem_at(report, DATASET_WARNING, 42)->text, "train.jsonl:5"));
    assert_string_equal(problem_at(report, DATASET_ERROR, 43)->text,
                        "the text of train.jsonl:26 with the label \"no\" instead of \"yes\"");
    assert_string_equal(problem_at(report, DATASET_ERROR, 3)->text,
                        "the text is in the train file too: train.jsonl:27");
    assert_int_equal(problem_at(report, DATASET_ERROR, 3)->source, 1);
    opened_close(&opened);
    buffer_fini(&train);
    buffer_fini(&held_out);
}

static void classes_are_counted_and_compared(void **state)
{
    (void)state;
    struct buffer text = {0};
    add_examples(&text, "big", "b", 201);
    add_examples(&text, "fair", "f", 20);
    add_examples(&text, "rough", "r", 19);
    add_examples(&text, "tiny", "t", 4);
    add_examples(&text, "tiny", "t", 4); /* again: they count as examples, not as texts */
    struct opened opened = open_texts(buffer_text(&text), NULL);
    const struct dataset_report *report = opened.report;
    assert_int_equal(report->label_count, 4);
    assert_string_equal(report->labels[0].name, "big");
    assert_string_equal(report->labels[3].name, "tiny");
    assert_int_equal(report->labels[3].examples[0], 8);
    assert_int_equal(report->labels[3].distinct, 4);
    assert_int_equal(report->counts[DATASET_CLASS_TOO_SMALL], 1);
    assert_int_equal(report->counts[DATASET_CLASS_SMALL], 1);
    assert_int_equal(report->counts[DATASET_IMBALANCE], 1);
    assert_int_equal(report->counts[DATASET_DUPLICATE], 4);
    const struct dataset_problem *last =
        &report->problems[DATASET_WARNING][report->problem_counts[DATASET_WARNING] - 1];
    assert_string_equal(last->text,
                        "label \"big\" has 201 examples, \"tiny\" only 8: 25.1 times as "
                        "many");
    opened_close(&opened);

    opened = open_texts("{\"text\": \"a\", \"label\": \"only\"}\n", NULL);
    assert_int_equal(opened.report->counts[DATASET_TOO_FEW_LABELS], 1);
    opened_close(&opened);
    buffer_fini(&text);
}

static void all_problems_are_counted_and_the_first_listed(void **state)
{
    (void)state;
    struct buffer text = {0};
    for (int i = 0; i < 250; i++)
        buffer_append_text(&text, "nothing\n");
    struct opened opened = open_texts(buffer_text(&text), NULL);
    assert_int_equal(opened.report->counts[DATASET_MALFORMED_JSON], 250);
    assert_int_equal(opened.report->problem_counts[DATASET_ERROR], DATASET_PROBLEMS_MAX);
    assert_int_equal(opened.report->problems[DATASET_ERROR][99].line, 100);
    buffer_clear(&text);
    dataset_report_text(opened.report, &text);
    assert_non_null(strstr(buffer_text(&text), "train.jsonl:1: error: the line is no JSON"));
    assert_non_null(strstr(buffer_text(&text), "and 152 more errors\n"));
    json_t *json = dataset_report_json(opened.report);
    assert_int_equal(json_integer_value(json_object_get(json, "errors")), 252);
    assert_int_equal(json_array_size(json_object_get(json, "problems")), DATASET_PROBLEMS_MAX);
    assert_true(json_is_false(json_object_get(json, "fit")));
    json_decref(json);
    opened_close(&opened);
    buffer_fini(&text);
}

/* ---- the split ---- */

struct part_text {
    struct buffer texts;  /* one line each */
    uint32_t by_label[2]; /* "no", "yes" */
};

static int collect(void *arg, const char *text, size_t text_size, const char *label,
                   struct error *err)
{
    (void)err;
    struct part_text *part = arg;
    buffer_append(&part->texts, text, text_size);
    buffer_append_byte(&part->texts, '\n');
    part->by_label[strcmp(label, "yes") == 0]++;
    return 0;
}

static void parts_collect(struct dataset *dataset, struct part_text parts[DATASET_PARTS])
{
    for (int part = 0; part < DATASET_PARTS; part++) {
        parts[part] = (struct part_text){0};
        assert_int_equal(dataset_part_walk(dataset, part, collect, &parts[part], NULL), 0);
        assert_int_equal(parts[part].by_label[0] + parts[part].by_label[1],
                         dataset_part_count(dataset, part));
        buffer_text(&parts[part].texts);
    }
}

static bool has_text(const struct part_text *part, const char *text)
{
    char line[64];
    snprintf(line, sizeof line, "%s\n", text);
    return strstr((const char *)part->texts.data, line) != NULL;
}

static void a_split_is_stratified_and_keeps_duplicates_together(void **state)
{
    (void)state;
    struct buffer text = {0};
    add_examples(&text, "no", "x", 50);
    add_examples(&text, "yes", "y", 20);
    for (int i = 0; i < 30; i++) /* the same text thirty times more, spelt in capitals */
        buffer_append_text(&text, "{\"text\": \"Y 7\", \"label\": \"yes\"}\n");
    struct opened opened = open_texts(buffer_text(&text), NULL);
    assert_true(dataset_is_fit(opened.dataset));
    struct dataset_split_options options = {.held_out_share = 0.2, .validation_share = 0.1};
    struct part_text parts[DATASET_PARTS];
    for (options.seed = 1; options.seed <= 8; options.seed++) {
        assert_int_equal(dataset_split(opened.dataset, &options, NULL), 0);
        parts_collect(opened.dataset, parts);
        /* "no": 50 texts: 10 held out, 5 validate, 35 train. */
        assert_int_equal(parts[DATASET_HELD_OUT].by_label[0], 10);
        assert_int_equal(parts[DATASET_VALIDATION].by_label[0], 5);
        assert_int_equal(parts[DATASET_TRAIN].by_label[0], 35);
        /* "yes": 20 different texts: 4, 2, 14; the part with "y 7" has 30 examples more. */
        static const uint32_t yes[] = {
            [DATASET_TRAIN] = 14, [DATASET_VALIDATION] = 2, [DATASET_HELD_OUT] = 4};
        int homes = 0;
        for (int part = 0; part < DATASET_PARTS; part++) {
            bool is_home = has_text(&parts[part], "y 7");
            homes += is_home;
            assert_int_equal(parts[part].by_label[1], yes[part] + (is_home ? 30 : 0));
            buffer_fini(&parts[part].texts);
        }
        assert_int_equal(homes, 1);
    }
    opened_close(&opened);
    buffer_fini(&text);
}

static void a_split_depends_on_seed_and_texts_not_on_their_order(void **state)
{
    (void)state;
    struct buffer forward = {0}, backward = {0};
    for (int i = 0; i < 60; i++) {
        buffer_printf(&forward, "{\"text\": \"t%d\", \"label\": \"%s\"}\n", i,
                      i % 2 ? "yes" : "no");
        buffer_printf(&backward, "{\"label\": \"%s\", \"text\": \"T%d\"}\n",
                      (59 - i) % 2 ? "yes" : "no", 59 - i);
    }
    struct opened a = open_texts(buffer_text(&forward), NULL);
    struct opened b = open_texts(buffer_text(&backward), NULL);
    struct dataset_split_options options = {0.25, 0.25, 42};
    struct part_text of_a[DATASET_PARTS], of_b[DATASET_PARTS], of_other[DATASET_PARTS];
    assert_int_equal(dataset_split(a.dataset, &options, NULL), 0);
    assert_int_equal(dataset_split(b.dataset, &options, NULL), 0);
    parts_collect(a.dataset, of_a);
    parts_collect(b.dataset, of_b);
    options.seed = 43;
    assert_int_equal(dataset_split(a.dataset, &options, NULL), 0);
    parts_collect(a.dataset, of_other);
    int moved = 0;
    for (int i = 0; i < 60; i++) {
        char text[16];
        snprintf(text, sizeof text, "t%d", i);
        for (int part = 0; part < DATASET_PARTS; part++) {
            assert_int_equal(has_text(&of_a[part], text), has_text(&of_b[part], text));
            moved += has_text(&of_a[part], text) != has_text(&of_other[part], text);
        }
    }
    assert_true(moved > 0);
    for (int part = 0; part < DATASET_PARTS; part++) {
        buffer_fini(&of_a[part].texts);
        buffer_fini(&of_b[part].texts);
        buffer_fini(&of_other[part].texts);
    }
    opened_close(&a);
    opened_close(&b);
    buffer_fini(&forward);
    buffer_fini(&backward);
}

static void a_held_out_file_is_the_held_out_part(void **state)
{
    (void)state;
    struct buffer train = {0}, held_out = {0};
    add_examples(&train, "no", "x", 5);
    add_examples(&train, "yes", "y", 5);
    add_examples(&held_out, "no", "other", 3);
    struct opened opened = open_texts(buffer_text(&train), buffer_text(&held_out));
    assert_true(dataset_is_fit(opened.dataset));
    struct dataset_split_options options = {0.2, 0.2, 7};
    assert_int_equal(dataset_split(opened.dataset, &options, NULL), 0);
    assert_int_equal(dataset_part_count(opened.dataset, DATASET_TRAIN), 8);
    assert_int_equal(dataset_part_count(opened.dataset, DATASET_VALIDATION), 2);
    assert_int_equal(dataset_part_count(opened.dataset, DATASET_HELD_OUT), 3);
    options.validation_share = 0.5;
    assert_int_equal(dataset_split(opened.dataset, &options, NULL), ERR_INVALID);
    /* A file that changes under the reader is an error, not another dataset. */
    options.validation_share = 0.2;
    assert_int_equal(dataset_split(opened.dataset, &options, NULL), 0);
    assert_int_equal(ftruncate(opened.fds[0], 40), 0);
    struct part_text part = {0};
    assert_int_equal(dataset_part_walk(opened.dataset, DATASET_TRAIN, collect, &part, NULL),
                     ERR_IO);
    buffer_fini(&part.texts);
    opened_close(&opened);
    buffer_fini(&train);
    buffer_fini(&held_out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wrong_line_is_told_by_its_number),
        cmocka_unit_test(lengths_are_bounded_at_the_documented_place),
        cmocka_unit_test(equal_texts_are_found_whatever_their_case),
        cmocka_unit_test(classes_are_counted_and_compared),
        cmocka_unit_test(all_problems_are_counted_and_the_first_listed),
        cmocka_unit_test(a_split_is_stratified_and_keeps_duplicates_together),
        cmocka_unit_test(a_split_depends_on_seed_and_texts_not_on_their_order),
        cmocka_unit_test(a_held_out_file_is_the_held_out_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
