/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bounds of kernels/EXACTNESS.md (bounds.h). Section numbers in this file are that text's; what
 * stands there is not said again here.
 */
#include "kernels/tests/bounds.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNIT   0x1p-24  /* u: unit roundoff of fp32 */
#define LEAST  0x1p-126 /* the smallest normal fp32: what is below may become zero */
#define LAMBDA 8.0      /* section 2 */
#define FLUSH  1.65e-38 /* above e^-87: what exp may turn into zero */

/* ---- sections 1 and 2: rounding ---- */

static const struct {
    double roundoff;
    double least;
} elements[] = {
    [DEVICE_FP32] = {0x1p-24, 0x1p-150},
    [DEVICE_FP16] = {0x1p-11, 0x1p-25},
    [DEVICE_BF16] = {0x1p-8, LEAST},
};

struct arithmetic arithmetic_for(enum device_kind kind, enum device_precision precision)
{
    bool is_cuda = kind == DEVICE_CUDA, is_short = precision != DEVICE_FP32;
    struct arithmetic a = {
        .element = is_short ? elements[precision].roundoff : 0,
        .element_least = elements[precision].least,
        .product = is_cuda && is_short ? 2 * UNIT : UNIT,
        .weight = is_short ? elements[precision].roundoff : 0,
        .exponential = is_cuda ? 5 * UNIT : 2e-7,
        .hyperbolic = 5 * UNIT,
        .gelu = is_cuda ? 11 : 2,
        .gelu_tail = is_cuda ? 1 : 10,
        .gelu_square = is_cuda ? 1.3 : 0.5,
        .lanes = is_cuda ? 32 : 4,
        .fold = is_cuda ? 13 : 4,
        .keys = 64,
        .is_product_stored = is_cuda && is_short,
    };

    return a;
}

struct arithmetic arithmetic_of(const struct device *device)
{
    const struct device_info *info = device_info(device);
    struct arithmetic a = arithmetic_for(info->kind, info->precision);

    /* The own products see their epilogue in registers. */
    a.is_product_stored = a.is_product_stored && strncmp(info->gemm, "own", 3) != 0;
    return a;
}

/* What n roundings, one after the other, may come to: in units of one. */
static double growth(double n)
{
    return fmin(n, LAMBDA * sqrt(n));
}

/* A product of factors 1 + d with Σ|d| <= sum differs from 1 by no more. */
static double compound(double sum)
{
    return sum < 1 ? sum / (1 - sum) : (double)INFINITY;
}

/* Roundings that a term of a row's sum of `count` numbers passes. */
static double row_growth(const struct arithmetic *a, uint32_t count)
{
    return growth(ceil((double)count / a->lanes) + a->fold);
}

/* A float result and the reference's own rounding. */
static double as_float(double value, double error)
{
    return error + UNIT * fabs(value) + LEAST;
}

/* The same, stored as an element between. */
static double as_element(const struct arithmetic *a, double value, double error)
{
    return as_float(value, error + a->element * (fabs(value) + error) + a->element_least);
}

static double *doubles_create(size_t count)
{
    double *doubles = calloc(count, sizeof(*doubles));

    assert_non_null(doubles);
    return doubles;
}

/* ---- section 3: linear ---- */

/* The largest slope of GELU, at z = √2: Φ(z) + z φ(z) = 1.1289. */
#define GELU_SLOPE 1.13

static double gelu_bound(const struct arithmetic *a, double z, double error)
{
    double tail = fabs(z) * 0.5 * erfc(fabs(z) / sqrt(2));
    double value = z < 0 ? tail : z - tail;
    double moved = GELU_SLOPE * error;
    double own = a->gelu * (value + moved) + tail * (a->gelu_tail + a->gelu_square * z * z) +
                 (a->gelu_tail + a->gelu_square) * error;

    return as_element(a, value, moved + UNIT * own);
}

static double epilogue_bound(const struct arithmetic *a, enum linear_epilogue epilogue, double z,
                             double error)
{
    if (epilogue != LINEAR_PLAIN && a->is_product_stored)
        error += a->element * (fabs(z) + error) + a->element_least;
    switch (epilogue) {
    case LINEAR_PLAIN:
        break;
    case LINEAR_GELU:
        return gelu_bound(a, z, error);
    case LINEAR_TANH:
        return as_element(a, tanh(z), error + a->hyperbolic * (fabs(tanh(z)) + error));
    case LINEAR_RELU:
        return as_element(a, z < 0 ? 0 : z, error);
    }
    return as_element(a, z, error);
}

double *bound_linear(const struct arithmetic *a, const float *x, const float *weight,
                     const float *bias, uint32_t rows, uint32_t in, uint32_t out,
                     enum linear_epilogue epilogue)
{
    double *bound = doubles_create((size_t)rows * out);
    double relative = compound(growth(in + 1.0) * a->product);

    for (size_t r = 0; r < rows; r++)
        for (size_t o = 0; o < out; o++) {
            const float *x_row = x + r * in, *w_row = weight + o * in;
            double z = bias ? bias[o] : 0, size = fabs(z);
            for (size_t k = 0; k < in; k++) {
                double product = (double)x_row[k] * w_row[k];
                z += product;
                size += fabs(product);
            }
            bound[r * out + o] =
                epilogue_bound(a, epilogue, z, relative * size + (in + 1.0) * LEAST);
        }
    return bound;
}

/* ---- section 4: attention ---- */

/* One key as a query sees it. */
struct key_weight {
    double score;
    double error; /* of the score; then the relative error of the weight */
    double weight;
};

/* Fills the keys; returns the relative error of the sum of weights. */
static double weights_bound(const struct arithmetic *a, const float *query, const float *keys,
                            size_t stride, uint32_t length, uint32_t width, double scale,
                            struct key_weight *to)
{
    double max = -INFINITY, error_max = 0, sum = 0, sum_error = 0;
    double blocks = ceil((double)length / a->keys);
    double relative = compound(growth(width + 1.0) * a->product);

    for (uint32_t j = 0; j < length; j++) {
        double dot = 0, size = 0;
        for (uint32_t c = 0; c < width; c++) {
            double product = (double)query[c] * keys[j * stride + c];
            dot += product;
            size += fabs(product);
        }
        to[j].score = dot * scale;
        to[j].error = fabs(scale) * size * relative;
        to[j].error += UNIT * (fabs(to[j].score) + to[j].error);
        max = fmax(max, to[j].score);
        error_max = fmax(error_max, to[j].error);
    }
    for (uint32_t j = 0; j < length; j++) {
        double distance = max - to[j].score + 2 * error_max;
        to[j].error =
            compound(to[j].error + UNIT * distance + blocks * (a->exponential + UNIT) + a->weight);
        to[j].weight = exp(to[j].score - max);
        sum += to[j].weight;
    }
    for (uint32_t j = 0; j < length; j++) {
        to[j].weight /= sum;
        sum_error += to[j].weight * to[j].error;
    }
    return sum_error + growth(length + 1.0) * UNIT;
}

static void query_bound(const struct arithmetic *a, const float *query, const float *keys,
                        const float *values, size_t stride, uint32_t length, uint32_t width,
                        double scale, struct key_weight *weights, double *bound)
{
    double sum_error = weights_bound(a, query, keys, stride, length, width, scale, weights) + UNIT;
    double order = growth(length + 1.0) * a->product;

    for (uint32_t c = 0; c < width; c++) {
        double value = 0, error = 0;
        for (uint32_t j = 0; j < length; j++) {
            double v = values[j * stride + c];
            value += weights[j].weight * v;
            error += weights[j].weight * fabs(v) * compound(weights[j].error + order);
            error += FLUSH * fabs(v);
        }
        error =
            sum_error < 1 ? (error + fabs(value) * sum_error) / (1 - sum_error) : (double)INFINITY;
        bound[c] = as_element(a, value, error);
    }
}

double *bound_attention(const struct arithmetic *a, const float *qkv, const uint32_t *lengths,
                        uint32_t texts, uint32_t heads, uint32_t head_width, float scale)
{
    size_t width = (size_t)heads * head_width, stride = 3 * width, tokens = 0, longest = 0;

    for (uint32_t s = 0; s < texts; s++) {
        tokens += lengths[s];
        longest = lengths[s] > longest ? lengths[s] : longest;
    }
    double *bound = doubles_create(tokens * width), *to = bound;
    struct key_weight *weights = calloc(longest, sizeof(*weights));
    assert_non_null(weights);
    for (uint32_t s = 0; s < texts; s++) {
        for (size_t i = 0; i < lengths[s]; i++, to += width)
            for (uint32_t h = 0; h < heads; h++) {
                const float *head = qkv + (size_t)h * head_width;
                query_bound(a, head + i * stride, head + width, head + 2 * width, stride,
                            lengths[s], head_width, scale, weights, to + h * head_width);
            }
        qkv += lengths[s] * stride;
    }
    free(weights);
    return bound;
}

/* ---- section 5: LayerNorm ---- */

/* v: the exact row; error: how far the computed one may be. bound: [width]. */
static void norm_bound(const struct arithmetic *a, const double *v, const double *error,
                       const float *gamma, const float *beta, double epsilon, uint32_t width,
                       double *bound)
{
    double sum = 0, size = 0, mean_error = 0, squares = 0, crossed = 0, moved = 0;
    double roundings = row_growth(a, width) + 2;

    for (uint32_t i = 0; i < width; i++) {
        sum += v[i];
        size += fabs(v[i]);
        mean_error += error[i];
    }
    double mean = sum / width;
    mean_error = (mean_error + compound(roundings * UNIT) * (size + mean_error)) / width;
    for (uint32_t i = 0; i < width; i++) {
        double d = fabs(v[i] - mean);
        double own = error[i] + UNIT * (d + error[i] + mean_error);
        squares += d * d;
        crossed += 2 * d * own;
        moved += (own + mean_error) * (own + mean_error);
    }
    double variance = squares / width + epsilon;
    double relative = (crossed + moved) / width / variance;
    relative += compound((roundings + 1) * UNIT) * (1 + relative);
    double scaling = relative < 1 ? relative / (2 * (1 - relative)) : (double)INFINITY;
    scaling = compound(scaling + 4 * UNIT);
    for (uint32_t i = 0; i < width; i++) {
        double d = fabs(v[i] - mean), factor = fabs((double)gamma[i]) / sqrt(variance);
        double d_error = error[i] + mean_error + UNIT * (d + error[i] + mean_error);
        double value = (v[i] - mean) / sqrt(variance) * gamma[i] + beta[i];
        double y_error = factor * (d_error + (d + d_error) * scaling) + LEAST;
        bound[i] = as_element(a, value, y_error + UNIT * (fabs(value) + y_error));
    }
}

double *bound_embed(const struct arithmetic *a, const float *words, const float *positions,
                    const float *types, const float *gamma, const float *beta, float epsilon,
                    uint32_t tokens, uint32_t width)
{
    double *bound = doubles_create((size_t)tokens * width);
    double *v = doubles_create(width), *error = doubles_create(width);

    for (size_t t = 0; t < tokens; t++) {
        for (size_t i = 0; i < width; i++) {
            size_t at = t * width + i;
            v[i] = (double)words[at] + positions[at];
            error[i] = UNIT * fabs(v[i]);
            if (types) {
                v[i] += types[at];
                error[i] += UNIT * (fabs(v[i]) + error[i]);
            }
        }
        norm_bound(a, v, error, gamma, beta, epsilon, width, bound + t * width);
    }
    free(v);
    free(error);
    return bound;
}

double *bound_add_norm(const struct arithmetic *a, const float *x, const float *residual,
                       const float *gamma, const float *beta, float epsilon, uint32_t rows,
                       uint32_t width)
{
    return bound_embed(a, x, residual, NULL, gamma, beta, epsilon, rows, width);
}

/* ---- section 6: pooling ---- */

#define NORM_LEAST 1e-12 /* of op_pool */

static void pooled_column(const float *column, size_t stride, uint32_t length, enum pool_mode mode,
                          double *ret_value, double *ret_error)
{
    double sum = 0, size = 0, max = column[0];

    for (uint32_t t = 0; t < length; t++) {
        sum += column[t * stride];
        size += fabs((double)column[t * stride]);
        max = fmax(max, column[t * stride]);
    }
    *ret_error = 0;
    if (mode == POOL_MEAN) {
        *ret_value = sum / length;
        *ret_error = compound((growth(length) + 2) * UNIT) * size / length;
    } else {
        *ret_value = mode == POOL_MAX ? max : column[0];
    }
}

double *bound_pool(const struct arithmetic *a, const float *x, const uint32_t *lengths,
                   uint32_t texts, uint32_t width, enum pool_mode mode, bool normalise)
{
    double *bound = doubles_create((size_t)texts * width), *to = bound;
    double *v = doubles_create(width);
    double roundings = row_growth(a, width) + 1;

    for (uint32_t s = 0; s < texts; s++, to += width) {
        double squares = 0, squares_error = 0;
        for (uint32_t c = 0; c < width; c++) {
            pooled_column(x + c, width, lengths[s], mode, &v[c], &to[c]);
            squares += v[c] * v[c];
            squares_error += (2 * fabs(v[c]) + to[c]) * to[c] + LEAST;
        }
        double norm = fmax(sqrt(squares), NORM_LEAST);
        double relative = squares_error / (norm * norm);
        relative += compound(roundings * UNIT) * (1 + relative);
        double scaling =
            relative < 1 ? compound(relative / (2 * (1 - relative)) + 2 * UNIT) : (double)INFINITY;
        for (uint32_t c = 0; c < width; c++)
            to[c] = normalise
                        ? as_float(v[c] / norm, (to[c] + (fabs(v[c]) + to[c]) * scaling) / norm)
                        : as_float(v[c], to[c]);
        x += (size_t)lengths[s] * width;
    }
    free(v);
    return bound;
}

/* ---- section 7: softmax, moves ---- */

double *bound_softmax(const struct arithmetic *a, const float *x, uint32_t rows, uint32_t width)
{
    double *bound = doubles_create((size_t)rows * width);

    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * width;
        double max = -INFINITY, sum = 0, sum_error = 0;
        for (uint32_t c = 0; c < width; c++)
            max = fmax(max, row[c]);
        for (uint32_t c = 0; c < width; c++) {
            double weight = exp(row[c] - max);
            sum += weight;
            sum_error += weight * (a->exponential + UNIT * (max - row[c])) + FLUSH;
        }
        sum_error = sum_error / sum + row_growth(a, width) * UNIT;
        for (uint32_t c = 0; c < width; c++) {
            double value = exp(row[c] - max) / sum;
            double relative = compound(a->exponential + UNIT * (max - row[c]) + sum_error + UNIT);
            bound[r * width + c] = as_float(value, value * relative + FLUSH);
        }
    }
    return bound;
}

double *bound_store(const struct arithmetic *a, const float *x, size_t count)
{
    double *bound = doubles_create(count);

    for (size_t i = 0; i < count; i++)
        bound[i] = a->element > 0 ? a->element * fabs((double)x[i]) + a->element_least : 0;
    return bound;
}

double *bound_none(size_t count)
{
    return doubles_create(count);
}

/* ---- comparing ---- */

static double element_share(double actual, double expected, double bound)
{
    if (!isfinite(actual) || !isfinite(expected))
        return (isnan(actual) && isnan(expected)) || actual == expected ? 0 : (double)INFINITY;
    double error = fabs(actual - expected);
    if (error == 0 && bound == 0)
        return 0;
    return isfinite(bound) ? error / bound : (double)INFINITY;
}

double share_of(const float *actual, const float *expected, const double *bound, size_t count,
                size_t *ret_element)
{
    double largest = 0;

    *ret_element = 0;
    for (size_t i = 0; i < count; i++) {
        double share = element_share(actual[i], expected[i], bound[i]);
        if (share > largest) {
            largest = share;
            *ret_element = i;
        }
    }
    return largest;
}

double assert_within(const char *what, const float *actual, const float *expected,
                     const double *bound, size_t count)
{
    size_t at;
    double share = share_of(actual, expected, bound, count, &at);

    if (share > 1)
        fail_msg("%s: element %zu is %.9g instead of %.9g; at most %.3g from it is allowed", what,
                 at, (double)actual[at], (double)expected[at], bound[at]);
    return share;
}
