/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Padded batches and graphs: a text gets the same bits alone, padded to any bounds, and from a
 * graph that was recorded with other texts; what is beyond the texts is as device.h says; misuse is
 * refused. One encoder layer, so that every operation that reads a batch takes part.
 *
 *   kernels_graphs <device>     (subject.h)
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/tests/subject.h"

enum {
    WIDTH = 64,
    HEADS = 2,
    WORDS = 50,
    POSITIONS = 100,
    TYPES = 2,
    TOKENS_MAX = 256,
    TEXTS_MAX = 16,
};

/* Weights, room for the largest batch, and where the results are. */
struct layer {
    struct token_batch *batch;
    struct norm_weight *norm;
    struct embedding_weight *embedding;
    struct linear_weight *qkv;
    struct linear_weight *out;
    struct matrix hidden, wide, mixed, added;
    struct matrix first;    /* [TEXTS_MAX, WIDTH] */
    struct matrix pooled;   /* float [TEXTS_MAX, WIDTH] */
    struct matrix softened; /* float [TEXTS_MAX, WIDTH] */
};

/* A batch's texts on the host. */
struct texts {
    int32_t ids[TOKENS_MAX];
    int32_t types[TOKENS_MAX];
    uint32_t cu_seqlens[TEXTS_MAX + 1];
    struct token_source source;
};

static struct bench subject;

/* ---- one layer ---- */

static void layer_init(struct layer *layer)
{
    struct device *device = subject.device;
    struct random random = {.state = 5};
    float *numbers = random_floats(&random, 3 * WIDTH * WIDTH, 0.2f);
    const struct embedding_tables tables = {.words = numbers,
                                            .positions = numbers + 7,
                                            .types = numbers + 11,
                                            .word_rows = WORDS,
                                            .position_rows = POSITIONS,
                                            .type_rows = TYPES,
                                            .width = WIDTH};
    int r = token_batch_create(device, TOKENS_MAX, TEXTS_MAX, &layer->batch);

    r |= norm_weight_create(device, numbers, numbers + 3, WIDTH, 1e-12f, &layer->norm);
    r |= embedding_weight_create(device, &tables, layer->norm, &layer->embedding);
    r |= linear_weight_create(device, numbers, numbers, 3 * WIDTH, WIDTH, &layer->qkv);
    r |= linear_weight_create(device, numbers + 99, NULL, WIDTH, WIDTH, &layer->out);
    assert_int_equal(r, KERNEL_OK);
    free(numbers);
    layer->hidden = matrix_create(&subject, TOKENS_MAX, WIDTH, ELEMENT_ACTIVATION);
    layer->wide = matrix_create(&subject, TOKENS_MAX, 3 * WIDTH, ELEMENT_ACTIVATION);
    layer->mixed = matrix_create(&subject, TOKENS_MAX, WIDTH, ELEMENT_ACTIVATION);
    layer->added = matrix_create(&subject, TOKENS_MAX, WIDTH, ELEMENT_ACTIVATION);
    layer->first = matrix_create(&subject, TEXTS_MAX, WIDTH, ELEMENT_ACTIVATION);
    layer->pooled = matrix_create(&subject, TEXTS_MAX, WIDTH, ELEMENT_FLOAT);
    layer->softened = matrix_create(&subject, TEXTS_MAX, WIDTH, ELEMENT_FLOAT);
}

static void layer_fini(struct layer *layer)
{
    struct matrix *const matrices[] = {&layer->hidden,  &layer->wide,  &layer->mixed,
                                       &layer->added,   &layer->first, &layer->pooled,
                                       &layer->softened};

    for (size_t i = 0; i < sizeof(matrices) / sizeof(matrices[0]); i++)
        matrix_destroy(matrices[i]);
    linear_weight_destroy(layer->qkv);
    linear_weight_destroy(layer->out);
    embedding_weight_destroy(layer->embedding);
    norm_weight_destroy(layer->norm);
    token_batch_destroy(layer->batch);
}

static int layer_run(struct layer *layer, uint32_t tokens, uint32_t texts)
{
    struct device_stream *stream = subject.stream;
    void *hidden = layer->hidden.data, *wide = layer->wide.data, *mixed = layer->mixed.data,
         *added = layer->added.data;
    int r = op_embed(stream, layer->embedding, layer->batch, hidden);

    r |= op_linear(stream, layer->qkv, LINEAR_PLAIN, hidden, tokens, wide);
    r |= op_attention(stream, layer->batch, wide, HEADS, WIDTH / HEADS, 0.2f, mixed);
    r |= op_linear(stream, layer->out, LINEAR_GELU, mixed, tokens, added);
    r |= op_add_norm(stream, layer->norm, added, hidden, tokens, hidden);
    r |= op_pool(stream, layer->batch, hidden, WIDTH, POOL_MEAN, true, layer->pooled.data);
    r |= op_gather_first(stream, layer->batch, hidden, WIDTH, layer->first.data);
    return r | op_softmax(stream, layer->first.data, texts, WIDTH, layer->softened.data);
}

/* ---- texts and results ---- */

static void texts_make(struct texts *texts, const uint32_t *lengths, uint32_t count, uint64_t seed)
{
    struct random random = {.state = seed};

    texts->cu_seqlens[0] = 0;
    for (uint32_t s = 0; s < count; s++)
        texts->cu_seqlens[s + 1] = texts->cu_seqlens[s] + lengths[s];
    uint32_t tokens = texts->cu_seqlens[count];
    assert_true(tokens <= TOKENS_MAX && count <= TEXTS_MAX);
    for (uint32_t t = 0; t < tokens; t++) {
        texts->ids[t] = (int32_t)random_below(&random, WORDS);
        texts->types[t] = (int32_t)random_below(&random, TYPES);
    }
    texts->source = (struct token_source){.ids = texts->ids,
                                          .types = texts->types,
                                          .cu_seqlens = texts->cu_seqlens,
                                          .tokens = tokens,
                                          .texts = count};
}

/* As many texts as fit the bounds, of lengths up to the longest. */
static void texts_make_within(struct texts *texts, const struct token_bounds *bounds, uint64_t seed)
{
    struct random random = {.state = seed};
    uint32_t lengths[TEXTS_MAX], count = 0, tokens = 0;

    while (count < bounds->texts) {
        uint32_t length = 1 + random_below(&random, bounds->longest);
        if (tokens + length > bounds->tokens)
            break;
        lengths[count++] = length;
        tokens += length;
    }
    texts_make(texts, lengths, count, seed);
}

/* Pooled vectors and softmax of the layer's last run, for comparison. */
struct results {
    float *pooled;
    float *softened;
};

static struct results results_read(const struct layer *layer)
{
    return (struct results){.pooled = matrix_read(&layer->pooled),
                            .softened = matrix_read(&layer->softened)};
}

static void results_free(struct results *results)
{
    free(results->pooled);
    free(results->softened);
}

/* The texts by the operations one by one, without padding. */
static struct results run_plainly(struct layer *layer, const struct texts *texts)
{
    assert_int_equal(token_batch_load(subject.stream, layer->batch, &texts->source), KERNEL_OK);
    assert_int_equal(layer_run(layer, texts->source.tokens, texts->source.texts), KERNEL_OK);
    return results_read(layer);
}

static void load(struct layer *layer, const struct texts *texts, const struct token_bounds *bounds)
{
    assert_int_equal(token_batch_load_padded(subject.stream, layer->batch, &texts->source, bounds),
                     KERNEL_OK);
}

static void assert_same(const struct layer *layer, const struct texts *texts,
                        const struct results *expected)
{
    struct results results = results_read(layer);
    size_t count = (size_t)texts->source.texts * WIDTH;

    assert_bits_equal("pooled", results.pooled, expected->pooled, count);
    assert_bits_equal("softmax", results.softened, expected->softened, count);
    results_free(&results);
}

static const struct token_bounds buckets[] = {
    {.tokens = 16, .texts = 1, .longest = 16},    {.tokens = 64, .texts = 4, .longest = 64},
    {.tokens = 65, .texts = 16, .longest = 30},   {.tokens = 128, .texts = 8, .longest = 100},
    {.tokens = 256, .texts = 16, .longest = 100},
};
#define BUCKETS (sizeof(buckets) / sizeof(buckets[0]))

/* ---- padded batches ---- */

static void test_padded_texts(void **state)
{
    struct layer layer;

    (void)state;
    layer_init(&layer);
    for (size_t i = 0; i < BUCKETS; i++) {
        struct texts texts;
        texts_make_within(&texts, &buckets[i], 100 + i);
        struct results expected = run_plainly(&layer, &texts);
        load(&layer, &texts, &buckets[i]);
        assert_int_equal(layer_run(&layer, buckets[i].tokens, buckets[i].texts), KERNEL_OK);
        assert_same(&layer, &texts, &expected);
        results_free(&expected);
    }
    layer_fini(&layer);
}

/* Two texts of 3 and 2 tokens in 9 tokens and 4 texts. */
static void test_beyond_the_texts(void **state)
{
    static const uint32_t lengths[] = {3, 2};
    static const struct token_bounds bounds = {.tokens = 9, .texts = 4, .longest = 7};
    static const struct token_bounds one = {.tokens = 1, .texts = 1, .longest = 1};
    static const float zeros[2 * WIDTH];
    struct texts texts, single = {.ids = {0}, .types = {0}, .cu_seqlens = {0, 1}};
    struct layer layer;

    (void)state;
    layer_init(&layer);
    texts_make(&texts, lengths, 2, 9);

    /* Tokens beyond: token 0 of type 0 at position 0. */
    single.source = (struct token_source){
        .ids = single.ids, .cu_seqlens = single.cu_seqlens, .tokens = 1, .texts = 1};
    load(&layer, &single, &one);
    assert_int_equal(op_embed(subject.stream, layer.embedding, layer.batch, layer.hidden.data),
                     KERNEL_OK);
    float *filler = matrix_read(&layer.hidden);
    load(&layer, &texts, &bounds);
    assert_int_equal(op_embed(subject.stream, layer.embedding, layer.batch, layer.hidden.data),
                     KERNEL_OK);
    float *embedded = matrix_read(&layer.hidden);
    for (uint32_t t = 5; t < 9; t++)
        assert_bits_equal("token beyond", embedded + (size_t)t * WIDTH, filler, WIDTH);

    /* Attention leaves their rows, which were never written. */
    assert_int_equal(
        op_linear(subject.stream, layer.qkv, LINEAR_PLAIN, layer.hidden.data, 9, layer.wide.data),
        KERNEL_OK);
    assert_int_equal(op_attention(subject.stream, layer.batch, layer.wide.data, HEADS,
                                  WIDTH / HEADS, 1.0f, layer.mixed.data),
                     KERNEL_OK);
    float *mixed = matrix_read(&layer.mixed);
    for (uint32_t i = 0; i < 9 * WIDTH; i++)
        assert_int_equal(!isnan(mixed[i]), i < 5 * WIDTH);

    /* Empty texts are zeros. */
    for (int mode = POOL_MEAN; mode <= POOL_MAX; mode++)
        for (int normalise = 0; normalise <= 1; normalise++) {
            assert_int_equal(op_pool(subject.stream, layer.batch, layer.mixed.data, WIDTH,
                                     (enum pool_mode)mode, normalise, layer.pooled.data),
                             KERNEL_OK);
            float *pooled = matrix_read(&layer.pooled);
            assert_true(isfinite(pooled[0]) && isfinite(pooled[2 * WIDTH - 1]));
            assert_bits_equal("empty text", pooled + (size_t)2 * WIDTH, zeros, 2 * WIDTH);
            assert_true(isnan(pooled[(size_t)4 * WIDTH]));
            free(pooled);
        }
    assert_int_equal(
        op_gather_first(subject.stream, layer.batch, layer.mixed.data, WIDTH, layer.first.data),
        KERNEL_OK);
    float *first = matrix_read(&layer.first);
    assert_bits_equal("first row", first + WIDTH, mixed + (size_t)3 * WIDTH, WIDTH);
    assert_bits_equal("empty text", first + (size_t)2 * WIDTH, zeros, 2 * WIDTH);
    assert_true(isnan(first[(size_t)4 * WIDTH]));

    free(filler);
    free(embedded);
    free(mixed);
    free(first);
    layer_fini(&layer);
}

static void test_bounds_refused(void **state)
{
    static const uint32_t lengths[] = {3, 2};
    static const struct token_bounds refused[] = {
        {.tokens = 4, .texts = 2, .longest = 3},
        {.tokens = TOKENS_MAX + 1, .texts = 2, .longest = 3},
        {.tokens = 5, .texts = 1, .longest = 3},
        {.tokens = 5, .texts = TEXTS_MAX + 1, .longest = 3},
        {.tokens = 5, .texts = 2, .longest = 2},
        {.tokens = 5, .texts = 2, .longest = 6},
    };
    static const struct token_bounds least = {.tokens = 5, .texts = 2, .longest = 3};
    static const struct token_bounds most = {
        .tokens = TOKENS_MAX, .texts = TEXTS_MAX, .longest = TOKENS_MAX};
    struct texts texts;
    struct layer layer;

    (void)state;
    layer_init(&layer);
    texts_make(&texts, lengths, 2, 1);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        load(&layer, &texts, &least);
        assert_int_equal(
            token_batch_load_padded(subject.stream, layer.batch, &texts.source, &refused[i]),
            KERNEL_BAD_ARGUMENT);
        assert_int_equal(op_embed(subject.stream, layer.embedding, layer.batch, layer.hidden.data),
                         KERNEL_BAD_ARGUMENT);
    }
    assert_int_equal(token_batch_load_padded(subject.stream, layer.batch, &texts.source, NULL),
                     KERNEL_BAD_ARGUMENT);
    /* Bounds above the tables are no positions: only what is loaded counts. */
    load(&layer, &texts, &most);
    assert_int_equal(op_embed(subject.stream, layer.embedding, layer.batch, layer.hidden.data),
                     KERNEL_OK);
    layer_fini(&layer);
}

/* ---- graphs ---- */

static void skip_without_graphs(void)
{
    if (!device_info(subject.device)->has_graphs)
        skip();
}

static struct device_graph *record(struct layer *layer, const struct token_bounds *bounds)
{
    struct device_graph *graph;

    assert_int_equal(device_graph_begin(subject.stream), KERNEL_OK);
    assert_int_equal(layer_run(layer, bounds->tokens, bounds->texts), KERNEL_OK);
    assert_int_equal(device_graph_end(subject.stream, &graph), KERNEL_OK);
    return graph;
}

static void test_no_graphs(void **state)
{
    struct device_graph *graph;

    (void)state;
    if (device_info(subject.device)->has_graphs)
        skip();
    assert_int_equal(device_graph_begin(subject.stream), KERNEL_UNSUPPORTED);
    assert_int_equal(device_graph_end(subject.stream, &graph), KERNEL_BAD_ARGUMENT);
    device_graph_destroy(NULL);
}

/* One graph per bucket, all alive together and launched in turn with texts that none was recorded
 * with: the bits are those of the operations one by one. */
static void test_graph_results(void **state)
{
    struct device_graph *graphs[BUCKETS];
    int rounds = subject_is_slow(&subject) ? 1 : 20;
    struct texts texts;
    struct layer layer;

    (void)state;
    skip_without_graphs();
    layer_init(&layer);
    for (size_t i = 0; i < BUCKETS; i++) {
        texts_make_within(&texts, &buckets[i], 200 + i);
        load(&layer, &texts, &buckets[i]);
        graphs[i] = record(&layer, &buckets[i]);
    }
    for (int round = 0; round < rounds; round++)
        for (size_t i = 0; i < BUCKETS; i++) {
            texts_make_within(&texts, &buckets[i], 300 + (uint64_t)round * BUCKETS + i);
            struct results expected = run_plainly(&layer, &texts);
            load(&layer, &texts, &buckets[i]);
            assert_int_equal(device_graph_launch(subject.stream, graphs[i]), KERNEL_OK);
            assert_same(&layer, &texts, &expected);
            results_free(&expected);
        }
    for (size_t i = 0; i < BUCKETS; i++)
        device_graph_destroy(graphs[i]);
    layer_fini(&layer);
}

/* What is recorded does not run, and the stream runs operations again afterwards. */
static void test_recording_does_not_run(void **state)
{
    struct layer layer;
    struct texts texts;

    (void)state;
    skip_without_graphs();
    layer_init(&layer);
    texts_make_within(&texts, &buckets[1], 1);
    load(&layer, &texts, &buckets[1]);
    struct device_graph *graph = record(&layer, &buckets[1]);
    float *pooled = matrix_read(&layer.pooled);
    for (uint32_t i = 0; i < TEXTS_MAX * WIDTH; i++)
        assert_true(isnan(pooled[i]));
    free(pooled);
    struct results expected = run_plainly(&layer, &texts);
    assert_true(isfinite(expected.pooled[0]));
    results_free(&expected);
    device_graph_destroy(graph);
    layer_fini(&layer);
}

static void test_recording_refuses(void **state)
{
    struct device_stream *stream = subject.stream, *other;
    struct token_batch *second;
    struct device_graph *graph;
    struct layer layer;
    struct texts texts;
    float number = 0;

    (void)state;
    skip_without_graphs();
    layer_init(&layer);
    texts_make_within(&texts, &buckets[0], 1);
    load(&layer, &texts, &buckets[0]);
    assert_int_equal(device_stream_create(subject.device, &other), KERNEL_OK);
    assert_int_equal(token_batch_create(subject.device, TOKENS_MAX, TEXTS_MAX, &second), KERNEL_OK);
    assert_int_equal(token_batch_load(stream, second, &texts.source), KERNEL_OK);
    assert_int_equal(device_stream_synchronise(stream), KERNEL_OK);

    assert_int_equal(device_graph_end(stream, &graph), KERNEL_BAD_ARGUMENT);
    assert_int_equal(device_graph_begin(stream), KERNEL_OK);
    assert_int_equal(device_graph_begin(stream), KERNEL_BAD_ARGUMENT);
    assert_int_equal(layer_run(&layer, buckets[0].tokens, buckets[0].texts), KERNEL_OK);
    assert_int_equal(op_embed(stream, layer.embedding, second, layer.hidden.data),
                     KERNEL_BAD_ARGUMENT);
    assert_int_equal(token_batch_load(stream, second, &texts.source), KERNEL_BAD_ARGUMENT);
    assert_int_equal(device_copy_to_host(stream, &number, layer.pooled.data, sizeof(number)),
                     KERNEL_BAD_ARGUMENT);
    assert_int_equal(device_copy_to_device(stream, layer.pooled.data, &number, sizeof(number)),
                     KERNEL_BAD_ARGUMENT);
    assert_int_equal(device_stream_synchronise(stream), KERNEL_BAD_ARGUMENT);
    assert_int_equal(device_stream_wait(stream, other), KERNEL_BAD_ARGUMENT);
    assert_int_equal(device_stream_wait(other, stream), KERNEL_BAD_ARGUMENT);
    assert_int_equal(device_graph_end(stream, NULL), KERNEL_BAD_ARGUMENT);
    assert_int_equal(device_graph_end(stream, &graph), KERNEL_OK);
    assert_int_equal(device_graph_launch(stream, graph), KERNEL_OK);
    assert_int_equal(device_stream_synchronise(stream), KERNEL_OK);

    device_graph_destroy(graph);
    token_batch_destroy(second);
    device_stream_destroy(other);
    layer_fini(&layer);
}

static void assert_launch_refused(struct device_graph *graph)
{
    assert_int_equal(device_graph_launch(subject.stream, graph), KERNEL_BAD_ARGUMENT);
}

static void test_launch_refuses(void **state)
{
    struct token_bounds bounds = buckets[1];
    const uint32_t length = POSITIONS + 1;
    struct token_bounds wide = {.tokens = 128, .texts = 4, .longest = 128};
    struct layer layer;
    struct texts texts;

    (void)state;
    skip_without_graphs();
    layer_init(&layer);
    texts_make_within(&texts, &bounds, 1);
    load(&layer, &texts, &bounds);
    struct device_graph *graph = record(&layer, &bounds);
    assert_launch_refused(NULL);

    bounds.texts++;
    load(&layer, &texts, &bounds);
    assert_launch_refused(graph);
    bounds = buckets[1];
    bounds.tokens++;
    load(&layer, &texts, &bounds);
    assert_launch_refused(graph);
    bounds = buckets[1];
    bounds.longest--;
    load(&layer, &texts, &bounds);
    assert_launch_refused(graph);

    texts.ids[0] = WORDS;
    load(&layer, &texts, &buckets[1]);
    assert_launch_refused(graph);
    texts.ids[0] = WORDS - 1;
    texts.types[0] = TYPES;
    load(&layer, &texts, &buckets[1]);
    assert_launch_refused(graph);
    texts.types[0] = TYPES - 1;
    load(&layer, &texts, &buckets[1]);
    assert_int_equal(device_graph_launch(subject.stream, graph), KERNEL_OK);
    texts.ids[0] = -1;
    assert_int_equal(
        token_batch_load_padded(subject.stream, layer.batch, &texts.source, &buckets[1]),
        KERNEL_BAD_ARGUMENT);
    assert_launch_refused(graph);
    device_graph_destroy(graph);

    texts_make_within(&texts, &bounds, 1);
    load(&layer, &texts, &wide);
    graph = record(&layer, &wide);
    texts_make(&texts, &length, 1, 1);
    load(&layer, &texts, &wide);
    assert_launch_refused(graph);
    device_graph_destroy(graph);
    layer_fini(&layer);
}

/* A recording that the driver gives up: the thread that records must not allocate. */
static void test_recording_spoiled(void **state)
{
    struct device_graph *graph;
    struct layer layer;
    struct texts texts;
    void *memory;

    (void)state;
    skip_without_graphs();
    layer_init(&layer);
    texts_make_within(&texts, &buckets[1], 1);
    struct results expected = run_plainly(&layer, &texts);
    load(&layer, &texts, &buckets[1]);
    assert_int_equal(device_graph_begin(subject.stream), KERNEL_OK);
    assert_int_equal(device_alloc(subject.device, 1, &memory), KERNEL_UNSUPPORTED);
    assert_int_equal(op_embed(subject.stream, layer.embedding, layer.batch, layer.hidden.data),
                     KERNEL_UNSUPPORTED);
    assert_int_equal(device_graph_end(subject.stream, &graph), KERNEL_UNSUPPORTED);
    assert_string_not_equal(device_error_text(subject.device), "");

    /* The device goes on, with graphs too. */
    graph = record(&layer, &buckets[1]);
    assert_int_equal(device_graph_launch(subject.stream, graph), KERNEL_OK);
    assert_same(&layer, &texts, &expected);
    results_free(&expected);
    device_graph_destroy(graph);
    layer_fini(&layer);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_padded_texts),      cmocka_unit_test(test_beyond_the_texts),
        cmocka_unit_test(test_bounds_refused),    cmocka_unit_test(test_no_graphs),
        cmocka_unit_test(test_graph_results),     cmocka_unit_test(test_recording_does_not_run),
        cmocka_unit_test(test_recording_refuses), cmocka_unit_test(test_launch_refuses),
        cmocka_unit_test(test_recording_spoiled),
    };

    subject = subject_open(argc > 1 ? argv[1] : "cpu_plain");
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bench_close(&subject);
    return failed;
}
