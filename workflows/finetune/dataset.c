/* SPDX-License-Identifier: Apache-2.0 */
/* dataset: reading and checking; see dataset.h. */
#include "workflows/finetune/dataset.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "models/sha256.h"
#include "workflows/finetune/dataset_index.h"
#include "workflows/text.h"

_Static_assert(sizeof(struct dataset_entry) == 48, "dataset.h says what an example costs");
_Static_assert(DATASET_LABELS_MAX <= UINT16_MAX, "a label's id has 16 bits");

static const enum dataset_severity severities[] = {
#define DATASET_SEVERITY(kind, name, severity) [DATASET_##kind] = severity,
    DATASET_PROBLEMS(DATASET_SEVERITY)
#undef DATASET_SEVERITY
};

/* ---- problems ---- */

__attribute__((format(printf, 5, 6))) static void add_problem(struct dataset *dataset,
                                                              enum dataset_problem_kind kind,
                                                              uint32_t source, uint64_t line,
                                                              const char *format, ...)
{
    struct dataset_report *report = &dataset->report;
    enum dataset_severity severity = severities[kind];
    report->counts[kind]++;
    report->totals[severity]++;
    if (report->problem_counts[severity] == DATASET_PROBLEMS_MAX)
        return;
    struct dataset_problem *problem =
        dataset->problems + severity * DATASET_PROBLEMS_MAX + report->problem_counts[severity]++;
    problem->kind = kind;
    problem->source = source;
    problem->line = line;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem->text, sizeof problem->text, format, arguments);
    va_end(arguments);
}

static int compare_problems(const void *a, const void *b)
{
    const struct dataset_problem *x = a, *y = b;
    if ((x->line == 0) != (y->line == 0)) /* those of the whole stand at the end */
        return x->line == 0 ? 1 : -1;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return (x->kind > y->kind) - (x->kind < y->kind);
}

/* ---- examples ---- */

/* The label's entry, made where it is new; NULL when there are too many labels. */
static int label_get(struct dataset *dataset, const char *name,
                     struct dataset_label_entry **ret_label, struct error *err)
{
    struct dataset_label_entry *label;
    HASH_FIND_STR(dataset->labels, name, label);
    if (label == NULL && HASH_COUNT(dataset->labels) < DATASET_LABELS_MAX) {
        label = arena_calloc(&dataset->arena, 1, sizeof *label);
        char *copy = arena_strdup(&dataset->arena, name);
        if (label == NULL || copy == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
        label->label.name = copy;
        label->id = (uint16_t)HASH_COUNT(dataset->labels);
        HASH_ADD_KEYPTR(hh, dataset->labels, copy, strlen(copy), label);
    }
    *ret_label = label;
    return 0;
}

static int hash_text(const void *text, size_t size, uint8_t ret_hash[DATASET_HASH_SIZE],
                     struct error *err)
{
    uint8_t digest[SHA256_SIZE];
    if (sha256_of_bytes(text, size, digest) != 0)
        return error_set(err, ERR_INTERNAL, "could not compute a SHA-256");
    memcpy(ret_hash, digest, DATASET_HASH_SIZE);
    return 0;
}

static int entry_add(struct dataset *dataset, const struct dataset_entry *entry, struct error *err)
{
    if (dataset->entry_count == dataset->entry_capacity) {
        size_t capacity = dataset->entry_capacity == 0 ? 1024 : 2 * dataset->entry_capacity;
        struct dataset_entry *entries = realloc(dataset->entries, capacity * sizeof *entries);
        if (entries == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
        dataset->entries = entries;
        dataset->entry_capacity = capacity;
    }
    dataset->entries[dataset->entry_count++] = *entry;
    return 0;
}

static int example_add(struct dataset *dataset, uint32_t source, const struct dataset_line *line,
                       struct buffer *clean, struct error *err)
{
    struct dataset_label_entry *label;
    int code = label_get(dataset, line->label, &label, err);
    if (code != 0)
        return code;
    if (label == NULL) {
        if (dataset->report.counts[DATASET_TOO_MANY_LABELS] == 0)
            add_problem(dataset, DATASET_TOO_MANY_LABELS, source, line->number,
                        "label \"%s\" is one more than the limit of %u labels", line->label,
                        DATASET_LABELS_MAX);
        return 0;
    }
    struct dataset_entry entry = {
        .line = line->number, .label = label->id, .source = (uint8_t)source};
    buffer_clear(clean);
    code = text_clean(line->text, line->text_size, clean, err);
    if (code == 0)
        code = hash_text(clean->data, clean->size, entry.clean, err);
    if (code == 0)
        code = hash_text(line->text, line->text_size, entry.exact, err);
    if (code == 0)
        code = entry_add(dataset, &entry, err);
    if (code != 0)
        return code;
    label->label.examples[source]++;
    dataset->report.files[source].examples++;
    return 0;
}

static int source_read(struct dataset *dataset, uint32_t source, struct error *err)
{
    struct dataset_reader *reader;
    struct dataset_line line;
    struct buffer clean = {0};
    int code = dataset_reader_create(dataset->sources[source].fd, &reader, err);
    if (code != 0)
        return code;
    while ((code = dataset_reader_next(reader, &line, err)) == 0 && line.type != DATASET_LINE_END) {
        if (line.type == DATASET_LINE_PROBLEM) {
            add_problem(dataset, line.problem, source, line.number, "%s", line.problem_text);
        } else if (dataset->entry_count == DATASET_EXAMPLES_MAX) {
            add_problem(dataset, DATASET_TOO_MANY_EXAMPLES, source, line.number,
                        "the example is one more than the limit of %u", DATASET_EXAMPLES_MAX);
            break;
        } else if ((code = example_add(dataset, source, &line, &clean, err)) != 0) {
            break;
        }
    }
    buffer_fini(&clean);
    dataset_reader_destroy(reader);
    return code;
}

/* ---- labels ---- */

static int compare_labels(const struct dataset_label_entry *a, const struct dataset_label_entry *b)
{
    return strcmp(a->label.name, b->label.name);
}

/* Class ids by name, so that they do not depend on the order of the lines. */
static int labels_order(struct dataset *dataset, struct error *err)
{
    uint16_t ids[DATASET_LABELS_MAX];
    uint32_t count = 0;
    struct dataset_label_entry *label;
    dataset->label_list = calloc(HASH_COUNT(dataset->labels) + 1, sizeof *dataset->label_list);
    if (dataset->label_list == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    HASH_SORT(dataset->labels, compare_labels);
    for (label = dataset->labels; label != NULL; label = label->hh.next) {
        ids[label->id] = (uint16_t)count;
        dataset->label_list[count++] = label->label;
    }
    for (size_t i = 0; i < dataset->entry_count; i++)
        dataset->entries[i].label = ids[dataset->entries[i].label];
    dataset->report.labels = dataset->label_list;
    dataset->report.label_count = count;
    return 0;
}

/* ---- equal texts ---- */

static int compare_texts(const void *a, const void *b, void *arg)
{
    const struct dataset_entry *entries = arg;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    int order = memcmp(entries[x].clean, entries[y].clean, DATASET_HASH_SIZE);
    return order != 0 ? order : (x > y) - (x < y);
}

static int texts_order(struct dataset *dataset, struct error *err)
{
    dataset->by_text = malloc((dataset->entry_count + 1) * sizeof *dataset->by_text);
    if (dataset->by_text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < dataset->entry_count; i++)
        dataset->by_text[i] = (uint32_t)i;
    qsort_r(dataset->by_text, dataset->entry_count, sizeof *dataset->by_text, compare_texts,
            dataset->entries);
    return 0;
}

size_t dataset_group_end(const struct dataset *dataset, size_t begin)
{
    const uint8_t *clean = dataset->entries[dataset->by_text[begin]].clean;
    size_t end = begin + 1;
    while (end < dataset->entry_count &&
           memcmp(dataset->entries[dataset->by_text[end]].clean, clean, DATASET_HASH_SIZE) == 0)
        end++;
    return end;
}

static const char *label_name(const struct dataset *dataset, const struct dataset_entry *entry)
{
    return dataset->label_list[entry->label].name;
}

/* What an example is to an earlier one of the same clean text. */
static void compare_pair(struct dataset *dataset, const struct dataset_entry *first,
                         const struct dataset_entry *entry)
{
    const char *file = dataset->sources[first->source].name;
    unsigned long long line = first->line;
    if (entry->label != first->label)
        add_problem(dataset, DATASET_CONTRADICTION, entry->source, entry->line,
                    "the text of %s:%llu with the label \"%.60s\" instead of \"%.60s\"", file, line,
                    label_name(dataset, entry), label_name(dataset, first));
    else if (entry->source != first->source)
        add_problem(dataset, DATASET_LEAK, entry->source, entry->line,
                    "the text is in the train file too: %s:%llu", file, line);
    else if (memcmp(entry->exact, first->exact, DATASET_HASH_SIZE) == 0)
        add_problem(dataset, DATASET_DUPLICATE, entry->source, entry->line,
                    "the same example as %s:%llu", file, line);
    else
        add_problem(dataset, DATASET_NEAR_DUPLICATE, entry->source, entry->line,
                    "but for case and white space the same example as %s:%llu", file, line);
}

/* Every example of a group is compared with its first. Groups are visited by their first members'
 * places in the files, so that the problems listed are those that come first. */
static int texts_check(struct dataset *dataset, struct error *err)
{
    uint32_t *group_of = calloc(dataset->entry_count + 1, sizeof *group_of);
    if (group_of == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t begin = 0, end; begin < dataset->entry_count; begin = end) {
        end = dataset_group_end(dataset, begin);
        for (size_t i = begin; i < end; i++)
            group_of[dataset->by_text[i]] = dataset->by_text[begin];
        const struct dataset_entry *first = &dataset->entries[dataset->by_text[begin]];
        if (first->source == 0)
            dataset->label_list[first->label].distinct++;
    }
    for (size_t i = 0; i < dataset->entry_count; i++) {
        if (group_of[i] != i)
            compare_pair(dataset, &dataset->entries[group_of[i]], &dataset->entries[i]);
    }
    free(group_of);
    return 0;
}

/* ---- the whole ---- */

static void label_check(struct dataset *dataset, const struct dataset_label *label)
{
    unsigned long long distinct = label->distinct;
    if (label->examples[0] == 0)
        add_problem(dataset, DATASET_LABEL_UNKNOWN, 1, 0,
                    "label \"%s\" is not in the train file (%llu held-out examples have it)",
                    label->name, (unsigned long long)label->examples[1]);
    else if (distinct < DATASET_CLASS_MIN)
        add_problem(dataset, DATASET_CLASS_TOO_SMALL, 0, 0,
                    "label \"%s\" has %llu different texts; at least %u are needed", label->name,
                    distinct, DATASET_CLASS_MIN);
    else if (distinct < DATASET_CLASS_FEW)
        add_problem(dataset, DATASET_CLASS_SMALL, 0, 0,
                    "label \"%s\" has only %llu different texts: its scores are rough", label->name,
                    distinct);
}

static void balance_check(struct dataset *dataset)
{
    const struct dataset_label *smallest = NULL, *largest = NULL;
    for (uint32_t i = 0; i < dataset->report.label_count; i++) {
        const struct dataset_label *label = &dataset->label_list[i];
        if (label->examples[0] == 0)
            continue;
        if (smallest == NULL || label->examples[0] < smallest->examples[0])
            smallest = label;
        if (largest == NULL || label->examples[0] > largest->examples[0])
            largest = label;
    }
    if (smallest != NULL && largest->examples[0] > DATASET_BALANCE_MAX * smallest->examples[0])
        add_problem(dataset, DATASET_IMBALANCE, 0, 0,
                    "label \"%.80s\" has %llu examples, \"%.80s\" only %llu: %.1f times as many",
                    largest->name, (unsigned long long)largest->examples[0], smallest->name,
                    (unsigned long long)smallest->examples[0],
                    (double)largest->examples[0] / (double)smallest->examples[0]);
}

static void whole_check(struct dataset *dataset)
{
    uint32_t in_train = 0;
    for (uint32_t source = 0; source < dataset->report.file_count; source++) {
        if (dataset->report.files[source].examples == 0)
            add_problem(dataset, DATASET_NO_EXAMPLES, source, 0, "the file has no valid example");
    }
    for (uint32_t i = 0; i < dataset->report.label_count; i++) {
        in_train += dataset->label_list[i].examples[0] > 0;
        label_check(dataset, &dataset->label_list[i]);
    }
    if (in_train < 2)
        add_problem(dataset, DATASET_TOO_FEW_LABELS, 0, 0,
                    "a classifier needs examples of at least 2 labels, not of %u", in_train);
    balance_check(dataset);
}

static int dataset_check(struct dataset *dataset, struct error *err)
{
    int code = labels_order(dataset, err);
    if (code == 0)
        code = texts_order(dataset, err);
    if (code == 0)
        code = texts_check(dataset, err);
    if (code != 0)
        return code;
    whole_check(dataset);
    for (int severity = 0; severity < 2; severity++) {
        struct dataset_problem *problems = dataset->problems + severity * DATASET_PROBLEMS_MAX;
        dataset->report.problems[severity] = problems;
        qsort(problems, dataset->report.problem_counts[severity], sizeof *problems,
              compare_problems);
    }
    return 0;
}

static int sources_read(struct dataset *dataset, const struct dataset_source *sources,
                        uint32_t source_count, struct error *err)
{
    dataset->report.file_count = source_count;
    for (uint32_t i = 0; i < source_count; i++) {
        const char *name = arena_strdup(&dataset->arena, sources[i].name);
        if (name == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
        dataset->sources[i] = (struct dataset_source){sources[i].fd, name};
        dataset->report.files[i].name = name;
    }
    for (uint32_t i = 0; i < source_count; i++) {
        int code = source_read(dataset, i, err);
        if (code != 0)
            return error_prefix(err, "%s", dataset->sources[i].name);
    }
    return dataset_check(dataset, err);
}

int dataset_read(const struct dataset_source *sources, uint32_t source_count,
                 struct dataset **ret_dataset, struct error *err)
{
    ASSERT(source_count == 1 || source_count == 2);
    struct dataset *dataset = calloc(1, sizeof *dataset);
    if (dataset == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    arena_init(&dataset->arena, ARENA_NO_LIMIT);
    dataset->problems = calloc(2 * DATASET_PROBLEMS_MAX, sizeof *dataset->problems);
    int code = dataset->problems == NULL ? error_set(err, ERR_MEMORY, "out of memory")
                                         : sources_read(dataset, sources, source_count, err);
    if (code != 0) {
        dataset_destroy(dataset);
        return code;
    }
    *ret_dataset = dataset;
    return 0;
}

void dataset_destroy(struct dataset *dataset)
{
    if (dataset == NULL)
        return;
    HASH_CLEAR(hh, dataset->labels);
    free(dataset->entries);
    free(dataset->by_text);
    free(dataset->label_list);
    free(dataset->problems);
    arena_fini(&dataset->arena);
    free(dataset);
}

const struct dataset_report *dataset_report(const struct dataset *dataset)
{
    return &dataset->report;
}

bool dataset_is_fit(const struct dataset *dataset)
{
    return dataset->report.totals[DATASET_ERROR] == 0;
}
