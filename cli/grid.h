/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grid: rows of cells in columns that line up, drawn for a terminal's width: where it is too
 * narrow, the columns that matter least are left out.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_GRID_H
#define ARGOSY_CLI_GRID_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/drawing.h"
#include "common/arena.h"

#define GRID_COLUMNS_MAX 12

struct grid_column {
    const char *head; /* NULL: the end */
    bool is_right;    /* numbers end in line */
    int rank;         /* the greatest goes first; 0: stays */
};

struct grid_cell {
    const char *text; /* owned by arena */
    enum tone tone;
};

struct grid {
    const struct grid_column *columns; /* borrowed */
    size_t column_count;
    struct grid_cell *cells; /* row after row */
    size_t count, capacity;
    bool failed; /* memory ran out */
    struct arena arena;
};

/* columns end with a head that is NULL. */
void grid_init(struct grid *grid, const struct grid_column *columns);
void grid_fini(struct grid *grid);

/* The next cell of the row; a row has one for each column. */
void grid_put(struct grid *grid, enum tone tone, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

size_t grid_rows(const struct grid *grid);

/* Draws heads and count rows from first on. */
void grid_draw(const struct grid *grid, size_t first, size_t count, struct drawing *drawing);

#endif
