/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder: the forward pass of a BERT-family model on a device: token ids in, one vector per text
 * (mean, first or max pooling, L2 norm) or class probabilities out.
 *
 * Texts are packed without padding (kernels/device.h). A text's result does not depend on what else
 * is in the batch, to the last bit; so a batch larger than the encoder's step is run in several
 * steps, whose activations stay in the device's cache, and where the device has graphs a small step
 * is padded to one that is recorded. The next step is loaded, and the last one's results are
 * copied, while one computes.
 *
 * All memory is taken and all graphs are recorded at creation; running allocates nothing.
 * Threading: one thread at a time per encoder.
 */
#ifndef ARGOSY_WORKER_GPU_ENCODER_H
#define ARGOSY_WORKER_GPU_ENCODER_H

#include <stdint.h>

#include "common/error.h"
#include "kernels/device.h"
#include "models/model.h"

struct encoder;

/* How many tokens a step should have on this device: as many as the activations of a layer have
 * room for in its cache, and the model's longest text. */
uint32_t encoder_step_tokens(const struct device_info *info, const struct model_config *config);

/* Loads model's weights onto device (borrowed; closed after the encoder) and takes memory for steps
 * of at most step_tokens tokens, which must hold the model's longest text. The model is free
 * afterwards. ERR_MEMORY, ERR_UNSUPPORTED, ERR_DEVICE, ERR_INVALID. */
int encoder_create(struct device *device, const struct model *model, uint32_t step_tokens,
                   struct encoder **ret_encoder, struct error *err);

/* Accepts NULL. */
void encoder_destroy(struct encoder *encoder);

/* Numbers per vector; classes (0: the model has no head). */
uint32_t encoder_width(const struct encoder *encoder);
uint32_t encoder_class_count(const struct encoder *encoder);

/* Graphs recorded; 0 on a device without, or whose driver refused to record (device_error_text says
 * why). */
uint32_t encoder_graph_count(const struct encoder *encoder);

/* Runs a batch of any number of texts, each of 1 to the model's longest length. ret_vectors
 * [texts, width] and ret_probabilities [texts, classes] are written where not NULL; probabilities
 * are the softmax over the classes, or the sigmoid where there is one class. ERR_DEVICE: the device
 * must not be used again. */
int encoder_run(struct encoder *encoder, const struct token_source *source, float *ret_vectors,
                float *ret_probabilities, struct error *err);

#endif
