/* SPDX-License-Identifier: Apache-2.0 */
/* envelope: see envelope.h. */
#include "queues/envelope.h"

#include "api/codec.h"
#include "api/msgpack_reader.h"
#include "api/msgpack_writer.h"
#include "common/assert.h"
#include "common/limits.h"

#define ELEMENT_COUNT 6

static void append_head(struct buffer *frame, const struct envelope *envelope)
{
    ASSERT(envelope->kind == ENVELOPE_REQUEST || envelope->kind == ENVELOPE_REPLY);
    bool is_request = envelope->kind == ENVELOPE_REQUEST;
    msgpack_write_array(frame, ELEMENT_COUNT);
    msgpack_write_unsigned(frame, WIRE_VERSION);
    msgpack_write_unsigned(frame, envelope->kind);
    msgpack_write_unsigned(frame, envelope->correlation_id);
    msgpack_write_unsigned(frame, is_request ? envelope->method : envelope->status);
    msgpack_write_unsigned(frame, is_request ? envelope->timeout_ms : envelope->flags);
}

static int fail_memory(struct buffer *frame, size_t start, struct error *err)
{
    frame->size = start;
    return error_set(err, ERR_MEMORY, "out of memory while writing a frame");
}

int envelope_append(struct buffer *frame, const struct envelope *envelope, struct error *err)
{
    if (envelope->body_size > LIMIT_MESSAGE_SIZE)
        return error_set(err, ERR_LIMIT, "body takes %zu bytes, the limit is %zu",
                         envelope->body_size, LIMIT_MESSAGE_SIZE);
    size_t start = frame->size;
    append_head(frame, envelope);
    msgpack_write_bin(frame, envelope->body, (uint32_t)envelope->body_size);
    return frame->failed ? fail_memory(frame, start, err) : 0;
}

/* bin 32: a body's head of a known size, filled in when the body is there. */
#define BIN32_HEAD_SIZE 5

int envelope_append_message(struct buffer *frame, const struct envelope *envelope,
                            const ProtobufCMessage *message, struct error *err)
{
    size_t start = frame->size;
    append_head(frame, envelope);
    size_t body = frame->size + BIN32_HEAD_SIZE;
    buffer_append(frame, "\xc6\0\0\0\0", BIN32_HEAD_SIZE);
    if (frame->failed)
        return fail_memory(frame, start, err);
    int rc = codec_encode(message, frame, err);
    if (rc != 0) {
        frame->size = start;
        return rc;
    }
    size_t size = frame->size - body;
    for (int i = 1; i <= 4; i++)
        frame->data[body - (size_t)i] = (uint8_t)(size >> (8 * (i - 1)));
    return 0;
}

void envelope_reader_init(struct envelope_reader *reader, const uint8_t *data, size_t size)
{
    *reader = (struct envelope_reader){.data = data, .size = size};
}

static bool read_number(struct msgpack_reader *reader, uint64_t max, uint64_t *ret_number)
{
    struct msgpack_item item;
    if (!msgpack_read(reader, &item) || item.type != MSGPACK_UNSIGNED || item.number > max)
        return false;
    *ret_number = item.number;
    return true;
}

/* The three elements that every version has. */
static bool read_identity(struct msgpack_reader *reader, struct envelope *envelope,
                          uint32_t *ret_elements)
{
    struct msgpack_item array;
    uint64_t version;
    uint64_t kind;
    uint64_t correlation_id;
    if (!msgpack_read(reader, &array) || array.type != MSGPACK_ARRAY ||
        array.count < ELEMENT_COUNT || !read_number(reader, UINT32_MAX, &version) ||
        !read_number(reader, ENVELOPE_REPLY, &kind) || kind == 0 ||
        !read_number(reader, UINT64_MAX, &correlation_id))
        return false;
    *envelope = (struct envelope){.version = (uint32_t)version,
                                  .kind = (enum envelope_kind)kind,
                                  .correlation_id = correlation_id};
    *ret_elements = array.count;
    return true;
}

static bool read_rest(struct msgpack_reader *reader, struct envelope *envelope)
{
    uint64_t first;
    uint64_t second;
    struct msgpack_item body;
    if (!read_number(reader, UINT32_MAX, &first) || !read_number(reader, UINT32_MAX, &second) ||
        !msgpack_read(reader, &body) || body.type != MSGPACK_BIN ||
        body.bytes.size > LIMIT_MESSAGE_SIZE)
        return false;
    if (envelope->kind == ENVELOPE_REQUEST) {
        envelope->method = (uint32_t)first;
        envelope->timeout_ms = (uint32_t)second;
    } else {
        envelope->status = (uint32_t)first;
        envelope->flags = (uint32_t)second;
    }
    envelope->body = body.bytes.data;
    envelope->body_size = body.bytes.size;
    return true;
}

int envelope_next(struct envelope_reader *reader, struct envelope *ret_envelope, struct error *err)
{
    if (reader->size > LIMIT_FRAME_SIZE)
        return error_set(err, ERR_PROTOCOL, "frame is over %zu bytes", LIMIT_FRAME_SIZE);
    if (reader->offset == reader->size)
        return 0;
    if (reader->count == ENVELOPE_COUNT_MAX)
        return error_set(err, ERR_PROTOCOL, "frame has over %d envelopes", ENVELOPE_COUNT_MAX);
    struct msgpack_reader items = {reader->data + reader->offset, reader->data + reader->size};
    struct envelope envelope;
    uint32_t elements;
    if (!read_identity(&items, &envelope, &elements))
        return error_set(err, ERR_PROTOCOL, "no envelope at byte %zu", reader->offset);
    if (envelope.version != WIRE_VERSION) {
        items.at = items.end;
    } else if (elements != ELEMENT_COUNT || !read_rest(&items, &envelope)) {
        return error_set(err, ERR_PROTOCOL, "malformed envelope at byte %zu", reader->offset);
    }
    reader->offset = (size_t)(items.at - reader->data);
    reader->count++;
    *ret_envelope = envelope;
    return 1;
}
