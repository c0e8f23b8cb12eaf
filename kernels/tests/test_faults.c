/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Failing the Nth allocation (host and, on the emulator, device) and the Nth launch, for every N
 * until a whole life of a device passes untouched: each failure is reported as what it is, nothing
 * leaks (the address sanitizer looks), nothing is freed twice, and the next try works.
 *
 * The host's allocation functions are wrapped by the linker (--wrap); the emulator counts its own.
 *
 *   kernels_faults <device>
 */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/device.h"

/* A life without faults makes fewer allocations and launches than this. */
#define FAULTS_MAX 300u

#ifdef KERNELS_EMULATED
void emulator_fail(uint32_t allocation, uint32_t launch);
#else
static void emulator_fail(uint32_t allocation, uint32_t launch)
{
    (void)allocation;
    (void)launch;
}
#endif

static uint32_t host_failure; /* the Nth host allocation from now on fails; 0: none */
static struct device_options options;

static bool is_failing(void)
{
    return host_failure > 0 && --host_failure == 0;
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    return is_failing() ? NULL : __real_calloc(count, size);
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return is_failing() ? NULL : __real_aligned_alloc(alignment, size);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*start)(void *), void *argument)
{
    return is_failing() ? 11 /* EAGAIN */
                        : __real_pthread_create(thread, attributes, start, argument);
}

enum { TOKENS = 5, WIDTH = 32 };

/* Everything that is made once; all NULL where making it failed. */
struct life {
    struct device *device;
    struct device_stream *streams[2];
    struct token_batch *batch;
    struct norm_weight *norm;
    struct embedding_weight *embedding;
    struct linear_weight *linear;
    void *memory[3];
    void *host;
};

#define TRY(call)                                                                                  \
    do {                                                                                           \
        int status_ = (call);                                                                      \
        if (status_ < 0)                                                                           \
            return status_;                                                                        \
    } while (0)

static int life_make(struct life *life)
{
    static float numbers[3 * WIDTH * WIDTH];
    const struct embedding_tables tables = {.words = numbers,
                                            .positions = numbers,
                                            .types = numbers,
                                            .word_rows = TOKENS,
                                            .position_rows = TOKENS,
                                            .type_rows = 2,
                                            .width = WIDTH};

    TRY(device_open(&options, &life->device, NULL, 0));
    TRY(device_stream_create(life->device, &life->streams[0]));
    TRY(device_stream_create(life->device, &life->streams[1]));
    TRY(token_batch_create(life->device, TOKENS, 2, &life->batch));
    TRY(norm_weight_create(life->device, numbers, numbers, WIDTH, 1e-12f, &life->norm));
    TRY(embedding_weight_create(life->device, &tables, life->norm, &life->embedding));
    TRY(linear_weight_create(life->device, numbers, numbers, 3 * WIDTH, WIDTH, &life->linear));
    for (int i = 0; i < 3; i++)
        TRY(device_alloc(life->device, TOKENS * 3 * WIDTH * sizeof(float), &life->memory[i]));
    TRY(device_host_alloc(life->device, 2 * WIDTH * sizeof(float), &life->host));
    return KERNEL_OK;
}

/* Two operations recorded and launched. */
static int life_graph(struct life *life)
{
    struct device_stream *stream = life->streams[0];
    struct device_graph *graph = NULL;

    TRY(device_graph_begin(stream));
    int r = op_embed(stream, life->embedding, life->batch, life->memory[0]);
    if (r == KERNEL_OK)
        r = op_linear(stream, life->linear, LINEAR_GELU, life->memory[0], TOKENS, life->memory[1]);
    int ended = device_graph_end(stream, &graph);
    if (r == KERNEL_OK)
        r = ended;
    if (r == KERNEL_OK)
        r = device_graph_launch(stream, graph);
    if (r == KERNEL_OK)
        r = device_stream_synchronise(stream);
    device_graph_destroy(graph);
    return r;
}

static int life_use(struct life *life)
{
    static const int32_t ids[TOKENS] = {0, 1, 2, 3, 4};
    static const uint32_t cu_seqlens[] = {0, 2, TOKENS};
    const struct token_source source = {
        .ids = ids, .cu_seqlens = cu_seqlens, .tokens = TOKENS, .texts = 2};
    struct device_stream *stream = life->streams[0];
    void *const *memory = life->memory;

    TRY(token_batch_load(stream, life->batch, &source));
    TRY(op_embed(stream, life->embedding, life->batch, memory[0]));
    TRY(op_linear(stream, life->linear, LINEAR_GELU, memory[0], TOKENS, memory[1]));
    TRY(op_attention(stream, life->batch, memory[1], 1, WIDTH, 1.0f, memory[2]));
    TRY(op_add_norm(stream, life->norm, memory[2], memory[0], TOKENS, memory[0]));
    TRY(op_gather_first(stream, life->batch, memory[0], WIDTH, memory[1]));
    TRY(op_softmax(stream, memory[1], 2, WIDTH, memory[2]));
    TRY(op_to_float(stream, memory[1], 2, WIDTH, memory[2]));
    TRY(op_from_float(stream, memory[2], 2, WIDTH, memory[1]));
    TRY(op_pool(stream, life->batch, memory[0], WIDTH, POOL_MEAN, true, memory[2]));
    if (device_info(life->device)->has_graphs)
        TRY(life_graph(life));
    TRY(device_stream_wait(life->streams[1], stream));
    TRY(device_copy_to_host(life->streams[1], life->host, memory[2], 2 * WIDTH * sizeof(float)));
    return device_stream_synchronise(life->streams[1]);
}

static void life_end(struct life *life)
{
    if (!life->device)
        return;
    device_host_free(life->device, life->host);
    for (int i = 0; i < 3; i++)
        device_free(life->device, life->memory[i]);
    linear_weight_destroy(life->linear);
    embedding_weight_destroy(life->embedding);
    norm_weight_destroy(life->norm);
    token_batch_destroy(life->batch);
    device_stream_destroy(life->streams[0]);
    device_stream_destroy(life->streams[1]);
    device_close(life->device);
}

/* A whole life with one fault; whether the fault happened. */
static bool live_with_fault(uint32_t host, uint32_t allocation, uint32_t launch)
{
    struct life life = {0};

    host_failure = host;
    emulator_fail(allocation, launch);
    int r = life_make(&life);
    if (r == KERNEL_OK)
        r = life_use(&life);
    host_failure = 0;
    emulator_fail(0, 0);

    if (r == KERNEL_DEVICE_FAILED && life.device) {
        /* For good, and with the words. */
        assert_true(launch > 0);
        assert_string_not_equal(device_error_text(life.device), "");
        assert_int_equal(device_stream_synchronise(life.streams[0]), KERNEL_DEVICE_FAILED);
        void *memory;
        assert_int_equal(device_alloc(life.device, 1, &memory), KERNEL_DEVICE_FAILED);
    } else if (r == KERNEL_NO_MEMORY && life.linear && life.host) {
        /* Being out of memory in the middle of the work harms nothing. */
        assert_int_equal(life_use(&life), KERNEL_OK);
    } else {
        assert_true(r == KERNEL_OK || r == KERNEL_NO_MEMORY || r == KERNEL_SYSTEM);
    }
    life_end(&life);
    return r != KERNEL_OK;
}

static void test_host_allocations(void **state)
{
    uint32_t n = 1;

    (void)state;
    while (n < FAULTS_MAX && live_with_fault(n, 0, 0))
        n++;
    assert_in_range(n, 10, FAULTS_MAX - 1);
    printf("%u allocations failed, one at a time\n", n - 1);
}

static void test_device_allocations(void **state)
{
    uint32_t n = 1;

    (void)state;
    if (options.kind != DEVICE_CUDA)
        skip();
    while (n < FAULTS_MAX && live_with_fault(0, n, 0))
        n++;
    assert_in_range(n, 10, FAULTS_MAX - 1);
    printf("%u device allocations failed, one at a time\n", n - 1);
}

static void test_launches(void **state)
{
    uint32_t n = 1;

    (void)state;
    if (options.kind != DEVICE_CUDA)
        skip();
    while (n < FAULTS_MAX && live_with_fault(0, 0, n))
        n++;
    assert_in_range(n, 8, FAULTS_MAX - 1);
    printf("%u launches failed, one at a time\n", n - 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_allocations),
        cmocka_unit_test(test_device_allocations),
        cmocka_unit_test(test_launches),
    };
    const char *name = argc > 1 ? argv[1] : "cpu";
    struct device *device = NULL;
    char message[256];

    options = (struct device_options){
        .kind = DEVICE_CPU,
        .precision = strcmp(name, "cpu_bf16") == 0 ? DEVICE_BF16 : DEVICE_FP32,
        .threads = 3,
    };
    if (strncmp(name, "cuda_", 5) == 0)
        options = (struct device_options){
            .kind = DEVICE_CUDA,
            .precision = strstr(name, "bf16")   ? DEVICE_BF16
                         : strstr(name, "fp16") ? DEVICE_FP16
                                                : DEVICE_FP32,
            .gemm = strstr(name, "own") ? DEVICE_GEMM_OWN : DEVICE_GEMM_CUBLASLT,
        };
    else if (strcmp(name, "reference") == 0)
        options = (struct device_options){.kind = DEVICE_REFERENCE};
    if (device_open(&options, &device, message, sizeof(message)) == KERNEL_UNSUPPORTED) {
        printf("%s: not supported: %s\n", name, message);
        return 77;
    }
    device_close(device);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
