/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roof: see roof.h. The loops keep sixteen sums going, more than two units of a latency of six
 * need, each in a register of its own: names, not an array, since a compiler may put that into
 * memory.
 */
#include "kernels/bench/roof.h"

#include <stdlib.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "kernels/bench/random.h"
#include "kernels/bench/timing.h"
#include "kernels/cpu/team.h"

#define CHAINS 16u
#define EACH_CHAIN(DO)                                                                             \
    DO(0)                                                                                          \
    DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11) DO(12) DO(13) DO(14) DO(15)

/* Steps of all chains in one item of the team's work: some ten microseconds. */
#define STEPS 4096u

/* A loop over registers; the number it returns is its result, so that it is not left out. */
typedef float register_loop(float seed);

struct loop {
    register_loop *run;
    double flops; /* of one call */
    const char *text;
};

#if defined(__x86_64__)

#define AVX512_STEP(i)   s##i = _mm512_fmadd_ps(s##i, half, one);
#define AVX512_CHAIN(i)  __m512 s##i = _mm512_set1_ps(seed + i);
#define AVX512_RESULT(i) +_mm512_reduce_add_ps(s##i)
__attribute__((target("avx512f"))) static float fma_avx512(float seed)
{
    const __m512 half = _mm512_set1_ps(0.5f), one = _mm512_set1_ps(1.0f);

    EACH_CHAIN(AVX512_CHAIN)
    for (uint32_t step = 0; step < STEPS; step++) {
        EACH_CHAIN(AVX512_STEP)
    }
    return 0.0f EACH_CHAIN(AVX512_RESULT);
}

#define BF16_STEP(i) s##i = _mm512_dpbf16_ps(s##i, small, small);
__attribute__((target("avx512f,avx512bf16,avx512bw"))) static float dot_bf16(float seed)
{
    const __m512bh small = (__m512bh)_mm512_set1_epi16(0x3a80); /* 2^-10: sums stay finite */

    EACH_CHAIN(AVX512_CHAIN)
    for (uint32_t step = 0; step < STEPS; step++) {
        EACH_CHAIN(BF16_STEP)
    }
    return 0.0f EACH_CHAIN(AVX512_RESULT);
}

#define AVX2_STEP(i)   s##i = _mm256_fmadd_ps(s##i, half, one);
#define AVX2_CHAIN(i)  __m256 s##i = _mm256_set1_ps(seed + i);
#define AVX2_RESULT(i) +_mm256_cvtss_f32(s##i)
/* Sixteen registers in all, so twelve chains: two units of a latency of five need ten. */
__attribute__((target("avx2,fma"))) static float fma_avx2(float seed)
{
    const __m256 half = _mm256_set1_ps(0.5f), one = _mm256_set1_ps(1.0f);

#define TWELVE(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7) DO(8) DO(9) DO(10) DO(11)
    TWELVE(AVX2_CHAIN)
    for (uint32_t step = 0; step < STEPS; step++) {
        TWELVE(AVX2_STEP)
    }
    return 0.0f TWELVE(AVX2_RESULT);
}

#endif

typedef float four __attribute__((vector_size(16)));
#define PLAIN_STEP(i)   s##i = s##i * half + one;
#define PLAIN_CHAIN(i)  four s##i = {seed + i, seed, seed, seed};
#define PLAIN_RESULT(i) +s##i[0]
static float multiply_add(float seed)
{
    const four half = {0.5f, 0.5f, 0.5f, 0.5f}, one = {1, 1, 1, 1};

    EACH_CHAIN(PLAIN_CHAIN)
    for (uint32_t step = 0; step < STEPS; step++) {
        EACH_CHAIN(PLAIN_STEP)
    }
    return 0.0f EACH_CHAIN(PLAIN_RESULT);
}

static struct loop best_loop(enum device_precision precision)
{
#if defined(__x86_64__)
    if (precision == DEVICE_BF16 && __builtin_cpu_supports("avx512bf16"))
        return (struct loop){dot_bf16, 64.0 * CHAINS * STEPS, "vdpbf16ps on registers"};
    if (__builtin_cpu_supports("avx512f"))
        return (struct loop){fma_avx512, 32.0 * CHAINS * STEPS, "AVX-512 fp32 FMA on registers"};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return (struct loop){fma_avx2, 16.0 * 12 * STEPS, "AVX2 fp32 FMA on registers"};
#endif
    (void)precision;
    return (struct loop){multiply_add, 8.0 * CHAINS * STEPS,
                         "fp32 multiply and add on registers, 4 lanes"};
}

/* ---- the CPU device ---- */

/* One item per thread and run: what threads do apart takes as long as the slowest. */
struct cpu_roof {
    struct team *team;
    struct loop loop;
    uint32_t threads;
    uint32_t times;
    unsigned char *from, *to; /* threads * COPY_BYTES each */
};

/* Per thread; two threads' 256 MiB are above any last-level cache that they alone could fill. */
#define COPY_BYTES ((size_t)64 << 20)

static void run_loop(const void *work, uint32_t item, uint32_t thread)
{
    const struct cpu_roof *roof = work;
    volatile float sink;

    (void)thread;
    for (uint32_t i = 0; i < roof->times; i++)
        sink = roof->loop.run((float)item);
    (void)sink;
}

static void run_copy(const void *work, uint32_t item, uint32_t thread)
{
    const struct cpu_roof *roof = work;

    (void)thread;
    for (uint32_t i = 0; i < roof->times; i++)
        memcpy(roof->to + item * COPY_BYTES, roof->from + item * COPY_BYTES, COPY_BYTES);
}

static int time_loop(void *context, uint32_t times)
{
    struct cpu_roof *roof = context;

    roof->times = times;
    team_run(roof->team, run_loop, roof, roof->threads);
    return 0;
}

static int time_copy(void *context, uint32_t times)
{
    struct cpu_roof *roof = context;

    roof->times = times;
    team_run(roof->team, run_copy, roof, roof->threads);
    return 0;
}

static int measure_cpu(const struct device_info *info, double seconds, struct roof *ret_roof)
{
    struct cpu_roof roof = {.loop = best_loop(info->precision), .threads = info->threads};
    struct timing loop, copy;
    int r = team_create(info->threads, NULL, &roof.team);

    if (r < 0)
        return r;
    roof.from = malloc(info->threads * COPY_BYTES);
    roof.to = malloc(info->threads * COPY_BYTES);
    if (!roof.from || !roof.to) {
        r = KERNEL_NO_MEMORY;
        goto out;
    }
    memset(roof.from, 1, info->threads * COPY_BYTES); /* pages of its own, not the shared zero */
    r = timing_measure(time_loop, &roof, seconds, &loop);
    if (r == 0)
        r = timing_measure(time_copy, &roof, seconds, &copy);
    if (r == 0)
        *ret_roof = (struct roof){
            .flops_per_s = info->threads * roof.loop.flops / loop.best_s,
            .bytes_per_s = 2.0 * info->threads * (double)COPY_BYTES / copy.best_s,
            .flops_of = roof.loop.text,
            .bytes_of = "copy of 64 MiB by each thread",
        };
out:
    free(roof.from);
    free(roof.to);
    team_destroy(roof.team);
    return r;
}

/* ---- a CUDA device ---- */

#define PRODUCT_WIDTH 8192u
#define PASS_ROWS     (1u << 15)

struct cuda_roof {
    struct device_stream *stream;
    struct linear_weight *weight;
    void *x;    /* [PASS_ROWS, PRODUCT_WIDTH] activations */
    void *y;    /* [PRODUCT_WIDTH, PRODUCT_WIDTH] activations */
    float *out; /* [PASS_ROWS, PRODUCT_WIDTH] */
};

static int time_product(void *context, uint32_t times)
{
    const struct cuda_roof *roof = context;
    int r = KERNEL_OK;

    for (uint32_t i = 0; r == KERNEL_OK && i < times; i++)
        r = op_linear(roof->stream, roof->weight, LINEAR_PLAIN, roof->x, PRODUCT_WIDTH, roof->y);
    int waited = device_stream_synchronise(roof->stream);
    return r < 0 ? r : waited;
}

static int time_pass(void *context, uint32_t times)
{
    const struct cuda_roof *roof = context;
    int r = KERNEL_OK;

    for (uint32_t i = 0; r == KERNEL_OK && i < times; i++)
        r = op_to_float(roof->stream, roof->x, PASS_ROWS, PRODUCT_WIDTH, roof->out);
    int waited = device_stream_synchronise(roof->stream);
    return r < 0 ? r : waited;
}

/* The weight and the first rows of x: random, since zeros take less power and so run faster. */
static int fill_product(struct device *device, struct cuda_roof *roof)
{
    size_t count = (size_t)PRODUCT_WIDTH * PRODUCT_WIDTH;
    float *numbers = random_floats(count, 1.0f);

    if (!numbers)
        return KERNEL_NO_MEMORY;
    int r =
        linear_weight_create(device, numbers, NULL, PRODUCT_WIDTH, PRODUCT_WIDTH, &roof->weight);
    if (r == KERNEL_OK)
        r = device_copy_to_device(roof->stream, roof->out, numbers, count * sizeof(float));
    if (r == KERNEL_OK)
        r = op_from_float(roof->stream, roof->out, PRODUCT_WIDTH, PRODUCT_WIDTH, roof->x);
    int waited = device_stream_synchronise(roof->stream);
    free(numbers);
    return r < 0 ? r : waited;
}

static int measure_cuda(struct device *device, double seconds, struct roof *ret_roof)
{
    size_t element = device_info(device)->activation_bytes;
    size_t pass = (size_t)PASS_ROWS * PRODUCT_WIDTH, square = (size_t)PRODUCT_WIDTH * PRODUCT_WIDTH;
    struct cuda_roof roof = {0};
    struct timing product, moved;
    int r = device_stream_create(device, &roof.stream);

    if (r == KERNEL_OK)
        r = device_alloc(device, pass * element, &roof.x);
    if (r == KERNEL_OK)
        r = device_alloc(device, square * element, &roof.y);
    if (r == KERNEL_OK)
        r = device_alloc(device, pass * sizeof(float), (void **)&roof.out);
    if (r == KERNEL_OK)
        r = fill_product(device, &roof);
    if (r == KERNEL_OK)
        r = timing_measure(time_product, &roof, seconds, &product);
    if (r == KERNEL_OK)
        r = timing_measure(time_pass, &roof, seconds, &moved);
    if (r == KERNEL_OK)
        *ret_roof = (struct roof){
            .flops_per_s = 2.0 * (double)square * PRODUCT_WIDTH / product.best_s,
            .bytes_per_s = (double)pass * (double)(element + sizeof(float)) / moved.best_s,
            .flops_of = "product of 8192 x 8192 x 8192",
            .bytes_of = "activations to floats, 268 M of them",
        };
    device_free(device, roof.x);
    device_free(device, roof.y);
    device_free(device, roof.out);
    linear_weight_destroy(roof.weight);
    device_stream_destroy(roof.stream);
    return r;
}

int roof_measure(struct device *device, double seconds, struct roof *ret_roof)
{
    const struct device_info *info = device_info(device);

    return info->kind == DEVICE_CUDA ? measure_cuda(device, seconds, ret_roof)
                                     : measure_cpu(info, seconds, ret_roof);
}
