/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_lines: the texts of a JSONL file, one a line, from any line on:
 *
 *     {"text": "the parcel came", "id": 17}      other members are ignored
 *     "the parcel came"
 *
 * Lines of white space alone are skipped and are no texts. One line at a time is in memory,
 * whatever the size of the file.
 *
 * Threading: one thread at a time per reader.
 */
#ifndef ARGOSY_MODELS_TEXT_LINES_H
#define ARGOSY_MODELS_TEXT_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* A text of a megabyte with every byte escaped ("\u0001") fits. */
#define TEXT_LINE_SIZE_MAX ((size_t)8 << 20)

struct text_line {
    const char *text; /* UTF-8, may hold NUL; until the next call on the reader. NULL: no more */
    size_t size;
    uint64_t number;     /* of the line, from the first line's on */
    uint64_t offset;     /* of its first byte in the file */
    uint64_t end_offset; /* of the line behind it */
};

struct text_lines;

/* Reads the file at fd (borrowed; read with pread, so its position does not matter) from the line
 * at a byte offset on, whose number is first_number. ERR_INVALID when no line begins there, ERR_IO,
 * ERR_MEMORY. The caller destroys *ret_lines. */
int text_lines_create(int fd, uint64_t offset, uint64_t first_number, struct text_lines **ret_lines,
                      struct error *err);

/* Accepts NULL. */
void text_lines_destroy(struct text_lines *lines);

/* The next text. ERR_INVALID for a line that holds none, with its number and what is wrong; reading
 * may go on behind it. ERR_IO, ERR_MEMORY. */
int text_lines_next(struct text_lines *lines, struct text_line *ret_line, struct error *err);

#endif
