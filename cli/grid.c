/* SPDX-License-Identifier: Apache-2.0 */
/* grid: see grid.h. */
#include "cli/grid.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "common/assert.h"

#define GAP 2

void grid_init(struct grid *grid, const struct grid_column *columns)
{
    *grid = (struct grid){.columns = columns};
    while (columns[grid->column_count].head != NULL)
        grid->column_count++;
    ASSERT(grid->column_count > 0 && grid->column_count <= GRID_COLUMNS_MAX);
    arena_init(&grid->arena, ARENA_NO_LIMIT);
}

void grid_fini(struct grid *grid)
{
    arena_fini(&grid->arena);
    free(grid->cells);
}

static bool grow(struct grid *grid)
{
    size_t capacity = grid->capacity != 0 ? grid->capacity * 2 : 128;
    struct grid_cell *cells = reallocarray(grid->cells, capacity, sizeof cells[0]);
    if (cells == NULL)
        return false;
    grid->cells = cells;
    grid->capacity = capacity;
    return true;
}

void grid_put(struct grid *grid, enum tone tone, const char *format, ...)
{
    char text[512];
    va_list values;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    struct buffer safe = {0};
    output_safe(text, strlen(text), &safe);
    const char *copy = arena_strdup(&grid->arena, buffer_text(&safe));
    grid->failed = grid->failed || copy == NULL || safe.failed;
    buffer_fini(&safe);
    if (grid->count == grid->capacity && !grow(grid)) {
        grid->failed = true;
        return;
    }
    grid->cells[grid->count++] = (struct grid_cell){copy != NULL ? copy : "", tone};
}

size_t grid_rows(const struct grid *grid)
{
    return grid->count / grid->column_count;
}

static const struct grid_cell *cell_at(const struct grid *grid, size_t row, size_t column)
{
    return &grid->cells[row * grid->column_count + column];
}

/* The width of each column, 0 for one that is left out. All rows count, so that columns stay where
 * they are while rows scroll. */
static void plan_widths(const struct grid *grid, const struct style *style, size_t *widths)
{
    size_t needed = 0;
    for (size_t column = 0; column < grid->column_count; column++) {
        widths[column] = output_width(grid->columns[column].head);
        for (size_t row = 0; row < grid_rows(grid); row++) {
            size_t width = output_width(cell_at(grid, row, column)->text);
            widths[column] = width > widths[column] ? width : widths[column];
        }
        needed += widths[column] + GAP;
    }
    while (style->columns > 0 && needed > style->columns + GAP - 1) {
        size_t least = 0;
        for (size_t column = 0; column < grid->column_count; column++) {
            bool is_there = widths[column] > 0;
            if (is_there &&
                grid->columns[column].rank > (widths[least] > 0 ? grid->columns[least].rank : 0))
                least = column;
        }
        if (widths[least] == 0 || grid->columns[least].rank == 0)
            return; /* lines are cut */
        needed -= widths[least] + GAP;
        widths[least] = 0;
    }
}

static void put_cell(const struct grid_column *column, const struct grid_cell *cell, size_t begin,
                     size_t width, struct drawing *drawing)
{
    if (cell->text[0] == '\0')
        return; /* no spaces at the end of a line */
    drawing_tab(drawing, begin);
    if (column->is_right)
        drawing_right(drawing, cell->tone, cell->text, begin + width);
    else
        drawing_put(drawing, cell->tone, cell->text);
}

void grid_draw(const struct grid *grid, size_t first, size_t count, struct drawing *drawing)
{
    size_t widths[GRID_COLUMNS_MAX];
    size_t rows = grid_rows(grid);
    plan_widths(grid, drawing->style, widths);
    drawing->text.failed = drawing->text.failed || grid->failed;
    for (size_t line = 0; line <= count; line++) {
        size_t row = first + line - 1, begin = 0;
        if (line > 0 && row >= rows)
            break;
        for (size_t column = 0; column < grid->column_count; column++) {
            const struct grid_cell head = {grid->columns[column].head, TONE_FAINT};
            if (widths[column] == 0)
                continue;
            put_cell(&grid->columns[column], line == 0 ? &head : cell_at(grid, row, column), begin,
                     widths[column], drawing);
            begin += widths[column] + GAP;
        }
        drawing_end(drawing);
    }
}
