/* SPDX-License-Identifier: Apache-2.0 */
/* buffer: see buffer.h. */
#include "common/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Most messages (a task with a small payload) fit without growing again. */
#define CAPACITY_MIN ((size_t)512)

void buffer_fini(struct buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct buffer){0};
}

void buffer_clear(struct buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

uint8_t *buffer_grow(struct buffer *buffer, size_t more)
{
    if (buffer->failed)
        return NULL;
    if (buffer->data == NULL || more > buffer->capacity - buffer->size) {
        size_t capacity = buffer->capacity != 0 ? buffer->capacity : CAPACITY_MIN;
        while (capacity - buffer->size < more) {
            if (capacity > SIZE_MAX / 2) {
                buffer->failed = true;
                return NULL;
            }
            capacity *= 2;
        }
        uint8_t *data = realloc(buffer->data, capacity);
        if (data == NULL) {
            buffer->failed = true;
            return NULL;
        }
        buffer->data = data;
        buffer->capacity = capacity;
    }
    return buffer->data + buffer->size;
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
    /* Nothing from nowhere to nowhere: pointers may be NULL. */
    if (size == 0)
        return;
    uint8_t *room = buffer_reserve(buffer, size);
    if (room != NULL) {
        memcpy(room, data, size);
        buffer->size += size;
    }
}

void buffer_append_byte(struct buffer *buffer, uint8_t byte)
{
    buffer_append(buffer, &byte, 1);
}

void buffer_append_text(struct buffer *buffer, const char *text)
{
    buffer_append(buffer, text, strlen(text));
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    uint8_t *room = length >= 0 ? buffer_reserve(buffer, (size_t)length + 1) : NULL;
    if (room != NULL) {
        vsnprintf((char *)room, (size_t)length + 1, format, again);
        buffer->size += (size_t)length;
    }
    va_end(again);
}

const char *buffer_text(struct buffer *buffer)
{
    uint8_t *room = buffer_reserve(buffer, 1);
    if (room == NULL)
        return "";
    *room = '\0';
    return (const char *)buffer->data;
}
