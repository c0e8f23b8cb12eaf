/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cuBLASLt for the emulator, built as libcublasLt.so.13: its documented interface (column-major
 * matrices, attributes by number) over plain loops, so that opening the library, choosing an
 * algorithm and every call of cuda/cublaslt.cu run in tests.
 *
 * It proposes algorithms that must be passed over, and good ones of different speed
 * (fake_cublaslt.h). What the CUDA device must never ask for ends the program.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "cuda_runtime.h"
#include "fake_cublaslt.h"
#include "library_types.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

enum { SUCCESS = 0, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };

extern "C" {
__attribute__((visibility("default"))) struct fake_cublaslt fake_cublaslt = {
    {}, {0, 0.1, 0.1, 0.1, 2, 1, 0.1}};
}

struct description {
    int32_t transposes_a;
    int32_t epilogue;
    const void *bias;
};

struct layout {
    cudaDataType type;
    uint64_t rows, columns;
    int64_t stride;
};

struct preference {
    uint64_t workspace_bytes;
    uint32_t reductions;
};

struct algorithm {
    uint64_t data[8];
};

struct heuristic {
    struct algorithm algorithm;
    size_t workspace_bytes;
    int state;
    float waves;
    int reserved[4];
};

static void demand(bool is_so, const char *what)
{
    if (!is_so) {
        fprintf(stderr, "cuBLASLt: %s\n", what);
        abort();
    }
}

static float read(const struct layout *layout, const void *from, size_t index)
{
    switch (layout->type) {
    case CUDA_R_16F:
        return __half2float(((const __half *)from)[index]);
    case CUDA_R_16BF:
        return __bfloat162float(((const __nv_bfloat16 *)from)[index]);
    case CUDA_R_32F:
        return ((const float *)from)[index];
    }
    demand(false, "unknown element type");
    return 0;
}

static void write(const struct layout *layout, void *to, size_t index, float value)
{
    switch (layout->type) {
    case CUDA_R_16F:
        ((__half *)to)[index] = __float2half_rn(value);
        break;
    case CUDA_R_16BF:
        ((__nv_bfloat16 *)to)[index] = __float2bfloat16_rn(value);
        break;
    case CUDA_R_32F:
        ((float *)to)[index] = value;
        break;
    }
}

EXPORT int cublasLtCreate(void **handle)
{
    *handle = malloc(1);
    return SUCCESS;
}

EXPORT int cublasLtDestroy(void *handle)
{
    free(handle);
    return SUCCESS;
}

EXPORT size_t cublasLtGetVersion(void)
{
    return 130002;
}

EXPORT int cublasLtMatmulDescCreate(struct description **ret_desc, int compute, cudaDataType scale)
{
    demand(compute == 68 && scale == CUDA_R_32F, "sums in something other than fp32");
    *ret_desc = new description{0, 1, nullptr};
    return SUCCESS;
}

EXPORT int cublasLtMatmulDescDestroy(struct description *desc)
{
    delete desc;
    return SUCCESS;
}

EXPORT int cublasLtMatmulDescSetAttribute(struct description *desc, int attribute, const void *from,
                                          size_t bytes)
{
    switch (attribute) {
    case 3:
        demand(bytes == sizeof(desc->transposes_a), "size of TRANSA");
        memcpy(&desc->transposes_a, from, bytes);
        return SUCCESS;
    case 7:
        demand(bytes == sizeof(desc->epilogue), "size of EPILOGUE");
        memcpy(&desc->epilogue, from, bytes);
        return SUCCESS;
    case 8:
        demand(bytes == sizeof(desc->bias), "size of BIAS_POINTER");
        memcpy(&desc->bias, from, bytes);
        return SUCCESS;
    }
    demand(false, "unknown attribute of a description");
    return NOT_SUPPORTED;
}

EXPORT int cublasLtMatrixLayoutCreate(struct layout **ret_layout, cudaDataType type, uint64_t rows,
                                      uint64_t columns, int64_t stride)
{
    demand(rows > 0 && columns > 0 && stride >= (int64_t)rows, "a layout without elements");
    *ret_layout = new layout{type, rows, columns, stride};
    return SUCCESS;
}

EXPORT int cublasLtMatrixLayoutDestroy(struct layout *layout)
{
    delete layout;
    return SUCCESS;
}

EXPORT int cublasLtMatmulPreferenceCreate(struct preference **ret_preference)
{
    *ret_preference = new preference{1, 7};
    return SUCCESS;
}

EXPORT int cublasLtMatmulPreferenceDestroy(struct preference *preference)
{
    delete preference;
    return SUCCESS;
}

EXPORT int cublasLtMatmulPreferenceSetAttribute(struct preference *preference, int attribute,
                                                const void *from, size_t bytes)
{
    switch (attribute) {
    case 1:
        demand(bytes == sizeof(preference->workspace_bytes), "size of MAX_WORKSPACE_BYTES");
        memcpy(&preference->workspace_bytes, from, bytes);
        return SUCCESS;
    case 3:
        demand(bytes == sizeof(preference->reductions), "size of REDUCTION_SCHEME_MASK");
        memcpy(&preference->reductions, from, bytes);
        return SUCCESS;
    case 6:
    case 7:
    case 8:
        demand(bytes == sizeof(uint32_t), "size of an alignment");
        return SUCCESS;
    }
    demand(false, "unknown attribute of a preference");
    return NOT_SUPPORTED;
}

EXPORT int cublasLtMatmulAlgoGetHeuristic(void *, struct description *, struct layout *,
                                          struct layout *, struct layout *, struct layout *d,
                                          struct preference *preference, int wanted,
                                          struct heuristic *results, int *count)
{
    demand(preference->workspace_bytes == 0, "workspace");
    demand(preference->reductions == 0, "a reduction of parts");
    demand(wanted >= FAKE_ALGORITHMS - 1, "too few algorithms asked for");
    if (d->rows < FAKE_OUT_MIN) {
        *count = 0;
        return NOT_SUPPORTED;
    }
    for (int i = 0; i < FAKE_ALGORITHMS - 1; i++) {
        results[i] = {};
        results[i].algorithm.data[0] = (uint64_t)(FAKE_SPLITS + i);
    }
    *count = FAKE_ALGORITHMS - 1;
    return SUCCESS;
}

EXPORT int cublasLtMatmulAlgoConfigGetAttribute(const struct algorithm *algorithm, int attribute,
                                                void *to, size_t bytes, size_t *written)
{
    int32_t splits = algorithm->data[0] == FAKE_SPLITS ? 4 : 1;

    demand(attribute == 2 && bytes == sizeof(splits), "unknown attribute of an algorithm");
    memcpy(to, &splits, bytes);
    *written = bytes;
    return SUCCESS;
}

EXPORT int cublasLtMatmulAlgoCheck(void *, struct description *, struct layout *, struct layout *b,
                                   struct layout *, struct layout *,
                                   const struct algorithm *algorithm, struct heuristic *result)
{
    *result = {};
    if (algorithm->data[0] == FAKE_NEEDS_WORKSPACE && b->columns > 100)
        result->workspace_bytes = 1024;
    bool is_known = algorithm->data[0] >= FAKE_SPLITS && algorithm->data[0] < FAKE_ALGORITHMS;
    return is_known && algorithm->data[0] != FAKE_REFUSED ? SUCCESS : NOT_SUPPORTED;
}

static std::vector<float> columns_of(const struct layout *layout, const void *from)
{
    std::vector<float> columns;

    columns.reserve(layout->rows * layout->columns);
    for (uint64_t column = 0; column < layout->columns; column++)
        for (uint64_t row = 0; row < layout->rows; row++)
            columns.push_back(read(layout, from, column * (uint64_t)layout->stride + row));
    return columns;
}

/* D (m x n) = Aᵀ (A is k x m) B (k x n) + bias along m. Everything but the numbers comes by value:
 * the call that asked for it is over when it runs. */
static void multiply(struct description desc, struct layout a_layout, const void *a,
                     struct layout b_layout, const void *b, struct layout d_layout, void *d,
                     bool is_backwards)
{
    const std::vector<float> a_columns = columns_of(&a_layout, a);
    const std::vector<float> b_columns = columns_of(&b_layout, b);
    uint64_t depth = a_layout.rows;

    for (uint64_t column = 0; column < d_layout.columns; column++)
        for (uint64_t row = 0; row < d_layout.rows; row++) {
            float sum = 0;
            for (uint64_t i = 0; i < depth; i++) {
                uint64_t k = is_backwards ? depth - 1 - i : i;
                sum += a_columns[row * depth + k] * b_columns[column * depth + k];
            }
            if (desc.bias)
                sum += read(&d_layout, desc.bias, row);
            write(&d_layout, d, column * (uint64_t)d_layout.stride + row, sum);
        }
}

EXPORT int cublasLtMatmul(void *, const struct description *desc, const float *alpha, const void *a,
                          const struct layout *a_layout, const void *b,
                          const struct layout *b_layout, const float *beta, const void *c,
                          const struct layout *, void *d, const struct layout *d_layout,
                          const struct algorithm *algorithm, void *workspace,
                          size_t workspace_bytes, cudaStream_t stream)
{
    uint64_t number = algorithm->data[0];
    demand(number == FAKE_IN_ORDER || number == FAKE_BACKWARDS || number == FAKE_BREAKS,
           "an algorithm that must not be used");
    fake_cublaslt.products[number]++;
    if (number == FAKE_BREAKS)
        return EXECUTION_FAILED;
    demand(*alpha == 1 && *beta == 0 && c == d, "alpha, beta or C");
    demand(!workspace && workspace_bytes == 0, "workspace");
    demand(desc->transposes_a == 1, "A as it is");
    demand(desc->epilogue == (desc->bias ? 4 : 1), "an epilogue without its bias");
    demand(b_layout->rows == a_layout->rows && d_layout->rows == a_layout->columns &&
               d_layout->columns == b_layout->columns,
           "matrices that do not fit together");
    demand((uintptr_t)b % 16 == 0 && (uintptr_t)d % 16 == 0, "alignment");
    double us = fake_cublaslt.us_per_row[number] * (double)d_layout->columns;
    emulator_enqueue(stream, [desc = *desc, a_layout = *a_layout, a, b_layout = *b_layout, b,
                              d_layout = *d_layout, d, number, us] {
        multiply(desc, a_layout, a, b_layout, b, d_layout, d, number == FAKE_BACKWARDS);
        emulator_pass(us);
    });
    return SUCCESS;
}
