/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node: calls from clients to the nodes of the fleet (docs/spec/01-wire.md, section 8). A node's
 * link has a standing request open (ServeNode); a client's call (CallNode) becomes a reply of it,
 * and waits for the link's answer (RespondNodeCall), its deadline, or the end of the link's
 * session. Nothing of it is durable.
 *
 * A call's token is the waiting request's key; it counts only from the link that got it.
 */
#include <string.h>

#include "common/assert.h"
#include "common/time_unit.h"
#include "engine/handler.h"
#include "engine/validate.h"

/* A link answers at once; a supervisor takes an order when its loop turns. */
#define CALL_TIMEOUT_US (10 * US_PER_S)

struct pending *node_link_find(const struct session *session)
{
    struct pending *pending;
    DL_FOREACH2(session->pendings, pending, session_next)
    {
        if (pending->kind == PENDING_NODE)
            return pending;
    }
    return NULL;
}

/* The latest link of a node: one that is being replaced may still be there. */
static struct pending *find_link(const struct core *core, const char *node)
{
    struct pending *found = NULL;
    for (const struct session *session = core->sessions; session != NULL;
         session = session->hh.next) {
        struct pending *link = node_link_find(session);
        if (link != NULL && strcmp(text_or_empty(session->node), node) == 0)
            found = link;
    }
    return found;
}

enum core_result handle_serve_node(struct core *core, const struct core_request *request,
                                   struct core_need *need)
{
    (void)need;
    struct pending *before = node_link_find(session_get(core, request->session));
    struct pending *link = pending_create(core, request, PENDING_NODE, 0);
    if (link != NULL && before != NULL)
        pending_expire(core, before);
    return CORE_HANDLED;
}

void node_link_gone(struct core *core, const struct pending *link)
{
    struct pending *call, *next;
    HASH_ITER (hh, core->pendings, call, next) {
        if (call->kind == PENDING_CALL && call->link.session == link->key.session &&
            call->link.correlation == link->key.correlation)
            pending_fail(core, call, ERR_UNAVAILABLE, "the node's link is gone");
    }
}

static ProtobufCBinaryData token_encode(struct core *core, const struct pending_key *key)
{
    return (ProtobufCBinaryData){.len = sizeof *key,
                                 .data = memory_copy(&core->outbox->arena, key, sizeof *key)};
}

static struct pending *token_find(const struct core *core, ProtobufCBinaryData token)
{
    struct pending_key key;
    if (token.len != sizeof key)
        return NULL;
    memcpy(&key, token.data, sizeof key);
    struct pending *call = pending_find(core, key.session, key.correlation);
    return call != NULL && call->kind == PENDING_CALL ? call : NULL;
}

static int check_call(const Api__CallNodeRequest *body, struct error *err)
{
    int code = validate_id("node", body->node, err);
    if (code == 0)
        code = validate_text("target", body->target, err);
    if (code == 0 &&
        (body->operation < NODE_OPERATION_STATUS || body->operation > NODE_OPERATION_UPGRADE))
        code = error_set(err, ERR_INVALID, "operation is not set");
    return code;
}

enum core_result handle_call_node(struct core *core, const struct core_request *request,
                                  struct core_need *need)
{
    (void)need;
    const Api__CallNodeRequest *body = (const Api__CallNodeRequest *)request->body;
    struct error err;
    int code = check_call(body, &err);
    struct pending *link = code == 0 ? find_link(core, body->node) : NULL;
    if (code == 0 && link == NULL)
        code = error_set(&err, ERR_NOT_FOUND, "node \"%.200s\" is not connected", body->node);
    if (code != 0) {
        reply_error(core, request, code, "%s", err.text);
        return CORE_HANDLED;
    }
    int64_t deadline_us = core->now_us + CALL_TIMEOUT_US;
    if (request->deadline_utc_us != 0 && request->deadline_utc_us < deadline_us)
        deadline_us = request->deadline_utc_us;
    struct pending *call = pending_create(core, request, PENDING_CALL, deadline_us);
    if (call == NULL)
        return CORE_HANDLED;
    call->link = link->key;
    Api__ServeNodeResponse *task =
        message_new(&core->outbox->arena, &api__serve_node_response__descriptor);
    task->has_call_token = task->has_operation = true;
    task->call_token = token_encode(core, &call->key);
    task->operation = body->operation;
    task->has_keep = true;
    task->keep = body->keep;
    task->has_count = true;
    task->count = body->count;
    task->target = text_copy(&core->outbox->arena, text_or_empty(body->target));
    reply_send_to(core, &link->key, true, false, task);
    return CORE_HANDLED;
}

enum core_result handle_respond_node_call(struct core *core, const struct core_request *request,
                                          struct core_need *need)
{
    (void)need;
    const Api__RespondNodeCallRequest *body = (const Api__RespondNodeCallRequest *)request->body;
    struct pending *call = token_find(core, body->call_token);
    if (call == NULL || call->link.session != request->session) {
        reply_error(core, request, ERR_NOT_FOUND, "nobody waits for this answer");
        return CORE_HANDLED;
    }
    if (body->error_status != 0) {
        pending_fail(core, call, error_from_grpc_status(body->error_status),
                     text_or_empty(body->error_message));
    } else {
        Api__CallNodeResponse *response =
            message_new(&core->outbox->arena, &api__call_node_response__descriptor);
        response->status = message_copy(&core->outbox->arena, body->status);
        response->text = text_copy(&core->outbox->arena, text_or_empty(body->text));
        reply_send_to(core, &call->key, false, false, response);
        pending_destroy(core, call);
    }
    reply_send(core, request,
               message_new(&core->outbox->arena, &api__respond_node_call_response__descriptor));
    return CORE_HANDLED;
}
