/* SPDX-License-Identifier: Apache-2.0 */
/*
 * y = epilogue(y), element by element, in place: behind a product of cuBLASLt, whose own GELU is
 * the tanh form and differs from BERT's by up to 4.7e-4. The bias is added by the product itself,
 * before it writes y: y is read and written once here and nowhere else.
 *
 * Layout: y is count elements. Launch: grid-stride over packs of 16 bytes, then over the elements
 * behind the last whole pack; a block of EPILOGUE_THREADS per as many packs, up to GRID_MAX blocks.
 * No shared memory, at most 30 registers (nvcc 13.0, sm_80 and sm_90a), no spills. No sums.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define EPILOGUE_THREADS 256u
#define GRID_MAX         65536u

template <uint32_t SIZE, typename T>
__device__ __forceinline__ void elements_apply(enum linear_epilogue epilogue, T *y)
{
    float z[SIZE];

    elements_read(y, z);
    for (uint32_t e = 0; e < SIZE; e++)
        z[e] = epilogue_apply(epilogue, z[e]);
    elements_write(z, y);
}

template <typename T>
__global__ void __launch_bounds__(EPILOGUE_THREADS)
    epilogue_kernel(enum linear_epilogue epilogue, T *y, size_t count)
{
    constexpr uint32_t SIZE = pack_size<T>;
    size_t first = (size_t)blockIdx.x * EPILOGUE_THREADS + threadIdx.x;
    size_t step = (size_t)gridDim.x * EPILOGUE_THREADS;

    for (size_t i = first; i < count / SIZE; i += step)
        elements_apply<SIZE>(epilogue, y + i * SIZE);
    for (size_t i = count / SIZE * SIZE + first; i < count; i += step)
        elements_apply<1>(epilogue, y + i);
}

cudaError_t launch_epilogue(enum device_precision precision, enum linear_epilogue epilogue, void *y,
                            uint32_t rows, uint32_t width, cudaStream_t stream)
{
    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        size_t count = (size_t)rows * width, packs = (count + pack_size<T> - 1) / pack_size<T>;
        size_t blocks = (packs + EPILOGUE_THREADS - 1) / EPILOGUE_THREADS;
        return launch(epilogue_kernel<T>, (uint32_t)(blocks < GRID_MAX ? blocks : GRID_MAX),
                      EPILOGUE_THREADS, stream, epilogue, (T *)y, count);
    });
}
