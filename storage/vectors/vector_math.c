/* SPDX-License-Identifier: Apache-2.0 */
/* vector_math: see vector_math.h. */
#include "storage/vectors/vector_math.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define LANES 8

/* Largest code: symmetric, so that a code and its negative are both there. */
#define CODE_MAX 127

double vector_score(const float *a, const float *b, size_t dimension)
{
    double sums[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= dimension; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++)
            sums[lane] += (double)a[i + lane] * (double)b[i + lane];
    }
    for (; i < dimension; i++)
        sums[i % LANES] += (double)a[i] * (double)b[i];
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) +
           ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

int vector_normalise(const float *vector, size_t dimension, float *ret_vector, struct error *err)
{
    double square = vector_score(vector, vector, dimension);
    if (!isfinite(square))
        return error_set(err, ERR_INVALID, "the vector has a value that is not finite");
    double norm = sqrt(square);
    if (norm == 0)
        return error_set(err, ERR_INVALID, "the vector is zero: it has no direction");
    for (size_t i = 0; i < dimension; i++)
        ret_vector[i] = (float)((double)vector[i] / norm);
    return 0;
}

void vector_encode(const float *vector, size_t dimension, int8_t *ret_codes, float *ret_scale,
                   float *ret_bound)
{
    float largest = 0;
    for (size_t i = 0; i < dimension; i++)
        largest = fabsf(vector[i]) > largest ? fabsf(vector[i]) : largest;
    float scale = largest / CODE_MAX;
    float inverse = CODE_MAX / largest;
    double squares[LANES] = {0}; /* an addition need not wait for the one before */
    for (size_t i = 0; i < dimension; i++) {
        int code = (int)lrintf(vector[i] * inverse);
        code = code > CODE_MAX ? CODE_MAX : code < -CODE_MAX ? -CODE_MAX : code;
        double rest = (double)vector[i] - (double)scale * code;
        ret_codes[i] = (int8_t)code;
        squares[i % LANES] += rest * rest;
    }
    double residual = 0;
    for (size_t lane = 0; lane < LANES; lane++)
        residual += squares[lane];
    memset(ret_codes + dimension, 0, VECTOR_STRIDE(dimension) - dimension);
    /* The lengths of vector and query differ from 1 by less than 1e-6 (normalised in floats), the
     * product with the scale rounds once more: 1.001 and two more roundings cover both, and the
     * rounding of this very computation. */
    double rounding = (double)(VECTOR_STRIDE(dimension) + 2) * 0x1p-24;
    double length = sqrt(residual);
    *ret_scale = scale;
    *ret_bound = (float)(1.001 * (length + rounding * (1 + length)));
}

static void dots_plain(const int8_t *codes, size_t stride, size_t count, const float *query,
                       float *ret_dots)
{
    for (size_t row = 0; row < count; row++, codes += stride) {
        float sums[LANES] = {0};
        for (size_t i = 0; i < stride; i += LANES) {
            for (size_t lane = 0; lane < LANES; lane++)
                sums[lane] += (float)codes[i + lane] * query[i + lane];
        }
        float sum = 0;
        for (size_t lane = 0; lane < LANES; lane++)
            sum += sums[lane];
        ret_dots[row] = sum;
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static inline __m256
product_avx2(const int8_t *codes, const float *query, __m256 sum)
{
    __m256i integers = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)codes));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(integers), _mm256_loadu_ps(query), sum);
}

__attribute__((target("avx2,fma"))) static void
dots_avx2(const int8_t *codes, size_t stride, size_t count, const float *query, float *ret_dots)
{
    for (size_t row = 0; row < count; row++, codes += stride) {
        __m256 a = _mm256_setzero_ps(), b = a, c = a, d = a;
        for (size_t i = 0; i < stride; i += 32) {
            a = product_avx2(codes + i, query + i, a);
            b = product_avx2(codes + i + 8, query + i + 8, b);
            c = product_avx2(codes + i + 16, query + i + 16, c);
            d = product_avx2(codes + i + 24, query + i + 24, d);
        }
        __m256 sum = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
        __m128 half = _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
        half = _mm_add_ps(half, _mm_movehl_ps(half, half));
        half = _mm_add_ss(half, _mm_movehdup_ps(half));
        ret_dots[row] = _mm_cvtss_f32(half);
    }
}

__attribute__((target("avx512f"))) static inline __m512
product_avx512(const int8_t *codes, const float *query, __m512 sum)
{
    __m512i integers = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)codes));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(integers), _mm512_loadu_ps(query), sum);
}

__attribute__((target("avx512f"))) static void
dots_avx512(const int8_t *codes, size_t stride, size_t count, const float *query, float *ret_dots)
{
    for (size_t row = 0; row < count; row++, codes += stride) {
        __m512 a = _mm512_setzero_ps(), b = a, c = a, d = a;
        for (size_t i = 0; i < stride; i += 64) {
            a = product_avx512(codes + i, query + i, a);
            b = product_avx512(codes + i + 16, query + i + 16, b);
            c = product_avx512(codes + i + 32, query + i + 32, c);
            d = product_avx512(codes + i + 48, query + i + 48, d);
        }
        ret_dots[row] =
            _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)));
    }
}
#endif

/* Best first. */
static const struct vector_isa isas[] = {
#if defined(__x86_64__)
    {"avx512", dots_avx512},
    {"avx2", dots_avx2},
#endif
    {"plain", dots_plain},
};

#define ISA_COUNT (sizeof isas / sizeof isas[0])

static int can_run(const struct vector_isa *isa)
{
#if defined(__x86_64__)
    if (isa->dots == dots_avx512)
        return __builtin_cpu_supports("avx512f");
    if (isa->dots == dots_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return isa->dots == dots_plain;
}

const struct vector_isa *vector_isa_best(void)
{
    const struct vector_isa *isa = isas;
    while (!can_run(isa))
        isa++;
    return isa;
}

const struct vector_isa *vector_isa_find(const char *name)
{
    for (size_t i = 0; i < ISA_COUNT; i++) {
        if (strcmp(isas[i].name, name) == 0)
            return can_run(&isas[i]) ? &isas[i] : NULL;
    }
    return NULL;
}
