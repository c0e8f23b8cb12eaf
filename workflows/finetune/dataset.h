/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataset: labelled texts for training a classifier, checked as a whole.
 *
 * One file, which is then split, or two: a train file and a held-out file. Reading finds everything
 * that is wrong, not only the first: of single lines (dataset_reader.h), and of the files together:
 *
 *   duplicate        the same text and label again                                    warning
 *   near_duplicate   the same label and, but for case and white space, text again     warning
 *   contradiction    such a text with another label                                   error
 *   leak             such a text in the train file and in the held-out file           error
 *   label_unknown    a label of the held-out file that the train file lacks           error
 *   class_too_small  a label with fewer than DATASET_CLASS_MIN different texts        error
 *   class_small      with fewer than DATASET_CLASS_FEW                                warning
 *   imbalance        the largest class has over DATASET_BALANCE_MAX times the smallest  warning
 *
 * Texts count as the same when their clean forms (text.h) are: that is the form in which a served
 * model sees them. What is kept of an example is 52 bytes, whatever its text's length.
 *
 * Threading: one thread at a time per dataset.
 */
#ifndef ARGOSY_WORKFLOWS_DATASET_H
#define ARGOSY_WORKFLOWS_DATASET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/buffer.h"
#include "common/error.h"
#include "models/model_config.h"
#include "workflows/finetune/dataset_reader.h"

/* 52 MB of memory; a million texts are a day of annotation for two hundred people. */
#define DATASET_EXAMPLES_MAX 1000000u
#define DATASET_LABELS_MAX   MODEL_LABELS_MAX

/* One for the held-out part, one for validation, and three to learn from. */
#define DATASET_CLASS_MIN 5u
/* Below this, one example more or less moves a class's accuracy by over five points. */
#define DATASET_CLASS_FEW   20u
#define DATASET_BALANCE_MAX 10u

/* How many problems of each severity are listed; all are counted. */
#define DATASET_PROBLEMS_MAX 100u

struct dataset_source {
    int fd;           /* borrowed until the dataset is destroyed; read from its beginning */
    const char *name; /* for reports; copied */
};

struct dataset_problem {
    enum dataset_problem_kind kind;
    uint32_t source; /* which file */
    uint64_t line;   /* 0: of the whole dataset */
    char text[DATASET_PROBLEM_TEXT];
};

struct dataset_label {
    const char *name;
    uint64_t examples[2]; /* by file */
    uint64_t distinct;    /* different clean texts of the first file */
};

struct dataset_file {
    const char *name;
    uint64_t examples; /* without those that have an error of their own */
};

/* What was found. Borrowed from the dataset. */
struct dataset_report {
    struct dataset_file files[2];
    uint32_t file_count;
    const struct dataset_label *labels; /* by name, in byte order: the place is the class id */
    uint32_t label_count;
    uint64_t counts[DATASET_PROBLEM_KINDS];
    uint64_t totals[2]; /* by severity */
    /* The first of each severity, by file and line, those of the whole at the end. */
    const struct dataset_problem *problems[2];
    uint32_t problem_counts[2];
};

struct dataset;

/* Reads one file or two (train, held-out). Success says that they were read, not that they are
 * fit: the report does. ERR_IO, ERR_MEMORY. */
int dataset_read(const struct dataset_source *sources, uint32_t source_count,
                 struct dataset **ret_dataset, struct error *err);

/* Accepts NULL. */
void dataset_destroy(struct dataset *dataset);

const struct dataset_report *dataset_report(const struct dataset *dataset);

/* Whether it may be trained on: no errors. */
bool dataset_is_fit(const struct dataset *dataset);

/* ---- parts ---- */

enum dataset_part { DATASET_TRAIN, DATASET_VALIDATION, DATASET_HELD_OUT, DATASET_PARTS };

struct dataset_split_options {
    double held_out_share;   /* of one file; of two, the second is the held-out part */
    double validation_share; /* of the train file; watched by early stopping */
    uint64_t seed;
};

/* Bounds of the shares: with the smallest class allowed each part gets a text. */
#define DATASET_SHARE_MIN 0.01
#define DATASET_SHARE_MAX 0.4

/* Assigns each example to a part. Stratified: of each label, round(share * different texts) texts,
 * at least one, go to a part. Which ones depends on the seed and the clean texts alone, not on
 * their order in the file; equal clean texts stay together. The dataset must be fit. ERR_INVALID
 * for a share out of bounds, ERR_MEMORY. */
int dataset_split(struct dataset *dataset, const struct dataset_split_options *options,
                  struct error *err);

uint64_t dataset_part_count(const struct dataset *dataset, enum dataset_part part);

/* Called with each example of a part, in the order of the file: its clean text. Not 0 ends the
 * walk with that code. */
typedef int dataset_example_fn(void *arg, const char *text, size_t text_size, const char *label,
                               struct error *err);

/* Walks over a part of a split dataset. ERR_IO (also when a file was changed meanwhile),
 * ERR_MEMORY, or what on_example returned. */
int dataset_part_walk(struct dataset *dataset, enum dataset_part part,
                      dataset_example_fn *on_example, void *arg, struct error *err);

/* ---- reports ---- */

/* For programs; NULL when memory is exhausted. The caller releases it. */
json_t *dataset_report_json(const struct dataset_report *report);

/* Appends "train.jsonl:3: error: ..." lines: errors, then warnings, each with how many more there
 * are than are listed. */
void dataset_report_text(const struct dataset_report *report, struct buffer *out);

#endif
