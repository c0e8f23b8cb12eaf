/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a launcher starts its kernel: the arguments are converted to the kernel's parameters and the
 * result is cudaGetLastError(). In one place, so that the tests' emulator (tests/emulator/) can
 * take the kernels as plain C++.
 */
#ifndef KERNELS_CUDA_LAUNCH_KERNEL_CUH
#define KERNELS_CUDA_LAUNCH_KERNEL_CUH

#include <cuda_runtime.h>

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
    (void)stream;
    emulator_run(grid, block, [=] { kernel(arguments...); });
#endif
    return cudaGetLastError();
}

#endif
