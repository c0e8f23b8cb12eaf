/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder: see encoder.h.
 *
 *   x = LayerNorm(word + position + type)
 *   each layer: x = LayerNorm(x + attention(x Wqkv) Wo);  x = LayerNorm(x + gelu(x Wup) Wdown)
 *   vectors: pooling of x;  classes: softmax(classifier(pooler(x of the first token)))
 *
 * Two steps are under way at once, each with its own batch, results and stream of copies; one
 * stream computes:
 *
 *   copies of step 0   load 0 |         | results 0 | load 2 |          | results 2
 *   computing                 | step 0    | step 1             | step 2
 *   copies of step 1   load 1 |                     | results 1 | load 3
 *
 * Activations belong to the computing stream, so one set of them serves all steps. A step is loaded
 * only after the host has seen its last results arrive.
 */
#include "worker_gpu/encoder.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "worker_gpu/encoder_weights.h"
#include "worker_gpu/kernel_error.h"

#define STEPS 2u
/* A step has room for this many tokens per text, on average: texts with their two special tokens
 * have hardly fewer. */
#define TOKENS_PER_TEXT 4u

/* Graphs are for steps of at most 64, 128, ... 1,024 tokens: there the device computes a layer (30
 * us for 1,024 tokens of BERT base at half of an H100's peak) in the time that the host takes to
 * launch it (7 launches of some 3 us). A graph's attention has blocks for all the texts it may get
 * at the longest length, most of them for nothing: 32 tokens per text keep them few. */
#define BUCKETS_MAX            5u
#define BUCKET_TOKENS_MIN      64u
#define BUCKET_TOKENS_PER_TEXT 32u

/* Fewer tokens leave processors without work, whatever the cache: 4,096 rows of 768 columns are 192
 * tiles of 128 x 128 for an H100's 132 multiprocessors. More only take memory. */
#define STEP_TOKENS_MIN_CPU  256u
#define STEP_TOKENS_MIN_CUDA 4096u
#define STEP_TOKENS_MAX      8192u

/* One step under way. */
struct step {
    struct device_stream *copies;
    struct token_batch *batch;
    float *vectors;      /* on the device: [step_texts, width] */
    float *classes;      /* [step_texts, class_count] */
    float *vectors_copy; /* on the host */
    float *classes_copy;
    struct device_graph *graphs[BUCKETS_MAX];

    /* whose results are on the way; texts 0: nobody's */
    uint32_t texts;
    float *ret_vectors;
    float *ret_probabilities;
};

struct encoder {
    /* identity */
    struct device *device;

    /* the model */
    uint32_t width;
    uint32_t head_count;
    uint32_t intermediate_width;
    uint32_t class_count;
    uint32_t longest_text;
    enum pool_mode pool_mode;
    bool normalise;
    enum linear_epilogue pooler_epilogue;
    struct encoder_weights weights;

    /* activations of one step, on the device */
    uint32_t step_tokens;
    uint32_t step_texts;
    struct device_stream *computing;
    void *x;      /* [step_tokens, width] */
    void *qkv;    /* [step_tokens, 3 * width] */
    void *mixed;  /* [step_tokens, width]: attention's output; the head's input */
    void *added;  /* [step_tokens, width]: what is added to x; the head's inner layer */
    void *inner;  /* [step_tokens, intermediate_width] */
    void *logits; /* [step_texts, class_count] */

    /* steps, and what the graphs of each are padded to */
    struct step steps[STEPS];
    struct token_bounds buckets[BUCKETS_MAX];
    uint32_t bucket_count;
    uint32_t *cu_seqlens; /* [step_texts + 1] */
};

/* ---- the forward pass ---- */

static int run_layer(const struct encoder *encoder, const struct encoder_layer *layer,
                     const struct step *step, uint32_t tokens)
{
    struct device_stream *stream = encoder->computing;
    uint32_t head_width = encoder->width / encoder->head_count;
    float scale = 1.0f / sqrtf((float)head_width);
    int status = op_linear(stream, layer->qkv, LINEAR_PLAIN, encoder->x, tokens, encoder->qkv);
    if (status == KERNEL_OK)
        status = op_attention(stream, step->batch, encoder->qkv, encoder->head_count, head_width,
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

/* Leaves probabilities of several classes, or the logit of a single one, in step->classes. */
static int run_head(const struct encoder *encoder, const struct step *step, uint32_t texts)
{
    struct device_stream *stream = encoder->computing;
    uint32_t classes = encoder->class_count;
    int status = op_gather_first(stream, step->batch, encoder->x, encoder->width, encoder->mixed);
    if (status == KERNEL_OK)
        status = op_linear(stream, encoder->weights.pooler, encoder->pooler_epilogue,
                           encoder->mixed, texts, encoder->added);
    if (status == KERNEL_OK)
        status = op_linear(stream, encoder->weights.classifier, LINEAR_PLAIN, encoder->added, texts,
                           encoder->logits);
    if (status == KERNEL_OK)
        status = classes > 1 ? op_softmax(stream, encoder->logits, texts, classes, step->classes)
                             : op_to_float(stream, encoder->logits, texts, classes, step->classes);
    return status;
}

/* The step's batch, which has these sizes, to the step's results. */
static int run_forward(const struct encoder *encoder, const struct step *step, uint32_t tokens,
                       uint32_t texts)
{
    const struct encoder_weights *weights = &encoder->weights;
    int status = op_embed(encoder->computing, weights->embedding, step->batch, encoder->x);
    for (uint32_t i = 0; status == KERNEL_OK && i < weights->layer_count; i++)
        status = run_layer(encoder, &weights->layers[i], step, tokens);
    if (status == KERNEL_OK)
        status = op_pool(encoder->computing, step->batch, encoder->x, encoder->width,
                         encoder->pool_mode, encoder->normalise, step->vectors);
    if (status == KERNEL_OK && encoder->class_count > 0)
        status = run_head(encoder, step, texts);
    return status;
}

/* ---- making and freeing ---- */

uint32_t encoder_step_tokens(const struct device_info *info, const struct model_config *config)
{
    /* x, qkv, mixed and added are 6 widths: all that a layer touches but its weights. */
    uint64_t token_bytes =
        (6ull * config->hidden_size + config->intermediate_size) * info->activation_bytes;
    uint64_t tokens = info->cache_bytes / token_bytes / 64 * 64;
    uint64_t least = info->kind == DEVICE_CUDA ? STEP_TOKENS_MIN_CUDA : STEP_TOKENS_MIN_CPU;
    if (tokens > STEP_TOKENS_MAX)
        tokens = STEP_TOKENS_MAX;
    if (tokens < least)
        tokens = least;
    return tokens > config->max_seq_length ? (uint32_t)tokens : config->max_seq_length;
}

static int step_take_memory(const struct encoder *encoder, struct step *step)
{
    struct device *device = encoder->device;
    size_t vectors = (size_t)encoder->step_texts * encoder->width * sizeof(float);
    size_t classes = (size_t)encoder->step_texts * encoder->class_count * sizeof(float);
    int status = device_stream_create(device, &step->copies);
    if (status == KERNEL_OK)
        status =
            token_batch_create(device, encoder->step_tokens, encoder->step_texts, &step->batch);
    if (status == KERNEL_OK)
        status = device_alloc(device, vectors, (void **)&step->vectors);
    if (status == KERNEL_OK)
        status = device_host_alloc(device, vectors, (void **)&step->vectors_copy);
    if (status == KERNEL_OK && classes > 0)
        status = device_alloc(device, classes, (void **)&step->classes);
    if (status == KERNEL_OK && classes > 0)
        status = device_host_alloc(device, classes, (void **)&step->classes_copy);
    return status;
}

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
        {&encoder->logits, (size_t)encoder->step_texts * (encoder->class_count + 1) * element},
    };
    int status = device_stream_create(encoder->device, &encoder->computing);
    for (size_t i = 0; status == KERNEL_OK && i < sizeof parts / sizeof parts[0]; i++)
        status = device_alloc(encoder->device, parts[i].size, parts[i].memory);
    for (uint32_t i = 0; status == KERNEL_OK && i < STEPS; i++)
        status = step_take_memory(encoder, &encoder->steps[i]);
    encoder->cu_seqlens = malloc((encoder->step_texts + (size_t)1) * sizeof *encoder->cu_seqlens);
    if (encoder->cu_seqlens == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    return kernel_error_set(err, status, encoder->device, "could not take memory for batches");
}

static void step_release(const struct encoder *encoder, struct step *step)
{
    for (uint32_t i = 0; i < BUCKETS_MAX; i++)
        device_graph_destroy(step->graphs[i]);
    device_free(encoder->device, step->vectors);
    device_free(encoder->device, step->classes);
    device_host_free(encoder->device, step->vectors_copy);
    device_host_free(encoder->device, step->classes_copy);
    token_batch_destroy(step->batch);
    device_stream_destroy(step->copies);
}

/* Records the step's graph of a bucket. It runs the operations first: what a driver loads at a
 * kernel's first use cannot be loaded during a recording. */
static int record(const struct encoder *encoder, struct step *step, uint32_t bucket,
                  const struct token_source *source)
{
    const struct token_bounds *bounds = &encoder->buckets[bucket];
    int status = token_batch_load_padded(encoder->computing, step->batch, source, bounds);
    if (status == KERNEL_OK)
        status = run_forward(encoder, step, bounds->tokens, bounds->texts);
    if (status == KERNEL_OK)
        status = device_stream_synchronise(encoder->computing);
    if (status == KERNEL_OK)
        status = device_graph_begin(encoder->computing);
    if (status != KERNEL_OK)
        return status;
    status = run_forward(encoder, step, bounds->tokens, bounds->texts);
    int ended = device_graph_end(encoder->computing, &step->graphs[bucket]);
    return status != KERNEL_OK ? status : ended;
}

/* Graphs of every bucket for both steps. A driver that cannot record them leaves the encoder
 * without: encoder_graph_count tells. */
static int record_all(struct encoder *encoder, struct error *err)
{
    const uint32_t cu_seqlens[] = {0, 1};
    const int32_t id = 0;
    const struct token_source source = {
        .ids = &id, .cu_seqlens = cu_seqlens, .tokens = 1, .texts = 1};
    int status = KERNEL_OK;
    uint32_t count = 0;
    if (!device_info(encoder->device)->has_graphs)
        return 0;
    for (uint32_t tokens = BUCKET_TOKENS_MIN;
         status == KERNEL_OK && count < BUCKETS_MAX && tokens <= encoder->step_tokens;
         tokens *= 2, count++) {
        encoder->buckets[count] = (struct token_bounds){
            .tokens = tokens,
            .texts = tokens / BUCKET_TOKENS_PER_TEXT,
            .longest = tokens < encoder->longest_text ? tokens : encoder->longest_text,
        };
        for (uint32_t i = 0; status == KERNEL_OK && i < STEPS; i++)
            status = record(encoder, &encoder->steps[i], count, &source);
    }
    if (status == KERNEL_UNSUPPORTED)
        return 0;
    if (status == KERNEL_OK)
        encoder->bucket_count = count;
    return kernel_error_set(err, status, encoder->device, "could not record a graph");
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
    encoder->longest_text = config->max_seq_length;
    encoder->pool_mode = pool_mode_of(config->pooling);
    encoder->normalise = config->normalise;
    encoder->pooler_epilogue = config->family == MODEL_BERT ? LINEAR_TANH : LINEAR_RELU;
    encoder->step_tokens = step_tokens;
    encoder->step_texts = (step_tokens + TOKENS_PER_TEXT - 1) / TOKENS_PER_TEXT;
    int code = take_memory(encoder, err);
    if (code == 0)
        code = encoder_weights_load(device, model, &encoder->weights, err);
    if (code == 0)
        code = record_all(encoder, err);
    if (code != 0) {
        encoder_destroy(encoder);
        return code;
    }
    *ret_encoder = encoder;
    return 0;
}

void encoder_destroy(struct encoder *encoder)
{
    if (encoder == NULL)
        return;
    for (uint32_t i = 0; i < STEPS; i++)
        step_release(encoder, &encoder->steps[i]);
    encoder_weights_unload(&encoder->weights);
    void *const memory[] = {encoder->x,     encoder->qkv,   encoder->mixed,
                            encoder->added, encoder->inner, encoder->logits};
    for (size_t i = 0; i < sizeof memory / sizeof memory[0]; i++)
        device_free(encoder->device, memory[i]);
    device_stream_destroy(encoder->computing);
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

uint32_t encoder_graph_count(const struct encoder *encoder)
{
    return encoder->bucket_count * STEPS;
}

/* ---- running ---- */

/* The next texts that fit one step, as a source of their own; returns how many. */
static uint32_t cut_step(const struct encoder *encoder, const struct token_source *source,
                         uint32_t first, struct token_source *ret_source)
{
    uint32_t begin = source->cu_seqlens[first];
    uint32_t texts = 0;
    encoder->cu_seqlens[0] = 0;
    while (first + texts < source->texts && texts < encoder->step_texts &&
           source->cu_seqlens[first + texts + 1] - begin <= encoder->step_tokens) {
        texts++;
        encoder->cu_seqlens[texts] = source->cu_seqlens[first + texts] - begin;
    }
    *ret_source = (struct token_source){
        .ids = source->ids + begin,
        .types = source->types != NULL ? source->types + begin : NULL,
        .cu_seqlens = encoder->cu_seqlens,
        .tokens = encoder->cu_seqlens[texts],
        .texts = texts,
    };
    return texts;
}

/* The smallest bucket that holds the source; bucket_count where none does. */
static uint32_t find_bucket(const struct encoder *encoder, const struct token_source *source)
{
    uint32_t i = 0;
    while (i < encoder->bucket_count && (source->tokens > encoder->buckets[i].tokens ||
                                         source->texts > encoder->buckets[i].texts))
        i++;
    return i;
}

static int step_compute(const struct encoder *encoder, struct step *step,
                        const struct token_source *source)
{
    uint32_t bucket = find_bucket(encoder, source);
    bool has_graph = bucket < encoder->bucket_count;
    int status = has_graph ? token_batch_load_padded(step->copies, step->batch, source,
                                                     &encoder->buckets[bucket])
                           : token_batch_load(step->copies, step->batch, source);
    if (status == KERNEL_OK)
        status = device_stream_wait(encoder->computing, step->copies);
    if (status == KERNEL_OK)
        status = has_graph ? device_graph_launch(encoder->computing, step->graphs[bucket])
                           : run_forward(encoder, step, source->tokens, source->texts);
    if (status == KERNEL_OK)
        status = device_stream_wait(step->copies, encoder->computing);
    return status;
}

/* Puts a step on its way: everything is on the streams when this returns. */
static int step_start(const struct encoder *encoder, struct step *step,
                      const struct token_source *source, float *ret_vectors,
                      float *ret_probabilities)
{
    int status = step_compute(encoder, step, source);
    if (status == KERNEL_OK && ret_vectors != NULL)
        status = device_copy_to_host(step->copies, step->vectors_copy, step->vectors,
                                     (size_t)source->texts * encoder->width * sizeof(float));
    if (status == KERNEL_OK && ret_probabilities != NULL)
        status = device_copy_to_host(step->copies, step->classes_copy, step->classes,
                                     (size_t)source->texts * encoder->class_count * sizeof(float));
    step->texts = source->texts;
    step->ret_vectors = ret_vectors;
    step->ret_probabilities = ret_probabilities;
    return status;
}

/* Waits for the step, if there is one under way, and hands its results over. */
static int step_finish(const struct encoder *encoder, struct step *step)
{
    if (step->texts == 0)
        return KERNEL_OK;
    size_t vectors = (size_t)step->texts * encoder->width;
    size_t classes = (size_t)step->texts * encoder->class_count;
    int status = device_stream_synchronise(step->copies);
    step->texts = 0;
    if (status != KERNEL_OK)
        return status;
    if (step->ret_vectors != NULL)
        memcpy(step->ret_vectors, step->vectors_copy, vectors * sizeof(float));
    if (step->ret_probabilities != NULL)
        memcpy(step->ret_probabilities, step->classes_copy, classes * sizeof(float));
    return KERNEL_OK;
}

/* The streams are done with everything that a run put on them, even a run that failed half way. */
static int finish_all(struct encoder *encoder, uint32_t next)
{
    int status = KERNEL_OK;
    for (uint32_t i = 0; i < STEPS; i++) {
        int finished = step_finish(encoder, &encoder->steps[(next + i) % STEPS]);
        if (status == KERNEL_OK)
            status = finished;
    }
    int computed = device_stream_synchronise(encoder->computing);
    return status != KERNEL_OK ? status : computed;
}

static int run_steps(struct encoder *encoder, const struct token_source *source, float *ret_vectors,
                     float *ret_probabilities, uint32_t *ret_done)
{
    size_t width = encoder->width;
    size_t classes = encoder->class_count;
    int status = KERNEL_OK;
    uint32_t next = 0, first = 0;
    while (status == KERNEL_OK && first < source->texts) {
        struct step *step = &encoder->steps[next];
        struct token_source part;
        uint32_t texts = cut_step(encoder, source, first, &part);
        if (texts == 0)
            break;
        status = step_finish(encoder, step);
        if (status == KERNEL_OK)
            status = step_start(
                encoder, step, &part, ret_vectors != NULL ? ret_vectors + first * width : NULL,
                ret_probabilities != NULL ? ret_probabilities + first * classes : NULL);
        next = (next + 1) % STEPS;
        first += texts;
    }
    int finished = finish_all(encoder, next);
    *ret_done = first;
    return status != KERNEL_OK ? status : finished;
}

int encoder_run(struct encoder *encoder, const struct token_source *source, float *ret_vectors,
                float *ret_probabilities, struct error *err)
{
    ASSERT(ret_probabilities == NULL || encoder->class_count > 0);
    uint32_t done;
    int status = run_steps(encoder, source, ret_vectors, ret_probabilities, &done);
    if (status != KERNEL_OK)
        return kernel_error_set(err, status, encoder->device, "could not run a batch");
    if (done < source->texts)
        return error_set(err, ERR_INVALID, "a text is longer than a step of %u tokens",
                         encoder->step_tokens);
    if (ret_probabilities != NULL && encoder->class_count == 1) {
        for (uint32_t i = 0; i < source->texts; i++)
            ret_probabilities[i] = 1.0f / (1.0f + expf(-ret_probabilities[i]));
    }
    return 0;
}
