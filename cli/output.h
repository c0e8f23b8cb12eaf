/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output: how results look to people (tables, times, texts that cannot disturb a terminal) and to
 * machines (JSON).
 *
 * Names, results and error texts come from whoever started a workflow: what is printed for people
 * passes output_safe, which shows control characters and bytes that are not UTF-8 as \x1b.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_OUTPUT_H
#define ARGOSY_CLI_OUTPUT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"

#define TABLE_COLUMNS_MAX 8

/* Rows of cells, printed in aligned columns. Zero-initialised but for heads is empty and valid. */
struct table {
    const char *const *heads; /* ends in NULL */
    const char **cells;       /* row after row; owned by arena */
    size_t columns, rows, rows_max;
    bool failed; /* memory ran out */
    struct arena arena;
};

/* heads are borrowed and end in NULL. */
void table_init(struct table *table, const char *const *heads);
void table_fini(struct table *table);

/* Adds a row of as many texts as there are heads (const char *; NULL is shown as "-"); copied. */
void table_add(struct table *table, ...);

/* Prints heads and rows; the last column is not padded. ERR_MEMORY when a row was lost. */
int table_print(const struct table *table, FILE *out, struct error *err);

/* Appends text with control characters and invalid bytes made visible. */
void output_safe(const char *text, size_t size, struct buffer *out);

/* How many columns a terminal uses for text (UTF-8). */
size_t output_width(const char *text);

/* Cuts text to that many columns of a terminal, with "..." at its end when something went. */
void output_cut(struct buffer *text, size_t width);

/* Prints value, indented, and a line feed to standard output, and releases it. NULL is
 * ERR_MEMORY, so that a failed json_pack can be passed on. */
int output_json(json_t *value, struct error *err);

/* "2026-01-31 23:59:59" in local time, and "3m12s", "1.20s", "15ms"; both return text. A time of 0
 * is "-". */
#define OUTPUT_TIME_SIZE 32
const char *output_time(int64_t utc_us, char text[OUTPUT_TIME_SIZE]);
const char *output_duration(int64_t duration_us, char text[OUTPUT_TIME_SIZE]);

/* "17 B", "1.5 MiB"; returns text. */
#define OUTPUT_BYTES_SIZE 32
const char *output_bytes(double bytes, char text[OUTPUT_BYTES_SIZE]);

#endif
