/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain product: y[r][o] = epilogue(Σ_k x[r][k] W[o][k] + b[o]), for devices opened with
 * DEVICE_GEMM_OWN, for shapes that cuBLASLt has no algorithm for, and where it was measured to be
 * faster (product.cu). Ordinary multiply-adds in fp32, no tensor cores.
 *
 * Layout: x [rows, in], W [out, in], y [rows, out], all row-major in the element type.
 * Launch: one block of 16 x 16 threads per 64 x 64 tile of y. A step brings 16 columns of k of both
 * operands, 16 bytes at a time where in is a multiple of a pack, into shared memory (8.1 KiB),
 * transposed to [k][row] (pitch 65: neighbouring threads write different banks); each thread keeps
 * 4 x 4 sums, rows and columns 16 apart, so that a warp reads neighbouring words. Each sum runs
 * over k in order, whatever the row's place in the tile: a row's result does not depend on its
 * batch. At most 48 registers (nvcc 13.0, sm_80 and sm_90a), no spills.
 */
#include "kernels/cuda/element.cuh"
#include "kernels/cuda/epilogue.cuh"
#include "kernels/cuda/launch_kernel.cuh"

#define TILE  64u
#define DEPTH 16u
#define SIDE  16u /* threads along each side of the tile */
#define EACH  (TILE / SIDE)
#define PITCH (TILE + 1u)

/* Rows [first, first + TILE) and columns [k, k + DEPTH) of a row-major matrix; zeros outside. SIZE
 * columns at a time: the width is a multiple of it. */
template <uint32_t SIZE, typename T>
__device__ void tile_load(float (*tile)[PITCH], const T *matrix, uint32_t rows, uint32_t width,
                          uint32_t first, uint32_t k)
{
    constexpr uint32_t PER_ROW = DEPTH / SIZE;
    uint32_t thread = threadIdx.y * SIDE + threadIdx.x;

    for (uint32_t i = thread; i < TILE * PER_ROW; i += SIDE * SIDE) {
        uint32_t row = i / PER_ROW, column = i % PER_ROW * SIZE;
        float values[SIZE] = {};
        if (first + row < rows && k + column < width)
            elements_read(matrix + (size_t)(first + row) * width + k + column, values);
        for (uint32_t e = 0; e < SIZE; e++)
            tile[column + e][row] = values[e];
    }
}

/* SIZE is pack_size<T>, or 1 where in_width is not a multiple of it. */
template <uint32_t SIZE, typename T>
__global__ void __launch_bounds__(SIDE *SIDE)
    gemm_kernel(const T *weight, const T *bias, uint32_t out_width, uint32_t in_width,
                enum linear_epilogue epilogue, const T *x, uint32_t rows, T *y)
{
    __shared__ float x_tile[DEPTH][PITCH];
    __shared__ float w_tile[DEPTH][PITCH];
    uint32_t first_row = blockIdx.x * TILE, first_column = blockIdx.y * TILE;
    float sums[EACH][EACH] = {};

    for (uint32_t k = 0; k < in_width; k += DEPTH) {
        /* Not beyond the last k: 0 times an infinity of the other operand would be NaN. */
        uint32_t depth = in_width - k < DEPTH ? in_width - k : DEPTH;
        tile_load<SIZE>(x_tile, x, rows, in_width, first_row, k);
        tile_load<SIZE>(w_tile, weight, out_width, in_width, first_column, k);
        __syncthreads();
#pragma unroll
        for (uint32_t d = 0; d < DEPTH; d++) {
            if (d >= depth)
                break;
            for (uint32_t i = 0; i < EACH; i++)
                for (uint32_t j = 0; j < EACH; j++)
                    sums[i][j] +=
                        x_tile[d][threadIdx.y + i * SIDE] * w_tile[d][threadIdx.x + j * SIDE];
        }
        __syncthreads();
    }
    for (uint32_t i = 0; i < EACH; i++)
        for (uint32_t j = 0; j < EACH; j++) {
            uint32_t row = first_row + threadIdx.y + i * SIDE;
            uint32_t column = first_column + threadIdx.x + j * SIDE;
            if (row >= rows || column >= out_width)
                continue;
            float z = sums[i][j] + (bias ? element_read(bias[column]) : 0.0f);
            y[(size_t)row * out_width + column] = element_round<T>(epilogue_apply(epilogue, z));
        }
}

cudaError_t launch_gemm(enum device_precision precision, const void *weight, const void *bias,
                        uint32_t out_width, uint32_t in_width, enum linear_epilogue epilogue,
                        const void *x, uint32_t rows, void *y, cudaStream_t stream)
{
    dim3 grid((rows + TILE - 1) / TILE, (out_width + TILE - 1) / TILE);

    return with_element(precision, [&](auto element) {
        using T = typename decltype(element)::type;
        auto *kernel =
            in_width % pack_size<T> == 0 ? gemm_kernel<pack_size<T>, T> : gemm_kernel<1, T>;
        return launch(kernel, grid, dim3(SIDE, SIDE), stream, (const T *)weight, (const T *)bias,
                      out_width, in_width, epilogue, (const T *)x, rows, (T *)y);
    });
}
