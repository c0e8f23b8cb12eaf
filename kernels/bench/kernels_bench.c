/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Speed of a forward pass of the MiniLM-L6 shape (6 layers of 384, 12 heads, 1536) on random
 * weights: tokens per second for texts of one length, batch after batch.
 *
 *   kernels_bench [--device reference|cpu|cuda] [--threads n] [--texts n] [--seconds s]
 *                 [--layers n] [--width n] [--heads n] [--inner n] [length ...]
 *
 * The best batch of the time given counts: what the machine can do when nothing else runs on it.
 * The mean is printed beside it.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels/device.h"

#define VOCABULARY 30522u
#define POSITIONS  512u

struct shape {
    uint32_t layers;
    uint32_t width;
    uint32_t heads;
    uint32_t inner;
};

struct layer {
    struct linear_weight *qkv, *attention_out, *inner, *inner_out;
    struct norm_weight *attention_norm, *inner_norm;
};

struct model {
    struct shape shape;
    struct norm_weight *embedding_norm;
    struct embedding_weight *embedding;
    struct layer *layers;
};

/* Activations of the largest batch. */
struct space {
    void *hidden, *qkv, *context, *inner, *update;
    float *vectors;
};

static void check(int r, const char *what)
{
    if (r < 0) {
        fprintf(stderr, "kernels_bench: %s: %s\n", what, kernel_status_text(r));
        exit(1);
    }
}

static double seconds_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* count numbers of mean 0 whose spread keeps activations near 1; owned by the caller. */
static float *random_floats(size_t count, float spread)
{
    static uint64_t state = 1;
    float *numbers = malloc(count * sizeof(float));

    if (!numbers)
        check(KERNEL_NO_MEMORY, "weights");
    for (size_t i = 0; i < count; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        numbers[i] = spread * ((float)(state >> 40) / (float)(1 << 23) - 1.0f);
    }
    return numbers;
}

static struct linear_weight *random_linear(struct device *device, uint32_t out, uint32_t in)
{
    struct linear_weight *linear;
    float *weight = random_floats((size_t)out * in, 1.7f / sqrtf((float)in));
    float *bias = random_floats(out, 0.1f);

    check(linear_weight_create(device, weight, bias, out, in, &linear), "linear weight");
    free(weight);
    free(bias);
    return linear;
}

static struct norm_weight *random_norm(struct device *device, uint32_t width)
{
    struct norm_weight *norm;
    float *gamma = random_floats(width, 1.0f);
    float *beta = random_floats(width, 0.1f);

    check(norm_weight_create(device, gamma, beta, width, 1e-12f, &norm), "norm weight");
    free(gamma);
    free(beta);
    return norm;
}

static struct model model_create(struct device *device, struct shape shape)
{
    struct model model = {.shape = shape, .layers = calloc(shape.layers, sizeof(struct layer))};
    float *words = random_floats((size_t)VOCABULARY * shape.width, 1.0f);
    float *positions = random_floats((size_t)POSITIONS * shape.width, 1.0f);
    float *types = random_floats((size_t)2 * shape.width, 1.0f);
    const struct embedding_tables tables = {.words = words,
                                            .positions = positions,
                                            .types = types,
                                            .word_rows = VOCABULARY,
                                            .position_rows = POSITIONS,
                                            .type_rows = 2,
                                            .width = shape.width};

    if (!model.layers)
        check(KERNEL_NO_MEMORY, "model");
    model.embedding_norm = random_norm(device, shape.width);
    check(embedding_weight_create(device, &tables, model.embedding_norm, &model.embedding),
          "embedding");
    for (uint32_t i = 0; i < shape.layers; i++)
        model.layers[i] = (struct layer){
            .qkv = random_linear(device, 3 * shape.width, shape.width),
            .attention_out = random_linear(device, shape.width, shape.width),
            .inner = random_linear(device, shape.inner, shape.width),
            .inner_out = random_linear(device, shape.width, shape.inner),
            .attention_norm = random_norm(device, shape.width),
            .inner_norm = random_norm(device, shape.width),
        };
    free(words);
    free(positions);
    free(types);
    return model;
}

static void model_destroy(struct model *model)
{
    for (uint32_t i = 0; i < model->shape.layers; i++) {
        struct layer *layer = &model->layers[i];
        linear_weight_destroy(layer->qkv);
        linear_weight_destroy(layer->attention_out);
        linear_weight_destroy(layer->inner);
        linear_weight_destroy(layer->inner_out);
        norm_weight_destroy(layer->attention_norm);
        norm_weight_destroy(layer->inner_norm);
    }
    free(model->layers);
    embedding_weight_destroy(model->embedding);
    norm_weight_destroy(model->embedding_norm);
}

static void *activation(struct device *device, uint32_t rows, uint32_t width)
{
    void *memory;

    check(
        device_alloc(device, (size_t)rows * width * device_info(device)->activation_bytes, &memory),
        "activations");
    return memory;
}

static void forward(struct device_stream *stream, const struct model *model,
                    const struct token_batch *batch, uint32_t tokens, const struct space *space)
{
    uint32_t head_width = model->shape.width / model->shape.heads;
    float scale = 1.0f / sqrtf((float)head_width);

    check(op_embed(stream, model->embedding, batch, space->hidden), "embed");
    for (uint32_t i = 0; i < model->shape.layers; i++) {
        const struct layer *layer = &model->layers[i];
        check(op_linear(stream, layer->qkv, LINEAR_PLAIN, space->hidden, tokens, space->qkv),
              "linear");
        check(op_attention(stream, batch, space->qkv, model->shape.heads, head_width, scale,
                           space->context),
              "attention");
        check(op_linear(stream, layer->attention_out, LINEAR_PLAIN, space->context, tokens,
                        space->update),
              "linear");
        check(op_add_norm(stream, layer->attention_norm, space->update, space->hidden, tokens,
                          space->hidden),
              "add_norm");
        check(op_linear(stream, layer->inner, LINEAR_GELU, space->hidden, tokens, space->inner),
              "linear");
        check(
            op_linear(stream, layer->inner_out, LINEAR_PLAIN, space->inner, tokens, space->update),
            "linear");
        check(op_add_norm(stream, layer->inner_norm, space->update, space->hidden, tokens,
                          space->hidden),
              "add_norm");
    }
    check(
        op_pool(stream, batch, space->hidden, model->shape.width, POOL_MEAN, true, space->vectors),
        "pool");
}

static void bench_length(struct device *device, const struct model *model, uint32_t length,
                         uint32_t texts, double seconds)
{
    uint32_t tokens = texts * length, runs = 0;
    uint32_t width = model->shape.width;
    int32_t *ids = malloc(tokens * sizeof(*ids));
    uint32_t *cu_seqlens = malloc((texts + (size_t)1) * sizeof(*cu_seqlens));
    struct device_stream *stream;
    struct token_batch *batch;
    double best = INFINITY, total = 0;

    if (!ids || !cu_seqlens)
        check(KERNEL_NO_MEMORY, "batch");
    for (uint32_t t = 0; t < tokens; t++)
        ids[t] = (int32_t)(t * 7919u % VOCABULARY);
    for (uint32_t s = 0; s <= texts; s++)
        cu_seqlens[s] = s * length;
    const struct token_source source = {
        .ids = ids, .cu_seqlens = cu_seqlens, .tokens = tokens, .texts = texts};
    const struct space space = {
        .hidden = activation(device, tokens, width),
        .qkv = activation(device, tokens, 3 * width),
        .context = activation(device, tokens, width),
        .inner = activation(device, tokens, model->shape.inner),
        .update = activation(device, tokens, width),
        .vectors = activation(device, texts, 2 * width),
    };
    check(device_stream_create(device, &stream), "stream");
    check(token_batch_create(device, tokens, texts, &batch), "batch");

    while (runs < 2 || total < seconds) {
        double start = seconds_now();
        check(token_batch_load(stream, batch, &source), "load");
        forward(stream, model, batch, tokens, &space);
        check(device_stream_synchronise(stream), "synchronise");
        double took = seconds_now() - start;
        best = took < best ? took : best;
        total += took;
        runs++;
    }
    printf("length %4u  texts %4u  best %9.0f tok/s  mean %9.0f tok/s  batch %8.2f ms  runs %u\n",
           length, texts, tokens / best, tokens * (double)runs / total, best * 1e3, runs);

    token_batch_destroy(batch);
    device_stream_destroy(stream);
    device_free(device, space.hidden);
    device_free(device, space.qkv);
    device_free(device, space.context);
    device_free(device, space.inner);
    device_free(device, space.update);
    device_free(device, space.vectors);
    free(ids);
    free(cu_seqlens);
}

static const struct option long_options[] = {
    {"device", required_argument, NULL, 'd'},    {"threads", required_argument, NULL, 't'},
    {"texts", required_argument, NULL, 'n'},     {"seconds", required_argument, NULL, 's'},
    {"layers", required_argument, NULL, 'l'},    {"width", required_argument, NULL, 'w'},
    {"heads", required_argument, NULL, 'h'},     {"inner", required_argument, NULL, 'i'},
    {"precision", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0},
};

int main(int argc, char **argv)
{
    struct device_options options = {.kind = DEVICE_CPU};
    struct shape shape = {.layers = 6, .width = 384, .heads = 12, .inner = 1536};
    uint32_t texts = 64;
    double seconds = 3;
    char message[256];
    struct device *device;
    int letter;

    while ((letter = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        uint32_t number = (uint32_t)strtoul(optarg ? optarg : "0", NULL, 10);
        switch (letter) {
        case 'd':
            options.kind = strcmp(optarg, "cuda") == 0        ? DEVICE_CUDA
                           : strcmp(optarg, "reference") == 0 ? DEVICE_REFERENCE
                                                              : DEVICE_CPU;
            break;
        case 'p':
            options.precision = strcmp(optarg, "fp16") == 0 ? DEVICE_FP16 : DEVICE_FP32;
            break;
        case 't':
            options.threads = number;
            break;
        case 'n':
            texts = number;
            break;
        case 's':
            seconds = strtod(optarg, NULL);
            break;
        case 'l':
            shape.layers = number;
            break;
        case 'w':
            shape.width = number;
            break;
        case 'h':
            shape.heads = number;
            break;
        case 'i':
            shape.inner = number;
            break;
        default:
            return 2;
        }
    }

    if (device_open(&options, &device, message, sizeof(message)) < 0) {
        fprintf(stderr, "kernels_bench: could not open the device: %s\n", message);
        return 1;
    }
    const struct device_info *info = device_info(device);
    printf("device %s, %u threads, products: %s\n", info->name, info->threads, info->gemm);
    struct model model = model_create(device, shape);
    if (optind == argc) {
        bench_length(device, &model, 16, texts, seconds);
        bench_length(device, &model, 128, texts, seconds);
        bench_length(device, &model, 256, texts, seconds);
    }
    for (int i = optind; i < argc; i++)
        bench_length(device, &model, (uint32_t)strtoul(argv[i], NULL, 10), texts, seconds);
    model_destroy(&model);
    device_close(device);
    return 0;
}
