/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder_weights: the weights of a BERT-family model on a device, in the device's own layout.
 *
 * Threading: loading and unloading are one thread's; loaded weights are read-only.
 */
#ifndef ARGOSY_WORKER_GPU_ENCODER_WEIGHTS_H
#define ARGOSY_WORKER_GPU_ENCODER_WEIGHTS_H

#include <stdint.h>

#include "common/error.h"
#include "kernels/device.h"
#include "models/model.h"

struct encoder_layer {
    struct linear_weight *qkv; /* query, key and value, one below the other */
    struct linear_weight *attention_out;
    struct norm_weight *attention_norm;
    struct linear_weight *up;
    struct linear_weight *down;
    struct norm_weight *output_norm;
};

struct encoder_weights {
    struct norm_weight *embedding_norm;
    struct embedding_weight *embedding;
    uint32_t layer_count;
    struct encoder_layer *layers;
    struct linear_weight *pooler; /* both NULL for a model without classes */
    struct linear_weight *classifier;
};

/* Loads model's weights onto device, which is borrowed for their life; the model is free
 * afterwards. ERR_MEMORY, ERR_UNSUPPORTED, ERR_DEVICE, ERR_CORRUPT. */
int encoder_weights_load(struct device *device, const struct model *model,
                         struct encoder_weights *ret_weights, struct error *err);

/* Accepts weights that are all zeros. */
void encoder_weights_unload(struct encoder_weights *weights);

#endif
