/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base_model: a model of the models folder, ready to compute with: configuration and tokenizer, the
 * encoder on the device, and for a model without classes the label prompts; warmed up, so that the
 * first task is as fast as the next.
 *
 * Threading: opened and closed on any thread while other models of the device compute. Once open it
 * is never changed: any thread may read it, and the encoder is the batcher's.
 */
#ifndef ARGOSY_WORKER_GPU_BASE_MODEL_H
#define ARGOSY_WORKER_GPU_BASE_MODEL_H

#include "common/error.h"
#include "common/fleet_config.h"
#include "models/model.h"
#include "models/model_store.h"
#include "worker_gpu/encoder.h"
#include "worker_gpu/zero_shot.h"

struct base_model {
    char name[MODEL_NAME_MAX + 1];
    struct model *model;
    struct encoder *encoder;
    struct zero_shot *zero_shot; /* NULL: the model has classes of its own */
};

struct base_model_options {
    const char *models_dir; /* borrowed, as are device and labels */
    struct device *device;
    uint32_t batch_tokens;            /* the longest batch: no text may be longer */
    const struct fleet_label *labels; /* for models without classes; at least one */
    size_t label_count;
    double temperature;
};

/* ERR_INVALID for a malformed name, ERR_NOT_FOUND, ERR_CORRUPT, ERR_UNSUPPORTED (also for a model
 * whose longest text fits no batch), ERR_DEVICE, ERR_MEMORY. What options borrow must outlive the
 * model. */
int base_model_open(const struct base_model_options *options, const char *name,
                    struct base_model **ret_base, struct error *err);

/* No job may name its encoder any more. Accepts NULL. */
void base_model_close(struct base_model *base);

/* Which class a text belongs to, from what the encoder gave: by the model's own classes, else by
 * the label prompts. The label is borrowed from the model. */
void base_model_classify(const struct base_model *base, const float *vector,
                         const float *probabilities, const char **ret_label, float *ret_score);

#endif
