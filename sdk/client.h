/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client: inside struct argosy_client (include/argosy/client.h). client.c: connecting and the plain
 * calls; client_start.c: starting and results, blocking and not; client_json.c: calls as JSON.
 */
#ifndef ARGOSY_SDK_CLIENT_H
#define ARGOSY_SDK_CLIENT_H

#include <argosy/client.h>
#include <stdatomic.h>

#include "queues/connection.h"
#include "sdk/arena.h"
#include "sdk/connect.h"

struct argosy_client {
    struct connect_options options; /* strings in arena */
    struct arena arena;
    struct connection *connection;
    _Atomic uint32_t timeout_ms;
    atomic_bool is_closing;
};

/* One call with the client's timeout; reply and detail as connection_call gives them. */
int client_call(struct argosy_client *client, enum method method, const ProtobufCMessage *request,
                struct arena *arena, ProtobufCMessage **ret_response, ProtobufCMessage **ret_detail,
                struct error *err);

#endif
