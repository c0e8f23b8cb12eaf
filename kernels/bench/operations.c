/* SPDX-License-Identifier: Apache-2.0 */
/*
 * operations: see operations.h. Operations run in the order of a forward pass, so that each one
 * finds numbers in its inputs that it would find there; one table says what is called and counted.
 */
#include "kernels/bench/operations.h"

#include <math.h>
#include <stdlib.h>

#include "kernels/bench/random.h"

#define VOCABULARY   30522u
#define CLASSES      8u
#define SHORT_TOKENS 128u /* of one text */
#define LONG_TOKENS  OPERATIONS_TOKENS

/* FLOPs of one element: mean, variance, shift, scale, gamma, beta; maximum, exp as one, sum, and
 * the division. */
#define NORM_FLOPS    8.0
#define SOFTMAX_FLOPS 5.0

struct bench {
    struct device *device;
    struct device_stream *stream;
    struct encoder_shape shape;
    uint32_t tokens;
    struct token_batch *short_texts, *long_texts; /* the same tokens, cut differently */

    struct norm_weight *norm;
    struct embedding_weight *embedding;
    struct linear_weight *qkv, *attention_out, *up, *down, *pooler, *classifier;

    void *x, *wide, *mixed, *added, *inner; /* [tokens, width], wide: three times that */
    void *logits;                           /* [texts, CLASSES] */
    float *vectors;                         /* [texts, width] */
    float *scores;                          /* [tokens, width] */
};

/* ---- making ---- */

static int create_linear(struct bench *bench, uint32_t out, uint32_t in,
                         struct linear_weight **ret_weight)
{
    float *weight = random_floats((size_t)out * in, 1.7f / sqrtf((float)in));
    float *bias = random_floats(out, 0.1f);
    int r = !weight || !bias
                ? KERNEL_NO_MEMORY
                : linear_weight_create(bench->device, weight, bias, out, in, ret_weight);

    free(weight);
    free(bias);
    return r;
}

static int create_norm(struct bench *bench)
{
    float *gamma = random_floats(bench->shape.width, 1.0f);
    float *beta = random_floats(bench->shape.width, 0.1f);
    int r = !gamma || !beta ? KERNEL_NO_MEMORY
                            : norm_weight_create(bench->device, gamma, beta, bench->shape.width,
                                                 1e-12f, &bench->norm);

    free(gamma);
    free(beta);
    return r;
}

static int create_embedding(struct bench *bench)
{
    uint32_t width = bench->shape.width;
    float *words = random_floats((size_t)VOCABULARY * width, 1.0f);
    float *positions = random_floats((size_t)LONG_TOKENS * width, 1.0f);
    float *types = random_floats((size_t)2 * width, 1.0f);
    const struct embedding_tables tables = {.words = words,
                                            .positions = positions,
                                            .types = types,
                                            .word_rows = VOCABULARY,
                                            .position_rows = LONG_TOKENS,
                                            .type_rows = 2,
                                            .width = width};
    int r = !words || !positions || !types
                ? KERNEL_NO_MEMORY
                : embedding_weight_create(bench->device, &tables, bench->norm, &bench->embedding);

    free(words);
    free(positions);
    free(types);
    return r;
}

static int create_weights(struct bench *bench)
{
    uint32_t width = bench->shape.width, inner = bench->shape.inner;
    int r = create_norm(bench);

    if (r == KERNEL_OK)
        r = create_embedding(bench);
    if (r == KERNEL_OK)
        r = create_linear(bench, 3 * width, width, &bench->qkv);
    if (r == KERNEL_OK)
        r = create_linear(bench, width, width, &bench->attention_out);
    if (r == KERNEL_OK)
        r = create_linear(bench, inner, width, &bench->up);
    if (r == KERNEL_OK)
        r = create_linear(bench, width, inner, &bench->down);
    if (r == KERNEL_OK)
        r = create_linear(bench, width, width, &bench->pooler);
    if (r == KERNEL_OK)
        r = create_linear(bench, CLASSES, width, &bench->classifier);
    return r;
}

/* The bench's tokens as texts of one length. */
static int create_batch(struct bench *bench, uint32_t length, struct token_batch **ret_batch)
{
    uint32_t texts = bench->tokens / length;
    int32_t *ids = malloc(bench->tokens * sizeof(*ids));
    uint32_t *cu_seqlens = malloc((texts + (size_t)1) * sizeof(*cu_seqlens));
    int r = KERNEL_NO_MEMORY;

    if (ids && cu_seqlens) {
        for (uint32_t t = 0; t < bench->tokens; t++)
            ids[t] = (int32_t)(t * 7919u % VOCABULARY);
        for (uint32_t s = 0; s <= texts; s++)
            cu_seqlens[s] = s * length;
        const struct token_source source = {
            .ids = ids, .cu_seqlens = cu_seqlens, .tokens = bench->tokens, .texts = texts};
        r = token_batch_create(bench->device, bench->tokens, texts, ret_batch);
        if (r == KERNEL_OK)
            r = token_batch_load(bench->stream, *ret_batch, &source);
    }
    free(ids);
    free(cu_seqlens);
    return r;
}

static int take_memory(struct bench *bench)
{
    size_t element = device_info(bench->device)->activation_bytes;
    size_t tokens = bench->tokens, width = bench->shape.width;
    const struct {
        void **memory;
        size_t bytes;
    } parts[] = {
        {&bench->x, tokens * width * element},
        {&bench->wide, tokens * 3 * width * element},
        {&bench->mixed, tokens * width * element},
        {&bench->added, tokens * width * element},
        {&bench->inner, tokens * bench->shape.inner * element},
        {&bench->logits, tokens * CLASSES * element},
        {(void **)&bench->vectors, tokens * width * sizeof(float)},
        {(void **)&bench->scores, tokens * width * sizeof(float)},
    };
    int r = KERNEL_OK;

    for (size_t i = 0; r == KERNEL_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
        r = device_alloc(bench->device, parts[i].bytes, parts[i].memory);
    return r;
}

static int bench_init(struct bench *bench, struct device *device, const struct encoder_shape *shape,
                      uint32_t tokens)
{
    *bench = (struct bench){.device = device, .shape = *shape, .tokens = tokens};
    int r = device_stream_create(device, &bench->stream);

    if (r == KERNEL_OK)
        r = create_weights(bench);
    if (r == KERNEL_OK)
        r = create_batch(bench, SHORT_TOKENS, &bench->short_texts);
    if (r == KERNEL_OK)
        r = create_batch(bench, LONG_TOKENS, &bench->long_texts);
    return r == KERNEL_OK ? take_memory(bench) : r;
}

static void bench_fini(struct bench *bench)
{
    struct linear_weight *const linears[] = {bench->qkv,  bench->attention_out, bench->up,
                                             bench->down, bench->pooler,        bench->classifier};
    void *const memory[] = {bench->x,     bench->wide,   bench->mixed,   bench->added,
                            bench->inner, bench->logits, bench->vectors, bench->scores};

    for (size_t i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
        device_free(bench->device, memory[i]);
    token_batch_destroy(bench->short_texts);
    token_batch_destroy(bench->long_texts);
    for (size_t i = 0; i < sizeof(linears) / sizeof(linears[0]); i++)
        linear_weight_destroy(linears[i]);
    embedding_weight_destroy(bench->embedding);
    norm_weight_destroy(bench->norm);
    device_stream_destroy(bench->stream);
}

/* ---- the operations ---- */

static int run_embed(const struct bench *b)
{
    return op_embed(b->stream, b->embedding, b->short_texts, b->x);
}

static int run_qkv(const struct bench *b)
{
    return op_linear(b->stream, b->qkv, LINEAR_PLAIN, b->x, b->tokens, b->wide);
}

static int attend(const struct bench *b, const struct token_batch *texts)
{
    uint32_t head_width = b->shape.width / b->shape.heads;

    return op_attention(b->stream, texts, b->wide, b->shape.heads, head_width,
                        1.0f / sqrtf((float)head_width), b->mixed);
}

static int run_attention_short(const struct bench *b)
{
    return attend(b, b->short_texts);
}

static int run_attention_long(const struct bench *b)
{
    return attend(b, b->long_texts);
}

static int run_attention_out(const struct bench *b)
{
    return op_linear(b->stream, b->attention_out, LINEAR_PLAIN, b->mixed, b->tokens, b->added);
}

static int run_add_norm(const struct bench *b)
{
    return op_add_norm(b->stream, b->norm, b->added, b->x, b->tokens, b->x);
}

static int run_up(const struct bench *b)
{
    return op_linear(b->stream, b->up, LINEAR_GELU, b->x, b->tokens, b->inner);
}

static int run_down(const struct bench *b)
{
    return op_linear(b->stream, b->down, LINEAR_PLAIN, b->inner, b->tokens, b->added);
}

static int run_pool(const struct bench *b)
{
    return op_pool(b->stream, b->short_texts, b->x, b->shape.width, POOL_MEAN, true, b->vectors);
}

static int run_softmax(const struct bench *b)
{
    return op_softmax(b->stream, b->x, b->tokens, b->shape.width, b->scores);
}

/* The first rows, the pooler's tanh, the classes and their probabilities. */
static int run_head(const struct bench *b)
{
    uint32_t texts = b->tokens / SHORT_TOKENS;
    int r = op_gather_first(b->stream, b->short_texts, b->x, b->shape.width, b->mixed);

    if (r == KERNEL_OK)
        r = op_linear(b->stream, b->pooler, LINEAR_TANH, b->mixed, texts, b->added);
    if (r == KERNEL_OK)
        r = op_linear(b->stream, b->classifier, LINEAR_PLAIN, b->added, texts, b->logits);
    if (r == KERNEL_OK)
        r = op_softmax(b->stream, b->logits, texts, CLASSES, b->scores);
    return r;
}

/* ---- what they move and compute ---- */

/* Sizes as numbers: T tokens of width W, inner I, N texts, in elements of E bytes. */
struct sizes {
    double T, W, I, N, E;
};

struct cost {
    double bytes, flops;
};

static struct cost cost_linear(const struct sizes *s, double rows, double out, double in)
{
    return (struct cost){s->E * (rows * in + out * in + rows * out), 2 * rows * in * out};
}

/* Each of a text's L queries meets L keys, twice: T L products of W, in and out. */
static struct cost cost_attention(const struct sizes *s, double length)
{
    return (struct cost){s->E * s->T * 4 * s->W, 4 * s->T * length * s->W};
}

static struct cost cost_embed(const struct sizes *s)
{
    return (struct cost){s->E * (2 * s->T + SHORT_TOKENS + 1) * s->W,
                         (2 + NORM_FLOPS) * s->T * s->W};
}

static struct cost cost_qkv(const struct sizes *s)
{
    return cost_linear(s, s->T, 3 * s->W, s->W);
}

static struct cost cost_attention_short(const struct sizes *s)
{
    return cost_attention(s, SHORT_TOKENS);
}

static struct cost cost_attention_long(const struct sizes *s)
{
    return cost_attention(s, LONG_TOKENS);
}

static struct cost cost_attention_out(const struct sizes *s)
{
    return cost_linear(s, s->T, s->W, s->W);
}

static struct cost cost_add_norm(const struct sizes *s)
{
    return (struct cost){s->E * 3 * s->T * s->W, (1 + NORM_FLOPS) * s->T * s->W};
}

static struct cost cost_up(const struct sizes *s)
{
    return cost_linear(s, s->T, s->I, s->W);
}

static struct cost cost_down(const struct sizes *s)
{
    return cost_linear(s, s->T, s->W, s->I);
}

static struct cost cost_pool(const struct sizes *s)
{
    return (struct cost){s->E * s->T * s->W + sizeof(float) * s->N * s->W,
                         s->T * s->W + 4 * s->N * s->W};
}

static struct cost cost_softmax(const struct sizes *s)
{
    return (struct cost){(s->E + sizeof(float)) * s->T * s->W, SOFTMAX_FLOPS * s->T * s->W};
}

static struct cost cost_head(const struct sizes *s)
{
    struct cost pooler = cost_linear(s, s->N, s->W, s->W);
    struct cost classifier = cost_linear(s, s->N, CLASSES, s->W);

    return (struct cost){pooler.bytes + classifier.bytes + s->E * 2 * s->N * s->W,
                         pooler.flops + classifier.flops};
}

static const struct operation {
    const char *name;
    int (*run)(const struct bench *bench);
    struct cost (*cost)(const struct sizes *sizes);
} operations[] = {
    {"embed", run_embed, cost_embed},
    {"linear qkv", run_qkv, cost_qkv},
    {"attention, 128 tokens", run_attention_short, cost_attention_short},
    {"attention, 512 tokens", run_attention_long, cost_attention_long},
    {"linear out", run_attention_out, cost_attention_out},
    {"add_norm", run_add_norm, cost_add_norm},
    {"linear up, gelu", run_up, cost_up},
    {"linear down", run_down, cost_down},
    {"pool mean", run_pool, cost_pool},
    {"softmax", run_softmax, cost_softmax},
    {"classifier head", run_head, cost_head},
};

struct timed_operation {
    const struct bench *bench;
    const struct operation *operation;
};

static int time_operation(void *context, uint32_t times)
{
    const struct timed_operation *timed = context;
    int r = KERNEL_OK;

    for (uint32_t i = 0; r == KERNEL_OK && i < times; i++)
        r = timed->operation->run(timed->bench);
    int waited = device_stream_synchronise(timed->bench->stream);
    return r < 0 ? r : waited;
}

int operations_measure(struct device *device, const struct encoder_shape *shape, uint32_t tokens,
                       double seconds, operation_report *report, void *context)
{
    struct bench bench;
    int r = bench_init(&bench, device, shape, tokens);
    const struct sizes sizes = {.T = bench.tokens,
                                .W = shape->width,
                                .I = shape->inner,
                                .N = bench.tokens / SHORT_TOKENS,
                                .E = (double)device_info(device)->activation_bytes};

    for (size_t i = 0; r == KERNEL_OK && i < sizeof(operations) / sizeof(operations[0]); i++) {
        struct timed_operation timed = {&bench, &operations[i]};
        struct cost cost = operations[i].cost(&sizes);
        struct operation_figures figures = {
            .name = operations[i].name, .bytes = cost.bytes, .flops = cost.flops};
        r = timing_measure(time_operation, &timed, seconds, &figures.timing);
        if (r == KERNEL_OK)
            report(context, &figures);
    }
    bench_fini(&bench);
    return r;
}
