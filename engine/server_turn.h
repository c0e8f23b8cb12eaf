/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_turn: one batch of the shell: what the core wants written, and the replies that wait for
 * it, encoded, because the core's messages live only until its next call.
 *
 * A reply made before the turn's first write depends on earlier turns alone: `ready_count` of them
 * may leave as soon as those are durable.
 *
 * Threading: the server's thread; while a turn is being committed its outbox's writes belong to the
 * commit thread.
 */
#ifndef ARGOSY_ENGINE_SERVER_TURN_H
#define ARGOSY_ENGINE_SERVER_TURN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "engine/outbox.h"
#include "queues/endpoint.h"

struct held_reply {
    uint64_t session;
    uint64_t correlation;
    int grpc_status;
    bool more;
    size_t offset, size; /* of its encoding in bodies */
};

struct server_turn {
    struct outbox outbox;
    struct held_reply *held;
    size_t held_count, held_capacity;
    size_t ready_count; /* of held, from the front */
    size_t sent_count;  /* of held, from the front */
    size_t early_count; /* early replies sent: workflow tasks whose answers may come at once */
    struct buffer bodies;
};

void server_turn_init(struct server_turn *turn);
void server_turn_fini(struct server_turn *turn);

/* Empties it for the next batch. */
void server_turn_reset(struct server_turn *turn, uint64_t sequence);

/* Takes what one core call appended besides writes: early replies are queued at the endpoint, the
 * others held, sessions killed. Call it after every core call. */
void server_turn_collect(struct server_turn *turn, struct endpoint *endpoint);

/* Queues held replies at the endpoint: the ready ones, or all. */
void server_turn_send_ready(struct server_turn *turn, struct endpoint *endpoint);
void server_turn_send_all(struct server_turn *turn, struct endpoint *endpoint);

#endif
