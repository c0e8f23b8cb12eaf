/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations of the CPU device that work row by row, compiled per instruction set: embedding sum
 * and LayerNorm, residual and LayerNorm, pooling, softmax, conversion. Formulas: the twins in
 * reference/. A row to be normalised is added up as floats in the scratch; its sums are kept in one
 * vector and folded at the end, so their order depends on the width alone; the variance is taken
 * around the mean in a second pass over the row, which is in the cache.
 */
#include "kernels/cpu/isa.h"

#include "kernels/cpu/element.h"

/* out = (row - mean) / sqrt(variance + epsilon) * gamma + beta; `sum` has the row's sums by lane.
 */
static void norm_row(const struct host_norm *norm, const float *row, vec sum, element *out)
{
    uint32_t width = norm->base.width;
    vec squares = {0};

    float mean = vec_sum(sum) / (float)width;
    for (uint32_t i = 0; i < width; i += VEC_LANES) {
        vec d = vec_at(row, i, width, mean) - mean;
        squares = vec_fma(d, d, squares);
    }
    float scale = 1.0f / sqrtf(vec_sum(squares) / (float)width + norm->base.epsilon);
    for (uint32_t i = 0; i < width; i += VEC_LANES) {
        vec gamma = vec_at(norm->gamma, i, width, 0.0f);
        vec beta = vec_at(norm->beta, i, width, 0.0f);
        vec v = (vec_at(row, i, width, 0.0f) - mean) * scale;
        element_put(out, i, width, vec_fma(v, gamma, beta));
    }
}

void ISA(add_norm_row)(const struct host_norm *norm, const void *x, const void *residual, void *out,
                       float *scratch)
{
    uint32_t width = norm->base.width;
    vec sum = {0};

    for (uint32_t i = 0; i < width; i += VEC_LANES) {
        vec v = element_at(x, i, width, 0.0f) + element_at(residual, i, width, 0.0f);
        sum += v;
        vec_put(scratch, i, width, v);
    }
    norm_row(norm, scratch, sum, out);
}

void ISA(embed_row)(const struct host_embedding *weight, const struct host_batch *batch,
                    uint32_t token, void *out, float *scratch)
{
    uint32_t width = weight->base.tables.width;
    const float *word = weight->words + (size_t)batch->ids[token] * width;
    const float *position = weight->positions + (size_t)batch->positions[token] * width;
    const float *type = weight->types ? weight->types + (size_t)batch->types[token] * width : NULL;
    vec sum = {0};

    for (uint32_t i = 0; i < width; i += VEC_LANES) {
        vec v = vec_at(word, i, width, 0.0f) + vec_at(position, i, width, 0.0f);
        if (type)
            v += vec_at(type, i, width, 0.0f);
        sum += v;
        vec_put(scratch, i, width, v);
    }
    norm_row(host_norm(weight->base.norm), scratch, sum, out);
}

/* out = out / max(its L2 norm, 1e-12), with out * factor first. */
static void vector_finish(float *out, uint32_t width, float factor, bool normalise)
{
    vec squares = {0};

    for (uint32_t i = 0; i < width; i += VEC_LANES) {
        vec v = vec_at(out, i, width, 0.0f) * factor;
        squares = vec_fma(v, v, squares);
        vec_put(out, i, width, v);
    }
    if (!normalise)
        return;
    float norm = sqrtf(vec_sum(squares));
    norm = norm < 1e-12f ? 1e-12f : norm;
    for (uint32_t i = 0; i < width; i += VEC_LANES)
        vec_put(out, i, width, vec_at(out, i, width, 0.0f) / norm);
}

void ISA(pool_text)(const void *x, uint32_t length, uint32_t width, enum pool_mode mode,
                    bool normalise, float *out)
{
    if (length == 0) {
        memset(out, 0, width * sizeof(float));
        return;
    }
    ISA(to_float_row)(x, width, out);
    if (mode != POOL_FIRST)
        for (uint32_t t = 1; t < length; t++) {
            const element *row = (const element *)x + (size_t)t * width;
            for (uint32_t i = 0; i < width; i += VEC_LANES) {
                vec so_far = vec_at(out, i, width, 0.0f);
                vec v = element_at(row, i, width, 0.0f);
                vec_put(out, i, width, mode == POOL_MAX ? vec_max(so_far, v) : so_far + v);
            }
        }
    vector_finish(out, width, mode == POOL_MEAN ? 1.0f / (float)length : 1.0f, normalise);
}

void ISA(softmax_row)(const void *x, uint32_t width, float *out)
{
    vec max_lanes = vec_splat(-INFINITY);
    vec sum_lanes = {0};

    for (uint32_t i = 0; i < width; i += VEC_LANES)
        max_lanes = vec_larger(element_at(x, i, width, -INFINITY), max_lanes);
    float max = vec_largest(max_lanes);
    for (uint32_t i = 0; i < width; i += VEC_LANES) {
        vec p = vec_exp(element_at(x, i, width, -INFINITY) - max);
        sum_lanes += p;
        vec_put(out, i, width, p);
    }
    float sum = vec_sum(sum_lanes);
    for (uint32_t i = 0; i < width; i += VEC_LANES)
        vec_put(out, i, width, vec_at(out, i, width, 0.0f) / sum);
}

void ISA(to_float_row)(const void *x, uint32_t width, float *out)
{
    for (uint32_t i = 0; i < width; i += VEC_LANES)
        vec_put(out, i, width, element_at(x, i, width, 0.0f));
}

void ISA(from_float_row)(const float *x, uint32_t width, void *out)
{
    for (uint32_t i = 0; i < width; i += VEC_LANES)
        element_put(out, i, width, vec_at(x, i, width, 0.0f));
}
