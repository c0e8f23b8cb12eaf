/* SPDX-License-Identifier: Apache-2.0 */
/* json_lines: see json_lines.h. */
#include "workflows/evaluation/json_lines.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/utf8.h"

/* A system call per some hundred lines. */
#define BLOCK_SIZE (64u * 1024)

struct json_lines {
    int fd;
    uint64_t number;

    /* what was read and not yet handed out: block[begin .. end) */
    char *block;
    size_t begin, end;

    /* the line under way */
    char *line;
    size_t size;
    bool is_too_long;

    json_t *value; /* owns what was handed out */
    char problem[256];
};

int json_lines_create(int fd, struct json_lines **ret_lines, struct error *err)
{
    if (lseek(fd, 0, SEEK_SET) != 0)
        return error_set_errno(err, ERR_IO, errno, "could not go to the beginning of the file");
    struct json_lines *lines = calloc(1, sizeof *lines);
    if (lines == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    lines->fd = fd;
    lines->block = malloc(BLOCK_SIZE);
    lines->line = malloc(JSON_LINE_SIZE_MAX);
    if (lines->block == NULL || lines->line == NULL) {
        json_lines_destroy(lines);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    *ret_lines = lines;
    return 0;
}

void json_lines_destroy(struct json_lines *lines)
{
    if (lines == NULL)
        return;
    json_decref(lines->value);
    free(lines->block);
    free(lines->line);
    free(lines);
}

static int block_fill(struct json_lines *lines, struct error *err)
{
    ssize_t count;
    do
        count = read(lines->fd, lines->block, BLOCK_SIZE);
    while (count < 0 && errno == EINTR);
    if (count < 0)
        return error_set_errno(err, ERR_IO, errno, "could not read behind line %llu",
                               (unsigned long long)lines->number);
    lines->begin = 0;
    lines->end = (size_t)count;
    return 0;
}

/* Takes part of a line; what does not fit is dropped. */
static void line_append(struct json_lines *lines, const char *data, size_t size)
{
    size_t room = JSON_LINE_SIZE_MAX - lines->size;
    if (size > room) {
        lines->is_too_long = true;
        size = room;
    }
    memcpy(lines->line + lines->size, data, size);
    lines->size += size;
}

/* The next line into lines->line; *ret_found false at the end of the file. */
static int line_read(struct json_lines *lines, bool *ret_found, struct error *err)
{
    bool is_any = false;
    lines->size = 0;
    lines->is_too_long = false;
    lines->number++;
    for (;;) {
        int code = lines->begin == lines->end ? block_fill(lines, err) : 0;
        if (code != 0)
            return code;
        if (lines->end == 0) {
            *ret_found = is_any;
            return 0;
        }
        is_any = true;
        char *start = lines->block + lines->begin;
        size_t size = lines->end - lines->begin;
        char *feed = memchr(start, '\n', size);
        line_append(lines, start, feed != NULL ? (size_t)(feed - start) : size);
        lines->begin = feed != NULL ? (size_t)(feed - lines->block) + 1 : lines->end;
        if (feed != NULL) {
            *ret_found = true;
            return 0;
        }
    }
}

static bool is_blank(const struct json_lines *lines)
{
    for (size_t i = 0; i < lines->size; i++) {
        if (memchr(" \t\r", lines->line[i], 3) == NULL)
            return false;
    }
    return !lines->is_too_long;
}

/* The object of the line; NULL with lines->problem set. */
static json_t *parse(struct json_lines *lines)
{
    if (lines->is_too_long) {
        snprintf(lines->problem, sizeof lines->problem, "the line is longer than %u bytes",
                 JSON_LINE_SIZE_MAX);
        return NULL;
    }
    if (!utf8_is_valid(lines->line, lines->size)) {
        snprintf(lines->problem, sizeof lines->problem, "the line is not UTF-8");
        return NULL;
    }
    json_error_t where;
    json_t *value =
        json_loadb(lines->line, lines->size, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, &where);
    if (value == NULL)
        snprintf(lines->problem, sizeof lines->problem, "the line is no JSON: column %d: %s",
                 where.column, where.text);
    else if (!json_is_object(value))
        snprintf(lines->problem, sizeof lines->problem, "the line must be a JSON object");
    if (json_is_object(value))
        return value;
    json_decref(value);
    return NULL;
}

int json_lines_next(struct json_lines *lines, struct json_line *ret_line, struct error *err)
{
    bool is_found;
    json_decref(lines->value);
    lines->value = NULL;
    do {
        int code = line_read(lines, &is_found, err);
        if (code != 0)
            return code;
    } while (is_found && is_blank(lines));
    if (is_found)
        lines->value = parse(lines);
    *ret_line =
        (struct json_line){.number = lines->number,
                           .object = lines->value,
                           .problem = is_found && lines->value == NULL ? lines->problem : NULL};
    return 0;
}
