/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_file: the chunks of a document as JSONL, one object a line, in order:
 *
 *     {"text": "...", "ordinal": 17, "hash": "<64 hexadecimal digits>",
 *      "metadata": {"offset": 31337, "section": "Getting started"}}
 *
 * The hash is the SHA-256 of the model's name, a NUL and the text: it names the vector. offset is
 * where the chunk begins in the document's text, section the heading it stands under.
 *
 * Threading: one thread at a time per reader.
 */
#ifndef ARGOSY_WORKFLOWS_CHUNK_FILE_H
#define ARGOSY_WORKFLOWS_CHUNK_FILE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/error.h"
#include "storage/vectors.h"

/* The longest text with every byte escaped as \u0001, and its metadata. */
#define CHUNK_LINE_SIZE_MAX (8 * (size_t)VECTOR_TEXT_SIZE_MAX)

struct chunk_record {
    const char *text;
    size_t size;
    uint32_t ordinal;
    uint8_t hash[VECTOR_HASH_SIZE];
    uint64_t offset;
    const char *section; /* NULL: none */
};

/* Writes one line. ERR_IO, ERR_MEMORY. */
int chunk_record_write(FILE *file, const struct chunk_record *record, struct error *err);

struct chunk_reader;

/* Reads the file at fd, which is taken, also on failure, from its beginning. ERR_IO, ERR_MEMORY. */
int chunk_reader_open(int fd, struct chunk_reader **ret_reader, struct error *err);

/* NULL is fine. */
void chunk_reader_close(struct chunk_reader *reader);

/* A line as it stands in the file, and as what it says; until the next call. */
struct chunk_line {
    const char *line; /* line end included */
    size_t line_size;
    const char *text; /* NUL-terminated; NULL: there is no more */
    size_t text_size;
    uint32_t ordinal; /* counted: lines that say otherwise are refused */
    uint8_t hash[VECTOR_HASH_SIZE];
    const char *metadata; /* JSON */
};

/* ERR_INVALID with the line's number for a line that is no chunk; ERR_IO, ERR_MEMORY. */
int chunk_reader_next(struct chunk_reader *reader, struct chunk_line *ret_line, struct error *err);

#endif
