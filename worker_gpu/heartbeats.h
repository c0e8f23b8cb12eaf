/* SPDX-License-Identifier: Apache-2.0 */
/*
 * heartbeats: what is told to the engine of the tasks in hand. They are sent by the compute thread
 * after its turns, for every task from its reading to its answer: a compute thread that hangs sends
 * none.
 *
 * Threading: heartbeats_add and heartbeats_remove from any thread, heartbeats_turn on the compute
 * thread, on which write_details is called too. The SDK is called with the list locked, so add and
 * remove must not be called where the SDK calls us.
 */
#ifndef ARGOSY_WORKER_GPU_HEARTBEATS_H
#define ARGOSY_WORKER_GPU_HEARTBEATS_H

#include <argosy/activity.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

/* A task's; the task owns it. */
struct heartbeat {
    struct argosy_activity *activity;
    /* Appends the task's checkpoint as JSON. NULL: the task sends its details itself. */
    void (*write_details)(struct heartbeat *heartbeat, struct buffer *out);

    /* of the compute thread */
    bool has_news;       /* the checkpoint is newer than what was handed on */
    bool has_checkpoint; /* one was handed on */

    /* the list's */
    uint64_t sent_ns;
    struct heartbeat *prev, *next;
};

struct heartbeats;

/* ERR_MEMORY. */
int heartbeats_create(struct heartbeats **ret_heartbeats, struct error *err);
/* The list must be empty. Accepts NULL. */
void heartbeats_destroy(struct heartbeats *heartbeats);

void heartbeats_add(struct heartbeats *heartbeats, struct heartbeat *heartbeat);
void heartbeats_remove(struct heartbeats *heartbeats, struct heartbeat *heartbeat);

/* Sends those that are due. */
void heartbeats_turn(struct heartbeats *heartbeats);

/* Sends one, with its news; details is scratch memory. The task must be at rest. */
void heartbeat_send(struct heartbeat *heartbeat, struct buffer *details);

#endif
