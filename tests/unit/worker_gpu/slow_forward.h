/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slow_forward: a BERT forward pass in plain double precision, one text at a time, written from the
 * papers' formulas and without anything of kernels/: what the encoder is held against.
 */
#ifndef ARGOSY_TESTS_SLOW_FORWARD_H
#define ARGOSY_TESTS_SLOW_FORWARD_H

#include <stdint.h>

#include "models/model.h"

/* One text's vector [hidden_size] and, for a classifier, its probabilities [label_count]. */
void slow_forward(const struct model *model, const int32_t *ids, uint32_t count, double *ret_vector,
                  double *ret_probabilities);

#endif
