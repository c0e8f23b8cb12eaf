/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix product of the CPU device: y = epilogue(x Wᵀ + b), compiled per instruction set, from
 * the register tiles of tile.h.
 *
 * W is packed into panels as wide as a tile. The k loop is cut every GEMM_DEPTH, so that the piece
 * of the panel in use (32 KiB with AVX-512) stays in the first-level cache while all x rows of the
 * part pass over it; y carries the sums from piece to piece, which does not change their order.
 */
#include "kernels/cpu/isa.h"

#include "kernels/cpu/tile.h"

#define PANEL      (TILE_VECS * VEC_LANES)
#define GEMM_DEPTH 128u

void ISA(gemm_pack)(struct cpu_linear *weight, const float *source)
{
    size_t in = weight->base.in_width;
    size_t out = weight->base.out_width;

    for (size_t p = 0; p < weight->panels; p++) {
        float *panel = weight->packed + p * in * PANEL;
        for (size_t k = 0; k < in; k++)
            for (size_t c = 0; c < PANEL; c++) {
                size_t o = p * PANEL + c;
                panel[k * PANEL + c] = o < out ? source[o * in + k] : 0.0f;
            }
    }
}

static ALWAYS_INLINE vec epilogue_apply(enum linear_epilogue epilogue, vec z)
{
    switch (epilogue) {
    case LINEAR_PLAIN:
        break;
    case LINEAR_GELU:
        return vec_gelu(z);
    case LINEAR_TANH:
        for (uint32_t i = 0; i < VEC_LANES; i++)
            z[i] = tanhf(z[i]);
        return z;
    case LINEAR_RELU:
        return vec_select(z < 0.0f, (vec){0}, z); /* NaN stays NaN */
    }
    return z;
}

static void tile_finish(const struct tile *tile, uint32_t rows, enum linear_epilogue epilogue)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t v = 0; v < TILE_VECS; v++) {
            float *at = tile->y + r * tile->y_stride + v * VEC_LANES;
            vec_store(at, epilogue_apply(epilogue, vec_load(at)));
        }
}

/* One panel for the x rows [row, row_end). The last panel may be partly beyond y: its tiles are
 * computed beside it and the columns that exist copied. */
static void panel_multiply(const struct cpu_linear *weight, enum linear_epilogue epilogue,
                           const float *x, float *y, uint32_t row, uint32_t row_end, uint32_t panel)
{
    size_t in = weight->base.in_width;
    size_t out = weight->base.out_width;
    size_t column = (size_t)panel * PANEL;
    size_t columns = out - column < PANEL ? out - column : PANEL;
    const float *packed = weight->packed + (size_t)panel * in * PANEL;
    float beside[GEMM_ROWS * PANEL];
    bool is_whole = columns == PANEL;
    float *to = is_whole ? y + row * out + column : beside;
    size_t to_stride = is_whole ? out : PANEL;

    for (size_t k = 0; k < in; k += GEMM_DEPTH) {
        uint32_t depth = in - k < GEMM_DEPTH ? (uint32_t)(in - k) : GEMM_DEPTH;
        for (uint32_t r = row; r < row_end; r += TILE_ROWS) {
            uint32_t rows = row_end - r < TILE_ROWS ? row_end - r : TILE_ROWS;
            float *y_tile = to + (r - row) * to_stride;
            struct tile tile = {.x = x + r * in + k,
                                .x_stride = in,
                                .panel = packed + k * PANEL,
                                .panel_stride = PANEL,
                                .start = k == 0 ? weight->bias + column : y_tile,
                                .start_stride = k == 0 ? 0 : to_stride,
                                .y = y_tile,
                                .y_stride = to_stride,
                                .depth = depth};
            tile_run(&tile, rows, TILE_VECS);
            if (k + depth == in && epilogue != LINEAR_PLAIN)
                tile_finish(&tile, rows, epilogue);
        }
    }
    if (!is_whole)
        for (uint32_t r = row; r < row_end; r++)
            memcpy(y + r * out + column, beside + (r - row) * PANEL, columns * sizeof(float));
}

void ISA(gemm)(const struct cpu_linear *weight, enum linear_epilogue epilogue, const float *x,
               float *y, uint32_t row, uint32_t row_end, uint32_t panel, uint32_t panel_end)
{
    for (uint32_t p = panel; p < panel_end; p++)
        panel_multiply(weight, epilogue, x, y, row, row_end, p);
}
