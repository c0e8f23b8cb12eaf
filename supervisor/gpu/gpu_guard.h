/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_guard: what becomes of a node's workers when their GPUs are in trouble
 * (docs/spec/04-supervision.md, section "GPU health"): takes what the helper tells, has the board
 * judge it, drains the workers of a bad GPU and holds them down, and lets operators trust it again.
 *
 * Nothing of it has to be handed over when the supervisor is replaced in place: bad GPUs are in a
 * file (gpu_marks.h), and the rest is told by the next record.
 *
 * Threading: the supervisor's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_GPU_GUARD_H
#define ARGOSY_SUPERVISOR_GPU_GUARD_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "supervisor/gpu/gpu_health.h"
#include "supervisor/gpu/gpu_marks.h"
#include "supervisor/process.h"
#include "supervisor/status_page.h"

struct node;

struct gpu_guard {
    /* configuration: what the helper was started with */
    char library[PATH_MAX];
    int interval_ms;

    /* state */
    struct gpu_board board; /* the topology's gpus, then slices that only the configuration names */
    uint64_t told_ns[HARDWARE_GPU_MAX]; /* when an event of the unit was last logged */
    char boot[GPU_BOOT_MAX];
};

/* Takes over a plan that is in force now: what is known of its GPUs is kept. */
void gpu_guard_plan(struct node *node);

/* Marks what was bad before this supervisor started: before the first start. ERR_IO. */
int gpu_guard_recall(struct node *node, struct error *err);

/* Takes what the helper sent; drains and restarts workers by it. */
void gpu_guard_take(struct node *node, struct process *helper);

/* The helper has ended. */
void gpu_guard_forget(struct node *node);

/* Whether the process has to stay down because of its GPU. */
bool gpu_guard_holds(const struct node *node, const struct process *process);

/* An operator wants the process up: its GPU, if it is bad, is trusted again. */
void gpu_guard_trust(struct node *node, const struct process *process);

/* Fills the status page's rows; returns how many there are. */
size_t gpu_guard_fill(const struct node *node, struct status_gpu rows[STATUS_GPU_MAX]);

#endif
