/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU device: how each operation is cut into parts for the thread team. The parts themselves
 * are computed by the functions of one instruction set (isa.h).
 *
 * Threading: one operation at a time per device (`lock`); the calling thread works as the first
 * member of the team. How an operation is cut never changes its result (isa.h says why), so it is
 * chosen for balance alone.
 */
#include "kernels/cpu/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cpu/team.h"

/* Rows of one part of a row-by-row operation: some ten microseconds of work. */
#define ROWS_PER_PART 32u
/* Parts per thread that a product is cut into where its rows alone give too few: enough for the
 * last ones to finish close together. */
#define GEMM_PARTS_PER_THREAD 16u
/* Queries times heads of one part of attention: short texts take several heads, whose rows lie side
 * by side. */
#define ATTENTION_TOKENS_PER_PART 384u

struct cpu_device {
    struct device base;
    const struct cpu_isa *isa;
    struct team *team;
    pthread_mutex_t lock; /* held during an operation */
    float *scratch;       /* [threads][CPU_SCRATCH], owned */
};

static struct cpu_device *cpu_device(struct device_stream *stream)
{
    return (struct cpu_device *)stream->device;
}

static float *cpu_scratch(const struct cpu_device *device, uint32_t thread)
{
    return device->scratch + thread * CPU_SCRATCH;
}

static void cpu_run(struct cpu_device *device, team_work do_item, const void *work, uint32_t items)
{
    pthread_mutex_lock(&device->lock);
    team_run(device->team, do_item, work, items);
    pthread_mutex_unlock(&device->lock);
}

static uint32_t divide_up(uint32_t count, uint32_t by)
{
    return (count + by - 1) / by;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- linear ---- */

static void cpu_linear_weight_destroy(struct linear_weight *weight)
{
    struct cpu_linear *linear = (struct cpu_linear *)weight;

    free(linear->packed);
    free(linear->bias);
    free(linear);
}

static int cpu_linear_weight_create(struct device *base, const float *weight, const float *bias,
                                    uint32_t out_width, uint32_t in_width,
                                    struct linear_weight **ret_weight)
{
    const struct cpu_isa *isa = ((struct cpu_device *)base)->isa;
    struct cpu_linear *linear = calloc(1, sizeof(*linear));

    if (!linear)
        return KERNEL_NO_MEMORY;
    linear->base =
        (struct linear_weight){.device = base, .out_width = out_width, .in_width = in_width};
    linear->panel = isa->panel;
    linear->panels = divide_up(out_width, isa->panel);
    size_t columns = (size_t)linear->panels * linear->panel;
    linear->packed =
        host_array(columns * divide_up(in_width, isa->step), isa->step * isa->element_bytes);
    linear->bias = host_array(columns, sizeof(float));
    if (!linear->packed || !linear->bias) {
        cpu_linear_weight_destroy(&linear->base);
        return KERNEL_NO_MEMORY;
    }
    isa->pack(linear, weight);
    memset(linear->bias, 0, columns * sizeof(float));
    if (bias)
        memcpy(linear->bias, bias, out_width * sizeof(float));
    *ret_weight = &linear->base;
    return KERNEL_OK;
}

struct linear_work {
    const struct cpu_isa *isa;
    const struct cpu_linear *weight;
    enum linear_epilogue epilogue;
    const void *x;
    void *y;
    uint32_t rows;
    uint32_t column_parts;
};

static void linear_item(const void *argument, uint32_t item, uint32_t thread)
{
    const struct linear_work *work = argument;
    uint32_t row = item / work->column_parts * GEMM_ROWS;
    uint64_t part = item % work->column_parts;
    uint32_t panels = work->weight->panels;

    (void)thread;
    work->isa->gemm(work->weight, work->epilogue, work->x, work->y, row,
                    smaller(row + GEMM_ROWS, work->rows),
                    (uint32_t)(part * panels / work->column_parts),
                    (uint32_t)((part + 1) * panels / work->column_parts));
}

static int cpu_linear_run(struct device_stream *stream, const struct linear_weight *weight,
                          enum linear_epilogue epilogue, const void *x, uint32_t rows, void *y)
{
    struct cpu_device *device = cpu_device(stream);
    struct linear_work work = {.isa = device->isa,
                               .weight = (const struct cpu_linear *)weight,
                               .epilogue = epilogue,
                               .x = x,
                               .y = y,
                               .rows = rows,
                               .column_parts = 1};
    uint32_t row_parts = divide_up(rows, GEMM_ROWS);
    uint32_t wanted = team_threads(device->team) * GEMM_PARTS_PER_THREAD;

    if (row_parts < wanted && team_threads(device->team) > 1)
        work.column_parts = smaller(divide_up(wanted, row_parts), work.weight->panels);
    cpu_run(device, linear_item, &work, row_parts * work.column_parts);
    return KERNEL_OK;
}

/* ---- attention ---- */

struct attention_work {
    const struct cpu_device *device;
    const struct host_batch *batch;
    const char *qkv;
    char *out;
    uint32_t heads;
    uint32_t head_width;
    float scale;
    uint32_t query_parts; /* of the longest text */
    uint32_t head_parts;
    uint32_t heads_per_part;
};

/* Item = (text, queries, heads). */
static void attention_item(const void *argument, uint32_t item, uint32_t thread)
{
    const struct attention_work *work = argument;
    uint32_t head = item % work->head_parts * work->heads_per_part;
    uint32_t head_end = smaller(head + work->heads_per_part, work->heads);
    uint32_t query = item / work->head_parts % work->query_parts * ATTENTION_QUERIES;
    uint32_t text = item / work->head_parts / work->query_parts;
    size_t start = work->batch->cu_seqlens[text];
    uint32_t length = work->batch->cu_seqlens[text + 1] - (uint32_t)start;
    size_t width = (size_t)work->heads * work->head_width;
    size_t element_bytes = work->device->isa->element_bytes;

    if (query >= length)
        return;
    for (; head < head_end; head++) {
        size_t column = (size_t)head * work->head_width;
        const struct cpu_attention attention = {
            .query = work->qkv + (start * 3 * width + column) * element_bytes,
            .out = work->out + (start * width + column) * element_bytes,
            .length = length,
            .head_width = work->head_width,
            .width = (uint32_t)width,
            .scale = work->scale,
        };
        work->device->isa->attend(&attention, query, smaller(query + ATTENTION_QUERIES, length),
                                  cpu_scratch(work->device, thread));
    }
}

static int cpu_attention_run(struct device_stream *stream, const struct token_batch *batch,
                             const void *qkv, uint32_t heads, uint32_t head_width, float scale,
                             void *out)
{
    struct attention_work work = {.device = cpu_device(stream),
                                  .batch = host_batch(batch),
                                  .qkv = qkv,
                                  .out = out,
                                  .heads = heads,
                                  .head_width = head_width,
                                  .scale = scale,
                                  .query_parts = divide_up(batch->longest, ATTENTION_QUERIES)};
    work.heads_per_part = smaller(
        divide_up(ATTENTION_TOKENS_PER_PART, smaller(batch->longest, ATTENTION_QUERIES)), heads);
    work.head_parts = divide_up(heads, work.heads_per_part);
    uint64_t items = (uint64_t)batch->texts * work.query_parts * work.head_parts;

    /* Only a batch of millions of tokens with many heads gets here. */
    if (items > UINT32_MAX)
        return KERNEL_UNSUPPORTED;
    cpu_run(cpu_device(stream), attention_item, &work, (uint32_t)items);
    return KERNEL_OK;
}

/* ---- row by row ---- */

/* Operands of an operation that works row by row; x, residual and out are elements or, where the
 * operation says so, floats. */
struct rows_work {
    const struct cpu_device *device;
    void (*do_row)(const struct rows_work *work, uint32_t row, float *scratch);
    const struct host_batch *batch;
    const struct host_embedding *embedding;
    const struct host_norm *norm;
    const void *x;
    const void *residual;
    void *out;
    uint32_t rows;
    uint32_t width;
    enum pool_mode mode;
    bool normalise;
};

/* Row r of an activation. */
static const void *row_of(const struct rows_work *work, const void *x, uint32_t r)
{
    return (const char *)x + (size_t)r * work->width * work->device->isa->element_bytes;
}

static void *row_to(const struct rows_work *work, uint32_t r)
{
    return (char *)work->out + (size_t)r * work->width * work->device->isa->element_bytes;
}

/* Row r of floats. */
static float *float_row_to(const struct rows_work *work, uint32_t r)
{
    return (float *)work->out + (size_t)r * work->width;
}

static void rows_item(const void *argument, uint32_t item, uint32_t thread)
{
    const struct rows_work *work = argument;
    uint32_t end = smaller((item + 1) * ROWS_PER_PART, work->rows);

    for (uint32_t r = item * ROWS_PER_PART; r < end; r++)
        work->do_row(work, r, cpu_scratch(work->device, thread));
}

static int rows_run(struct device_stream *stream, struct rows_work work)
{
    work.device = cpu_device(stream);
    cpu_run(cpu_device(stream), rows_item, &work, divide_up(work.rows, ROWS_PER_PART));
    return KERNEL_OK;
}

static void embed_row(const struct rows_work *work, uint32_t row, float *scratch)
{
    work->device->isa->embed_row(work->embedding, work->batch, row, row_to(work, row), scratch);
}

static int cpu_embed(struct device_stream *stream, const struct embedding_weight *weight,
                     const struct token_batch *batch, void *out)
{
    return rows_run(stream, (struct rows_work){.do_row = embed_row,
                                               .batch = host_batch(batch),
                                               .embedding = host_embedding(weight),
                                               .out = out,
                                               .rows = batch->tokens,
                                               .width = weight->tables.width});
}

static void add_norm_row(const struct rows_work *work, uint32_t row, float *scratch)
{
    work->device->isa->add_norm_row(work->norm, row_of(work, work->x, row),
                                    row_of(work, work->residual, row), row_to(work, row), scratch);
}

static int cpu_add_norm(struct device_stream *stream, const struct norm_weight *norm, const void *x,
                        const void *residual, uint32_t rows, void *out)
{
    return rows_run(stream, (struct rows_work){.do_row = add_norm_row,
                                               .norm = host_norm(norm),
                                               .x = x,
                                               .residual = residual,
                                               .out = out,
                                               .rows = rows,
                                               .width = norm->width});
}

static void softmax_row(const struct rows_work *work, uint32_t row, float *scratch)
{
    (void)scratch;
    work->device->isa->softmax_row(row_of(work, work->x, row), work->width,
                                   float_row_to(work, row));
}

static int cpu_softmax(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                       float *out)
{
    return rows_run(stream,
                    (struct rows_work){
                        .do_row = softmax_row, .x = x, .out = out, .rows = rows, .width = width});
}

static void to_float_row(const struct rows_work *work, uint32_t row, float *scratch)
{
    (void)scratch;
    work->device->isa->to_float_row(row_of(work, work->x, row), work->width,
                                    float_row_to(work, row));
}

static int cpu_to_float(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                        float *out)
{
    return rows_run(stream,
                    (struct rows_work){
                        .do_row = to_float_row, .x = x, .out = out, .rows = rows, .width = width});
}

static void from_float_row(const struct rows_work *work, uint32_t row, float *scratch)
{
    (void)scratch;
    work->device->isa->from_float_row((const float *)work->x + (size_t)row * work->width,
                                      work->width, row_to(work, row));
}

static int cpu_from_float(struct device_stream *stream, const float *x, uint32_t rows,
                          uint32_t width, void *out)
{
    return rows_run(
        stream, (struct rows_work){
                    .do_row = from_float_row, .x = x, .out = out, .rows = rows, .width = width});
}

/* Item = text. */
static void pool_item(const void *argument, uint32_t item, uint32_t thread)
{
    const struct rows_work *work = argument;
    uint32_t start = work->batch->cu_seqlens[item];

    (void)thread;
    work->device->isa->pool_text(row_of(work, work->x, start),
                                 work->batch->cu_seqlens[item + 1] - start, work->width, work->mode,
                                 work->normalise, float_row_to(work, item));
}

static int cpu_pool(struct device_stream *stream, const struct token_batch *batch, const void *x,
                    uint32_t width, enum pool_mode mode, bool normalise, float *out)
{
    struct rows_work work = {.device = cpu_device(stream),
                             .batch = host_batch(batch),
                             .x = x,
                             .out = out,
                             .width = width,
                             .mode = mode,
                             .normalise = normalise};

    cpu_run(cpu_device(stream), pool_item, &work, batch->texts);
    return KERNEL_OK;
}

/* ---- the device ---- */

static void cpu_device_close(struct device *base)
{
    struct cpu_device *device = (struct cpu_device *)base;

    team_destroy(device->team);
    pthread_mutex_destroy(&device->lock);
    free(device->scratch);
    free(device);
}

static const struct device_ops cpu_ops = {
    .close = cpu_device_close,
    .alloc = host_alloc,
    .free = host_free,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .stream_create = host_stream_create,
    .stream_destroy = host_stream_destroy,
    .stream_wait = host_stream_wait,
    .stream_synchronise = host_stream_synchronise,
    .copy_to_device = host_copy_to_device,
    .copy_to_host = host_copy_to_host,
    .linear_weight_create = cpu_linear_weight_create,
    .linear_weight_destroy = cpu_linear_weight_destroy,
    .norm_weight_create = host_norm_create,
    .norm_weight_destroy = host_norm_destroy,
    .embedding_weight_create = host_embedding_create,
    .embedding_weight_destroy = host_embedding_destroy,
    .token_batch_create = host_batch_create,
    .token_batch_destroy = host_batch_destroy,
    .token_batch_load = host_batch_load,
    .embed = cpu_embed,
    .linear = cpu_linear_run,
    .attention = cpu_attention_run,
    .add_norm = cpu_add_norm,
    .pool = cpu_pool,
    .gather_first = host_gather_first,
    .softmax = cpu_softmax,
    .to_float = cpu_to_float,
    .from_float = cpu_from_float,
};

#if defined(__x86_64__)
extern const struct cpu_isa cpu_isa_avx512bf16;
extern const struct cpu_isa cpu_isa_avx512;
extern const struct cpu_isa cpu_isa_avx2;
#endif
extern const struct cpu_isa cpu_isa_plain;

uint32_t cpu_isas(const struct cpu_isa *ret_isas[CPU_ISAS_MAX])
{
    uint32_t count = 0;

#if defined(__x86_64__)
    /* As the build compiles them: x86-64-v4 with and without AVX-512 BF16, x86-64-v3. */
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                    __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (has_avx512 && __builtin_cpu_supports("avx512bf16"))
        ret_isas[count++] = &cpu_isa_avx512bf16;
    if (has_avx512)
        ret_isas[count++] = &cpu_isa_avx512;
    if (has_avx2)
        ret_isas[count++] = &cpu_isa_avx2;
#endif
    ret_isas[count++] = &cpu_isa_plain;
    return count;
}

static uint32_t cores_allowed(void)
{
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return 1;
    return smaller((uint32_t)CPU_COUNT(&set), DEVICE_THREADS_MAX);
}

int cpu_device_open_isa(const struct device_options *options, const struct cpu_isa *isa,
                        struct device **ret_device, char *message, size_t message_size)
{
    uint32_t threads = options->threads ? options->threads : cores_allowed();
    struct cpu_device *device;
    int r = KERNEL_NO_MEMORY;

    device = calloc(1, sizeof(*device));
    if (!device)
        return KERNEL_NO_MEMORY;
    pthread_mutex_init(&device->lock, NULL);
    device->isa = isa;
    device->scratch = host_array(threads * CPU_SCRATCH, sizeof(float));
    if (device->scratch)
        r = team_create(threads, options->cores, &device->team);
    if (r < 0) {
        if (r == KERNEL_SYSTEM)
            snprintf(message, message_size, "could not start %u threads on the given cores",
                     threads);
        cpu_device_close(&device->base);
        return r;
    }

    device->base.ops = &cpu_ops;
    device->base.info = (struct device_info){
        .kind = DEVICE_CPU,
        .precision = isa->precision,
        .activation_bytes = isa->element_bytes,
        .memory_bytes = host_memory_bytes(),
        .cache_bytes = host_cache_bytes(),
        .threads = threads,
    };
    snprintf(device->base.info.name, sizeof(device->base.info.name), "cpu %s", isa->name);
    snprintf(device->base.info.gemm, sizeof(device->base.info.gemm), "own %s %s", isa->name,
             isa->precision == DEVICE_BF16 ? "bf16" : "fp32");
    *ret_device = &device->base;
    return KERNEL_OK;
}

int cpu_device_open(const struct device_options *options, struct device **ret_device, char *message,
                    size_t message_size)
{
    const struct cpu_isa *isas[CPU_ISAS_MAX];
    uint32_t count = cpu_isas(isas);

    for (uint32_t i = 0; i < count; i++)
        if (isas[i]->precision == options->precision)
            return cpu_device_open_isa(options, isas[i], ret_device, message, message_size);
    snprintf(message, message_size,
             options->precision == DEVICE_BF16
                 ? "this processor does not multiply bf16: it lacks AVX-512 BF16"
                 : "the CPU device computes in fp32 and bf16 only");
    return KERNEL_UNSUPPORTED;
}
