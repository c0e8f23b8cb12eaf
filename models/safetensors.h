/* SPDX-License-Identifier: Apache-2.0 */
/*
 * safetensors: named tensors of a checkpoint file, read in place.
 *
 *     u64 little-endian N | N bytes of JSON | data
 *     {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
 *
 * The file is mapped, not read: opening costs its header, and pages come in when they are used. All
 * of the header is checked at opening: its length against the file, dtype, rank, products of shapes
 * (overflow), offsets against shape and dtype, bounds, overlap, holes, trailing bytes and duplicate
 * names. A file that opens can be read without further checks.
 *
 * Model files are put in place by rename and never changed there (model_store.h): a file that is
 * cut short while it is mapped would end the process with SIGBUS.
 *
 * Data is little-endian, row-major and packed, so a tensor may start at any byte: read it with
 * tensor_to_float. Threading: an opened file is never changed; any thread may read it.
 */
#ifndef ARGOSY_MODELS_SAFETENSORS_H
#define ARGOSY_MODELS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Longest header. 104 tensors of a MiniLM take 11 KB; the largest published models name some 10,000
 * tensors in about 1 MB. The format itself allows 100 MB, which would take gigabytes to parse. */
#define SAFETENSORS_HEADER_MAX (4u << 20)
#define TENSOR_RANK_MAX        8

/* name, bytes per element */
#define TENSOR_DTYPES(X)                                                                           \
    X(F64, 8)                                                                                      \
    X(F32, 4)                                                                                      \
    X(F16, 2)                                                                                      \
    X(BF16, 2)                                                                                     \
    X(I64, 8)                                                                                      \
    X(I32, 4)                                                                                      \
    X(I16, 2) X(I8, 1) X(U8, 1) X(BOOL, 1) X(F8_E4M3, 1) X(F8_E5M2, 1) X(U16, 2) X(U32, 4) X(U64, 8)

enum tensor_dtype {
#define TENSOR_DTYPE_ENUM(name, size) TENSOR_##name,
    TENSOR_DTYPES(TENSOR_DTYPE_ENUM)
#undef TENSOR_DTYPE_ENUM
};

struct tensor {
    const char *name;
    enum tensor_dtype dtype;
    uint32_t rank;
    uint64_t shape[TENSOR_RANK_MAX]; /* the first `rank` count; rank 0 is one element */
    uint64_t count;                  /* elements */
    const uint8_t *data;             /* not aligned */
    size_t size;                     /* bytes */
};

struct safetensors;

/* Maps and checks a file. ERR_NOT_FOUND when there is none, ERR_IO when it cannot be mapped,
 * ERR_CORRUPT with file, tensor and reason when it is no valid checkpoint. */
int safetensors_open(const char *path, struct safetensors **ret_file, struct error *err);

/* The same over memory, which is borrowed until safetensors_close; name stands for it in errors. */
int safetensors_parse(const void *bytes, size_t size, const char *name,
                      struct safetensors **ret_file, struct error *err);

/* Accepts NULL. Tensors borrowed from the file are gone with it. */
void safetensors_close(struct safetensors *file);

/* Borrowed: all tensors, in the order of their data. */
const struct tensor *safetensors_tensors(const struct safetensors *file, size_t *ret_count);

/* Borrowed; NULL when there is none of that name. */
const struct tensor *safetensors_find(const struct safetensors *file, const char *name);

/* The path or name it was opened by. Borrowed. */
const char *safetensors_name(const struct safetensors *file);

/* "F32"; bytes of one element. */
const char *tensor_dtype_name(enum tensor_dtype dtype);
size_t tensor_dtype_size(enum tensor_dtype dtype);

/* "[384, 1536]" into text; returns text. */
#define TENSOR_SHAPE_TEXT 192
const char *tensor_shape_format(const struct tensor *tensor, char text[TENSOR_SHAPE_TEXT]);

/* Writes all tensor->count elements as fp32. F32, F16, BF16 and F64 only: ERR_UNSUPPORTED. */
int tensor_to_float(const struct tensor *tensor, float *out, struct error *err);

#endif
