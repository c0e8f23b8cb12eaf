/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zero_shot: classification by label prompts, for models without a classification head: the
 * softmax, over the labels, of the cosine between the text's vector and the vector of each label's
 * prompt, divided by a temperature. Smaller temperatures give surer scores; the order stays the
 * same.
 *
 * Threading: never changed once made; any thread may use it.
 */
#ifndef ARGOSY_WORKER_GPU_ZERO_SHOT_H
#define ARGOSY_WORKER_GPU_ZERO_SHOT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/fleet_config.h"
#include "worker_gpu/encoder.h"

struct zero_shot;

/* Runs the prompts through the encoder. labels (at least one) are borrowed for its life.
 * ERR_INVALID for no label or a temperature that is not above 0; errors of encoder_run. */
int zero_shot_create(struct encoder *encoder, const struct model *model,
                     const struct fleet_label *labels, size_t label_count, double temperature,
                     struct zero_shot **ret_zero_shot, struct error *err);

/* Accepts NULL. */
void zero_shot_destroy(struct zero_shot *zero_shot);

/* The best label's name, borrowed, and its score. vector has the encoder's width. */
const char *zero_shot_classify(const struct zero_shot *zero_shot, const float *vector,
                               float *ret_score);

#endif
