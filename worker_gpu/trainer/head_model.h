/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_model: a trained head, read from its head.safetensors, that answers (docs: see
 * storage/model_registry.h for the file). Threading: any thread may read it once made.
 */
#ifndef ARGOSY_WORKER_GPU_TRAINER_HEAD_MODEL_H
#define ARGOSY_WORKER_GPU_TRAINER_HEAD_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct head_model {
    uint32_t label_count, width;
    float *weights; /* owns; [label_count, width] */
    float *biases;  /* owns; [label_count] */
};

/* ERR_CORRUPT for a file that is no head of that many labels and that width (0: any); ERR_MEMORY.
 * head_model_fini frees. */
int head_model_read(const void *data, size_t size, uint32_t label_count, uint32_t width,
                    struct head_model *ret_head, struct error *err);

/* Accepts a zeroed struct. */
void head_model_fini(struct head_model *head);

/* The likeliest label of a text with that vector [width]; of several, the first. ret_probability,
 * which may be NULL: the softmax of its score. */
uint32_t head_model_classify(const struct head_model *head, const float *vector,
                             float *ret_probability);

#endif
