/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder: see encoder.h.
 *
 *   x = LayerNorm(word + position + type)
 *   each layer: x = LayerNorm(x + attention(x Wqkv) Wo);  x = LayerNorm(x + gelu(x Wup) Wdown)
 *   vectors: pooling of x;  classes: softmax(classifier(pooler(x of the first token)))
 */
#include "worker_gpu/encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "worker_gpu/kernel_error.h"

struct layer {
    struct linear_weight *qkv;
    struct linear_weight *attention_out;
    struct norm_weight *attention_norm;
    struct linear_weight *up;
    struct linear_weight *down;
    struct norm_weight *output_norm;
};

struct encoder {
    /* identity */
    struct device *device;
    struct device_stream *stream;

    /* the model */
    uint32_t width;
    uint32_t head_count;
    uint32_t intermediate_width;
    uint32_t class_count;
    enum pool_mode pool_mode;
    bool normalise;
    enum linear_epilogue pooler_epilogue;
    struct norm_weight *embedding_norm;
    struct embedding_weight *embedding;
    uint32_t layer_count;
    struct layer *layers;
    struct linear_weight *pooler;
    struct linear_weight *classifier;

    /* memory of one step, on the device */
    uint32_t step_tokens;
    struct token_batch *batch;
    void *x;     /* [step_tokens, width] */
    void *qkv;   /* [step_tokens, 3 * width] */
    void *mixed; /* [step_tokens, width]: attention's output; the head's input */
    void *added; /* [step_tokens, width]: what is added to x; the head's inner layer */
    void *inner; /* [step_tokens, intermediate_width] */
    void *logits;
    float *pooled;
    float *classes;

    /* and on the host */
    uint32_t *cu_seqlens; /* [step_tokens + 1] */
};

/* ---- loading ---- */

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

static int load_embedding(const struct loader *loader, struct encoder *encoder)
{
    const struct model_config *config = &loader->model->config;
    int code = load_norm(loader, WEIGHT_EMBEDDING_NORM_GAMMA, 0, &encoder->embedding_norm);
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
        int status = embedding_weight_create(loader->device, &tables, encoder->embedding_norm,
                                             &encoder->embedding);
        code =
            kernel_error_set(loader->err, status, loader->device, "could not load the embeddings");
    }
    free(words);
    free(positions);
    free(types);
    return code;
}

static int load_layer(const struct loader *loader, uint32_t index, struct layer *layer)
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

static int load_all(const struct loader *loader, struct encoder *encoder)
{
    int code = load_embedding(loader, encoder);
    for (uint32_t i = 0; code == 0 && i < encoder->layer_count; i++)
        code = load_layer(loader, i, &encoder->layers[i]);
    if (code == 0 && encoder->class_count > 0)
        code = load_linear(loader, WEIGHT_POOLER, 1, 0, &encoder->pooler);
    if (code == 0 && encoder->class_count > 0)
        code = load_linear(loader, WEIGHT_CLASSIFIER, 1, 0, &encoder->classifier);
    return code;
}

static int load_weights(struct device *device, const struct model *model, struct encoder *encoder,
                        struct error *err)
{
    const struct model_config *config = &model->config;
    struct error own;
    size_t width = config->hidden_size;
    size_t rows = 3 * width;
    if (config->intermediate_size > rows)
        rows = config->intermediate_size;
    if (config->label_count > rows)
        rows = config->label_count;
    struct loader loader = {
        .device = device,
        .model = model,
        .weight = malloc(rows * width * sizeof(float)),
        .bias = malloc(rows * sizeof(float)),
        .err = err != NULL ? err : &own,
    };
    int code = loader.weight == NULL || loader.bias == NULL
                   ? error_set(err, ERR_MEMORY, "out of memory")
                   : load_all(&loader, encoder);
    free(loader.weight);
    free(loader.bias);
    return code;
}

/* ---- making and freeing ---- */

static int take_memory(struct encoder *encoder, struct error *err)
{
    size_t element = device_info(encoder->device)->activation_bytes;
    size_t tokens = encoder->step_tokens;
    size_t width = encoder->width;
    const struct {
        void **memory;
        size_t size;
    } parts[] = {
        {&encoder->x, tokens * width * element},
        {&encoder->qkv, tokens * 3 * width * element},
        {&encoder->mixed, tokens * width * element},
        {&encoder->added, tokens * width * element},
        {&encoder->inner, tokens * encoder->intermediate_width * element},
        {&encoder->logits, tokens * (encoder->class_count + 1) * element},
        {(void **)&encoder->pooled, tokens * width * sizeof(float)},
        {(void **)&encoder->classes, tokens * (encoder->class_count + 1) * sizeof(float)},
    };
    int status = device_stream_create(encoder->device, &encoder->stream);
    if (status == KERNEL_OK) /* every text has at least one token */
        status = token_batch_create(encoder->device, encoder->step_tokens, encoder->step_tokens,
                                    &encoder->batch);
    for (size_t i = 0; status == KERNEL_OK && i < sizeof parts / sizeof parts[0]; i++)
        status = device_alloc(encoder->device, parts[i].size, parts[i].memory);
    encoder->cu_seqlens = malloc((tokens + 1) * sizeof *encoder->cu_seqlens);
    if (encoder->cu_seqlens == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    return kernel_error_set(err, status, encoder->device, "could not take memory for batches");
}

static enum pool_mode pool_mode_of(enum model_pooling pooling)
{
    switch (pooling) {
    case MODEL_POOL_MEAN:
        return POOL_MEAN;
    case MODEL_POOL_FIRST:
        return POOL_FIRST;
    case MODEL_POOL_MAX:
        return POOL_MAX;
    }
    UNREACHABLE();
}

int encoder_create(struct device *device, const struct model *model, uint32_t step_tokens,
                   struct encoder **ret_encoder, struct error *err)
{
    const struct model_config *config = &model->config;
    if (step_tokens < config->max_seq_length || step_tokens > DEVICE_ROWS_MAX)
        return error_set(err, ERR_INVALID, "a step of %u tokens must hold a text of %u",
                         step_tokens, config->max_seq_length);
    struct encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    encoder->device = device;
    encoder->width = config->hidden_size;
    encoder->head_count = config->head_count;
    encoder->intermediate_width = config->intermediate_size;
    encoder->class_count = config->label_count;
    encoder->pool_mode = pool_mode_of(config->pooling);
    encoder->normalise = config->normalise;
    encoder->pooler_epilogue = config->family == MODEL_BERT ? LINEAR_TANH : LINEAR_RELU;
    encoder->layer_count = config->layer_count;
    encoder->step_tokens = step_tokens;
    encoder->layers = calloc(config->layer_count, sizeof *encoder->layers);
    int code = encoder->layers == NULL ? error_set(err, ERR_MEMORY, "out of memory")
                                       : take_memory(encoder, err);
    if (code == 0)
        code = load_weights(device, model, encoder, err);
    if (code != 0) {
        encoder_destroy(encoder);
        return code;
    }
    *ret_encoder = encoder;
    return 0;
}

static void layer_fini(struct layer *layer)
{
    linear_weight_destroy(layer->qkv);
    linear_weight_destroy(layer->attention_out);
    norm_weight_destroy(layer->attention_norm);
    linear_weight_destroy(layer->up);
    linear_weight_destroy(layer->down);
    norm_weight_destroy(layer->output_norm);
}

void encoder_destroy(struct encoder *encoder)
{
    if (encoder == NULL)
        return;
    for (uint32_t i = 0; encoder->layers != NULL && i < encoder->layer_count; i++)
        layer_fini(&encoder->layers[i]);
    free(encoder->layers);
    linear_weight_destroy(encoder->pooler);
    linear_weight_destroy(encoder->classifier);
    embedding_weight_destroy(encoder->embedding);
    norm_weight_destroy(encoder->embedding_norm);
    void *const memory[] = {encoder->x,     encoder->qkv,    encoder->mixed,  encoder->added,
                            encoder->inner, encoder->logits, encoder->pooled, encoder->classes};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        device_free(encoder->device, memory[i]);
    token_batch_destroy(encoder->batch);
    device_stream_destroy(encoder->stream);
    free(encoder->cu_seqlens);
    free(encoder);
}

uint32_t encoder_width(const struct encoder *encoder)
{
    return encoder->width;
}

uint32_t encoder_class_count(const struct encoder *encoder)
{
    return encoder->class_count;
}

/* ---- running ---- */

static int run_layer(const struct encoder *encoder, const struct layer *layer, uint32_t tokens)
{
    struct device_stream *stream = encoder->stream;
    uint32_t head_width = encoder->width / encoder->head_count;
    float scale = 1.0f / sqrtf((float)head_width);
    int status = op_linear(stream, layer->qkv, LINEAR_PLAIN, encoder->x, tokens, encoder->qkv);
    if (status == KERNEL_OK)
        status = op_attention(stream, encoder->batch, encoder->qkv, encoder->head_count, head_width,
                              scale, encoder->mixed);
    if (status == KERNEL_OK)
        status = op_linear(stream, layer->attention_out, LINEAR_PLAIN, encoder->mixed, tokens,
                           encoder->added);
    if (status == KERNEL_OK)
        status = op_add_norm(stream, layer->attention_norm, encoder->added, encoder->x, tokens,
                             encoder->x);
    if (status == KERNEL_OK)
        status = op_linear(stream, layer->up, LINEAR_GELU, encoder->x, tokens, encoder->inner);
    if (status == KERNEL_OK)
        status =
            op_linear(stream, layer->down, LINEAR_PLAIN, encoder->inner, tokens, encoder->added);
    if (status == KERNEL_OK)
        status =
            op_add_norm(stream, layer->output_norm, encoder->added, encoder->x, tokens, encoder->x);
    return status;
}

static int run_pooling(const struct encoder *encoder, uint32_t texts, float *ret_vectors)
{
    int status = op_pool(encoder->stream, encoder->batch, encoder->x, encoder->width,
                         encoder->pool_mode, encoder->normalise, encoder->pooled);
    if (status == KERNEL_OK)
        status = device_copy_to_host(encoder->stream, ret_vectors, encoder->pooled,
                                     (size_t)texts * encoder->width * sizeof(float));
    return status;
}

/* Leaves probabilities of several classes, or the logit of a single one, in ret_probabilities. */
static int run_head(const struct encoder *encoder, uint32_t texts, float *ret_probabilities)
{
    struct device_stream *stream = encoder->stream;
    uint32_t classes = encoder->class_count;
    int status =
        op_gather_first(stream, encoder->batch, encoder->x, encoder->width, encoder->mixed);
    if (status == KERNEL_OK)
        status = op_linear(stream, encoder->pooler, encoder->pooler_epilogue, encoder->mixed, texts,
                           encoder->added);
    if (status == KERNEL_OK)
        status = op_linear(stream, encoder->classifier, LINEAR_PLAIN, encoder->added, texts,
                           encoder->logits);
    if (status == KERNEL_OK)
        status = classes > 1
                     ? op_softmax(stream, encoder->logits, texts, classes, encoder->classes)
                     : op_to_float(stream, encoder->logits, texts, classes, encoder->classes);
    if (status == KERNEL_OK)
        status = device_copy_to_host(stream, ret_probabilities, encoder->classes,
                                     (size_t)texts * classes * sizeof(float));
    return status;
}

static int run_step(const struct encoder *encoder, const struct token_source *source,
                    float *ret_vectors, float *ret_probabilities)
{
    int status = token_batch_load(encoder->stream, encoder->batch, source);
    if (status == KERNEL_OK)
        status = op_embed(encoder->stream, encoder->embedding, encoder->batch, encoder->x);
    for (uint32_t i = 0; status == KERNEL_OK && i < encoder->layer_count; i++)
        status = run_layer(encoder, &encoder->layers[i], source->tokens);
    if (status == KERNEL_OK && ret_vectors != NULL)
        status = run_pooling(encoder, source->texts, ret_vectors);
    if (status == KERNEL_OK && ret_probabilities != NULL)
        status = run_head(encoder, source->texts, ret_probabilities);
    /* The copies above borrow the caller's memory: wait for them whatever happened. */
    int waited = device_stream_synchronise(encoder->stream);
    return status != KERNEL_OK ? status : waited;
}

/* The next texts that fit one step, as a source of their own; returns how many. */
static uint32_t cut_step(const struct encoder *encoder, const struct token_source *source,
                         uint32_t first, struct token_source *ret_step)
{
    uint32_t begin = source->cu_seqlens[first];
    uint32_t texts = 0;
    encoder->cu_seqlens[0] = 0;
    while (first + texts < source->texts &&
           source->cu_seqlens[first + texts + 1] - begin <= encoder->step_tokens) {
        texts++;
        encoder->cu_seqlens[texts] = source->cu_seqlens[first + texts] - begin;
    }
    *ret_step = (struct token_source){
        .ids = source->ids + begin,
        .types = source->types != NULL ? source->types + begin : NULL,
        .cu_seqlens = encoder->cu_seqlens,
        .tokens = encoder->cu_seqlens[texts],
        .texts = texts,
    };
    return texts;
}

int encoder_run(struct encoder *encoder, const struct token_source *source, float *ret_vectors,
                float *ret_probabilities, struct error *err)
{
    ASSERT(ret_probabilities == NULL || encoder->class_count > 0);
    size_t width = encoder->width;
    size_t classes = encoder->class_count;
    for (uint32_t first = 0; first < source->texts;) {
        struct token_source step;
        uint32_t texts = cut_step(encoder, source, first, &step);
        if (texts == 0)
            return error_set(err, ERR_INVALID, "a text is longer than a step of %u tokens",
                             encoder->step_tokens);
        int status =
            run_step(encoder, &step, ret_vectors != NULL ? ret_vectors + first * width : NULL,
                     ret_probabilities != NULL ? ret_probabilities + first * classes : NULL);
        if (status != KERNEL_OK)
            return kernel_error_set(err, status, encoder->device, "could not run a batch");
        first += texts;
    }
    if (ret_probabilities != NULL && classes == 1) {
        for (uint32_t i = 0; i < source->texts; i++)
            ret_probabilities[i] = 1.0f / (1.0f + expf(-ret_probabilities[i]));
    }
    return 0;
}
