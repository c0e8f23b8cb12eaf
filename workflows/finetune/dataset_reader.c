/* SPDX-License-Identifier: Apache-2.0 */
/* dataset_reader: see dataset_reader.h. */
#include "workflows/finetune/dataset_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "common/utf8.h"
#include "workflows/text.h"

/* A system call per some hundred lines. */
#define BLOCK_SIZE (64u * 1024)

struct dataset_reader {
    int fd;
    uint64_t line_number;

    /* what was read and not yet handed out: block[begin .. end) */
    char *block;
    size_t begin, end;
    bool is_at_end;

    /* the line under way */
    char *line;
    size_t line_size;
    bool is_too_long;

    json_t *example; /* owns the texts of the line handed out */
};

int dataset_reader_create(int fd, struct dataset_reader **ret_reader, struct error *err)
{
    if (lseek(fd, 0, SEEK_SET) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not go to the beginning of the dataset");
    struct dataset_reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    reader->fd = fd;
    reader->block = malloc(BLOCK_SIZE);
    reader->line = malloc(DATASET_LINE_SIZE_MAX);
    if (reader->block == NULL || reader->line == NULL) {
        dataset_reader_destroy(reader);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    *ret_reader = reader;
    return 0;
}

void dataset_reader_destroy(struct dataset_reader *reader)
{
    if (reader == NULL)
        return;
    json_decref(reader->example);
    free(reader->block);
    free(reader->line);
    free(reader);
}

/* ---- lines ---- */

static int block_fill(struct dataset_reader *reader, struct error *err)
{
    ssize_t count;
    do
        count = read(reader->fd, reader->block, BLOCK_SIZE);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return error_set_errno(err, ERR_IO, errno, "could not read the dataset behind line %llu",
                               (unsigned long long)reader->line_number);
    reader->begin = 0;
    reader->end = (size_t)count;
    reader->is_at_end = count == 0;
    return 0;
}

/* Takes part of a line; what does not fit is dropped. */
static void line_append(struct dataset_reader *reader, const char *data, size_t size)
{
    size_t room = DATASET_LINE_SIZE_MAX - reader->line_size;
    if (size > room) {
        reader->is_too_long = true;
        size = room;
    }
    memcpy(reader->line + reader->line_size, data, size);
    reader->line_size += size;
}

/* The next line into reader->line; *ret_found false at the end of the file. */
static int line_read(struct dataset_reader *reader, bool *ret_found, struct error *err)
{
    reader->line_size = 0;
    reader->is_too_long = false;
    reader->line_number++;
    bool is_any = false;
    for (;;) {
        if (reader->begin == reader->end) {
            int code = block_fill(reader, err);
            if (code != 0)
                return code;
            if (reader->is_at_end) {
                *ret_found = is_any;
                return 0;
            }
        }
        is_any = true;
        char *start = reader->block + reader->begin;
        size_t size = reader->end - reader->begin;
        char *feed = memchr(start, '\n', size);
        line_append(reader, start, feed != NULL ? (size_t)(feed - start) : size);
        reader->begin = feed != NULL ? (size_t)(feed - reader->block) + 1 : reader->end;
        if (feed != NULL) {
            *ret_found = true;
            return 0;
        }
    }
}

static bool is_blank_line(const struct dataset_reader *reader)
{
    for (size_t i = 0; i < reader->line_size; i++) {
        if (strchr(" \t\r", reader->line[i]) == NULL || reader->line[i] == '\0')
            return false;
    }
    return !reader->is_too_long;
}

/* ---- examples ---- */

/* Makes line a problem; returns false, for "is an example". */
__attribute__((format(printf, 3, 4))) static bool
problem(struct dataset_line *line, enum dataset_problem_kind kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line->problem_text, sizeof line->problem_text, format, arguments);
    va_end(arguments);
    line->type = DATASET_LINE_PROBLEM;
    line->problem = kind;
    return false;
}

static size_t utf8_wrong_byte(const char *text, size_t size)
{
    size_t offset = 0, length;
    uint32_t point;
    while (offset < size && (length = utf8_decode(text + offset, size - offset, &point)) > 0)
        offset += length;
    return offset;
}

static bool line_parse(struct dataset_reader *reader, struct dataset_line *line)
{
    if (reader->is_too_long)
        return problem(line, DATASET_LINE_TOO_LONG, "the line is longer than %u bytes",
                       DATASET_LINE_SIZE_MAX);
    size_t wrong = utf8_wrong_byte(reader->line, reader->line_size);
    if (wrong < reader->line_size)
        return problem(line, DATASET_INVALID_UTF8, "byte %zu of the line is not UTF-8", wrong + 1);
    json_error_t where;
    reader->example = json_loadb(reader->line, reader->line_size,
                                 JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &where);
    if (reader->example == NULL)
        return problem(line, DATASET_MALFORMED_JSON, "the line is no JSON: column %d: %s",
                       where.column, where.text);
    if (!json_is_object(reader->example))
        return problem(line, DATASET_MALFORMED_JSON,
                       "the line must be an object {\"text\": ..., \"label\": ...}");
    return true;
}

static bool text_take(const json_t *example, struct dataset_line *line)
{
    const json_t *text = json_object_get(example, "text");
    if (!json_is_string(text))
        return problem(line, DATASET_TEXT_MISSING, "\"text\" %s",
                       text == NULL ? "is missing" : "is no string");
    line->text = json_string_value(text);
    line->text_size = json_string_length(text);
    struct text_measure measure;
    struct error why;
    if (text_measure(line->text, line->text_size, &measure, &why) != 0)
        return problem(line, DATASET_INVALID_UTF8, "%s", why.text);
    if (measure.blank)
        return problem(line, DATASET_TEXT_BLANK, "\"text\" is blank");
    if (measure.length > DATASET_TEXT_LENGTH_MAX)
        return problem(line, DATASET_TEXT_TOO_LONG,
                       "\"text\" has %zu characters, above the limit of %d", measure.length,
                       DATASET_TEXT_LENGTH_MAX);
    return true;
}

static bool has_control_character(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
            return true;
    }
    return false;
}

static bool label_take(const json_t *example, struct dataset_line *line)
{
    const json_t *label = json_object_get(example, "label");
    if (!json_is_string(label))
        return problem(line, DATASET_LABEL_MISSING, "\"label\" %s",
                       label == NULL ? "is missing" : "is no string");
    line->label = json_string_value(label);
    size_t size = json_string_length(label);
    struct text_measure measure;
    struct error why;
    if (text_measure(line->label, size, &measure, &why) != 0)
        return problem(line, DATASET_INVALID_UTF8, "%s", why.text);
    if (measure.blank)
        return problem(line, DATASET_LABEL_BLANK, "\"label\" is blank");
    if (size > DATASET_LABEL_SIZE_MAX)
        return problem(line, DATASET_LABEL_TOO_LONG,
                       "\"label\" has %zu bytes, above the limit of %u", size,
                       DATASET_LABEL_SIZE_MAX);
    if (has_control_character(line->label, size))
        return problem(line, DATASET_LABEL_MALFORMED, "\"label\" holds a control character");
    if (line->label[0] == ' ' || line->label[size - 1] == ' ')
        return problem(line, DATASET_LABEL_MALFORMED, "\"label\" begins or ends with a blank");
    return true;
}

int dataset_reader_next(struct dataset_reader *reader, struct dataset_line *ret_line,
                        struct error *err)
{
    json_decref(reader->example);
    reader->example = NULL;
    bool is_found;
    do {
        int code = line_read(reader, &is_found, err);
        if (code != 0)
            return code;
    } while (is_found && is_blank_line(reader));
    struct dataset_line line = {.type = is_found ? DATASET_LINE_EXAMPLE : DATASET_LINE_END,
                                .number = reader->line_number};
    if (is_found && line_parse(reader, &line) && text_take(reader->example, &line))
        label_take(reader->example, &line);
    *ret_line = line;
    return 0;
}
