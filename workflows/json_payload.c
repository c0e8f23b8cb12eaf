/* SPDX-License-Identifier: Apache-2.0 */
/* json_payload: see json_payload.h. */
#include "workflows/json_payload.h"

#include <string.h>

#include "common/limits.h"
#include "workflows/failure.h"

#define DUMP_FLAGS (JSON_ENCODE_ANY | JSON_COMPACT)

int json_payload_read(const struct argosy_payload *payload, json_t **ret_value, struct error *err)
{
    if (payload->encoding == NULL || strcmp(payload->encoding, ARGOSY_ENCODING_JSON) != 0)
        return error_set(err, ERR_INVALID, "the input is %s, not JSON",
                         payload->encoding != NULL ? payload->encoding : "absent");
    json_error_t where;
    json_t *value =
        json_loadb(payload->data, payload->size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);
    if (value == NULL)
        return error_set(err, ERR_INVALID, "the input is not JSON: line %d, column %d: %s",
                         where.line, where.column, where.text);
    *ret_value = value;
    return 0;
}

static int write_value(const json_t *value, struct argosy_arena *arena,
                       struct argosy_payload *ret_payload, struct error *err)
{
    size_t size = value != NULL ? json_dumpb(value, NULL, 0, DUMP_FLAGS) : 0;
    if (size > LIMIT_PAYLOAD_SIZE)
        return error_set(err, ERR_LIMIT, "a result of %zu bytes is above the limit of %zu", size,
                         LIMIT_PAYLOAD_SIZE);
    char *text = size > 0 ? argosy_arena_alloc(arena, size) : NULL;
    if (text == NULL || json_dumpb(value, text, size, DUMP_FLAGS) != size)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_payload =
        (struct argosy_payload){.encoding = ARGOSY_ENCODING_JSON, .data = text, .size = size};
    return 0;
}

int json_payload_write(json_t *value, struct argosy_arena *arena,
                       struct argosy_payload *ret_payload, struct error *err)
{
    int code = write_value(value, arena, ret_payload, err);
    json_decref(value);
    return code;
}

int json_payload_read_object(const struct argosy_payload *payload, struct argosy_arena *arena,
                             json_t **ret_object, struct argosy_error *err)
{
    struct error why = {0};
    json_t *value;
    if (argosy_payload_is_null(payload))
        return failure_final(arena, FAILURE_INVALID_INPUT, err, "the input is missing or null");
    if (json_payload_read(payload, &value, &why) != 0)
        return failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
    if (!json_is_object(value)) {
        json_decref(value);
        return failure_final(arena, FAILURE_INVALID_INPUT, err, "the input is not a JSON object");
    }
    *ret_object = value;
    return 0;
}

int json_payload_make(json_t *value, struct argosy_arena *arena, struct argosy_payload *ret_payload,
                      struct argosy_error *err)
{
    struct error why = {0};
    int code = json_payload_write(value, arena, ret_payload, &why);
    return code == 0 ? 0 : argosy_error_set(err, code, "%s", why.text);
}
