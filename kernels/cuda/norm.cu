/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Residual and embedding sums, each with its LayerNorm:
 *   out[r] = (v - mean(v)) / sqrt(var(v) + epsilon) * gamma + beta, per row, where
 *   v = x[r] + residual[r], or v = words[id] + positions[p] + types[type].
 *
 * Layout: rows of `width` elements, row-major; gamma and beta fp32. Two kernels, chosen by width:
 *
 * Rows of whole packs up to 1024 columns (every BERT): one warp per row, NORM_WARPS rows per block.
 * Lane l has packs l, l + 32, ...; v stays in its registers, so every operand is read once, 16
 * bytes at a time. Sum order: a lane's values in order, then the warp's butterfly.
 *
 * Other widths: one block of NORM_THREADS per row; thread t has the columns t, t + NORM_THREADS,
 * ... . The row is read three times (mean, variance around the mean, result) and after the first
 * time comes from the cache. Sum order: a thread's columns in order, the butterfly, the warps in
 * order. 16 bytes of shared memory.
 *
 * In both a thread reads what it writes before it writes it, and nothing else of the row, so out
 * may be x or residual. At most 64 registers (nvcc 13.0, sm_80 and sm_90a), no spills.
 */
#include <type_traits>

#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define NORM_THREADS     128u
#define NORM_WARPS       (NORM_THREADS / WARP)
#define NORM_LANE_VALUES 32u /* in registers */
#define NORM_WARP_WIDTH  (WARP * NORM_LANE_VALUES)

/* v of one row, COUNT columns from `column` on. */
template <typename T> struct residual_row {
    const T *x;
    const T *residual;

    template <uint32_t COUNT> __device__ void read(uint32_t column, float (&v)[COUNT]) const
    {
        float added[COUNT];

        elements_read(x + column, v);
        elements_read(residual + column, added);
        for (uint32_t e = 0; e < COUNT; e++)
            v[e] += added[e];
    }
};

template <typename T> struct embedding_row {
    const T *word;
    const T *position;
    const T *type; /* NULL: the model has no token types */

    template <uint32_t COUNT> __device__ void read(uint32_t column, float (&v)[COUNT]) const
    {
        float added[COUNT];

        elements_read(word + column, v);
        elements_read(position + column, added);
        for (uint32_t e = 0; e < COUNT; e++)
            v[e] += added[e];
        if (!type)
            return;
        elements_read(type + column, added);
        for (uint32_t e = 0; e < COUNT; e++)
            v[e] += added[e];
    }
};

/* One row by one warp; width is a multiple of pack_size<T> and at most NORM_WARP_WIDTH. */
template <typename T, typename ROW>
__device__ void warp_norm(const struct norm_view norm, const ROW row, T *out)
{
    constexpr uint32_t SIZE = pack_size<T>, PACKS = NORM_LANE_VALUES / SIZE;
    uint32_t lane = threadIdx.x % WARP;
    float v[PACKS][SIZE], sum = 0, squares = 0;

#pragma unroll
    for (uint32_t i = 0; i < PACKS; i++) {
        uint32_t column = (i * WARP + lane) * SIZE;
        if (column >= norm.width)
            continue;
        row.read(column, v[i]);
        for (uint32_t e = 0; e < SIZE; e++)
            sum += v[i][e];
    }
    float mean = warp_sum(sum) / (float)norm.width;
#pragma unroll
    for (uint32_t i = 0; i < PACKS; i++) {
        if ((i * WARP + lane) * SIZE >= norm.width)
            continue;
        for (uint32_t e = 0; e < SIZE; e++) {
            v[i][e] -= mean;
            squares += v[i][e] * v[i][e];
        }
    }
    float variance = warp_sum(squares) / (float)norm.width;
    float scale = 1.0f / sqrtf(variance + norm.epsilon);
#pragma unroll
    for (uint32_t i = 0; i < PACKS; i++) {
        uint32_t column = (i * WARP + lane) * SIZE;
        float gamma[SIZE], beta[SIZE];
        if (column >= norm.width)
            continue;
        elements_read(norm.gamma + column, gamma);
        elements_read(norm.beta + column, beta);
        for (uint32_t e = 0; e < SIZE; e++)
            v[i][e] = v[i][e] * scale * gamma[e] + beta[e];
        elements_write(v[i], out + column);
    }
}

/* One row by one block, of any width. */
template <typename T, typename ROW>
__device__ void block_norm(const struct norm_view norm, const ROW row, T *out)
{
    __shared__ float shared[NORM_WARPS];
    float v[1], sum = 0, squares = 0;

    for (uint32_t c = threadIdx.x; c < norm.width; c += NORM_THREADS) {
        row.read(c, v);
        sum += v[0];
    }
    float mean = block_sum<NORM_THREADS>(sum, shared) / (float)norm.width;
    for (uint32_t c = threadIdx.x; c < norm.width; c += NORM_THREADS) {
        row.read(c, v);
        squares += (v[0] - mean) * (v[0] - mean);
    }
    float variance = block_sum<NORM_THREADS>(squares, shared) / (float)norm.width;
    float scale = 1.0f / sqrtf(variance + norm.epsilon);
    for (uint32_t c = threadIdx.x; c < norm.width; c += NORM_THREADS) {
        row.read(c, v);
        out[c] = element_round<T>((v[0] - mean) * scale * norm.gamma[c] + norm.beta[c]);
    }
}

/* Rows by warps or by blocks: ROWS is NORM_WARPS or 1 per block. ROW_OF(row) finds the row. */
template <typename T, uint32_t ROWS, typename ROW_OF>
__device__ void rows_norm(const struct norm_view norm, uint32_t rows, const ROW_OF row_of, T *out)
{
    uint32_t row = ROWS == 1 ? blockIdx.x : blockIdx.x * ROWS + threadIdx.x / WARP;

    if (row >= rows)
        return;
    T *to = out + (size_t)row * norm.width;
    if constexpr (ROWS == 1)
        block_norm<T>(norm, row_of(row), to);
    else
        warp_norm<T>(norm, row_of(row), to);
}

template <typename T, uint32_t ROWS>
__global__ void __launch_bounds__(NORM_THREADS)
    add_norm_kernel(const struct norm_view norm, const T *x, const T *residual, uint32_t rows,
                    T *out)
{
    rows_norm<T, ROWS>(
        norm, rows,
        [=](uint32_t row) {
            size_t start = (size_t)row * norm.width;
            return residual_row<T>{x + start, residual + start};
        },
        out);
}

template <typename T, uint32_t ROWS>
__global__ void __launch_bounds__(NORM_THREADS)
    embed_kernel(const struct norm_view norm, const T *words, const T *positions, const T *types,
                 const struct batch_view batch, T *out)
{
    rows_norm<T, ROWS>(
        norm, batch.tokens,
        [=](uint32_t token) {
            size_t width = norm.width;
            return embedding_row<T>{
                words + batch.ids[token] * width,
                positions + batch.positions[token] * width,
                types ? types + batch.types[token] * width : nullptr,
            };
        },
        out);
}

/* work(element<T>(), rows of a block): by warps where the width allows it. */
template <typename WORK>
static cudaError_t with_rows(enum device_precision precision, uint32_t width, const WORK &work)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        if (width % pack_size<T> == 0 && width <= NORM_WARP_WIDTH)
            return work(element, std::integral_constant<uint32_t, NORM_WARPS>());
        return work(element, std::integral_constant<uint32_t, 1>());
    });
}

cudaError_t launch_add_norm(enum device_precision precision, const struct norm_view *norm,
                            const void *x, const void *residual, uint32_t rows, void *out,
                            cudaStream_t stream)
{
    return with_rows(precision, norm->width, [&](auto element, auto rows_each) {
        using T = typename decltype(element)::type;
        constexpr uint32_t ROWS = decltype(rows_each)::value;
        return launch(add_norm_kernel<T, ROWS>, (rows + ROWS - 1) / ROWS, NORM_THREADS, stream,
                      *norm, (const T *)x, (const T *)residual, rows, (T *)out);
    });
}

cudaError_t launch_embed(enum device_precision precision, const struct embedding_view *tables,
                         const struct norm_view *norm, const struct batch_view *batch, void *out,
                         cudaStream_t stream)
{
    return with_rows(precision, norm->width, [&](auto element, auto rows_each) {
        using T = typename decltype(element)::type;
        constexpr uint32_t ROWS = decltype(rows_each)::value;
        return launch(embed_kernel<T, ROWS>, (batch->tokens + ROWS - 1) / ROWS, NORM_THREADS,
                      stream, *norm, (const T *)tables->words, (const T *)tables->positions,
                      (const T *)tables->types, *batch, (T *)out);
    });
}
