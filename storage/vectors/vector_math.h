/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_math: what is computed with vectors: normalising, the score, and the coarse form in which
 * vectors are searched.
 *
 * The score of two vectors is one fixed computation: products of floats, which a double holds
 * exactly, summed in eight lanes in a fixed order. It has the same bits on every processor and in
 * every store.
 *
 * Coarse form: a vector x of length about 1 is kept as codes c of one byte and a scale s with
 * x = s c + r, and a bound e. For every query q that vector_normalise made
 *
 *     |score(x, q) - s * dot(c, q)| <= e
 *
 * where dot is what vector_dots computes in floats. By Cauchy and Schwarz |r q| <= |r| |q|;
 * rounding in a sum of n floats is at most n u / (1 - n u) |s c| |q| (Higham, Accuracy and
 * Stability of Numerical Algorithms, 3.1), u = 2^-24. So a search that keeps all vectors whose s *
 * dot + e reaches the k-th best s * dot - e keeps the k best, whatever the data.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_STORAGE_VECTOR_MATH_H
#define ARGOSY_STORAGE_VECTOR_MATH_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Codes and padded queries end in zeros up to the next multiple of 64: one cache line of codes. */
#define VECTOR_STRIDE(dimension) (((size_t)(dimension) + 63) / 64 * 64)

/* Writes vector, scaled to length 1, to ret_vector (may be vector). ERR_INVALID where it is zero or
 * not finite. Normalising twice changes nothing but the last bits. */
int vector_normalise(const float *vector, size_t dimension, float *ret_vector, struct error *err);

/* The cosine of two normalised vectors. */
double vector_score(const float *a, const float *b, size_t dimension);

/* The coarse form of a normalised vector: VECTOR_STRIDE(dimension) codes, scale and bound. */
void vector_encode(const float *vector, size_t dimension, int8_t *ret_codes, float *ret_scale,
                   float *ret_bound);

/* One instruction set's scan: ret_dots[i] = dot(codes of row i, query), rows `stride` codes apart,
 * query padded to stride. All sets keep within the bound; their last bits differ. */
struct vector_isa {
    const char *name;
    void (*dots)(const int8_t *codes, size_t stride, size_t count, const float *query,
                 float *ret_dots);
};

/* The best set of this processor; by name, NULL where there is none or the processor lacks it. The
 * set "plain" is the reference. */
const struct vector_isa *vector_isa_best(void);
const struct vector_isa *vector_isa_find(const char *name);

#endif
