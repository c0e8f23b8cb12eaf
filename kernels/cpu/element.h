/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The element type of activations and of packed weights in the files of cpu/ that are compiled once
 * per instruction set: float, or bf16 (the upper half of a float) where the build defines
 * KERNELS_BF16. All arithmetic beside products is in fp32 vectors: a row is widened when it is
 * loaded and rounded, to nearest, when it is stored.
 *
 * Products go along k in steps of four bytes, one float or a pair of bf16, because vdpbf16ps
 * multiplies pairs: each lane adds a0 b0 + a1 b1 to its fp32 sum, in one fixed order.
 *
 * What bf16 hardware does not do: numbers below 2^-126 count as zero, in products and when a float
 * is rounded, whatever the processor's mode says. NaN and infinity go through as in fp32.
 */
#ifndef KERNELS_CPU_ELEMENT_H
#define KERNELS_CPU_ELEMENT_H

#include "kernels/cpu/simd.h"

#ifdef KERNELS_BF16
typedef uint16_t element;
typedef uint32_t step;
typedef uint16_t element_vec __attribute__((vector_size(2 * VEC_LANES)));
typedef uint32_t step_vec __attribute__((vector_size(VEC_BYTES)));
#else
typedef float element;
typedef float step;
#endif
/* Elements in a step. */
#define STEP (sizeof(step) / sizeof(element))

static ALWAYS_INLINE uint32_t step_count(uint32_t elements)
{
    return (elements + STEP - 1) / STEP;
}

/* ---- rows ---- */

static ALWAYS_INLINE vec element_load(const element *from)
{
#ifdef KERNELS_BF16
    element_vec half;
    memcpy(&half, from, sizeof(half));
    return (vec)(__builtin_convertvector(half, step_vec) << 16);
#else
    return vec_load(from);
#endif
}

static ALWAYS_INLINE void element_store(element *to, vec v)
{
#ifdef KERNELS_BF16
    __m256bh half = _mm512_cvtneps_pbh((__m512)v);
    memcpy(to, &half, sizeof(half));
#else
    vec_store(to, v);
#endif
}

/* Lanes i, i+1, ... of a row of `width` elements, those beyond its end `fill`,
 * which bf16 has, too. */
static ALWAYS_INLINE vec element_at(const element *row, uint32_t i, uint32_t width, float fill)
{
#ifdef KERNELS_BF16
    if (i + VEC_LANES <= width)
        return element_load(row + i);
    element part[VEC_LANES];
    element_store(part, vec_splat(fill));
    memcpy(part, row + i, (width - i) * sizeof(element));
    return element_load(part);
#else
    return vec_at(row, i, width, fill);
#endif
}

/* Stores them, those beyond the row's end dropped. */
static ALWAYS_INLINE void element_put(element *row, uint32_t i, uint32_t width, vec v)
{
    if (i + VEC_LANES <= width) {
        element_store(row + i, v);
    } else {
        element part[VEC_LANES];
        element_store(part, v);
        memcpy(row + i, part, (width - i) * sizeof(element));
    }
}

/* ---- products ---- */

/* The step at x of which `left` elements exist; those that do not are zeros. */
static ALWAYS_INLINE step step_at(const element *x, size_t left)
{
    step s = 0;

    memcpy(&s, x, (left < STEP ? left : STEP) * sizeof(element));
    return s;
}

/* Steps i, i+1, ... of a row of `width` elements, zeros beyond its end. */
static ALWAYS_INLINE vec step_row(const element *row, uint32_t i, uint32_t width)
{
    size_t first = i * STEP, left = width - first;
    vec v = {0};

    memcpy(&v, row + first, left < VEC_LANES * STEP ? left * sizeof(element) : sizeof(v));
    return v;
}

/* One step per column: elements i, i+1, ... of STEP rows, `stride` elements apart, of which `rows`
 * exist; zeros beyond them and beyond `width`. */
static ALWAYS_INLINE vec step_columns(const element *row, size_t stride, uint32_t rows, uint32_t i,
                                      uint32_t width)
{
    vec v = element_at(row, i, width, 0.0f);
#ifdef KERNELS_BF16
    vec second = rows > 1 ? element_at(row + stride, i, width, 0.0f) : (vec){0};
    return (vec)((step_vec)v >> 16 | (step_vec)second);
#else
    (void)stride;
    (void)rows;
    return v;
#endif
}

/* sum + a * steps, lane by lane. */
static ALWAYS_INLINE vec step_multiply(step a, vec steps, vec sum)
{
#ifdef KERNELS_BF16
    return (vec)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_set1_epi32((int32_t)a),
                                 (__m512bh)steps);
#else
    return vec_fma(vec_splat(a), steps, sum);
#endif
}

#endif
