/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_text: vectors of fp32 as JSON.
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

#endif
