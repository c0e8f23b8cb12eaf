/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products by cuBLASLt, opened at run time: the build needs neither its library nor its headers,
 * and an image without it still starts.
 *
 * For each weight one algorithm is chosen when the weight is made, for whatever number of rows
 * comes, without workspace and without splitting k: so a row's sums run in the same order in every
 * batch. Status codes are enum kernel_status.
 */
#ifndef KERNELS_CUDA_CUBLASLT_H
#define KERNELS_CUDA_CUBLASLT_H

#include "kernels/cuda/launch.h"

struct cublaslt;         /* the library and its handle on the current device */
struct cublaslt_product; /* one weight's product */

/* Opens libcublasLt.so.13 or .12 and makes a handle for the current CUDA device. ret_name gets
 * "cuBLASLt <version>". NO_LIBRARY with a message where it cannot. */
int cublaslt_open(struct cublaslt **ret_library, char *ret_name, size_t name_size, char *message,
                  size_t message_size);
void cublaslt_close(struct cublaslt *library); /* accepts NULL */

/* weight [out, in] row-major and bias [out] (or NULL) in device memory, in the element type,
 * borrowed for the product's life. UNSUPPORTED where no algorithm fits; message then says so. */
int cublaslt_product_create(struct cublaslt *library, enum device_precision precision,
                            const void *weight, const void *bias, uint32_t out_width,
                            uint32_t in_width, struct cublaslt_product **ret_product, char *message,
                            size_t message_size);
void cublaslt_product_destroy(struct cublaslt *library, struct cublaslt_product *product);

/* y[rows, out] = x[rows, in] Wᵀ + b on the stream. Returns 0 or cuBLAS's status. */
int cublaslt_multiply(struct cublaslt *library, const struct cublaslt_product *product,
                      const void *x, uint32_t rows, void *y, cudaStream_t stream);

#endif
