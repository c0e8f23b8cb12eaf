/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_synth: writes a small random model that is valid in every respect: configuration,
 * vocabulary, weights. For tests and first steps without a download; its vectors mean nothing.
 *
 * The same shape and seed give the same bytes on every machine. Threading: any thread.
 */
#ifndef ARGOSY_MODELS_MODEL_SYNTH_H
#define ARGOSY_MODELS_MODEL_SYNTH_H

#include <stdint.h>

#include "common/error.h"
#include "models/model_config.h"

/* Every ASCII letter, digit and symbol, alone and as a continuation, must be in the vocabulary. */
#define MODEL_SYNTH_VOCAB_MIN 256u

struct model_shape {
    enum model_family family;
    uint32_t hidden_size;
    uint32_t layer_count;
    uint32_t head_count;
    uint32_t intermediate_size;
    uint32_t vocab_size; /* at least MODEL_SYNTH_VOCAB_MIN */
    uint32_t position_count;
    uint32_t max_seq_length;
    enum model_pooling pooling;
    uint32_t label_count; /* 0: an embedding model; else a classifier with labels "LABEL_<i>" */
};

/* 2 layers of width 64 with heads of 32, as MiniLM has them; 300 KB. */
#define MODEL_SHAPE_TINY                                                                           \
    ((struct model_shape){.family = MODEL_BERT,                                                    \
                          .hidden_size = 64,                                                       \
                          .layer_count = 2,                                                        \
                          .head_count = 2,                                                         \
                          .intermediate_size = 128,                                                \
                          .vocab_size = 512,                                                       \
                          .position_count = 128,                                                   \
                          .max_seq_length = 64,                                                    \
                          .pooling = MODEL_POOL_MEAN,                                              \
                          .label_count = 0})

/* Writes the model into folder, which must not exist; it appears whole, by rename. ERR_INVALID for
 * a shape that is no model, ERR_EXISTS, ERR_IO. */
int model_synth(const char *folder, const struct model_shape *shape, uint64_t seed,
                struct error *err);

#endif
