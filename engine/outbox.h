/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox: what one or more core calls want done: durable writes, then replies, then session ends.
 *
 * The core appends; the shell takes. Everything an outbox points to lives in its arena or in the
 * core: it is valid until outbox_reset or the next core call, so the shell encodes replies at once
 * and holds the bytes back until the commit.
 *
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_ENGINE_OUTBOX_H
#define ARGOSY_ENGINE_OUTBOX_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "engine/store.h"

struct outbox_reply {
    uint64_t session;
    uint64_t correlation;
    int grpc_status; /* 0: body is the method's response; else body is an Api__ErrorReply */
    bool more;       /* the request is a standing poll and stays open */
    bool early;      /* may leave before the writes are durable: a workflow task */
    const ProtobufCMessage *body; /* encode it before the next core call */
};

struct outbox_kill {
    uint64_t session;
    const char *reason;
};

struct outbox {
    uint64_t sequence; /* set by the shell before use; rises by one per outbox */
    struct arena arena;
    struct store_write *writes;
    size_t write_count, write_capacity;
    struct outbox_reply *replies;
    size_t reply_count, reply_capacity;
    struct outbox_kill *kills; /* sessions the shell must close */
    size_t kill_count, kill_capacity;
};

void outbox_init(struct outbox *outbox);
void outbox_fini(struct outbox *outbox);

/* Empties it for the next batch; keeps memory. */
void outbox_reset(struct outbox *outbox, uint64_t sequence);

/* Append; abort when memory is exhausted. What they copy is said by the argument: writes' record
 * bytes and run fields must already be in outbox->arena; reasons are copied. */
void outbox_write(struct outbox *outbox, const struct store_write *write);
void outbox_reply(struct outbox *outbox, const struct outbox_reply *reply);
void outbox_kill(struct outbox *outbox, uint64_t session, const char *reason);

#endif
