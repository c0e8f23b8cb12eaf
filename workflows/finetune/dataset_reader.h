/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataset_reader: reads labelled texts, one JSON object a line:
 *
 *     {"text": "the parcel came broken", "label": "complaint"}
 *
 * Other members are ignored, lines of white space skipped. A line that is no example is handed out
 * as a problem with what is wrong in it, and reading goes on behind it. One line at a time is in
 * memory, whatever the size of the file.
 *
 *   text    at most DATASET_TEXT_LENGTH_MAX characters, not blank (text.h)
 *   label   1 to DATASET_LABEL_SIZE_MAX bytes, no white space at its ends, no control characters
 *
 * Threading: one thread at a time per reader.
 */
#ifndef ARGOSY_WORKFLOWS_DATASET_READER_H
#define ARGOSY_WORKFLOWS_DATASET_READER_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "models/model_config.h"
#include "workflows/text_activity.h"

/* What serving takes: a longer text could be trained on but never be asked about. */
#define DATASET_TEXT_LENGTH_MAX TEXT_LENGTH_MAX
#define DATASET_LABEL_SIZE_MAX  MODEL_LABEL_LENGTH
/* The longest text with every character as an escape of a surrogate pair (12 bytes), a label, and
 * room for members of other programs. */
#define DATASET_LINE_SIZE_MAX (256u * 1024)

_Static_assert(DATASET_LINE_SIZE_MAX > 12 * DATASET_TEXT_LENGTH_MAX + 6 * DATASET_LABEL_SIZE_MAX,
               "every text that is not too long fits a line");

/* What can be wrong with a dataset: of a line, of several together, of the whole; the name in
 * reports, and whether training is refused ("error") or only warned of. */
#define DATASET_PROBLEMS(X)                                                                        \
    X(LINE_TOO_LONG, "line_too_long", DATASET_ERROR)                                               \
    X(INVALID_UTF8, "invalid_utf8", DATASET_ERROR)                                                 \
    X(MALFORMED_JSON, "malformed_json", DATASET_ERROR)                                             \
    X(TEXT_MISSING, "text_missing", DATASET_ERROR)                                                 \
    X(TEXT_BLANK, "text_blank", DATASET_ERROR)                                                     \
    X(TEXT_TOO_LONG, "text_too_long", DATASET_ERROR)                                               \
    X(LABEL_MISSING, "label_missing", DATASET_ERROR)                                               \
    X(LABEL_BLANK, "label_blank", DATASET_ERROR)                                                   \
    X(LABEL_TOO_LONG, "label_too_long", DATASET_ERROR)                                             \
    X(LABEL_MALFORMED, "label_malformed", DATASET_ERROR)                                           \
    X(CONTRADICTION, "contradiction", DATASET_ERROR)                                               \
    X(LEAK, "leak", DATASET_ERROR)                                                                 \
    X(LABEL_UNKNOWN, "label_unknown", DATASET_ERROR)                                               \
    X(NO_EXAMPLES, "no_examples", DATASET_ERROR)                                                   \
    X(TOO_MANY_EXAMPLES, "too_many_examples", DATASET_ERROR)                                       \
    X(TOO_FEW_LABELS, "too_few_labels", DATASET_ERROR)                                             \
    X(TOO_MANY_LABELS, "too_many_labels", DATASET_ERROR)                                           \
    X(CLASS_TOO_SMALL, "class_too_small", DATASET_ERROR)                                           \
    X(DUPLICATE, "duplicate", DATASET_WARNING)                                                     \
    X(NEAR_DUPLICATE, "near_duplicate", DATASET_WARNING)                                           \
    X(CLASS_SMALL, "class_small", DATASET_WARNING)                                                 \
    X(IMBALANCE, "imbalance", DATASET_WARNING)

enum dataset_severity { DATASET_ERROR, DATASET_WARNING };

enum dataset_problem_kind {
#define DATASET_ENUM(kind, name, severity) DATASET_##kind,
    DATASET_PROBLEMS(DATASET_ENUM)
#undef DATASET_ENUM
        DATASET_PROBLEM_KINDS
};

#define DATASET_PROBLEM_TEXT 256

enum dataset_line_type { DATASET_LINE_EXAMPLE, DATASET_LINE_PROBLEM, DATASET_LINE_END };

/* A line; texts are borrowed from the reader until its next call. */
struct dataset_line {
    enum dataset_line_type type;
    uint64_t number; /* from 1 */

    /* DATASET_LINE_EXAMPLE; neither is NUL-terminated within its size, a NUL follows it */
    const char *text;
    size_t text_size;
    const char *label;

    /* DATASET_LINE_PROBLEM */
    enum dataset_problem_kind problem;
    char problem_text[DATASET_PROBLEM_TEXT];
};

struct dataset_reader;

/* Reads fd from its beginning; fd is borrowed, and must be a file. ERR_IO, ERR_MEMORY. */
int dataset_reader_create(int fd, struct dataset_reader **ret_reader, struct error *err);

/* Accepts NULL. */
void dataset_reader_destroy(struct dataset_reader *reader);

/* The next line that is not blank, or the end. ERR_IO, ERR_MEMORY. */
int dataset_reader_next(struct dataset_reader *reader, struct dataset_line *ret_line,
                        struct error *err);

#endif
