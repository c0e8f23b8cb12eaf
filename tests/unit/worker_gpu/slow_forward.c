/* SPDX-License-Identifier: Apache-2.0 */
/* slow_forward: see slow_forward.h. */
#include "tests/unit/worker_gpu/slow_forward.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

static void *take(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    ASSERT(memory != NULL);
    return memory;
}

static float *read_role(const struct model *model, enum weight_role role, uint32_t layer)
{
    const struct tensor *tensor = model_weights_get(model->weights, role, layer);
    float *values = take(tensor->count, sizeof *values);
    ASSERT(tensor_to_float(tensor, values, NULL) == 0);
    return values;
}

/* y[rows, out] = x[rows, in] Wᵀ + b, the roles being a weight and the bias after it. */
static void linear(const struct model *model, enum weight_role role, uint32_t layer,
                   const double *x, uint32_t rows, double *y)
{
    const struct tensor *tensor = model_weights_get(model->weights, role, layer);
    size_t out = tensor->shape[0], in = tensor->shape[1];
    float *weight = read_role(model, role, layer);
    float *bias = read_role(model, (enum weight_role)(role + 1), layer);
    for (size_t r = 0; r < rows; r++) {
        for (size_t o = 0; o < out; o++) {
            double sum = bias[o];
            for (size_t i = 0; i < in; i++)
                sum += x[r * in + i] * weight[o * in + i];
            y[r * out + o] = sum;
        }
    }
    free(weight);
    free(bias);
}

static void layer_norm(const struct model *model, enum weight_role gamma_role, uint32_t layer,
                       double *x, uint32_t rows)
{
    size_t width = model->config.hidden_size;
    float *gamma = read_role(model, gamma_role, layer);
    float *beta = read_role(model, (enum weight_role)(gamma_role + 1), layer);
    for (size_t r = 0; r < rows; r++) {
        double *row = x + r * width, mean = 0, variance = 0;
        for (size_t i = 0; i < width; i++)
            mean += row[i] / (double)width;
        for (size_t i = 0; i < width; i++)
            variance += (row[i] - mean) * (row[i] - mean) / (double)width;
        double scale = 1 / sqrt(variance + (double)model->config.norm_epsilon);
        for (size_t i = 0; i < width; i++)
            row[i] = (row[i] - mean) * scale * gamma[i] + beta[i];
    }
    free(gamma);
    free(beta);
}

static void softmax(double *x, size_t count)
{
    double largest = x[0], sum = 0;
    for (size_t i = 1; i < count; i++)
        largest = fmax(largest, x[i]);
    for (size_t i = 0; i < count; i++)
        sum += x[i] = exp(x[i] - largest);
    for (size_t i = 0; i < count; i++)
        x[i] /= sum;
}

static void attention(const struct model *model, const double *q, const double *k, const double *v,
                      uint32_t rows, double *out)
{
    size_t width = model->config.hidden_size;
    size_t head_width = width / model->config.head_count;
    double *scores = take(rows, sizeof *scores);
    for (size_t head = 0; head < width; head += head_width) {
        for (size_t r = 0; r < rows; r++) {
            for (size_t c = 0; c < rows; c++) {
                scores[c] = 0;
                for (size_t i = head; i < head + head_width; i++)
                    scores[c] += q[r * width + i] * k[c * width + i] / sqrt((double)head_width);
            }
            softmax(scores, rows);
            for (size_t i = head; i < head + head_width; i++) {
                out[r * width + i] = 0;
                for (size_t c = 0; c < rows; c++)
                    out[r * width + i] += scores[c] * v[c * width + i];
            }
        }
    }
    free(scores);
}

static void embed(const struct model *model, const int32_t *ids, uint32_t count, double *x)
{
    size_t width = model->config.hidden_size;
    float *words = read_role(model, WEIGHT_WORDS, 0);
    float *positions = read_role(model, WEIGHT_POSITIONS, 0);
    float *types = model->config.type_count > 0 ? read_role(model, WEIGHT_TYPES, 0) : NULL;
    for (size_t r = 0; r < count; r++) {
        for (size_t i = 0; i < width; i++)
            x[r * width + i] = (double)words[(size_t)ids[r] * width + i] +
                               (double)positions[r * width + i] +
                               (types != NULL ? (double)types[i] : 0);
    }
    layer_norm(model, WEIGHT_EMBEDDING_NORM_GAMMA, 0, x, count);
    free(words);
    free(positions);
    free(types);
}

static void run_layer(const struct model *model, uint32_t layer, double *x, uint32_t count)
{
    size_t width = model->config.hidden_size, inner_width = model->config.intermediate_size;
    double *q = take(count * width, sizeof *q), *k = take(count * width, sizeof *k);
    double *v = take(count * width, sizeof *v), *mixed = take(count * width, sizeof *mixed);
    double *inner = take(count * inner_width, sizeof *inner);
    linear(model, WEIGHT_QUERY, layer, x, count, q);
    linear(model, WEIGHT_KEY, layer, x, count, k);
    linear(model, WEIGHT_VALUE, layer, x, count, v);
    attention(model, q, k, v, count, mixed);
    linear(model, WEIGHT_ATTENTION_OUT, layer, mixed, count, q);
    for (size_t i = 0; i < count * width; i++)
        x[i] += q[i];
    layer_norm(model, WEIGHT_ATTENTION_NORM_GAMMA, layer, x, count);
    linear(model, WEIGHT_UP, layer, x, count, inner);
    for (size_t i = 0; i < count * inner_width; i++)
        inner[i] = inner[i] / 2 * (1 + erf(inner[i] / sqrt(2)));
    linear(model, WEIGHT_DOWN, layer, inner, count, q);
    for (size_t i = 0; i < count * width; i++)
        x[i] += q[i];
    layer_norm(model, WEIGHT_OUTPUT_NORM_GAMMA, layer, x, count);
    free(q);
    free(k);
    free(v);
    free(mixed);
    free(inner);
}

static void pool(const struct model_config *config, const double *x, uint32_t count, double *vector)
{
    size_t width = config->hidden_size;
    double squares = 0;
    for (size_t i = 0; i < width; i++) {
        vector[i] = x[i];
        for (size_t r = 1; r < count; r++) {
            if (config->pooling == MODEL_POOL_MEAN)
                vector[i] += x[r * width + i];
            else if (config->pooling == MODEL_POOL_MAX)
                vector[i] = fmax(vector[i], x[r * width + i]);
        }
        if (config->pooling == MODEL_POOL_MEAN)
            vector[i] /= count;
        squares += vector[i] * vector[i];
    }
    for (size_t i = 0; config->normalise && i < width; i++)
        vector[i] /= fmax(sqrt(squares), 1e-12);
}

static void classify(const struct model *model, const double *first, double *probabilities)
{
    size_t width = model->config.hidden_size;
    double *pooled = take(width, sizeof *pooled);
    linear(model, WEIGHT_POOLER, 0, first, 1, pooled);
    for (size_t i = 0; i < width; i++)
        pooled[i] = model->config.family == MODEL_BERT ? tanh(pooled[i]) : fmax(pooled[i], 0);
    linear(model, WEIGHT_CLASSIFIER, 0, pooled, 1, probabilities);
    if (model->config.label_count > 1)
        softmax(probabilities, model->config.label_count);
    else
        probabilities[0] = 1 / (1 + exp(-probabilities[0]));
    free(pooled);
}

void slow_forward(const struct model *model, const int32_t *ids, uint32_t count, double *ret_vector,
                  double *ret_probabilities)
{
    double *x = take((size_t)count * model->config.hidden_size, sizeof *x);
    embed(model, ids, count, x);
    for (uint32_t layer = 0; layer < model->config.layer_count; layer++)
        run_layer(model, layer, x, count);
    pool(&model->config, x, count, ret_vector);
    if (model->config.label_count > 0)
        classify(model, x, ret_probabilities);
    free(x);
}
