/* SPDX-License-Identifier: Apache-2.0 */
/* Twin of op_softmax: out[r][c] = exp(x[r][c] - max_r) / Σ_k exp(x[r][k] - max_r). */
#include <math.h>

#include "kernels/reference/reference.h"

int reference_softmax(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                      float *out)
{
    (void)stream;
    for (size_t r = 0; r < rows; r++) {
        const float *row = (const float *)x + r * width;
        double max = -INFINITY, sum = 0;
        for (uint32_t c = 0; c < width; c++)
            max = fmax(max, row[c]);
        for (uint32_t c = 0; c < width; c++)
            sum += exp(row[c] - max);
        for (uint32_t c = 0; c < width; c++)
            out[r * width + c] = (float)(exp(row[c] - max) / sum);
    }
    return KERNEL_OK;
}
