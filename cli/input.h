/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input: what a command is given to work on: JSON documents of --input and --input-file, and lines
 * of text. Everything is read, bounded and checked before anything is sent.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_INPUT_H
#define ARGOSY_CLI_INPUT_H

#include <stddef.h>

#include "cli/option.h"
#include "common/buffer.h"
#include "common/error.h"

#define INPUTS_MAX 16

/* --input (repeatable, "-" is standard input) and --input-file (repeatable). */
extern const struct option input_options[];

/* JSON documents, in the order given. Zero-initialised is empty; inputs_fini frees. */
struct inputs {
    struct buffer documents[INPUTS_MAX];
    size_t count;
};

/* Reads and checks the documents of a command that has input_options. ERR_INVALID for malformed
 * JSON (with source, line and column), text that is not UTF-8 and documents over
 * LIMIT_PAYLOAD_SIZE; ERR_NOT_FOUND and ERR_IO for files. */
int inputs_read(const struct parsed *parsed, struct inputs *ret_inputs, struct error *err);
void inputs_fini(struct inputs *inputs);

/* 0 when text is one JSON document of any type; source names it in the error. */
int input_check_json(const char *source, const char *text, size_t size, struct error *err);

/* Appends a file ("-": standard input) to out, at most limit bytes. ERR_NOT_FOUND, ERR_IO,
 * ERR_INVALID when it is longer. */
int input_read_file(const char *path, size_t limit, struct buffer *out, struct error *err);

#endif
