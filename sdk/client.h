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

/* One call, its payloads through the client's codecs; reply and detail as connection_call gives
 * them, ERR_FAILED and ERR_CORRUPT from the codecs. */
int client_call_within(struct argosy_client *client, enum method method,
                       const ProtobufCMessage *request, uint32_t timeout_ms, struct arena *arena,
                       ProtobufCMessage **ret_response, ProtobufCMessage **ret_detail,
                       struct error *err);

/* The same with the client's timeout. */
int client_call(struct argosy_client *client, enum method method, const ProtobufCMessage *request,
                struct arena *arena, ProtobufCMessage **ret_response, ProtobufCMessage **ret_detail,
                struct error *err);

/* client_call for showing what is there: payloads that cannot be decoded stay as they are. */
int client_look(struct argosy_client *client, enum method method, const ProtobufCMessage *request,
                struct arena *arena, ProtobufCMessage **ret_response, struct error *err);

#endif
