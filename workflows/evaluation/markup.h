/* SPDX-License-Identifier: Apache-2.0 */
/*
 * markup: text on its way into HTML and SVG. Everything that a suite, a label or a model's name
 * says passes markup_text.
 *
 * Threading: none; the caller's buffer.
 */
#ifndef ARGOSY_WORKFLOWS_EVALUATION_MARKUP_H
#define ARGOSY_WORKFLOWS_EVALUATION_MARKUP_H

#include "common/buffer.h"

/* Appends text (UTF-8; NULL is nothing) as content or as a quoted attribute: markup escaped,
 * control characters but line feeds and tabs, and bytes that are not UTF-8, as U+FFFD. */
void markup_text(struct buffer *out, const char *text);

/* The same, with "..." at its end where text has more than characters_max. */
void markup_text_cut(struct buffer *out, const char *text, size_t characters_max);

#endif
