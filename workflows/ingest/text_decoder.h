/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_decoder: bytes of some encoding, piece by piece, as valid UTF-8.
 *
 * Strict: what is not of the encoding, and a NUL, is ERR_INVALID with its place in the input.
 * Lenient (HTML, as browsers do it): it becomes U+FFFD, a NUL that or a space.
 *
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_WORKFLOWS_TEXT_DECODER_H
#define ARGOSY_WORKFLOWS_TEXT_DECODER_H

#include <iconv.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"

/* No encoding has longer characters, shift sequences included. */
#define TEXT_DECODER_TAIL_MAX 32

struct text_decoder {
    iconv_t converter; /* (iconv_t)-1: UTF-8, which needs none */
    size_t unit_size;  /* bytes that are passed over where the input is wrong */
    bool is_lenient;
    uint64_t offset;                  /* of the tail in the input */
    char tail[TEXT_DECODER_TAIL_MAX]; /* the beginning of a character */
    size_t tail_size;
};

/* ERR_UNSUPPORTED for an encoding that this machine's iconv does not know. */
int text_decoder_open(struct text_decoder *decoder, const char *encoding, bool is_lenient,
                      struct error *err);
void text_decoder_close(struct text_decoder *decoder);

/* Appends the text of the next bytes to out. ERR_INVALID, ERR_MEMORY. */
int text_decoder_add(struct text_decoder *decoder, const char *data, size_t size,
                     struct buffer *out, struct error *err);

/* The input is complete: what is left of a character is ERR_INVALID, or U+FFFD. */
int text_decoder_end(struct text_decoder *decoder, struct buffer *out, struct error *err);

/* The encoding that a byte order mark says, and the mark's size: NULL and 0 for none. */
const char *text_encoding_by_mark(const char *head, size_t size, size_t *ret_mark_size);

#endif
