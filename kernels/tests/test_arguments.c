/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What device.h says is refused is refused, before anything is done: outputs keep their bits.
 * Devices that cannot be opened say why.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/tests/subject.h"

#define assert_refused(call) assert_int_equal(call, KERNEL_BAD_ARGUMENT)

static struct bench bench;
static struct bench foreign; /* objects of another device */

enum { WIDTH = 32, TOKENS = 6 };

static float numbers[4 * WIDTH * WIDTH];

static void test_open(void **state)
{
    struct device_options options = {.kind = DEVICE_CPU, .threads = DEVICE_THREADS_MAX + 1};
    struct device *device = NULL;
    const uint32_t cores[] = {0};
    char message[96];

    (void)state;
    assert_refused(device_open(&options, &device, message, sizeof(message)));
    assert_string_equal(message, "bad argument");
    options = (struct device_options){.kind = (enum device_kind)9};
    assert_refused(device_open(&options, &device, NULL, 0));
    options = (struct device_options){.kind = DEVICE_CPU, .precision = (enum device_precision)3};
    assert_refused(device_open(&options, &device, NULL, 0));
    options = (struct device_options){.kind = DEVICE_CPU, .cores = cores};
    assert_refused(device_open(&options, &device, NULL, 0));
    options = (struct device_options){.kind = DEVICE_CPU, .precision = DEVICE_FP16};
    assert_int_equal(device_open(&options, &device, message, sizeof(message)), KERNEL_UNSUPPORTED);
    assert_string_equal(message, "the CPU device computes in fp32 and bf16 only");
    assert_int_equal(device_open(&options, &device, message, 4), KERNEL_UNSUPPORTED);
    assert_string_equal(message, "the");
    options = (struct device_options){.kind = DEVICE_CPU, .precision = DEVICE_BF16, .threads = 1};
    int r = device_open(&options, &device, message, sizeof(message));
    if (r == KERNEL_OK) {
        assert_int_equal(device_info(device)->precision, DEVICE_BF16);
        assert_int_equal(device_info(device)->activation_bytes, 2);
        device_close(device);
        device = NULL;
    } else {
        assert_int_equal(r, KERNEL_UNSUPPORTED);
        assert_non_null(strstr(message, "AVX-512 BF16"));
    }
    options = (struct device_options){.kind = DEVICE_REFERENCE, .precision = DEVICE_BF16};
    assert_int_equal(device_open(&options, &device, message, sizeof(message)), KERNEL_UNSUPPORTED);
    assert_string_equal(message, "the reference device computes in fp32 only");
    assert_refused(device_open(NULL, &device, NULL, 0));
    assert_null(device);
    device_close(NULL);
    assert_refused(device_cuda_count(NULL));
}

/* With or without CUDA in the build, a driver, a device or cuBLASLt: a device or a reason. */
static void test_open_cuda(void **state)
{
    struct device_options options = {.kind = DEVICE_CUDA};
    struct device *device = NULL;
    char message[256] = "";
    uint32_t count = 77;
    int r = device_cuda_count(&count);

    (void)state;
    if (r < 0)
        assert_int_equal(count, 77);
    int opened = device_open(&options, &device, message, sizeof(message));
    if (opened == KERNEL_OK) {
        assert_string_not_equal(device_info(device)->uuid, "");
        device_close(device);
        options.ordinal = 1000;
        opened = device_open(&options, &device, message, sizeof(message));
        assert_int_equal(opened, KERNEL_NO_DEVICE);
    } else {
        assert_null(device);
        if (r < 0)
            assert_int_equal(opened, r);
    }
    assert_string_not_equal(message, "");
}

static void test_open_default_threads(void **state)
{
    struct device_options options = {.kind = DEVICE_CPU};
    struct device *device;

    (void)state;
    assert_int_equal(device_open(&options, &device, NULL, 0), KERNEL_OK);
    assert_true(device_info(device)->threads >= 1);
    assert_true(device_info(device)->memory_bytes > 0);
    assert_int_equal(device_info(device)->activation_bytes, 4);
    assert_string_equal(device_error_text(device), "");
    device_close(device);
}

static void test_status_texts(void **state)
{
    (void)state;
    for (int status = KERNEL_SYSTEM; status <= KERNEL_OK; status++)
        assert_string_not_equal(kernel_status_text(status), "unknown status");
    assert_string_equal(kernel_status_text(1), "unknown status");
    assert_string_equal(kernel_status_text(KERNEL_SYSTEM - 1), "unknown status");
}

static void test_memory(void **state)
{
    void *memory = NULL;

    (void)state;
    assert_refused(device_alloc(bench.device, 0, &memory));
    assert_refused(device_alloc(NULL, 1, &memory));
    assert_refused(device_host_alloc(bench.device, 0, &memory));
    assert_int_equal(device_alloc(bench.device, SIZE_MAX - 8, &memory), KERNEL_NO_MEMORY);
    assert_null(memory);
    assert_int_equal(device_alloc(bench.device, 1, &memory), KERNEL_OK);
    assert_int_equal((uintptr_t)memory % 256, 0);
    assert_refused(device_copy_to_device(bench.stream, memory, numbers, 0));
    assert_refused(device_copy_to_host(bench.stream, numbers, NULL, 1));
    device_free(bench.device, memory);
    device_free(bench.device, NULL);
    device_host_free(bench.device, NULL);
    assert_refused(device_stream_create(NULL, NULL));
    assert_refused(device_stream_wait(bench.stream, foreign.stream));
    assert_int_equal(device_stream_wait(bench.stream, bench.stream), KERNEL_OK);
    assert_refused(device_stream_synchronise(NULL));
    device_stream_destroy(NULL);
}

static void test_weights(void **state)
{
    struct linear_weight *linear;
    struct norm_weight *norm, *foreign_norm;
    struct embedding_weight *embedding;

    (void)state;
    assert_refused(linear_weight_create(bench.device, NULL, NULL, 1, 1, &linear));
    assert_refused(linear_weight_create(bench.device, numbers, NULL, 0, 1, &linear));
    assert_refused(linear_weight_create(bench.device, numbers, NULL, 1, 0, &linear));
    assert_refused(
        linear_weight_create(bench.device, numbers, NULL, 1, DEVICE_WIDTH_MAX + 1, &linear));
    assert_refused(norm_weight_create(bench.device, numbers, NULL, 8, 0, &norm));
    assert_refused(norm_weight_create(bench.device, numbers, numbers, 0, 0, &norm));
    assert_refused(norm_weight_create(bench.device, numbers, numbers, 8, -1e-9f, &norm));
    assert_refused(norm_weight_create(bench.device, numbers, numbers, 8, NAN, &norm));
    linear_weight_destroy(NULL);
    norm_weight_destroy(NULL);
    embedding_weight_destroy(NULL);

    assert_int_equal(norm_weight_create(bench.device, numbers, numbers, 8, 0, &norm), KERNEL_OK);
    assert_int_equal(norm_weight_create(foreign.device, numbers, numbers, 8, 0, &foreign_norm),
                     KERNEL_OK);
    const struct embedding_tables good = {.words = numbers,
                                          .positions = numbers,
                                          .types = numbers,
                                          .word_rows = 4,
                                          .position_rows = 4,
                                          .type_rows = 2,
                                          .width = 8};
    struct embedding_tables tables = good;
    assert_refused(embedding_weight_create(bench.device, &tables, foreign_norm, &embedding));
    tables.width = 9; /* not the norm's */
    assert_refused(embedding_weight_create(bench.device, &tables, norm, &embedding));
    tables = good;
    tables.word_rows = 0;
    assert_refused(embedding_weight_create(bench.device, &tables, norm, &embedding));
    tables = good;
    tables.types = NULL;
    assert_refused(embedding_weight_create(bench.device, &tables, norm, &embedding));
    tables = good;
    tables.type_rows = 0;
    assert_refused(embedding_weight_create(bench.device, &tables, norm, &embedding));
    norm_weight_destroy(norm);
    norm_weight_destroy(foreign_norm);
}

static void test_token_batch(void **state)
{
    struct token_batch *batch;
    const int32_t ids[] = {1, 2, 3, 4, 5, 6}, negative[] = {1, 2, -3, 4, 5, 6};
    const uint32_t good_lengths[] = {0, 2, 6}, empty_text[] = {0, 6, 6}, falling[] = {0, 7, 6},
                   late_start[] = {1, 2, 6}, early_end[] = {0, 2, 5}, many[] = {0, 1, 2, 6};
    const struct token_source good = {
        .ids = ids, .cu_seqlens = good_lengths, .tokens = 6, .texts = 2};
    struct token_source source;

    (void)state;
    assert_refused(token_batch_create(bench.device, 0, 1, &batch));
    assert_refused(token_batch_create(bench.device, 4, 5, &batch));
    assert_refused(token_batch_create(bench.device, DEVICE_ROWS_MAX + 1, 1, &batch));
    assert_int_equal(token_batch_create(bench.device, 6, 2, &batch), KERNEL_OK);
    assert_refused(token_batch_load(foreign.stream, batch, &good));

    const uint32_t *const bad_lengths[] = {empty_text, falling, late_start, early_end};
    for (size_t i = 0; i < 4; i++) {
        source = good;
        source.cu_seqlens = bad_lengths[i];
        assert_refused(token_batch_load(bench.stream, batch, &source));
    }
    source = good;
    source.ids = negative;
    assert_refused(token_batch_load(bench.stream, batch, &source));
    source = good;
    source.types = negative;
    assert_refused(token_batch_load(bench.stream, batch, &source));
    source = good;
    source.tokens = 0;
    assert_refused(token_batch_load(bench.stream, batch, &source));
    source = good;
    source.texts = 0;
    assert_refused(token_batch_load(bench.stream, batch, &source));
    source.texts = 3; /* above the batch's maximum */
    source.cu_seqlens = many;
    assert_refused(token_batch_load(bench.stream, batch, &source));
    assert_int_equal(token_batch_load(bench.stream, batch, &good), KERNEL_OK);
    token_batch_destroy(batch);
    token_batch_destroy(NULL);
}

static void test_embed_ids(void **state)
{
    struct norm_weight *norm;
    struct embedding_weight *embedding, *typeless;
    struct token_batch *batch;
    struct matrix out = matrix_create(&bench, TOKENS, 8, ELEMENT_ACTIVATION);
    struct embedding_tables tables = {.words = numbers,
                                      .positions = numbers,
                                      .types = numbers,
                                      .word_rows = 5,
                                      .position_rows = 4,
                                      .type_rows = 2,
                                      .width = 8};
    const uint32_t two[] = {0, 2, 6}, one[] = {0, 6};
    const int32_t ids[] = {0, 1, 2, 3, 4, 0}, beyond[] = {0, 1, 2, 3, 5, 0};
    const int32_t types[] = {0, 1, 0, 0, 0, 0}, types_beyond[] = {0, 2, 0, 0, 0, 0};
    struct token_source source = {.ids = ids, .cu_seqlens = two, .tokens = 6, .texts = 2};

    (void)state;
    assert_int_equal(norm_weight_create(bench.device, numbers, numbers, 8, 1, &norm), KERNEL_OK);
    assert_int_equal(embedding_weight_create(bench.device, &tables, norm, &embedding), KERNEL_OK);
    tables.types = NULL;
    tables.type_rows = 0;
    assert_int_equal(embedding_weight_create(bench.device, &tables, norm, &typeless), KERNEL_OK);
    assert_int_equal(token_batch_create(bench.device, 6, 2, &batch), KERNEL_OK);

    assert_refused(op_embed(bench.stream, embedding, batch, out.data)); /* nothing loaded */
    assert_int_equal(token_batch_load(bench.stream, batch, &source), KERNEL_OK);
    assert_int_equal(op_embed(bench.stream, embedding, batch, out.data), KERNEL_OK);
    assert_int_equal(op_embed(bench.stream, typeless, batch, out.data), KERNEL_OK);

    source.ids = beyond;
    assert_int_equal(token_batch_load(bench.stream, batch, &source), KERNEL_OK);
    assert_refused(op_embed(bench.stream, embedding, batch, out.data));
    source.ids = ids;
    source.types = types;
    assert_int_equal(token_batch_load(bench.stream, batch, &source), KERNEL_OK);
    assert_int_equal(op_embed(bench.stream, embedding, batch, out.data), KERNEL_OK);
    assert_refused(op_embed(bench.stream, typeless, batch, out.data));
    source.types = types_beyond;
    assert_int_equal(token_batch_load(bench.stream, batch, &source), KERNEL_OK);
    assert_refused(op_embed(bench.stream, embedding, batch, out.data));
    source.types = NULL;
    source.cu_seqlens = one; /* a text longer than there are positions */
    source.texts = 1;
    assert_int_equal(token_batch_load(bench.stream, batch, &source), KERNEL_OK);
    assert_refused(op_embed(bench.stream, embedding, batch, out.data));

    token_batch_destroy(batch);
    embedding_weight_destroy(embedding);
    embedding_weight_destroy(typeless);
    norm_weight_destroy(norm);
    matrix_destroy(&out);
}

static void test_operations(void **state)
{
    const uint32_t lengths[] = {2, 4};
    struct token_batch *batch = batch_create(&bench, lengths, 2, 1, 1);
    struct linear_weight *linear;
    struct norm_weight *norm;
    struct matrix x = matrix_from(&bench, TOKENS, 3 * WIDTH, numbers);
    struct matrix y = matrix_create(&bench, TOKENS, 3 * WIDTH, ELEMENT_FLOAT);
    void *crooked = (char *)x.data + 4;
    float *crooked_out = (float *)y.data + 1;
    struct device_stream *s = bench.stream;

    (void)state;
    assert_int_equal(linear_weight_create(bench.device, numbers, NULL, WIDTH, WIDTH, &linear),
                     KERNEL_OK);
    assert_int_equal(norm_weight_create(bench.device, numbers, numbers, WIDTH, 0, &norm),
                     KERNEL_OK);

    assert_refused(op_linear(s, linear, LINEAR_PLAIN, crooked, 1, y.data));
    assert_refused(op_linear(s, linear, LINEAR_PLAIN, x.data, 1, crooked_out));
    assert_refused(op_linear(s, linear, LINEAR_PLAIN, x.data, 0, y.data));
    assert_refused(op_linear(s, linear, LINEAR_PLAIN, x.data, DEVICE_ROWS_MAX + 1, y.data));
    assert_refused(op_linear(s, linear, LINEAR_PLAIN, NULL, 1, y.data));
    assert_refused(op_linear(s, linear, LINEAR_PLAIN, x.data, 1, x.data));
    assert_refused(op_linear(s, linear, (enum linear_epilogue)4, x.data, 1, y.data));
    assert_refused(op_linear(foreign.stream, linear, LINEAR_PLAIN, x.data, 1, y.data));
    assert_refused(op_linear(s, NULL, LINEAR_PLAIN, x.data, 1, y.data));

    assert_refused(op_attention(s, batch, crooked, 1, WIDTH, 1, y.data));
    assert_refused(op_attention(s, batch, x.data, 0, WIDTH, 1, y.data));
    assert_refused(op_attention(s, batch, x.data, 1, 0, 1, y.data));
    assert_refused(op_attention(s, batch, x.data, 1, WIDTH, INFINITY, y.data));
    assert_refused(op_attention(s, batch, x.data, DEVICE_WIDTH_MAX, WIDTH, 1, y.data));
    assert_refused(op_attention(s, NULL, x.data, 1, WIDTH, 1, y.data));
    assert_int_equal(op_attention(s, batch, x.data, 1, 257, 1, y.data), KERNEL_UNSUPPORTED);

    assert_refused(op_add_norm(s, norm, x.data, crooked, 1, y.data));
    assert_refused(op_add_norm(s, norm, x.data, x.data, 0, y.data));
    assert_refused(op_add_norm(foreign.stream, norm, x.data, x.data, 1, y.data));

    assert_refused(op_pool(s, batch, x.data, 0, POOL_MEAN, true, y.data));
    assert_refused(op_pool(s, batch, x.data, WIDTH, (enum pool_mode)3, true, y.data));
    assert_refused(op_pool(s, batch, crooked, WIDTH, POOL_MEAN, true, y.data));
    assert_refused(op_gather_first(s, batch, x.data, 0, y.data));
    assert_refused(op_gather_first(s, batch, x.data, WIDTH, x.data));
    assert_refused(op_softmax(s, x.data, 0, WIDTH, y.data));
    assert_refused(op_softmax(s, x.data, 1, 0, y.data));
    assert_refused(op_softmax(s, x.data, 1, WIDTH, crooked_out));
    assert_refused(op_to_float(s, x.data, 1, DEVICE_WIDTH_MAX + 1, y.data));
    assert_refused(op_from_float(s, y.data, 1, WIDTH, y.data));

    /* Nothing of it touched the output. */
    float *untouched = matrix_read(&y);
    for (size_t i = 0; i < TOKENS * 3 * WIDTH; i++)
        assert_true(isnan(untouched[i]));
    free(untouched);
    token_batch_destroy(batch);
    linear_weight_destroy(linear);
    norm_weight_destroy(norm);
    matrix_destroy(&x);
    matrix_destroy(&y);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_open_cuda),
        cmocka_unit_test(test_open_default_threads),
        cmocka_unit_test(test_status_texts),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_token_batch),
        cmocka_unit_test(test_embed_ids),
        cmocka_unit_test(test_operations),
    };

    bench = subject_open(argc > 1 ? argv[1] : "cpu_plain");
    foreign = reference_open();
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    bench_close(&bench);
    bench_close(&foreign);
    return failed;
}
