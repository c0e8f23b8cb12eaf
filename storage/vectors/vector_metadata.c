/* SPDX-License-Identifier: Apache-2.0 */
/* vector_metadata: see vector_metadata.h. */
#include "storage/vectors/vector_metadata.h"

#include <string.h>

#include "storage/vectors.h"

#define DUMP_FLAGS (JSON_COMPACT | JSON_SORT_KEYS)

/* What stands before an entry's name. */
struct entry {
    uint8_t type;
    uint8_t name_size;
    uint16_t value_size;
};

_Static_assert(VECTOR_METADATA_SIZE_MAX <= UINT16_MAX, "a value's size fits in its entry");
_Static_assert(VECTOR_NAME_MAX <= UINT8_MAX, "a name's size fits in its entry");

bool vector_value_read(const json_t *json, struct vector_value *ret_value)
{
    if (json_is_string(json)) {
        *ret_value = (struct vector_value){.type = VECTOR_VALUE_TEXT,
                                           .text = json_string_value(json),
                                           .size = json_string_length(json)};
        return true;
    }
    if (json_is_number(json)) {
        *ret_value =
            (struct vector_value){.type = VECTOR_VALUE_NUMBER, .number = json_number_value(json)};
        return true;
    }
    if (json_is_boolean(json)) {
        *ret_value =
            (struct vector_value){.type = VECTOR_VALUE_BOOLEAN, .is_true = json_is_true(json)};
        return true;
    }
    return false;
}

static int check_entries(json_t *object, struct error *err)
{
    const char *name;
    json_t *json;
    json_object_foreach(object, name, json)
    {
        struct vector_value value;
        size_t size = strlen(name);
        if (size == 0 || size > VECTOR_NAME_MAX)
            return error_set(err, ERR_INVALID, "metadata: a name has %zu bytes, not 1 to %d", size,
                             VECTOR_NAME_MAX);
        if (!vector_value_read(json, &value))
            return error_set(err, ERR_INVALID,
                             "metadata.%s: must be a string, a number, true or false", name);
    }
    return 0;
}

static int dump(const json_t *object, struct arena *arena, const char **ret_text, struct error *err)
{
    char *text = json_dumps(object, DUMP_FLAGS);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "metadata: out of memory");
    const char *copy = arena_strdup(arena, text);
    free(text);
    if (copy == NULL)
        return error_set(err, ERR_LIMIT, "metadata: no room for it");
    *ret_text = copy;
    return 0;
}

int vector_metadata_read(const char *text, struct arena *arena, const char **ret_text,
                         struct error *err)
{
    if (text == NULL) {
        *ret_text = NULL;
        return 0;
    }
    if (strlen(text) > VECTOR_METADATA_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "metadata: has %zu bytes, more than %d", strlen(text),
                         VECTOR_METADATA_SIZE_MAX);
    json_error_t json_error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &json_error);
    if (object == NULL)
        return error_set(err, ERR_INVALID, "metadata: column %d: %s", json_error.column,
                         json_error.text);
    const char *copy = NULL;
    int code = json_is_object(object)
                   ? check_entries(object, err)
                   : error_set(err, ERR_INVALID, "metadata: must be a JSON object");
    if (code == 0 && json_object_size(object) > 0)
        code = dump(object, arena, &copy, err);
    json_decref(object);
    if (code != 0)
        return code;
    /* Numbers may have become longer ("1e5" is 100000.0). */
    if (copy != NULL && strlen(copy) > VECTOR_METADATA_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "metadata: has %zu bytes when written out, more than %d",
                         strlen(copy), VECTOR_METADATA_SIZE_MAX);
    *ret_text = copy;
    return 0;
}

static void pack_entry(const char *name, const struct vector_value *value, struct buffer *out)
{
    const void *data = value->type == VECTOR_VALUE_TEXT     ? (const void *)value->text
                       : value->type == VECTOR_VALUE_NUMBER ? (const void *)&value->number
                                                            : (const void *)&value->is_true;
    size_t size = value->type == VECTOR_VALUE_TEXT     ? value->size
                  : value->type == VECTOR_VALUE_NUMBER ? sizeof value->number
                                                       : sizeof value->is_true;
    struct entry entry = {(uint8_t)value->type, (uint8_t)strlen(name), (uint16_t)size};
    buffer_append(out, &entry, sizeof entry);
    buffer_append(out, name, entry.name_size);
    buffer_append(out, data, size);
}

int vector_metadata_pack(const char *text, struct buffer *out, struct error *err)
{
    if (text == NULL)
        return 0;
    json_t *object = json_loads(text, 0, NULL);
    int code = json_is_object(object) && check_entries(object, NULL) == 0 &&
                       strlen(text) <= VECTOR_METADATA_SIZE_MAX
                   ? 0
                   : error_set(err, ERR_CORRUPT, "stored metadata is damaged: %.64s", text);
    const char *name;
    json_t *json;
    if (code == 0) {
        json_object_foreach(object, name, json)
        {
            struct vector_value value;
            if (vector_value_read(json, &value))
                pack_entry(name, &value, out);
        }
    }
    json_decref(object);
    if (code == 0 && out->failed)
        code = error_set(err, ERR_MEMORY, "metadata: out of memory");
    return code;
}

bool vector_metadata_find(struct vector_packed packed, const char *name, size_t name_size,
                          struct vector_value *ret_value)
{
    for (size_t at = 0; at < packed.size;) {
        struct entry entry;
        memcpy(&entry, packed.data + at, sizeof entry);
        const uint8_t *entry_name = packed.data + at + sizeof entry;
        const uint8_t *data = entry_name + entry.name_size;
        at += sizeof entry + entry.name_size + entry.value_size;
        if (entry.name_size != name_size || memcmp(entry_name, name, name_size) != 0)
            continue;
        struct vector_value value = {.type = (enum vector_value_type)entry.type};
        if (value.type == VECTOR_VALUE_NUMBER)
            memcpy(&value.number, data, sizeof value.number);
        else if (value.type == VECTOR_VALUE_BOOLEAN)
            value.is_true = *data != 0;
        value.text = (const char *)data;
        value.size = entry.value_size;
        *ret_value = value;
        return true;
    }
    return false;
}

int vector_metadata_merge(const char *document, const char *chunk, struct arena *arena,
                          const char **ret_text, struct error *err)
{
    json_t *object = json_loads(document != NULL ? document : "{}", 0, NULL);
    json_t *own = json_loads(chunk != NULL ? chunk : "{}", 0, NULL);
    int code = 0;
    if (!json_is_object(object) || !json_is_object(own))
        code = error_set(err, ERR_CORRUPT, "stored metadata is damaged");
    else if (json_object_update(object, own) != 0)
        code = error_set(err, ERR_MEMORY, "metadata: out of memory");
    else
        code = dump(object, arena, ret_text, err);
    json_decref(object);
    json_decref(own);
    return code;
}
