/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks in front of every device: device.h's promises about arguments are kept here, once,
 * and then the call goes to the device's table (device_ops.h). Nothing here knows how an operation
 * is done.
 */
#include "kernels/device.h"

#include <math.h>
#include <stdio.h>

#include "kernels/device_ops.h"

const char *kernel_status_text(int status)
{
    switch ((enum kernel_status)status) {
    case KERNEL_OK:
        return "done";
    case KERNEL_BAD_ARGUMENT:
        return "bad argument";
    case KERNEL_NO_MEMORY:
        return "out of memory";
    case KERNEL_UNSUPPORTED:
        return "not supported by this device";
    case KERNEL_NOT_BUILT:
        return "this program was built without CUDA";
    case KERNEL_NO_DRIVER:
        return "no CUDA driver on this machine";
    case KERNEL_DRIVER_TOO_OLD:
        return "the CUDA driver is too old for this program";
    case KERNEL_NO_DEVICE:
        return "no such device";
    case KERNEL_NO_LIBRARY:
        return "cuBLASLt cannot be opened";
    case KERNEL_DEVICE_FAILED:
        return "the device failed";
    case KERNEL_SYSTEM:
        return "refused by the operating system";
    }
    return "unknown status";
}

/* ---- checks ---- */

static bool is_aligned(const void *pointer)
{
    return pointer && (uintptr_t)pointer % DEVICE_ALIGNMENT == 0;
}

static bool is_count(uint32_t count, uint32_t max)
{
    return count >= 1 && count <= max;
}

/* A stream that takes what a recording does not. */
static bool is_running(const struct device_stream *stream)
{
    return stream && !stream->recording;
}

static bool is_loaded(const struct device_stream *stream, const struct token_batch *batch)
{
    if (!stream || !batch || batch->device != stream->device || batch->tokens == 0)
        return false;
    return !stream->recording || !stream->recording->batch || stream->recording->batch == batch;
}

static bool has_rows(const struct token_batch *batch, uint32_t words, uint32_t positions,
                     uint32_t types)
{
    return (uint32_t)batch->id_max < words && batch->positions <= positions &&
           (uint32_t)batch->type_max < types;
}

/* ---- devices ---- */

int device_open(const struct device_options *options, struct device **ret_device, char *message,
                size_t message_size)
{
    char ignored[1];
    int r = KERNEL_BAD_ARGUMENT;

    if (!message || message_size == 0) {
        message = ignored;
        message_size = sizeof(ignored);
    }
    message[0] = '\0';
    if (!options || !ret_device || options->threads > DEVICE_THREADS_MAX ||
        (options->cores && options->threads == 0) || (unsigned)options->precision > DEVICE_BF16) {
        snprintf(message, message_size, "%s", kernel_status_text(r));
        return r;
    }

    switch (options->kind) {
    case DEVICE_REFERENCE:
        r = reference_device_open(options, ret_device, message, message_size);
        break;
    case DEVICE_CPU:
        r = cpu_device_open(options, ret_device, message, message_size);
        break;
    case DEVICE_CUDA:
#ifdef KERNELS_HAVE_CUDA
        r = cuda_device_open(options, ret_device, message, message_size);
#else
        r = KERNEL_NOT_BUILT;
#endif
        break;
    }
    if (r < 0 && message[0] == '\0')
        snprintf(message, message_size, "%s", kernel_status_text(r));
    return r;
}

void device_close(struct device *device)
{
    if (device)
        device->ops->close(device);
}

const struct device_info *device_info(const struct device *device)
{
    return &device->info;
}

const char *device_error_text(const struct device *device)
{
    return device->error_text;
}

int device_cuda_count(uint32_t *ret_count)
{
    if (!ret_count)
        return KERNEL_BAD_ARGUMENT;
#ifdef KERNELS_HAVE_CUDA
    return cuda_device_count(ret_count);
#else
    return KERNEL_NOT_BUILT;
#endif
}

/* ---- memory ---- */

int device_alloc(struct device *device, size_t bytes, void **ret_memory)
{
    if (!device || bytes == 0 || !ret_memory)
        return KERNEL_BAD_ARGUMENT;
    return device->ops->alloc(device, bytes, ret_memory);
}

void device_free(struct device *device, void *memory)
{
    if (memory)
        device->ops->free(device, memory);
}

int device_host_alloc(struct device *device, size_t bytes, void **ret_memory)
{
    if (!device || bytes == 0 || !ret_memory)
        return KERNEL_BAD_ARGUMENT;
    return device->ops->host_alloc(device, bytes, ret_memory);
}

void device_host_free(struct device *device, void *memory)
{
    if (memory)
        device->ops->host_free(device, memory);
}

/* ---- streams ---- */

int device_stream_create(struct device *device, struct device_stream **ret_stream)
{
    if (!device || !ret_stream)
        return KERNEL_BAD_ARGUMENT;
    return device->ops->stream_create(device, ret_stream);
}

void device_stream_destroy(struct device_stream *stream)
{
    if (stream)
        stream->device->ops->stream_destroy(stream);
}

int device_stream_wait(struct device_stream *stream, struct device_stream *other)
{
    if (!is_running(stream) || !is_running(other) || stream->device != other->device)
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->stream_wait(stream, other);
}

int device_stream_synchronise(struct device_stream *stream)
{
    if (!is_running(stream))
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->stream_synchronise(stream);
}

int device_copy_to_device(struct device_stream *stream, void *device_memory, const void *host,
                          size_t bytes)
{
    if (!is_running(stream) || !device_memory || !host || bytes == 0)
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->copy_to_device(stream, device_memory, host, bytes);
}

int device_copy_to_host(struct device_stream *stream, void *host, const void *device_memory,
                        size_t bytes)
{
    if (!is_running(stream) || !host || !device_memory || bytes == 0)
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->copy_to_host(stream, host, device_memory, bytes);
}

/* ---- weights ---- */

int linear_weight_create(struct device *device, const float *weight, const float *bias,
                         uint32_t out_width, uint32_t in_width, struct linear_weight **ret_weight)
{
    struct linear_weight *made;
    int r;

    if (!device || !weight || !is_count(out_width, DEVICE_WIDTH_MAX) ||
        !is_count(in_width, DEVICE_WIDTH_MAX) || !ret_weight)
        return KERNEL_BAD_ARGUMENT;
    r = device->ops->linear_weight_create(device, weight, bias, out_width, in_width, &made);
    if (r < 0)
        return r;
    made->out_width = out_width;
    made->in_width = in_width;
    *ret_weight = made;
    return KERNEL_OK;
}

void linear_weight_destroy(struct linear_weight *weight)
{
    if (weight)
        weight->device->ops->linear_weight_destroy(weight);
}

int norm_weight_create(struct device *device, const float *gamma, const float *beta, uint32_t width,
                       float epsilon, struct norm_weight **ret_weight)
{
    struct norm_weight *made;
    int r;

    if (!device || !gamma || !beta || !is_count(width, DEVICE_WIDTH_MAX) || !ret_weight)
        return KERNEL_BAD_ARGUMENT;
    if (!isfinite(epsilon) || epsilon < 0)
        return KERNEL_BAD_ARGUMENT;
    r = device->ops->norm_weight_create(device, gamma, beta, width, &made);
    if (r < 0)
        return r;
    made->width = width;
    made->epsilon = epsilon;
    *ret_weight = made;
    return KERNEL_OK;
}

void norm_weight_destroy(struct norm_weight *weight)
{
    if (weight)
        weight->device->ops->norm_weight_destroy(weight);
}

int embedding_weight_create(struct device *device, const struct embedding_tables *tables,
                            const struct norm_weight *norm, struct embedding_weight **ret_weight)
{
    struct embedding_weight *made;
    int r;

    if (!device || !tables || !norm || norm->device != device || !ret_weight)
        return KERNEL_BAD_ARGUMENT;
    if (!tables->words || !tables->positions || !is_count(tables->word_rows, DEVICE_ROWS_MAX) ||
        !is_count(tables->position_rows, DEVICE_ROWS_MAX) || tables->width != norm->width)
        return KERNEL_BAD_ARGUMENT;
    if (tables->types ? !is_count(tables->type_rows, DEVICE_ROWS_MAX) : tables->type_rows != 0)
        return KERNEL_BAD_ARGUMENT;
    r = device->ops->embedding_weight_create(device, tables, &made);
    if (r < 0)
        return r;
    made->tables = (struct embedding_tables){.word_rows = tables->word_rows,
                                             .position_rows = tables->position_rows,
                                             .type_rows = tables->type_rows,
                                             .width = tables->width};
    made->norm = norm;
    *ret_weight = made;
    return KERNEL_OK;
}

void embedding_weight_destroy(struct embedding_weight *weight)
{
    if (weight)
        weight->device->ops->embedding_weight_destroy(weight);
}

/* ---- token batches ---- */

int token_batch_create(struct device *device, uint32_t tokens_max, uint32_t texts_max,
                       struct token_batch **ret_batch)
{
    struct token_batch *made;
    int r;

    if (!device || !is_count(tokens_max, DEVICE_ROWS_MAX) || !is_count(texts_max, tokens_max) ||
        !ret_batch)
        return KERNEL_BAD_ARGUMENT;
    r = device->ops->token_batch_create(device, tokens_max, texts_max, &made);
    if (r < 0)
        return r;
    made->tokens_max = tokens_max;
    made->texts_max = texts_max;
    made->tokens = 0;
    *ret_batch = made;
    return KERNEL_OK;
}

void token_batch_destroy(struct token_batch *batch)
{
    if (batch)
        batch->device->ops->token_batch_destroy(batch);
}

static int32_t largest(const int32_t *values, uint32_t count, bool *ret_negative)
{
    int32_t max = 0;

    *ret_negative = false;
    for (uint32_t i = 0; i < count; i++) {
        *ret_negative |= values[i] < 0;
        max = values[i] > max ? values[i] : max;
    }
    return max;
}

/* Checks a source; ret_longest gets the tokens of its longest text. */
static bool is_source(const struct token_batch *batch, const struct token_source *source,
                      uint32_t *ret_longest)
{
    uint32_t longest = 0;

    if (!source || !source->ids || !source->cu_seqlens ||
        !is_count(source->tokens, batch->tokens_max) ||
        !is_count(source->texts, batch->texts_max) || source->cu_seqlens[0] != 0 ||
        source->cu_seqlens[source->texts] != source->tokens)
        return false;
    for (uint32_t s = 0; s < source->texts; s++) {
        if (source->cu_seqlens[s + 1] <= source->cu_seqlens[s])
            return false;
        uint32_t length = source->cu_seqlens[s + 1] - source->cu_seqlens[s];
        longest = length > longest ? length : longest;
    }
    *ret_longest = longest;
    return true;
}

static bool is_within(const struct token_batch *batch, const struct token_source *source,
                      uint32_t longest, const struct token_bounds *bounds)
{
    return bounds->tokens >= source->tokens && bounds->tokens <= batch->tokens_max &&
           bounds->texts >= source->texts && bounds->texts <= batch->texts_max &&
           bounds->longest >= longest && bounds->longest <= bounds->tokens;
}

/* bounds NULL: the source's own sizes. */
static int batch_load(struct device_stream *stream, struct token_batch *batch,
                      const struct token_source *source, const struct token_bounds *bounds)
{
    bool is_id_negative, is_type_negative = false;
    uint32_t longest;
    int32_t id_max, type_max = 0;
    int r;

    if (!is_running(stream) || !batch || batch->device != stream->device)
        return KERNEL_BAD_ARGUMENT;
    batch->tokens = 0;
    if (!is_source(batch, source, &longest) ||
        (bounds && !is_within(batch, source, longest, bounds)))
        return KERNEL_BAD_ARGUMENT;
    id_max = largest(source->ids, source->tokens, &is_id_negative);
    if (source->types)
        type_max = largest(source->types, source->tokens, &is_type_negative);
    if (is_id_negative || is_type_negative)
        return KERNEL_BAD_ARGUMENT;

    batch->tokens = bounds ? bounds->tokens : source->tokens;
    batch->texts = bounds ? bounds->texts : source->texts;
    batch->longest = bounds ? bounds->longest : longest;
    batch->id_max = id_max;
    batch->type_max = type_max;
    batch->positions = longest;
    r = stream->device->ops->token_batch_load(stream, batch, source);
    if (r < 0)
        batch->tokens = 0;
    return r;
}

int token_batch_load(struct device_stream *stream, struct token_batch *batch,
                     const struct token_source *source)
{
    return batch_load(stream, batch, source, NULL);
}

int token_batch_load_padded(struct device_stream *stream, struct token_batch *batch,
                            const struct token_source *source, const struct token_bounds *bounds)
{
    if (!bounds)
        return KERNEL_BAD_ARGUMENT;
    return batch_load(stream, batch, source, bounds);
}

/* ---- graphs ---- */

int device_graph_begin(struct device_stream *stream)
{
    struct device_graph *graph;
    int r;

    if (!is_running(stream))
        return KERNEL_BAD_ARGUMENT;
    if (!stream->device->info.has_graphs)
        return KERNEL_UNSUPPORTED;
    r = stream->device->ops->graph_begin(stream, &graph);
    if (r < 0)
        return r;
    graph->batch = NULL;
    graph->word_rows = graph->position_rows = graph->type_rows = UINT32_MAX;
    stream->recording = graph;
    return KERNEL_OK;
}

int device_graph_end(struct device_stream *stream, struct device_graph **ret_graph)
{
    struct device_graph *graph;
    int r;

    if (!stream || !stream->recording || !ret_graph)
        return KERNEL_BAD_ARGUMENT;
    graph = stream->recording;
    stream->recording = NULL;
    r = stream->device->ops->graph_end(stream, graph);
    if (r < 0)
        device_graph_destroy(graph);
    else
        *ret_graph = graph;
    return r;
}

/* Whether the graph's batch is loaded with what the recorded operations take. */
static bool is_as_recorded(const struct device_graph *graph)
{
    const struct token_batch *batch = graph->batch;

    return !batch ||
           (batch->tokens == graph->bounds.tokens && batch->texts == graph->bounds.texts &&
            batch->longest == graph->bounds.longest &&
            has_rows(batch, graph->word_rows, graph->position_rows, graph->type_rows));
}

int device_graph_launch(struct device_stream *stream, struct device_graph *graph)
{
    if (!is_running(stream) || !graph || graph->device != stream->device || !is_as_recorded(graph))
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->graph_launch(stream, graph);
}

void device_graph_destroy(struct device_graph *graph)
{
    if (graph)
        graph->device->ops->graph_destroy(graph);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* An operation that reads the batch (is_loaded) goes to the stream: a recording remembers it. */
static void batch_note(struct device_stream *stream, const struct token_batch *batch)
{
    struct device_graph *graph = stream->recording;

    if (!graph)
        return;
    graph->batch = batch;
    graph->bounds = (struct token_bounds){
        .tokens = batch->tokens, .texts = batch->texts, .longest = batch->longest};
}

static void tables_note(struct device_stream *stream, uint32_t words, uint32_t positions,
                        uint32_t types)
{
    struct device_graph *graph = stream->recording;

    if (!graph)
        return;
    graph->word_rows = smaller(graph->word_rows, words);
    graph->position_rows = smaller(graph->position_rows, positions);
    graph->type_rows = smaller(graph->type_rows, types);
}

/* ---- operations ---- */

int op_embed(struct device_stream *stream, const struct embedding_weight *weight,
             const struct token_batch *batch, void *out)
{
    if (!is_loaded(stream, batch) || !weight || weight->device != stream->device ||
        !is_aligned(out))
        return KERNEL_BAD_ARGUMENT;

    /* A model without token types takes type 0 alone. */
    const struct embedding_tables *tables = &weight->tables;
    uint32_t types = tables->type_rows ? tables->type_rows : 1;
    if (!has_rows(batch, tables->word_rows, tables->position_rows, types))
        return KERNEL_BAD_ARGUMENT;
    batch_note(stream, batch);
    tables_note(stream, tables->word_rows, tables->position_rows, types);
    return stream->device->ops->embed(stream, weight, batch, out);
}

int op_linear(struct device_stream *stream, const struct linear_weight *weight,
              enum linear_epilogue epilogue, const void *x, uint32_t rows, void *y)
{
    if (!stream || !weight || weight->device != stream->device || !is_aligned(x) ||
        !is_aligned(y) || x == y || !is_count(rows, DEVICE_ROWS_MAX))
        return KERNEL_BAD_ARGUMENT;
    if ((unsigned)epilogue > LINEAR_RELU)
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->linear(stream, weight, epilogue, x, rows, y);
}

int op_attention(struct device_stream *stream, const struct token_batch *batch, const void *qkv,
                 uint32_t heads, uint32_t head_width, float scale, void *out)
{
    if (!is_loaded(stream, batch) || !is_aligned(qkv) || !is_aligned(out) || qkv == out ||
        !isfinite(scale))
        return KERNEL_BAD_ARGUMENT;
    if (!is_count(heads, DEVICE_WIDTH_MAX) || head_width == 0)
        return KERNEL_BAD_ARGUMENT;

    const struct device_ops *ops = stream->device->ops;
    if (head_width > ATTENTION_WIDTH_MAX ||
        (ops->attention_has_width && !ops->attention_has_width(head_width)))
        return KERNEL_UNSUPPORTED;
    if (heads * head_width > DEVICE_WIDTH_MAX)
        return KERNEL_BAD_ARGUMENT;
    batch_note(stream, batch);
    return ops->attention(stream, batch, qkv, heads, head_width, scale, out);
}

int op_add_norm(struct device_stream *stream, const struct norm_weight *norm, const void *x,
                const void *residual, uint32_t rows, void *out)
{
    if (!stream || !norm || norm->device != stream->device || !is_aligned(x) ||
        !is_aligned(residual) || !is_aligned(out) || !is_count(rows, DEVICE_ROWS_MAX))
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->add_norm(stream, norm, x, residual, rows, out);
}

int op_pool(struct device_stream *stream, const struct token_batch *batch, const void *x,
            uint32_t width, enum pool_mode mode, bool normalise, float *out)
{
    if (!is_loaded(stream, batch) || !is_aligned(x) || !is_aligned(out) || x == out ||
        !is_count(width, DEVICE_WIDTH_MAX) || (unsigned)mode > POOL_MAX)
        return KERNEL_BAD_ARGUMENT;
    batch_note(stream, batch);
    return stream->device->ops->pool(stream, batch, x, width, mode, normalise, out);
}

int op_gather_first(struct device_stream *stream, const struct token_batch *batch, const void *x,
                    uint32_t width, void *out)
{
    if (!is_loaded(stream, batch) || !is_aligned(x) || !is_aligned(out) || x == out ||
        !is_count(width, DEVICE_WIDTH_MAX))
        return KERNEL_BAD_ARGUMENT;
    batch_note(stream, batch);
    return stream->device->ops->gather_first(stream, batch, x, width, out);
}

static bool is_matrix(const struct device_stream *stream, const void *x, uint32_t rows,
                      uint32_t width, const void *out)
{
    return stream && is_aligned(x) && is_aligned(out) && x != out &&
           is_count(rows, DEVICE_ROWS_MAX) && is_count(width, DEVICE_WIDTH_MAX);
}

int op_softmax(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
               float *out)
{
    if (!is_matrix(stream, x, rows, width, out))
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->softmax(stream, x, rows, width, out);
}

int op_to_float(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                float *out)
{
    if (!is_matrix(stream, x, rows, width, out))
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->to_float(stream, x, rows, width, out);
}

int op_from_float(struct device_stream *stream, const float *x, uint32_t rows, uint32_t width,
                  void *out)
{
    if (!is_matrix(stream, x, rows, width, out))
        return KERNEL_BAD_ARGUMENT;
    return stream->device->ops->from_float(stream, x, rows, width, out);
}
