/* SPDX-License-Identifier: Apache-2.0 */
/* log: see log.h. */
#include "common/log.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"

_Static_assert(LOG_RECORD_MAX <= PIPE_BUF, "one write(2) to a pipe keeps a record together");

/* Of the key=value pairs, before the JSON form adds to them. */
#define DETAIL_MAX 2560

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"logfmt", "json"};

static void write_to_stderr(const char *record, size_t size);

static struct {
    const char *process;
    _Atomic enum log_level level; /* the rest is set before threads start */
    enum log_format format;
    log_sink *sink;
} settings = {"argosy", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT, write_to_stderr};

static atomic_uint_fast64_t dropped; /* records that standard error had no room for */

void log_open(const char *process, enum log_level level, enum log_format format)
{
    settings.process = process;
    settings.level = level;
    settings.format = format;
}

void log_set_level(enum log_level level)
{
    settings.level = level;
}

void log_open_sink(log_sink *sink)
{
    settings.sink = sink;
}

enum log_format log_format_get(void)
{
    return settings.format;
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
    for (int i = 0; i < 4; i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return 0;
        }
    }
    return ERR_INVALID;
}

int log_format_parse(const char *text, enum log_format *ret_format)
{
    for (int i = 0; i < 2; i++) {
        if (strcasecmp(text, format_names[i]) == 0) {
            *ret_format = (enum log_format)i;
            return 0;
        }
    }
    return ERR_INVALID;
}

bool log_is_enabled(enum log_level level)
{
    return level >= settings.level;
}

/* Composing */

/* The length of text without a last character that was cut. */
static size_t whole_characters(const char *text, size_t length)
{
    size_t last = length;
    while (last > 0 && length - last < 3 && ((unsigned char)text[last - 1] & 0xc0) == 0x80)
        last--;
    unsigned char first = last > 0 ? (unsigned char)text[last - 1] : 0;
    size_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc0 ? 2 : 1;
    return length - last + 1 < size ? last - 1 : length;
}

/* Appends text as the inside of a JSON string. */
static size_t append_json(char *out, size_t length, size_t size, const char *text, size_t count)
{
    for (size_t i = 0; i < count && length + 8 < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\') {
            out[length++] = '\\';
            out[length++] = (char)c;
        } else if (c < 0x20) {
            length += (size_t)snprintf(out + length, size - length, "\\u%04x", c);
        } else {
            out[length++] = (char)c;
        }
    }
    return length;
}

/* Turns `key=value key="quoted value"` into `,"key":"value","key":"quoted value"`. */
static size_t append_json_details(char *out, size_t length, size_t size, const char *details)
{
    const char *at = details;
    while (*at != '\0' && length + 16 < size) {
        while (*at == ' ')
            at++;
        const char *key = at;
        while (*at != '\0' && *at != '=' && *at != ' ')
            at++;
        if (at == key || length + (size_t)(at - key) + 16 >= size)
            break;
        length +=
            (size_t)snprintf(out + length, size - length, ",\"%.*s\":\"", (int)(at - key), key);
        if (*at == '=' && at[1] == '"') {
            at += 2;
            while (*at != '\0' && *at != '"') {
                if (*at == '\\' && at[1] != '\0')
                    at++;
                length = append_json(out, length, size, at, 1);
                at++;
            }
            if (*at == '"')
                at++;
        } else if (*at == '=') {
            const char *value = ++at;
            while (*at != '\0' && *at != ' ')
                at++;
            length = append_json(out, length, size, value, (size_t)(at - value));
        }
        length = whole_characters(out, length);
        out[length++] = '"';
    }
    return length;
}

static size_t compose(char out[LOG_RECORD_MAX], enum log_level level, const char *process,
                      const char *event, const char *format, va_list args)
{
    char details[DETAIL_MAX];
    if (vsnprintf(details, sizeof details, format, args) >= (int)sizeof details)
        details[whole_characters(details, sizeof details - 1)] = '\0';

    char when[CLOCK_UTC_TEXT_SIZE];
    clock_utc_format(clock_utc_us(), when);
    bool json = settings.format == LOG_FORMAT_JSON;
    const char *head = json ? "{\"ts\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"event\":\"%s\""
                            : "ts=%s level=%s process=%s event=%s";
    size_t length =
        (size_t)snprintf(out, LOG_RECORD_MAX - 4, head, when, level_names[level], process, event);
    if (json) {
        length = append_json_details(out, length, LOG_RECORD_MAX - 4, details);
        out[length++] = '}';
    } else if (details[0] != '\0') {
        length += (size_t)snprintf(out + length, LOG_RECORD_MAX - length - 1, " %s", details);
        if (length > LOG_RECORD_MAX - 2)
            length = LOG_RECORD_MAX - 2;
    }
    out[length++] = '\n';
    return length;
}

size_t log_compose(char out[LOG_RECORD_MAX], enum log_level level, const char *process,
                   const char *event, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t size = compose(out, level, process, event, format, args);
    va_end(args);
    return size;
}

/* Writing */

bool log_write_now(int fd, const char *bytes, size_t size)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    return poll(&room, 1, 0) == 1 && room.revents == POLLOUT &&
           write(fd, bytes, size) == (ssize_t)size;
}

void log_say(const char *text)
{
    for (size_t left = strlen(text), size; left > 0; text += size, left -= size) {
        size = left < LOG_RECORD_MAX ? left : LOG_RECORD_MAX;
        if (!log_write_now(STDOUT_FILENO, text, size))
            return;
    }
}

static void write_to_stderr(const char *record, size_t size)
{
    uint64_t lines = atomic_exchange(&dropped, 0);
    if (lines > 0) {
        char notice[LOG_RECORD_MAX];
        size_t length = log_compose(notice, LOG_LEVEL_WARN, settings.process, "log.dropped",
                                    "lines=%llu", (unsigned long long)lines);
        if (!log_write_now(STDERR_FILENO, notice, length))
            atomic_fetch_add(&dropped, lines);
    }
    if (!log_write_now(STDERR_FILENO, record, size))
        atomic_fetch_add(&dropped, 1);
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    if (!log_is_enabled(level))
        return;
    char record[LOG_RECORD_MAX];
    va_list args;
    va_start(args, format);
    size_t size = compose(record, level, settings.process, event, format, args);
    va_end(args);
    settings.sink(record, size);
}

const char *log_quote(const char *text, char *out, size_t size)
{
    size_t length = 0;
    out[length++] = '"';
    for (const char *at = text; *at != '\0'; at++) {
        if (length + 6 >= size) {
            length = whole_characters(out, length);
            memcpy(out + length, "...", 3);
            length += 3;
            break;
        }
        if (*at == '"' || *at == '\\')
            out[length++] = '\\';
        out[length++] = (unsigned char)*at < 0x20 || *at == 0x7f ? ' ' : *at;
    }
    out[length++] = '"';
    out[length] = '\0';
    return out;
}

void log_write_run(enum log_level level, const char *event, const char *workflow_type,
                   const char *workflow_id, const char *run_id, const char *text)
{
    char quoted[1280];
    log_quote(text, quoted, sizeof quoted);
    if (workflow_id == NULL) {
        log_write(level, event, "text=%s", quoted);
        return;
    }
    char type[256], id[512], run[64];
    log_write(level, event, "workflow_type=%s workflow_id=%s run_id=%s text=%s",
              log_quote(workflow_type, type, sizeof type), log_quote(workflow_id, id, sizeof id),
              log_quote(run_id, run, sizeof run), quoted);
}
