/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device implements: one table of operations, and the parts of each object that device.c
 * reads to check arguments. Private to kernels/; everybody else includes device.h.
 *
 * device.c has checked everything that device.h says is checked before an entry of the table is
 * called: pointers are there and aligned, sizes within limits, objects of the same device, the
 * batch loaded, ids inside their tables. An entry only does the work. A backend's object begins
 * with the struct of the same name here; the backend fills `device` (and ops and info), device.c
 * sees to the rest when the entry has returned.
 *
 * Threading, ownership, errors: device.h.
 */
#ifndef KERNELS_DEVICE_OPS_H
#define KERNELS_DEVICE_OPS_H

#include "kernels/device.h"

/* The widest attention head of any device (device.h). */
#define ATTENTION_WIDTH_MAX 256u

struct device {
    const struct device_ops *ops;
    struct device_info info;
    char error_text[256]; /* written by the backend; what device_error_text gives */
};

struct device_stream {
    struct device *device;
    struct device_graph *recording; /* device.c's; NULL while operations run */
};

struct device_graph {
    struct device *device;
    /* device.c's: what a launch must find as it was recorded */
    const struct token_batch *batch; /* NULL: no operation reads one */
    struct token_bounds bounds;
    uint32_t word_rows; /* of the smallest tables that are read */
    uint32_t position_rows;
    uint32_t type_rows;
};

struct linear_weight {
    struct device *device;
    uint32_t out_width;
    uint32_t in_width;
};

struct norm_weight {
    struct device *device;
    uint32_t width;
    float epsilon;
};

struct embedding_weight {
    struct device *device;
    struct embedding_tables tables; /* sizes only: the pointers are NULL */
    const struct norm_weight *norm;
};

struct token_batch {
    struct device *device;
    uint32_t tokens_max;
    uint32_t texts_max;
    /* of the last load: the bounds, or without padding the source's own sizes; tokens is 0 while
     * nothing is loaded. How an operation is cut into parts may depend on these and on nothing else
     * of the batch, so that a graph of it serves the next load. */
    uint32_t tokens;
    uint32_t texts;
    uint32_t longest; /* no text has more tokens */
    /* and of what was loaded */
    int32_t id_max;
    int32_t type_max;
    uint32_t positions; /* tokens of the longest text */
};

struct device_ops {
    void (*close)(struct device *device);

    int (*alloc)(struct device *device, size_t bytes, void **ret_memory);
    void (*free)(struct device *device, void *memory);
    int (*host_alloc)(struct device *device, size_t bytes, void **ret_memory);
    void (*host_free)(struct device *device, void *memory);

    int (*stream_create)(struct device *device, struct device_stream **ret_stream);
    void (*stream_destroy)(struct device_stream *stream);
    int (*stream_wait)(struct device_stream *stream, struct device_stream *other);
    int (*stream_synchronise)(struct device_stream *stream);
    int (*copy_to_device)(struct device_stream *stream, void *device_memory, const void *host,
                          size_t bytes);
    int (*copy_to_host)(struct device_stream *stream, void *host, const void *device_memory,
                        size_t bytes);

    int (*linear_weight_create)(struct device *device, const float *weight, const float *bias,
                                uint32_t out_width, uint32_t in_width,
                                struct linear_weight **ret_weight);
    void (*linear_weight_destroy)(struct linear_weight *weight);
    int (*norm_weight_create)(struct device *device, const float *gamma, const float *beta,
                              uint32_t width, struct norm_weight **ret_weight);
    void (*norm_weight_destroy)(struct norm_weight *weight);
    int (*embedding_weight_create)(struct device *device, const struct embedding_tables *tables,
                                   struct embedding_weight **ret_weight);
    void (*embedding_weight_destroy)(struct embedding_weight *weight);

    int (*token_batch_create)(struct device *device, uint32_t tokens_max, uint32_t texts_max,
                              struct token_batch **ret_batch);
    void (*token_batch_destroy)(struct token_batch *batch);
    /* Within the batch's maxima; the batch has the bounds of this load when the entry is called. */
    int (*token_batch_load)(struct device_stream *stream, struct token_batch *batch,
                            const struct token_source *source);

    /* NULL without info.has_graphs. graph_end is also called after operations failed, and leaves
     * the graph to graph_destroy. */
    int (*graph_begin)(struct device_stream *stream, struct device_graph **ret_graph);
    int (*graph_end)(struct device_stream *stream, struct device_graph *graph);
    int (*graph_launch)(struct device_stream *stream, struct device_graph *graph);
    void (*graph_destroy)(struct device_graph *graph);

    /* Whether attention of this head width is there; NULL: every width up to 256. */
    bool (*attention_has_width)(uint32_t head_width);

    int (*embed)(struct device_stream *stream, const struct embedding_weight *weight,
                 const struct token_batch *batch, void *out);
    int (*linear)(struct device_stream *stream, const struct linear_weight *weight,
                  enum linear_epilogue epilogue, const void *x, uint32_t rows, void *y);
    int (*attention)(struct device_stream *stream, const struct token_batch *batch, const void *qkv,
                     uint32_t heads, uint32_t head_width, float scale, void *out);
    int (*add_norm)(struct device_stream *stream, const struct norm_weight *norm, const void *x,
                    const void *residual, uint32_t rows, void *out);
    int (*pool)(struct device_stream *stream, const struct token_batch *batch, const void *x,
                uint32_t width, enum pool_mode mode, bool normalise, float *out);
    int (*gather_first)(struct device_stream *stream, const struct token_batch *batch,
                        const void *x, uint32_t width, void *out);
    int (*softmax)(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                   float *out);
    int (*to_float)(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                    float *out);
    int (*from_float)(struct device_stream *stream, const float *x, uint32_t rows, uint32_t width,
                      void *out);
};

/* How device.c opens each kind. The options are checked; *ret_device has ops and info set. message
 * is never NULL. */
int reference_device_open(const struct device_options *options, struct device **ret_device,
                          char *message, size_t message_size);
int cpu_device_open(const struct device_options *options, struct device **ret_device, char *message,
                    size_t message_size);
#ifdef KERNELS_HAVE_CUDA
int cuda_device_open(const struct device_options *options, struct device **ret_device,
                     char *message, size_t message_size);
int cuda_device_count(uint32_t *ret_count);
#endif

#endif
