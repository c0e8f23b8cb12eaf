/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer: a growing byte buffer that is reused between messages.
 *
 * Growth failure is sticky: after it, appends do nothing and `failed` stays true until
 * buffer_clear, so that a writer checks once at its end. Zero-initialised is empty and valid.
 *
 * Threading: one thread at a time per buffer. buffer_fini frees; the buffer owns `data`.
 */
#ifndef ARGOSY_COMMON_BUFFER_H
#define ARGOSY_COMMON_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void buffer_fini(struct buffer *buffer);

/* Forgets the content, keeps the memory. */
void buffer_clear(struct buffer *buffer);

/* buffer_reserve where the room is not there yet. */
uint8_t *buffer_grow(struct buffer *buffer, size_t more);

/* Makes room for more bytes and returns where they go (size is not raised), or NULL. */
static inline uint8_t *buffer_reserve(struct buffer *buffer, size_t more)
{
    if (more < buffer->capacity - buffer->size && !buffer->failed)
        return buffer->data + buffer->size;
    return buffer_grow(buffer, more);
}

void buffer_append(struct buffer *buffer, const void *data, size_t size);
void buffer_append_byte(struct buffer *buffer, uint8_t byte);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The content as a string: appends a NUL that is not counted in size. "" when memory failed. */
const char *buffer_text(struct buffer *buffer);

#endif
