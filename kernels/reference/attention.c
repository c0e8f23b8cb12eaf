/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twin of op_attention: for each text, head and query i
 *   out_i = Σ_j p_ij v_j,   p_ij = exp(s_ij - m_i) / Σ_k exp(s_ik - m_i),
 *   s_ij = scale * q_i·k_j, m_i = max_j s_ij,   j over the tokens of the same text.
 */
#include <math.h>
#include <stdlib.h>

#include "kernels/reference/reference.h"

/* One query of one head against the keys of its text; scores: room for `length` doubles. */
static void attend(const float *query, const float *keys, const float *values, size_t stride,
                   uint32_t length, uint32_t width, float scale, double *scores, float *out)
{
    double max = -INFINITY, sum = 0;

    for (uint32_t j = 0; j < length; j++) {
        double dot = 0;
        for (uint32_t c = 0; c < width; c++)
            dot += (double)query[c] * keys[j * stride + c];
        scores[j] = dot * scale;
        max = fmax(max, scores[j]);
    }
    for (uint32_t j = 0; j < length; j++) {
        scores[j] = exp(scores[j] - max);
        sum += scores[j];
    }
    for (uint32_t c = 0; c < width; c++) {
        double total = 0;
        for (uint32_t j = 0; j < length; j++)
            total += scores[j] * values[j * stride + c];
        out[c] = (float)(total / sum);
    }
}

int reference_attention(struct device_stream *stream, const struct token_batch *batch,
                        const void *qkv, uint32_t heads, uint32_t head_width, float scale,
                        void *out)
{
    const uint32_t *starts = host_batch(batch)->cu_seqlens;
    size_t width = (size_t)heads * head_width;
    size_t stride = 3 * width;
    double *scores = calloc(batch->longest, sizeof(*scores));

    (void)stream;
    if (!scores)
        return KERNEL_NO_MEMORY;
    for (uint32_t s = 0; s < batch->texts; s++) {
        const float *text = (const float *)qkv + starts[s] * stride;
        uint32_t length = starts[s + 1] - starts[s];
        for (uint32_t h = 0; h < heads; h++) {
            const float *head = text + (size_t)h * head_width;
            for (uint32_t i = 0; i < length; i++)
                attend(head + i * stride, head + width, head + 2 * width, stride, length,
                       head_width, scale, scores,
                       (float *)out + (starts[s] + i) * width + (size_t)h * head_width);
        }
    }
    free(scores);
    return KERNEL_OK;
}
