/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernels share: activation elements (float, __half, __nv_bfloat16) read into fp32 and
 * rounded back to nearest even, 16 bytes at a time where the width allows it, and sums over a warp
 * or a block in a fixed order, so that the same input gives the same bits.
 */
#ifndef KERNELS_CUDA_ELEMENT_CUH
#define KERNELS_CUDA_ELEMENT_CUH

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

#include "kernels/cuda/launch.h"

__device__ __forceinline__ float element_read(float element)
{
    return element;
}

__device__ __forceinline__ float element_read(__half element)
{
    return __half2float(element);
}

__device__ __forceinline__ float element_read(__nv_bfloat16 element)
{
    return __bfloat162float(element);
}

template <typename T> __device__ __forceinline__ T element_round(float value);

template <> __device__ __forceinline__ float element_round<float>(float value)
{
    return value;
}

template <> __device__ __forceinline__ __half element_round<__half>(float value)
{
    return __float2half_rn(value);
}

template <> __device__ __forceinline__ __nv_bfloat16 element_round<__nv_bfloat16>(float value)
{
    return __float2bfloat16_rn(value);
}

/* Elements that a thread loads or stores in one instruction, at a boundary of their size: 16 bytes
 * of them, or a smaller power of two. */
template <typename T, uint32_t COUNT = 16 / sizeof(T)> struct alignas(COUNT * sizeof(T)) pack {
    T at[COUNT];
};

template <typename T> constexpr uint32_t pack_size = 16 / sizeof(T);

/* COUNT elements in the widest packs that fit; COUNT 1 is the plain path, for widths that do not
 * fill packs. */
template <uint32_t COUNT, typename T>
__device__ __forceinline__ void elements_read(const T *from, float (&to)[COUNT])
{
    constexpr uint32_t EACH = COUNT < pack_size<T> ? COUNT : pack_size<T>;
    static_assert(COUNT % EACH == 0);

#pragma unroll
    for (uint32_t i = 0; i < COUNT; i += EACH) {
        const pack<T, EACH> read = *(const pack<T, EACH> *)(from + i);
#pragma unroll
        for (uint32_t e = 0; e < EACH; e++)
            to[i + e] = element_read(read.at[e]);
    }
}

template <uint32_t COUNT, typename T>
__device__ __forceinline__ void elements_write(const float (&from)[COUNT], T *to)
{
    constexpr uint32_t EACH = COUNT < pack_size<T> ? COUNT : pack_size<T>;
    static_assert(COUNT % EACH == 0);

#pragma unroll
    for (uint32_t i = 0; i < COUNT; i += EACH) {
        pack<T, EACH> written;
#pragma unroll
        for (uint32_t e = 0; e < EACH; e++)
            written.at[e] = element_round<T>(from[i + e]);
        *(pack<T, EACH> *)(to + i) = written;
    }
}

#define WARP      32u
#define WARP_MASK 0xffffffffu

/* Sum over the lanes of a warp, the same in every lane: a butterfly, whose additions pair the same
 * lanes in every run. */
__device__ __forceinline__ float warp_sum(float value)
{
    for (int offset = 16; offset > 0; offset /= 2)
        value += __shfl_xor_sync(WARP_MASK, value, offset);
    return value;
}

/* The larger of two, NaN if one is. */
__device__ __forceinline__ float larger(float a, float b)
{
    return a > b || a != a ? a : b;
}

__device__ __forceinline__ float warp_max(float value)
{
    for (int offset = 16; offset > 0; offset /= 2)
        value = larger(value, __shfl_xor_sync(WARP_MASK, value, offset));
    return value;
}

/* Sum and maximum over a block of `THREADS` threads (a multiple of WARP, at most 1024), the same in
 * every thread. `shared` has THREADS / WARP floats, and may be used again after the call. */
template <uint32_t THREADS> __device__ __forceinline__ float block_sum(float value, float *shared)
{
    value = warp_sum(value);
    if (threadIdx.x % WARP == 0)
        shared[threadIdx.x / WARP] = value;
    __syncthreads();
    float total = 0;
    for (uint32_t i = 0; i < THREADS / WARP; i++)
        total += shared[i];
    __syncthreads();
    return total;
}

template <uint32_t THREADS> __device__ __forceinline__ float block_max(float value, float *shared)
{
    value = warp_max(value);
    if (threadIdx.x % WARP == 0)
        shared[threadIdx.x / WARP] = value;
    __syncthreads();
    float total = shared[0];
    for (uint32_t i = 1; i < THREADS / WARP; i++)
        total = larger(total, shared[i]);
    __syncthreads();
    return total;
}

#endif
