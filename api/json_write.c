/* SPDX-License-Identifier: Apache-2.0 */
/* json_write: message_to_json of json.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/field.h"
#include "api/field_path.h"
#include "api/json.h"
#include "api/json_name.h"
#include "api/json_time.h"
#include "api/messages.h"
#include "common/assert.h"
#include "common/base64.h"
#include "common/limits.h"
#include "common/utf8.h"

struct writer {
    unsigned flags;
    struct arena scratch;
    struct error *err;
};

static int write_message(struct writer *writer, const struct field_path *path,
                         const ProtobufCMessage *message, json_t **ret_json);

/* json as the result, or the error that there was no memory for it. */
static int give(struct writer *writer, const struct field_path *path, json_t *json,
                json_t **ret_json)
{
    if (json == NULL)
        return field_path_fail(path, writer->err, ERR_MEMORY, "out of memory");
    *ret_json = json;
    return 0;
}

static int write_string(struct writer *writer, const struct field_path *path, const char *text,
                        json_t **ret_json)
{
    if (!utf8_is_valid(text, strlen(text)))
        return field_path_fail(path, writer->err, ERR_INVALID, "text is not UTF-8");
    return give(writer, path, json_string(text), ret_json);
}

static json_t *number_json(double number)
{
    if (isnan(number))
        return json_string("NaN");
    if (isinf(number))
        return json_string(number > 0 ? "Infinity" : "-Infinity");
    return json_real(number);
}

static json_t *enum_json(const ProtobufCEnumDescriptor *descriptor, int32_t value)
{
    const ProtobufCEnumValue *known = protobuf_c_enum_descriptor_get_value(descriptor, value);
    return known != NULL ? json_string(known->name) : json_integer(value);
}

static json_t *bytes_json(struct writer *writer, const ProtobufCBinaryData *bytes)
{
    const char *text = base64_encode(&writer->scratch, bytes->data, bytes->len);
    return text != NULL ? json_string(text) : NULL;
}

static int write_value(struct writer *writer, const struct field_path *path, const void *member,
                       json_t **ret_json)
{
    const ProtobufCFieldDescriptor *field = path->field;
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return give(writer, path, json_integer(*(const int32_t *)member), ret_json);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return give(writer, path, json_integer(*(const uint32_t *)member), ret_json);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return give(writer, path, json_sprintf("%lld", (long long)*(const int64_t *)member),
                    ret_json);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        return give(writer, path,
                    json_sprintf("%llu", (unsigned long long)*(const uint64_t *)member), ret_json);
    case PROTOBUF_C_TYPE_FLOAT:
        return give(writer, path, number_json((double)*(const float *)member), ret_json);
    case PROTOBUF_C_TYPE_DOUBLE:
        return give(writer, path, number_json(*(const double *)member), ret_json);
    case PROTOBUF_C_TYPE_BOOL:
        return give(writer, path, json_boolean(*(const protobuf_c_boolean *)member), ret_json);
    case PROTOBUF_C_TYPE_ENUM:
        return give(writer, path, enum_json(field->descriptor, *(const int32_t *)member), ret_json);
    case PROTOBUF_C_TYPE_STRING:
        return write_string(writer, path, *(const char *const *)member, ret_json);
    case PROTOBUF_C_TYPE_BYTES:
        return give(writer, path, bytes_json(writer, member), ret_json);
    case PROTOBUF_C_TYPE_MESSAGE: {
        struct field_path inner = {.parent = path, .depth = path->depth + 1};
        return write_message(writer, &inner, *(const ProtobufCMessage *const *)member, ret_json);
    }
    }
    UNREACHABLE();
}

/* A map's key as text. */
static const char *key_text(const ProtobufCMessage *entry, char text[32])
{
    const ProtobufCFieldDescriptor *field = &entry->descriptor->fields[0];
    const void *member = field_member(entry, field);
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return *(const char *const *)member != NULL ? *(const char *const *)member : "";
    case PROTOBUF_C_TYPE_INT32:
        snprintf(text, 32, "%d", *(const int32_t *)member);
        return text;
    default: /* the schema has no other keys */
        UNREACHABLE();
    }
}

static int write_map(struct writer *writer, const struct field_path *path,
                     const ProtobufCMessage *message, json_t *object)
{
    ProtobufCMessage *const *entries =
        *(ProtobufCMessage * *const *)field_member(message, path->field);
    size_t count = field_count(message, path->field);
    for (size_t i = 0; i < count; i++) {
        struct field_path inner = {
            .parent = path, .field = &entries[i]->descriptor->fields[1], .depth = path->depth + 1};
        char text[32];
        json_t *value = NULL;
        int rc = field_is_set(entries[i], inner.field)
                     ? write_value(writer, &inner, field_member(entries[i], inner.field), &value)
                     : give(writer, &inner, json_null(), &value);
        if (rc != 0)
            return rc;
        if (json_object_set_new(object, key_text(entries[i], text), value) != 0)
            return field_path_fail(path, writer->err, ERR_INVALID,
                                   "key is not UTF-8, or out of memory");
    }
    return 0;
}

static int write_array(struct writer *writer, const struct field_path *path,
                       const ProtobufCMessage *message, json_t *array)
{
    const char *elements = *(char *const *)field_member(message, path->field);
    size_t size = field_size(path->field);
    size_t count = field_count(message, path->field);
    for (size_t i = 0; i < count; i++) {
        json_t *value;
        int rc = write_value(writer, path, elements + i * size, &value);
        if (rc != 0)
            return rc;
        if (json_array_append_new(array, value) != 0)
            return field_path_fail(path, writer->err, ERR_MEMORY, "out of memory");
    }
    return 0;
}

static int write_field(struct writer *writer, const struct field_path *path,
                       const ProtobufCMessage *message, json_t **ret_json)
{
    if (path->field->label != PROTOBUF_C_LABEL_REPEATED)
        return write_value(writer, path, field_member(message, path->field), ret_json);
    bool is_map = json_name_is_map(path->field);
    json_t *container = is_map ? json_object() : json_array();
    if (container == NULL)
        return give(writer, path, NULL, ret_json);
    int rc = is_map ? write_map(writer, path, message, container)
                    : write_array(writer, path, message, container);
    if (rc != 0)
        json_decref(container);
    else
        *ret_json = container;
    return rc;
}

static const ProtobufCBinaryData *payload_encoding(const Api__Payload *payload)
{
    for (size_t i = 0; i < payload->n_metadata; i++) {
        if (payload->metadata[i]->key != NULL && strcmp(payload->metadata[i]->key, "encoding") == 0)
            return &payload->metadata[i]->value;
    }
    return NULL;
}

static bool bytes_are(const ProtobufCBinaryData *bytes, const char *text)
{
    return bytes->len == strlen(text) && memcmp(bytes->data, text, bytes->len) == 0;
}

/* What a payload holds, or NULL when it is shown as it is. */
static json_t *decode_payload(const Api__Payload *payload)
{
    const ProtobufCBinaryData *encoding = payload_encoding(payload);
    if (encoding == NULL)
        return NULL;
    if (bytes_are(encoding, "binary/null"))
        return json_null();
    if (!bytes_are(encoding, "json/plain"))
        return NULL;
    return json_loadb((const char *)payload->data.data, payload->data.len, JSON_DECODE_ANY, NULL);
}

/* The messages that the mapping writes in a form of their own; NULL for all others. */
static json_t *write_special(struct writer *writer, const ProtobufCMessage *message)
{
    char text[JSON_TIME_SIZE];
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (descriptor == &api__timestamp__descriptor)
        return json_time_format_timestamp((const Api__Timestamp *)message, text) ? json_string(text)
                                                                                 : NULL;
    if (descriptor == &api__duration__descriptor)
        return json_time_format_duration((const Api__Duration *)message, text) ? json_string(text)
                                                                               : NULL;
    if (descriptor == &api__double_value__descriptor)
        return number_json(((const Api__DoubleValue *)message)->value);
    if (descriptor == &api__payload__descriptor &&
        (writer->flags & MESSAGE_JSON_PAYLOADS_DECODED) != 0)
        return decode_payload((const Api__Payload *)message);
    return NULL;
}

static int write_message(struct writer *writer, const struct field_path *path,
                         const ProtobufCMessage *message, json_t **ret_json)
{
    if (path->depth > LIMIT_MESSAGE_DEPTH)
        return field_path_fail(path, writer->err, ERR_LIMIT, "message is nested too deeply");
    json_t *special = write_special(writer, message);
    if (special != NULL)
        return give(writer, path, special, ret_json);
    struct field_path place = *path;
    if (message->descriptor == &api__payloads__descriptor &&
        (writer->flags & MESSAGE_JSON_PAYLOADS_DECODED) != 0) {
        place.field = &message->descriptor->fields[0];
        return write_field(writer, &place, message, ret_json);
    }
    json_t *object = json_object();
    for (unsigned i = 0; object != NULL && i < message->descriptor->n_fields; i++) {
        place.field = &message->descriptor->fields[i];
        if (!field_is_set(message, place.field))
            continue;
        char name[JSON_NAME_SIZE];
        json_t *value;
        int rc = write_field(writer, &place, message, &value);
        if (rc == 0 && json_object_set_new(object, json_name_of(place.field, name), value) != 0)
            rc = field_path_fail(&place, writer->err, ERR_MEMORY, "out of memory");
        if (rc != 0) {
            json_decref(object);
            return rc;
        }
    }
    return give(writer, path, object, ret_json);
}

int message_to_json(const ProtobufCMessage *message, unsigned flags, json_t **ret_json,
                    struct error *err)
{
    struct writer writer = {.flags = flags, .err = err};
    arena_init(&writer.scratch, ARENA_NO_LIMIT);
    struct field_path path = {.descriptor = message->descriptor, .depth = 1};
    int rc = write_message(&writer, &path, message, ret_json);
    arena_fini(&writer.scratch);
    return rc;
}
