/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload_codec: a chain of codecs (include/argosy/codec.h) and whole messages going through it.
 *
 * A message is walked through its descriptors: every Payload in it is encoded or decoded, wherever
 * it stands, so that no boundary has a list of fields of its own. Search attributes are the
 * engine's and stay. Encoding copies what it changes and the way down to it, since messages share
 * parts with the runs and tasks they were made from; decoding changes the message, which the caller
 * has just received.
 *
 * Threading: any thread; a chain is not changed once it is used.
 */
#ifndef ARGOSY_SDK_PAYLOAD_CODEC_H
#define ARGOSY_SDK_PAYLOAD_CODEC_H

#include <argosy/codec.h>
#include <protobuf-c/protobuf-c.h>

#include "api/messages.h"
#include "common/arena.h"
#include "common/error.h"

/* The type of failures that stand for a payload that could not be encoded or decoded. */
#define PAYLOAD_CODEC_FAILURE "PayloadCodec"

#define PAYLOAD_CODEC_NAME_MAX 100

struct argosy_codecs {
    size_t count;
    bool hides_failures;
    struct argosy_codec items[ARGOSY_CODECS_MAX];
    char names[ARGOSY_CODECS_MAX][PAYLOAD_CODEC_NAME_MAX + 1];
};

/* message, or a copy in arena with encoded payloads where codecs change any. codecs may be NULL.
 * ERR_FAILED names the codec that failed; ERR_LIMIT: nested too deeply; ERR_MEMORY. */
int payload_codec_encode(const struct argosy_codecs *codecs, const ProtobufCMessage *message,
                         struct arena *arena, const ProtobufCMessage **ret_message,
                         struct error *err);

/* Decodes the payloads of message in place; what is new lives in arena. codecs and message may be
 * NULL. ERR_CORRUPT names the codec that failed; the message is then half decoded. */
int payload_codec_decode(const struct argosy_codecs *codecs, ProtobufCMessage *message,
                         struct arena *arena, struct error *err);

/* The same for showing: what cannot be decoded stays as it is. ERR_LIMIT, ERR_MEMORY. */
int payload_codec_decode_known(const struct argosy_codecs *codecs, ProtobufCMessage *message,
                               struct arena *arena, struct error *err);

/* ---- for codecs that work on a payload's bytes as a whole ---- */

/* The payload's protobuf encoding in arena. ERR_MEMORY. */
int payload_codec_pack(const struct argosy_payload *payload, struct arena *arena,
                       const uint8_t **ret_data, size_t *ret_size, struct error *err);

/* The payload that size bytes of data hold; it and copies of its bytes live in arena. ERR_CORRUPT.
 */
int payload_codec_unpack(const uint8_t *data, size_t size, struct arena *arena,
                         struct argosy_payload *ret_payload, struct error *err);

#endif
