/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twin of op_pool: one vector per text, v = mean, first row or column-wise maximum of its rows;
 * normalised: v / max(√(Σ v²), 1e-12). A text without tokens: zeros.
 */
#include <math.h>
#include <stdlib.h>

#include "kernels/reference/reference.h"

static double pool_column(const float *column, size_t stride, uint32_t length, enum pool_mode mode)
{
    double sum = 0, max = -INFINITY;

    if (length == 0)
        return 0;
    switch (mode) {
    case POOL_FIRST:
        return column[0];
    case POOL_MEAN:
        for (uint32_t t = 0; t < length; t++)
            sum += column[t * stride];
        return sum / length;
    case POOL_MAX:
        for (uint32_t t = 0; t < length; t++)
            max = max > column[t * stride] ? max : column[t * stride];
        /* A comparison passes over NaN; a NaN anywhere in the column is the result. */
        for (uint32_t t = 0; t < length; t++)
            max = isnan(column[t * stride]) ? NAN : max;
        return max;
    }
    return NAN;
}

int reference_pool(struct device_stream *stream, const struct token_batch *batch, const void *x,
                   uint32_t width, enum pool_mode mode, bool normalise, float *out)
{
    const uint32_t *starts = host_batch(batch)->cu_seqlens;
    double *vector = calloc(width, sizeof(*vector));

    (void)stream;
    if (!vector)
        return KERNEL_NO_MEMORY;
    for (uint32_t s = 0; s < batch->texts; s++) {
        const float *text = (const float *)x + (size_t)starts[s] * width;
        double squares = 0;
        for (uint32_t c = 0; c < width; c++) {
            vector[c] = pool_column(text + c, width, starts[s + 1] - starts[s], mode);
            squares += vector[c] * vector[c];
        }
        double norm = sqrt(squares) < 1e-12 ? 1e-12 : sqrt(squares);
        for (uint32_t c = 0; c < width; c++)
            out[(size_t)s * width + c] = (float)(normalise ? vector[c] / norm : vector[c]);
    }
    free(vector);
    return KERNEL_OK;
}
