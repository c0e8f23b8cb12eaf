/* SPDX-License-Identifier: Apache-2.0 */
/* link_node: see link_node.h. */
#include "supervisor/link/link_node.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/arena.h"
#include "common/limits.h"
#include "common/log.h"
#include "supervisor/link/node_status.h"

#define REQUEST_TIMEOUT_MS 10000

static void take_receipt(void *context, const struct connection_reply *reply)
{
    (void)context, (void)reply; /* who called may have given up */
}

/* A call's answer: a status, with what was done (text may be NULL), or an error. */
static void respond(struct link_node *node, const uint8_t *token, size_t token_size,
                    Api__NodeStatus *status, const char *text, const struct error *failure)
{
    Api__RespondNodeCallRequest message = API__RESPOND_NODE_CALL_REQUEST__INIT;
    message.has_call_token = true;
    message.call_token =
        (ProtobufCBinaryData){.len = token_size, .data = (uint8_t *)(uintptr_t)token};
    message.status = status;
    message.text = (char *)(uintptr_t)text;
    message.has_error_status = status == NULL;
    message.error_status = status == NULL ? error_grpc_status(failure->code) : 0;
    message.error_message = status == NULL ? failure->text : NULL;
    struct connection_request request = {
        .message = &message.base,
        .method = METHOD_RESPOND_NODE_CALL,
        .timeout_ms = REQUEST_TIMEOUT_MS,
        .on_reply = take_receipt,
    };
    struct error err = {0};
    char quoted[ERROR_TEXT_MAX];
    if (connection_submit(node->connection, &request, NULL, &err) != 0)
        log_warn("call.unanswered", "error=%s", log_quote(err.text, quoted, sizeof quoted));
}

/* Status */

/* The message borrows from the page's copy. */
static int make_status(struct link_node *node, struct arena *arena, Api__NodeStatus **ret_message,
                       struct error *err)
{
    struct node_status_view view = {
        .node = node->node, .http = node->http, .now_ns = clock_monotonic_ns()};
    int code = status_read(node->status, &view.status, err);
    return code == 0 ? node_status_make(&view, arena, ret_message, err) : code;
}

static void answer_status(struct link_node *node, const uint8_t *token, size_t token_size,
                          const char *text)
{
    struct arena arena;
    struct error err = {0};
    Api__NodeStatus *status = NULL;
    arena_init(&arena, LIMIT_MIB);
    int code = make_status(node, &arena, &status, &err);
    respond(node, token, token_size, code == 0 ? status : NULL, text, &err);
    arena_fini(&arena);
}

/* Orders */

_Static_assert((int)LINK_OPERATION_DRAIN == (int)NODE_OPERATION_DRAIN &&
                   (int)LINK_OPERATION_UPGRADE == (int)NODE_OPERATION_UPGRADE,
               "operations are passed on by number");

static int pass_order(struct link_node *node, const Api__ServeNodeResponse *call, struct error *err)
{
    struct link_node_order *place = NULL;
    for (size_t i = 0; i < LINK_NODE_ORDERS_MAX && place == NULL; i++) {
        if (node->orders[i].id == 0)
            place = &node->orders[i];
    }
    struct link_order order = {.kind = LINK_RECORD_ORDER,
                               .id = ++node->last_order,
                               .operation = (uint32_t)call->operation,
                               .count = call->count,
                               .keep = call->keep};
    const char *target = call->target != NULL ? call->target : "";
    if (strlen(target) >= sizeof order.target)
        return error_set(err, ERR_NOT_FOUND, "no worker or group of that name");
    strcpy(order.target, target);
    if (place == NULL)
        return error_set(err, ERR_UNAVAILABLE, "the supervisor has too many orders");
    if (send(node->supervisor_fd, &order, sizeof order, MSG_DONTWAIT | MSG_NOSIGNAL) !=
        (ssize_t)sizeof order)
        return error_set(err, ERR_UNAVAILABLE, "the supervisor does not take orders");
    place->id = order.id;
    place->token_size = call->call_token.len;
    memcpy(place->token, call->call_token.data, call->call_token.len);
    return 0;
}

void link_node_answer(struct link_node *node, const struct link_answer *answer)
{
    for (size_t i = 0; i < LINK_NODE_ORDERS_MAX; i++) {
        struct link_node_order *order = &node->orders[i];
        if (order->id != answer->id)
            continue;
        struct error failure = {0};
        if (answer->code == 0) {
            answer_status(node, order->token, order->token_size, answer->text);
        } else {
            error_set(&failure, answer->code, "%s", answer->text);
            respond(node, order->token, order->token_size, NULL, NULL, &failure);
        }
        order->id = 0;
        return;
    }
}

/* Calls */

static void take_call(void *context, const struct connection_reply *reply)
{
    struct link_node *node = context;
    struct arena arena;
    struct error err = {0};
    ProtobufCMessage *message = NULL;
    arena_init(&arena, LIMIT_MIB);
    /* The end of the session, or of an engine that does not know the method. */
    if (reply->more && connection_reply_decode(reply, &arena, &message, &err) == 0) {
        const Api__ServeNodeResponse *call = (const Api__ServeNodeResponse *)message;
        const ProtobufCBinaryData *token = &call->call_token;
        if (token->len > LINK_NODE_TOKEN_MAX)
            log_warn("call.malformed", "bytes=%zu", token->len);
        else if (call->operation == NODE_OPERATION_STATUS)
            answer_status(node, token->data, token->len, NULL);
        else if (pass_order(node, call, &err) != 0)
            respond(node, token->data, token->len, NULL, NULL, &err);
    }
    arena_fini(&arena);
}

void link_node_serve(struct link_node *node)
{
    if (node->status == NULL)
        return; /* no supervisor: nobody to speak for */
    Api__ServeNodeRequest message = API__SERVE_NODE_REQUEST__INIT;
    struct connection_request request = {.message = &message.base,
                                         .method = METHOD_SERVE_NODE,
                                         .on_reply = take_call,
                                         .context = node};
    struct error err = {0};
    char quoted[ERROR_TEXT_MAX];
    if (connection_submit(node->connection, &request, NULL, &err) != 0)
        log_warn("node.unserved", "error=%s", log_quote(err.text, quoted, sizeof quoted));
}
