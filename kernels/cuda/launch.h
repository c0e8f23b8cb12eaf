/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The launchers of cuda/: one per operation, each in the file that has its kernel. A launcher
 * computes its grid, puts the kernel on the stream, which comes last, and returns
 * cudaGetLastError(). Arguments are checked before (device_ops.h); activations are of `precision`'s
 * element type, named void here. Nothing is allocated.
 */
#ifndef KERNELS_CUDA_LAUNCH_H
#define KERNELS_CUDA_LAUNCH_H

#include <cuda_runtime.h>

extern "C" {
#include "kernels/device_ops.h"
}

/* A loaded batch in device memory. */
struct batch_view {
    const int32_t *ids;         /* [tokens] */
    const int32_t *types;       /* [tokens] */
    const int32_t *positions;   /* [tokens] */
    const uint32_t *cu_seqlens; /* [texts + 1] */
    uint32_t tokens;
    uint32_t texts;
    uint32_t longest;
};

/* A norm weight in device memory. */
struct norm_view {
    const float *gamma;
    const float *beta;
    uint32_t width;
    float epsilon;
};

/* Embedding tables in device memory, in the element type; types is NULL where there are none. */
struct embedding_view {
    const void *words;
    const void *positions;
    const void *types;
};

/* norm.cu */
cudaError_t launch_embed(enum device_precision precision, const struct embedding_view *tables,
                         const struct norm_view *norm, const struct batch_view *batch, void *out,
                         cudaStream_t stream);
cudaError_t launch_add_norm(enum device_precision precision, const struct norm_view *norm,
                            const void *x, const void *residual, uint32_t rows, void *out,
                            cudaStream_t stream);

/* attention.cu: head_width 32 or 64, or cudaErrorInvalidValue */
cudaError_t launch_attention(enum device_precision precision, const struct batch_view *batch,
                             const void *qkv, uint32_t heads, uint32_t head_width, float scale,
                             void *out, cudaStream_t stream);

/* gemm.cu: the product with its epilogue; weight [out, in] and bias [out] (or NULL) in the element
 * type */
cudaError_t launch_gemm(enum device_precision precision, const void *weight, const void *bias,
                        uint32_t out_width, uint32_t in_width, enum linear_epilogue epilogue,
                        const void *x, uint32_t rows, void *y, cudaStream_t stream);

/* epilogue.cu: the epilogue alone, in place, behind cuBLASLt's product and bias */
cudaError_t launch_epilogue(enum device_precision precision, enum linear_epilogue epilogue, void *y,
                            uint32_t rows, uint32_t width, cudaStream_t stream);

/* pool.cu */
cudaError_t launch_pool(enum device_precision precision, const struct batch_view *batch,
                        const void *x, uint32_t width, enum pool_mode mode, bool normalise,
                        float *out, cudaStream_t stream);

/* softmax.cu */
cudaError_t launch_softmax(enum device_precision precision, const void *x, uint32_t rows,
                           uint32_t width, float *out, cudaStream_t stream);

/* move.cu */
cudaError_t launch_gather_first(enum device_precision precision, const struct batch_view *batch,
                                const void *x, uint32_t width, void *out, cudaStream_t stream);
cudaError_t launch_to_float(enum device_precision precision, const void *x, size_t count,
                            float *out, cudaStream_t stream);
cudaError_t launch_from_float(enum device_precision precision, const float *x, size_t count,
                              void *out, cudaStream_t stream);

#endif
