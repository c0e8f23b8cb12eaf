/* SPDX-License-Identifier: Apache-2.0 */
/*
 * markdown: the headings of a Markdown text that comes in pieces: lines that begin with one to six
 * "#" and a space (CommonMark's ATX headings), outside fenced code.
 *
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_WORKFLOWS_MARKDOWN_H
#define ARGOSY_WORKFLOWS_MARKDOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "workflows/ingest/document_text.h"

/* Zero-initialised is the beginning of a text. */
struct markdown {
    uint64_t offset;   /* of the next byte */
    bool is_in_line;   /* it is inside a line that was too long to be a heading */
    char fence;        /* '`' or '~' inside fenced code, else 0 */
    size_t fence_size; /* marks that opened it */
};

/* Tells the sink of the headings in the text's next size bytes. *ret_size: how many of them are
 * done with; the rest, an unfinished line, comes again with what follows. At the end, all. Returns
 * what the sink returned. */
int markdown_headings(struct markdown *markdown, const char *text, size_t size, bool is_end,
                      const struct document_sink *sink, size_t *ret_size, struct error *err);

#endif
