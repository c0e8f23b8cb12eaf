/* SPDX-License-Identifier: Apache-2.0 */
/* message_view: see message_view.h. */
#include "cli/message_view.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/arena.h"
#include "common/base64.h"
#include "common/clock.h"

json_t *view_get(const json_t *object, const char *path)
{
    const json_t *at = object;
    while (at != NULL && *path != '\0') {
        char key[128];
        size_t length = strcspn(path, ".");
        if (length >= sizeof(key))
            return NULL;
        memcpy(key, path, length);
        key[length] = '\0';
        at = json_object_get(at, key);
        path += length + (path[length] == '.');
    }
    return (json_t *)at;
}

const char *view_text(const json_t *object, const char *path)
{
    const char *text = json_string_value(view_get(object, path));
    return text != NULL ? text : "";
}

int64_t view_number(const json_t *object, const char *path)
{
    const json_t *value = view_get(object, path);
    if (json_is_string(value))
        return strtoll(json_string_value(value), NULL, 10);
    return json_integer_value(value);
}

int64_t view_time_us(const json_t *object, const char *path)
{
    struct tm utc = {0};
    const char *rest = strptime(view_text(object, path), "%Y-%m-%dT%H:%M:%S", &utc);
    if (rest == NULL)
        return 0;
    int64_t us = (int64_t)timegm(&utc) * US_PER_S;
    if (*rest == '.') {
        int64_t unit = US_PER_S / 10;
        for (rest++; isdigit((unsigned char)*rest) && unit > 0; rest++, unit /= 10)
            us += (*rest - '0') * unit;
    }
    return us;
}

int64_t view_duration_us(const json_t *object, const char *path)
{
    return (int64_t)(strtod(view_text(object, path), NULL) * (double)US_PER_S);
}

void view_enum(const char *name, const char *prefix, struct buffer *out)
{
    size_t length = strlen(prefix);
    if (strncmp(name, prefix, length) == 0)
        name += length;
    bool begins = true;
    for (; *name != '\0'; name++) {
        if (*name == '_') {
            begins = true;
            continue;
        }
        buffer_append_byte(out, (uint8_t)(begins ? *name : tolower((unsigned char)*name)));
        begins = false;
    }
}

/* A payload's encoding ("" when it says none) and bytes, in an arena of their own. */
struct payload {
    struct arena arena;
    const char *encoding;
    const uint8_t *data;
    size_t size;
};

/* The bytes of a base64 text with a NUL behind them; none when it is malformed. */
static const uint8_t *bytes_decode(struct arena *arena, const char *text, size_t *ret_size)
{
    uint8_t *data;
    size_t size;
    if (base64_decode(arena, text, strlen(text), &data, &size) != BASE64_OK)
        size = 0;
    char *copy = arena_strndup(arena, size > 0 ? (const char *)data : "", size);
    *ret_size = copy != NULL ? size : 0;
    return (const uint8_t *)copy;
}

static void payload_init(struct payload *payload, const json_t *json)
{
    size_t encoding_size;
    arena_init(&payload->arena, ARENA_NO_LIMIT);
    payload->encoding = (const char *)bytes_decode(
        &payload->arena, view_text(json, "metadata.encoding"), &encoding_size);
    payload->data = bytes_decode(&payload->arena, view_text(json, "data"), &payload->size);
}

static bool payload_is_json(const struct payload *payload)
{
    return payload->encoding != NULL && strncmp(payload->encoding, "json/", 5) == 0;
}

void view_payload(const json_t *json, struct buffer *out)
{
    struct payload payload;
    payload_init(&payload, json);
    if (payload.encoding == NULL || payload.data == NULL)
        out->failed = true;
    else if (payload_is_json(&payload))
        buffer_append(out, payload.data, payload.size);
    else if (payload.encoding[0] == '\0' || strcmp(payload.encoding, "binary/null") == 0)
        buffer_append_text(out, "null");
    else
        buffer_printf(out, "<%s, %zu bytes>", payload.encoding, payload.size);
    arena_fini(&payload.arena);
}

void view_payloads(const json_t *payloads, struct buffer *out)
{
    size_t index;
    const json_t *payload;
    json_array_foreach(json_object_get(payloads, "payloads"), index, payload)
    {
        if (index > 0)
            buffer_append_text(out, ", ");
        view_payload(payload, out);
    }
}

void view_failure(const json_t *failure, struct buffer *out)
{
    for (const char *between = ""; failure != NULL;
         failure = json_object_get(failure, "cause"), between = ": ") {
        buffer_append_text(out, between);
        buffer_append_text(out, view_text(failure, "message"));
        const char *type = view_text(failure, "applicationFailureInfo.type");
        if (type[0] != '\0')
            buffer_printf(out, " [%s]", type);
        const json_t *details = view_get(failure, "applicationFailureInfo.details");
        if (details != NULL) {
            buffer_append_byte(out, ' ');
            view_payloads(details, out);
        }
        const char *timeout = view_text(failure, "timeoutFailureInfo.timeoutType");
        if (timeout[0] != '\0') {
            buffer_append_text(out, " [");
            view_enum(timeout, "TIMEOUT_TYPE_", out);
            buffer_append_byte(out, ']');
        }
    }
}
