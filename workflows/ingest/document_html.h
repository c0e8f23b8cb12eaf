/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_html: the text of an HTML document, as a reader sees it.
 *
 *   - scripts, styles, templates and embedded objects are dropped
 *   - entities are characters; white space is one space, except in <pre>
 *   - block elements are paragraphs, with an empty line between them; <br>, list items and table
 *     rows begin a line, cells are a space apart
 *   - h1 to h6 and the title are headings
 *   - the encoding is that of the byte order mark, else of <meta charset> in the first
 *     DOCUMENT_HEAD_SIZE bytes, else UTF-8 where the whole file is, else windows-1252; what is
 *     wrong in it becomes U+FFFD
 *
 * libxml2 parses it as a stream: memory is bounded by one tag, of a size that libxml2 bounds.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_DOCUMENT_HTML_H
#define ARGOSY_WORKFLOWS_DOCUMENT_HTML_H

#include "workflows/ingest/document_text.h"

/* Elements inside each other. Browsers stop at 512. */
#define DOCUMENT_HTML_DEPTH_MAX 512

/* As document_text_load. ERR_RANGE: elements nested deeper than DOCUMENT_HTML_DEPTH_MAX. */
int document_html_load(int fd, const struct document_sink *sink, struct error *err);

#endif
