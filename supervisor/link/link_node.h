/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_node: calls to the node (docs/spec/01-wire.md, section 8): status is answered from the
 * supervisor's page, orders are passed to the supervisor, whose answer goes back.
 *
 * Threading: the link's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_LINK_NODE_H
#define ARGOSY_SUPERVISOR_LINK_NODE_H

#include "queues/connection.h"
#include "supervisor/link/link_message.h"
#include "supervisor/status_page.h"

/* Orders that wait for the supervisor; it takes one in the next turn of its loop. */
#define LINK_NODE_ORDERS_MAX 16
/* The engine's: 16 bytes. */
#define LINK_NODE_TOKEN_MAX 64

struct link_node_order {
    uint64_t id; /* 0: free */
    uint8_t token[LINK_NODE_TOKEN_MAX];
    size_t token_size;
};

struct link_node {
    struct connection *connection; /* borrowed, as all here */
    struct status_reader *status;
    const char *node;
    const char *http; /* where HTTP is served; NULL: nowhere */
    int supervisor_fd;
    uint64_t last_order;
    struct link_node_order orders[LINK_NODE_ORDERS_MAX];
};

/* A session has begun: tells the engine that calls are taken. */
void link_node_serve(struct link_node *node);

/* The supervisor's answer to an order. */
void link_node_answer(struct link_node *node, const struct link_answer *answer);

#endif
