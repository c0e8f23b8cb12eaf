/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attention of the CPU device, compiled per instruction set: softmax(Q Kᵀ scale) V for one head of
 * one text, by blocks of keys with an online softmax.
 *
 * For each block of ATTENTION_KEYS keys: K is packed transposed and V in rows (both are then read
 * straight through); for each block of queries S = Q Kᵀ (tiles), then per query
 *   m' = max(m, max_j s_j),  p_j = exp(s_j - m'),  l = l exp(m - m') + Σ p_j,
 *   o = o exp(m - m') + Σ p_j v_j (tiles);
 * at the end out = o / l. Texts of at most one key block see an ordinary softmax. Blocks are
 * counted from the text's own first token, so a text's result does not depend on its batch.
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
    float *keys;     /* [head_width][ATTENTION_KEYS] */
    float *values;   /* [ATTENTION_KEYS][padded] */
    float *scores;   /* [ATTENTION_BLOCK][ATTENTION_KEYS] */
    float *outputs;  /* [ATTENTION_QUERIES][padded] */
    float *maxima;   /* [ATTENTION_QUERIES] */
    float *sums;     /* [ATTENTION_QUERIES] */
    uint32_t padded; /* head_width in whole vectors */
};

static struct scratch scratch_divide(float *memory, uint32_t head_width)
{
    struct scratch s = {.padded = whole_vecs(head_width) * VEC_LANES};

    s.keys = memory;
    s.values = s.keys + (size_t)head_width * ATTENTION_KEYS;
    s.scores = s.values + (size_t)ATTENTION_KEYS * s.padded;
    s.outputs = s.scores + ATTENTION_BLOCK * ATTENTION_KEYS;
    s.maxima = s.outputs + (size_t)ATTENTION_QUERIES * s.padded;
    s.sums = s.maxima + ATTENTION_QUERIES;
    return s;
}

/* keys[c][j] and values[j][c] of the block that starts at `key`; columns beyond head_width and
 * lanes beyond the last key are zeros. */
static void block_pack(const struct cpu_attention *a, uint32_t key, uint32_t count,
                       const struct scratch *s)
{
    size_t stride = 3 * (size_t)a->width;
    const float *keys = a->query + key * stride + a->width;
    const float *values = keys + a->width;
    uint32_t lanes = whole_vecs(count) * VEC_LANES;

    /* A head's rows are kilobytes apart, too far for the processor to see them coming: the next
     * head's, which lie behind these, are asked for now. */
    for (uint32_t j = 0; j < count; j++) {
        const float *key_row = keys + j * stride;
        for (uint32_t c = 0; c < a->head_width; c += 16) {
            __builtin_prefetch(key_row - a->width + a->head_width + c);
            __builtin_prefetch(key_row + a->head_width + c);
            __builtin_prefetch(key_row + a->width + a->head_width + c);
        }
        float *value_row = s->values + (size_t)j * s->padded;
        for (uint32_t c = 0; c < a->head_width; c++)
            s->keys[(size_t)c * ATTENTION_KEYS + j] = key_row[c];
        for (uint32_t c = 0; c < s->padded; c += VEC_LANES)
            vec_store(value_row + c, vec_at(values + j * stride, c, a->head_width, 0.0f));
    }
    for (uint32_t c = 0; c < a->head_width; c++)
        for (uint32_t j = count; j < lanes; j++)
            s->keys[(size_t)c * ATTENTION_KEYS + j] = 0.0f;
}

/* One query's scores of the block become exp(score * scale - maximum); its maximum, sum and output
 * so far are brought to the new maximum. */
static void scores_normalise(float *scores, uint32_t count, float scale, float *maximum, float *sum,
                             float *outputs, uint32_t padded)
{
    vec max_lanes = vec_splat(*maximum);
    vec sum_lanes = {0};

    for (uint32_t j = 0; j < count; j += VEC_LANES) {
        vec v = vec_at(scores, j, count, -INFINITY) * scale;
        max_lanes = vec_max(max_lanes, v);
        vec_store(scores + j, v);
    }
    float new_maximum = vec_largest(max_lanes);
    for (uint32_t j = 0; j < count; j += VEC_LANES) {
        vec p = vec_exp(vec_load(scores + j) - new_maximum);
        sum_lanes += p;
        vec_store(scores + j, p);
    }

    vec correction = vec_exp(vec_splat(*maximum) - new_maximum);
    for (uint32_t c = 0; c < padded; c += VEC_LANES)
        vec_store(outputs + c, vec_load(outputs + c) * correction);
    *sum = *sum * correction[0] + vec_sum(sum_lanes);
    *maximum = new_maximum;
}

/* Queries [first, first + queries) of the part against one packed block of `keys` keys. */
static void block_attend(const struct cpu_attention *a, const float *query, uint32_t first,
                         uint32_t queries, uint32_t keys, const struct scratch *s)
{
    static const float zeros[ATTENTION_KEYS];
    size_t stride = 3 * (size_t)a->width;
    float *outputs = s->outputs + (size_t)first * s->padded;
    struct tile scores = {.x = query,
                          .x_stride = stride,
                          .panel = s->keys,
                          .panel_stride = ATTENTION_KEYS,
                          .start = zeros,
                          .start_stride = 0,
                          .y = s->scores,
                          .y_stride = ATTENTION_KEYS,
                          .depth = a->head_width};
    struct tile sums = {.x = s->scores,
                        .x_stride = ATTENTION_KEYS,
                        .panel = s->values,
                        .panel_stride = s->padded,
                        .start = outputs,
                        .start_stride = s->padded,
                        .y = outputs,
                        .y_stride = s->padded,
                        .depth = keys};

    tiles_run(scores, queries, whole_vecs(keys));
    for (uint32_t q = 0; q < queries; q++)
        scores_normalise(s->scores + q * ATTENTION_KEYS, keys, a->scale, &s->maxima[first + q],
                         &s->sums[first + q], outputs + (size_t)q * s->padded, s->padded);
    tiles_run(sums, queries, whole_vecs(a->head_width));
}

void ISA(attend)(const struct cpu_attention *a, uint32_t query, uint32_t query_end, float *memory)
{
    struct scratch s = scratch_divide(memory, a->head_width);
    uint32_t queries = query_end - query;

    for (uint32_t q = 0; q < queries; q++) {
        s.maxima[q] = -INFINITY;
        s.sums[q] = 0.0f;
    }
    memset(s.outputs, 0, (size_t)queries * s.padded * sizeof(float));

    for (uint32_t key = 0; key < a->length; key += ATTENTION_KEYS) {
        uint32_t keys = a->length - key < ATTENTION_KEYS ? a->length - key : ATTENTION_KEYS;
        block_pack(a, key, keys, &s);
        for (uint32_t q = 0; q < queries; q += ATTENTION_BLOCK)
            block_attend(a, a->query + (query + q) * 3 * (size_t)a->width, q,
                         queries - q < ATTENTION_BLOCK ? queries - q : ATTENTION_BLOCK, keys, &s);
    }

    for (uint32_t q = 0; q < queries; q++) {
        float *out = a->out + (query + q) * (size_t)a->width;
        const float *outputs = s.outputs + (size_t)q * s.padded;
        for (uint32_t c = 0; c < a->head_width; c += VEC_LANES)
            vec_put(out, c, a->head_width, vec_load(outputs + c) / s.sums[q]);
    }
}
