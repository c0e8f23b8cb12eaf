/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves: the first row of each text, and float to activation elements and back.
 *
 * Launch: gather, one block per text, a thread has every MOVE_THREADS-th pack of 16 bytes (or
 * element, where the width does not fill packs) and writes zeros for a text without tokens;
 * conversions, grid-stride over runs of elements that fill packs on both sides, then over the
 * elements behind the last whole run. No shared memory, at most 24 registers (nvcc 13.0, sm_80 and
 * sm_90a), no spills. No sums.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define MOVE_THREADS 256u
#define GRID_MAX     65536u

/* PIECE is pack<T>, or T itself; a row is `pieces` of them. */
template <typename PIECE>
__global__ void __launch_bounds__(MOVE_THREADS)
    gather_first_kernel(const struct batch_view batch, const PIECE *x, uint32_t pieces, PIECE *out)
{
    uint32_t start = batch.cu_seqlens[blockIdx.x];
    bool is_empty = batch.cu_seqlens[blockIdx.x + 1] == start;
    const PIECE *from = x + (size_t)start * pieces;
    PIECE *to = out + (size_t)blockIdx.x * pieces;

    for (uint32_t i = threadIdx.x; i < pieces; i += MOVE_THREADS)
        to[i] = is_empty ? PIECE{} : from[i];
}

template <uint32_t SIZE, typename FROM, typename TO>
__device__ __forceinline__ void elements_convert(const FROM *from, TO *to)
{
    float values[SIZE];

    elements_read(from, values);
    elements_write(values, to);
}

/* Elements of one thread at a time: whole packs of both types. */
template <typename FROM, typename TO>
constexpr uint32_t convert_size = pack_size<FROM> > pack_size<TO> ? pack_size<FROM> : pack_size<TO>;

template <typename FROM, typename TO>
__global__ void __launch_bounds__(MOVE_THREADS) convert_kernel(const FROM *x, size_t count, TO *out)
{
    constexpr uint32_t SIZE = convert_size<FROM, TO>;
    size_t first = (size_t)blockIdx.x * MOVE_THREADS + threadIdx.x;
    size_t step = (size_t)gridDim.x * MOVE_THREADS;

    for (size_t i = first; i < count / SIZE; i += step)
        elements_convert<SIZE>(x + i * SIZE, out + i * SIZE);
    for (size_t i = count / SIZE * SIZE + first; i < count; i += step)
        elements_convert<1>(x + i, out + i);
}

template <typename FROM, typename TO>
static cudaError_t convert(const FROM *x, size_t count, TO *out, cudaStream_t stream)
{
    constexpr uint32_t SIZE = convert_size<FROM, TO>;
    size_t blocks = ((count + SIZE - 1) / SIZE + MOVE_THREADS - 1) / MOVE_THREADS;

    return launch(convert_kernel<FROM, TO>, (uint32_t)(blocks < GRID_MAX ? blocks : GRID_MAX),
                  MOVE_THREADS, stream, x, count, out);
}

cudaError_t launch_gather_first(enum device_precision precision, const struct batch_view *batch,
                                const void *x, uint32_t width, void *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        if (width % pack_size<T> == 0)
            return launch(gather_first_kernel<pack<T>>, batch->texts, MOVE_THREADS, stream, *batch,
                          (const pack<T> *)x, width / pack_size<T>, (pack<T> *)out);
        return launch(gather_first_kernel<T>, batch->texts, MOVE_THREADS, stream, *batch,
                      (const T *)x, width, (T *)out);
    });
}

cudaError_t launch_to_float(enum device_precision precision, const void *x, size_t count,
                            float *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return convert((const T *)x, count, out, stream);
    });
}

cudaError_t launch_from_float(enum device_precision precision, const float *x, size_t count,
                              void *out, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return convert(x, count, (T *)out, stream);
    });
}
