/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Vectors of floats for the files of cpu/ that are compiled once per instruction set (isa.h): GCC
 * vector extensions, which gcc and clang both turn into the registers that the set has. All
 * arithmetic is written on whole vectors; the last, partial vector of a row is loaded with zeros
 * behind it. Private to those files.
 *
 * Where a product and a sum are fused is written out (vec_fma) and never left to the compiler,
 * which is told to fuse nothing by itself: it may decide differently in two copies of one loop, and
 * then a row's bits would depend on its place.
 */
#ifndef KERNELS_CPU_SIMD_H
#define KERNELS_CPU_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* VEC_BYTES is 64 (AVX-512), 32 (AVX2) or 16 (plain): given by the build with the set's flags. */
#define VEC_LANES (VEC_BYTES / 4)

typedef float vec __attribute__((vector_size(VEC_BYTES)));
typedef int32_t ivec __attribute__((vector_size(VEC_BYTES)));
/* The same at any address that a float may have. */
typedef float vec_unaligned __attribute__((vector_size(VEC_BYTES), aligned(4), may_alias));

#define ALWAYS_INLINE inline __attribute__((always_inline))

static ALWAYS_INLINE vec vec_load(const float *from)
{
    return *(const vec_unaligned *)from;
}

static ALWAYS_INLINE void vec_store(float *to, vec v)
{
    *(vec_unaligned *)to = v;
}

/* s in every lane. Subtracting zero keeps the sign of a zero, so this is a bare broadcast. */
static ALWAYS_INLINE vec vec_splat(float s)
{
    return s - (vec){0};
}

/* Lanes i, i+1, ... of a row of `width` floats, those beyond its end `fill`. */
static ALWAYS_INLINE vec vec_at(const float *row, uint32_t i, uint32_t width, float fill)
{
    if (i + VEC_LANES <= width)
        return vec_load(row + i);
    vec v = vec_splat(fill);
    memcpy(&v, row + i, (width - i) * sizeof(float));
    return v;
}

/* Stores them, those beyond the row's end dropped. */
static ALWAYS_INLINE void vec_put(float *row, uint32_t i, uint32_t width, vec v)
{
    if (i + VEC_LANES <= width)
        vec_store(row + i, v);
    else
        memcpy(row + i, &v, (width - i) * sizeof(float));
}

/* a * b + c: in one rounding where the set has fused multiply-add, in two where it has not. */
static ALWAYS_INLINE vec vec_fma(vec a, vec b, vec c)
{
#if VEC_BYTES == 64
    return (vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif VEC_BYTES == 32
    return (vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* mask has all bits of a lane set where it is true: what a comparison gives. */
static ALWAYS_INLINE vec vec_select(ivec mask, vec yes, vec no)
{
    return (vec)(((ivec)yes & mask) | ((ivec)no & ~mask));
}

/* v where x is not below the limit, which NaN is not; 0 elsewhere. */
static ALWAYS_INLINE vec vec_zero_below(vec x, float limit, vec v)
{
#if VEC_BYTES == 64
    __mmask16 mask = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(limit), _CMP_NLT_UQ);
    return (vec)_mm512_maskz_mov_ps(mask, (__m512)v);
#else
    return (vec)((ivec)v & ~(x < limit));
#endif
}

/* a > b ? a : b lane by lane, in one instruction: b where one of the two is NaN. */
static ALWAYS_INLINE vec vec_larger(vec a, vec b)
{
#if VEC_BYTES == 64
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif VEC_BYTES == 32
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
    return vec_select(a > b, a, b);
#endif
}

/* Lane by lane the larger, NaN wherever one of the two is. */
static ALWAYS_INLINE vec vec_max(vec a, vec b)
{
    return vec_select(a != a, a, vec_larger(a, b));
}

/* The exchanges that bring every lane to lane 0: across halves, quarters, ... */
#if VEC_BYTES == 64
#define VEC_STEPS(step)                                                                            \
    step(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)                                     \
        step(4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)                                 \
            step(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)                             \
                step(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#elif VEC_BYTES == 32
#define VEC_STEPS(step)                                                                            \
    step(4, 5, 6, 7, 0, 1, 2, 3) step(2, 3, 0, 1, 6, 7, 4, 5) step(1, 0, 3, 2, 5, 4, 7, 6)
#else
#define VEC_STEPS(step) step(2, 3, 0, 1) step(1, 0, 3, 2)
#endif

/* Sum of the lanes, by halves: always in the same order. */
static ALWAYS_INLINE float vec_sum(vec v)
{
#define STEP(...) v += __builtin_shufflevector(v, v, __VA_ARGS__);
    VEC_STEPS(STEP)
#undef STEP
    return v[0];
}

/* The largest lane, where none is NaN. */
static ALWAYS_INLINE float vec_largest(vec v)
{
#define STEP(...) v = vec_larger(v, __builtin_shufflevector(v, v, __VA_ARGS__));
    VEC_STEPS(STEP)
#undef STEP
    return v[0];
}

/* Row i becomes column i: at each distance d, lanes with bit d change places with the row d away.
 */
static ALWAYS_INLINE void vec_transpose(vec rows[VEC_LANES])
{
#define EXCHANGE(d, low, high)                                                                     \
    for (uint32_t i = 0; i < VEC_LANES; i++)                                                       \
        if ((i & d) == 0) {                                                                        \
            vec a = rows[i], b = rows[i + d];                                                      \
            rows[i] = __builtin_shufflevector(a, b, LANES low);                                    \
            rows[i + d] = __builtin_shufflevector(a, b, LANES high);                               \
        }
#define LANES(...) __VA_ARGS__
#if VEC_BYTES == 64
    EXCHANGE(8, (0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
             (8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31))
    EXCHANGE(4, (0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27),
             (4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31))
    EXCHANGE(2, (0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
             (2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31))
    EXCHANGE(1, (0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30),
             (1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31))
#elif VEC_BYTES == 32
    EXCHANGE(4, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15))
    EXCHANGE(2, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15))
    EXCHANGE(1, (0, 8, 2, 10, 4, 12, 6, 14), (1, 9, 3, 11, 5, 13, 7, 15))
#else
    EXCHANGE(2, (0, 1, 4, 5), (2, 3, 6, 7))
    EXCHANGE(1, (0, 4, 2, 6), (1, 5, 3, 7))
#endif
#undef EXCHANGE
#undef LANES
}

/*
 * e^x, relative error below 2e-7 for x in [-87, 88]; 0 below -87, NaN for NaN; x above 88 is the
 * caller's to avoid. x = n ln 2 + r with |r| <= ln(2)/2, e^x = 2^n e^r, and e^r by the minimax
 * polynomial 1 + r + r² (c0 + ... + c4 r⁴), error 3.1e-9. Adding 1.5 * 2^23 rounds to an integer
 * that then stands in the low bits.
 */
static ALWAYS_INLINE vec vec_exp(vec x)
{
    const vec magic = vec_splat(12582912.0f);
    vec shifted = vec_fma(x, vec_splat(1.44269504f), magic);
    vec n = shifted - magic;
    /* ln 2 in two parts: the first has few enough bits for n times it to be exact. */
    vec r = vec_fma(n, vec_splat(-1.42860677e-6f), vec_fma(n, vec_splat(-0.693145752f), x));
    vec p = vec_splat(0.001381453825f);
    p = vec_fma(p, r, vec_splat(0.008368745446f));
    p = vec_fma(p, r, vec_splat(0.04166838899f));
    p = vec_fma(p, r, vec_splat(0.1666652113f));
    p = vec_fma(p, r, vec_splat(0.49999994f));
    p = vec_fma(p, r * r, r + 1.0f);
    vec scale = (vec)(((ivec)shifted + 127) << 23);
    return vec_zero_below(x, -87.0f, p * scale);
}

/*
 * GELU with erf: z Φ(z) = max(z, 0) - |z| q, where q = erfc(|z|/√2)/2 = exp(-z²/2) P(t),
 * t = 1/(1 + 0.3|z|). P: minimax of degree 8 without constant term, relative error 1.5e-7 over
 * |z| <= 14; beyond |z| = 13.2 the exponential is 0, and |z| is kept below 2^64 for infinity's
 * sake. Absolute error of the whole below 3e-7 * max(1, |z|).
 */
static ALWAYS_INLINE vec vec_gelu(vec z)
{
    vec a = -vec_larger(vec_splat(-0x1p64f), (vec)((ivec)z | INT32_MIN));
    vec t = 1.0f / vec_fma(vec_splat(0.3f), a, vec_splat(1.0f));
    vec p = vec_splat(0.03567487746f);
    p = vec_fma(p, t, vec_splat(-0.1572034955f));
    p = vec_fma(p, t, vec_splat(0.2063542008f));
    p = vec_fma(p, t, vec_splat(-0.05368424580f));
    p = vec_fma(p, t, vec_splat(0.1285619287f));
    p = vec_fma(p, t, vec_splat(0.09991341084f));
    p = vec_fma(p, t, vec_splat(0.1207539663f));
    p = vec_fma(p, t, vec_splat(0.1196293011f));
    vec q = p * t * vec_exp(-0.5f * z * z);
    return vec_fma(-a, q, vec_larger((vec){0}, z));
}

#endif
