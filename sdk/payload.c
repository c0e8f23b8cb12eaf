/* SPDX-License-Identifier: Apache-2.0 */
/* payload: see payload.h and include/argosy/payload.h. JSON values are in payload_json.c. */
#include "sdk/payload.h"

#include <string.h>

#include "sdk/arena.h"

#define ENCODING_KEY "encoding"

/* The encodings that nearly all payloads have; messages share their metadata entry. */
#define KNOWN_ENCODINGS(X)                                                                         \
    X(json, ARGOSY_ENCODING_JSON)                                                                  \
    X(binary, ARGOSY_ENCODING_BINARY)                                                              \
    X(null, ARGOSY_ENCODING_NULL)

#define KNOWN_ENTRY(name, text)                                                                    \
    static Api__Payload__MetadataEntry name##_entry = {                                            \
        PROTOBUF_C_MESSAGE_INIT(&api__payload__metadata_entry__descriptor),                        \
        ENCODING_KEY,                                                                              \
        1,                                                                                         \
        {sizeof(text) - 1, (uint8_t *)(text)}};
KNOWN_ENCODINGS(KNOWN_ENTRY)
#undef KNOWN_ENTRY

static const struct {
    const char *encoding;
    Api__Payload__MetadataEntry *entry;
} known_encodings[] = {
#define KNOWN_ROW(name, text) {text, &name##_entry},
    KNOWN_ENCODINGS(KNOWN_ROW)
#undef KNOWN_ROW
};
#define KNOWN_COUNT (sizeof known_encodings / sizeof known_encodings[0])

/* ---- views ---- */

static const char *encoding_text(const Api__Payload__MetadataEntry *entry, struct arena *arena)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        const ProtobufCBinaryData *known = &known_encodings[i].entry->value;
        if (entry->value.len == known->len &&
            memcmp(entry->value.data, known->data, known->len) == 0)
            return known_encodings[i].encoding;
    }
    return arena_strndup(arena, (const char *)entry->value.data, entry->value.len);
}

static bool metadata_view(const Api__Payload *message, struct arena *arena,
                          struct argosy_payload *payload)
{
    struct argosy_metadata *metadata = NULL;
    for (size_t i = 0; i < message->n_metadata; i++) {
        const Api__Payload__MetadataEntry *entry = message->metadata[i];
        const char *key = entry->key == NULL ? "" : entry->key;
        if (strcmp(key, ENCODING_KEY) == 0) {
            payload->encoding = encoding_text(entry, arena);
            if (payload->encoding == NULL)
                return false;
            continue;
        }
        if (metadata == NULL)
            metadata = arena_calloc(arena, message->n_metadata, sizeof *metadata);
        if (metadata == NULL)
            return false;
        metadata[payload->metadata_count++] =
            (struct argosy_metadata){key, entry->value.data, entry->value.len};
    }
    payload->metadata = metadata;
    return true;
}

bool payload_view(const Api__Payload *message, struct arena *arena,
                  struct argosy_payload *ret_payload)
{
    struct argosy_payload payload = {0};
    if (message != NULL) {
        payload = (struct argosy_payload){.encoding = ARGOSY_ENCODING_BINARY,
                                          .data = message->data.data,
                                          .size = message->data.len};
        if (!metadata_view(message, arena, &payload))
            return false;
    }
    *ret_payload = payload;
    return true;
}

bool payloads_view(const Api__Payloads *message, struct arena *arena,
                   struct argosy_payloads *ret_payloads)
{
    size_t count = message == NULL ? 0 : message->n_payloads;
    struct argosy_payload *items = NULL;
    if (count > 0) {
        items = arena_calloc(arena, count, sizeof *items);
        if (items == NULL)
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!payload_view(message->payloads[i], arena, &items[i]))
            return false;
    }
    *ret_payloads = (struct argosy_payloads){items, count};
    return true;
}

bool payloads_view_first(const Api__Payloads *message, struct arena *arena,
                         struct argosy_payload *ret_payload)
{
    bool has_any = message != NULL && message->n_payloads > 0;
    return payload_view(has_any ? message->payloads[0] : NULL, arena, ret_payload);
}

/* ---- messages ---- */

static Api__Payload__MetadataEntry *entry_create(const char *key, const void *data, size_t size,
                                                 struct arena *arena)
{
    Api__Payload__MetadataEntry *entry = arena_alloc(arena, sizeof *entry);
    if (entry == NULL)
        return NULL;
    api__payload__metadata_entry__init(entry);
    entry->key = key;
    entry->has_value = 1;
    entry->value = (ProtobufCBinaryData){size, (uint8_t *)data};
    return entry;
}

static Api__Payload__MetadataEntry *encoding_entry(const char *encoding, struct arena *arena)
{
    for (size_t i = 0; i < KNOWN_COUNT; i++) {
        if (strcmp(encoding, known_encodings[i].encoding) == 0)
            return known_encodings[i].entry;
    }
    return entry_create(ENCODING_KEY, encoding, strlen(encoding), arena);
}

static bool message_fill(const struct argosy_payload *payload, struct arena *arena,
                         Api__Payload *message)
{
    api__payload__init(message);
    message->metadata =
        arena_alloc(arena, (1 + payload->metadata_count) * sizeof message->metadata[0]);
    if (message->metadata == NULL)
        return false;
    const char *encoding = payload->encoding == NULL ? ARGOSY_ENCODING_NULL : payload->encoding;
    message->metadata[message->n_metadata++] = encoding_entry(encoding, arena);
    for (size_t i = 0; i < payload->metadata_count; i++) {
        const struct argosy_metadata *metadata = &payload->metadata[i];
        message->metadata[message->n_metadata++] =
            entry_create(metadata->key, metadata->data, metadata->size, arena);
    }
    for (size_t i = 0; i < message->n_metadata; i++) {
        if (message->metadata[i] == NULL)
            return false;
    }
    message->has_data = payload->encoding != NULL && payload->size > 0;
    message->data =
        (ProtobufCBinaryData){message->has_data ? payload->size : 0, (uint8_t *)payload->data};
    return true;
}

Api__Payloads *payloads_message(struct argosy_payloads payloads, struct arena *arena)
{
    if (payloads.count == 0)
        return NULL;
    Api__Payloads *message = arena_alloc(arena, sizeof *message);
    Api__Payload *items = arena_calloc(arena, payloads.count, sizeof *items);
    Api__Payload **pointers = arena_calloc(arena, payloads.count, sizeof(Api__Payload *));
    if (message == NULL || items == NULL || pointers == NULL)
        return NULL;
    api__payloads__init(message);
    message->n_payloads = payloads.count;
    message->payloads = pointers;
    for (size_t i = 0; i < payloads.count; i++) {
        pointers[i] = &items[i];
        if (!message_fill(&payloads.items[i], arena, &items[i]))
            return NULL;
    }
    return message;
}

Api__Payloads *payload_message(const struct argosy_payload *payload, struct arena *arena)
{
    return payloads_message((struct argosy_payloads){payload, 1}, arena);
}

/* ---- copies ---- */

bool payload_copy(const struct argosy_payload *payload, struct arena *arena,
                  struct argosy_payload *ret_copy)
{
    struct argosy_payload copy = *payload;
    if (copy.size > 0 && (copy.data = arena_memdup(arena, payload->data, payload->size)) == NULL)
        return false;
    if (copy.encoding != NULL && (copy.encoding = arena_strdup(arena, payload->encoding)) == NULL)
        return false;
    if (copy.metadata_count > 0) {
        struct argosy_metadata *metadata =
            arena_memdup(arena, payload->metadata, copy.metadata_count * sizeof *metadata);
        if (metadata == NULL)
            return false;
        for (size_t i = 0; i < copy.metadata_count; i++) {
            metadata[i].key = arena_strdup(arena, metadata[i].key);
            metadata[i].data = arena_memdup(arena, metadata[i].data, metadata[i].size);
            if (metadata[i].key == NULL || metadata[i].data == NULL)
                return false;
        }
        copy.metadata = metadata;
    }
    *ret_copy = copy;
    return true;
}

bool payloads_copy(struct argosy_payloads payloads, struct arena *arena,
                   struct argosy_payloads *ret_copy)
{
    struct argosy_payload *items = NULL;
    if (payloads.count > 0) {
        items = arena_calloc(arena, payloads.count, sizeof *items);
        if (items == NULL)
            return false;
    }
    for (size_t i = 0; i < payloads.count; i++) {
        if (!payload_copy(&payloads.items[i], arena, &items[i]))
            return false;
    }
    *ret_copy = (struct argosy_payloads){items, payloads.count};
    return true;
}

/* ---- public ---- */

struct argosy_payload argosy_payload_json(const char *text)
{
    return (struct argosy_payload){
        .encoding = ARGOSY_ENCODING_JSON, .data = text, .size = strlen(text)};
}

struct argosy_payload argosy_payload_binary(const void *data, size_t size)
{
    return (struct argosy_payload){.encoding = ARGOSY_ENCODING_BINARY, .data = data, .size = size};
}

struct argosy_payload argosy_payload_null(void)
{
    return (struct argosy_payload){.encoding = ARGOSY_ENCODING_NULL};
}

bool argosy_payload_is_null(const struct argosy_payload *payload)
{
    if (payload->encoding == NULL || strcmp(payload->encoding, ARGOSY_ENCODING_NULL) == 0)
        return true;
    return strcmp(payload->encoding, ARGOSY_ENCODING_JSON) == 0 && payload->size == 4 &&
           memcmp(payload->data, "null", 4) == 0;
}

const char *argosy_payload_text(const struct argosy_payload *payload, struct argosy_arena *arena)
{
    if (argosy_payload_is_null(payload))
        return "null";
    if (strcmp(payload->encoding, ARGOSY_ENCODING_JSON) == 0)
        return arena_strndup(&arena->arena, payload->data, payload->size);
    return arena_printf(&arena->arena, "<%s, %zu bytes>", payload->encoding, payload->size);
}

struct argosy_payload argosy_payload_copy(const struct argosy_payload *payload,
                                          struct argosy_arena *arena)
{
    struct argosy_payload copy = {0};
    payload_copy(payload, &arena->arena, &copy);
    return copy;
}
