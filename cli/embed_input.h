/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed_input: the texts that `argosy embed` is given, as a JSONL file that can be read again: a
 * file as it is; standard input, and plain text with one text a line, by way of a temporary file.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_EMBED_INPUT_H
#define ARGOSY_CLI_EMBED_INPUT_H

#include <stdbool.h>

#include "common/error.h"
#include "models/file.h"

struct embed_input {
    int fd; /* owned */
    char path[32];
    char sha256[FILE_SHA256_TEXT]; /* of the JSONL */
};

/* path "-" is standard input. is_text: lines are texts, not JSON; all of them count, blank ones
 * too. ERR_NOT_FOUND and ERR_IO for files, ERR_INVALID for a line that is not UTF-8 or too long,
 * with its number. embed_input_close frees. */
int embed_input_open(const char *path, bool is_text, struct embed_input *ret_input,
                     struct error *err);
void embed_input_close(struct embed_input *input);

/* The id of the job that makes vectors of these texts in this way: the same texts, the same id.
 * model may be NULL. */
#define EMBED_JOB_ID_SIZE 32
void embed_job_id(const struct embed_input *input, const char *model, const char *format,
                  char ret_id[EMBED_JOB_ID_SIZE]);

#endif
