/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_shelf: the classification heads of the model registry that a worker serves
 * (storage/model_registry.h, kind "text-classification-head"): fetched when they are first asked
 * for, then kept in memory, at most HEAD_SHELF_MAX; the least recently used one goes first. A head
 * that a task holds stays until it is given back.
 *
 * "NAME" means the newest version. What that is the shelf believes for HEAD_NEWEST_NS, so that a
 * model registered anew is served within that time.
 *
 * Threading: any thread. head_shelf_take may ask storage: not on a thread that others wait for.
 */
#ifndef ARGOSY_WORKER_GPU_HEAD_SHELF_H
#define ARGOSY_WORKER_GPU_HEAD_SHELF_H

#include "common/error.h"
#include "common/time_unit.h"
#include "storage/model_registry.h"
#include "storage/storage_client.h"
#include "worker_gpu/trainer/head_model.h"

/* Of MiniLM with ten labels a head takes 15 KB; the largest, 1,024 labels of width 4,096, 16 MB. */
#define HEAD_SHELF_MAX 32u
#define HEAD_NEWEST_NS NS_PER_S

/* "NAME@VERSION" */
#define HEAD_NAME_SIZE (MODEL_NAME_MAX + 12)

/* A head that is never changed once it is here. */
struct served_head {
    char name[HEAD_NAME_SIZE]; /* "NAME@VERSION" */
    char base[MODEL_NAME_MAX + 1];
    char base_sha256[65]; /* of the base's weights when it was trained; "" where that is unknown */
    struct head_model weights;
    char **labels; /* [weights.label_count] */
};

struct head_shelf;

/* Borrows storage. ERR_MEMORY. */
int head_shelf_create(struct storage_client *storage, struct head_shelf **ret_shelf,
                      struct error *err);

/* Every head must have been given back. Accepts NULL. */
void head_shelf_destroy(struct head_shelf *shelf);

/* The head of "NAME" or "NAME@VERSION" if it is at hand, else NULL, without waiting.
 * head_shelf_give gives it back. */
const struct served_head *head_shelf_find(struct head_shelf *shelf, const char *name);

/* The head, fetched if need be. ERR_NOT_FOUND: no model of that name; ERR_INVALID: not a name;
 * ERR_UNSUPPORTED: a model of another kind; ERR_CORRUPT; ERR_MEMORY; errors of storage.
 * head_shelf_give gives it back. */
int head_shelf_take(struct head_shelf *shelf, const char *name, const struct served_head **ret_head,
                    struct error *err);

/* Accepts NULL. */
void head_shelf_give(struct head_shelf *shelf, const struct served_head *head);

#endif
