/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reference device against numbers worked out by hand or taken from tables of the functions:
 * everything else is tested against it, so its own truth comes from outside.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "kernels/tests/subject.h"

static struct bench bench;
static const struct tolerance exact = {.nmse = 1e-14, .largest = 1e-7};

static void assert_linear(enum linear_epilogue epilogue, const float *x, uint32_t rows,
                          const float *expected)
{
    static const float weight[] = {1, 2, 3, -1, 0.5f, 0}; /* [2, 3] */
    static const float bias[] = {0.5f, -1};
    struct linear_weight *linear;
    struct matrix in = matrix_from(&bench, rows, 3, x);
    struct matrix out = matrix_create(&bench, rows, 2, ELEMENT_ACTIVATION);

    assert_int_equal(linear_weight_create(bench.device, weight, bias, 2, 3, &linear), KERNEL_OK);
    assert_int_equal(op_linear(bench.stream, linear, epilogue, in.data, rows, out.data), KERNEL_OK);
    float *y = matrix_read(&out);
    assert_close("linear", y, expected, rows * 2, exact);
    free(y);
    linear_weight_destroy(linear);
    matrix_destroy(&in);
    matrix_destroy(&out);
}

static void test_linear(void **state)
{
    static const float x[] = {1, 1, 1, -0.5f, 0, 0};
    /* 1 + 2 + 3 + 0.5, -1 + 0.5 - 1; -0.5 + 0.5, 0.5 - 1 */
    static const float plain[] = {6.5f, -1.5f, 0, -0.5f};
    static const float relu[] = {6.5f, 0, 0, 0};
    static const float hyperbolic[] = {0.99999547863f, -0.90514825364f, 0, -0.46211715726f};
    /* z Φ(z), Φ(-1.5) = 0.0668072013, Φ(-0.5) = 0.3085375387, Φ(6.5) = 1 - 4.016e-11 */
    static const float gelu[] = {6.5f, -0.10021080192f, 0, -0.15426876936f};

    (void)state;
    assert_linear(LINEAR_PLAIN, x, 2, plain);
    assert_linear(LINEAR_RELU, x, 2, relu);
    assert_linear(LINEAR_TANH, x, 2, hyperbolic);
    assert_linear(LINEAR_GELU, x, 2, gelu);
}

static void test_add_norm(void **state)
{
    static const float x[] = {1, 1, 1, 1}, residual[] = {0, 2, 4, 6};
    static const float gamma[] = {1, 1, 2, 1}, beta[] = {0, 0, 1, 10};
    /* 1 3 5 7: mean 4, variance 5, 3/√5 = 1.3416407865, 1/√5 = 0.4472135955 */
    static const float expected[] = {-1.3416407865f, -0.4472135955f, 1.894427191f, 11.3416407865f};
    struct norm_weight *norm;
    struct matrix in = matrix_from(&bench, 1, 4, x);
    struct matrix added = matrix_from(&bench, 1, 4, residual);
    struct matrix out = matrix_create(&bench, 1, 4, ELEMENT_ACTIVATION);

    (void)state;
    assert_int_equal(norm_weight_create(bench.device, gamma, beta, 4, 0, &norm), KERNEL_OK);
    assert_int_equal(op_add_norm(bench.stream, norm, in.data, added.data, 1, out.data), KERNEL_OK);
    float *y = matrix_read(&out);
    assert_close("add_norm", y, expected, 4, exact);
    free(y);
    norm_weight_destroy(norm);

    /* epsilon 4 makes the deviation 3. */
    static const float with_epsilon[] = {-1, -1.0f / 3, 5.0f / 3, 11};
    assert_int_equal(norm_weight_create(bench.device, gamma, beta, 4, 4, &norm), KERNEL_OK);
    assert_int_equal(op_add_norm(bench.stream, norm, in.data, added.data, 1, out.data), KERNEL_OK);
    y = matrix_read(&out);
    assert_close("add_norm with epsilon", y, with_epsilon, 4, exact);
    free(y);
    norm_weight_destroy(norm);
    matrix_destroy(&in);
    matrix_destroy(&added);
    matrix_destroy(&out);
}

static void test_embed(void **state)
{
    static const float words[] = {0, 0, 10, 20, 30, 50}; /* [3, 2] */
    static const float positions[] = {1, 0, 0, 4};       /* [2, 2] */
    static const float types[] = {0, 0, 7, 0};           /* [2, 2] */
    static const float gamma[] = {1, 3}, beta[] = {0, 0};
    static const struct embedding_tables tables = {.words = words,
                                                   .positions = positions,
                                                   .types = types,
                                                   .word_rows = 3,
                                                   .position_rows = 2,
                                                   .type_rows = 2,
                                                   .width = 2};
    /* Two texts: ids 2 1, then 0. Sums (31, 50), (10 + 7, 24), (1 + 7, 0): two numbers normalise to
     * -1 and 1 in their order. */
    static const int32_t ids[] = {2, 1, 0}, type_ids[] = {0, 1, 1};
    static const uint32_t cu_seqlens[] = {0, 2, 3};
    static const struct token_source source = {
        .ids = ids, .types = type_ids, .cu_seqlens = cu_seqlens, .tokens = 3, .texts = 2};
    static const float expected[] = {-1, 3, -1, 3, 1, -3};
    struct norm_weight *norm;
    struct embedding_weight *embedding;
    struct token_batch *batch;
    struct matrix out = matrix_create(&bench, 3, 2, ELEMENT_ACTIVATION);

    (void)state;
    assert_int_equal(norm_weight_create(bench.device, gamma, beta, 2, 0, &norm), KERNEL_OK);
    assert_int_equal(embedding_weight_create(bench.device, &tables, norm, &embedding), KERNEL_OK);
    assert_int_equal(token_batch_create(bench.device, 3, 2, &batch), KERNEL_OK);
    assert_int_equal(token_batch_load(bench.stream, batch, &source), KERNEL_OK);
    assert_int_equal(op_embed(bench.stream, embedding, batch, out.data), KERNEL_OK);
    float *y = matrix_read(&out);
    assert_close("embed", y, expected, 6, exact);
    free(y);
    token_batch_destroy(batch);
    embedding_weight_destroy(embedding);
    norm_weight_destroy(norm);
    matrix_destroy(&out);
}

static void test_attention(void **state)
{
    /* Two texts, one head of width 1, scale 1. First: q = ln 3, 0; k = 1, 0; v = 4, 8. Query 0 has
     * scores ln 3 and 0, weights 3/4 and 1/4: 5; query 1 has equal weights: 6. Second: one token
     * sees itself. */
    static const float qkv[] = {1.0986122887f, 1, 4, 0, 0, 8, 5, 5, -3};
    static const float expected[] = {5, 6, -3};
    static const uint32_t lengths[] = {2, 1};
    struct token_batch *batch = batch_create(&bench, lengths, 2, 1, 1);
    struct matrix in = matrix_from(&bench, 3, 3, qkv);
    struct matrix out = matrix_create(&bench, 3, 1, ELEMENT_ACTIVATION);

    (void)state;
    assert_int_equal(op_attention(bench.stream, batch, in.data, 1, 1, 1.0f, out.data), KERNEL_OK);
    float *y = matrix_read(&out);
    assert_close("attention", y, expected, 3, exact);
    free(y);

    /* Two heads of width 1 in the same rows: Q of both, K of both, V of both. The first head is the
     * one above at half scale of twice the scores, the second has equal scores everywhere. */
    static const float two_heads[] = {
        2.1972245773f, 0, 1, 0, 4, 2, 0, 0, 0, 0, 8, 4, 10, 1, 1, 1, -3, 9};
    static const float two_expected[] = {5, 3, 6, 3, -3, 9};
    struct matrix in2 = matrix_from(&bench, 3, 6, two_heads);
    struct matrix out2 = matrix_create(&bench, 3, 2, ELEMENT_ACTIVATION);
    assert_int_equal(op_attention(bench.stream, batch, in2.data, 2, 1, 0.5f, out2.data), KERNEL_OK);
    y = matrix_read(&out2);
    assert_close("attention of two heads", y, two_expected, 6, exact);
    free(y);
    token_batch_destroy(batch);
    matrix_destroy(&in);
    matrix_destroy(&out);
    matrix_destroy(&in2);
    matrix_destroy(&out2);
}

static void assert_pool(enum pool_mode mode, bool normalise, const float *expected)
{
    static const float x[] = {3, 4, 0, -8, 6, 8}; /* a text of one token, a text of two */
    static const uint32_t lengths[] = {1, 2};
    struct token_batch *batch = batch_create(&bench, lengths, 2, 1, 1);
    struct matrix in = matrix_from(&bench, 3, 2, x);
    struct matrix out = matrix_create(&bench, 2, 2, ELEMENT_FLOAT);

    assert_int_equal(op_pool(bench.stream, batch, in.data, 2, mode, normalise, out.data),
                     KERNEL_OK);
    float *y = matrix_read(&out);
    assert_close("pool", y, expected, 4, exact);
    free(y);
    token_batch_destroy(batch);
    matrix_destroy(&in);
    matrix_destroy(&out);
}

static void test_pool(void **state)
{
    static const float mean[] = {3, 4, 3, 0}, mean_unit[] = {0.6f, 0.8f, 1, 0};
    static const float first[] = {3, 4, 0, -8}, first_unit[] = {0.6f, 0.8f, 0, -1};
    static const float max[] = {3, 4, 6, 8}, max_unit[] = {0.6f, 0.8f, 0.6f, 0.8f};

    (void)state;
    assert_pool(POOL_MEAN, false, mean);
    assert_pool(POOL_MEAN, true, mean_unit);
    assert_pool(POOL_FIRST, false, first);
    assert_pool(POOL_FIRST, true, first_unit);
    assert_pool(POOL_MAX, false, max);
    assert_pool(POOL_MAX, true, max_unit);
}

static void test_softmax(void **state)
{
    static const float x[] = {0, 1.0986122887f, 1000, 1000};
    static const float expected[] = {0.25f, 0.75f, 0.5f, 0.5f};
    struct matrix in = matrix_from(&bench, 2, 2, x);
    struct matrix out = matrix_create(&bench, 2, 2, ELEMENT_FLOAT);

    (void)state;
    assert_int_equal(op_softmax(bench.stream, in.data, 2, 2, out.data), KERNEL_OK);
    float *y = matrix_read(&out);
    assert_close("softmax", y, expected, 4, exact);
    free(y);
    matrix_destroy(&in);
    matrix_destroy(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_linear), cmocka_unit_test(test_add_norm),
        cmocka_unit_test(test_embed),  cmocka_unit_test(test_attention),
        cmocka_unit_test(test_pool),   cmocka_unit_test(test_softmax),
    };

    bench = reference_open();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bench_close(&bench);
    return failed;
}
