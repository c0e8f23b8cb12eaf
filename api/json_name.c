/* SPDX-License-Identifier: Apache-2.0 */
/* json_name: see json_name.h. */
#include "api/json_name.h"

#include <string.h>

#include "common/assert.h"
#include "common/nearest.h"

#define FIELDS_MAX 256

const char *json_name_of(const ProtobufCFieldDescriptor *field, char name[JSON_NAME_SIZE])
{
    size_t length = 0;
    bool upper = false;
    for (const char *at = field->name; *at != '\0'; at++) {
        if (*at == '_') {
            upper = true;
            continue;
        }
        ASSERT(length < JSON_NAME_SIZE - 1);
        name[length++] = upper && *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at;
        upper = false;
    }
    name[length] = '\0';
    return name;
}

const ProtobufCFieldDescriptor *json_name_find(const ProtobufCMessageDescriptor *descriptor,
                                               const char *name)
{
    char buffer[JSON_NAME_SIZE];
    for (unsigned i = 0; i < descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[i];
        if (strcmp(json_name_of(field, buffer), name) == 0 || strcmp(field->name, name) == 0)
            return field;
    }
    return NULL;
}

const char *json_name_nearest(const ProtobufCMessageDescriptor *descriptor, const char *unknown,
                              char name[JSON_NAME_SIZE])
{
    const char *names[FIELDS_MAX];
    char spelt[FIELDS_MAX][JSON_NAME_SIZE];
    ASSERT(descriptor->n_fields <= FIELDS_MAX);
    for (unsigned i = 0; i < descriptor->n_fields; i++)
        names[i] = json_name_of(&descriptor->fields[i], spelt[i]);
    const char *nearest = nearest_name(unknown, names, descriptor->n_fields);
    return nearest != NULL ? strcpy(name, nearest) : NULL;
}

bool json_name_is_map(const ProtobufCFieldDescriptor *field)
{
    if (field->label != PROTOBUF_C_LABEL_REPEATED || field->type != PROTOBUF_C_TYPE_MESSAGE)
        return false;
    const ProtobufCMessageDescriptor *entry = field->descriptor;
    size_t length = strlen(entry->short_name);
    return length > strlen("Entry") && strcmp(entry->short_name + length - 5, "Entry") == 0 &&
           entry->n_fields == 2 && strcmp(entry->fields[0].name, "key") == 0 &&
           strcmp(entry->fields[1].name, "value") == 0;
}
