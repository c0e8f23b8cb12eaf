/* SPDX-License-Identifier: Apache-2.0 */
/*
 * y = epilogue(y), element by element, in place: behind a product of cuBLASLt, whose own GELU is
 * the tanh form and differs from BERT's by up to 4.7e-4.
 *
 * Launch: grid-stride over all elements, a block of 256 per 256 elements up to GRID_MAX blocks.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define EPILOGUE_THREADS 256u
#define GRID_MAX         65536u

template <typename T>
__global__ void __launch_bounds__(EPILOGUE_THREADS)
    epilogue_kernel(enum linear_epilogue epilogue, T *y, size_t count)
{
    size_t step = (size_t)gridDim.x * EPILOGUE_THREADS;

    for (size_t i = (size_t)blockIdx.x * EPILOGUE_THREADS + threadIdx.x; i < count; i += step)
        y[i] = element_round<T>(epilogue_apply(epilogue, element_read(y[i])));
}

cudaError_t launch_epilogue(enum device_precision precision, enum linear_epilogue epilogue, void *y,
                            uint32_t rows, uint32_t width, cudaStream_t stream)
{
    size_t count = (size_t)rows * width;
    size_t blocks = (count + EPILOGUE_THREADS - 1) / EPILOGUE_THREADS;
    uint32_t grid = (uint32_t)(blocks < GRID_MAX ? blocks : GRID_MAX);

    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        return launch(epilogue_kernel<T>, grid, EPILOGUE_THREADS, stream, epilogue, (T *)y, count);
    });
}
