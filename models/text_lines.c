/* SPDX-License-Identifier: Apache-2.0 */
/* text_lines: see text_lines.h. */
#include "models/text_lines.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/buffer.h"

#define READ_SIZE ((size_t)256 * 1024)

struct text_lines {
    int fd;
    struct buffer data; /* of the file from data_offset on */
    size_t used;        /* of data: lines that were handed out */
    uint64_t data_offset;
    uint64_t next_number;
    bool is_at_end; /* the file has nothing behind data */
    json_t *line;   /* that was handed out last */
};

static int read_at(int fd, void *out, size_t size, uint64_t offset, size_t *ret_size,
                   struct error *err)
{
    ssize_t got;
    do
        got = pread(fd, out, size, (off_t)offset);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return error_set_errno(err, ERR_IO, errno, "could not read the texts");
    *ret_size = (size_t)got;
    return 0;
}

static int check_begin(int fd, uint64_t offset, struct error *err)
{
    char before = '\n';
    size_t size = 1;
    if (offset > INT64_MAX)
        return error_set(err, ERR_INVALID, "no line begins at byte %" PRIu64, offset);
    int code = offset > 0 ? read_at(fd, &before, 1, offset - 1, &size, err) : 0;
    if (code == 0 && (size != 1 || before != '\n'))
        return error_set(err, ERR_INVALID, "no line begins at byte %" PRIu64, offset);
    return code;
}

int text_lines_create(int fd, uint64_t offset, uint64_t first_number, struct text_lines **ret_lines,
                      struct error *err)
{
    int code = check_begin(fd, offset, err);
    if (code != 0)
        return code;
    struct text_lines *lines = calloc(1, sizeof *lines);
    if (lines == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    lines->fd = fd;
    lines->data_offset = offset;
    lines->next_number = first_number;
    *ret_lines = lines;
    return 0;
}

void text_lines_destroy(struct text_lines *lines)
{
    if (lines == NULL)
        return;
    json_decref(lines->line);
    buffer_fini(&lines->data);
    free(lines);
}

/* Reads on behind the data that is there, of which the lines handed out go. */
static int read_more(struct text_lines *lines, struct error *err)
{
    if (lines->used > 0) {
        lines->data.size -= lines->used;
        memmove(lines->data.data, lines->data.data + lines->used, lines->data.size);
        lines->data_offset += lines->used;
        lines->used = 0;
    }
    uint8_t *room = buffer_reserve(&lines->data, READ_SIZE);
    if (room == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    size_t size;
    int code =
        read_at(lines->fd, room, READ_SIZE, lines->data_offset + lines->data.size, &size, err);
    if (code != 0)
        return code;
    lines->data.size += size;
    lines->is_at_end = size == 0;
    return 0;
}

/* The next line, its line feed not included, in lines->data at *ret_begin. What is too long to be
 * held is passed over: ERR_INVALID. *ret_is_there is false at the end of the file. */
static int next_line(struct text_lines *lines, size_t *ret_begin, size_t *ret_size,
                     bool *ret_is_there, struct error *err)
{
    bool is_too_long = false;
    size_t searched = 0;
    for (;;) {
        size_t size = lines->data.size - lines->used;
        const uint8_t *begin = size > 0 ? lines->data.data + lines->used : NULL;
        const uint8_t *feed =
            size > searched ? memchr(begin + searched, '\n', size - searched) : NULL;
        if (feed != NULL || (lines->is_at_end && (size > 0 || is_too_long))) {
            *ret_begin = lines->used;
            *ret_size = feed != NULL ? (size_t)(feed - begin) : size;
            lines->used += *ret_size + (feed != NULL);
            lines->next_number++;
            *ret_is_there = true;
            if (is_too_long || *ret_size > TEXT_LINE_SIZE_MAX)
                return error_set(err, ERR_INVALID, "line %" PRIu64 " is longer than %zu bytes",
                                 lines->next_number - 1, TEXT_LINE_SIZE_MAX);
            return 0;
        }
        if (lines->is_at_end) {
            *ret_is_there = false;
            return 0;
        }
        searched = size;
        if (size > TEXT_LINE_SIZE_MAX) {
            is_too_long = true;
            lines->used += size;
            searched = 0;
        }
        int code = read_more(lines, err);
        if (code != 0)
            return code;
    }
}

static bool is_blank(const uint8_t *line, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r')
            return false;
    }
    return true;
}

/* Keeps the line's value and finds the text in it. */
static int parse(struct text_lines *lines, const uint8_t *line, size_t size, uint64_t number,
                 struct text_line *ret_line, struct error *err)
{
    json_error_t where;
    json_decref(lines->line);
    lines->line = json_loadb((const char *)line, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
    if (lines->line == NULL)
        return error_set(err, ERR_INVALID, "line %" PRIu64 " is not JSON: %s at byte %d", number,
                         where.text, where.position);
    const json_t *text = lines->line;
    if (json_is_object(text)) {
        text = json_object_get(text, "text");
        if (!json_is_string(text))
            return error_set(err, ERR_INVALID, "line %" PRIu64 ": \"text\" is %s", number,
                             text == NULL ? "missing" : "not a string");
    } else if (!json_is_string(text)) {
        return error_set(err, ERR_INVALID,
                         "line %" PRIu64 " is neither a string nor an object with \"text\"",
                         number);
    }
    ret_line->text = json_string_value(text);
    ret_line->size = json_string_length(text);
    ret_line->number = number;
    return 0;
}

int text_lines_next(struct text_lines *lines, struct text_line *ret_line, struct error *err)
{
    size_t begin, size;
    bool is_there;
    do {
        int code = next_line(lines, &begin, &size, &is_there, err);
        if (code != 0)
            return code;
        if (!is_there) {
            *ret_line = (struct text_line){0};
            return 0;
        }
    } while (is_blank(lines->data.data + begin, size));
    struct text_line line = {.offset = lines->data_offset + begin,
                             .end_offset = lines->data_offset + lines->used};
    int code = parse(lines, lines->data.data + begin, size, lines->next_number - 1, &line, err);
    if (code == 0)
        *ret_line = line;
    return code;
}
