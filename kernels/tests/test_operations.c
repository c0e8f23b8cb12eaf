/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every operation of one device against the reference device: awkward sizes, guard words around
 * outputs, NaN and infinity kept to their rows.
 *
 *   kernels_operations <device> [<pattern of tests>]     (subject.h)
 *
 * Both sides get the same inputs: where the device keeps activations in fp16, the reference gets
 * the rounded values read back from the device. Weights are chosen to be exact in fp16.
 * How far results may be from the reference: bounds.h.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/tests/bounds.h"
#include "kernels/tests/subject.h"

#define NORM_EPSILON 1e-12f
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct bench subject;
static struct bench reference;

static struct arithmetic arithmetic; /* the subject's */

/* Compares, says how much of the bound is used, and frees the bound. */
static void assert_bounded(const char *what, const float *actual, const float *expected,
                           double *bound, size_t count)
{
    printf("%s: %.3f of the bound\n", what, assert_within(what, actual, expected, bound, count));
    free(bound);
}

/* What the subject holds after its rounding. */
static float *rounded(const struct matrix *matrix)
{
    return matrix_read(matrix);
}

/* Multiples of 1/64 in [-1, 1): exact in every format, so that both devices get the same weights.
 */
static float *exact_weights(struct random *random, size_t count)
{
    float *weights = floats_create(count);

    for (size_t i = 0; i < count; i++)
        weights[i] = (float)((int32_t)random_below(random, 128) - 64) / 64.0f;
    return weights;
}

/* ---- linear ---- */

static float *linear_result(struct bench *bench, const float *weight, const float *bias,
                            const float *x, uint32_t rows, uint32_t in, uint32_t out,
                            enum linear_epilogue epilogue)
{
    struct linear_weight *linear;
    struct matrix x_matrix = matrix_from(bench, rows, in, x);
    struct matrix y_matrix = matrix_create(bench, rows, out, ELEMENT_ACTIVATION);

    assert_int_equal(linear_weight_create(bench->device, weight, bias, out, in, &linear),
                     KERNEL_OK);
    assert_int_equal(op_linear(bench->stream, linear, epilogue, x_matrix.data, rows, y_matrix.data),
                     KERNEL_OK);
    float *y = matrix_read(&y_matrix);
    linear_weight_destroy(linear);
    matrix_destroy(&x_matrix);
    matrix_destroy(&y_matrix);
    return y;
}

static void linear_try(uint32_t rows, uint32_t in, uint32_t out, enum linear_epilogue epilogue,
                       bool has_bias)
{
    struct random random = {.state = rows * 31u + in * 7u + out};
    float *weight = exact_weights(&random, (size_t)out * in);
    float *bias = exact_weights(&random, out);
    float *wanted = random_floats(&random, (size_t)rows * in, 2.0f / sqrtf((float)in));
    struct matrix x_matrix = matrix_from(&subject, rows, in, wanted);
    float *x = rounded(&x_matrix);
    char what[96];

    snprintf(what, sizeof(what), "linear %u x %u -> %u, epilogue %d", rows, in, out, epilogue);
    float *actual =
        linear_result(&subject, weight, has_bias ? bias : NULL, x, rows, in, out, epilogue);
    float *expected =
        linear_result(&reference, weight, has_bias ? bias : NULL, x, rows, in, out, epilogue);
    assert_bounded(
        what, actual, expected,
        bound_linear(&arithmetic, x, weight, has_bias ? bias : NULL, rows, in, out, epilogue),
        (size_t)rows * out);
    matrix_destroy(&x_matrix);
    free(weight);
    free(bias);
    free(wanted);
    free(x);
    free(actual);
    free(expected);
}

static void test_linear(void **state)
{
    /* Around the tiles (6 rows; panels of 8, 16 and 64), the depth of a pass (128), the rows of a
     * part (96) and warps (32); a prime; the widest. */
    static const struct {
        uint32_t rows, in, out;
    } sizes[] = {
        {1, 1, 1},
        {1, 384, 2},
        {2, 33, 3},
        {5, 31, 7},
        {6, 32, 8},
        {7, 33, 9},
        {31, 64, 15},
        {32, 127, 16},
        {33, 128, 17},
        {95, 129, 63},
        {96, 130, 64},
        {97, 131, 65},
        {193, 65, 129},
        {1009, 17, 31},
        {127, 384, 257},
        {128, 512, 33},
        {3, 1536, 384},
        {2, DEVICE_WIDTH_MAX, 3},
        {2, 3, DEVICE_WIDTH_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(sizes); i++) {
        double products = (double)sizes[i].rows * sizes[i].in * sizes[i].out;
        if (products > 1.5e6 && subject_is_slow(&subject))
            continue;
        linear_try(sizes[i].rows, sizes[i].in, sizes[i].out, LINEAR_PLAIN, i % 4 != 3);
    }
}

static void test_linear_epilogues(void **state)
{
    (void)state;
    for (int epilogue = LINEAR_PLAIN; epilogue <= LINEAR_RELU; epilogue++) {
        linear_try(1, 16, 33, (enum linear_epilogue)epilogue, true);
        linear_try(33, 129, 65, (enum linear_epilogue)epilogue, true);
        linear_try(97, 384, 130, (enum linear_epilogue)epilogue, false);
    }
}

/* The epilogues over their whole range, through a product with the identity. */
static void test_epilogue_range(void **state)
{
    enum { ROWS = 257, WIDTH = 16 };
    float *identity = floats_create(WIDTH * WIDTH);
    float *wanted = floats_create(ROWS * WIDTH);

    (void)state;
    for (size_t i = 0; i < WIDTH; i++)
        identity[i * WIDTH + i] = 1.0f;
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        wanted[i] = 20.0f * ((float)i / (ROWS * WIDTH) * 2.0f - 1.0f);
    struct matrix x_matrix = matrix_from(&subject, ROWS, WIDTH, wanted);
    float *x = rounded(&x_matrix);
    for (int epilogue = LINEAR_PLAIN; epilogue <= LINEAR_RELU; epilogue++) {
        float *actual = linear_result(&subject, identity, NULL, x, ROWS, WIDTH, WIDTH,
                                      (enum linear_epilogue)epilogue);
        float *expected = linear_result(&reference, identity, NULL, x, ROWS, WIDTH, WIDTH,
                                        (enum linear_epilogue)epilogue);
        assert_bounded("epilogue range", actual, expected,
                       bound_linear(&arithmetic, x, identity, NULL, ROWS, WIDTH, WIDTH,
                                    (enum linear_epilogue)epilogue),
                       ROWS * WIDTH);
        free(actual);
        free(expected);
    }
    matrix_destroy(&x_matrix);
    free(identity);
    free(wanted);
    free(x);
}

/* NaN and infinity in one row reach that row alone. */
static void test_linear_not_finite(void **state)
{
    enum { ROWS = 40, IN = 33, OUT = 65 };
    struct random random = {.state = 5};
    float *weight = exact_weights(&random, OUT * IN);
    float *x = random_floats(&random, ROWS * IN, 0.5f);

    (void)state;
    for (size_t i = 0; i < OUT * IN; i++)
        weight[i] = weight[i] == 0 ? 1.0f : weight[i]; /* infinity times 0 would be NaN */
    float *clean = linear_result(&subject, weight, NULL, x, ROWS, IN, OUT, LINEAR_GELU);
    x[7 * IN + 3] = NAN;
    x[20 * IN + 32] = INFINITY;
    float *y = linear_result(&subject, weight, NULL, x, ROWS, IN, OUT, LINEAR_PLAIN);
    for (size_t o = 0; o < OUT; o++) {
        assert_true(isnan(y[7 * OUT + o]));
        assert_true(isinf(y[20 * OUT + o]));
    }
    free(y);
    y = linear_result(&subject, weight, NULL, x, ROWS, IN, OUT, LINEAR_GELU);
    for (size_t r = 0; r < ROWS; r++) {
        if (r != 7 && r != 20)
            assert_bits_equal("clean row", y + r * OUT, clean + r * OUT, OUT);
        else
            for (size_t o = 0; o < OUT; o++)
                assert_true(!isfinite(y[r * OUT + o]) || y[r * OUT + o] == 0);
    }
    free(weight);
    free(x);
    free(clean);
    free(y);
}

/* ---- attention ---- */

static float *attention_result(struct bench *bench, const float *qkv, const uint32_t *lengths,
                               uint32_t texts, uint32_t heads, uint32_t head_width)
{
    struct token_batch *batch = batch_create(bench, lengths, texts, 1, 1);
    uint32_t tokens = 0;

    for (uint32_t s = 0; s < texts; s++)
        tokens += lengths[s];
    struct matrix in = matrix_from(bench, tokens, 3 * heads * head_width, qkv);
    struct matrix out = matrix_create(bench, tokens, heads * head_width, ELEMENT_ACTIVATION);
    assert_int_equal(op_attention(bench->stream, batch, in.data, heads, head_width,
                                  1.0f / sqrtf((float)head_width), out.data),
                     KERNEL_OK);
    float *result = matrix_read(&out);
    matrix_destroy(&in);
    matrix_destroy(&out);
    token_batch_destroy(batch);
    return result;
}

static void attention_try(const uint32_t *lengths, uint32_t texts, uint32_t heads,
                          uint32_t head_width, float spread)
{
    struct random random = {.state = head_width};
    uint32_t tokens = 0, width = heads * head_width;
    char what[64];

    for (uint32_t s = 0; s < texts; s++)
        tokens += lengths[s];
    float *wanted = random_floats(&random, (size_t)tokens * 3 * width, spread);
    struct matrix matrix = matrix_from(&subject, tokens, 3 * width, wanted);
    float *qkv = rounded(&matrix);
    float *actual = attention_result(&subject, qkv, lengths, texts, heads, head_width);
    float *expected = attention_result(&reference, qkv, lengths, texts, heads, head_width);
    snprintf(what, sizeof(what), "attention of width %u, spread %g", head_width, (double)spread);
    assert_bounded(what, actual, expected,
                   bound_attention(&arithmetic, qkv, lengths, texts, heads, head_width,
                                   1.0f / sqrtf((float)head_width)),
                   (size_t)tokens * width);
    matrix_destroy(&matrix);
    free(wanted);
    free(qkv);
    free(actual);
    free(expected);
}

static void test_attention(void **state)
{
    /* Around vectors, query blocks (48), key blocks (128), query parts (384) and what CUDA takes
     * for a short text (64, 128, 256); a prime. */
    static const uint32_t lengths[] = {1,  2,  15, 16,  17,  31,  32,  33,  47,  48,  49,
                                       63, 64, 65, 127, 128, 129, 131, 255, 256, 257, 1};
    static const uint32_t long_lengths[] = {383, 384, 385, 512};

    (void)state;
    attention_try(lengths, COUNT(lengths), 2, 32, 1.0f);
    attention_try(lengths, COUNT(lengths), 2, 64, 1.0f);
    attention_try(long_lengths, COUNT(long_lengths), 1, 32, 1.0f);
    /* Sharp distributions: a few keys take nearly everything. */
    attention_try(lengths, COUNT(lengths), 1, 32, 4.0f);
}

static void test_attention_other_widths(void **state)
{
    static const uint32_t lengths[] = {1, 17, 130};
    static const uint32_t widths[] = {1, 7, 31, 33, 48, 80, 96, 128, 256};

    (void)state;
    if (device_info(subject.device)->kind == DEVICE_CUDA) {
        printf("attention of other widths than 32 and 64: not supported\n");
        skip();
    }
    for (size_t i = 0; i < COUNT(widths); i++)
        attention_try(lengths, COUNT(lengths), 2, widths[i], 1.0f);
}

/* NaN in one text reaches that text alone, also where texts share vectors and blocks. */
static void test_attention_not_finite(void **state)
{
    static const uint32_t lengths[] = {5, 3, 130, 9};
    enum { TOKENS = 147, WIDTH = 64 };
    struct random random = {.state = 3};
    float *qkv = random_floats(&random, TOKENS * 3 * WIDTH, 1.0f);
    float *clean = attention_result(&subject, qkv, lengths, 4, 2, 32);

    (void)state;
    for (size_t t = 5; t < 8; t++) /* the second text */
        for (size_t c = 0; c < 3 * WIDTH; c++)
            qkv[t * 3 * WIDTH + c] = NAN;
    float *result = attention_result(&subject, qkv, lengths, 4, 2, 32);
    assert_bits_equal("text before", result, clean, 5 * WIDTH);
    assert_bits_equal("texts behind", result + 8 * WIDTH, clean + 8 * WIDTH, (TOKENS - 8) * WIDTH);
    for (size_t i = 5 * WIDTH; i < 8 * WIDTH; i++)
        assert_true(isnan(result[i]));
    free(qkv);
    free(clean);
    free(result);
}

/* ---- norm, embedding ---- */

static float *add_norm_result(struct bench *bench, const float *x, const float *residual,
                              const float *gamma, const float *beta, uint32_t rows, uint32_t width,
                              bool in_place)
{
    struct norm_weight *norm;
    struct matrix x_matrix = matrix_from(bench, rows, width, x);
    struct matrix residual_matrix = matrix_from(bench, rows, width, residual);
    struct matrix out = matrix_create(bench, rows, width, ELEMENT_ACTIVATION);
    struct matrix *to = in_place ? &residual_matrix : &out;

    assert_int_equal(norm_weight_create(bench->device, gamma, beta, width, NORM_EPSILON, &norm),
                     KERNEL_OK);
    assert_int_equal(
        op_add_norm(bench->stream, norm, x_matrix.data, residual_matrix.data, rows, to->data),
        KERNEL_OK);
    float *result = matrix_read(to);
    norm_weight_destroy(norm);
    matrix_destroy(&x_matrix);
    matrix_destroy(&residual_matrix);
    matrix_destroy(&out);
    return result;
}

static const uint32_t row_widths[] = {2,  15, 16,  17,  31,   32,   33,
                                      63, 64, 384, 768, 1009, 1024, DEVICE_WIDTH_MAX};

static void test_add_norm(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(row_widths); i++) {
        uint32_t width = row_widths[i], rows = width > 2048 ? 2 : 33 + (uint32_t)i;
        size_t count = (size_t)rows * width;
        struct random random = {.state = width};
        float *wanted[2] = {random_floats(&random, count, 3.0f),
                            random_floats(&random, count, 1.0f)};
        struct matrix x_matrix = matrix_from(&subject, rows, width, wanted[0]);
        struct matrix residual_matrix = matrix_from(&subject, rows, width, wanted[1]);
        float *x = rounded(&x_matrix), *residual = rounded(&residual_matrix);
        float *gamma = exact_weights(&random, width), *beta = exact_weights(&random, width);
        float *expected = add_norm_result(&reference, x, residual, gamma, beta, rows, width, false);
        float *actual = add_norm_result(&subject, x, residual, gamma, beta, rows, width, false);
        float *in_place = add_norm_result(&subject, x, residual, gamma, beta, rows, width, true);
        assert_bounded(
            "add_norm", actual, expected,
            bound_add_norm(&arithmetic, x, residual, gamma, beta, NORM_EPSILON, rows, width),
            count);
        assert_bits_equal("add_norm in place", in_place, actual, count);
        matrix_destroy(&x_matrix);
        matrix_destroy(&residual_matrix);
        float *all[] = {wanted[0], wanted[1], x, residual, gamma, beta, expected, actual, in_place};
        for (size_t k = 0; k < COUNT(all); k++)
            free(all[k]);
    }
}

static float *embed_result(struct bench *bench, const struct embedding_tables *tables,
                           const float *gamma, const float *beta, const uint32_t *lengths,
                           uint32_t texts)
{
    struct norm_weight *norm;
    struct embedding_weight *embedding;
    uint32_t tokens = 0;

    for (uint32_t s = 0; s < texts; s++)
        tokens += lengths[s];
    struct token_batch *batch = batch_create(bench, lengths, texts, tables->word_rows,
                                             tables->types ? tables->type_rows : 1);
    struct matrix out = matrix_create(bench, tokens, tables->width, ELEMENT_ACTIVATION);
    assert_int_equal(
        norm_weight_create(bench->device, gamma, beta, tables->width, NORM_EPSILON, &norm),
        KERNEL_OK);
    assert_int_equal(embedding_weight_create(bench->device, tables, norm, &embedding), KERNEL_OK);
    assert_int_equal(op_embed(bench->stream, embedding, batch, out.data), KERNEL_OK);
    float *result = matrix_read(&out);
    embedding_weight_destroy(embedding);
    norm_weight_destroy(norm);
    token_batch_destroy(batch);
    matrix_destroy(&out);
    return result;
}

/* The rows that each token adds up: batch_create draws ids and types in turn. */
static double *embed_bound(const struct embedding_tables *tables, const float *gamma,
                           const float *beta, const uint32_t *lengths, uint32_t texts)
{
    struct random random = {.state = 7};
    uint32_t width = tables->width, tokens = 0;

    for (uint32_t s = 0; s < texts; s++)
        tokens += lengths[s];
    float *words = floats_create((size_t)tokens * width);
    float *positions = floats_create((size_t)tokens * width);
    float *types = floats_create((size_t)tokens * width);
    size_t at = 0;
    for (uint32_t s = 0; s < texts; s++)
        for (uint32_t p = 0; p < lengths[s]; p++, at += width) {
            size_t id = random_below(&random, tables->word_rows);
            size_t type = random_below(&random, tables->types ? tables->type_rows : 1);
            memcpy(words + at, tables->words + id * width, width * sizeof(float));
            memcpy(positions + at, tables->positions + p * width, width * sizeof(float));
            if (tables->types)
                memcpy(types + at, tables->types + type * width, width * sizeof(float));
        }
    double *bound = bound_embed(&arithmetic, words, positions, tables->types ? types : NULL, gamma,
                                beta, NORM_EPSILON, tokens, width);
    free(words);
    free(positions);
    free(types);
    return bound;
}

static void test_embed(void **state)
{
    static const uint32_t lengths[] = {1, 33, 64, 2, 31};
    enum { TOKENS = 131 };

    (void)state;
    for (size_t i = 0; i < COUNT(row_widths) - 1; i++) {
        uint32_t width = row_widths[i];
        struct random random = {.state = width};
        float *words = exact_weights(&random, (size_t)101 * width);
        float *positions = exact_weights(&random, (size_t)64 * width);
        float *types = exact_weights(&random, (size_t)2 * width);
        float *gamma = exact_weights(&random, width), *beta = exact_weights(&random, width);
        struct embedding_tables tables = {.words = words,
                                          .positions = positions,
                                          .types = i % 2 ? types : NULL,
                                          .word_rows = 101,
                                          .position_rows = 64,
                                          .type_rows = i % 2 ? 2 : 0,
                                          .width = width};
        float *expected = embed_result(&reference, &tables, gamma, beta, lengths, COUNT(lengths));
        float *actual = embed_result(&subject, &tables, gamma, beta, lengths, COUNT(lengths));
        assert_bounded("embed", actual, expected,
                       embed_bound(&tables, gamma, beta, lengths, COUNT(lengths)),
                       (size_t)TOKENS * width);
        float *all[] = {words, positions, types, gamma, beta, expected, actual};
        for (size_t k = 0; k < COUNT(all); k++)
            free(all[k]);
    }
}

/* ---- pooling, softmax, moving rows ---- */

static float *pool_result(struct bench *bench, const float *x, const uint32_t *lengths,
                          uint32_t texts, uint32_t width, enum pool_mode mode, bool normalise)
{
    struct token_batch *batch = batch_create(bench, lengths, texts, 1, 1);
    uint32_t tokens = 0;

    for (uint32_t s = 0; s < texts; s++)
        tokens += lengths[s];
    struct matrix in = matrix_from(bench, tokens, width, x);
    struct matrix out = matrix_create(bench, texts, width, ELEMENT_FLOAT);
    assert_int_equal(op_pool(bench->stream, batch, in.data, width, mode, normalise, out.data),
                     KERNEL_OK);
    float *result = matrix_read(&out);
    matrix_destroy(&in);
    matrix_destroy(&out);
    token_batch_destroy(batch);
    return result;
}

static void test_pool(void **state)
{
    static const uint32_t lengths[] = {1, 2, 31, 32, 33, 128, 257, 7};
    static const uint32_t widths[] = {1, 2, 31, 32, 33, 384, 1009};
    enum { TOKENS = 491 };

    (void)state;
    for (size_t i = 0; i < COUNT(widths); i++) {
        struct random random = {.state = widths[i]};
        float *wanted = random_floats(&random, (size_t)TOKENS * widths[i], 1.0f);
        /* A text of zeros has norm 0 and stays zeros. */
        memset(wanted, 0, widths[i] * sizeof(float));
        struct matrix matrix = matrix_from(&subject, TOKENS, widths[i], wanted);
        float *x = rounded(&matrix);
        for (int mode = POOL_MEAN; mode <= POOL_MAX; mode++)
            for (int normalise = 0; normalise <= 1; normalise++) {
                float *expected = pool_result(&reference, x, lengths, COUNT(lengths), widths[i],
                                              (enum pool_mode)mode, normalise);
                float *actual = pool_result(&subject, x, lengths, COUNT(lengths), widths[i],
                                            (enum pool_mode)mode, normalise);
                assert_bounded("pool", actual, expected,
                               bound_pool(&arithmetic, x, lengths, COUNT(lengths), widths[i],
                                          (enum pool_mode)mode, normalise),
                               COUNT(lengths) * widths[i]);
                free(expected);
                free(actual);
            }
        matrix_destroy(&matrix);
        free(wanted);
        free(x);
    }
}

static void test_pool_not_finite(void **state)
{
    static const uint32_t lengths[] = {3, 4, 5};
    enum { TOKENS = 12, WIDTH = 33 };
    struct random random = {.state = 9};
    float *x = random_floats(&random, TOKENS * WIDTH, 1.0f);

    (void)state;
    x[5 * WIDTH + 20] = NAN; /* the second text, its third token */
    for (int mode = POOL_MEAN; mode <= POOL_MAX; mode++) {
        float *expected =
            pool_result(&reference, x, lengths, 3, WIDTH, (enum pool_mode)mode, false);
        float *actual = pool_result(&subject, x, lengths, 3, WIDTH, (enum pool_mode)mode, false);
        assert_int_equal(isnan(actual[WIDTH + 20]), mode != POOL_FIRST);
        assert_true(isfinite(actual[20]) && isfinite(actual[2 * WIDTH + 20]));
        assert_true(isfinite(actual[WIDTH + 19]) && isfinite(actual[WIDTH + 21]));
        assert_true(isfinite(expected[20]));
        free(expected);
        free(actual);
    }
    free(x);
}

static void test_softmax(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(row_widths); i++) {
        uint32_t width = row_widths[i], rows = width > 2048 ? 2 : 33;
        struct random random = {.state = width};
        float *wanted = random_floats(&random, (size_t)rows * width, 12.0f);
        struct matrix x[2], out[2];
        float *results[2];
        x[0] = matrix_from(&subject, rows, width, wanted);
        float *values = rounded(&x[0]);
        x[1] = matrix_from(&reference, rows, width, values);
        for (int k = 0; k < 2; k++) {
            struct bench *bench = k ? &reference : &subject;
            out[k] = matrix_create(bench, rows, width, ELEMENT_FLOAT);
            assert_int_equal(op_softmax(bench->stream, x[k].data, rows, width, out[k].data),
                             KERNEL_OK);
            results[k] = matrix_read(&out[k]);
            matrix_destroy(&x[k]);
            matrix_destroy(&out[k]);
        }
        assert_bounded("softmax", results[0], results[1],
                       bound_softmax(&arithmetic, values, rows, width), (size_t)rows * width);
        for (uint32_t r = 0; r < rows; r++) {
            double sum = 0;
            for (uint32_t c = 0; c < width; c++)
                sum += results[0][(size_t)r * width + c];
            assert_true(fabs(sum - 1) < 1e-4);
        }
        free(wanted);
        free(values);
        free(results[0]);
        free(results[1]);
    }
}

static void test_gather_first(void **state)
{
    static const uint32_t lengths[] = {1, 2, 31, 1, 64};
    static const uint32_t starts[] = {0, 1, 3, 34, 35};
    enum { TOKENS = 99, WIDTH = 33 };
    struct random random = {.state = 11};
    float *x = exact_weights(&random, TOKENS * WIDTH);
    struct token_batch *batch = batch_create(&subject, lengths, COUNT(lengths), 1, 1);
    struct matrix in = matrix_from(&subject, TOKENS, WIDTH, x);
    struct matrix out = matrix_create(&subject, COUNT(lengths), WIDTH, ELEMENT_ACTIVATION);

    (void)state;
    assert_int_equal(op_gather_first(subject.stream, batch, in.data, WIDTH, out.data), KERNEL_OK);
    float *firsts = matrix_read(&out);
    for (size_t s = 0; s < COUNT(lengths); s++)
        assert_bits_equal("first row", firsts + s * WIDTH, x + starts[s] * WIDTH, WIDTH);
    matrix_destroy(&in);
    matrix_destroy(&out);
    token_batch_destroy(batch);
    free(x);
    free(firsts);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_linear_epilogues),
        cmocka_unit_test(test_epilogue_range),
        cmocka_unit_test(test_linear_not_finite),
        cmocka_unit_test(test_attention),
        cmocka_unit_test(test_attention_other_widths),
        cmocka_unit_test(test_attention_not_finite),
        cmocka_unit_test(test_add_norm),
        cmocka_unit_test(test_embed),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_pool_not_finite),
        cmocka_unit_test(test_softmax),
        cmocka_unit_test(test_gather_first),
    };

    subject = subject_open(argc > 1 ? argv[1] : "cpu_plain");
    reference = reference_open();
    arithmetic = arithmetic_of(subject.device);
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bench_close(&subject);
    bench_close(&reference);
    return failed;
}
