/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors_writer: writes what safetensors.h reads: header, then the tensors' data in the order
 * given, the first of them on a multiple of eight bytes.
 *
 * The same tensors give the same bytes. Threading: any thread; no state.
 */
#ifndef ARGOSY_MODELS_SAFETENSORS_WRITER_H
#define ARGOSY_MODELS_SAFETENSORS_WRITER_H

#include <stddef.h>

#include "common/buffer.h"
#include "models/safetensors.h"

/* A tensor over data, which is borrowed: count and size follow from dtype and shape. The name must
 * need no escape in JSON. */
struct tensor tensor_over(const char *name, enum tensor_dtype dtype, uint32_t rank,
                          const uint64_t *shape, const void *data);

/* Appends what stands before the data, so that a file too large for memory can be written piece by
 * piece: the tensors' data, one after the other, follows. */
void safetensors_write_header(const struct tensor *tensors, size_t count, struct buffer *out);

/* Appends the file to out; out->failed when memory is exhausted. */
void safetensors_write(const struct tensor *tensors, size_t count, struct buffer *out);

#endif
