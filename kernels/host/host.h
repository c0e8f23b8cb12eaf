/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the reference device and the CPU device share, because both compute in ordinary memory and
 * in fp32: allocation, streams that are done when a call returns, token batches, norm and embedding
 * weights, and the operations that only move rows. The entries have the signatures of
 * device_ops.h; a device puts them into its own table.
 */
#ifndef KERNELS_HOST_H
#define KERNELS_HOST_H

#include "kernels/device_ops.h"

struct host_norm {
    struct norm_weight base;
    float *gamma; /* [width], owned */
    float *beta;  /* [width], owned */
};

struct host_embedding {
    struct embedding_weight base;
    float *words;     /* [word_rows, width], owned */
    float *positions; /* [position_rows, width], owned */
    float *types;     /* [type_rows, width], owned; NULL for a model without token types */
};

struct host_batch {
    struct token_batch base;
    uint32_t *ids;        /* [tokens_max], owned */
    uint32_t *types;      /* [tokens_max], owned */
    uint32_t *positions;  /* [tokens_max], owned: counted from 0 in each text */
    uint32_t *cu_seqlens; /* [texts_max + 1], owned */
};

static inline const struct host_norm *host_norm(const struct norm_weight *norm)
{
    return (const struct host_norm *)norm;
}

static inline const struct host_embedding *host_embedding(const struct embedding_weight *weight)
{
    return (const struct host_embedding *)weight;
}

static inline const struct host_batch *host_batch(const struct token_batch *batch)
{
    return (const struct host_batch *)batch;
}

/* count elements of size bytes, 256-byte aligned, not initialised; NULL when memory is out. Given
 * back with free(). */
void *host_array(size_t count, size_t size);

/* Bytes of memory of this machine; 0 if it cannot be told. */
uint64_t host_memory_bytes(void);
/* Bytes of the last level of cache; 0 if it cannot be told. */
uint64_t host_cache_bytes(void);

int host_alloc(struct device *device, size_t bytes, void **ret_memory);
void host_free(struct device *device, void *memory);
int host_stream_create(struct device *device, struct device_stream **ret_stream);
void host_stream_destroy(struct device_stream *stream);
int host_stream_wait(struct device_stream *stream, struct device_stream *other);
int host_stream_synchronise(struct device_stream *stream);
int host_copy_to_device(struct device_stream *stream, void *device_memory, const void *host,
                        size_t bytes);
int host_copy_to_host(struct device_stream *stream, void *host, const void *device_memory,
                      size_t bytes);

int host_norm_create(struct device *device, const float *gamma, const float *beta, uint32_t width,
                     struct norm_weight **ret_weight);
void host_norm_destroy(struct norm_weight *weight);
int host_embedding_create(struct device *device, const struct embedding_tables *tables,
                          struct embedding_weight **ret_weight);
void host_embedding_destroy(struct embedding_weight *weight);

int host_batch_create(struct device *device, uint32_t tokens_max, uint32_t texts_max,
                      struct token_batch **ret_batch);
void host_batch_destroy(struct token_batch *batch);
int host_batch_load(struct device_stream *stream, struct token_batch *batch,
                    const struct token_source *source);

int host_gather_first(struct device_stream *stream, const struct token_batch *batch, const void *x,
                      uint32_t width, void *out);
int host_to_float(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                  float *out);
int host_from_float(struct device_stream *stream, const float *x, uint32_t rows, uint32_t width,
                    void *out);

#endif
