/* SPDX-License-Identifier: Apache-2.0 */
/* message_view: see message_view.h. */
#include "cli/message_view.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* Appends the bytes of a base64 text up to its padding; what is no base64 ends it. */
static void base64_decode(const char *text, struct buffer *out)
{
    uint32_t bits = 0;
    int held = 0, digit;
    for (; (digit = base64_digit(*text)) >= 0; text++) {
        bits = bits << 6 | (uint32_t)digit;
        held += 6;
        if (held >= 8) {
            held -= 8;
            buffer_append_byte(out, (uint8_t)(bits >> held));
        }
    }
}

/* The payload's data in data; true when its encoding says that it is JSON. */
static bool payload_decode(const json_t *payload, struct buffer *encoding, struct buffer *data)
{
    base64_decode(
        json_string_value(json_object_get(json_object_get(payload, "metadata"), "encoding"))
            ? view_text(payload, "metadata.encoding")
            : "",
        encoding);
    base64_decode(view_text(payload, "data"), data);
    return strncmp(buffer_text(encoding), "json/", 5) == 0;
}

void view_payload(const json_t *payload, struct buffer *out)
{
    struct buffer encoding = {0}, data = {0};
    if (payload_decode(payload, &encoding, &data))
        buffer_append(out, data.data, data.size);
    else if (strcmp(buffer_text(&encoding), "binary/null") == 0 || encoding.size == 0)
        buffer_append_text(out, "null");
    else
        buffer_printf(out, "<%s, %zu bytes>", buffer_text(&encoding), data.size);
    buffer_fini(&encoding);
    buffer_fini(&data);
}

json_t *view_payload_value(const json_t *payload)
{
    struct buffer encoding = {0}, data = {0};
    json_t *value = NULL;
    if (payload_decode(payload, &encoding, &data))
        value =
            json_loadb((const char *)data.data, data.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    buffer_fini(&encoding);
    buffer_fini(&data);
    return value;
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
