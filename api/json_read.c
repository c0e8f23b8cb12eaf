/* SPDX-License-Identifier: Apache-2.0 */
/* json_read: message_from_json of json.h. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/field.h"
#include "api/field_path.h"
#include "api/json.h"
#include "api/json_name.h"
#include "api/json_time.h"
#include "api/messages.h"
#include "common/base64.h"
#include "common/limits.h"

struct reader {
    struct arena *arena;
    struct error *err;
};

static int read_message(struct reader *reader, const ProtobufCMessageDescriptor *descriptor,
                        const struct field_path *path, const json_t *json,
                        ProtobufCMessage **ret_message);

static int fail(const struct reader *reader, const struct field_path *path, const char *reason)
{
    return field_path_fail(path, reader->err, ERR_INVALID, reason);
}

static int fail_exhausted(const struct reader *reader, const struct field_path *path)
{
    return field_path_fail(path, reader->err, ERR_LIMIT, "message takes too much memory");
}

/* A JSON integer, or a string of one; false when it is neither or does not fit 64 bits. */
static bool integer_of(const json_t *json, bool is_unsigned, uint64_t *ret_bits)
{
    if (json_is_integer(json)) {
        *ret_bits = (uint64_t)json_integer_value(json);
        return !is_unsigned || json_integer_value(json) >= 0;
    }
    const char *text = json_string_value(json);
    if (text == NULL || text[strspn(text, "-0123456789")] != '\0' || *text == '\0' ||
        (is_unsigned && *text == '-'))
        return false;
    char *end;
    errno = 0;
    *ret_bits = is_unsigned ? strtoull(text, &end, 10) : (uint64_t)strtoll(text, &end, 10);
    return errno == 0 && *end == '\0' && end != text;
}

static bool fits(const ProtobufCFieldDescriptor *field, uint64_t bits, bool is_unsigned)
{
    if (field_size(field) == sizeof(uint64_t))
        return true;
    return is_unsigned ? bits <= UINT32_MAX
                       : (int64_t)bits >= INT32_MIN && (int64_t)bits <= INT32_MAX;
}

static int read_integer(struct reader *reader, const struct field_path *path, const json_t *json,
                        void *member)
{
    const ProtobufCFieldDescriptor *field = path->field;
    bool is_unsigned =
        field->type == PROTOBUF_C_TYPE_UINT32 || field->type == PROTOBUF_C_TYPE_FIXED32 ||
        field->type == PROTOBUF_C_TYPE_UINT64 || field->type == PROTOBUF_C_TYPE_FIXED64;
    uint64_t bits;
    if (!integer_of(json, is_unsigned, &bits) || !fits(field, bits, is_unsigned))
        return fail(reader, path, "an integer in range expected");
    uint32_t low = (uint32_t)bits;
    if (field_size(field) == sizeof low)
        memcpy(member, &low, sizeof low);
    else
        memcpy(member, &bits, sizeof bits);
    return 0;
}

static int read_enum(struct reader *reader, const struct field_path *path, const json_t *json,
                     int32_t *member)
{
    if (!json_is_string(json))
        return read_integer(reader, path, json, member);
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value_by_name(
        path->field->descriptor, json_string_value(json));
    if (value == NULL)
        return fail(reader, path, "unknown enum name");
    *member = value->value;
    return 0;
}

static bool real_of(const json_t *json, double *ret_number)
{
    if (json_is_number(json)) {
        *ret_number = json_number_value(json);
        return true;
    }
    const char *text = json_string_value(json);
    if (text == NULL)
        return false;
    if (strcmp(text, "NaN") == 0)
        *ret_number = (double)NAN;
    else if (strcmp(text, "Infinity") == 0)
        *ret_number = (double)INFINITY;
    else if (strcmp(text, "-Infinity") == 0)
        *ret_number = (double)-INFINITY;
    else
        return false;
    return true;
}

static int read_real(struct reader *reader, const struct field_path *path, const json_t *json,
                     void *member)
{
    double number;
    if (!real_of(json, &number))
        return fail(reader, path, "a number expected");
    if (path->field->type == PROTOBUF_C_TYPE_FLOAT)
        *(float *)member = (float)number;
    else
        *(double *)member = number;
    return 0;
}

static int read_string(struct reader *reader, const struct field_path *path, const json_t *json,
                       char **member)
{
    if (!json_is_string(json))
        return fail(reader, path, "a string expected");
    const char *text = json_string_value(json);
    if (strlen(text) != json_string_length(json))
        return fail(reader, path, "text holds a NUL");
    char *copy = arena_strdup(reader->arena, text);
    if (copy == NULL)
        return fail_exhausted(reader, path);
    *member = copy;
    return 0;
}

static int read_bytes(struct reader *reader, const struct field_path *path, const json_t *json,
                      ProtobufCBinaryData *member)
{
    if (!json_is_string(json))
        return fail(reader, path, "base64 text expected");
    switch (base64_decode(reader->arena, json_string_value(json), json_string_length(json),
                          &member->data, &member->len)) {
    case BASE64_OK:
        return 0;
    case BASE64_NO_MEMORY:
        return fail_exhausted(reader, path);
    default:
        return fail(reader, path, "base64 text expected");
    }
}

static int read_value(struct reader *reader, const struct field_path *path, const json_t *json,
                      void *member)
{
    switch (path->field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        return read_real(reader, path, json, member);
    case PROTOBUF_C_TYPE_BOOL:
        if (!json_is_boolean(json))
            return fail(reader, path, "true or false expected");
        *(protobuf_c_boolean *)member = json_is_true(json);
        return 0;
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(reader, path, json, member);
    case PROTOBUF_C_TYPE_STRING:
        return read_string(reader, path, json, member);
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(reader, path, json, member);
    case PROTOBUF_C_TYPE_MESSAGE: {
        struct field_path inner = {.parent = path, .depth = path->depth + 1};
        return read_message(reader, path->field->descriptor, &inner, json, member);
    }
    default:
        return read_integer(reader, path, json, member);
    }
}

static void mark_set(ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0)
        *(uint32_t *)field_quantifier(message, field) = field->id;
    else if (field_has_flag(field))
        *(protobuf_c_boolean *)field_quantifier(message, field) = 1;
}

/* One "key": value of a map, as its entry message. */
static int read_entry(struct reader *reader, const struct field_path *path, const char *key,
                      const json_t *json, ProtobufCMessage **ret_entry)
{
    const ProtobufCMessageDescriptor *descriptor = path->field->descriptor;
    ProtobufCMessage *entry = arena_alloc(reader->arena, descriptor->sizeof_message);
    json_t *key_json = json_string(key);
    if (entry == NULL || key_json == NULL) {
        json_decref(key_json);
        return fail_exhausted(reader, path);
    }
    descriptor->message_init(entry);
    struct field_path inner = {.parent = path, .depth = path->depth + 1};
    inner.field = &descriptor->fields[0];
    int rc = read_value(reader, &inner, key_json, field_member(entry, inner.field));
    json_decref(key_json);
    if (rc != 0)
        return rc;
    mark_set(entry, inner.field);
    inner.field = &descriptor->fields[1];
    if (!json_is_null(json)) {
        rc = read_value(reader, &inner, json, field_member(entry, inner.field));
        if (rc != 0)
            return rc;
        mark_set(entry, inner.field);
    }
    *ret_entry = entry;
    return 0;
}

static int read_map(struct reader *reader, const struct field_path *path, const json_t *json,
                    ProtobufCMessage **entries)
{
    const char *key;
    json_t *value;
    size_t i = 0;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        int rc = read_entry(reader, path, key, value, &entries[i++]);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_repeated(struct reader *reader, const struct field_path *path, const json_t *json,
                         ProtobufCMessage *message)
{
    bool is_map = json_name_is_map(path->field);
    if (is_map ? !json_is_object(json) : !json_is_array(json))
        return fail(reader, path, is_map ? "an object expected" : "an array expected");
    size_t count = is_map ? json_object_size(json) : json_array_size(json);
    if (count > LIMIT_REPEATED_COUNT)
        return field_path_fail(path, reader->err, ERR_LIMIT, "too many elements");
    if (count == 0)
        return 0;
    size_t size = field_size(path->field);
    char *elements = arena_calloc(reader->arena, count, size);
    if (elements == NULL)
        return fail_exhausted(reader, path);
    int rc = is_map ? read_map(reader, path, json, (ProtobufCMessage **)elements) : 0;
    for (size_t i = 0; rc == 0 && !is_map && i < count; i++)
        rc = read_value(reader, path, json_array_get(json, i), elements + i * size);
    if (rc != 0)
        return rc;
    *(char **)field_member(message, path->field) = elements;
    *(size_t *)field_quantifier(message, path->field) = count;
    return 0;
}

static int read_field(struct reader *reader, const struct field_path *path, const json_t *json,
                      ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field = path->field;
    if (field_is_set(message, field))
        return fail(reader, path, "field is there twice, in two spellings");
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return read_repeated(reader, path, json, message);
    if ((field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 &&
        *(const uint32_t *)field_quantifier(message, field) != 0)
        return fail(reader, path, "another member of its oneof is set");
    int rc = read_value(reader, path, json, field_member(message, field));
    if (rc == 0)
        mark_set(message, field);
    return rc;
}

static int fail_unknown(const struct reader *reader, const struct field_path *path,
                        const ProtobufCMessageDescriptor *descriptor, const char *unknown)
{
    char nearest[JSON_NAME_SIZE];
    char reason[2 * JSON_NAME_SIZE + 64];
    if (json_name_nearest(descriptor, unknown, nearest) != NULL)
        snprintf(reason, sizeof reason, "unknown field \"%.*s\"; did you mean \"%s\"?",
                 JSON_NAME_SIZE, unknown, nearest);
    else
        snprintf(reason, sizeof reason, "unknown field \"%.*s\"", JSON_NAME_SIZE, unknown);
    return fail(reader, path, reason);
}

/* The messages that the mapping writes in a form of their own: 1 when read, 0 when json has the
 * ordinary form. */
static int read_special(struct reader *reader, const struct field_path *path,
                        ProtobufCMessage *message, const json_t *json)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (json_is_object(json))
        return 0;
    if (descriptor == &api__timestamp__descriptor)
        return json_is_string(json) &&
                       json_time_parse_timestamp(json_string_value(json), (Api__Timestamp *)message)
                   ? 1
                   : fail(reader, path, "a time such as \"2026-01-31T23:59:59Z\" expected");
    if (descriptor == &api__duration__descriptor)
        return json_is_string(json) &&
                       json_time_parse_duration(json_string_value(json), (Api__Duration *)message)
                   ? 1
                   : fail(reader, path, "a duration such as \"3.5s\" expected");
    if (descriptor == &api__double_value__descriptor) {
        Api__DoubleValue *wrapper = (Api__DoubleValue *)message;
        wrapper->has_value = 1;
        return real_of(json, &wrapper->value) ? 1 : fail(reader, path, "a number expected");
    }
    return 0;
}

static int read_fields(struct reader *reader, const struct field_path *path,
                       ProtobufCMessage *message, const json_t *json)
{
    struct field_path place = *path;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        place.field = json_name_find(message->descriptor, key);
        if (place.field == NULL)
            return fail_unknown(reader, path, message->descriptor, key);
        if (json_is_null(value))
            continue;
        int rc = read_field(reader, &place, value, message);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int read_message(struct reader *reader, const ProtobufCMessageDescriptor *descriptor,
                        const struct field_path *path, const json_t *json,
                        ProtobufCMessage **ret_message)
{
    if (path->depth > LIMIT_MESSAGE_DEPTH)
        return field_path_fail(path, reader->err, ERR_LIMIT, "message is nested too deeply");
    ProtobufCMessage *message = arena_alloc(reader->arena, descriptor->sizeof_message);
    if (message == NULL)
        return fail_exhausted(reader, path);
    descriptor->message_init(message);
    int rc = read_special(reader, path, message, json);
    if (rc == 0)
        rc = json_is_object(json) ? read_fields(reader, path, message, json)
                                  : fail(reader, path, "an object expected");
    if (rc < 0)
        return rc;
    *ret_message = message;
    return 0;
}

int message_from_json(const ProtobufCMessageDescriptor *descriptor, const json_t *json,
                      struct arena *arena, ProtobufCMessage **ret_message, struct error *err)
{
    struct reader reader = {.arena = arena, .err = err};
    struct field_path path = {.descriptor = descriptor, .depth = 1};
    return read_message(&reader, descriptor, &path, json, ret_message);
}
