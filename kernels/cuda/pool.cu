/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vector per text in one launch: mean, first row or column-wise maximum of its rows, and then,
 * if asked, v / max(√(Σ v²), 1e-12). A text without tokens gives zeros.
 *
 * Layout: x[token][width] row-major; out[text][width] fp32.
 * Launch: one block of POOL_THREADS per text. The columns go by in slices of 32 packs: lane l has
 * pack l of the slice, 16 bytes at a time (or single elements, where the width does not fill
 * packs), and warp w the tokens w, w + POOL_WARPS, ...; the warps' parts meet in shared memory (8
 * KiB at 2 bytes per element).
 *
 * Sum order: a warp's tokens in order, then the warps in order; for the norm a thread's columns in
 * order, the butterfly, the warps in order: fixed by the width and the text's own length. Only a
 * thread's own columns pass through out between the two steps. At most 34 registers (nvcc 13.0,
 * sm_80 and sm_90a), no spills.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define POOL_THREADS 256u
#define POOL_WARPS   (POOL_THREADS / WARP)

template <uint32_t SIZE> struct pool_shared {
    alignas(16) float parts[POOL_WARPS][WARP * SIZE];
    float norms[POOL_WARPS];
};

__device__ __forceinline__ float pool_combine(enum pool_mode mode, float a, float b)
{
    return mode == POOL_MEAN ? a + b : larger(a, b);
}

/* This warp's part of SIZE columns: every POOL_WARPS-th of the rows, which begin at `column`. */
template <uint32_t SIZE, typename T>
__device__ void warp_pool(const T *column, uint32_t width, uint32_t rows, enum pool_mode mode,
                          float (&pooled)[SIZE])
{
    for (uint32_t e = 0; e < SIZE; e++)
        pooled[e] = mode == POOL_MEAN ? 0.0f : -INFINITY;
    for (uint32_t t = threadIdx.x / WARP; t < rows; t += POOL_WARPS) {
        float row[SIZE];
        elements_read(column + (size_t)t * width, row);
        for (uint32_t e = 0; e < SIZE; e++)
            pooled[e] = pool_combine(mode, pooled[e], row[e]);
    }
}

/* SIZE is pack_size<T>, or 1 where the width is not a multiple of it. */
template <uint32_t SIZE, typename T>
__global__ void __launch_bounds__(POOL_THREADS)
    pool_kernel(const struct batch_view batch, const T *x, uint32_t width, enum pool_mode mode,
                bool normalise, float *out)
{
    constexpr uint32_t SLICE = WARP * SIZE;
    __shared__ struct pool_shared<SIZE> shared;
    size_t start = batch.cu_seqlens[blockIdx.x];
    uint32_t length = batch.cu_seqlens[blockIdx.x + 1] - (uint32_t)start;
    uint32_t rows = mode == POOL_FIRST && length > 1 ? 1 : length;
    uint32_t warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    float *vector = out + (size_t)blockIdx.x * width;
    float squares = 0;

    for (uint32_t first = 0; first < width; first += SLICE) {
        uint32_t column = first + lane * SIZE;
        float pooled[SIZE];
        if (column < width) {
            warp_pool(x + start * width + column, width, rows, mode, pooled);
            elements_write(pooled, &shared.parts[warp][lane * SIZE]);
        }
        __syncthreads();
        for (uint32_t c = threadIdx.x; c < SLICE && first + c < width; c += POOL_THREADS) {
            float value = shared.parts[0][c];
            for (uint32_t w = 1; w < POOL_WARPS; w++)
                value = pool_combine(mode, value, shared.parts[w][c]);
            if (mode == POOL_MEAN)
                value /= (float)length;
            if (length == 0)
                value = 0;
            squares += value * value;
            vector[first + c] = value;
        }
        __syncthreads(); /* the parts are done with */
    }
    if (!normalise)
        return;
    float norm = sqrtf(block_sum<POOL_THREADS>(squares, shared.norms));
    norm = norm < 1e-12f ? 1e-12f : norm;
    for (uint32_t first = 0; first < width; first += SLICE)
        for (uint32_t c = threadIdx.x; c < SLICE && first + c < width; c += POOL_THREADS)
            vector[first + c] /= norm;
}

cudaError_t launch_pool(enum device_precision precision, const struct batch_view *batch,
                        const void *x, uint32_t width, enum pool_mode mode, bool normalise,
                        float *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        auto *kernel = width % pack_size<T> == 0 ? pool_kernel<pack_size<T>, T> : pool_kernel<1, T>;
        return launch(kernel, batch->texts, POOL_THREADS, stream, *batch, (const T *)x, width, mode,
                      normalise, out);
    });
}
