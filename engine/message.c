/* SPDX-License-Identifier: Apache-2.0 */
/* message: see message.h. */
#include "engine/message.h"

#include <stdio.h>
#include <string.h>

#include "api/codec.h"
#include "common/assert.h"
#include "common/time_unit.h"
#include "common/utf8.h"

void *message_new(struct arena *arena, const ProtobufCMessageDescriptor *descriptor)
{
    void *message = arena_alloc(arena, descriptor->sizeof_message);
    ASSERT(message != NULL);
    descriptor->message_init(message);
    return message;
}

void *message_copy(struct arena *arena, const void *message)
{
    if (message == NULL)
        return NULL;
    void *copy = codec_copy(message, arena);
    ASSERT(copy != NULL);
    return copy;
}

void *memory_copy(struct arena *arena, const void *data, size_t size)
{
    void *copy = arena_memdup(arena, data, size);
    ASSERT(copy != NULL);
    return copy;
}

char *text_copy(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    ASSERT(copy != NULL || text == NULL);
    return copy;
}

char *text_format(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    ASSERT(length >= 0);
    char *text = arena_alloc(arena, (size_t)length + 1);
    ASSERT(text != NULL);
    vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

char *text_copy_valid(struct arena *arena, const char *text)
{
    size_t size = strlen(text);
    char *copy = memory_copy(arena, text, size + 1);
    for (size_t i = 0; i < size;) {
        uint32_t point;
        size_t length = utf8_decode(copy + i, size - i, &point);
        if (length == 0)
            copy[i] = '?';
        i += length > 0 ? length : 1;
    }
    return copy;
}

const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

Api__Timestamp *timestamp_new(struct arena *arena, int64_t utc_us)
{
    Api__Timestamp *timestamp = message_new(arena, &api__timestamp__descriptor);
    timestamp->has_seconds = timestamp->has_nanos = true;
    timestamp->seconds = utc_us / US_PER_S;
    timestamp->nanos = (int32_t)(utc_us % US_PER_S * (int64_t)NS_PER_US);
    return timestamp;
}

int64_t timestamp_us(const Api__Timestamp *timestamp)
{
    if (timestamp == NULL || timestamp->seconds < 0 ||
        timestamp->seconds > INT64_MAX / US_PER_S / 2)
        return 0;
    return timestamp->seconds * US_PER_S + timestamp->nanos / (int64_t)NS_PER_US;
}

Api__Duration *duration_new(struct arena *arena, int64_t us)
{
    Api__Duration *duration = message_new(arena, &api__duration__descriptor);
    duration->has_seconds = duration->has_nanos = true;
    duration->seconds = us / US_PER_S;
    duration->nanos = (int32_t)(us % US_PER_S * (int64_t)NS_PER_US);
    return duration;
}

int64_t duration_us(const Api__Duration *duration)
{
    if (duration == NULL || duration->seconds < 0 || duration->nanos < 0)
        return 0;
    if (duration->seconds >= DURATION_US_MAX / US_PER_S)
        return DURATION_US_MAX;
    /* Rounded up: a duration that is not zero must not become zero. */
    return duration->seconds * US_PER_S +
           (duration->nanos + (int64_t)NS_PER_US - 1) / (int64_t)NS_PER_US;
}

Api__Payload *payload_json_new(struct arena *arena, const char *text)
{
    static const char encoding[] = "json/plain";
    Api__Payload *payload = message_new(arena, &api__payload__descriptor);
    Api__Payload__MetadataEntry *entry =
        message_new(arena, &api__payload__metadata_entry__descriptor);
    entry->key = "encoding";
    entry->has_value = true;
    entry->value.len = sizeof encoding - 1;
    entry->value.data = memory_copy(arena, encoding, sizeof encoding - 1);
    payload->n_metadata = 1;
    payload->metadata = memory_copy(arena, &entry, sizeof entry);
    payload->has_data = true;
    payload->data.len = strlen(text);
    payload->data.data = memory_copy(arena, text, payload->data.len);
    return payload;
}

void kept_set(struct kept *kept, const void *message)
{
    if (kept->arena.limit == 0)
        arena_init(&kept->arena, ARENA_NO_LIMIT);
    arena_reset(&kept->arena);
    kept->message = message_copy(&kept->arena, message);
}

void kept_fini(struct kept *kept)
{
    arena_fini(&kept->arena);
    kept->message = NULL;
}
