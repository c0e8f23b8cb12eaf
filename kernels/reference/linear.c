/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twin of op_linear: y[r][o] = epilogue(Σ_i x[r][i] W[o][i] + b[o]).
 * The weight stays as checkpoints store it, [out, in] row-major.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/reference/reference.h"

struct reference_linear {
    struct linear_weight base;
    float *weight; /* [out, in], owned */
    float *bias;   /* [out], owned; zeros where the model has none */
};

int reference_linear_weight_create(struct device *device, const float *weight, const float *bias,
                                   uint32_t out_width, uint32_t in_width,
                                   struct linear_weight **ret_weight)
{
    struct reference_linear *linear = calloc(1, sizeof(*linear));
    size_t count = (size_t)out_width * in_width;

    if (!linear)
        return KERNEL_NO_MEMORY;
    linear->base.device = device;
    linear->weight = host_array(count, sizeof(float));
    linear->bias = calloc(out_width, sizeof(float));
    if (!linear->weight || !linear->bias) {
        reference_linear_weight_destroy(&linear->base);
        return KERNEL_NO_MEMORY;
    }
    memcpy(linear->weight, weight, count * sizeof(float));
    if (bias)
        memcpy(linear->bias, bias, out_width * sizeof(float));
    *ret_weight = &linear->base;
    return KERNEL_OK;
}

void reference_linear_weight_destroy(struct linear_weight *weight)
{
    struct reference_linear *linear = (struct reference_linear *)weight;

    free(linear->weight);
    free(linear->bias);
    free(linear);
}

static double epilogue_apply(enum linear_epilogue epilogue, double z)
{
    switch (epilogue) {
    case LINEAR_PLAIN:
        break;
    case LINEAR_GELU:
        return 0.5 * z * (1 + erf(z / sqrt(2)));
    case LINEAR_TANH:
        return tanh(z);
    case LINEAR_RELU:
        return z < 0 ? 0 : z; /* NaN stays NaN */
    }
    return z;
}

int reference_linear(struct device_stream *stream, const struct linear_weight *weight,
                     enum linear_epilogue epilogue, const void *x, uint32_t rows, void *y)
{
    const struct reference_linear *linear = (const struct reference_linear *)weight;
    size_t in = weight->in_width;
    size_t out = weight->out_width;

    (void)stream;
    for (size_t r = 0; r < rows; r++) {
        const float *x_row = (const float *)x + r * in;
        float *y_row = (float *)y + r * out;
        for (size_t o = 0; o < out; o++) {
            const float *w_row = linear->weight + o * in;
            double z = linear->bias[o];
            for (size_t i = 0; i < in; i++)
                z += (double)x_row[i] * w_row[i];
            y_row[o] = (float)epilogue_apply(epilogue, z);
        }
    }
    return KERNEL_OK;
}
