/* SPDX-License-Identifier: Apache-2.0 */
/*
 * payload_json: JSON values in payloads (include/argosy/payload.h), by jansson, which stays inside.
 */
#include <argosy/payload.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sdk/arena.h"
#include "sdk/error.h"

#define DUMP_FLAGS (JSON_ENCODE_ANY | JSON_COMPACT)

/* Takes value (NULL: it could not be made). */
static bool dump(json_t *value, struct argosy_arena *arena, struct argosy_payload *ret_payload)
{
    if (value == NULL)
        return false;
    size_t size = json_dumpb(value, NULL, 0, DUMP_FLAGS);
    char *text = size == 0 ? NULL : arena_alloc(&arena->arena, size);
    if (text != NULL)
        json_dumpb(value, text, size, DUMP_FLAGS);
    json_decref(value);
    if (text == NULL)
        return false;
    *ret_payload =
        (struct argosy_payload){.encoding = ARGOSY_ENCODING_JSON, .data = text, .size = size};
    return true;
}

/* The parsed value, which the caller owns, or NULL with err set. */
static json_t *parse(const struct argosy_payload *payload, struct argosy_error *err)
{
    if (argosy_payload_is_null(payload))
        return json_null();
    if (strcmp(payload->encoding, ARGOSY_ENCODING_JSON) != 0) {
        argosy_error_set(err, ARGOSY_ERR_INVALID, "the payload is %s, not JSON", payload->encoding);
        return NULL;
    }
    json_error_t error;
    json_t *value = json_loadb(payload->data, payload->size, JSON_DECODE_ANY, &error);
    if (value == NULL)
        argosy_error_set(err, ARGOSY_ERR_INVALID, "the payload is not JSON: line %d column %d: %s",
                         error.line, error.column, error.text);
    return value;
}

static const char *kind_name(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a truth value";
    default:
        return "null";
    }
}

static int wrong_kind(const json_t *value, const char *wanted, struct argosy_error *err)
{
    return argosy_error_set(err, ARGOSY_ERR_INVALID, "the payload holds %s, not %s",
                            kind_name(value), wanted);
}

struct argosy_payload argosy_payload_string(struct argosy_arena *arena, const char *text)
{
    struct argosy_payload payload = {0};
    dump(json_string(text), arena, &payload);
    return payload;
}

struct argosy_payload argosy_payload_integer(struct argosy_arena *arena, int64_t value)
{
    struct argosy_payload payload = {0};
    dump(json_integer(value), arena, &payload);
    return payload;
}

struct argosy_payload argosy_payload_number(struct argosy_arena *arena, double value)
{
    struct argosy_payload payload = {0};
    dump(json_real(value), arena, &payload);
    return payload;
}

int argosy_payload_pack(struct argosy_arena *arena, struct argosy_payload *ret_payload,
                        struct argosy_error *err, const char *format, ...)
{
    json_error_t error;
    va_list arguments;
    va_start(arguments, format);
    json_t *value = json_vpack_ex(&error, 0, format, arguments);
    va_end(arguments);
    if (value == NULL)
        return argosy_error_set(err, ARGOSY_ERR_INVALID, "cannot pack \"%s\": %s", format,
                                error.text);
    if (!dump(value, arena, ret_payload))
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    return 0;
}

int argosy_payload_get_string(const struct argosy_payload *payload, struct argosy_arena *arena,
                              const char **ret_text, struct argosy_error *err)
{
    json_t *value = parse(payload, err);
    if (value == NULL)
        return ARGOSY_ERR_INVALID;
    int code = 0;
    const char *text = NULL;
    if (!json_is_string(value))
        code = wrong_kind(value, "a string", err);
    else
        text = arena_strndup(&arena->arena, json_string_value(value), json_string_length(value));
    json_decref(value);
    if (code < 0)
        return code;
    if (text == NULL)
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    *ret_text = text;
    return 0;
}

int argosy_payload_get_integer(const struct argosy_payload *payload, int64_t *ret_value,
                               struct argosy_error *err)
{
    json_t *value = parse(payload, err);
    if (value == NULL)
        return ARGOSY_ERR_INVALID;
    int code = 0;
    if (json_is_integer(value))
        *ret_value = json_integer_value(value);
    else
        code = wrong_kind(value, "an integer", err);
    json_decref(value);
    return code;
}

int argosy_payload_get_number(const struct argosy_payload *payload, double *ret_value,
                              struct argosy_error *err)
{
    json_t *value = parse(payload, err);
    if (value == NULL)
        return ARGOSY_ERR_INVALID;
    int code = 0;
    if (json_is_number(value))
        *ret_value = json_number_value(value);
    else
        code = wrong_kind(value, "a number", err);
    json_decref(value);
    return code;
}

int argosy_payload_get_member(const struct argosy_payload *payload, const char *key,
                              struct argosy_arena *arena, struct argosy_payload *ret_member,
                              struct argosy_error *err)
{
    json_t *value = parse(payload, err);
    if (value == NULL)
        return ARGOSY_ERR_INVALID;
    int code = 0;
    struct argosy_payload member = {0};
    json_t *found = json_object_get(value, key);
    if (!json_is_object(value))
        code = wrong_kind(value, "an object", err);
    else if (found != NULL && !dump(json_incref(found), arena, &member))
        code = argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    json_decref(value);
    if (code == 0)
        *ret_member = member;
    return code;
}

int argosy_payload_check(const struct argosy_payload *payload, struct argosy_error *err)
{
    if (payload->encoding == NULL || strcmp(payload->encoding, ARGOSY_ENCODING_JSON) != 0)
        return 0;
    json_t *value = parse(payload, err);
    if (value == NULL)
        return ARGOSY_ERR_INVALID;
    json_decref(value);
    return 0;
}
