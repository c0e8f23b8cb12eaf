/* SPDX-License-Identifier: Apache-2.0 */
/*
 * router: the ROUTER socket of an endpoint, the addresses it is bound to, and who may connect. Part
 * of endpoint; what it promises of access and delivery stands in endpoint.h.
 *
 * Threading: as endpoint's owner.
 */
#ifndef ARGOSY_QUEUES_ROUTER_H
#define ARGOSY_QUEUES_ROUTER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "queues/endpoint.h"
#include "queues/zap.h"

struct router {
    void *context;
    void *socket;
    struct zap zap; /* its socket is NULL where no tcp address uses CURVE */
    char **addresses;
    size_t address_count;
};

/* Binds all addresses of config. Errors as endpoint_open. */
int router_open(struct router *router, const struct endpoint_config *config, struct error *err);

/* Also for one that was not opened to the end. */
void router_close(struct router *router);

/* Hands a message to libzmq; never waits. False when it cannot be delivered, for whatever reason.
 */
bool router_send(struct router *router, const void *routing_id, size_t routing_id_size,
                 const void *data, size_t size);

#endif
