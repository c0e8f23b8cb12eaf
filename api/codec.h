/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec: the one encoder and decoder of messages, as msgpack (docs/spec/01-wire.md, section
 * "Body").
 *
 * A message is a msgpack map whose keys are the schema's field numbers. The codec walks the
 * protobuf-c descriptors; no message has code of its own. Encoding: integers and enums as int, bool
 * as bool, float and double as float, string as str (UTF-8, no NUL inside), bytes as bin, a message
 * as a map, a repeated field as an array, a proto map as an array of its entry messages. Absent
 * fields are left out. Decoding ignores unknown field numbers and refuses everything else that is
 * not exactly this: wrong types, numbers out of range, duplicate keys, two members of a oneof,
 * nesting, counts and sizes above common/limits.h, bytes after the end.
 *
 * Threading: any thread; no state. Neither direction can crash on any input.
 */
#ifndef ARGOSY_API_CODEC_H
#define ARGOSY_API_CODEC_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"

/* Appends message's encoding to buffer. ERR_LIMIT when it is over LIMIT_MESSAGE_SIZE or over
 * another bound of the decoder, ERR_INVALID for text that is not UTF-8, ERR_MEMORY; the buffer's
 * size is then as before. */
int codec_encode(const ProtobufCMessage *message, struct buffer *buffer, struct error *err);

/* Decodes size bytes into a message of the described type. The message and its strings live in
 * arena; its bytes fields point into data, which must outlive it. ERR_PROTOCOL names the field
 * path that is wrong ("PollActivityTaskQueueRequest.task_queue.name: ..."), ERR_LIMIT the bound. */
int codec_decode(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size,
                 struct arena *arena, ProtobufCMessage **ret_message, struct error *err);

/* A deep copy of message in arena (bytes included). NULL when the arena is exhausted. */
ProtobufCMessage *codec_copy(const ProtobufCMessage *message, struct arena *arena);

#endif
