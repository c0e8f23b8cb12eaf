/* SPDX-License-Identifier: Apache-2.0 */
/*
 * envelope: the head that travels around every body (docs/spec/01-wire.md, section 3).
 *
 * A frame is one ZeroMQ message part: envelopes one after the other. Each is a msgpack array of
 * six:
 *
 *     request  [version, 1, correlation id, method, timeout in ms, bin body]
 *     reply    [version, 2, correlation id, status, flags,         bin body]
 *
 * The first three elements keep their place in every version to come, so that a peer of another
 * version can be answered. A frame is at most LIMIT_FRAME_SIZE bytes and ENVELOPE_COUNT_MAX
 * envelopes, a body at most LIMIT_MESSAGE_SIZE.
 *
 * Threading: any thread; no state outside the arguments. Reading cannot crash on any input.
 */
#ifndef ARGOSY_QUEUES_ENVELOPE_H
#define ARGOSY_QUEUES_ENVELOPE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

/* The protocol version of this code, in every envelope and in Hello. */
#define WIRE_VERSION 1

/* Envelopes of one frame: what one batch of a busy fleet holds, and a bound on the array a reader
 * of 10-byte envelopes would otherwise have to make. */
#define ENVELOPE_COUNT_MAX 4096

/* Most bytes an envelope adds to its body. */
#define ENVELOPE_HEAD_MAX 32

enum envelope_kind { ENVELOPE_REQUEST = 1, ENVELOPE_REPLY = 2 };

enum envelope_flag {
    /* The request stays open: more replies with its correlation id follow (standing polls). */
    ENVELOPE_MORE = 1,
    /* The sender has no session here: say Hello, then send the request again. */
    ENVELOPE_NO_SESSION = 2,
};

struct envelope {
    /* A version other than WIRE_VERSION leaves all after correlation_id zero. */
    uint32_t version;
    enum envelope_kind kind;
    uint64_t correlation_id;
    uint32_t method;     /* request: enum method, unchecked */
    uint32_t timeout_ms; /* request: 0 is no deadline */
    uint32_t status;     /* reply: gRPC status code */
    uint32_t flags;      /* reply: enum envelope_flag */
    const uint8_t *body; /* borrowed from the frame */
    size_t body_size;
};

/* Appends an envelope of WIRE_VERSION (envelope->version is not read) with its body. ERR_LIMIT when
 * the body is over LIMIT_MESSAGE_SIZE, ERR_MEMORY; the buffer is then as before. */
int envelope_append(struct buffer *frame, const struct envelope *envelope, struct error *err);

/* The same with message's encoding as body, written in place; envelope->body is not read. */
int envelope_append_message(struct buffer *frame, const struct envelope *envelope,
                            const ProtobufCMessage *message, struct error *err);

/* Reads a frame from its start; the reader borrows data. */
struct envelope_reader {
    const uint8_t *data;
    size_t size;
    size_t offset;
    size_t count; /* envelopes read so far */
};

void envelope_reader_init(struct envelope_reader *reader, const uint8_t *data, size_t size);

/* Reads the next envelope. Returns 1, or 0 at the end of the frame, or ERR_PROTOCOL: the rest of
 * the frame cannot be read. After an envelope of another version the frame counts as ended. */
int envelope_next(struct envelope_reader *reader, struct envelope *ret_envelope, struct error *err);

#endif
