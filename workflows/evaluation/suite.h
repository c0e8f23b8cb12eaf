/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suite: the cases a model is evaluated on; a JSONL file whose first line says what it is:
 *
 *   {"suite": "tickets", "type": "classification", "description": "...", "k": [1, 3, 5, 10],
 *    "minimum": {"accuracy": 0.9}, "maximum_drop": {"accuracy": 0.02}}
 *
 * All but "suite" and "type" may be missing; "k" is for retrieval. The lines behind it, by type:
 *
 *   classification  {"id": "t1", "text": "...", "label": "billing"}
 *   similarity      {"id": "p1", "a": "...", "b": "...", "score": 4.2}      greater is more alike
 *   retrieval       {"document": "d1", "text": "..."}
 *                   {"query": "q1", "text": "...", "relevant": ["d1", "d7"]}
 *                   {"query": "q2", "text": "...", "relevant": {"d1": 3, "d4": 1}}      with grades
 *
 * An "id" may be missing: then it is "line-N". Other members of these lines are ignored, those of
 * the first line refused. Reading finds every line that is wrong, not only the first. Of a case
 * some hundred bytes are kept, its texts are handed out while it is read.
 *
 * Threading: one thread at a time per suite.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_SUITE_H
#define ARGOSY_WORKFLOWS_EVALUATION_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "models/model_config.h"
#include "workflows/evaluation/metric.h"
#include "workflows/evaluation/outcome.h"
#include "workflows/text_activity.h"

#define SUITE_NAME_MAX        128
#define SUITE_DESCRIPTION_MAX 2000
#define SUITE_ID_MAX          200
#define SUITE_TEXT_LENGTH_MAX TEXT_LENGTH_MAX /* characters, as serving takes */
#define SUITE_LABEL_SIZE_MAX  MODEL_LABEL_LENGTH
#define SUITE_LABELS_MAX      MODEL_LABELS_MAX
#define SUITE_GRADE_MAX       100u

/* With ids of 200 bytes and the hash table of them: 40 MB each. */
#define SUITE_CASES_MAX     100000u
#define SUITE_CASES_MIN     2u
#define SUITE_DOCUMENTS_MAX 100000u
#define SUITE_RELEVANT_MAX  1000000u /* of all queries together; 8 MB */
/* Queries times documents: at 384 numbers a vector some 40 s of one core. */
#define SUITE_PAIRS_MAX 100000000u

/* How many problems are listed; all are counted. */
#define SUITE_PROBLEMS_MAX 100u
#define SUITE_PROBLEM_TEXT 320

struct suite_problem {
    uint64_t line; /* 0: of the whole */
    char text[SUITE_PROBLEM_TEXT];
};

struct suite_relevant {
    uint32_t document; /* place in documents */
    uint32_t grade;
};

struct suite_case {
    const char *id;
    uint64_t line;
    uint32_t text;           /* its first text, of all texts in the order of the file */
    uint32_t label;          /* classification: place in labels */
    double score;            /* similarity; its second text is text + 1 */
    uint32_t relevant_first; /* retrieval: in relevants */
    uint32_t relevant_count;
};

struct suite_document {
    const char *id;
    uint32_t text;
};

struct suite {
    /* the first line */
    char name[SUITE_NAME_MAX + 1];
    enum suite_type type;
    const char *description;        /* "" where it says none */
    uint32_t cuts[METRIC_CUTS_MAX]; /* ascending */
    size_t cut_count;
    struct metric_list metrics; /* with the file's thresholds */

    /* the other lines */
    struct suite_case *cases;
    size_t case_count;
    struct suite_document *documents;
    size_t document_count;
    struct suite_relevant *relevants;
    size_t relevant_count;
    const char **labels; /* by name, in byte order */
    uint32_t label_count;
    uint32_t text_count;

    /* what is wrong */
    struct suite_problem *problems;
    size_t problem_count; /* listed */
    uint64_t error_count;

    struct arena arena; /* owns the strings */
};

/* "classification", "similarity", "retrieval". */
const char *suite_type_name(enum suite_type type);

/* Called with each text, in the order of the file, in the form that a model is given: for a
 * classifier the clean one (text.h). Not 0 ends the reading with that code. */
typedef int suite_text_fn(void *arg, const char *text, size_t size, struct error *err);

/* Reads fd (a file; borrowed) from its beginning. Success says that it was read, not that it is
 * fit: error_count does. on_text may be NULL. ERR_IO, ERR_MEMORY, or what on_text returned. */
int suite_read(int fd, suite_text_fn *on_text, void *arg, struct suite **ret_suite,
               struct error *err);

/* Accepts NULL. */
void suite_destroy(struct suite *suite);

/* {"suite", "type", "cases", "documents", "labels", "fit", "errors", "problems": [{"line",
 * "text"}]}; NULL when memory is exhausted. The caller releases it. */
json_t *suite_report_json(const struct suite *suite);

/* Appends "NAME:3: text" lines, and how many more there are than are listed. */
void suite_report_text(const struct suite *suite, const char *name, struct buffer *out);

/* ---- parts of suite_read ---- */

/* Reads the first line into the suite. ERR_INVALID says what is wrong with it. */
int suite_header_read(const json_t *header, struct suite *suite, struct error *err);

/* ERR_INVALID unless name has letters, digits, ".", "_" and "-" only, and not a "." first. */
int suite_name_check(const char *member, const char *name, struct error *err);

#endif
