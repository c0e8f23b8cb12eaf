/* SPDX-License-Identifier: Apache-2.0 */
/* random_message: see random_message.h. */
#include "tests/unit/api/random_message.h"

#include <math.h>
#include <string.h>

#include "api/field.h"
#include "api/messages.h"
#include "api/method.h"
#include "common/assert.h"

/* splitmix64 */
uint64_t random_next(struct random *random)
{
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t random_below(struct random *random, uint64_t bound)
{
    return random_next(random) % bound;
}

/* Powers of two and their neighbours are where msgpack changes the form of a number. */
static uint64_t random_number(struct random *random)
{
    uint64_t edge = UINT64_C(1) << random_below(random, 64);
    switch (random_below(random, 6)) {
    case 0:
        return edge;
    case 1:
        return edge - 1;
    case 2:
        return ~edge;
    case 3:
        return ~edge + 1;
    case 4:
        return random_below(random, 2) == 0 ? 0 : UINT64_MAX;
    default:
        return random_next(random);
    }
}

static double random_real(struct random *random)
{
    static const double reals[] = {0.0, -0.0, 1.5, -1e300, 1e-300, INFINITY, -INFINITY, 0.1};
    return reals[random_below(random, sizeof reals / sizeof reals[0])];
}

static size_t random_length(struct random *random)
{
    static const size_t lengths[] = {0, 1, 7, 31, 32, 33, 255, 256, 300};
    if (random_below(random, 200) == 0)
        return 65535 + random_below(random, 3);
    return lengths[random_below(random, sizeof lengths / sizeof lengths[0])];
}

static char *random_string(struct random *random, struct arena *arena)
{
    static const char *const pieces[] = {"a", "Z", "\"", "\\", "\n", "\x7f", "é", "€", "𐍈"};
    size_t length = random_length(random);
    char *text = arena_alloc(arena, length + 8);
    ASSERT(text != NULL);
    size_t at = 0;
    while (at < length) {
        const char *piece = pieces[random_below(random, sizeof pieces / sizeof pieces[0])];
        memcpy(text + at, piece, strlen(piece));
        at += strlen(piece);
    }
    text[at] = '\0';
    return text;
}

static ProtobufCBinaryData random_bytes(struct random *random, struct arena *arena)
{
    size_t length = random_length(random);
    uint8_t *data = arena_alloc(arena, length);
    ASSERT(data != NULL);
    for (size_t i = 0; i < length; i++)
        data[i] = (uint8_t)random_next(random);
    return (ProtobufCBinaryData){.len = length, .data = data};
}

static void random_value(struct random *random, struct arena *arena,
                         const ProtobufCFieldDescriptor *field, unsigned depth, void *member)
{
    uint64_t number = random_number(random);
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
        *(char **)member = random_string(random, arena);
        return;
    case PROTOBUF_C_TYPE_BYTES:
        *(ProtobufCBinaryData *)member = random_bytes(random, arena);
        return;
    case PROTOBUF_C_TYPE_MESSAGE:
        *(ProtobufCMessage **)member = random_message(random, arena, field->descriptor, depth - 1);
        return;
    case PROTOBUF_C_TYPE_BOOL:
        *(protobuf_c_boolean *)member = number & 1;
        return;
    case PROTOBUF_C_TYPE_FLOAT:
        *(float *)member = (float)random_real(random);
        return;
    case PROTOBUF_C_TYPE_DOUBLE:
        *(double *)member = random_real(random);
        return;
    default:
        memcpy(member, &number, field_size(field));
        return;
    }
}

static void random_repeated(struct random *random, struct arena *arena,
                            const ProtobufCFieldDescriptor *field, unsigned depth,
                            ProtobufCMessage *message)
{
    /* 15 and 16 elements are written differently. */
    size_t count =
        random_below(random, 8) == 0 ? 15 + random_below(random, 2) : 1 + random_below(random, 3);
    char *elements = arena_calloc(arena, count, field_size(field));
    ASSERT(elements != NULL);
    for (size_t i = 0; i < count; i++)
        random_value(random, arena, field, depth, elements + i * field_size(field));
    *(char **)field_member(message, field) = elements;
    *(size_t *)field_quantifier(message, field) = count;
}

ProtobufCMessage *random_message(struct random *random, struct arena *arena,
                                 const ProtobufCMessageDescriptor *descriptor, unsigned depth)
{
    ProtobufCMessage *message = arena_alloc(arena, descriptor->sizeof_message);
    ASSERT(message != NULL);
    descriptor->message_init(message);
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        bool in_oneof = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
        if (field->type == PROTOBUF_C_TYPE_MESSAGE && depth == 0)
            continue;
        if (random_below(random, in_oneof ? 8 : 2) != 0)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            random_repeated(random, arena, field, depth, message);
            continue;
        }
        if (in_oneof && *(uint32_t *)field_quantifier(message, field) != 0)
            continue;
        random_value(random, arena, field, depth, field_member(message, field));
        if (in_oneof)
            *(uint32_t *)field_quantifier(message, field) = field->id;
        else if (field_has_flag(field))
            *(protobuf_c_boolean *)field_quantifier(message, field) = 1;
    }
    return message;
}

static size_t add_type(const ProtobufCMessageDescriptor **types, size_t count,
                       const ProtobufCMessageDescriptor *type)
{
    for (size_t i = 0; i < count; i++) {
        if (types[i] == type)
            return count;
    }
    ASSERT(count < MESSAGE_TYPES_MAX);
    types[count++] = type;
    for (unsigned i = 0; i < type->n_fields; i++) {
        if (type->fields[i].type == PROTOBUF_C_TYPE_MESSAGE)
            count = add_type(types, count, type->fields[i].descriptor);
    }
    return count;
}

size_t message_types(const ProtobufCMessageDescriptor *ret_types[MESSAGE_TYPES_MAX])
{
    static const ProtobufCMessageDescriptor *const details[] = {
        &api__error_reply__descriptor,
        &api__not_found_failure__descriptor,
        &api__workflow_execution_already_started_failure__descriptor,
        &api__namespace_not_found_failure__descriptor,
        &api__query_failed_failure__descriptor,
        &api__resource_exhausted_failure__descriptor,
    };
    size_t count = 0;
    for (int number = 0; number < 256; number++) {
        const struct method_row *row = method_get(number);
        if (row == NULL)
            continue;
        count = add_type(ret_types, count, row->request);
        count = add_type(ret_types, count, row->response);
    }
    for (size_t i = 0; i < sizeof details / sizeof details[0]; i++)
        count = add_type(ret_types, count, details[i]);
    return count;
}
