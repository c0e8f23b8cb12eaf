/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves: the first row of each text, and float to activation elements and back.
 *
 * Launch: gather, one block per text; conversions, grid-stride over all elements.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define MOVE_THREADS 256u
#define GRID_MAX     65536u

template <typename T>
__global__ void __launch_bounds__(MOVE_THREADS)
    gather_first_kernel(const struct batch_view batch, const T *x, uint32_t width, T *out)
{
    const T *from = x + (size_t)batch.cu_seqlens[blockIdx.x] * width;
    T *to = out + (size_t)blockIdx.x * width;

    for (uint32_t c = threadIdx.x; c < width; c += MOVE_THREADS)
        to[c] = from[c];
}

template <typename FROM, typename TO>
__global__ void __launch_bounds__(MOVE_THREADS) convert_kernel(const FROM *x, size_t count, TO *out)
{
    size_t step = (size_t)gridDim.x * MOVE_THREADS;

    for (size_t i = (size_t)blockIdx.x * MOVE_THREADS + threadIdx.x; i < count; i += step)
        out[i] = element_round<TO>(element_read(x[i]));
}

static uint32_t grid_of(size_t count)
{
    size_t blocks = (count + MOVE_THREADS - 1) / MOVE_THREADS;

    return (uint32_t)(blocks < GRID_MAX ? blocks : GRID_MAX);
}

cudaError_t launch_gather_first(enum device_precision precision, const struct batch_view *batch,
                                const void *x, uint32_t width, void *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return launch(gather_first_kernel<T>, batch->texts, MOVE_THREADS, stream, *batch,
                      (const T *)x, width, (T *)out);
    });
}

cudaError_t launch_to_float(enum device_precision precision, const void *x, size_t count,
                            float *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return launch(convert_kernel<T, float>, grid_of(count), MOVE_THREADS, stream, (const T *)x,
                      count, out);
    });
}

cudaError_t launch_from_float(enum device_precision precision, const float *x, size_t count,
                              void *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return launch(convert_kernel<float, T>, grid_of(count), MOVE_THREADS, stream, x, count,
                      (T *)out);
    });
}
