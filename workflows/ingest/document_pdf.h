/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_pdf: the text of a PDF, by poppler's pdftotext in a process of its own.
 *
 * A PDF reader is a large program that meets hostile files: it runs with bounds on its memory and
 * its processor time, its output is bounded, and whatever becomes of it the caller lives on.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKFLOWS_DOCUMENT_PDF_H
#define ARGOSY_WORKFLOWS_DOCUMENT_PDF_H

#include "workflows/ingest/document_text.h"

/* A page takes some 10 ms; a document of 10,000 pages some two minutes. */
#define DOCUMENT_PDF_SECONDS_MAX 600
#define DOCUMENT_PDF_MEMORY_MAX  ((uint64_t)2 << 30)

/* Hands over what pdftotext writes, which is UTF-8 unless it fails. ERR_UNSUPPORTED where the
 * program is not installed, naming its package; ERR_INVALID with what it said of a file that it
 * cannot read; ERR_IO, ERR_MEMORY; what write returned. */
int document_pdf_read(int fd,
                      int (*write)(void *context, const char *data, size_t size, struct error *err),
                      void *context, struct error *err);

#endif
