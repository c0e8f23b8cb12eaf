/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Residual and embedding sums, each with its LayerNorm:
 *   out[r] = (v - mean(v)) / sqrt(var(v) + epsilon) * gamma + beta, per row, where
 *   v = x[r] + residual[r], or v = words[id] + positions[p] + types[type].
 *
 * Layout: rows of `width` elements, row-major; gamma and beta fp32.
 * Launch: one block of NORM_THREADS per row; a thread has the columns threadIdx.x, + NORM_THREADS,
 * ... so that a warp reads neighbouring elements. The row is read three times (mean, variance
 * around the mean, result) and after the first time comes from the cache: BERT rows are 768 to 4096
 * bytes. A thread reads and writes its own columns only, so out may be x or residual.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define NORM_THREADS 128u

/* v of one row, column by column. */
template <typename T> struct residual_row {
    const T *x;
    const T *residual;

    __device__ float operator()(uint32_t column) const
    {
        return element_read(x[column]) + element_read(residual[column]);
    }
};

template <typename T> struct embedding_row {
    const T *word;
    const T *position;
    const T *type; /* NULL: the model has no token types */

    __device__ float operator()(uint32_t column) const
    {
        float sum = element_read(word[column]) + element_read(position[column]);
        return type ? sum + element_read(type[column]) : sum;
    }
};

template <typename T, typename ROW>
__device__ void norm_row(const struct norm_view norm, const ROW row, T *out)
{
    __shared__ float shared[NORM_THREADS / WARP];
    float sum = 0, squares = 0;

    for (uint32_t c = threadIdx.x; c < norm.width; c += NORM_THREADS)
        sum += row(c);
    float mean = block_sum<NORM_THREADS>(sum, shared) / (float)norm.width;
    for (uint32_t c = threadIdx.x; c < norm.width; c += NORM_THREADS) {
        float d = row(c) - mean;
        squares += d * d;
    }
    float variance = block_sum<NORM_THREADS>(squares, shared) / (float)norm.width;
    float scale = 1.0f / sqrtf(variance + norm.epsilon);
    for (uint32_t c = threadIdx.x; c < norm.width; c += NORM_THREADS)
        out[c] = element_round<T>((row(c) - mean) * scale * norm.gamma[c] + norm.beta[c]);
}

template <typename T>
__global__ void __launch_bounds__(NORM_THREADS)
    add_norm_kernel(const struct norm_view norm, const T *x, const T *residual, T *out)
{
    size_t start = (size_t)blockIdx.x * norm.width;
    const struct residual_row<T> row = {
        x + start, residual + start
    };

    norm_row<T>(norm, row, out + start);
}

template <typename T>
__global__ void __launch_bounds__(NORM_THREADS)
    embed_kernel(const struct norm_view norm, const T *words, const T *positions, const T *types,
                 const struct batch_view batch, T *out)
{
    uint32_t token = blockIdx.x;
    const struct embedding_row<T> row = {
        words + (size_t)batch.ids[token] * norm.width,
            positions + (size_t)batch.positions[token] * norm.width,
            types ? types + (size_t)batch.types[token] * norm.width : nullptr,
    };

    norm_row<T>(norm, row, out + (size_t)token * norm.width);
}

cudaError_t launch_add_norm(enum device_precision precision, const struct norm_view *norm,
                            const void *x, const void *residual, uint32_t rows, void *out,
                            cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return launch(add_norm_kernel<T>, rows, NORM_THREADS, stream, *norm, (const T *)x,
                      (const T *)residual, (T *)out);
    });
}

cudaError_t launch_embed(enum device_precision precision, const struct embedding_view *tables,
                         const struct norm_view *norm, const struct batch_view *batch, void *out,
                         cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return launch(embed_kernel<T>, batch->tokens, NORM_THREADS, stream, *norm,
                      (const T *)tables->words, (const T *)tables->positions,
                      (const T *)tables->types, *batch, (T *)out);
    });
}
