/* SPDX-License-Identifier: Apache-2.0 */
/*
 * served_models: which model a task means, by the name in its input.
 *
 *   none               the group's own model
 *   NAME               a folder of the models folder, loaded on demand; where there is none, the
 *                      newest version of a model that was registered (storage/model_registry.h)
 *   NAME@VERSION       that version of a registered model
 *
 * A registered head is served on its base, a folder of the models folder; what is embedded by its
 * name is embedded by that base.
 *
 * Threading: any thread. served_models_take may load a model: not on a thread that others wait for.
 */
#ifndef ARGOSY_WORKER_GPU_SERVED_MODELS_H
#define ARGOSY_WORKER_GPU_SERVED_MODELS_H

#include <stdbool.h>

#include "common/error.h"
#include "storage/storage_client.h"
#include "worker_gpu/base_model.h"
#include "worker_gpu/served_head.h"

/* A task's hold on what it is computed with. Zero-initialised holds nothing. */
struct served_model {
    const struct base_model *base;
    const struct served_head *head; /* NULL: the base alone */
};

struct served_models;

/* Loads own, the group's model. Errors of base_model_open. What options borrow, and storage, must
 * outlive the models. */
int served_models_create(const struct base_model_options *options, const char *own,
                         struct storage_client *storage, struct served_models **ret_models,
                         struct error *err);

/* Every model must have been given back. Accepts NULL. */
void served_models_destroy(struct served_models *models);

/* The group's own; borrowed. */
const struct base_model *served_models_own(const struct served_models *models);

/* The model of that name (NULL: the group's own) if it is at hand, without waiting. */
bool served_models_find(struct served_models *models, const char *name,
                        struct served_model *ret_model);

/* The model of that name. ERR_NOT_FOUND names the nearest; ERR_INVALID for a malformed name; errors
 * of model_shelf_take and head_shelf_take. */
int served_models_take(struct served_models *models, const char *name,
                       struct served_model *ret_model, struct error *err);

/* Gives back what find or take gave. Accepts what holds nothing. */
void served_models_give(struct served_models *models, struct served_model *model);

/* What a text is, from what the base's encoder gave for it: by the head, else as
 * base_model_classify. The label is borrowed from the model. */
void served_model_classify(const struct served_model *model, const float *vector,
                           const float *probabilities, const char **ret_label, float *ret_score);

/* "NAME@VERSION" of a head, else the base's name; borrowed. */
const char *served_model_name(const struct served_model *model);

#endif
