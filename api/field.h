/* SPDX-License-Identifier: Apache-2.0 */
/*
 * field: reads and writes the fields of any message through its protobuf-c descriptor; what codec,
 * json and tests share. protobuf-c keeps a value at `offset` and says whether it is there at
 * `quantifier_offset`: a has_ flag (optional scalars), a count (repeated), the number of the member
 * that is set (oneof); strings and messages are there when their pointer is not NULL.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_API_FIELD_H
#define ARGOSY_API_FIELD_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline void *field_member(const ProtobufCMessage *message,
                                 const ProtobufCFieldDescriptor *field)
{
    return (char *)(uintptr_t)message + field->offset;
}

static inline void *field_quantifier(const ProtobufCMessage *message,
                                     const ProtobufCFieldDescriptor *field)
{
    return (char *)(uintptr_t)message + field->quantifier_offset;
}

static inline bool field_is_in_oneof(const ProtobufCFieldDescriptor *field)
{
    return (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* The field with this number, or NULL. Most messages number their first fields 1, 2, 3 ... */
static inline const ProtobufCFieldDescriptor *
field_find(const ProtobufCMessageDescriptor *descriptor, uint64_t number)
{
    if (number - 1 < descriptor->n_fields && descriptor->fields[number - 1].id == number)
        return &descriptor->fields[number - 1];
    return number <= INT32_MAX
               ? protobuf_c_message_descriptor_get_field(descriptor, (unsigned)number)
               : NULL;
}

/* Elements of a repeated field. */
static inline size_t field_count(const ProtobufCMessage *message,
                                 const ProtobufCFieldDescriptor *field)
{
    return *(const size_t *)field_quantifier(message, field);
}

static inline bool field_is_pointer(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_STRING || field->type == PROTOBUF_C_TYPE_MESSAGE;
}

/* An optional field outside a oneof whose presence is a has_ flag. */
static inline bool field_has_flag(const ProtobufCFieldDescriptor *field)
{
    return field->label == PROTOBUF_C_LABEL_OPTIONAL && !field_is_pointer(field) &&
           !field_is_in_oneof(field);
}

/* Is there a value (for a repeated field: at least one element)? */
static inline bool field_is_set(const ProtobufCMessage *message,
                                const ProtobufCFieldDescriptor *field)
{
    if (field->label == PROTOBUF_C_LABEL_REPEATED)
        return field_count(message, field) > 0;
    if (field_is_in_oneof(field) &&
        *(const uint32_t *)field_quantifier(message, field) != field->id)
        return false;
    if (field_is_pointer(field))
        return *(const void *const *)field_member(message, field) != NULL;
    return !field_has_flag(field) ||
           *(const protobuf_c_boolean *)field_quantifier(message, field) != 0;
}

/* Bytes that one value (one element of a repeated field) takes in the struct. */
static inline size_t field_size(const ProtobufCFieldDescriptor *field)
{
    switch (field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return sizeof(uint64_t);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_BOOL:
        return sizeof(protobuf_c_boolean);
    default: /* the 32-bit types; enums are int */
        return sizeof(uint32_t);
    }
}

#endif
