/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_text: the text that is in a file: plain text, Markdown, HTML, PDF.
 *
 *   plain     UTF-8, or UTF-16 with a byte order mark; anything else is refused with its place
 *   Markdown  as it is written; its headings are told
 *   HTML      what a reader sees (document_html.h); its headings are told
 *   PDF       what poppler's pdftotext finds (document_pdf.h), where that is installed
 *
 * Text is handed over as it is read, so that a file of any size takes little memory. All of it is
 * valid UTF-8 without NUL, and pieces end between characters.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_DOCUMENT_TEXT_H
#define ARGOSY_WORKFLOWS_DOCUMENT_TEXT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Of the file, and of the text in it: an hour's work for a GPU that embeds 300 KB a second. */
#define DOCUMENT_SIZE_MAX ((uint64_t)1 << 30)
/* A heading longer than this is a paragraph that was marked up wrongly. */
#define DOCUMENT_HEADING_MAX 512
/* What is looked at to tell what a file holds. */
#define DOCUMENT_HEAD_SIZE 4096

enum document_type { DOCUMENT_PLAIN, DOCUMENT_MARKDOWN, DOCUMENT_HTML, DOCUMENT_PDF };

/* Where the text goes. Both are called in the order of the text; a negative code ends the loading
 * with it. heading may be NULL: the heading that begins at that offset of the text, told before the
 * text from there on is. */
struct document_sink {
    int (*text)(void *context, const char *text, size_t size, struct error *err);
    int (*heading)(void *context, uint64_t offset, const char *title, size_t size,
                   struct error *err);
    void *context;
};

/* The type that is meant: by type ("text/html", "html"), when not NULL, else by the content's
 * first bytes where they are unmistakable, else by name's extension, else as plain text where
 * head looks like it. ERR_UNSUPPORTED says what there is. name may be NULL. */
int document_type_find(const char *type, const char *name, const char *head, size_t head_size,
                       enum document_type *ret_type, struct error *err);

/* "text/plain", "text/markdown", "text/html", "application/pdf". */
const char *document_type_name(enum document_type type);

/* Reads the regular file at fd from its beginning. ERR_INVALID: it is not what type says, or is
 * damaged; ERR_RANGE: over a bound; ERR_UNSUPPORTED: an encoding or program that is not installed,
 * by name; ERR_IO, ERR_MEMORY; what the sink returned. */
int document_text_load(int fd, enum document_type type, const struct document_sink *sink,
                       struct error *err);

#endif
