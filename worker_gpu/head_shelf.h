/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head_shelf: the registered heads that a worker has in memory: fetched when they are first asked
 * for, at most HEAD_SHELF_MAX of them, and the least recently used one that no task holds goes
 * first.
 *
 * "NAME" means the newest version. Which one that is the shelf believes for HEAD_NEWEST_NS, so that
 * a model registered anew is served within that time.
 *
 * Threading: any thread. head_shelf_take may ask storage: not on a thread that others wait for.
 */
#ifndef ARGOSY_WORKER_GPU_HEAD_SHELF_H
#define ARGOSY_WORKER_GPU_HEAD_SHELF_H

#include "common/error.h"
#include "common/time_unit.h"
#include "storage/storage_client.h"
#include "worker_gpu/served_head.h"

/* Of MiniLM with ten labels a head takes 15 KB; the largest, 1,024 labels of width 4,096, 16 MB. */
#define HEAD_SHELF_MAX 32u
#define HEAD_NEWEST_NS NS_PER_S

struct head_shelf;

/* Borrows both. ERR_MEMORY. */
int head_shelf_create(struct storage_client *storage, const char *models_dir,
                      struct head_shelf **ret_shelf, struct error *err);

/* Every head must have been given back. Accepts NULL. */
void head_shelf_destroy(struct head_shelf *shelf);

/* The head of "NAME" or "NAME@VERSION" if it is at hand, else NULL, without waiting.
 * head_shelf_give gives it back. */
const struct served_head *head_shelf_find(struct head_shelf *shelf, const char *name);

/* The head, fetched if need be. ERR_NOT_FOUND: no model is registered under that name; ERR_INVALID:
 * that is no name; ERR_LIMIT while tasks hold HEAD_SHELF_MAX others; errors of served_head_load.
 * head_shelf_give gives it back. */
int head_shelf_take(struct head_shelf *shelf, const char *name, const struct served_head **ret_head,
                    struct error *err);

/* Accepts NULL. */
void head_shelf_give(struct head_shelf *shelf, const struct served_head *head);

#endif
