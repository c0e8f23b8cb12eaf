/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twins of op_add_norm and op_embed: both end in LayerNorm,
 * out = (v - mean(v)) / sqrt(var(v) + epsilon) * gamma + beta, with the population variance.
 */
#include <math.h>
#include <stdlib.h>

#include "kernels/reference/reference.h"

static void norm_row(const struct norm_weight *norm, const double *row, float *out)
{
    const struct host_norm *weight = host_norm(norm);
    uint32_t width = norm->width;
    double sum = 0, squares = 0;

    for (uint32_t i = 0; i < width; i++)
        sum += row[i];
    double mean = sum / width;
    for (uint32_t i = 0; i < width; i++)
        squares += (row[i] - mean) * (row[i] - mean);
    double deviation = sqrt(squares / width + norm->epsilon);
    for (uint32_t i = 0; i < width; i++)
        out[i] = (float)((row[i] - mean) / deviation * weight->gamma[i] + weight->beta[i]);
}

int reference_add_norm(struct device_stream *stream, const struct norm_weight *norm, const void *x,
                       const void *residual, uint32_t rows, void *out)
{
    double *row = calloc(norm->width, sizeof(*row));
    size_t width = norm->width;

    (void)stream;
    if (!row)
        return KERNEL_NO_MEMORY;
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < width; i++)
            row[i] = (double)((const float *)x)[r * width + i] +
                     ((const float *)residual)[r * width + i];
        norm_row(norm, row, (float *)out + r * width);
    }
    free(row);
    return KERNEL_OK;
}

int reference_embed(struct device_stream *stream, const struct embedding_weight *weight,
                    const struct token_batch *token_batch, void *out)
{
    const struct host_embedding *tables = host_embedding(weight);
    const struct host_batch *batch = host_batch(token_batch);
    size_t width = weight->tables.width;
    double *row = calloc(width, sizeof(*row));

    (void)stream;
    if (!row)
        return KERNEL_NO_MEMORY;
    for (size_t t = 0; t < token_batch->tokens; t++) {
        for (size_t i = 0; i < width; i++) {
            row[i] = (double)tables->words[batch->ids[t] * width + i] +
                     tables->positions[batch->positions[t] * width + i];
            if (tables->types)
                row[i] += tables->types[batch->types[t] * width + i];
        }
        norm_row(weight->norm, row, (float *)out + t * width);
    }
    free(row);
    return KERNEL_OK;
}
