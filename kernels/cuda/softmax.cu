/* SPDX-License-Identifier: Apache-2.0 */
/*
 * out[r][c] = exp(x[r][c] - max_r) / Σ_k exp(x[r][k] - max_r), for the scores of a classifier.
 *
 * Layout: x [rows, width] row-major in the element type, out fp32.
 * Launch: one block of SOFTMAX_THREADS per row; a thread has the columns threadIdx.x,
 * + SOFTMAX_THREADS, ...; its own exponentials pass through out. Rows are a few labels wide, so
 * elements go by singly. 16 bytes of shared memory, at most 20 registers (nvcc 13.0, sm_80 and
 * sm_90a), no spills. Sum order: a thread's columns in order, the butterfly, the warps in order.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define SOFTMAX_THREADS 128u

template <typename T>
__global__ void __launch_bounds__(SOFTMAX_THREADS)
    softmax_kernel(const T *x, uint32_t width, float *out)
{
    __shared__ float shared[SOFTMAX_THREADS / WARP];
    const T *row = x + (size_t)blockIdx.x * width;
    float *out_row = out + (size_t)blockIdx.x * width;
    float max = -INFINITY, sum = 0;

    for (uint32_t c = threadIdx.x; c < width; c += SOFTMAX_THREADS)
        max = larger(max, element_read(row[c]));
    max = block_max<SOFTMAX_THREADS>(max, shared);
    for (uint32_t c = threadIdx.x; c < width; c += SOFTMAX_THREADS) {
        out_row[c] = expf(element_read(row[c]) - max);
        sum += out_row[c];
    }
    sum = block_sum<SOFTMAX_THREADS>(sum, shared);
    for (uint32_t c = threadIdx.x; c < width; c += SOFTMAX_THREADS)
        out_row[c] /= sum;
}

cudaError_t launch_softmax(enum device_precision precision, const void *x, uint32_t rows,
                           uint32_t width, float *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return launch(softmax_kernel<T>, rows, SOFTMAX_THREADS, stream, (const T *)x, width, out);
    });
}
