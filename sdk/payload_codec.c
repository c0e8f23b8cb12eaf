/* SPDX-License-Identifier: Apache-2.0 */
/* payload_codec: see payload_codec.h. Here: the chain and one payload on its way through it. */
#include "sdk/payload_codec.h"

#include <stdlib.h>
#include <string.h>

#include "common/limits.h"
#include "sdk/arena.h"
#include "sdk/error.h"
#include "sdk/payload.h"

/* ---- the chain ---- */

struct argosy_codecs *argosy_codecs_create(void)
{
    return calloc(1, sizeof(struct argosy_codecs));
}

void argosy_codecs_destroy(struct argosy_codecs *codecs)
{
    if (codecs == NULL)
        return;
    for (size_t i = 0; i < codecs->count; i++) {
        if (codecs->items[i].close != NULL)
            codecs->items[i].close(codecs->items[i].user_data);
    }
    free(codecs);
}

int argosy_codecs_add(struct argosy_codecs *codecs, const struct argosy_codec *codec,
                      struct argosy_error *err)
{
    if (codec->name == NULL || codec->name[0] == '\0' ||
        strlen(codec->name) > PAYLOAD_CODEC_NAME_MAX)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "a codec needs a name of 1 to %d bytes",
                                PAYLOAD_CODEC_NAME_MAX);
    if (codec->encode == NULL || codec->decode == NULL)
        return argosy_error_set(err, ARGOSY_ERR_INVALID,
                                "codec \"%s\" needs a function for either direction", codec->name);
    if (codecs->count == ARGOSY_CODECS_MAX)
        return argosy_error_set(err, ARGOSY_ERR_LIMIT, "a chain has room for %d codecs",
                                ARGOSY_CODECS_MAX);
    char *name = codecs->names[codecs->count];
    strcpy(name, codec->name);
    struct argosy_codec *item = &codecs->items[codecs->count++];
    *item = *codec;
    item->name = name;
    codecs->hides_failures = codecs->hides_failures || codec->hides_failures;
    return 0;
}

/* ---- one payload ---- */

/* Whatever a codec returns becomes one code for either direction: callers must not take a codec's
 * "not found" for a run's. */
static int codec_failed(const struct argosy_codec *codec, int code, const char *verb,
                        const struct argosy_error *reason, struct argosy_error *err)
{
    return argosy_error_set(err, code, "codec \"%s\" could not %s a payload: %s", codec->name, verb,
                            reason->text[0] != '\0' ? reason->text : "it gave no reason");
}

int argosy_codecs_encode(const struct argosy_codecs *codecs, const struct argosy_payload *payload,
                         struct argosy_arena *arena, struct argosy_payload *ret_payload,
                         struct argosy_error *err)
{
    struct argosy_payload current = *payload;
    size_t count = codecs == NULL || payload->encoding == NULL ? 0 : codecs->count;
    for (size_t i = 0; i < count; i++) {
        const struct argosy_codec *codec = &codecs->items[i];
        struct argosy_payload next = {0};
        struct argosy_error reason = {0};
        int code = codec->encode(codec->user_data, &current, arena, &next, &reason);
        if (code < 0)
            return codec_failed(codec, ARGOSY_ERR_FAILED, "encode", &reason, err);
        if (code == 0)
            current = next;
    }
    *ret_payload = current;
    return 0;
}

int argosy_codecs_decode(const struct argosy_codecs *codecs, const struct argosy_payload *payload,
                         struct argosy_arena *arena, struct argosy_payload *ret_payload,
                         struct argosy_error *err)
{
    struct argosy_payload current = *payload;
    size_t count = codecs == NULL || payload->encoding == NULL ? 0 : codecs->count;
    for (size_t i = count; i-- > 0;) {
        const struct argosy_codec *codec = &codecs->items[i];
        struct argosy_payload next = {0};
        struct argosy_error reason = {0};
        int code = codec->decode(codec->user_data, &current, arena, &next, &reason);
        if (code < 0)
            return codec_failed(codec, ARGOSY_ERR_CORRUPT, "decode", &reason, err);
        if (code == 0)
            current = next;
    }
    *ret_payload = current;
    return 0;
}

/* ---- a payload as bytes ---- */

int payload_codec_pack(const struct argosy_payload *payload, struct arena *arena,
                       const uint8_t **ret_data, size_t *ret_size, struct error *err)
{
    const Api__Payloads *list = payload_message(payload, arena);
    if (list == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    const ProtobufCMessage *message = &list->payloads[0]->base;
    uint8_t *data = arena_alloc(arena, protobuf_c_message_get_packed_size(message));
    if (data == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_size = protobuf_c_message_pack(message, data);
    *ret_data = data;
    return 0;
}

/* Memory that a payload is unpacked into. Two bytes can ask for a struct of a hundred: bounded. */
struct unpack_memory {
    struct arena *arena;
    size_t left;
};

static void *unpack_alloc(void *context, size_t size)
{
    struct unpack_memory *memory = context;
    if (size > memory->left)
        return NULL;
    memory->left -= size;
    return arena_alloc(memory->arena, size);
}

static void unpack_free(void *context, void *pointer)
{
    (void)context, (void)pointer; /* goes with the arena */
}

int payload_codec_unpack(const uint8_t *data, size_t size, struct arena *arena,
                         struct argosy_payload *ret_payload, struct error *err)
{
    struct unpack_memory memory = {.arena = arena, .left = LIMIT_DECODED_SIZE};
    ProtobufCAllocator allocator = {unpack_alloc, unpack_free, &memory};
    const ProtobufCMessage *message =
        protobuf_c_message_unpack(&api__payload__descriptor, &allocator, size, data);
    if (message == NULL)
        return error_set(err, ERR_CORRUPT, "what was unpacked is no payload");
    if (!payload_view((const Api__Payload *)message, arena, ret_payload))
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}
