/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_weights: the tensors of an encoder by role, whatever its checkpoint calls them.
 *
 * BERT and DistilBERT name the same tensors differently, checkpoints with a head put "bert." or
 * "distilbert." before the encoder's names, and old ones call a norm's tensors gamma and beta.
 * Opening finds every tensor that the configuration calls for and checks its dtype and shape, so
 * that a model that opens can be loaded onto a device.
 * Linear weights are [out, in], row-major.
 *
 * Threading: never changed once opened; any thread may read it.
 */
#ifndef ARGOSY_MODELS_MODEL_WEIGHTS_H
#define ARGOSY_MODELS_MODEL_WEIGHTS_H

#include "common/error.h"
#include "models/model_config.h"
#include "models/safetensors.h"

/* Shapes: V vocabulary, P positions, T token types, H hidden, I intermediate, C classes. */
enum weight_role {
    /* once per model */
    WEIGHT_WORDS,                /* [V, H] */
    WEIGHT_POSITIONS,            /* [P, H] */
    WEIGHT_TYPES,                /* [T, H]; BERT only */
    WEIGHT_EMBEDDING_NORM_GAMMA, /* [H] */
    WEIGHT_EMBEDDING_NORM_BETA,
    /* once per layer */
    WEIGHT_QUERY, /* [H, H] */
    WEIGHT_QUERY_BIAS,
    WEIGHT_KEY,
    WEIGHT_KEY_BIAS,
    WEIGHT_VALUE,
    WEIGHT_VALUE_BIAS,
    WEIGHT_ATTENTION_OUT,
    WEIGHT_ATTENTION_OUT_BIAS,
    WEIGHT_ATTENTION_NORM_GAMMA,
    WEIGHT_ATTENTION_NORM_BETA,
    WEIGHT_UP, /* [I, H] */
    WEIGHT_UP_BIAS,
    WEIGHT_DOWN, /* [H, I] */
    WEIGHT_DOWN_BIAS,
    WEIGHT_OUTPUT_NORM_GAMMA,
    WEIGHT_OUTPUT_NORM_BETA,
    /* once per model with labels */
    WEIGHT_POOLER, /* [H, H]: tanh in BERT, relu in DistilBERT */
    WEIGHT_POOLER_BIAS,
    WEIGHT_CLASSIFIER, /* [C, H] */
    WEIGHT_CLASSIFIER_BIAS,
    WEIGHT_ROLE_COUNT,
};

struct model_weights;

/* Opens and checks <folder>/model.safetensors for config. ERR_NOT_FOUND, ERR_IO; ERR_CORRUPT names
 * file, tensor, and what was wanted and found. */
int model_weights_open(const char *folder, const struct model_config *config,
                       struct model_weights **ret_weights, struct error *err);

/* Accepts NULL. */
void model_weights_close(struct model_weights *weights);

/* Borrowed, never NULL for a role that the model has. layer counts for roles per layer only. */
const struct tensor *model_weights_get(const struct model_weights *weights, enum weight_role role,
                                       uint32_t layer);

/* How many tensors of a role a model of this configuration has: 0, 1, or one per layer. */
uint32_t weight_role_layers(enum weight_role role, const struct model_config *config);

/* What a checkpoint of this configuration calls the tensor; prefix ("", "bert.", "distilbert.")
 * goes before the encoder's names. */
#define WEIGHT_NAME_MAX 160
void weight_role_name(enum weight_role role, const struct model_config *config, uint32_t layer,
                      const char *prefix, char ret_name[WEIGHT_NAME_MAX]);

/* The shape that the role has: rank, shape and count of *ret_tensor are set, the rest is zero. */
void weight_role_shape(enum weight_role role, const struct model_config *config,
                       struct tensor *ret_tensor);

#endif
