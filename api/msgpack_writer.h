/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack_writer: appends msgpack items to a buffer, each in its shortest form, as msgpack-c does.
 * Inline, because most items are a byte or two: room for an item is reserved once, a call per piece
 * would cost more than the bytes.
 *
 * When memory fails the buffer says so (common/buffer.h); a writer checks once, at its end.
 *
 * Spec: the msgpack format, https://github.com/msgpack/msgpack/blob/master/spec.md. Threading: one
 * thread at a time per buffer.
 */
#ifndef ARGOSY_API_MSGPACK_WRITER_H
#define ARGOSY_API_MSGPACK_WRITER_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/buffer.h"

/* The first byte and a number of 8 bytes. */
#define MSGPACK_HEAD_SIZE 9

/* Puts a first byte and the number after it, big-endian in width bytes; the room is always
 * MSGPACK_HEAD_SIZE. Returns the bytes that count. */
static inline size_t msgpack_put_number(uint8_t *room, uint8_t first, size_t width, uint64_t number)
{
    uint64_t bytes = htobe64(number << (64 - 8 * width));
    room[0] = first;
    memcpy(room + 1, &bytes, sizeof bytes);
    return 1 + width;
}

static inline size_t msgpack_put_byte(uint8_t *room, uint8_t byte)
{
    room[0] = byte;
    return 1;
}

static inline size_t msgpack_put_unsigned(uint8_t *room, uint64_t number)
{
    if (number <= 0x7f)
        return msgpack_put_byte(room, (uint8_t)number);
    if (number <= UINT8_MAX)
        return msgpack_put_number(room, 0xcc, 1, number);
    if (number <= UINT16_MAX)
        return msgpack_put_number(room, 0xcd, 2, number);
    if (number <= UINT32_MAX)
        return msgpack_put_number(room, 0xce, 4, number);
    return msgpack_put_number(room, 0xcf, 8, number);
}

static inline size_t msgpack_put_signed(uint8_t *room, int64_t number)
{
    if (number >= 0)
        return msgpack_put_unsigned(room, (uint64_t)number);
    if (number >= -32)
        return msgpack_put_byte(room, (uint8_t)number);
    if (number >= INT8_MIN)
        return msgpack_put_number(room, 0xd0, 1, (uint64_t)number);
    if (number >= INT16_MIN)
        return msgpack_put_number(room, 0xd1, 2, (uint64_t)number);
    if (number >= INT32_MIN)
        return msgpack_put_number(room, 0xd2, 4, (uint64_t)number);
    return msgpack_put_number(room, 0xd3, 8, (uint64_t)number);
}

/* The count of an array or map: within the first byte, or in 2 or 4 bytes after it. */
static inline size_t msgpack_put_count(uint8_t *room, uint8_t first_short, uint8_t first_16,
                                       uint32_t count)
{
    if (count <= 0x0f)
        return msgpack_put_byte(room, (uint8_t)(first_short | count));
    if (count <= UINT16_MAX)
        return msgpack_put_number(room, first_16, 2, count);
    return msgpack_put_number(room, first_16 + 1, 4, count);
}

/* The size of a str or bin, in 1, 2 or 4 bytes. */
static inline size_t msgpack_put_size(uint8_t *room, uint8_t first_8, uint32_t size)
{
    if (size <= UINT8_MAX)
        return msgpack_put_number(room, first_8, 1, size);
    if (size <= UINT16_MAX)
        return msgpack_put_number(room, first_8 + 1, 2, size);
    return msgpack_put_number(room, first_8 + 2, 4, size);
}

static inline void msgpack_write_unsigned(struct buffer *buffer, uint64_t number)
{
    uint8_t *room = buffer_reserve(buffer, MSGPACK_HEAD_SIZE);
    if (room != NULL)
        buffer->size += msgpack_put_unsigned(room, number);
}

static inline void msgpack_write_signed(struct buffer *buffer, int64_t number)
{
    uint8_t *room = buffer_reserve(buffer, MSGPACK_HEAD_SIZE);
    if (room != NULL)
        buffer->size += msgpack_put_signed(room, number);
}

static inline void msgpack_write_bool(struct buffer *buffer, bool value)
{
    buffer_append_byte(buffer, value ? 0xc3 : 0xc2);
}

static inline void msgpack_write_float(struct buffer *buffer, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint8_t *room = buffer_reserve(buffer, MSGPACK_HEAD_SIZE);
    if (room != NULL)
        buffer->size += msgpack_put_number(room, 0xca, sizeof bits, bits);
}

static inline void msgpack_write_double(struct buffer *buffer, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint8_t *room = buffer_reserve(buffer, MSGPACK_HEAD_SIZE);
    if (room != NULL)
        buffer->size += msgpack_put_number(room, 0xcb, sizeof bits, bits);
}

/* Elements follow, items of their own. */
static inline void msgpack_write_array(struct buffer *buffer, uint32_t count)
{
    uint8_t *room = buffer_reserve(buffer, MSGPACK_HEAD_SIZE);
    if (room != NULL)
        buffer->size += msgpack_put_count(room, 0x90, 0xdc, count);
}

/* Keys and values follow, items of their own. */
static inline void msgpack_write_map(struct buffer *buffer, uint32_t count)
{
    uint8_t *room = buffer_reserve(buffer, MSGPACK_HEAD_SIZE);
    if (room != NULL)
        buffer->size += msgpack_put_count(room, 0x80, 0xde, count);
}

static inline void msgpack_write_str(struct buffer *buffer, const char *text, uint32_t size)
{
    uint8_t *room = buffer_reserve(buffer, MSGPACK_HEAD_SIZE + (size_t)size);
    if (room == NULL)
        return;
    size_t head = size <= 0x1f ? msgpack_put_byte(room, (uint8_t)(0xa0 | size))
                               : msgpack_put_size(room, 0xd9, size);
    memcpy(room + head, text, size);
    buffer->size += head + size;
}

/* data may be NULL when size is 0. */
static inline void msgpack_write_bin(struct buffer *buffer, const uint8_t *data, uint32_t size)
{
    uint8_t *room = buffer_reserve(buffer, MSGPACK_HEAD_SIZE + (size_t)size);
    if (room == NULL)
        return;
    size_t head = msgpack_put_size(room, 0xc4, size);
    if (size > 0)
        memcpy(room + head, data, size);
    buffer->size += head + size;
}

#endif
