/* SPDX-License-Identifier: Apache-2.0 */
/* log_line: see log_line.h. */
#include "supervisor/log/log_line.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

void log_line_clean(char *line, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint32_t point = 0;
        size_t length = utf8_decode(line + at, size - at, &point);
        if (length == 0)
            line[at++] = '?';
        else if (point < 0x20 || (point >= 0x7f && point < 0xa0)) /* terminals obey both ranges */
            memset(line + at, ' ', length);
        at += length;
    }
}

/* What a reader of a line has still to read. */
struct rest {
    const char *at;
    const char *end;
};

static bool take_text(struct rest *rest, const char *text)
{
    size_t size = strlen(text);
    if ((size_t)(rest->end - rest->at) < size || memcmp(rest->at, text, size) != 0)
        return false;
    rest->at += size;
    return true;
}

/* Takes a value that has no space and no quote in it. */
static bool take_word(struct rest *rest)
{
    const char *start = rest->at;
    while (rest->at < rest->end && strchr(" \"\\", *rest->at) == NULL)
        rest->at++;
    return rest->at > start;
}

static bool take_level(struct rest *rest, enum log_level *ret_level)
{
    char word[8];
    const char *start = rest->at;
    if (!take_word(rest) || (size_t)(rest->at - start) >= sizeof word)
        return false;
    memcpy(word, start, (size_t)(rest->at - start));
    word[rest->at - start] = '\0';
    return log_level_parse(word, ret_level) == 0;
}

/* Takes the inside of a JSON string and its closing quote. */
static bool take_json_string(struct rest *rest)
{
    for (; rest->at < rest->end && *rest->at != '"'; rest->at++) {
        if (*rest->at != '\\')
            continue;
        if (++rest->at == rest->end || strchr("\"\\u", *rest->at) == NULL)
            return false;
        for (int digit = 0; *rest->at == 'u' && digit < 4; digit++) {
            if (rest->end - rest->at < 2 + digit ||
                strchr("0123456789abcdef", rest->at[1 + digit]) == NULL)
                return false;
        }
    }
    return take_text(rest, "\"");
}

/* Whether the rest is `,"key":"value"` any number of times, and the end: what common/log writes. */
static bool is_json_end(struct rest rest)
{
    while (take_text(&rest, ",\"")) {
        if (!take_json_string(&rest) || !take_text(&rest, ":\"") || !take_json_string(&rest))
            return false;
    }
    return take_text(&rest, "}") && rest.at == rest.end;
}

/* Where in a record the writer's name goes; NULL when the line is no record. */
static const char *find_place(const char *line, size_t size, enum log_level *ret_level)
{
    struct rest rest = {line, line + size};
    if (log_format_get() == LOG_FORMAT_JSON) {
        bool is_record = take_text(&rest, "{\"ts\":\"") && take_word(&rest) &&
                         take_text(&rest, "\",\"level\":\"") && take_level(&rest, ret_level) &&
                         take_text(&rest, "\",\"process\":\"") && take_word(&rest) &&
                         take_text(&rest, "\"") && is_json_end(rest);
        return is_record ? rest.at : NULL;
    }
    bool is_record = take_text(&rest, "ts=") && take_word(&rest) && take_text(&rest, " level=") &&
                     take_level(&rest, ret_level) && take_text(&rest, " process=") &&
                     take_word(&rest);
    struct rest event = rest;
    return is_record && take_text(&event, " event=") ? rest.at : NULL;
}

enum log_level log_line_level(const char *line, size_t size)
{
    enum log_level level;
    return find_place(line, size, &level) != NULL ? level : LOG_LEVEL_WARN;
}

/* What is no record: its text in one. */
static size_t compose_output(char out[LOG_RECORD_MAX], const struct log_line_writer *writer,
                             const char *line, size_t size, size_t cut)
{
    char text[LOG_LINE_MAX + 1];
    char quoted[LOG_RECORD_MAX / 2];
    char name[96] = "";
    char left_out[48] = "";
    memcpy(text, line, size);
    text[size] = '\0';
    if (strcmp(writer->process, writer->worker) != 0)
        snprintf(name, sizeof name, "worker=%s ", writer->worker);
    if (cut > 0)
        snprintf(left_out, sizeof left_out, " cut=%zu", cut);
    return log_compose(out, LOG_LEVEL_WARN, writer->process, "process.output", "%stext=%s%s", name,
                       log_quote(text, quoted, sizeof quoted), left_out);
}

size_t log_line_compose(char out[LOG_LINE_RECORD_MAX], const struct log_line_writer *writer,
                        const char *line, size_t size, size_t cut)
{
    enum log_level level;
    const char *place = cut == 0 && size < LOG_RECORD_MAX ? find_place(line, size, &level) : NULL;
    if (place == NULL)
        return compose_output(out, writer, line, size, cut);
    const char *form = log_format_get() == LOG_FORMAT_JSON ? ",\"worker\":\"%s\"" : " worker=%s";
    size_t head = (size_t)(place - line);
    size_t length = head;
    memcpy(out, line, head);
    if (strcmp(writer->process, writer->worker) != 0)
        length +=
            (size_t)snprintf(out + length, LOG_LINE_RECORD_MAX - length, form, writer->worker);
    memcpy(out + length, place, size - head);
    length += size - head;
    out[length++] = '\n';
    return length;
}
