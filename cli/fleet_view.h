/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_view: the fleet as `argosy fleet status` and `argosy top` see it: what each node's
 * supervisor says of its processes, joined with what the engine says of their sessions and queues.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_FLEET_VIEW_H
#define ARGOSY_CLI_FLEET_VIEW_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cli/session.h"
#include "common/error.h"

/* What a node is asked to do. */
struct fleet_operation {
    const char *name;   /* the word of NodeOperation without its prefix */
    const char *target; /* NULL: all workers */
    bool keep;
    int count; /* of a scale */
};

/* Calls a node. The caller releases *ret_reply, a CallNodeResponse that has a "status", and after
 * an order a "text" that says what was done. */
int fleet_call(struct session *session, const char *node, const struct fleet_operation *operation,
               json_t **ret_reply, struct error *err);

/* The names of the nodes that are connected, sorted; none only when none came within 5 s. The
 * caller releases it. */
int fleet_nodes(struct session *session, json_t **ret_names, struct error *err);

/* What is asked of a fleet. */
struct fleet_question {
    const char *node;           /* that one alone; NULL: all */
    bool waits;                 /* for a first node to connect, up to 5 s */
    const atomic_bool *is_over; /* no node is asked any more once it is true; NULL: never */
};

/* {"nodes": [NodeStatus with "groups", its workers' processes with "slots", "slotsUsed", "queues",
 *   "dispatchedTotal", "tasks"; of one that is silent "node" and "error"],
 *  "others": [sessions that take tasks and that no node tells of],
 *  "queues": [QueueStats by name], "pausedQueues": [names], "engine": its figures,
 *  "tasksLeftOut": N}. The caller releases it. ERR_NOT_FOUND names the node that is nearest to the
 * one asked for. */
int fleet_fetch(struct session *session, const struct fleet_question *question, json_t **ret_fleet,
                struct error *err);

#endif
