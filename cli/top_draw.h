/* SPDX-License-Identifier: Apache-2.0 */
/*
 * top_draw: what `argosy top` shows of a frame (top_frame.h) on a terminal of a given size.
 *
 * A pure function. Threading: none.
 */
#ifndef ARGOSY_CLI_TOP_DRAW_H
#define ARGOSY_CLI_TOP_DRAW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/drawing.h"

enum top_section { TOP_ALL, TOP_QUEUES, TOP_WORKERS, TOP_GPUS };
#define TOP_SECTION_COUNT 4

/* What workers are sorted by; the greatest stands first, but for the name. */
enum top_sort { TOP_SORT_NAME, TOP_SORT_CPU, TOP_SORT_MEMORY, TOP_SORT_TASKS, TOP_SORT_OLDEST };
#define TOP_SORT_COUNT 5

/* Enough for the widest terminals. */
#define TOP_HISTORY_MAX 512

struct top_view {
    uint32_t rows; /* of the terminal; 0: as many as there are, and no line of keys */
    enum top_section section;
    enum top_sort sort;
    size_t scroll; /* rows of a single section that are above the screen */
    bool is_paused;
    const char *trouble; /* why the frame is not a new one; NULL: it is */

    /* activities done per second, the latest last */
    double history[TOP_HISTORY_MAX];
    size_t history_count;
};

/* Remembers a frame's throughput. */
void top_view_note(struct top_view *view, const json_t *frame);

/* Draws a frame; NULL: there is none yet. */
void top_draw(const json_t *frame, const struct top_view *view, struct drawing *drawing);

#endif
