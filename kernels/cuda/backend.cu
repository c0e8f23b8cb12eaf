/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CUDA device: opening, memory, streams, weights and batches, and the table that leads to the
 * launchers. The only file of cuda/ that allocates, beside product.cu while it measures.
 *
 * A CUDA error other than being out of memory is for good: the first one is noted, and every call
 * from then on returns KERNEL_DEVICE_FAILED. The runtime is linked statically and finds the driver
 * when it is first called, so a program with this backend starts on machines without one.
 *
 * Threading: device.h. Every entry makes its device current for the calling thread.
 */
#include <cuda_runtime.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/cuda/launch.h"
#include "kernels/cuda/product.h"

#define CAPABILITY_MAJOR_MIN 8

struct cuda_device {
    struct device base;
    int ordinal;
    struct products *products; /* owned */
    cudaStream_t setup;        /* owned: weights go up on it */
    pthread_mutex_t lock;      /* guards the failure's text while it is written */
    int is_failed;             /* atomic; set after the text */
};

struct cuda_stream {
    struct device_stream base;
    cudaStream_t stream; /* owned */
    cudaEvent_t reached; /* owned: marks the stream's end for one that waits for it */
};

struct cuda_linear {
    struct linear_weight base;
    void *weight;            /* [out, in] in the element type, owned */
    void *bias;              /* [out] in the element type, owned; NULL for none */
    struct product *product; /* owned */
};

struct cuda_norm {
    struct norm_weight base;
    void *gamma; /* [width] fp32, owned */
    void *beta;  /* [width] fp32, owned */
};

struct cuda_embedding {
    struct embedding_weight base;
    void *words; /* tables in the element type, owned */
    void *positions;
    void *types; /* NULL for a model without token types */
};

struct cuda_batch {
    struct token_batch base;
    /* owned; ids, types, positions [tokens each], cu_seqlens [texts + 1], one behind the other as
     * the load's bounds have it: one copy, and the same addresses for the same bounds */
    int32_t *on_device;
    int32_t *staging; /* owned: the same, pinned on the host */
};

struct cuda_graph {
    struct device_graph base;
    cudaGraphExec_t ready; /* owned; NULL before the recording has ended */
};

/* ---- errors ---- */

static struct cuda_device *cuda_device(struct device *device)
{
    return (struct cuda_device *)device;
}

/* What device_error_text says from now on; the text of a failure stays. */
static void device_say(struct device *base, const char *what, const char *why, bool is_failure)
{
    struct cuda_device *device = cuda_device(base);

    pthread_mutex_lock(&device->lock);
    if (!device->is_failed)
        snprintf(base->error_text, sizeof(base->error_text), "%s: %s", what, why);
    if (is_failure)
        __atomic_store_n(&device->is_failed, 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&device->lock);
}

static int device_fail(struct device *device, const char *what, const char *why)
{
    device_say(device, what, why, true);
    return KERNEL_DEVICE_FAILED;
}

/* A CUDA result as a status; a failure is taken back from the runtime, so that no later call finds
 * it. Being out of memory, or what cannot be recorded, harms nothing. */
static int check(struct device *device, cudaError_t error, const char *what)
{
    if (error == cudaSuccess)
        return KERNEL_OK;
    (void)cudaGetLastError();
    if (error == cudaErrorMemoryAllocation)
        return KERNEL_NO_MEMORY;
    if (error >= cudaErrorStreamCaptureUnsupported && error <= cudaErrorStreamCaptureWrongThread) {
        device_say(device, what, cudaGetErrorString(error), false);
        return KERNEL_UNSUPPORTED;
    }
    return device_fail(device, what, cudaGetErrorString(error));
}

/* Makes the device current, unless it has failed. */
static int enter(struct device *base)
{
    struct cuda_device *device = cuda_device(base);

    if (__atomic_load_n(&device->is_failed, __ATOMIC_ACQUIRE))
        return KERNEL_DEVICE_FAILED;
    return check(base, cudaSetDevice(device->ordinal), "set device");
}

static cudaStream_t stream_of(struct device_stream *stream)
{
    return ((struct cuda_stream *)stream)->stream;
}

static enum device_precision precision_of(const struct device_stream *stream)
{
    return stream->device->info.precision;
}

/* ---- memory, streams ---- */

static int cuda_alloc(struct device *device, size_t bytes, void **ret_memory)
{
    void *memory;
    int r = enter(device);

    if (r == KERNEL_OK)
        r = check(device, cudaMalloc(&memory, bytes), "allocate");
    if (r == KERNEL_OK)
        *ret_memory = memory;
    return r;
}

/* Freeing goes on after a failure: what the driver still has is given back. */
static void cuda_free(struct device *device, void *memory)
{
    cudaSetDevice(cuda_device(device)->ordinal);
    cudaFree(memory);
}

static int cuda_host_alloc(struct device *device, size_t bytes, void **ret_memory)
{
    void *memory;
    int r = enter(device);

    if (r == KERNEL_OK)
        r = check(device, cudaMallocHost(&memory, bytes), "allocate pinned memory");
    if (r == KERNEL_OK)
        *ret_memory = memory;
    return r;
}

static void cuda_host_free(struct device *device, void *memory)
{
    cudaSetDevice(cuda_device(device)->ordinal);
    cudaFreeHost(memory);
}

static void cuda_stream_destroy(struct device_stream *base)
{
    struct cuda_stream *stream = (struct cuda_stream *)base;

    cudaSetDevice(cuda_device(base->device)->ordinal);
    if (stream->reached)
        cudaEventDestroy(stream->reached);
    if (stream->stream) {
        cudaStreamSynchronize(stream->stream);
        cudaStreamDestroy(stream->stream);
    }
    free(stream);
}

static int cuda_stream_create(struct device *device, struct device_stream **ret_stream)
{
    struct cuda_stream *stream;
    int r = enter(device);

    if (r < 0)
        return r;
    stream = (struct cuda_stream *)calloc(1, sizeof(*stream));
    if (!stream)
        return KERNEL_NO_MEMORY;
    stream->base.device = device;
    r = check(device, cudaStreamCreateWithFlags(&stream->stream, cudaStreamNonBlocking),
              "create a stream");
    if (r == KERNEL_OK)
        r = check(device, cudaEventCreateWithFlags(&stream->reached, cudaEventDisableTiming),
                  "create an event");
    if (r < 0) {
        cuda_stream_destroy(&stream->base);
        return r;
    }
    *ret_stream = &stream->base;
    return KERNEL_OK;
}

static int cuda_stream_wait(struct device_stream *stream, struct device_stream *base)
{
    struct cuda_stream *other = (struct cuda_stream *)base;
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(stream->device, cudaEventRecord(other->reached, other->stream),
                  "record an event");
    if (r == KERNEL_OK)
        r = check(stream->device, cudaStreamWaitEvent(stream_of(stream), other->reached, 0),
                  "wait for an event");
    return r;
}

static int cuda_stream_synchronise(struct device_stream *stream)
{
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(stream->device, cudaStreamSynchronize(stream_of(stream)), "synchronise");
    return r;
}

static int cuda_copy(struct device_stream *stream, void *to, const void *from, size_t bytes,
                     enum cudaMemcpyKind kind)
{
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(stream->device, cudaMemcpyAsync(to, from, bytes, kind, stream_of(stream)),
                  "copy");
    return r;
}

static int cuda_copy_to_device(struct device_stream *stream, void *device_memory, const void *host,
                               size_t bytes)
{
    return cuda_copy(stream, device_memory, host, bytes, cudaMemcpyHostToDevice);
}

static int cuda_copy_to_host(struct device_stream *stream, void *host, const void *device_memory,
                             size_t bytes)
{
    return cuda_copy(stream, host, device_memory, bytes, cudaMemcpyDeviceToHost);
}

/* ---- weights ---- */

/* count floats to new device memory, as they are. */
static int upload_float(struct device *device, const float *from, size_t count, void **ret_memory)
{
    cudaStream_t setup = cuda_device(device)->setup;
    void *memory = nullptr;
    int r = cuda_alloc(device, count * sizeof(float), &memory);

    if (r < 0)
        return r;
    r = check(device,
              cudaMemcpyAsync(memory, from, count * sizeof(float), cudaMemcpyHostToDevice, setup),
              "upload");
    if (r == KERNEL_OK)
        r = check(device, cudaStreamSynchronize(setup), "upload");
    if (r < 0)
        cuda_free(device, memory);
    else
        *ret_memory = memory;
    return r;
}

/* The same in the element type. */
static int upload(struct device *device, const float *from, size_t count, void **ret_memory)
{
    cudaStream_t setup = cuda_device(device)->setup;
    void *floats = nullptr, *memory = nullptr;
    int r;

    if (device->info.precision == DEVICE_FP32)
        return upload_float(device, from, count, ret_memory);
    r = upload_float(device, from, count, &floats);
    if (r < 0)
        return r;
    r = cuda_alloc(device, count * device->info.activation_bytes, &memory);
    if (r == KERNEL_OK) {
        r = check(
            device,
            launch_from_float(device->info.precision, (const float *)floats, count, memory, setup),
            "convert a weight");
        if (r == KERNEL_OK)
            r = check(device, cudaStreamSynchronize(setup), "convert a weight");
        if (r < 0)
            cuda_free(device, memory);
        else
            *ret_memory = memory;
    }
    cuda_free(device, floats);
    return r;
}

static void cuda_linear_weight_destroy(struct linear_weight *base)
{
    struct cuda_linear *linear = (struct cuda_linear *)base;
    struct cuda_device *device = cuda_device(base->device);

    product_destroy(device->products, linear->product);
    cuda_free(base->device, linear->weight);
    cuda_free(base->device, linear->bias);
    free(linear);
}

static int cuda_linear_weight_create(struct device *base, const float *weight, const float *bias,
                                     uint32_t out_width, uint32_t in_width,
                                     struct linear_weight **ret_weight)
{
    struct cuda_device *device = cuda_device(base);
    struct cuda_linear *linear = (struct cuda_linear *)calloc(1, sizeof(*linear));
    char why[sizeof(base->error_text)] = "";
    int r;

    if (!linear)
        return KERNEL_NO_MEMORY;
    linear->base.device = base;
    r = upload(base, weight, (size_t)out_width * in_width, &linear->weight);
    if (r == KERNEL_OK && bias)
        r = upload(base, bias, out_width, &linear->bias);
    if (r == KERNEL_OK) {
        const struct product_weight parts = {linear->weight, linear->bias, out_width, in_width};
        r = product_create(device->products, &parts, device->setup, &linear->product, why,
                           sizeof(why));
        if (r < 0 && r != KERNEL_NO_MEMORY)
            device_say(base, "choose a product", why, r == KERNEL_DEVICE_FAILED);
    }
    if (r < 0) {
        cuda_linear_weight_destroy(&linear->base);
        return r;
    }
    *ret_weight = &linear->base;
    return KERNEL_OK;
}

static void cuda_norm_weight_destroy(struct norm_weight *base)
{
    struct cuda_norm *norm = (struct cuda_norm *)base;

    cuda_free(base->device, norm->gamma);
    cuda_free(base->device, norm->beta);
    free(norm);
}

static int cuda_norm_weight_create(struct device *device, const float *gamma, const float *beta,
                                   uint32_t width, struct norm_weight **ret_weight)
{
    struct cuda_norm *norm = (struct cuda_norm *)calloc(1, sizeof(*norm));
    int r;

    if (!norm)
        return KERNEL_NO_MEMORY;
    norm->base.device = device;
    r = upload_float(device, gamma, width, &norm->gamma);
    if (r == KERNEL_OK)
        r = upload_float(device, beta, width, &norm->beta);
    if (r < 0) {
        cuda_norm_weight_destroy(&norm->base);
        return r;
    }
    *ret_weight = &norm->base;
    return KERNEL_OK;
}

static void cuda_embedding_weight_destroy(struct embedding_weight *base)
{
    struct cuda_embedding *embedding = (struct cuda_embedding *)base;

    cuda_free(base->device, embedding->words);
    cuda_free(base->device, embedding->positions);
    cuda_free(base->device, embedding->types);
    free(embedding);
}

static int cuda_embedding_weight_create(struct device *device,
                                        const struct embedding_tables *tables,
                                        struct embedding_weight **ret_weight)
{
    struct cuda_embedding *embedding = (struct cuda_embedding *)calloc(1, sizeof(*embedding));
    size_t width = tables->width;
    int r;

    if (!embedding)
        return KERNEL_NO_MEMORY;
    embedding->base.device = device;
    r = upload(device, tables->words, tables->word_rows * width, &embedding->words);
    if (r == KERNEL_OK)
        r = upload(device, tables->positions, tables->position_rows * width, &embedding->positions);
    if (r == KERNEL_OK && tables->types)
        r = upload(device, tables->types, tables->type_rows * width, &embedding->types);
    if (r < 0) {
        cuda_embedding_weight_destroy(&embedding->base);
        return r;
    }
    *ret_weight = &embedding->base;
    return KERNEL_OK;
}

/* ---- token batches ---- */

static void cuda_token_batch_destroy(struct token_batch *base)
{
    struct cuda_batch *batch = (struct cuda_batch *)base;

    cuda_free(base->device, batch->on_device);
    cuda_host_free(base->device, batch->staging);
    free(batch);
}

static int cuda_token_batch_create(struct device *device, uint32_t tokens_max, uint32_t texts_max,
                                   struct token_batch **ret_batch)
{
    size_t bytes = (3 * (size_t)tokens_max + texts_max + 1) * sizeof(int32_t);
    struct cuda_batch *batch = (struct cuda_batch *)calloc(1, sizeof(*batch));
    int r;

    if (!batch)
        return KERNEL_NO_MEMORY;
    batch->base.device = device;
    r = cuda_alloc(device, bytes, (void **)&batch->on_device);
    if (r == KERNEL_OK)
        r = cuda_host_alloc(device, bytes, (void **)&batch->staging);
    if (r < 0) {
        cuda_token_batch_destroy(&batch->base);
        return r;
    }
    *ret_batch = &batch->base;
    return KERNEL_OK;
}

static int cuda_token_batch_load(struct device_stream *stream, struct token_batch *base,
                                 const struct token_source *source)
{
    struct cuda_batch *batch = (struct cuda_batch *)base;
    int32_t *ids = batch->staging, *types = ids + base->tokens, *positions = types + base->tokens,
            *cu_seqlens = positions + base->tokens;
    size_t count = 3 * (size_t)base->tokens + base->texts + 1;

    memset(ids, 0, 3 * (size_t)base->tokens * sizeof(int32_t));
    memcpy(ids, source->ids, source->tokens * sizeof(int32_t));
    if (source->types)
        memcpy(types, source->types, source->tokens * sizeof(int32_t));
    for (uint32_t s = 0; s < source->texts; s++)
        for (uint32_t t = source->cu_seqlens[s]; t < source->cu_seqlens[s + 1]; t++)
            positions[t] = (int32_t)(t - source->cu_seqlens[s]);
    for (uint32_t s = 0; s <= base->texts; s++)
        cu_seqlens[s] = (int32_t)(s < source->texts ? source->cu_seqlens[s] : source->tokens);
    return cuda_copy_to_device(stream, batch->on_device, batch->staging, count * sizeof(int32_t));
}

static struct batch_view batch_view(const struct token_batch *base)
{
    const int32_t *on_device = ((const struct cuda_batch *)base)->on_device;
    size_t tokens = base->tokens;

    return {
        .ids = on_device,
        .types = on_device + tokens,
        .positions = on_device + 2 * tokens,
        .cu_seqlens = (const uint32_t *)(on_device + 3 * tokens),
        .tokens = base->tokens,
        .texts = base->texts,
        .longest = base->longest,
    };
}

/* ---- graphs: what stream capture sees ---- */

static void cuda_graph_destroy(struct device_graph *base)
{
    struct cuda_graph *graph = (struct cuda_graph *)base;

    cudaSetDevice(cuda_device(base->device)->ordinal);
    if (graph->ready)
        cudaGraphExecDestroy(graph->ready);
    free(graph);
}

static int cuda_graph_begin(struct device_stream *stream, struct device_graph **ret_graph)
{
    struct cuda_graph *graph;
    int r = enter(stream->device);

    if (r < 0)
        return r;
    graph = (struct cuda_graph *)calloc(1, sizeof(*graph));
    if (!graph)
        return KERNEL_NO_MEMORY;
    graph->base.device = stream->device;
    /* ThreadLocal: other threads go on allocating. */
    r = check(stream->device,
              cudaStreamBeginCapture(stream_of(stream), cudaStreamCaptureModeThreadLocal),
              "begin a recording");
    if (r < 0) {
        cuda_graph_destroy(&graph->base);
        return r;
    }
    *ret_graph = &graph->base;
    return KERNEL_OK;
}

static int cuda_graph_end(struct device_stream *stream, struct device_graph *base)
{
    struct cuda_graph *graph = (struct cuda_graph *)base;
    struct device *device = stream->device;
    cudaGraph_t recorded = nullptr;
    int r = enter(device);
    /* Also on a device that failed since: capture ends here or never. */
    cudaError_t ended = cudaStreamEndCapture(stream_of(stream), &recorded);

    if (r == KERNEL_OK)
        r = check(device, ended, "record a graph");
    if (r == KERNEL_OK)
        r = check(device, cudaGraphInstantiateWithFlags(&graph->ready, recorded, 0),
                  "make a graph ready");
    if (r == KERNEL_OK) /* now, so that the first launch allocates nothing */
        r = check(device, cudaGraphUpload(graph->ready, stream_of(stream)), "upload a graph");
    if (recorded)
        cudaGraphDestroy(recorded);
    return r;
}

static int cuda_graph_launch(struct device_stream *stream, struct device_graph *base)
{
    struct cuda_graph *graph = (struct cuda_graph *)base;
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(stream->device, cudaGraphLaunch(graph->ready, stream_of(stream)),
                  "launch a graph");
    return r;
}

/* ---- operations ---- */

static struct norm_view norm_view(const struct norm_weight *base)
{
    const struct cuda_norm *norm = (const struct cuda_norm *)base;

    return {
        .gamma = (const float *)norm->gamma,
        .beta = (const float *)norm->beta,
        .width = base->width,
        .epsilon = base->epsilon,
    };
}

static int cuda_embed(struct device_stream *stream, const struct embedding_weight *base,
                      const struct token_batch *batch, void *out)
{
    const struct cuda_embedding *embedding = (const struct cuda_embedding *)base;
    const struct embedding_view tables = {embedding->words, embedding->positions, embedding->types};
    const struct norm_view norm = norm_view(base->norm);
    const struct batch_view view = batch_view(batch);
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(stream->device,
                  launch_embed(precision_of(stream), &tables, &norm, &view, out, stream_of(stream)),
                  "embed");
    return r;
}

static int cuda_linear_run(struct device_stream *stream, const struct linear_weight *base,
                           enum linear_epilogue epilogue, const void *x, uint32_t rows, void *y)
{
    const struct cuda_linear *linear = (const struct cuda_linear *)base;
    struct device *device = stream->device;
    char why[128] = "";
    int r = enter(device);

    if (r == KERNEL_OK)
        r = product_multiply(cuda_device(device)->products, linear->product, epilogue, x, rows, y,
                             stream_of(stream), why, sizeof(why));
    if (r == KERNEL_UNSUPPORTED && stream->recording) {
        device_say(device, "record a product", why, false);
        return r;
    }
    if (r == KERNEL_OK || r == KERNEL_NO_MEMORY)
        return r;
    return device_fail(device, "linear", why);
}

static bool cuda_attention_has_width(uint32_t head_width)
{
    return head_width == 32 || head_width == 64;
}

static int cuda_attention(struct device_stream *stream, const struct token_batch *batch,
                          const void *qkv, uint32_t heads, uint32_t head_width, float scale,
                          void *out)
{
    const struct batch_view view = batch_view(batch);
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(stream->device,
                  launch_attention(precision_of(stream), &view, qkv, heads, head_width, scale, out,
                                   stream_of(stream)),
                  "attention");
    return r;
}

static int cuda_add_norm(struct device_stream *stream, const struct norm_weight *weight,
                         const void *x, const void *residual, uint32_t rows, void *out)
{
    const struct norm_view norm = norm_view(weight);
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(
            stream->device,
            launch_add_norm(precision_of(stream), &norm, x, residual, rows, out, stream_of(stream)),
            "add_norm");
    return r;
}

static int cuda_pool(struct device_stream *stream, const struct token_batch *batch, const void *x,
                     uint32_t width, enum pool_mode mode, bool normalise, float *out)
{
    const struct batch_view view = batch_view(batch);
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(stream->device,
                  launch_pool(precision_of(stream), &view, x, width, mode, normalise, out,
                              stream_of(stream)),
                  "pool");
    return r;
}

static int cuda_gather_first(struct device_stream *stream, const struct token_batch *batch,
                             const void *x, uint32_t width, void *out)
{
    const struct batch_view view = batch_view(batch);
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(
            stream->device,
            launch_gather_first(precision_of(stream), &view, x, width, out, stream_of(stream)),
            "gather");
    return r;
}

static int cuda_softmax(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                        float *out)
{
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(stream->device,
                  launch_softmax(precision_of(stream), x, rows, width, out, stream_of(stream)),
                  "softmax");
    return r;
}

static int cuda_to_float(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                         float *out)
{
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(
            stream->device,
            launch_to_float(precision_of(stream), x, (size_t)rows * width, out, stream_of(stream)),
            "convert");
    return r;
}

static int cuda_from_float(struct device_stream *stream, const float *x, uint32_t rows,
                           uint32_t width, void *out)
{
    int r = enter(stream->device);

    if (r == KERNEL_OK)
        r = check(stream->device,
                  launch_from_float(precision_of(stream), x, (size_t)rows * width, out,
                                    stream_of(stream)),
                  "convert");
    return r;
}

/* ---- the device ---- */

static void cuda_device_close(struct device *base)
{
    struct cuda_device *device = cuda_device(base);

    cudaSetDevice(device->ordinal);
    if (device->setup) {
        cudaStreamSynchronize(device->setup);
        cudaStreamDestroy(device->setup);
    }
    products_close(device->products);
    pthread_mutex_destroy(&device->lock);
    free(device);
}

static const struct device_ops cuda_ops = {
    .close = cuda_device_close,
    .alloc = cuda_alloc,
    .free = cuda_free,
    .host_alloc = cuda_host_alloc,
    .host_free = cuda_host_free,
    .stream_create = cuda_stream_create,
    .stream_destroy = cuda_stream_destroy,
    .stream_wait = cuda_stream_wait,
    .stream_synchronise = cuda_stream_synchronise,
    .copy_to_device = cuda_copy_to_device,
    .copy_to_host = cuda_copy_to_host,
    .linear_weight_create = cuda_linear_weight_create,
    .linear_weight_destroy = cuda_linear_weight_destroy,
    .norm_weight_create = cuda_norm_weight_create,
    .norm_weight_destroy = cuda_norm_weight_destroy,
    .embedding_weight_create = cuda_embedding_weight_create,
    .embedding_weight_destroy = cuda_embedding_weight_destroy,
    .token_batch_create = cuda_token_batch_create,
    .token_batch_destroy = cuda_token_batch_destroy,
    .token_batch_load = cuda_token_batch_load,
    .graph_begin = cuda_graph_begin,
    .graph_end = cuda_graph_end,
    .graph_launch = cuda_graph_launch,
    .graph_destroy = cuda_graph_destroy,
    .attention_has_width = cuda_attention_has_width,
    .embed = cuda_embed,
    .linear = cuda_linear_run,
    .attention = cuda_attention,
    .add_norm = cuda_add_norm,
    .pool = cuda_pool,
    .gather_first = cuda_gather_first,
    .softmax = cuda_softmax,
    .to_float = cuda_to_float,
    .from_float = cuda_from_float,
};

extern "C" int cuda_device_count(uint32_t *ret_count)
{
    int count = 0, driver = 0;
    cudaError_t error;

    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
        return KERNEL_NO_DRIVER;
    error = cudaGetDeviceCount(&count);
    if (error == cudaErrorInsufficientDriver)
        return KERNEL_DRIVER_TOO_OLD;
    if (error != cudaSuccess && error != cudaErrorNoDevice)
        return KERNEL_DEVICE_FAILED;
    *ret_count = (uint32_t)count;
    return KERNEL_OK;
}

static void uuid_format(const cudaUUID_t *uuid, char *to, size_t size)
{
    const unsigned char *b = (const unsigned char *)uuid->bytes;

    snprintf(to, size, "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
             b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
             b[14], b[15]);
}

/* Fills the info; UNSUPPORTED with a message for a device that no kernel here was compiled for. */
static int info_read(struct cuda_device *device, char *message, size_t message_size)
{
    struct device_info *info = &device->base.info;
    struct cudaDeviceProp properties;
    int r = check(&device->base, cudaGetDeviceProperties(&properties, device->ordinal),
                  "read the device's properties");

    if (r == KERNEL_OK)
        r = check(
            &device->base,
            cudaDeviceGetPCIBusId(info->pci_bus_id, sizeof(info->pci_bus_id), device->ordinal),
            "read the device's PCI bus id");
    if (r < 0)
        return r;
    if (properties.major < CAPABILITY_MAJOR_MIN) {
        snprintf(message, message_size, "%s has compute capability %d.%d; 8.0 is the least",
                 properties.name, properties.major, properties.minor);
        return KERNEL_UNSUPPORTED;
    }
    snprintf(info->name, sizeof(info->name), "%.*s", (int)sizeof(info->name) - 1, properties.name);
    uuid_format(&properties.uuid, info->uuid, sizeof(info->uuid));
    info->memory_bytes = properties.totalGlobalMem;
    info->cache_bytes = (uint64_t)properties.l2CacheSize;
    info->has_graphs = true;
    info->threads = (uint32_t)properties.multiProcessorCount;
    info->capability_major = (uint32_t)properties.major;
    info->capability_minor = (uint32_t)properties.minor;
    return KERNEL_OK;
}

static int device_start(struct cuda_device *device, const struct device_options *options,
                        char *message, size_t message_size)
{
    struct device_info *info = &device->base.info;
    int r = enter(&device->base);

    if (r == KERNEL_OK)
        r = info_read(device, message, message_size);
    if (r == KERNEL_OK)
        r = check(&device->base, cudaStreamCreateWithFlags(&device->setup, cudaStreamNonBlocking),
                  "create a stream");
    if (r < 0)
        return r;
    return products_open(info, options, &device->products, message, message_size);
}

extern "C" int cuda_device_open(const struct device_options *options, struct device **ret_device,
                                char *message, size_t message_size)
{
    struct cuda_device *device;
    uint32_t count;
    int r = cuda_device_count(&count);

    if (r < 0)
        return r;
    if (options->ordinal >= count) {
        snprintf(message, message_size, "there is no CUDA device %u: %u visible", options->ordinal,
                 count);
        return KERNEL_NO_DEVICE;
    }
    device = (struct cuda_device *)calloc(1, sizeof(*device));
    if (!device)
        return KERNEL_NO_MEMORY;
    pthread_mutex_init(&device->lock, nullptr);
    device->ordinal = (int)options->ordinal;
    device->base.ops = &cuda_ops;
    device->base.info.kind = DEVICE_CUDA;
    device->base.info.precision = options->precision;
    device->base.info.activation_bytes =
        options->precision == DEVICE_FP32 ? sizeof(float) : sizeof(uint16_t);
    r = device_start(device, options, message, message_size);
    if (r < 0) {
        if (r == KERNEL_DEVICE_FAILED && message[0] == '\0')
            snprintf(message, message_size, "%s", device->base.error_text);
        cuda_device_close(&device->base);
        return r;
    }
    *ret_device = &device->base;
    return KERNEL_OK;
}
