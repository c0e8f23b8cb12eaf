/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_shelf: the base models a worker has loaded: the group's own, which stays, and others of the
 * models folder that tasks asked for by name. Those are loaded when they are first asked for; at
 * most MODEL_SHELF_MAX stand there, and the least recently used one that no task holds goes first.
 *
 * Threading: any thread. model_shelf_take may load, which takes a second or so: not on a thread
 * that others wait for. Several tasks that ask for one model load it once.
 */
#ifndef ARGOSY_WORKER_GPU_MODEL_SHELF_H
#define ARGOSY_WORKER_GPU_MODEL_SHELF_H

#include "common/error.h"
#include "worker_gpu/base_model.h"

/* With its encoder's memory a MiniLM takes 0.1 GB, a BERT-large 1.4 GB. */
#define MODEL_SHELF_MAX 4u

struct model_shelf;

/* Loads own, the group's model. Errors of base_model_open. What options borrow must outlive the
 * shelf. */
int model_shelf_create(const struct base_model_options *options, const char *own,
                       struct model_shelf **ret_shelf, struct error *err);

/* Every model must have been given back. Accepts NULL. */
void model_shelf_destroy(struct model_shelf *shelf);

/* The group's own; borrowed. */
const struct base_model *model_shelf_own(const struct model_shelf *shelf);

/* The model if it is loaded, else NULL. model_shelf_give gives it back. */
const struct base_model *model_shelf_find(struct model_shelf *shelf, const char *name);

/* The model, loaded if need be. ERR_LIMIT while tasks hold MODEL_SHELF_MAX others; errors of
 * base_model_open. model_shelf_give gives it back. */
int model_shelf_take(struct model_shelf *shelf, const char *name,
                     const struct base_model **ret_base, struct error *err);

/* Accepts NULL. */
void model_shelf_give(struct model_shelf *shelf, const struct base_model *base);

#endif
