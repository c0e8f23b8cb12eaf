/* SPDX-License-Identifier: Apache-2.0 */
/*
 * encoder: batches of many steps and of every graph's size. A text gets the same bits alone, in a
 * graph, in operations one by one and beside steps that are under way; running allocates nothing;
 * what fails is said, and what failed for want of memory leaves a device that works.
 *
 *   test_encoder_steps [cuda]     default: the CPU device
 *
 * With the emulator (kernels/tests/emulator/), where the CUDA device's streams run as late as they
 * may, or launches as early: a wait that the encoder forgot is a wrong result. The linker wraps the
 * allocation functions.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "models/file.h"
#include "models/model_synth.h"
#include "tests/test.h"
#include "worker_gpu/encoder.h"

#define TEXTS_MAX 64
#define LONGEST   64
#define CLASSES   3
#define WIDTH     64
/* More than an encoder's life has of either. */
#define FAULTS_MAX 300u

#ifdef KERNELS_EMULATED
void emulator_fail(uint32_t allocation, uint32_t launch);
void emulator_hurry(bool is_early);
uint64_t emulator_allocations(void);
uint64_t emulator_launches(void);
#else
static void emulator_fail(uint32_t allocation, uint32_t launch)
{
    (void)allocation;
    (void)launch;
}
static void emulator_hurry(bool is_early)
{
    (void)is_early;
}
static uint64_t emulator_allocations(void)
{
    return 0;
}
static uint64_t emulator_launches(void)
{
    return 0;
}
#endif

/* ---- counting the host's allocations ---- */

static uint64_t host_allocations;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
    host_allocations++;
    return __real_malloc(size);
}

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size)
{
    host_allocations++;
    return __real_calloc(count, size);
}

void *__real_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_realloc(void *memory, size_t size)
{
    host_allocations++;
    return __real_realloc(memory, size);
}

void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    host_allocations++;
    return __real_aligned_alloc(alignment, size);
}

/* ---- a model, texts, results ---- */

static struct device_options options = {.kind = DEVICE_CPU, .threads = 2};

static struct device *open_device(void)
{
    char message[256] = "";
    struct device *device = NULL;
    if (device_open(&options, &device, message, sizeof message) != 0)
        fail_msg("%s", message);
    return device;
}

static struct model *synth(uint32_t layers)
{
    char folder[] = "/tmp/argosy-steps-XXXXXX", path[PATH_MAX];
    struct model_shape shape = MODEL_SHAPE_TINY;
    struct model *model = NULL;
    struct error err = {0};
    shape.layer_count = layers;
    shape.label_count = CLASSES;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
    if (model_synth(path, &shape, 42, &err) != 0 || model_open(path, &model, &err) != 0)
        fail_msg("%s", err.text);
    folder_remove(folder); /* what is mapped stays */
    return model;
}

static struct encoder *make(struct device *device, const struct model *model, uint32_t step)
{
    struct encoder *encoder = NULL;
    struct error err = {0};
    if (encoder_create(device, model, step, &encoder, &err) != 0)
        fail_msg("%s", err.text);
    return encoder;
}

struct texts {
    int32_t ids[TEXTS_MAX * LONGEST];
    uint32_t cu_seqlens[TEXTS_MAX + 1];
    uint32_t count;
};

/* Texts of lengths from `from` on, around to the longest and again from 1. */
static void texts_make(struct texts *texts, uint32_t count, uint32_t from, uint32_t by)
{
    texts->count = count;
    texts->cu_seqlens[0] = 0;
    for (uint32_t i = 0; i < count; i++)
        texts->cu_seqlens[i + 1] = texts->cu_seqlens[i] + 1 + (from - 1 + i * by) % LONGEST;
    for (uint32_t i = 0; i < texts->cu_seqlens[count]; i++)
        texts->ids[i] = (int32_t)((i * 7919u + 13u) % 512u);
}

struct results {
    float vectors[TEXTS_MAX][WIDTH];
    float classes[TEXTS_MAX][CLASSES];
};

static int run(struct encoder *encoder, const struct texts *texts, uint32_t first, uint32_t count,
               struct results *ret_results, struct error *err)
{
    uint32_t cu_seqlens[TEXTS_MAX + 1];
    uint32_t begin = texts->cu_seqlens[first];
    for (uint32_t i = 0; i <= count; i++)
        cu_seqlens[i] = texts->cu_seqlens[first + i] - begin;
    struct token_source source = {.ids = texts->ids + begin,
                                  .cu_seqlens = cu_seqlens,
                                  .tokens = cu_seqlens[count],
                                  .texts = count};
    return encoder_run(encoder, &source, ret_results->vectors[0], ret_results->classes[0], err);
}

static void run_well(struct encoder *encoder, const struct texts *texts, uint32_t first,
                     uint32_t count, struct results *ret_results)
{
    struct error err = {0};
    memset(ret_results, 0xFF, sizeof *ret_results);
    if (run(encoder, texts, first, count, ret_results, &err) != 0)
        fail_msg("%s", err.text);
}

/* Texts [first, first + count) together are what they are alone. */
static void assert_as_alone(struct encoder *encoder, const struct texts *texts, uint32_t first,
                            uint32_t count, const struct results *alone)
{
    static struct results got;
    run_well(encoder, texts, first, count, &got);
    assert_memory_equal(got.vectors, alone->vectors[first], count * sizeof got.vectors[0]);
    assert_memory_equal(got.classes, alone->classes[first], count * sizeof got.classes[0]);
}

static void run_alone(struct encoder *encoder, const struct texts *texts, struct results *alone)
{
    static struct results one;
    for (uint32_t i = 0; i < texts->count; i++) {
        run_well(encoder, texts, i, 1, &one);
        memcpy(alone->vectors[i], one.vectors[0], sizeof one.vectors[0]);
        memcpy(alone->classes[i], one.classes[0], sizeof one.classes[0]);
        assert_true(one.vectors[0][0] >= -1 && one.vectors[0][0] <= 1); /* and no NaN */
    }
}

static bool is_cuda(void)
{
    return options.kind == DEVICE_CUDA;
}

/* ---- tests ---- */

/* Steps of one text or a few, graphs and single operations in turn; one batch right after another.
 */
static void many_steps_give_the_bits_of_one(void **state)
{
    (void)state;
    static struct results alone;
    struct texts texts;
    struct device *device = open_device();
    struct model *model = synth(1);
    struct encoder *encoder = make(device, model, LONGEST);
    texts_make(&texts, 18, 3, 11);
    run_alone(encoder, &texts, &alone);
    for (int is_early = 0; is_early <= 1; is_early++) {
        emulator_hurry(is_early);
        assert_as_alone(encoder, &texts, 0, texts.count, &alone);
        assert_as_alone(encoder, &texts, 5, texts.count - 5, &alone);
        assert_as_alone(encoder, &texts, 0, 2, &alone);
        assert_as_alone(encoder, &texts, 2, 3, &alone);
    }
    emulator_hurry(false);
    encoder_destroy(encoder);
    model_close(model);
    device_close(device);
}

/* Each bucket's most tokens, and one more; texts few enough for the bucket's bound. */
static void every_bucket_gives_the_bits_of_one(void **state)
{
    (void)state;
    static struct results alone;
    struct texts texts;
    struct device *device = open_device();
    struct model *model = synth(1);
    struct encoder *encoder = make(device, model, 1024);
    assert_int_equal(encoder_graph_count(encoder), is_cuda() ? 10 : 0);
    texts_make(&texts, 17, LONGEST, 0);
    texts.cu_seqlens[17] -= LONGEST - 1; /* the last has one token */
    run_alone(encoder, &texts, &alone);
    for (uint32_t count = 1; count <= 16; count *= 2) {
        uint64_t launches = emulator_launches();
        assert_as_alone(encoder, &texts, 0, count, &alone);
        if (is_cuda())
            assert_int_equal(emulator_launches() - launches, 1);
        assert_as_alone(encoder, &texts, 16 - count, count + 1, &alone);
    }
    encoder_destroy(encoder);
    model_close(model);
    device_close(device);
}

static void running_allocates_nothing(void **state)
{
    (void)state;
    static struct results results;
    struct texts texts;
    struct device *device = open_device();
    struct model *model = synth(1);
    texts_make(&texts, 18, 3, 11);
    uint64_t before = host_allocations, device_before = emulator_allocations();
    struct encoder *encoder = make(device, model, 128);
    assert_true(host_allocations > before);
    assert_true(!is_cuda() || emulator_allocations() > device_before);

    before = host_allocations;
    device_before = emulator_allocations();
    run_well(encoder, &texts, 0, 1, &results);
    run_well(encoder, &texts, 0, texts.count, &results);
    run_well(encoder, &texts, 4, 2, &results);
    assert_int_equal(host_allocations, before);
    assert_int_equal(emulator_allocations(), device_before);
    encoder_destroy(encoder);
    model_close(model);
    device_close(device);
}

/* The Nth allocation of a creation fails, for every N: out of memory, and the next try works. */
static void an_allocation_that_fails_is_said(void **state)
{
    (void)state;
    struct texts texts;
    static struct results results;
    uint32_t n = 1;
    if (!is_cuda())
        skip();
    struct device *device = open_device();
    struct model *model = synth(1);
    struct encoder *encoder = NULL;
    struct error err;
    for (; n < FAULTS_MAX; n++) {
        emulator_fail(n, 0);
        int code = encoder_create(device, model, LONGEST, &encoder, &err);
        emulator_fail(0, 0);
        if (code == 0)
            break;
        assert_int_equal(code, ERR_MEMORY);
        assert_null(encoder);
    }
    assert_in_range(n, 20, FAULTS_MAX - 1);
    texts_make(&texts, 3, 20, 1);
    run_well(encoder, &texts, 0, texts.count, &results);
    encoder_destroy(encoder);
    model_close(model);
    device_close(device);
}

/* The Nth launch of a run fails, for every N, of graphs and of operations: the device is failed. */
static void a_launch_that_fails_is_said(void **state)
{
    (void)state;
    struct texts texts;
    static struct results results;
    int code = ERR_DEVICE;
    uint32_t n = 1;
    if (!is_cuda())
        skip();
    texts_make(&texts, 7, 2, 10); /* three steps, one with a graph */
    struct model *model = synth(1);
    for (; code != 0; n++) {
        assert_true(n < FAULTS_MAX);
        struct error err = {0};
        struct device *device = open_device();
        struct encoder *encoder = make(device, model, LONGEST);
        emulator_fail(0, n);
        code = run(encoder, &texts, 0, texts.count, &results, &err);
        emulator_fail(0, 0);
        if (code != 0) {
            assert_int_equal(code, ERR_DEVICE);
            assert_int_equal(run(encoder, &texts, 0, 1, &results, &err), ERR_DEVICE);
        }
        encoder_destroy(encoder);
        device_close(device);
    }
    assert_true(n > 10);
    model_close(model);
}

static void a_step_fills_the_cache(void **state)
{
    (void)state;
    struct model_config config = {
        .hidden_size = 384, .intermediate_size = 1536, .max_seq_length = 256};
    struct device_info info = {
        .kind = DEVICE_CUDA, .activation_bytes = 2, .cache_bytes = 50u << 20};
    /* (6 * 384 + 1536) * 2 = 7,680 bytes a token: 6,826 fit. */
    assert_int_equal(encoder_step_tokens(&info, &config), 6784);
    info =
        (struct device_info){.kind = DEVICE_CPU, .activation_bytes = 4, .cache_bytes = 32u << 20};
    assert_int_equal(encoder_step_tokens(&info, &config), 2176);
    /* Nothing is known; there is no end; the longest text is longer. */
    info.cache_bytes = 0;
    assert_int_equal(encoder_step_tokens(&info, &config), 256);
    info.cache_bytes = UINT64_MAX;
    assert_int_equal(encoder_step_tokens(&info, &config), 8192);
    info.cache_bytes = 0;
    config.max_seq_length = 512;
    assert_int_equal(encoder_step_tokens(&info, &config), 512);
    info.kind = DEVICE_CUDA;
    assert_int_equal(encoder_step_tokens(&info, &config), 4096);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_steps_give_the_bits_of_one),
        cmocka_unit_test(every_bucket_gives_the_bits_of_one),
        cmocka_unit_test(running_allocates_nothing),
        cmocka_unit_test(an_allocation_that_fails_is_said),
        cmocka_unit_test(a_launch_that_fails_is_said),
        cmocka_unit_test(a_step_fills_the_cache),
    };
    if (argc > 1 && strcmp(argv[1], "cuda") == 0)
        options = (struct device_options){
            .kind = DEVICE_CUDA, .precision = DEVICE_FP32, .gemm = DEVICE_GEMM_OWN};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
