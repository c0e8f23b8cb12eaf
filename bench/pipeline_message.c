/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_message: see pipeline_message.h. */
#include "bench/pipeline_message.h"

#include <stdbool.h>
#include <string.h>

#include "common/assert.h"

static void *allocate(struct arena *arena, size_t size)
{
    void *data = arena_alloc(arena, size);
    ASSERT(data != NULL);
    return data;
}

void *message_new(struct arena *arena, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = allocate(arena, descriptor->sizeof_message);
    protobuf_c_message_init(descriptor, message);
    return message;
}

static ProtobufCBinaryData bytes_new(struct arena *arena, const char *text)
{
    size_t size = strlen(text);
    void *data = allocate(arena, size);
    memcpy(data, text, size);
    return (ProtobufCBinaryData){.data = data, .len = size};
}

Api__Payloads *payloads_new(struct arena *arena, const char *text)
{
    Api__Payload__MetadataEntry *entry =
        message_new(arena, &api__payload__metadata_entry__descriptor);
    entry->key = "encoding";
    entry->has_value = true;
    entry->value = bytes_new(arena, "binary/plain");
    Api__Payload *payload = message_new(arena, &api__payload__descriptor);
    payload->n_metadata = 1;
    payload->metadata = allocate(arena, sizeof *payload->metadata);
    payload->metadata[0] = entry;
    payload->has_data = true;
    payload->data = bytes_new(arena, text);
    Api__Payloads *payloads = message_new(arena, &api__payloads__descriptor);
    payloads->n_payloads = 1;
    payloads->payloads = allocate(arena, sizeof *payloads->payloads);
    payloads->payloads[0] = payload;
    return payloads;
}

const char *payloads_text(const Api__Payloads *payloads, struct arena *arena)
{
    if (payloads == NULL || payloads->n_payloads == 0)
        return "";
    const ProtobufCBinaryData *data = &payloads->payloads[0]->data;
    char *text = allocate(arena, data->len + 1);
    memcpy(text, data->data, data->len);
    text[data->len] = '\0';
    return text;
}

Api__TaskQueue *task_queue_new(struct arena *arena, const char *name, Api__TaskQueueKind kind,
                               const char *normal_name)
{
    Api__TaskQueue *task_queue = message_new(arena, &api__task_queue__descriptor);
    task_queue->name = name;
    task_queue->has_kind = true;
    task_queue->kind = kind;
    task_queue->normal_name = normal_name;
    return task_queue;
}

Api__Duration *seconds_new(struct arena *arena, int64_t seconds)
{
    Api__Duration *duration = message_new(arena, &api__duration__descriptor);
    duration->has_seconds = true;
    duration->seconds = seconds;
    return duration;
}
