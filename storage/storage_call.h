/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage_call: what the parts of the client (artifact, model_registry, vectors) share: calls on
 * the one connection.
 *
 * Threading: any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_STORAGE_CALL_H
#define ARGOSY_STORAGE_STORAGE_CALL_H

#include <protobuf-c/protobuf-c.h>

#include "api/method.h"
#include "common/arena.h"
#include "common/error.h"
#include "storage/artifact_cache.h"
#include "storage/storage_client.h"

/* Sends a request and waits for its answer, STORAGE_CALL_TIMEOUT_MS at most; the response, bytes
 * included, is in arena. ERR_CONFIG where the config has no storage; ERR_UNAVAILABLE, ERR_TIMEOUT;
 * else the error that storage answered. */
int storage_call(struct storage_client *client, enum method method, const ProtobufCMessage *request,
                 struct arena *arena, ProtobufCMessage **ret_response, struct error *err);

/* The node's cache of artifacts. Borrowed. */
struct artifact_cache *storage_client_cache(struct storage_client *client);

#endif
