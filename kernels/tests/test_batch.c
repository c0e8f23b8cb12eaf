/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A text's vector does not depend on what else is in its batch, nor on the run, nor (CPU) on the
 * number of threads: bit for bit, through a whole small encoder, over random batches.
 *
 *   kernels_batch <device> [<same device, other threads>]     (subject.h)
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/tests/subject.h"

/* Of the random batches. */
#define SEED       2
#define TEXT(x)    TEXT_OF(x)
#define TEXT_OF(x) #x

enum {
    LAYERS = 2,
    WIDTH = 96,
    HEADS = 3,
    INNER = 200,
    WORDS = 500,
    POSITIONS = 512,
    TEXTS = 24,
};

struct layer {
    struct linear_weight *qkv, *context, *inner, *inner_out;
    struct norm_weight *norms[2];
};

struct encoder {
    struct bench *bench;
    struct norm_weight *norm;
    struct embedding_weight *embedding;
    struct layer layers[LAYERS];
};

static struct bench subject;
static struct bench other; /* the same device with another number of threads, if there is one */
static bool has_other;

static uint32_t lengths[TEXTS];
static int32_t *ids[TEXTS];

static struct linear_weight *linear(struct bench *bench, struct random *random, uint32_t out,
                                    uint32_t in)
{
    struct linear_weight *made;
    float *weight = random_floats(random, (size_t)out * in, 1.7f / sqrtf((float)in));
    float *bias = random_floats(random, out, 0.1f);

    assert_int_equal(linear_weight_create(bench->device, weight, bias, out, in, &made), KERNEL_OK);
    free(weight);
    free(bias);
    return made;
}

static struct norm_weight *norm(struct bench *bench, struct random *random)
{
    struct norm_weight *made;
    float *gamma = random_floats(random, WIDTH, 1.0f);
    float *beta = random_floats(random, WIDTH, 0.1f);

    assert_int_equal(norm_weight_create(bench->device, gamma, beta, WIDTH, 1e-12f, &made),
                     KERNEL_OK);
    free(gamma);
    free(beta);
    return made;
}

static struct encoder encoder_create(struct bench *bench)
{
    struct random random = {.state = 1};
    struct encoder encoder = {.bench = bench, .norm = norm(bench, &random)};
    float *words = random_floats(&random, WORDS * WIDTH, 1.0f);
    float *positions = random_floats(&random, POSITIONS * WIDTH, 1.0f);
    const struct embedding_tables tables = {.words = words,
                                            .positions = positions,
                                            .word_rows = WORDS,
                                            .position_rows = POSITIONS,
                                            .width = WIDTH};

    assert_int_equal(
        embedding_weight_create(bench->device, &tables, encoder.norm, &encoder.embedding),
        KERNEL_OK);
    for (int i = 0; i < LAYERS; i++)
        encoder.layers[i] = (struct layer){
            .qkv = linear(bench, &random, 3 * WIDTH, WIDTH),
            .context = linear(bench, &random, WIDTH, WIDTH),
            .inner = linear(bench, &random, INNER, WIDTH),
            .inner_out = linear(bench, &random, WIDTH, INNER),
            .norms = {norm(bench, &random), norm(bench, &random)},
        };
    free(words);
    free(positions);
    return encoder;
}

static void encoder_destroy(struct encoder *encoder)
{
    for (int i = 0; i < LAYERS; i++) {
        struct layer *layer = &encoder->layers[i];
        linear_weight_destroy(layer->qkv);
        linear_weight_destroy(layer->context);
        linear_weight_destroy(layer->inner);
        linear_weight_destroy(layer->inner_out);
        norm_weight_destroy(layer->norms[0]);
        norm_weight_destroy(layer->norms[1]);
    }
    embedding_weight_destroy(encoder->embedding);
    norm_weight_destroy(encoder->norm);
}

static void forward(struct encoder *encoder, struct token_batch *batch, uint32_t tokens,
                    struct matrix *out)
{
    struct bench *bench = encoder->bench;
    struct device_stream *stream = bench->stream;
    struct matrix hidden = matrix_create(bench, tokens, WIDTH, ELEMENT_ACTIVATION);
    struct matrix qkv = matrix_create(bench, tokens, 3 * WIDTH, ELEMENT_ACTIVATION);
    struct matrix context = matrix_create(bench, tokens, WIDTH, ELEMENT_ACTIVATION);
    struct matrix update = matrix_create(bench, tokens, WIDTH, ELEMENT_ACTIVATION);
    struct matrix inner = matrix_create(bench, tokens, INNER, ELEMENT_ACTIVATION);
    int r = op_embed(stream, encoder->embedding, batch, hidden.data);

    for (int i = 0; i < LAYERS; i++) {
        struct layer *layer = &encoder->layers[i];
        r |= op_linear(stream, layer->qkv, LINEAR_PLAIN, hidden.data, tokens, qkv.data);
        r |= op_attention(stream, batch, qkv.data, HEADS, WIDTH / HEADS, 0.18f, context.data);
        r |= op_linear(stream, layer->context, LINEAR_PLAIN, context.data, tokens, update.data);
        r |= op_add_norm(stream, layer->norms[0], update.data, hidden.data, tokens, hidden.data);
        r |= op_linear(stream, layer->inner, LINEAR_GELU, hidden.data, tokens, inner.data);
        r |= op_linear(stream, layer->inner_out, LINEAR_PLAIN, inner.data, tokens, update.data);
        r |= op_add_norm(stream, layer->norms[1], update.data, hidden.data, tokens, hidden.data);
    }
    r |= op_pool(stream, batch, hidden.data, WIDTH, POOL_MEAN, true, out->data);
    assert_int_equal(r, KERNEL_OK);
    matrix_destroy(&hidden);
    matrix_destroy(&qkv);
    matrix_destroy(&context);
    matrix_destroy(&update);
    matrix_destroy(&inner);
}

/* The vectors of the texts chosen, in their order; owned by the caller. */
static float *encode(struct encoder *encoder, const uint32_t *chosen, uint32_t count)
{
    struct bench *bench = encoder->bench;
    uint32_t cu_seqlens[TEXTS + 1] = {0};
    struct token_batch *batch;

    for (uint32_t i = 0; i < count; i++)
        cu_seqlens[i + 1] = cu_seqlens[i] + lengths[chosen[i]];
    uint32_t tokens = cu_seqlens[count];
    int32_t *stream_ids = calloc(tokens, sizeof(*stream_ids));
    assert_non_null(stream_ids);
    for (uint32_t i = 0; i < count; i++)
        memcpy(stream_ids + cu_seqlens[i], ids[chosen[i]],
               lengths[chosen[i]] * sizeof(*stream_ids));
    const struct token_source source = {
        .ids = stream_ids, .cu_seqlens = cu_seqlens, .tokens = tokens, .texts = count};
    assert_int_equal(token_batch_create(bench->device, tokens, count, &batch), KERNEL_OK);
    assert_int_equal(token_batch_load(bench->stream, batch, &source), KERNEL_OK);
    struct matrix out = matrix_create(bench, count, WIDTH, ELEMENT_FLOAT);
    forward(encoder, batch, tokens, &out);
    float *vectors = matrix_read(&out);
    matrix_destroy(&out);
    token_batch_destroy(batch);
    free(stream_ids);
    return vectors;
}

static void assert_same_alone(struct encoder *encoder, const uint32_t *chosen, uint32_t count,
                              float *const *alone)
{
    float *vectors = encode(encoder, chosen, count);

    for (uint32_t i = 0; i < count; i++)
        assert_bits_equal("vector, random batches of seed " TEXT(SEED), vectors + i * WIDTH,
                          alone[chosen[i]], WIDTH);
    free(vectors);
}

static void test_batches(void **state)
{
    struct encoder encoder = encoder_create(&subject);
    struct random random = {.state = SEED};
    float *alone[TEXTS];
    uint32_t order[TEXTS];
    uint32_t texts = subject_is_slow(&subject) ? 7 : TEXTS;
    int rounds = subject_is_slow(&subject) ? 1 : 12;

    (void)state;
    for (uint32_t i = 0; i < texts; i++) {
        order[i] = i;
        alone[i] = encode(&encoder, &i, 1);
        for (uint32_t c = 0; c < WIDTH; c++)
            assert_true(isfinite(alone[i][c]));
    }
    assert_same_alone(&encoder, order, texts, alone);
    assert_same_alone(&encoder, order, texts, alone); /* and again */
    for (int round = 0; round < rounds; round++) {
        for (uint32_t i = texts - 1; i > 0; i--) {
            uint32_t k = random_below(&random, i + 1), swapped = order[i];
            order[i] = order[k];
            order[k] = swapped;
        }
        assert_same_alone(&encoder, order, 1 + random_below(&random, texts), alone);
    }
    for (uint32_t i = 0; i < texts; i++)
        free(alone[i]);
    encoder_destroy(&encoder);
}

static void test_threads(void **state)
{
    uint32_t order[TEXTS];

    (void)state;
    if (!has_other)
        skip();
    for (uint32_t i = 0; i < TEXTS; i++)
        order[i] = i;
    struct encoder encoder = encoder_create(&subject);
    struct encoder other_encoder = encoder_create(&other);
    float *vectors = encode(&encoder, order, TEXTS);
    float *other_vectors = encode(&other_encoder, order, TEXTS);
    assert_bits_equal("vector", other_vectors, vectors, TEXTS * WIDTH);
    free(vectors);
    free(other_vectors);
    encoder_destroy(&encoder);
    encoder_destroy(&other_encoder);
}

int main(int argc, char **argv)
{
    /* One token, the borders of blocks, and a spread between; long and short texts (attention.cu)
     * among the first few, which a slow subject takes alone. */
    static const uint32_t fixed[] = {1, 17, 129, 96, 6, 400, 33, 2, 15, 16, 97, 127, 128, 65, 48};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_threads),
    };
    struct random random = {.state = 3};

    subject = subject_open(argc > 1 ? argv[1] : "cpu_plain");
    has_other = argc > 2;
    if (has_other)
        other = subject_open(argv[2]);
    for (uint32_t i = 0; i < TEXTS; i++) {
        lengths[i] =
            i < sizeof(fixed) / sizeof(fixed[0]) ? fixed[i] : 1 + random_below(&random, 80);
        ids[i] = calloc(lengths[i], sizeof(*ids[i]));
        if (!ids[i])
            return 1;
        for (uint32_t t = 0; t < lengths[i]; t++)
            ids[i][t] = (int32_t)random_below(&random, WORDS);
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    for (uint32_t i = 0; i < TEXTS; i++)
        free(ids[i]);
    bench_close(&subject);
    if (has_other)
        bench_close(&other);
    return failed;
}
