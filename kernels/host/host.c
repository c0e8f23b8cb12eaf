/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory, streams, batches and plain fp32 weights of the devices that compute on the host
 * (host.h). Every entry is done when it returns; a stream holds no work. Creating an object takes
 * several allocations: each create function fills what it can and, if one is missing, lets the
 * object's destroy function, which accepts half-built objects, take it down.
 */
#include "kernels/host/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOST_ALIGNMENT 256u

void *host_array(size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX - HOST_ALIGNMENT)
        return NULL;
    bytes = (bytes + HOST_ALIGNMENT - 1) / HOST_ALIGNMENT * HOST_ALIGNMENT;
    return aligned_alloc(HOST_ALIGNMENT, bytes);
}

static float *host_array_copy(const float *source, size_t count)
{
    float *copy = host_array(count, sizeof(float));

    if (copy)
        memcpy(copy, source, count * sizeof(float));
    return copy;
}

uint64_t host_memory_bytes(void)
{
    long pages = sysconf(_SC_PHYS_PAGES);
    long page_bytes = sysconf(_SC_PAGESIZE);

    return pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : 0;
}

/* sysconf has the processor's whole last level, also where a core reaches a part of it. */
uint64_t host_cache_bytes(void)
{
    static const char *const levels[] = {
        "/sys/devices/system/cpu/cpu0/cache/index3/size",
        "/sys/devices/system/cpu/cpu0/cache/index2/size",
    };
    unsigned long kib = 0;

    for (size_t i = 0; kib == 0 && i < sizeof(levels) / sizeof(levels[0]); i++) {
        FILE *file = fopen(levels[i], "re");
        if (!file)
            continue;
        if (fscanf(file, "%luK", &kib) != 1)
            kib = 0;
        fclose(file);
    }
    return (uint64_t)kib * 1024;
}

/* ---- memory, streams ---- */

int host_alloc(struct device *device, size_t bytes, void **ret_memory)
{
    void *memory = host_array(bytes, 1);

    (void)device;
    if (!memory)
        return KERNEL_NO_MEMORY;
    *ret_memory = memory;
    return KERNEL_OK;
}

void host_free(struct device *device, void *memory)
{
    (void)device;
    free(memory);
}

int host_stream_create(struct device *device, struct device_stream **ret_stream)
{
    struct device_stream *stream = calloc(1, sizeof(*stream));

    if (!stream)
        return KERNEL_NO_MEMORY;
    stream->device = device;
    *ret_stream = stream;
    return KERNEL_OK;
}

void host_stream_destroy(struct device_stream *stream)
{
    free(stream);
}

int host_stream_wait(struct device_stream *stream, struct device_stream *other)
{
    (void)stream;
    (void)other;
    return KERNEL_OK;
}

int host_stream_synchronise(struct device_stream *stream)
{
    (void)stream;
    return KERNEL_OK;
}

int host_copy_to_device(struct device_stream *stream, void *device_memory, const void *host,
                        size_t bytes)
{
    (void)stream;
    memcpy(device_memory, host, bytes);
    return KERNEL_OK;
}

int host_copy_to_host(struct device_stream *stream, void *host, const void *device_memory,
                      size_t bytes)
{
    (void)stream;
    memcpy(host, device_memory, bytes);
    return KERNEL_OK;
}

/* ---- norm and embedding weights ---- */

int host_norm_create(struct device *device, const float *gamma, const float *beta, uint32_t width,
                     struct norm_weight **ret_weight)
{
    struct host_norm *norm = calloc(1, sizeof(*norm));

    if (!norm)
        return KERNEL_NO_MEMORY;
    norm->base.device = device;
    norm->gamma = host_array_copy(gamma, width);
    norm->beta = host_array_copy(beta, width);
    if (!norm->gamma || !norm->beta) {
        host_norm_destroy(&norm->base);
        return KERNEL_NO_MEMORY;
    }
    *ret_weight = &norm->base;
    return KERNEL_OK;
}

void host_norm_destroy(struct norm_weight *weight)
{
    struct host_norm *norm = (struct host_norm *)weight;

    free(norm->gamma);
    free(norm->beta);
    free(norm);
}

int host_embedding_create(struct device *device, const struct embedding_tables *tables,
                          struct embedding_weight **ret_weight)
{
    struct host_embedding *embedding = calloc(1, sizeof(*embedding));
    size_t width = tables->width;

    if (!embedding)
        return KERNEL_NO_MEMORY;
    embedding->base.device = device;
    embedding->words = host_array_copy(tables->words, tables->word_rows * width);
    embedding->positions = host_array_copy(tables->positions, tables->position_rows * width);
    if (tables->types)
        embedding->types = host_array_copy(tables->types, tables->type_rows * width);
    if (!embedding->words || !embedding->positions || (tables->types && !embedding->types)) {
        host_embedding_destroy(&embedding->base);
        return KERNEL_NO_MEMORY;
    }
    *ret_weight = &embedding->base;
    return KERNEL_OK;
}

void host_embedding_destroy(struct embedding_weight *weight)
{
    struct host_embedding *embedding = (struct host_embedding *)weight;

    free(embedding->words);
    free(embedding->positions);
    free(embedding->types);
    free(embedding);
}

/* ---- token batches ---- */

int host_batch_create(struct device *device, uint32_t tokens_max, uint32_t texts_max,
                      struct token_batch **ret_batch)
{
    struct host_batch *batch = calloc(1, sizeof(*batch));

    if (!batch)
        return KERNEL_NO_MEMORY;
    batch->base.device = device;
    batch->ids = host_array(tokens_max, sizeof(uint32_t));
    batch->types = host_array(tokens_max, sizeof(uint32_t));
    batch->positions = host_array(tokens_max, sizeof(uint32_t));
    batch->cu_seqlens = host_array((size_t)texts_max + 1, sizeof(uint32_t));
    if (!batch->ids || !batch->types || !batch->positions || !batch->cu_seqlens) {
        host_batch_destroy(&batch->base);
        return KERNEL_NO_MEMORY;
    }
    *ret_batch = &batch->base;
    return KERNEL_OK;
}

void host_batch_destroy(struct token_batch *token_batch)
{
    struct host_batch *batch = (struct host_batch *)token_batch;

    free(batch->ids);
    free(batch->types);
    free(batch->positions);
    free(batch->cu_seqlens);
    free(batch);
}

int host_batch_load(struct device_stream *stream, struct token_batch *token_batch,
                    const struct token_source *source)
{
    struct host_batch *batch = (struct host_batch *)token_batch;

    (void)stream;
    memcpy(batch->ids, source->ids, source->tokens * sizeof(uint32_t));
    if (source->types)
        memcpy(batch->types, source->types, source->tokens * sizeof(uint32_t));
    else
        memset(batch->types, 0, source->tokens * sizeof(uint32_t));
    for (uint32_t s = 0; s < source->texts; s++)
        for (uint32_t t = source->cu_seqlens[s]; t < source->cu_seqlens[s + 1]; t++)
            batch->positions[t] = t - source->cu_seqlens[s];
    for (uint32_t t = source->tokens; t < token_batch->tokens; t++)
        batch->ids[t] = batch->types[t] = batch->positions[t] = 0;
    for (uint32_t s = 0; s <= token_batch->texts; s++)
        batch->cu_seqlens[s] = s < source->texts ? source->cu_seqlens[s] : source->tokens;
    return KERNEL_OK;
}

/* ---- operations that only move rows ---- */

int host_gather_first(struct device_stream *stream, const struct token_batch *batch, const void *x,
                      uint32_t width, void *out)
{
    const uint32_t *starts = host_batch(batch)->cu_seqlens;
    size_t bytes = width * stream->device->info.activation_bytes;
    const char *rows = x;
    char *firsts = out;

    for (size_t s = 0; s < batch->texts; s++) {
        if (starts[s + 1] > starts[s])
            memcpy(firsts + s * bytes, rows + starts[s] * bytes, bytes);
        else
            memset(firsts + s * bytes, 0, bytes);
    }
    return KERNEL_OK;
}

int host_to_float(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                  float *out)
{
    (void)stream;
    memcpy(out, x, (size_t)rows * width * sizeof(float));
    return KERNEL_OK;
}

int host_from_float(struct device_stream *stream, const float *x, uint32_t rows, uint32_t width,
                    void *out)
{
    (void)stream;
    memcpy(out, x, (size_t)rows * width * sizeof(float));
    return KERNEL_OK;
}
