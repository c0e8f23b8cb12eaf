/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one header of kernels/ that C code includes: devices, what lives on them, and the operations
 * of a padding-free BERT-family encoder. No CUDA type appears here; a forward pass written against
 * it runs unchanged on a CUDA device, on the CPU device and on the slow reference device.
 *
 *   device_open -> device_stream_create -> *_weight_create (once, at load)
 *   token_batch_create, device_alloc    (once, for the largest batch: no allocation afterwards)
 *   token_batch_load -> op_embed -> { op_linear, op_attention, op_linear, op_add_norm, ... }
 *     -> op_pool -> device_copy_to_host -> device_stream_synchronise   (per batch)
 *   or, for small batches: device_graph_begin -> the same op_*s -> device_graph_end  (once)
 *     token_batch_load_padded -> device_graph_launch -> device_copy_to_host -> ... (per batch)
 *
 * Tokens of all texts stand one after another, without padding: text s of a batch is the rows
 * [cu_seqlens[s], cu_seqlens[s+1]) of every activation.
 *
 * Activations are row-major matrices in the device's own element type: info.activation_bytes is 4
 * (fp32) or 2 (fp16, bf16); the caller allocates rows * width * activation_bytes and does not look
 * inside (op_to_float does). Sums and statistics are fp32 whatever the element type is.
 *
 * Exactness: one device model and build (and, where there is one, one tuning file) gives the same
 * bits for the same input, run after run, and a row's result does not depend on which other rows or
 * texts are in the batch, nor on the number of threads.
 *
 * Errors: every function that can fail returns 0 (KERNEL_OK) or a negative enum kernel_status and
 * leaves ret_ parameters untouched on failure. Arguments are checked before anything is done:
 * KERNEL_BAD_ARGUMENT means nothing was enqueued. A CUDA device can find a failure after the
 * operation was put on its stream; the next call on the device or its streams then returns
 * KERNEL_DEVICE_FAILED, for good: the process should report its tasks and leave, never reuse the
 * device. device_error_text has the words.
 *
 * Threading: a stream, and a batch while it is being loaded or used by a stream, belong to one
 * thread at a time. Weights are read-only once created and shared by all streams. Everything else
 * may be called from any thread. The CPU device runs an operation before the call returns, one
 * operation at a time for the whole device.
 *
 * Ownership: every object made by a create, open or alloc function is owned by the caller and
 * given back with its destroy, close or free function, which accepts NULL, before its device is
 * closed. Host arrays given to a function are borrowed until it returns, except where a comment
 * says longer.
 */
#ifndef KERNELS_DEVICE_H
#define KERNELS_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kernel_status {
    KERNEL_OK = 0,
    KERNEL_BAD_ARGUMENT = -1,   /* the caller broke a promise of this header: a bug */
    KERNEL_NO_MEMORY = -2,      /* of the host or of the device */
    KERNEL_UNSUPPORTED = -3,    /* this device does not do that: kind, precision, head dimension */
    KERNEL_NOT_BUILT = -4,      /* this program was built without CUDA */
    KERNEL_NO_DRIVER = -5,      /* no NVIDIA driver on this machine */
    KERNEL_DRIVER_TOO_OLD = -6, /* the driver does not know this program's CUDA version */
    KERNEL_NO_DEVICE = -7,      /* no device of that ordinal is visible */
    KERNEL_NO_LIBRARY = -8,     /* cuBLASLt cannot be opened and the options ask for it */
    KERNEL_DEVICE_FAILED = -9,  /* the device reported an error: it must not be used again */
    KERNEL_SYSTEM = -10,        /* the operating system refused: thread, affinity */
};

/* A sentence fragment for a status, for messages; never NULL. */
const char *kernel_status_text(int status);

/* Limits, so that no product of sizes overflows: a row width times 4 bytes times rows stays below
 * 2^63 by far, and any single element count below 2^38. */
#define DEVICE_ROWS_MAX  (1u << 22)
#define DEVICE_WIDTH_MAX (1u << 16)
/* Activation and float pointers given to operations are multiples of this; device_alloc returns
 * multiples of 256. */
#define DEVICE_ALIGNMENT 16u

/* ---- devices ---- */

enum device_kind {
    DEVICE_REFERENCE = 0, /* obvious C in double precision: what the others are tested against */
    DEVICE_CPU = 1,
    DEVICE_CUDA = 2,
};

enum device_precision {
    DEVICE_FP32 = 0, /* every device */
    DEVICE_FP16 = 1, /* CUDA: fp16 activations and weights, fp32 accumulation and statistics */
    /* bf16 activations and weights, fp32 accumulation and statistics: CUDA, and CPUs that multiply
     * bf16 themselves (AVX-512 BF16); UNSUPPORTED elsewhere. */
    DEVICE_BF16 = 2,
};

/* Who multiplies matrices on a CUDA device; never chosen silently. */
enum device_gemm {
    DEVICE_GEMM_CUBLASLT = 0, /* opened at run time; KERNEL_NO_LIBRARY if it cannot be */
    DEVICE_GEMM_OWN = 1,      /* the plain tiled kernel of kernels/cuda/gemm.cu */
};

struct device_options {
    enum device_kind kind;
    enum device_precision precision;
    /* CPU: number of threads that share each operation, the calling thread being the first.
     * 0: one per core that the calling thread may run on. At most DEVICE_THREADS_MAX. */
    uint32_t threads;
    /* CPU: NULL, or `threads` core numbers: thread i >= 1 is pinned to cores[i]. The caller pins
     * itself (cores[0] is where it is expected). NULL: threads inherit the affinity of the opener.
     */
    const uint32_t *cores;
    /* CUDA: ordinal among the devices visible to the process (CUDA_VISIBLE_DEVICES names them by
     * UUID), and the product to use. */
    uint32_t ordinal;
    enum device_gemm gemm;
    /* CUDA with cuBLASLt: NULL, or the path of a file of measured choices, which is made where
     * there is none. With it each weight's product is the fastest of what fits its shape, measured
     * when the weight is made unless the file has the choice from before; processes may share the
     * file. Without it, cuBLASLt's first proposal that fits multiplies and nothing is measured.
     * Borrowed until device_open returns. */
    const char *tuning_file;
};
#define DEVICE_THREADS_MAX 256u

struct device_info {
    enum device_kind kind;
    enum device_precision precision;
    size_t activation_bytes;   /* bytes of one activation element */
    char name[128];            /* "NVIDIA H200", "cpu avx512", "reference" */
    char uuid[48];             /* "GPU-xxxxxxxx-..."; empty where there is none */
    char pci_bus_id[16];       /* "0000:1b:00.0"; empty where there is none */
    char gemm[64];             /* who multiplies: "own avx512", "cuBLASLt 13.0.2", "own tiled" */
    uint64_t memory_bytes;     /* of the device; of the machine for a CPU */
    uint64_t cache_bytes;      /* CUDA: the L2; CPU: the last level; 0 where it cannot be told */
    bool has_graphs;           /* device_graph_begin is not UNSUPPORTED */
    uint32_t threads;          /* CPU: threads; CUDA: multiprocessors */
    uint32_t capability_major; /* CUDA compute capability; 0 elsewhere */
    uint32_t capability_minor;
};

struct device;

/* Opens a device. On failure the device does not exist and, where message is not NULL, a text that
 * says what was missing is written to it (truncated to message_size, always terminated).
 * Errors: BAD_ARGUMENT (also for a tuning file that is none), UNSUPPORTED, NO_MEMORY, SYSTEM, and
 * for CUDA NOT_BUILT, NO_DRIVER, DRIVER_TOO_OLD, NO_DEVICE, NO_LIBRARY, DEVICE_FAILED. */
int device_open(const struct device_options *options, struct device **ret_device, char *message,
                size_t message_size);
/* Waits for the device's work, then frees it. Nothing made from it may remain. */
void device_close(struct device *device);

/* Borrowed, constant for the life of the device. */
const struct device_info *device_info(const struct device *device);

/* What the device last reported failing, for a message; "" if nothing. Borrowed until the next
 * call on the device. */
const char *device_error_text(const struct device *device);

/* Number of visible CUDA devices. Errors: NOT_BUILT, NO_DRIVER, DRIVER_TOO_OLD, DEVICE_FAILED. */
int device_cuda_count(uint32_t *ret_count);

/* ---- memory ---- */

/* Device memory, not initialised, 256-byte aligned; bytes > 0. On a CPU device it is ordinary
 * memory; on a CUDA device the pointer must not be read by the host. */
int device_alloc(struct device *device, size_t bytes, void **ret_memory);
void device_free(struct device *device, void *memory);

/* Host memory that copies run from and to at full speed and asynchronously (pinned on CUDA). */
int device_host_alloc(struct device *device, size_t bytes, void **ret_memory);
void device_host_free(struct device *device, void *memory);

/* ---- streams ---- */

/* Operations on one stream run in the order given; different streams may run side by side. */
struct device_stream;

int device_stream_create(struct device *device, struct device_stream **ret_stream);
void device_stream_destroy(struct device_stream *stream);

/* Work put on `stream` from now on starts after all work put on `other` so far. Same device. */
int device_stream_wait(struct device_stream *stream, struct device_stream *other);

/* Returns when all work put on the stream is done, or with the error that it met. */
int device_stream_synchronise(struct device_stream *stream);

/* Copies; bytes > 0. The host side is borrowed until the stream is synchronised. */
int device_copy_to_device(struct device_stream *stream, void *device_memory, const void *host,
                          size_t bytes);
int device_copy_to_host(struct device_stream *stream, void *host, const void *device_memory,
                        size_t bytes);

/* ---- weights: read once from fp32 host memory, kept in the device's own layout ---- */

struct linear_weight;
struct norm_weight;
struct embedding_weight;

/* y = x Wᵀ + b. weight: [out, in] row-major fp32, as checkpoints store it; bias: [out], or NULL for
 * none. The device packs and rounds it as it likes, so the host arrays are free afterwards. For a
 * fused QKV give the three matrices concatenated along out: [3*d, d]. 1 <= in, out <=
 * DEVICE_WIDTH_MAX. Where cuBLASLt has no algorithm for the shape, a CUDA device's plain kernel
 * multiplies. UNSUPPORTED where cuBLASLt refuses the weight; BAD_ARGUMENT and SYSTEM also where the
 * tuning file was damaged or cannot be read or written: device_error_text has the words. */
int linear_weight_create(struct device *device, const float *weight, const float *bias,
                         uint32_t out_width, uint32_t in_width, struct linear_weight **ret_weight);
void linear_weight_destroy(struct linear_weight *weight);

/* LayerNorm: gamma and beta [width], epsilon >= 0 added to the variance. */
int norm_weight_create(struct device *device, const float *gamma, const float *beta, uint32_t width,
                       float epsilon, struct norm_weight **ret_weight);
void norm_weight_destroy(struct norm_weight *weight);

/* Embedding tables, all [rows, width] row-major fp32. types may be NULL with type_rows 0 (a model
 * without token types). The norm is borrowed for the life of the embedding. */
struct embedding_tables {
    const float *words;     /* [word_rows, width] */
    const float *positions; /* [position_rows, width] */
    const float *types;     /* [type_rows, width] */
    uint32_t word_rows;
    uint32_t position_rows;
    uint32_t type_rows;
    uint32_t width;
};
int embedding_weight_create(struct device *device, const struct embedding_tables *tables,
                            const struct norm_weight *norm, struct embedding_weight **ret_weight);
void embedding_weight_destroy(struct embedding_weight *weight);

/* ---- token batches ---- */

/* The token stream of one batch on the device. Made once for the largest batch and loaded again
 * and again, at fixed addresses. */
struct token_batch;

/* What a batch is loaded from. Positions count from 0 in each text. */
struct token_source {
    const int32_t *ids;         /* [tokens] */
    const int32_t *types;       /* [tokens], or NULL: all 0 */
    const uint32_t *cu_seqlens; /* [texts + 1]: starts at 0, strictly rising, ends at tokens */
    uint32_t tokens;
    uint32_t texts;
};

/* 1 <= texts_max <= tokens_max <= DEVICE_ROWS_MAX. */
int token_batch_create(struct device *device, uint32_t tokens_max, uint32_t texts_max,
                       struct token_batch **ret_batch);
void token_batch_destroy(struct token_batch *batch);

/* Checks the source (BAD_ARGUMENT: empty, above the batch's maxima, cu_seqlens not rising, negative
 * ids; op_embed checks ids against its tables) and puts its copy on the stream. The source is free
 * when the call returns. Not before the stream is done with the batch's last load: keep two batches
 * to overlap. On failure the batch is empty and operations refuse it. */
int token_batch_load(struct device_stream *stream, struct token_batch *batch,
                     const struct token_source *source);

/* What a padded batch is filled up to. */
struct token_bounds {
    uint32_t tokens;  /* rows of every activation */
    uint32_t texts;   /* rows of what is pooled or gathered */
    uint32_t longest; /* tokens of the longest text, at most */
};

/* As token_batch_load, and then the batch has bounds->tokens tokens and bounds->texts texts, so
 * that batches of many sizes take one path through the device (and one graph). Tokens beyond the
 * source's are token 0 of type 0 at position 0 and belong to no text; texts beyond it are empty.
 * The source's texts get the bits that they get unpadded. What an operation does with the rest:
 * op_embed embeds those tokens as any other; op_attention leaves their rows of `out` as they are;
 * op_pool and op_gather_first give zeros for an empty text.
 * BAD_ARGUMENT also where the source exceeds a bound, a bound exceeds the batch's maxima, or
 * longest exceeds tokens. */
int token_batch_load_padded(struct device_stream *stream, struct token_batch *batch,
                            const struct token_source *source, const struct token_bounds *bounds);

/* ---- operations ----
 *
 * Shapes: T tokens and N texts of the loaded batch; rows * width in general. Activations are
 * written x[rows, width] and in the device's element type; float results are said to be so. Unless
 * a comment allows it, outputs overlap no input. rows is at least 1 and at most DEVICE_ROWS_MAX.
 * NaN and infinity in an input row reach that row's outputs (for attention and pooling: that
 * text's) and no others. T and N of a padded batch are its bounds. */

/* out[T, width] = LayerNorm(words[id] + positions[p] + types[type]).
 * BAD_ARGUMENT where an id, a position or a type of the batch is outside its table. */
int op_embed(struct device_stream *stream, const struct embedding_weight *weight,
             const struct token_batch *batch, void *out);

enum linear_epilogue {
    LINEAR_PLAIN = 0, /* z = x Wᵀ + b */
    LINEAR_GELU = 1,  /* z/2 * (1 + erf(z / √2)): BERT's "gelu", not the tanh form */
    LINEAR_TANH = 2,
    LINEAR_RELU = 3,
};
/* y[rows, out] = epilogue(x[rows, in] Wᵀ + b). */
int op_linear(struct device_stream *stream, const struct linear_weight *weight,
              enum linear_epilogue epilogue, const void *x, uint32_t rows, void *y);

/* Self-attention of each text on its own, without mask: for each head softmax(Q Kᵀ * scale) V.
 * qkv[T, 3 * heads * head_width]: all heads' Q, then K, then V, in each row;
 * out[T, heads * head_width]. head_width: 32 and 64 on every device, 1 to 256 on the CPU devices
 * (UNSUPPORTED otherwise). scale is usually 1/√head_width. */
int op_attention(struct device_stream *stream, const struct token_batch *batch, const void *qkv,
                 uint32_t heads, uint32_t head_width, float scale, void *out);

/* out[rows, width] = LayerNorm(x + residual). out may be x or residual itself. */
int op_add_norm(struct device_stream *stream, const struct norm_weight *norm, const void *x,
                const void *residual, uint32_t rows, void *out);

enum pool_mode {
    POOL_MEAN = 0,  /* over all tokens of the text, special ones included */
    POOL_FIRST = 1, /* the first token's row ([CLS]) */
    POOL_MAX = 2,   /* the largest of each column */
};
/* float out[N, width]: one row per text. With normalise, divided by max(its L2 norm, 1e-12). */
int op_pool(struct device_stream *stream, const struct token_batch *batch, const void *x,
            uint32_t width, enum pool_mode mode, bool normalise, float *out);

/* out[N, width]: the first row of each text, still an activation: what a classifier head reads. */
int op_gather_first(struct device_stream *stream, const struct token_batch *batch, const void *x,
                    uint32_t width, void *out);

/* float out[rows, width]: softmax of each row. */
int op_softmax(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
               float *out);

/* float <-> activation, element by element (for logits and tests): rows * width elements. */
int op_to_float(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                float *out);
int op_from_float(struct device_stream *stream, const float *x, uint32_t rows, uint32_t width,
                  void *out);

/* ---- graphs ----
 *
 * The operations of a small batch, recorded once and then started with one call: on CUDA, putting
 * them on a stream one by one takes longer than computing them. Only devices with info.has_graphs.
 *
 * A graph keeps what its operations were given: sizes by value; memory, weights and the batch by
 * address. What it computes depends on what is there when it runs: load the batch with the bounds
 * of the recording, launch, read the results where the operations wrote them. The bits are those of
 * the same operations without a graph.
 *
 * Memory, weights and the batch must live until the last launch has run; a launch after one of them
 * was given back is a bug of the caller that nothing here can notice. */
struct device_graph;

/* From here to device_graph_end the stream records. Until then only op_*s may be put on it, none of
 * which runs (the rest is BAD_ARGUMENT), and all of them on one batch; the recording thread makes
 * no other call on the device. Run the same operations once before, unrecorded: what a driver
 * fetches at a kernel's first use it may refuse to fetch during a recording. BAD_ARGUMENT: it
 * records already. UNSUPPORTED, NO_MEMORY: the stream is as it was. */
int device_graph_begin(struct device_stream *stream);

/* Ends the recording and makes it ready to launch. To be called in any case, also where an
 * operation failed since: however it ends, the stream records no more. BAD_ARGUMENT: it did not
 * record. NO_MEMORY, and UNSUPPORTED where the driver cannot record one of the operations (then
 * device_error_text says why): there is no graph, the device goes on. DEVICE_FAILED: for good. */
int device_graph_end(struct device_stream *stream, struct device_graph **ret_graph);

/* Puts the recorded operations on a stream of the device, the recording one or another. Launches of
 * one graph run one after another.
 * BAD_ARGUMENT: the batch is not loaded, has other bounds than when it was recorded, or ids,
 * positions or types outside the tables that the graph reads; the stream is recording. */
int device_graph_launch(struct device_stream *stream, struct device_graph *graph);

/* Waits for nothing: synchronise the streams that it was launched on first. */
void device_graph_destroy(struct device_graph *graph);

#endif
