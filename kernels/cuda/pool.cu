/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One vector per text in one launch: mean, first row or column-wise maximum of its rows, and then,
 * if asked, v / max(√(Σ v²), 1e-12).
 *
 * Layout: x[token][width] row-major; out[text][width] fp32.
 * Launch: one block of POOL_THREADS per text; a thread has the columns threadIdx.x, + POOL_THREADS,
 * ... and goes down the text's rows, so that a warp reads neighbouring elements. Sums run over the
 * tokens in order. Only its own columns pass through out between the two steps.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define POOL_THREADS 256u

template <typename T>
__device__ float pool_column(const T *column, uint32_t width, uint32_t length, enum pool_mode mode)
{
    float pooled = element_read(column[0]);

    if (mode == POOL_FIRST)
        return pooled;
    for (uint32_t t = 1; t < length; t++) {
        float value = element_read(column[(size_t)t * width]);
        pooled = mode == POOL_MAX ? larger(pooled, value) : pooled + value;
    }
    return mode == POOL_MEAN ? pooled / (float)length : pooled;
}

template <typename T>
__global__ void __launch_bounds__(POOL_THREADS)
    pool_kernel(const struct batch_view batch, const T *x, uint32_t width, enum pool_mode mode,
                bool normalise, float *out)
{
    __shared__ float shared[POOL_THREADS / WARP];
    size_t start = batch.cu_seqlens[blockIdx.x];
    uint32_t length = batch.cu_seqlens[blockIdx.x + 1] - (uint32_t)start;
    float *vector = out + (size_t)blockIdx.x * width;
    float squares = 0;

    for (uint32_t c = threadIdx.x; c < width; c += POOL_THREADS) {
        float pooled = pool_column(x + start * width + c, width, length, mode);
        squares += pooled * pooled;
        vector[c] = pooled;
    }
    if (!normalise)
        return;
    float norm = sqrtf(block_sum<POOL_THREADS>(squares, shared));
    norm = norm < 1e-12f ? 1e-12f : norm;
    for (uint32_t c = threadIdx.x; c < width; c += POOL_THREADS)
        vector[c] /= norm;
}

cudaError_t launch_pool(enum device_precision precision, const struct batch_view *batch,
                        const void *x, uint32_t width, enum pool_mode mode, bool normalise,
                        float *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return launch(pool_kernel<T>, batch->texts, POOL_THREADS, stream, *batch, (const T *)x,
                      width, mode, normalise, out);
    });
}
