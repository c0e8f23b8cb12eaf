/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a launcher starts its kernel: the precision becomes an element type, the arguments are
 * converted to the kernel's parameters and the result is cudaGetLastError(). Each in one place, so
 * that a precision is added here and in element.cuh alone, and the tests' emulator
 * (tests/emulator/) can take the kernels as plain C++.
 */
#ifndef KERNELS_CUDA_LAUNCH_KERNEL_CUH
#define KERNELS_CUDA_LAUNCH_KERNEL_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/launch.h"

/* A type as a value. */
template <typename T> struct element {
    using type = T;
};

/* work(element<T>()) with the precision's element type. */
template <typename WORK>
static cudaError_t with_element(enum device_precision precision, const WORK &work)
{
    switch (precision) {
    case DEVICE_FP32:
        return work(element<float>());
    case DEVICE_FP16:
        return work(element<__half>());
    case DEVICE_BF16:
        return work(element<__nv_bfloat16>());
    }
    return cudaErrorInvalidValue;
}

/* For parameters that must not take part in finding the kernel's types. */
template <typename T> struct same {
    using type = T;
};

template <typename... P>
static cudaError_t launch(void (*kernel)(P...), dim3 grid, dim3 block, cudaStream_t stream,
                          typename same<P>::type... arguments)
{
#ifdef __CUDACC__
    kernel<<<grid, block, 0, stream>>>(arguments...);
#else
    emulator_run(grid, block, stream, [=] { kernel(arguments...); });
#endif
    return cudaGetLastError();
}

#endif
