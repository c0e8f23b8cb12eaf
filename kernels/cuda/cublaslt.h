/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Products by cuBLASLt, opened at run time: the build needs neither its library nor its headers,
 * and an image without it still starts.
 *
 * Only algorithms that fit are proposed and used: they do whatever number of rows comes, without
 * workspace and without splitting k, so a row's sums run in the same order in every batch. Which of
 * them multiplies by a weight is product.cu's business. Status codes are enum kernel_status, and
 * cuBLAS's own where a function says so.
 */
#ifndef KERNELS_CUDA_CUBLASLT_H
#define KERNELS_CUDA_CUBLASLT_H

#include "kernels/cuda/launch.h"

struct cublaslt;         /* the library and its handle on the current device */
struct cublaslt_product; /* one weight as the library knows it */

/* An algorithm as the library gives and takes it: documented to be kept and used again by the same
 * version of the library. */
struct cublaslt_algorithm {
    uint64_t data[8];
};
#define CUBLASLT_ALGORITHMS_MAX 16u

/* Opens libcublasLt.so.13 or .12 and makes a handle for the current CUDA device. NO_LIBRARY with a
 * message where it cannot. */
int cublaslt_open(struct cublaslt **ret_library, char *message, size_t message_size);
void cublaslt_close(struct cublaslt *library);             /* accepts NULL */
uint32_t cublaslt_version(const struct cublaslt *library); /* 130002: 13.0.2 */

/* weight [out, in] row-major and bias [out] (or NULL) in device memory, in the element type,
 * borrowed for the product's life. UNSUPPORTED with a message where the library refuses. */
int cublaslt_product_create(struct cublaslt *library, enum device_precision precision,
                            const void *weight, const void *bias, uint32_t out_width,
                            uint32_t in_width, struct cublaslt_product **ret_product, char *message,
                            size_t message_size);
void cublaslt_product_destroy(struct cublaslt *library, struct cublaslt_product *product);

/* The library's proposals that fit, the likeliest first; there may be none. UNSUPPORTED with a
 * message where it cannot be asked. */
int cublaslt_algorithms(struct cublaslt *library, const struct cublaslt_product *product,
                        struct cublaslt_algorithm ret_algorithms[CUBLASLT_ALGORITHMS_MAX],
                        uint32_t *ret_count, char *message, size_t message_size);
bool cublaslt_algorithm_fits(struct cublaslt *library, const struct cublaslt_product *product,
                             const struct cublaslt_algorithm *algorithm);

/* y[rows, out] = x[rows, in] Wᵀ + b on the stream. Returns 0 or cuBLAS's status. */
int cublaslt_multiply(struct cublaslt *library, const struct cublaslt_product *product,
                      const struct cublaslt_algorithm *algorithm, const void *x, uint32_t rows,
                      void *y, cudaStream_t stream);

#endif
