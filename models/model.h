/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model: an opened model folder: its configuration, its tokenizer and its weights, which fit each
 * other (the vocabulary is not larger than the word table, every tensor has its shape).
 *
 * Threading: but for model_drop_weights never changed once opened; any thread may read it.
 */
#ifndef ARGOSY_MODELS_MODEL_H
#define ARGOSY_MODELS_MODEL_H

#include "common/error.h"
#include "models/model_config.h"
#include "models/model_weights.h"
#include "models/tokenizer.h"

struct model {
    struct model_config config;
    struct tokenizer *tokenizer;
    struct model_weights *weights;
};

/* ERR_NOT_FOUND when the folder or a file is missing, ERR_CORRUPT, ERR_UNSUPPORTED, ERR_IO.
 * model_close frees the result. */
int model_open(const char *folder, struct model **ret_model, struct error *err);

/* Unmaps the weights once they are on a device: they may be larger than all else in the process.
 * model->weights is NULL afterwards. Not while another thread reads the model. */
void model_drop_weights(struct model *model);

/* Accepts NULL. */
void model_close(struct model *model);

#endif
