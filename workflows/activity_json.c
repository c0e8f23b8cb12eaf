/* SPDX-License-Identifier: Apache-2.0 */
/* activity_json: see activity_json.h. */
#include "workflows/activity_json.h"

#include <stdarg.h>
#include <stdio.h>

#include "workflows/json_payload.h"

int failure_final(struct argosy_arena *arena, const char *type, struct argosy_error *err,
                  const char *format, ...)
{
    char message[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return argosy_failure_raise(
        arena,
        &(struct argosy_failure_options){.type = type, .message = message, .non_retryable = true},
        err);
}

int failure_from(struct argosy_arena *arena, const char *type, const struct error *why,
                 struct argosy_error *err)
{
    switch (error_disposition(why->code)) {
    case DISPOSITION_RETRY:
    case DISPOSITION_RESTART:
        return argosy_error_set(err, why->code, "%s", why->text);
    case DISPOSITION_NONE:
    case DISPOSITION_FAIL:
    case DISPOSITION_STOP:
        break;
    }
    return failure_final(arena, type, err, "%s", why->text);
}

int json_object_load(const struct argosy_payload *payload, struct argosy_arena *arena,
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

int json_payload(json_t *value, struct argosy_arena *arena, struct argosy_payload *ret_payload,
                 struct argosy_error *err)
{
    struct error why = {0};
    return json_payload_write(value, arena, ret_payload, &why) == 0
               ? 0
               : argosy_error_set(err, why.code, "%s", why.text);
}
