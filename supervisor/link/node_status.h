/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_status: a node as its status page shows it, as the API's message NodeStatus: what `argosy
 * fleet status` gets through the engine, and /v1/fleet over HTTP.
 *
 * Threading: no state.
 */
#ifndef ARGOSY_SUPERVISOR_NODE_STATUS_H
#define ARGOSY_SUPERVISOR_NODE_STATUS_H

#include "api/messages.h"
#include "common/arena.h"
#include "common/error.h"
#include "supervisor/status_page.h"

/* What the message says of a page. Borrowed, also by the message. */
struct node_status_view {
    const struct status *status;
    const char *node;
    const char *http; /* where HTTP is served; NULL: nowhere */
    uint64_t now_ns;
};

/* Makes *ret_message in the arena. ERR_MEMORY. */
int node_status_make(const struct node_status_view *view, struct arena *arena,
                     Api__NodeStatus **ret_message, struct error *err);

#endif
