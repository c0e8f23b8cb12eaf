/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_visibility: ListWorkflowExecutions and CountWorkflowExecutions, answered from the store:
 * what a client was told is committed, so what it then lists includes it.
 *
 * Threading: the server's thread.
 */
#ifndef ARGOSY_ENGINE_SERVER_VISIBILITY_H
#define ARGOSY_ENGINE_SERVER_VISIBILITY_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "api/method.h"
#include "common/arena.h"
#include "engine/store.h"

/* Runs of one page: by default, and at most. */
#define VISIBILITY_PAGE_DEFAULT 100
#define VISIBILITY_PAGE_MAX     1000

bool server_visibility_handles(enum method method);

/* The reply to a request of one of these methods, in arena. ERR_INVALID for a query, page size or
 * page token that is wrong; ERR_LIMIT, ERR_STORAGE, ERR_CORRUPT. */
int server_visibility_handle(struct store *store, enum method method, const ProtobufCMessage *body,
                             struct arena *arena, ProtobufCMessage **ret_reply, struct error *err);

#endif
