/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register tile that both products of the CPU device (gemm.c, attention.c) are made of:
 *   y[r][c] = start[r][c] + Σ_k x[r][k] panel[k][c].
 *
 * A tile is up to TILE_ROWS rows by TILE_VECS vectors of fp32 sums. For each step along k
 * (element.h) one vector row of the panel is loaded and multiplied by each x row's step: rows *
 * vecs multiply-adds for rows + vecs loads. With AVX-512 that is 24 sums in registers, enough to
 * keep two multiply-add units busy over their latency.
 *
 * Each result is ((start + x0 p0) + x1 p1) + ... in this order, one step_multiply after the other,
 * whatever the shape of the tile: rows do not depend on their neighbours, bit for bit.
 */
#ifndef KERNELS_CPU_TILE_H
#define KERNELS_CPU_TILE_H

#include "kernels/cpu/element.h"

#if VEC_BYTES == 64
#define TILE_ROWS 8u
#define TILE_VECS 3u
#else
#define TILE_ROWS 6u
#define TILE_VECS 2u
#endif

/* Operands with their row strides; start_stride 0 gives every row the same start. Columns are
 * computed in whole vectors: panel, start and y rows have room for them. */
struct tile {
    const element *x;
    size_t x_stride;
    const step *panel; /* a row for each step along k; what is beyond depth in the last is 0 */
    size_t panel_stride;
    const float *start;
    size_t start_stride;
    float *y;
    size_t y_stride;
    uint32_t depth; /* elements of an x row */
};

/* Adds step k of the x rows, of which `left` elements exist. */
static ALWAYS_INLINE void tile_step(const struct tile *tile, uint32_t k, size_t left, uint32_t rows,
                                    uint32_t vecs, vec sums[TILE_ROWS][TILE_VECS])
{
    const step *panel = tile->panel + k / STEP * tile->panel_stride;
    vec p[TILE_VECS];

    for (uint32_t v = 0; v < vecs; v++)
        memcpy(&p[v], panel + v * VEC_LANES, sizeof(vec));
    for (uint32_t r = 0; r < rows; r++) {
        step s = step_at(tile->x + r * tile->x_stride + k, left);
        for (uint32_t v = 0; v < vecs; v++)
            sums[r][v] = step_multiply(s, p[v], sums[r][v]);
    }
}

/* rows and vecs are constants at every call, so that the sums live in registers. */
static ALWAYS_INLINE void tile_multiply(const struct tile *tile, uint32_t rows, uint32_t vecs)
{
    vec sums[TILE_ROWS][TILE_VECS];
    uint32_t k = 0;

    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t v = 0; v < vecs; v++)
            sums[r][v] = vec_load(tile->start + r * tile->start_stride + v * VEC_LANES);
    for (; k + STEP <= tile->depth; k += STEP)
        tile_step(tile, k, STEP, rows, vecs, sums);
    if (k < tile->depth)
        tile_step(tile, k, 1, rows, vecs, sums);
    for (uint32_t r = 0; r < rows; r++)
        for (uint32_t v = 0; v < vecs; v++)
            vec_store(tile->y + r * tile->y_stride + v * VEC_LANES, sums[r][v]);
}

static ALWAYS_INLINE void tile_run(const struct tile *tile, uint32_t rows, uint32_t vecs)
{
    switch (rows) {
#if TILE_ROWS == 8
    case 8:
        tile_multiply(tile, 8, vecs);
        break;
    case 7:
        tile_multiply(tile, 7, vecs);
        break;
#endif
    case 6:
        tile_multiply(tile, 6, vecs);
        break;
    case 5:
        tile_multiply(tile, 5, vecs);
        break;
    case 4:
        tile_multiply(tile, 4, vecs);
        break;
    case 3:
        tile_multiply(tile, 3, vecs);
        break;
    case 2:
        tile_multiply(tile, 2, vecs);
        break;
    default:
        tile_multiply(tile, 1, vecs);
        break;
    }
}

/* rows x vecs, any number of each, tile by tile. */
static inline void tiles_run(struct tile tile, uint32_t rows, uint32_t vecs)
{
    struct tile part = tile;

    for (uint32_t r = 0; r < rows; r += TILE_ROWS) {
        uint32_t rows_here = rows - r < TILE_ROWS ? rows - r : TILE_ROWS;
        part.x = tile.x + r * tile.x_stride;
        for (uint32_t v = 0; v < vecs;) {
            part.panel = tile.panel + v * VEC_LANES;
            part.start = tile.start + r * tile.start_stride + v * VEC_LANES;
            part.y = tile.y + r * tile.y_stride + v * VEC_LANES;
            if (vecs - v >= TILE_VECS) {
                tile_run(&part, rows_here, TILE_VECS);
                v += TILE_VECS;
            } else if (vecs - v >= 2) {
                tile_run(&part, rows_here, 2);
                v += 2;
            } else {
                tile_run(&part, rows_here, 1);
                v += 1;
            }
        }
    }
}

#endif
