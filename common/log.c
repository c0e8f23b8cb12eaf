/* SPDX-License-Identifier: Apache-2.0 */
/* log: see log.h. */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/error.h"

/* PIPE_BUF: what one write(2) to a pipe keeps together. */
#define RECORD_MAX 4096
/* Of the key=value pairs, before the JSON form adds to them. */
#define DETAIL_MAX 2560

static const char *const level_names[] = {"debug", "info", "warn", "error"};
static const char *const format_names[] = {"logfmt", "json"};

static struct {
    const char *process;
    enum log_level level;
    enum log_format format;
} settings = {"argosy", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT};

void log_open(const char *process, enum log_level level, enum log_format format)
{
    settings.process = process;
    settings.level = level;
    settings.format = format;
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
        if (at == key)
            break;
        length +=
            (size_t)snprintf(out + length, size - length, ",\"%.*s\":\"", (int)(at - key), key);
        if (length >= size)
            return size - 1;
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
        out[length++] = '"';
    }
    return length;
}

void log_write(enum log_level level, const char *event, const char *format, ...)
{
    if (!log_is_enabled(level))
        return;
    char details[DETAIL_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(details, sizeof details, format, args);
    va_end(args);

    char record[RECORD_MAX];
    char when[CLOCK_UTC_TEXT_SIZE];
    clock_utc_format(clock_utc_us(), when);
    bool json = settings.format == LOG_FORMAT_JSON;
    const char *head = json ? "{\"ts\":\"%s\",\"level\":\"%s\",\"process\":\"%s\",\"event\":\"%s\""
                            : "ts=%s level=%s process=%s event=%s";
    size_t length = (size_t)snprintf(record, sizeof record - 4, head, when, level_names[level],
                                     settings.process, event);
    if (json) {
        length = append_json_details(record, length, sizeof record - 4, details);
        record[length++] = '}';
    } else if (details[0] != '\0') {
        length += (size_t)snprintf(record + length, sizeof record - length - 1, " %s", details);
        if (length > sizeof record - 2)
            length = sizeof record - 2;
    }
    record[length++] = '\n';
    /* A log that cannot be written has nowhere to say so. */
    ssize_t written = write(STDERR_FILENO, record, length);
    (void)written;
}

const char *log_quote(const char *text, char *out, size_t size)
{
    size_t length = 0;
    out[length++] = '"';
    for (const char *at = text; *at != '\0'; at++) {
        if (length + 6 >= size) {
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
