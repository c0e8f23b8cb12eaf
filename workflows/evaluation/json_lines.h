/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_lines: the JSON objects of a JSONL file, one a line.
 *
 * Lines of white space are skipped. A line that is no object is handed out with what is wrong in
 * it, and reading goes on behind it. One line at a time is in memory, whatever the file's size.
 *
 * Threading: one thread at a time per reader.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_JSON_LINES_H
#define ARGOSY_WORKFLOWS_EVALUATION_JSON_LINES_H

#include <jansson.h>
#include <stdint.h>

#include "common/error.h"

/* Two texts of 10,000 characters with every character as an escape of a surrogate pair (12 bytes),
 * and as much again for lists and members of other programs. */
#define JSON_LINE_SIZE_MAX (512u * 1024)

struct json_line {
    uint64_t number;      /* from 1 */
    const json_t *object; /* borrowed until the next call; NULL: the line is none, or the end */
    const char *problem;  /* what is wrong with the line; borrowed; NULL with an object, or at the
                             end */
};

struct json_lines;

/* Reads fd from its beginning; fd is borrowed, and must be a file. ERR_IO, ERR_MEMORY. */
int json_lines_create(int fd, struct json_lines **ret_lines, struct error *err);

/* Accepts NULL. */
void json_lines_destroy(struct json_lines *lines);

/* The next line that is not blank; one without object and problem is the end. ERR_IO. */
int json_lines_next(struct json_lines *lines, struct json_line *ret_line, struct error *err);

#endif
