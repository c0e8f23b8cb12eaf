/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_text: fp32 numbers as text and back: JSON numbers for results, base64 of little-endian
 * bytes for checkpoints.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKER_GPU_VECTOR_TEXT_H
#define ARGOSY_WORKER_GPU_VECTOR_TEXT_H

#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"

/* Appends the shortest decimal that a JSON reader (which reads doubles) turns back into the very
 * same fp32. value must be finite. */
void float_append_json(struct buffer *out, float value);

/* Appends "[[...], ...]" of rows vectors. ERR_INTERNAL when a number is not finite: JSON has none.
 */
int vectors_append_json(struct buffer *out, const float *vectors, size_t rows, size_t width,
                        struct error *err);

/* Appends the base64 (RFC 4648, padded) of size bytes. */
void base64_append(struct buffer *out, const void *data, size_t size);

/* Decodes exactly size bytes from text of text_size characters. ERR_INVALID when text is no base64
 * of that many bytes; data is then undefined. */
int base64_decode(const char *text, size_t text_size, void *data, size_t size, struct error *err);

#endif
