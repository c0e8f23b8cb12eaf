/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of the CPU device, compiled per instruction set: softmax(Q Kᵀ scale) V for one head of
 * one text, by blocks of keys with an online softmax.
 *
 * For each block of ATTENTION_KEYS keys: K is packed transposed and V in rows, both by steps
 * (element.h; they are then read straight through); for each block of queries S = Q Kᵀ (tiles),
 * then per query m' = max(m, max_j s_j),  p_j = exp(s_j - m'),  l = l exp(m - m') + Σ p_j, o = o
 * exp(m - m') + Σ p_j v_j (tiles); at the end out = o / l. All but the factors of the two products
 * is fp32: p_j is rounded to an element for the second. Texts of at most one key block see an
 * ordinary softmax. Blocks are counted from the text's own first token, so a text's result does not
 * depend on its batch.
 *
 * Only real keys enter: the lanes behind the last one are masked to -infinity in the maximum and
 * have no part in the products, since what lies there belongs to another text.
 */
#include "kernels/cpu/isa.h"

#include "kernels/cpu/tile.h"

static ALWAYS_INLINE uint32_t whole_vecs(uint32_t count)
{
    return (count + VEC_LANES - 1) / VEC_LANES;
}

/* Where the parts of a thread's scratch are (ATTENTION_SCRATCH in isa.h). */
struct scratch {
    step *keys;      /* [steps of head_width][ATTENTION_KEYS] */
    step *values;    /* [steps of ATTENTION_KEYS][padded] */
    float *scores;   /* [ATTENTION_BLOCK][ATTENTION_KEYS]; then elements, the same bytes to a row */
    float *outputs;  /* [ATTENTION_QUERIES][padded] */
    float *maxima;   /* [ATTENTION_QUERIES] */
    float *sums;     /* [ATTENTION_QUERIES] */
    uint32_t padded; /* head_width in whole vectors */
};

static struct scratch scratch_divide(float *memory, uint32_t head_width)
{
    struct scratch s = {.padded = whole_vecs(head_width) * VEC_LANES};

    s.keys = (step *)memory;
    s.values = s.keys + (size_t)s.padded * ATTENTION_KEYS;
    s.scores = memory + 2 * (size_t)s.padded * ATTENTION_KEYS;
    s.outputs = s.scores + ATTENTION_BLOCK * ATTENTION_KEYS;
    s.maxima = s.outputs + (size_t)ATTENTION_QUERIES * s.padded;
    s.sums = s.maxima + ATTENTION_QUERIES;
    return s;
}

/* A head's rows are kilobytes apart, too far for the processor to see them coming: the next head's,
 * which lie behind these, are asked for now. */
static ALWAYS_INLINE void next_head_prefetch(const element *key_row, const struct cpu_attention *a)
{
    for (uint32_t c = 0; c < a->head_width; c += 64 / sizeof(element)) {
        __builtin_prefetch(key_row - a->width + a->head_width + c);
        __builtin_prefetch(key_row + a->head_width + c);
        __builtin_prefetch(key_row + a->width + a->head_width + c);
    }
}

/* keys[c][j] and values[j][c] of the block that starts at `key`; columns beyond head_width and
 * lanes beyond the last key are zeros. */
static void block_pack(const struct cpu_attention *a, uint32_t key, uint32_t count,
                       const struct scratch *s)
{
    size_t stride = 3 * (size_t)a->width;
    const element *keys = (const element *)a->query + key * stride + a->width;
    const element *values = keys + a->width;
    uint32_t steps = step_count(a->head_width);

    for (uint32_t j = 0; j < count; j += VEC_LANES)
        for (uint32_t c = 0; c < steps; c += VEC_LANES) {
            vec square[VEC_LANES] = {0};
            for (uint32_t i = 0; i < VEC_LANES && j + i < count; i++)
                square[i] = step_row(keys + (j + i) * stride, c, a->head_width);
            vec_transpose(square);
            for (uint32_t i = 0; i < VEC_LANES && c + i < steps; i++)
                memcpy(s->keys + (size_t)(c + i) * ATTENTION_KEYS + j, &square[i], sizeof(vec));
        }
    for (uint32_t j = 0; j < count; j += STEP) {
        step *to = s->values + j / STEP * s->padded;
        for (uint32_t i = 0; i < STEP; i++)
            next_head_prefetch(keys + (j + i) * stride, a);
        for (uint32_t c = 0; c < s->padded; c += VEC_LANES) {
            vec v = step_columns(values + j * stride, stride, count - j, c, a->head_width);
            memcpy(to + c, &v, sizeof(v));
        }
    }
}

/* Scales one query's scores of the block, -infinity behind the last; returns their maximum and that
 * of the blocks before. A NaN is no maximum: it reaches the sum by itself. */
static float scores_scale(float *scores, uint32_t count, float scale, float maximum)
{
    vec max_lanes = vec_splat(maximum);

    for (uint32_t j = 0; j < count; j += VEC_LANES) {
        vec v = vec_at(scores, j, count, -INFINITY) * scale;
        max_lanes = vec_larger(v, max_lanes);
        vec_store(scores + j, v);
    }
    return vec_largest(max_lanes);
}

/* Scaled scores become elements exp(score - maximum); returns their sum. */
static float scores_exponentiate(float *scores, uint32_t count, float maximum)
{
    vec sum_lanes = {0};

    for (uint32_t j = 0; j < count; j += VEC_LANES) {
        vec p = vec_exp(vec_load(scores + j) - maximum);
        sum_lanes += p;
        element_store((element *)scores + j, p);
    }
    return vec_sum(sum_lanes);
}

/* The scores of a block of queries become probabilities so far; maxima, sums and outputs are
 * brought to the new maxima. One pass over all queries after the other: within a query each step
 * waits for the one before, and different queries do not. */
static void scores_normalise(const struct cpu_attention *a, uint32_t first, uint32_t queries,
                             uint32_t keys, bool is_first_block, const struct scratch *s)
{
    float maxima[ATTENTION_BLOCK];

    for (uint32_t q = 0; q < queries; q++)
        maxima[q] = scores_scale(s->scores + q * ATTENTION_KEYS, keys, a->scale,
                                 is_first_block ? -INFINITY : s->maxima[first + q]);
    for (uint32_t q = 0; q < queries; q++) {
        float sum = scores_exponentiate(s->scores + q * ATTENTION_KEYS, keys, maxima[q]);
        if (!is_first_block) {
            float *outputs = s->outputs + (size_t)(first + q) * s->padded;
            vec correction = vec_exp(vec_splat(s->maxima[first + q]) - maxima[q]);
            for (uint32_t c = 0; c < s->padded; c += VEC_LANES)
                vec_store(outputs + c, vec_load(outputs + c) * correction);
            sum += s->sums[first + q] * correction[0];
        }
        s->sums[first + q] = sum;
        s->maxima[first + q] = maxima[q];
    }
}

/* Queries [first, first + queries) of the part against one packed block of `keys` keys. */
static void block_attend(const struct cpu_attention *a, const element *query, uint32_t first,
                         uint32_t queries, uint32_t keys, bool is_first_block,
                         const struct scratch *s)
{
    static const float zeros[ATTENTION_WIDTH_MAX];
    float *outputs = s->outputs + (size_t)first * s->padded;
    struct tile scores = {.x = query,
                          .x_stride = 3 * (size_t)a->width,
                          .panel = s->keys,
                          .panel_stride = ATTENTION_KEYS,
                          .start = zeros,
                          .start_stride = 0,
                          .y = s->scores,
                          .y_stride = ATTENTION_KEYS,
                          .depth = a->head_width};
    struct tile sums = {.x = (const element *)s->scores,
                        .x_stride = ATTENTION_KEYS * sizeof(float) / sizeof(element),
                        .panel = s->values,
                        .panel_stride = s->padded,
                        .start = is_first_block ? zeros : outputs,
                        .start_stride = is_first_block ? 0 : s->padded,
                        .y = outputs,
                        .y_stride = s->padded,
                        .depth = keys};

    tiles_run(scores, queries, whole_vecs(keys));
    scores_normalise(a, first, queries, keys, is_first_block, s);
    tiles_run(sums, queries, whole_vecs(a->head_width));
}

void ISA(attend)(const struct cpu_attention *a, uint32_t query, uint32_t query_end, float *memory)
{
    struct scratch s = scratch_divide(memory, a->head_width);
    const element *first = (const element *)a->query + query * 3 * (size_t)a->width;
    uint32_t queries = query_end - query;

    for (uint32_t key = 0; key < a->length; key += ATTENTION_KEYS) {
        uint32_t keys = a->length - key < ATTENTION_KEYS ? a->length - key : ATTENTION_KEYS;
        block_pack(a, key, keys, &s);
        for (uint32_t q = 0; q < queries; q += ATTENTION_BLOCK)
            block_attend(a, first + q * 3 * (size_t)a->width, q,
                         queries - q < ATTENTION_BLOCK ? queries - q : ATTENTION_BLOCK, keys,
                         key == 0, &s);
    }

    for (uint32_t q = 0; q < queries; q++) {
        element *out = (element *)a->out + (query + q) * (size_t)a->width;
        const float *outputs = s.outputs + (size_t)q * s.padded;
        float factor = 1.0f / s.sums[q];
        for (uint32_t c = 0; c < a->head_width; c += VEC_LANES)
            element_put(out, c, a->head_width, vec_load(outputs + c) * factor);
    }
}
