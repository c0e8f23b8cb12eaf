/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far a device's results may be from the reference device's, element by element: the bounds
 * that kernels/EXACTNESS.md derives, computed in double from the operation's own inputs. The inputs
 * are what the device holds, after their rounding to its element type.
 *
 * A bound_ function gives one number per element of the result, in the result's order; the caller
 * owns the array.
 */
#ifndef KERNELS_TESTS_BOUNDS_H
#define KERNELS_TESTS_BOUNDS_H

#include "kernels/device.h"

/* What the bounds depend on; the letters are those of EXACTNESS.md. */
struct arithmetic {
    double element;       /* e: unit roundoff of stored activations; 0 for fp32, where the last
                             operation's own rounding is the one that is counted */
    double element_least; /* half the smallest distance of stored activations */
    double product;       /* u_p: error of one addition inside a matrix product */
    double weight;        /* rounding of attention's weights before they meet the values */
    double exponential;   /* relative error of exp */
    double hyperbolic;    /* relative error of tanh */
    double gelu;          /* G, K, k: GELU's errors of its main part and of its tail */
    double gelu_tail;
    double gelu_square;
    uint32_t lanes;         /* L, F: a row is summed in at least this many partial sums, which at */
    uint32_t fold;          /* most so many additions put together */
    uint32_t keys;          /* attention's smallest block of keys */
    bool is_product_stored; /* the product is rounded to an element before its epilogue */
};

/* Of a device as it is, and of one that is named by its kind and precision. */
struct arithmetic arithmetic_of(const struct device *device);
struct arithmetic arithmetic_for(enum device_kind kind, enum device_precision precision);

double *bound_linear(const struct arithmetic *a, const float *x, const float *weight,
                     const float *bias, uint32_t rows, uint32_t in, uint32_t out,
                     enum linear_epilogue epilogue);
double *bound_attention(const struct arithmetic *a, const float *qkv, const uint32_t *lengths,
                        uint32_t texts, uint32_t heads, uint32_t head_width, float scale);
double *bound_add_norm(const struct arithmetic *a, const float *x, const float *residual,
                       const float *gamma, const float *beta, float epsilon, uint32_t rows,
                       uint32_t width);
/* The rows of words, positions and types (or NULL) that each token adds up, [tokens, width]. */
double *bound_embed(const struct arithmetic *a, const float *words, const float *positions,
                    const float *types, const float *gamma, const float *beta, float epsilon,
                    uint32_t tokens, uint32_t width);
double *bound_pool(const struct arithmetic *a, const float *x, const uint32_t *lengths,
                   uint32_t texts, uint32_t width, enum pool_mode mode, bool normalise);
double *bound_softmax(const struct arithmetic *a, const float *x, uint32_t rows, uint32_t width);
/* One rounding to an element: op_from_float. */
double *bound_store(const struct arithmetic *a, const float *x, size_t count);
/* Nothing is rounded: op_gather_first, op_to_float. */
double *bound_none(size_t count);

/* The largest share of its bound that an element uses; infinite where one is not what it must be:
 * beyond its bound, or NaN or infinite where the other is not the same, or finite without a finite
 * bound. *ret_element is the element of that share. */
double share_of(const float *actual, const float *expected, const double *bound, size_t count,
                size_t *ret_element);
/* Fails the test where a share is above 1; returns the largest. */
double assert_within(const char *what, const float *actual, const float *expected,
                     const double *bound, size_t count);

#endif
