/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The matrix product of the CPU device: y = epilogue(x Wᵀ + b), compiled per instruction set, from
 * the register tiles of tile.h.
 *
 * W is packed into panels as wide as a tile, and a tile passes over the whole of k, so that its
 * sums are rounded to an element once. The panel in use (with AVX-512 36 KiB for 384 elements of
 * bf16, 144 KiB for 1536, twice that for floats) comes out of the second-level cache for each tile:
 * the reads are straight on, a third of what that cache delivers, and cutting k to stay in the
 * first-level one was slower by the sums that it stores and loads between pieces.
 */
#include "kernels/cpu/isa.h"

#include "kernels/cpu/tile.h"

#define PANEL (TILE_VECS * VEC_LANES)

/* floats to elements, column o of the packed W being row o of the source. */
void ISA(gemm_pack)(struct cpu_linear *weight, const float *source)
{
    uint32_t in = weight->base.in_width, out = weight->base.out_width;
    size_t steps = step_count(in);
    element *packed = weight->packed;

    memset(packed, 0, weight->panels * steps * PANEL * sizeof(step));
    for (uint32_t o = 0; o < out; o++) {
        element *column = packed + (o / PANEL * steps * PANEL + o % PANEL) * STEP;
        for (uint32_t k = 0; k < in; k += VEC_LANES) {
            element row[VEC_LANES];
            element_store(row, vec_at(source + (size_t)o * in, k, in, 0.0f));
            for (uint32_t i = 0; i < VEC_LANES && k + i < in; i++)
                column[(k + i) / STEP * PANEL * STEP + (k + i) % STEP] = row[i];
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

/* The columns that exist of a tile's sums become elements of y; epilogue is a constant. */
static ALWAYS_INLINE void sums_finish(const float *sums, enum linear_epilogue epilogue, element *y,
                                      size_t stride, uint32_t rows, uint32_t columns)
{
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t c = 0; c < columns; c += VEC_LANES)
            element_put(y + r * stride, c, columns,
                        epilogue_apply(epilogue, vec_load(sums + r * PANEL + c)));
}

static void tile_finish(const float *sums, enum linear_epilogue epilogue, element *y, size_t stride,
                        uint32_t rows, uint32_t columns)
{
    switch (epilogue) {
    case LINEAR_PLAIN:
        sums_finish(sums, LINEAR_PLAIN, y, stride, rows, columns);
        break;
    case LINEAR_GELU:
        sums_finish(sums, LINEAR_GELU, y, stride, rows, columns);
        break;
    case LINEAR_TANH:
        sums_finish(sums, LINEAR_TANH, y, stride, rows, columns);
        break;
    case LINEAR_RELU:
        sums_finish(sums, LINEAR_RELU, y, stride, rows, columns);
        break;
    }
}

/* One panel for the x rows [row, row_end). */
static void panel_multiply(const struct cpu_linear *weight, enum linear_epilogue epilogue,
                           const element *x, element *y, uint32_t row, uint32_t row_end,
                           uint32_t panel)
{
    uint32_t in = weight->base.in_width, out = weight->base.out_width;
    uint32_t column = panel * PANEL;
    float sums[TILE_ROWS * PANEL];
    struct tile tile = {.x_stride = in,
                        .panel =
                            (const step *)weight->packed + panel * step_count(in) * (size_t)PANEL,
                        .panel_stride = PANEL,
                        .start = weight->bias + column,
                        .y = sums,
                        .y_stride = PANEL,
                        .depth = in};

    for (uint32_t r = row; r < row_end; r += TILE_ROWS) {
        uint32_t rows = row_end - r < TILE_ROWS ? row_end - r : TILE_ROWS;
        tile.x = x + (size_t)r * in;
        tile_run(&tile, rows, TILE_VECS);
        tile_finish(sums, epilogue, y + (size_t)r * out + column, out, rows,
                    out - column < PANEL ? out - column : PANEL);
    }
}

void ISA(gemm)(const struct cpu_linear *weight, enum linear_epilogue epilogue, const void *x,
               void *y, uint32_t row, uint32_t row_end, uint32_t panel, uint32_t panel_end)
{
    for (uint32_t p = panel; p < panel_end; p++)
        panel_multiply(weight, epilogue, x, y, row, row_end, p);
}
