/* SPDX-License-Identifier: Apache-2.0 */
/* server_turn: see server_turn.h. */
#include "engine/server_turn.h"

#include <stdlib.h>

#include "api/codec.h"
#include "api/messages.h"
#include "common/assert.h"
#include "common/limits.h"

/* Memory a turn keeps for the next: a usual batch. What one large batch needed is given back. */
#define BODIES_KEPT LIMIT_MESSAGE_SIZE

#define HELD_MIN ((size_t)64)

void server_turn_init(struct server_turn *turn)
{
    *turn = (struct server_turn){0};
    outbox_init(&turn->outbox);
}

void server_turn_fini(struct server_turn *turn)
{
    outbox_fini(&turn->outbox);
    buffer_fini(&turn->bodies);
    free(turn->held);
    *turn = (struct server_turn){0};
}

void server_turn_reset(struct server_turn *turn, uint64_t sequence)
{
    outbox_reset(&turn->outbox, sequence);
    turn->held_count = 0;
    turn->ready_count = 0;
    turn->sent_count = 0;
    turn->early_count = 0;
    buffer_clear(&turn->bodies);
    if (turn->bodies.capacity > BODIES_KEPT)
        buffer_fini(&turn->bodies);
}

/* Encodes body behind the others; an encoding that fails becomes the error that says so. */
static void encode(struct server_turn *turn, const ProtobufCMessage *body, int *grpc_status)
{
    struct error failure = {0};
    int code = codec_encode(body, &turn->bodies, &failure);
    if (code == 0)
        return;
    ASSERT(code != ERR_MEMORY); /* abort, and recover from the log */
    Api__ErrorReply reply = API__ERROR_REPLY__INIT;
    reply.message = failure.text;
    *grpc_status = error_grpc_status(code == ERR_LIMIT ? ERR_LIMIT : ERR_INTERNAL);
    code = codec_encode(&reply.base, &turn->bodies, NULL);
    ASSERT(code == 0);
}

static void send(struct endpoint *endpoint, const struct held_reply *reply, const uint8_t *body)
{
    /* Neither limit nor memory can fail here: the body was measured when it was encoded, and a
     * session that is gone takes the reply silently. */
    int code = reply->grpc_status == 0
                   ? endpoint_reply_bytes(endpoint, reply->session, reply->correlation, reply->more,
                                          body, reply->size, NULL)
                   : endpoint_reply_error_bytes(endpoint, reply->session, reply->correlation,
                                                reply->grpc_status, body, reply->size, NULL);
    ASSERT(code == 0);
}

static void hold(struct server_turn *turn, const struct held_reply *reply)
{
    if (turn->held_count == turn->held_capacity) {
        turn->held_capacity = turn->held_capacity != 0 ? turn->held_capacity * 2 : HELD_MIN;
        turn->held = reallocarray(turn->held, turn->held_capacity, sizeof *turn->held);
        ASSERT(turn->held != NULL);
    }
    turn->held[turn->held_count++] = *reply;
}

void server_turn_collect(struct server_turn *turn, struct endpoint *endpoint)
{
    struct outbox *outbox = &turn->outbox;
    for (size_t i = 0; i < outbox->reply_count; i++) {
        const struct outbox_reply *source = &outbox->replies[i];
        struct held_reply reply = {.session = source->session,
                                   .correlation = source->correlation,
                                   .grpc_status = source->grpc_status,
                                   .more = source->more,
                                   .offset = turn->bodies.size};
        encode(turn, source->body, &reply.grpc_status);
        reply.size = turn->bodies.size - reply.offset;
        if (source->early) {
            send(endpoint, &reply, turn->bodies.data + reply.offset);
            turn->bodies.size = reply.offset;
            turn->early_count++;
        } else {
            hold(turn, &reply);
        }
    }
    for (size_t i = 0; i < outbox->kill_count; i++)
        endpoint_session_kill(endpoint, outbox->kills[i].session);
    outbox->reply_count = 0;
    outbox->kill_count = 0;
    if (outbox->write_count == 0)
        turn->ready_count = turn->held_count;
}

static void send_to(struct server_turn *turn, struct endpoint *endpoint, size_t end)
{
    for (; turn->sent_count < end; turn->sent_count++) {
        const struct held_reply *reply = &turn->held[turn->sent_count];
        send(endpoint, reply, turn->bodies.data + reply->offset);
    }
}

void server_turn_send_ready(struct server_turn *turn, struct endpoint *endpoint)
{
    send_to(turn, endpoint, turn->ready_count);
}

void server_turn_send_all(struct server_turn *turn, struct endpoint *endpoint)
{
    send_to(turn, endpoint, turn->held_count);
}
