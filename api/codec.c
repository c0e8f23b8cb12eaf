/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec: see codec.h. Encoding writes with msgpack_writer, decoding reads with msgpack_reader. Both
 * recurse once per nested message, at most LIMIT_MESSAGE_DEPTH deep.
 */
#include "api/codec.h"

#include <string.h>

#include "api/field.h"
#include "api/field_path.h"
#include "api/msgpack_reader.h"
#include "api/msgpack_writer.h"
#include "common/assert.h"
#include "common/limits.h"
#include "common/utf8.h"

/* Fields that a message of the schema may have. */
#define FIELD_COUNT_MAX 256

/* --- the fields that are set --- */

/* One past the last member of the oneof whose first member is at `first`. The members of a oneof
 * are neighbours in every message of the schema (test_codec holds it to that): HistoryEvent has 41
 * of them, and the end of the row is found without looking at each. */
static unsigned find_oneof_end(const ProtobufCMessageDescriptor *descriptor, unsigned first)
{
    const ProtobufCFieldDescriptor *fields = descriptor->fields;
    unsigned last = first;
    unsigned end = descriptor->n_fields;
    while (end - last > 1) {
        unsigned middle = last + (end - last) / 2;
        if (field_is_in_oneof(&fields[middle]) &&
            fields[middle].quantifier_offset == fields[first].quantifier_offset)
            last = middle;
        else
            end = middle;
    }
    return end;
}

/* The places in the descriptor of the fields that are set, in order; returns how many. */
static size_t find_set_fields(const ProtobufCMessage *message, uint8_t places[FIELD_COUNT_MAX])
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    ASSERT(descriptor->n_fields <= FIELD_COUNT_MAX);
    size_t count = 0;
    unsigned i = 0;
    while (i < descriptor->n_fields) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        unsigned next = i + 1;
        if (field_is_in_oneof(field)) {
            next = find_oneof_end(descriptor, i);
            field = field_find(descriptor, *(const uint32_t *)field_quantifier(message, field));
        }
        if (field != NULL && field_is_set(message, field))
            places[count++] = (uint8_t)(field - descriptor->fields);
        i = next;
    }
    return count;
}

/* --- encoding --- */

static int encode_message(const ProtobufCMessage *message, struct buffer *buffer,
                          struct field_path *path, struct error *err);

static int encode_string(const char *text, struct buffer *buffer, const struct field_path *path,
                         struct error *err)
{
    size_t size = strlen(text);
    if (size > LIMIT_MESSAGE_SIZE)
        return field_path_fail(path, err, ERR_LIMIT, "message is too large");
    if (!utf8_is_valid(text, size))
        return field_path_fail(path, err, ERR_INVALID, "text is not UTF-8");
    msgpack_write_str(buffer, text, (uint32_t)size);
    return 0;
}

static int encode_value(const void *member, struct buffer *buffer, struct field_path *path,
                        struct error *err)
{
    switch (path->field->type) {
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SINT32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_ENUM:
        msgpack_write_signed(buffer, *(const int32_t *)member);
        return 0;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        msgpack_write_signed(buffer, *(const int64_t *)member);
        return 0;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        msgpack_write_unsigned(buffer, *(const uint32_t *)member);
        return 0;
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        msgpack_write_unsigned(buffer, *(const uint64_t *)member);
        return 0;
    case PROTOBUF_C_TYPE_FLOAT:
        msgpack_write_float(buffer, *(const float *)member);
        return 0;
    case PROTOBUF_C_TYPE_DOUBLE:
        msgpack_write_double(buffer, *(const double *)member);
        return 0;
    case PROTOBUF_C_TYPE_BOOL:
        msgpack_write_bool(buffer, *(const protobuf_c_boolean *)member != 0);
        return 0;
    case PROTOBUF_C_TYPE_STRING:
        return encode_string(*(const char *const *)member, buffer, path, err);
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = member;
        if (bytes->len > LIMIT_MESSAGE_SIZE)
            return field_path_fail(path, err, ERR_LIMIT, "message is too large");
        msgpack_write_bin(buffer, bytes->data, (uint32_t)bytes->len);
        return 0;
    }
    case PROTOBUF_C_TYPE_MESSAGE: {
        struct field_path inner = {.parent = path, .depth = path->depth + 1};
        return encode_message(*(const ProtobufCMessage *const *)member, buffer, &inner, err);
    }
    }
    UNREACHABLE();
}

static int encode_repeated(const ProtobufCMessage *message, struct buffer *buffer,
                           struct field_path *path, struct error *err)
{
    size_t count = field_count(message, path->field);
    if (count > LIMIT_REPEATED_COUNT)
        return field_path_fail(path, err, ERR_LIMIT, "too many elements");
    msgpack_write_array(buffer, (uint32_t)count);
    const char *elements = *(char *const *)field_member(message, path->field);
    size_t size = field_size(path->field);
    for (size_t i = 0; i < count; i++) {
        int rc = encode_value(elements + i * size, buffer, path, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int encode_message(const ProtobufCMessage *message, struct buffer *buffer,
                          struct field_path *path, struct error *err)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (path->depth > LIMIT_MESSAGE_DEPTH)
        return field_path_fail(path, err, ERR_LIMIT, "message is nested too deeply");
    uint8_t places[FIELD_COUNT_MAX];
    size_t count = find_set_fields(message, places);
    msgpack_write_map(buffer, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[places[i]];
        path->field = field;
        msgpack_write_unsigned(buffer, field->id);
        int rc = field->label == PROTOBUF_C_LABEL_REPEATED
                     ? encode_repeated(message, buffer, path, err)
                     : encode_value(field_member(message, field), buffer, path, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

int codec_encode(const ProtobufCMessage *message, struct buffer *buffer, struct error *err)
{
    size_t start = buffer->size;
    struct field_path path = {.descriptor = message->descriptor, .depth = 1};
    int rc = encode_message(message, buffer, &path, err);
    if (rc == 0 && buffer->failed)
        rc = error_set(err, ERR_MEMORY, "out of memory while encoding %s",
                       message->descriptor->short_name);
    if (rc == 0 && buffer->size - start > LIMIT_MESSAGE_SIZE)
        rc = error_set(err, ERR_LIMIT, "%s takes %zu bytes, the limit is %zu",
                       message->descriptor->short_name, buffer->size - start, LIMIT_MESSAGE_SIZE);
    if (rc != 0)
        buffer->size = start;
    return rc;
}

/* --- decoding --- */

struct decoder {
    struct msgpack_reader reader;
    struct arena *arena;
    struct error *err;
};

static int decode_message(struct decoder *decoder, const ProtobufCMessageDescriptor *descriptor,
                          struct field_path *path, ProtobufCMessage **ret_message);

static int fail_exhausted(struct decoder *decoder, const struct field_path *path)
{
    return field_path_fail(path, decoder->err, ERR_LIMIT, "message takes too much memory");
}

/* What was read is not what the schema wants there: the end of the input, or another type. */
static int fail_type(struct decoder *decoder, const struct field_path *path, const char *wanted,
                     const struct msgpack_item *item)
{
    char reason[64];
    snprintf(reason, sizeof reason, "%s expected, got %s", wanted,
             item != NULL ? msgpack_type_name(item->type) : "the end of the message or no msgpack");
    return field_path_fail(path, decoder->err, ERR_PROTOCOL, reason);
}

static int decode_integer(struct decoder *decoder, const struct field_path *path,
                          const struct msgpack_item *item, void *member)
{
    if (item->type != MSGPACK_UNSIGNED && item->type != MSGPACK_NEGATIVE)
        return fail_type(decoder, path, "integer", item);
    bool negative = item->type == MSGPACK_NEGATIVE;
    bool fits;
    switch (path->field->type) {
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
        fits = !negative;
        break;
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        fits = !negative && item->number <= UINT32_MAX;
        break;
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        fits = negative || item->number <= INT64_MAX;
        break;
    default:
        fits = negative ? item->negative >= INT32_MIN : item->number <= INT32_MAX;
        break;
    }
    if (!fits)
        return field_path_fail(path, decoder->err, ERR_PROTOCOL, "number is out of range");
    /* Both views of the number have the same low bits. */
    if (field_size(path->field) == sizeof(uint32_t)) {
        uint32_t low = (uint32_t)item->number;
        memcpy(member, &low, sizeof low);
    } else {
        memcpy(member, &item->number, sizeof item->number);
    }
    return 0;
}

static int decode_string(struct decoder *decoder, const struct field_path *path,
                         const struct msgpack_item *item, char **member)
{
    if (item->type != MSGPACK_STR)
        return fail_type(decoder, path, "str", item);
    if (memchr(item->bytes.data, '\0', item->bytes.size) != NULL)
        return field_path_fail(path, decoder->err, ERR_PROTOCOL, "text holds a NUL");
    if (!utf8_is_valid(item->bytes.data, item->bytes.size))
        return field_path_fail(path, decoder->err, ERR_PROTOCOL, "text is not UTF-8");
    char *copy = arena_strndup(decoder->arena, (const char *)item->bytes.data, item->bytes.size);
    if (copy == NULL)
        return fail_exhausted(decoder, path);
    *member = copy;
    return 0;
}

static int decode_scalar(struct decoder *decoder, const struct field_path *path, void *member)
{
    struct msgpack_item item;
    if (!msgpack_read(&decoder->reader, &item))
        return fail_type(decoder, path, "a value", NULL);
    switch (path->field->type) {
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_DOUBLE:
        if (item.type != MSGPACK_FLOAT)
            return fail_type(decoder, path, "float", &item);
        if (path->field->type == PROTOBUF_C_TYPE_FLOAT)
            *(float *)member = (float)item.real;
        else
            *(double *)member = item.real;
        return 0;
    case PROTOBUF_C_TYPE_BOOL:
        if (item.type != MSGPACK_BOOL)
            return fail_type(decoder, path, "bool", &item);
        *(protobuf_c_boolean *)member = item.boolean;
        return 0;
    case PROTOBUF_C_TYPE_STRING:
        return decode_string(decoder, path, &item, member);
    case PROTOBUF_C_TYPE_BYTES:
        if (item.type != MSGPACK_BIN)
            return fail_type(decoder, path, "bin", &item);
        *(ProtobufCBinaryData *)member = (ProtobufCBinaryData){
            .len = item.bytes.size, .data = (uint8_t *)(uintptr_t)item.bytes.data};
        return 0;
    default:
        return decode_integer(decoder, path, &item, member);
    }
}

static int decode_value(struct decoder *decoder, const struct field_path *path, void *member)
{
    if (path->field->type != PROTOBUF_C_TYPE_MESSAGE)
        return decode_scalar(decoder, path, member);
    struct field_path inner = {.parent = path, .depth = path->depth + 1};
    return decode_message(decoder, path->field->descriptor, &inner, member);
}

static int decode_repeated(struct decoder *decoder, const struct field_path *path,
                           ProtobufCMessage *message)
{
    struct msgpack_item item;
    if (!msgpack_read(&decoder->reader, &item))
        return fail_type(decoder, path, "array", NULL);
    if (item.type != MSGPACK_ARRAY)
        return fail_type(decoder, path, "array", &item);
    if (item.count > LIMIT_REPEATED_COUNT)
        return field_path_fail(path, decoder->err, ERR_LIMIT, "too many elements");
    if (item.count == 0)
        return 0;
    size_t size = field_size(path->field);
    char *elements = arena_alloc(decoder->arena, item.count * size);
    if (elements == NULL)
        return fail_exhausted(decoder, path);
    for (size_t i = 0; i < item.count; i++) {
        int rc = decode_value(decoder, path, elements + i * size);
        if (rc != 0)
            return rc;
    }
    *(char **)field_member(message, path->field) = elements;
    *(size_t *)field_quantifier(message, path->field) = item.count;
    return 0;
}

/* Reads the value of a field that the schema knows into message and marks it as set. */
static int decode_field(struct decoder *decoder, const struct field_path *path,
                        ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field = path->field;
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return decode_repeated(decoder, path, message);
    bool in_oneof = field_is_in_oneof(field);
    if (in_oneof && *(const uint32_t *)field_quantifier(message, field) != 0)
        return field_path_fail(path, decoder->err, ERR_PROTOCOL,
                               "another member of its oneof is set");
    int rc = decode_value(decoder, path, field_member(message, field));
    if (rc != 0)
        return rc;
    if (in_oneof)
        *(uint32_t *)field_quantifier(message, field) = field->id;
    else if (field_has_flag(field))
        *(protobuf_c_boolean *)field_quantifier(message, field) = true;
    return 0;
}

/* Fields of one message that were read: a second one of the same number is refused. */
struct field_set {
    uint64_t words[FIELD_COUNT_MAX / 64];
};

static bool field_set_add(struct field_set *set, size_t index)
{
    uint64_t bit = UINT64_C(1) << (index % 64);
    bool is_new = (set->words[index / 64] & bit) == 0;
    set->words[index / 64] |= bit;
    return is_new;
}

/* The field with this number, or NULL. Senders write fields in order: `expected` is the one after
 * the last. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor,
                                                  uint64_t id, size_t expected)
{
    if (expected < descriptor->n_fields && descriptor->fields[expected].id == id)
        return &descriptor->fields[expected];
    return field_find(descriptor, id);
}

static int decode_fields(struct decoder *decoder, uint32_t count, struct field_path *path,
                         ProtobufCMessage *message)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    struct field_set seen = {0};
    size_t expected = 0;
    for (uint32_t i = 0; i < count; i++) {
        path->field = NULL;
        struct msgpack_item key;
        if (!msgpack_read(&decoder->reader, &key))
            return fail_type(decoder, path, "field number", NULL);
        if (key.type != MSGPACK_UNSIGNED)
            return fail_type(decoder, path, "field number", &key);
        path->field = find_field(descriptor, key.number, expected);
        if (path->field == NULL) {
            if (!msgpack_skip(&decoder->reader))
                return fail_type(decoder, path, "a value", NULL);
            continue;
        }
        size_t index = (size_t)(path->field - descriptor->fields);
        expected = index + 1;
        if (!field_set_add(&seen, index))
            return field_path_fail(path, decoder->err, ERR_PROTOCOL, "field is there twice");
        int rc = decode_field(decoder, path, message);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int decode_message(struct decoder *decoder, const ProtobufCMessageDescriptor *descriptor,
                          struct field_path *path, ProtobufCMessage **ret_message)
{
    ASSERT(descriptor->n_fields <= FIELD_COUNT_MAX);
    if (path->depth > LIMIT_MESSAGE_DEPTH)
        return field_path_fail(path, decoder->err, ERR_LIMIT, "message is nested too deeply");
    struct msgpack_item map;
    if (!msgpack_read(&decoder->reader, &map))
        return fail_type(decoder, path, "map", NULL);
    if (map.type != MSGPACK_MAP)
        return fail_type(decoder, path, "map", &map);
    ProtobufCMessage *message = arena_alloc(decoder->arena, descriptor->sizeof_message);
    if (message == NULL)
        return fail_exhausted(decoder, path);
    descriptor->message_init(message);
    int rc = decode_fields(decoder, map.count, path, message);
    if (rc != 0)
        return rc;
    *ret_message = message;
    return 0;
}

int codec_decode(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t size,
                 struct arena *arena, ProtobufCMessage **ret_message, struct error *err)
{
    struct field_path path = {.descriptor = descriptor, .depth = 1};
    if (size > LIMIT_MESSAGE_SIZE)
        return field_path_fail(&path, err, ERR_LIMIT, "message is too large");
    struct decoder decoder = {.reader = {data, data + size}, .arena = arena, .err = err};
    ProtobufCMessage *message;
    int rc = decode_message(&decoder, descriptor, &path, &message);
    if (rc != 0)
        return rc;
    path.field = NULL;
    if (decoder.reader.at != decoder.reader.end)
        return field_path_fail(&path, err, ERR_PROTOCOL, "bytes follow the end of the message");
    *ret_message = message;
    return 0;
}

/* --- copying --- */

static bool copy_value(const ProtobufCFieldDescriptor *field, const void *from, void *to,
                       struct arena *arena)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        return (*(char **)to = arena_strdup(arena, *(char *const *)from)) != NULL;
    case PROTOBUF_C_TYPE_BYTES: {
        const ProtobufCBinaryData *bytes = from;
        uint8_t *data = arena_memdup(arena, bytes->data, bytes->len);
        *(ProtobufCBinaryData *)to = (ProtobufCBinaryData){.len = bytes->len, .data = data};
        return data != NULL;
    }
    case PROTOBUF_C_TYPE_MESSAGE: {
        ProtobufCMessage *copy = codec_copy(*(ProtobufCMessage *const *)from, arena);
        *(ProtobufCMessage **)to = copy;
        return copy != NULL;
    }
    default:
        memcpy(to, from, field_size(field));
        return true;
    }
}

static bool copy_repeated(const ProtobufCFieldDescriptor *field, const ProtobufCMessage *message,
                          ProtobufCMessage *copy, struct arena *arena)
{
    size_t count = field_count(message, field);
    size_t size = field_size(field);
    const char *from = *(char *const *)field_member(message, field);
    char *to = arena_calloc(arena, count, size);
    if (to == NULL)
        return false;
    for (size_t i = 0; i < count; i++) {
        if (!copy_value(field, from + i * size, to + i * size, arena))
            return false;
    }
    *(char **)field_member(copy, field) = to;
    return true;
}

ProtobufCMessage *codec_copy(const ProtobufCMessage *message, struct arena *arena)
{
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    ProtobufCMessage *copy = arena_memdup(arena, message, descriptor->sizeof_message);
    if (copy == NULL)
        return NULL;
    copy->n_unknown_fields = 0;
    copy->unknown_fields = NULL;
    uint8_t places[FIELD_COUNT_MAX];
    size_t count = find_set_fields(message, places);
    for (size_t i = 0; i < count; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[places[i]];
        bool copied =
            field->label == PROTOBUF_C_LABEL_REPEATED
                ? copy_repeated(field, message, copy, arena)
                : copy_value(field, field_member(message, field), field_member(copy, field), arena);
        if (!copied)
            return NULL;
    }
    return copy;
}
