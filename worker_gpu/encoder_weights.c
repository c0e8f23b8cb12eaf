/* SPDX-License-Identifier: Apache-2.0 */
/* encoder_weights: see encoder_weights.h. */
#include "worker_gpu/encoder_weights.h"

#include <stdlib.h>

#include "worker_gpu/kernel_error.h"

/* Reads tensors of one model into fp32 scratch memory that is reused. */
struct loader {
    struct device *device;
    const struct model *model;
    float *weight; /* room for the largest matrix, or three of the attention's */
    float *bias;
    struct error *err;
};

static int read_role(const struct loader *loader, enum weight_role role, uint32_t layer, float *out)
{
    return tensor_to_float(model_weights_get(loader->model->weights, role, layer), out,
                           loader->err);
}

/* One matrix of `count` roles that follow each other in pairs (weight, bias), put together by rows.
 */
static int load_linear(const struct loader *loader, enum weight_role first, uint32_t count,
                       uint32_t layer, struct linear_weight **ret_weight)
{
    uint32_t rows = 0, columns = 0;
    for (uint32_t i = 0; i < count; i++) {
        enum weight_role role = (enum weight_role)(first + 2 * i);
        const struct tensor *tensor = model_weights_get(loader->model->weights, role, layer);
        columns = (uint32_t)tensor->shape[1];
        int code = read_role(loader, role, layer, loader->weight + (size_t)rows * columns);
        if (code == 0)
            code = read_role(loader, (enum weight_role)(role + 1), layer, loader->bias + rows);
        if (code != 0)
            return code;
        rows += (uint32_t)tensor->shape[0];
    }
    int status = linear_weight_create(loader->device, loader->weight, loader->bias, rows, columns,
                                      ret_weight);
    return kernel_error_set(loader->err, status, loader->device, "could not load a matrix");
}

static int load_norm(const struct loader *loader, enum weight_role gamma, uint32_t layer,
                     struct norm_weight **ret_norm)
{
    int code = read_role(loader, gamma, layer, loader->weight);
    if (code == 0)
        code = read_role(loader, (enum weight_role)(gamma + 1), layer, loader->bias);
    if (code != 0)
        return code;
    const struct model_config *config = &loader->model->config;
    int status = norm_weight_create(loader->device, loader->weight, loader->bias,
                                    config->hidden_size, config->norm_epsilon, ret_norm);
    return kernel_error_set(loader->err, status, loader->device, "could not load a norm");
}

/* fp32 copy of a tensor; the caller frees it. NULL with the loader's err set. */
static float *read_table(const struct loader *loader, enum weight_role role)
{
    const struct tensor *tensor = model_weights_get(loader->model->weights, role, 0);
    float *table = malloc(tensor->count * sizeof *table);
    if (table == NULL) {
        error_set(loader->err, ERR_MEMORY, "out of memory");
        return NULL;
    }
    if (tensor_to_float(tensor, table, loader->err) != 0) {
        free(table);
        return NULL;
    }
    return table;
}

static int load_embedding(const struct loader *loader, struct encoder_weights *weights)
{
    const struct model_config *config = &loader->model->config;
    int code = load_norm(loader, WEIGHT_EMBEDDING_NORM_GAMMA, 0, &weights->embedding_norm);
    if (code != 0)
        return code;
    float *words = read_table(loader, WEIGHT_WORDS);
    float *positions = words != NULL ? read_table(loader, WEIGHT_POSITIONS) : NULL;
    bool has_types = config->type_count > 0;
    float *types = positions != NULL && has_types ? read_table(loader, WEIGHT_TYPES) : NULL;
    if (positions == NULL || (has_types && types == NULL)) {
        code = loader->err->code;
    } else {
        struct embedding_tables tables = {
            words,
            positions,
            types,
            config->vocab_size,
            config->position_count,
            config->type_count,
            config->hidden_size,
        };
        int status = embedding_weight_create(loader->device, &tables, weights->embedding_norm,
                                             &weights->embedding);
        code =
            kernel_error_set(loader->err, status, loader->device, "could not load the embeddings");
    }
    free(words);
    free(positions);
    free(types);
    return code;
}

static int load_layer(const struct loader *loader, uint32_t index, struct encoder_layer *layer)
{
    int code = load_linear(loader, WEIGHT_QUERY, 3, index, &layer->qkv);
    if (code == 0)
        code = load_linear(loader, WEIGHT_ATTENTION_OUT, 1, index, &layer->attention_out);
    if (code == 0)
        code = load_norm(loader, WEIGHT_ATTENTION_NORM_GAMMA, index, &layer->attention_norm);
    if (code == 0)
        code = load_linear(loader, WEIGHT_UP, 1, index, &layer->up);
    if (code == 0)
        code = load_linear(loader, WEIGHT_DOWN, 1, index, &layer->down);
    if (code == 0)
        code = load_norm(loader, WEIGHT_OUTPUT_NORM_GAMMA, index, &layer->output_norm);
    return code;
}

static int load_all(const struct loader *loader, struct encoder_weights *weights)
{
    int code = load_embedding(loader, weights);
    for (uint32_t i = 0; code == 0 && i < weights->layer_count; i++)
        code = load_layer(loader, i, &weights->layers[i]);
    if (code == 0 && loader->model->config.label_count > 0)
        code = load_linear(loader, WEIGHT_POOLER, 1, 0, &weights->pooler);
    if (code == 0 && loader->model->config.label_count > 0)
        code = load_linear(loader, WEIGHT_CLASSIFIER, 1, 0, &weights->classifier);
    return code;
}

int encoder_weights_load(struct device *device, const struct model *model,
                         struct encoder_weights *ret_weights, struct error *err)
{
    const struct model_config *config = &model->config;
    struct error own;
    size_t width = config->hidden_size;
    size_t rows = 3 * width;
    if (config->intermediate_size > rows)
        rows = config->intermediate_size;
    if (config->label_count > rows)
        rows = config->label_count;
    struct encoder_weights weights = {
        .layer_count = config->layer_count,
        .layers = calloc(config->layer_count, sizeof *weights.layers),
    };
    struct loader loader = {
        .device = device,
        .model = model,
        .weight = malloc(rows * width * sizeof(float)),
        .bias = malloc(rows * sizeof(float)),
        .err = err != NULL ? err : &own,
    };
    int code = weights.layers == NULL || loader.weight == NULL || loader.bias == NULL
                   ? error_set(err, ERR_MEMORY, "out of memory")
                   : load_all(&loader, &weights);
    free(loader.weight);
    free(loader.bias);
    if (code != 0)
        encoder_weights_unload(&weights);
    else
        *ret_weights = weights;
    return code;
}

static void layer_unload(struct encoder_layer *layer)
{
    linear_weight_destroy(layer->qkv);
    linear_weight_destroy(layer->attention_out);
    norm_weight_destroy(layer->attention_norm);
    linear_weight_destroy(layer->up);
    linear_weight_destroy(layer->down);
    norm_weight_destroy(layer->output_norm);
}

void encoder_weights_unload(struct encoder_weights *weights)
{
    for (uint32_t i = 0; weights->layers != NULL && i < weights->layer_count; i++)
        layer_unload(&weights->layers[i]);
    free(weights->layers);
    linear_weight_destroy(weights->pooler);
    linear_weight_destroy(weights->classifier);
    embedding_weight_destroy(weights->embedding);
    norm_weight_destroy(weights->embedding_norm);
}
