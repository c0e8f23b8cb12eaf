/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload_walk: every payload of a message goes through the codecs (payload_codec.h).
 *
 * A failure is visited after what is in it. Its message and stack trace travel in
 * encoded_attributes, a payload like any other: {"message": ..., "stack_trace": ...}.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "api/field.h"
#include "common/limits.h"
#include "sdk/arena.h"
#include "sdk/error.h"
#include "sdk/payload.h"
#include "sdk/payload_codec.h"

#define HIDDEN_MESSAGE "Encoded failure"

struct walk {
    const struct argosy_codecs *codecs;
    struct arena *arena;
    bool is_encoding;
    bool keeps_unknown; /* what cannot be decoded is left as it is */
    int depth;
    struct error *err;
};

static int fail_memory(const struct walk *walk)
{
    return error_set(walk->err, ERR_MEMORY, "out of memory");
}

/* ---- payloads ---- */

static int visit_payload(const struct walk *walk, const Api__Payload *message,
                         const Api__Payload **ret_message)
{
    struct argosy_payload before, after;
    struct argosy_error reason = {0};
    if (!payload_view(message, walk->arena, &before))
        return fail_memory(walk);
    int code = (walk->is_encoding ? argosy_codecs_encode : argosy_codecs_decode)(
        walk->codecs, &before, arena_public(walk->arena), &after, &reason);
    if (code == ARGOSY_ERR_CORRUPT && walk->keeps_unknown)
        after = before;
    else if (code < 0)
        return error_set(walk->err, code, "%s", reason.text);
    bool is_same = after.data == before.data && after.size == before.size &&
                   after.encoding == before.encoding && after.metadata == before.metadata;
    if (is_same) {
        *ret_message = message;
        return 0;
    }
    const Api__Payloads *list = payload_message(&after, walk->arena);
    if (list == NULL)
        return fail_memory(walk);
    *ret_message = list->payloads[0];
    return 0;
}

/* ---- failures ---- */

/* failure is the walk's own to change. */
static int hide_text(const struct walk *walk, Api__Failure *failure)
{
    struct argosy_payload payload;
    struct argosy_error reason = {0};
    int code =
        argosy_payload_pack(arena_public(walk->arena), &payload, &reason, "{s:s, s:s}", "message",
                            failure->message == NULL ? "" : failure->message, "stack_trace",
                            failure->stack_trace == NULL ? "" : failure->stack_trace);
    if (code < 0)
        return error_set(walk->err, code, "%s", reason.text);
    const Api__Payloads *list = payload_message(&payload, walk->arena);
    if (list == NULL)
        return fail_memory(walk);
    const Api__Payload *encoded;
    code = visit_payload(walk, list->payloads[0], &encoded);
    if (code < 0)
        return code;
    failure->encoded_attributes = (Api__Payload *)encoded;
    failure->message = HIDDEN_MESSAGE;
    failure->stack_trace = NULL;
    return 0;
}

/* Attributes that do not read as what hide_text writes stay where they are. */
static int show_text(const struct walk *walk, Api__Failure *failure)
{
    const ProtobufCBinaryData *data = &failure->encoded_attributes->data;
    json_t *json = json_loadb((const char *)data->data, data->len, 0, NULL);
    const char *message = json_string_value(json_object_get(json, "message"));
    const char *trace = json_string_value(json_object_get(json, "stack_trace"));
    char *message_copy = arena_strdup(walk->arena, message);
    char *trace_copy = arena_strdup(walk->arena, trace);
    bool fits = (message == NULL || message_copy != NULL) && (trace == NULL || trace_copy != NULL);
    if (message_copy != NULL) {
        failure->message = message_copy;
        failure->stack_trace = trace_copy;
        failure->encoded_attributes = NULL;
    }
    json_decref(json);
    return fits ? 0 : fail_memory(walk);
}

/* ---- messages ---- */

static int visit(struct walk *walk, const ProtobufCMessage *message,
                 const ProtobufCMessage **ret_message);

/* The message that changes are made in: a copy of it, made once, or itself. */
static ProtobufCMessage *writable(const struct walk *walk, const ProtobufCMessage *message,
                                  ProtobufCMessage **own)
{
    if (*own == NULL)
        *own = walk->is_encoding
                   ? arena_memdup(walk->arena, message, message->descriptor->sizeof_message)
                   : (ProtobufCMessage *)message;
    return *own;
}

static int visit_one(struct walk *walk, const ProtobufCMessage *message,
                     const ProtobufCFieldDescriptor *field, ProtobufCMessage **own)
{
    const ProtobufCMessage *before = *(const ProtobufCMessage *const *)field_member(message, field);
    const ProtobufCMessage *after;
    int code = visit(walk, before, &after);
    if (code < 0 || after == before)
        return code;
    if (writable(walk, message, own) == NULL)
        return fail_memory(walk);
    *(const ProtobufCMessage **)field_member(*own, field) = after;
    return 0;
}

static int visit_list(struct walk *walk, const ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field, ProtobufCMessage **own)
{
    size_t count = field_count(message, field);
    const ProtobufCMessage **items = *(const ProtobufCMessage ***)field_member(message, field);
    bool is_own = !walk->is_encoding;
    for (size_t i = 0; i < count; i++) {
        const ProtobufCMessage *after;
        int code = visit(walk, items[i], &after);
        if (code < 0)
            return code;
        if (after == items[i])
            continue;
        if (!is_own) {
            items = arena_memdup(walk->arena, items, count * sizeof(const ProtobufCMessage *));
            if (items == NULL || writable(walk, message, own) == NULL)
                return fail_memory(walk);
            *(const ProtobufCMessage ***)field_member(*own, field) = items;
            is_own = true;
        }
        items[i] = after;
    }
    return 0;
}

static int visit_fields(struct walk *walk, const ProtobufCMessage *message, ProtobufCMessage **own)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (field->type != PROTOBUF_C_TYPE_MESSAGE || !field_is_set(message, field))
            continue;
        int code = (field->label == PROTOBUF_C_LABEL_REPEATED ? visit_list : visit_one)(
            walk, message, field, own);
        if (code < 0)
            return code;
    }
    return 0;
}

static int visit_failure(struct walk *walk, const Api__Failure *failure, ProtobufCMessage **own)
{
    const Api__Failure *now = *own != NULL ? (const Api__Failure *)*own : failure;
    bool has_text = (now->message != NULL && now->message[0] != '\0') ||
                    (now->stack_trace != NULL && now->stack_trace[0] != '\0');
    bool is_hidden = now->encoded_attributes != NULL;
    if (walk->is_encoding && walk->codecs->hides_failures && has_text && !is_hidden) {
        if (writable(walk, &failure->base, own) == NULL)
            return fail_memory(walk);
        return hide_text(walk, (Api__Failure *)*own);
    }
    if (!walk->is_encoding && is_hidden)
        return show_text(walk, (Api__Failure *)writable(walk, &failure->base, own));
    return 0;
}

static int visit(struct walk *walk, const ProtobufCMessage *message,
                 const ProtobufCMessage **ret_message)
{
    *ret_message = message;
    if (message->descriptor == &api__payload__descriptor)
        return visit_payload(walk, (const Api__Payload *)message,
                             (const Api__Payload **)ret_message);
    if (message->descriptor == &api__search_attributes__descriptor)
        return 0;
    if (walk->depth == LIMIT_MESSAGE_DEPTH)
        return error_set(walk->err, ERR_LIMIT, "a message is nested more than %d deep",
                         LIMIT_MESSAGE_DEPTH);
    walk->depth++;
    ProtobufCMessage *own = NULL;
    int code = visit_fields(walk, message, &own);
    if (code == 0 && message->descriptor == &api__failure__descriptor)
        code = visit_failure(walk, (const Api__Failure *)message, &own);
    walk->depth--;
    if (own != NULL)
        *ret_message = own;
    return code;
}

int payload_codec_encode(const struct argosy_codecs *codecs, const ProtobufCMessage *message,
                         struct arena *arena, const ProtobufCMessage **ret_message,
                         struct error *err)
{
    if (codecs == NULL || codecs->count == 0) {
        *ret_message = message;
        return 0;
    }
    struct walk walk = {.codecs = codecs, .arena = arena, .is_encoding = true, .err = err};
    const ProtobufCMessage *encoded;
    int code = visit(&walk, message, &encoded);
    if (code == 0)
        *ret_message = encoded;
    return code;
}

static int decode(struct walk *walk, ProtobufCMessage *message)
{
    const ProtobufCMessage *same;
    if (walk->codecs == NULL || walk->codecs->count == 0 || message == NULL)
        return 0;
    return visit(walk, message, &same);
}

int payload_codec_decode(const struct argosy_codecs *codecs, ProtobufCMessage *message,
                         struct arena *arena, struct error *err)
{
    struct walk walk = {.codecs = codecs, .arena = arena, .err = err};
    return decode(&walk, message);
}

int payload_codec_decode_known(const struct argosy_codecs *codecs, ProtobufCMessage *message,
                               struct arena *arena, struct error *err)
{
    struct walk walk = {.codecs = codecs, .arena = arena, .keeps_unknown = true, .err = err};
    return decode(&walk, message);
}
