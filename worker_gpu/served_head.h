/* SPDX-License-Identifier: Apache-2.0 */
/*
 * served_head: a classification head of the model registry, in memory, that labels what its base
 * encoder gives (storage/model_registry.h, kind "text-classification-head").
 *
 * Threading: any thread may use it; it is never changed once it is loaded.
 */
#ifndef ARGOSY_WORKER_GPU_SERVED_HEAD_H
#define ARGOSY_WORKER_GPU_SERVED_HEAD_H

#include <jansson.h>

#include "common/error.h"
#include "storage/model_registry.h"
#include "storage/storage_client.h"
#include "worker_gpu/trainer/head_model.h"

/* "NAME@VERSION" */
#define SERVED_HEAD_NAME_SIZE (MODEL_NAME_MAX + 12)

struct served_head {
    char name[SERVED_HEAD_NAME_SIZE]; /* "NAME@VERSION" */
    json_t *description;              /* owns; head.json, which the next two are borrowed from */
    const char *base;                 /* the encoder it stands on */
    const json_t *labels;             /* a list of strings, one for each row of the weights */
    struct head_model weights;
};

/* Fetches its files and checks them, and that the base in models_dir has the weights it was trained
 * on. ERR_UNSUPPORTED: a model of another kind, or its base is not here or has changed;
 * ERR_CORRUPT; ERR_MEMORY; errors of storage. served_head_destroy frees. */
int served_head_load(const struct registered_model *model, struct storage_client *storage,
                     const char *models_dir, struct served_head **ret_head, struct error *err);

/* Accepts NULL. */
void served_head_destroy(struct served_head *head);

/* The likeliest label, borrowed from the head, and its probability. vector: [weights.width]. */
const char *served_head_classify(const struct served_head *head, const float *vector,
                                 float *ret_score);

#endif
