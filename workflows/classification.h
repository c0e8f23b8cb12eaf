/* SPDX-License-Identifier: Apache-2.0 */
/*
 * classification: how good a classifier is: accuracy, precision, recall and F1 by label, and the
 * confusion matrix they come from.
 *
 *   precision  of what was called a label, the share that is
 *   recall     of what is a label, the share that was called so
 *   f1         their harmonic mean: 2 right / (called + is)
 *   macro F1   the mean of f1 over the labels that occur, as truth or as answer
 *
 * A share of nothing counts as 0, as in scikit-learn. Threading: one thread at a time.
 */
#ifndef ARGOSY_WORKFLOWS_CLASSIFICATION_H
#define ARGOSY_WORKFLOWS_CLASSIFICATION_H

#include <stdint.h>

#include <jansson.h>

#include "common/error.h"

/* Matrices of more labels stay out of the JSON form: at 8 bytes a cell this one is 0.5 MB. */
#define CLASSIFICATION_MATRIX_MAX 256u

struct classification {
    uint32_t label_count;
    uint64_t *confusion; /* owns; [truth * label_count + answer] */
};

/* ERR_MEMORY. classification_fini frees. */
int classification_init(struct classification *classification, uint32_t label_count,
                        struct error *err);

/* Accepts a zeroed struct. */
void classification_fini(struct classification *classification);

/* Counts an answer; both ids are below label_count. */
void classification_add(struct classification *classification, uint32_t truth, uint32_t answer);

struct label_score {
    double precision, recall, f1;
    uint64_t support; /* examples that are of this label */
};

struct label_score classification_label(const struct classification *classification,
                                        uint32_t label);
uint64_t classification_count(const struct classification *classification);
double classification_accuracy(const struct classification *classification);
double classification_macro_f1(const struct classification *classification);

/* {"examples", "accuracy", "macro_f1", "labels": [{"label", "precision", "recall", "f1",
 * "support"}], "confusion": [[...]] by truth and answer}; NULL when memory is exhausted. The caller
 * releases it. */
json_t *classification_json(const struct classification *classification, const char *const *labels);

#endif
