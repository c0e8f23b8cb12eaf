/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who multiplies by a weight on a CUDA device: one of cuBLASLt's algorithms, or the plain kernel of
 * gemm.cu; chosen once per weight when it is made, whatever number of rows comes, so that a row's
 * sums run in the same order in every batch.
 *
 * Without a tuning file it is the first of the library's proposals that fits. With one, it is what
 * the file says for this device, driver, library and shape; where the file says nothing (or what no
 * longer fits), all that fit and the own kernel are measured on the device, and the choice goes to
 * the file. The own kernel multiplies where the library has no algorithm for a shape.
 *
 * Errors: enum kernel_status with a sentence in message. Threading: products are made by any
 * thread, and read-only afterwards.
 */
#ifndef KERNELS_CUDA_PRODUCT_H
#define KERNELS_CUDA_PRODUCT_H

#include "kernels/cuda/launch.h"

struct products; /* of one device: the library, the tuning file */
struct product;  /* of one weight */

/* For the current CUDA device, whose name, kind and precision are in info; info's gemm is written.
 * NO_MEMORY, NO_LIBRARY, DEVICE_FAILED, and for the tuning file BAD_ARGUMENT or SYSTEM. */
int products_open(struct device_info *info, const struct device_options *options,
                  struct products **ret_products, char *message, size_t message_size);
void products_close(struct products *products); /* accepts NULL */

/* weight [out, in] row-major and bias [out] (or NULL) in device memory, in the element type,
 * borrowed for the product's life. What is measured runs on `setup`, which is idle on return. */
struct product_weight {
    const void *weight;
    const void *bias;
    uint32_t out_width;
    uint32_t in_width;
};
/* NO_MEMORY, UNSUPPORTED, DEVICE_FAILED; BAD_ARGUMENT and SYSTEM for the tuning file. */
int product_create(struct products *products, const struct product_weight *weight,
                   cudaStream_t setup, struct product **ret_product, char *message,
                   size_t message_size);
void product_destroy(struct products *products, struct product *product); /* accepts NULL */

/* y[rows, out] = epilogue(x[rows, in] Wᵀ + b) on the stream. UNSUPPORTED where the library refuses
 * and the device has not failed, DEVICE_FAILED; NO_MEMORY, without a message. */
int product_multiply(const struct products *products, const struct product *product,
                     enum linear_epilogue epilogue, const void *x, uint32_t rows, void *y,
                     cudaStream_t stream, char *message, size_t message_size);

#endif
