/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msgpack_writer: appends msgpack items to a buffer with msgpack-c's packer, each in its shortest
 * form. The packer's code is inline and its callback is known here, so that the compiler joins
 * both.
 *
 * When memory fails the buffer says so (common/buffer.h); a writer checks once, at its end.
 *
 * Spec: the msgpack format, https://github.com/msgpack/msgpack/blob/master/spec.md. Threading: one
 * thread at a time per buffer.
 */
#ifndef ARGOSY_API_MSGPACK_WRITER_H
#define ARGOSY_API_MSGPACK_WRITER_H

#include <msgpack/pack.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/buffer.h"

static inline __attribute__((always_inline)) int msgpack_append(void *arg, const char *data,
                                                                size_t size)
{
    struct buffer *buffer = arg;
    uint8_t *room = buffer_reserve(buffer, size);
    if (room != NULL && size > 0) {
        memcpy(room, data, size);
        buffer->size += size;
    }
    return 0; /* failure is kept by the buffer */
}

static inline msgpack_packer msgpack_packer_of(struct buffer *buffer)
{
    return (msgpack_packer){.data = buffer, .callback = msgpack_append};
}

static inline void msgpack_write_unsigned(struct buffer *buffer, uint64_t number)
{
    msgpack_packer packer = msgpack_packer_of(buffer);
    msgpack_pack_uint64(&packer, number);
}

static inline void msgpack_write_signed(struct buffer *buffer, int64_t number)
{
    msgpack_packer packer = msgpack_packer_of(buffer);
    msgpack_pack_int64(&packer, number);
}

static inline void msgpack_write_bool(struct buffer *buffer, bool value)
{
    msgpack_packer packer = msgpack_packer_of(buffer);
    value ? msgpack_pack_true(&packer) : msgpack_pack_false(&packer);
}

static inline void msgpack_write_float(struct buffer *buffer, float value)
{
    msgpack_packer packer = msgpack_packer_of(buffer);
    msgpack_pack_float(&packer, value);
}

static inline void msgpack_write_double(struct buffer *buffer, double value)
{
    msgpack_packer packer = msgpack_packer_of(buffer);
    msgpack_pack_double(&packer, value);
}

/* Elements follow, items of their own. */
static inline void msgpack_write_array(struct buffer *buffer, uint32_t count)
{
    msgpack_packer packer = msgpack_packer_of(buffer);
    msgpack_pack_array(&packer, count);
}

/* Keys and values follow, items of their own. */
static inline void msgpack_write_map(struct buffer *buffer, uint32_t count)
{
    msgpack_packer packer = msgpack_packer_of(buffer);
    msgpack_pack_map(&packer, count);
}

static inline void msgpack_write_str(struct buffer *buffer, const char *text, uint32_t size)
{
    msgpack_packer packer = msgpack_packer_of(buffer);
    msgpack_pack_str(&packer, size);
    msgpack_pack_str_body(&packer, text, size);
}

/* data may be NULL when size is 0. */
static inline void msgpack_write_bin(struct buffer *buffer, const uint8_t *data, uint32_t size)
{
    msgpack_packer packer = msgpack_packer_of(buffer);
    msgpack_pack_bin(&packer, size);
    msgpack_pack_bin_body(&packer, data, size);
}

#endif
