/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drawing: lines of text for a terminal of a given width: what does not fit is cut and marked,
 * texts from elsewhere cannot disturb it, and colours, bars and curves are drawn as the terminal
 * can show them.
 *
 *     struct drawing drawing = {.style = &style};
 *     drawing_put(&drawing, TONE_PLAIN, "cpu/0");
 *     drawing_tab(&drawing, 12);
 *     drawing_put(&drawing, TONE_GOOD, "ready");
 *     drawing_end(&drawing);
 *
 * A pure function of what is put: it asks neither the terminal nor the environment; style_detect
 * does. Threading: none.
 */
#ifndef ARGOSY_CLI_DRAWING_H
#define ARGOSY_CLI_DRAWING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/buffer.h"

/* What a terminal can show. */
struct style {
    uint32_t columns; /* 0: any number */
    bool has_colour;
    bool is_utf8; /* else ASCII alone; what is not is shown as ? */
};

/* The style for out: its columns where it is a terminal, colours there unless NO_COLOR is set or
 * TERM is dumb, UTF-8 where the locale says so. */
void style_detect(FILE *out, struct style *ret_style);

enum tone { TONE_PLAIN, TONE_FAINT, TONE_STRONG, TONE_GOOD, TONE_WARN, TONE_BAD };

/* Zero-initialised but for style is empty and valid. */
struct drawing {
    const struct style *style; /* borrowed */
    struct buffer text;        /* whole lines, and the one that is being drawn */
    size_t used;               /* columns of this line */
    bool is_cut;               /* more was put than fits */
    size_t lines;              /* ended */
};

void drawing_fini(struct drawing *drawing);

/* Appends to the line; control characters are made visible. */
void drawing_put(struct drawing *drawing, enum tone tone, const char *text);
void drawing_printf(struct drawing *drawing, enum tone tone, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Spaces up to a column; nothing when the line is there already. */
void drawing_tab(struct drawing *drawing, size_t column);

/* A text that ends before a column, in front of which there are spaces. */
void drawing_right(struct drawing *drawing, enum tone tone, const char *text, size_t column);

/* "[#####.....]", width columns with the brackets; share from 0 to 1. */
void drawing_bar(struct drawing *drawing, enum tone tone, double share, size_t width);

/* A column for each value, as high as it is to the greatest; the latest ones where they are too
 * many for width. */
void drawing_curve(struct drawing *drawing, enum tone tone, const double *values, size_t count,
                   size_t width);

/* Ends the line. */
void drawing_end(struct drawing *drawing);

#endif
