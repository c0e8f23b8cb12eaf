/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The CPU twins of every operation: slow, obvious and right. One file per operation, the formula
 * written down as it stands in the literature, all sums in double, results rounded to fp32 once.
 * They are the truth that every other device is tested against, so nothing here is ever made
 * faster. Signatures: device_ops.h.
 */
#ifndef KERNELS_REFERENCE_H
#define KERNELS_REFERENCE_H

#include "kernels/host/host.h"

int reference_linear_weight_create(struct device *device, const float *weight, const float *bias,
                                   uint32_t out_width, uint32_t in_width,
                                   struct linear_weight **ret_weight);
void reference_linear_weight_destroy(struct linear_weight *weight);

int reference_embed(struct device_stream *stream, const struct embedding_weight *weight,
                    const struct token_batch *batch, void *out);
int reference_linear(struct device_stream *stream, const struct linear_weight *weight,
                     enum linear_epilogue epilogue, const void *x, uint32_t rows, void *y);
int reference_attention(struct device_stream *stream, const struct token_batch *batch,
                        const void *qkv, uint32_t heads, uint32_t head_width, float scale,
                        void *out);
int reference_add_norm(struct device_stream *stream, const struct norm_weight *norm, const void *x,
                       const void *residual, uint32_t rows, void *out);
int reference_pool(struct device_stream *stream, const struct token_batch *batch, const void *x,
                   uint32_t width, enum pool_mode mode, bool normalise, float *out);
int reference_softmax(struct device_stream *stream, const void *x, uint32_t rows, uint32_t width,
                      float *out);

#endif
