/* SPDX-License-Identifier: Apache-2.0 */
/* The reference device: the twins of reference.h behind a device's table, on the calling thread. */
#include "kernels/reference/reference.h"

#include <stdio.h>
#include <stdlib.h>

static void reference_device_close(struct device *device)
{
    free(device);
}

static const struct device_ops reference_ops = {
    .close = reference_device_close,
    .alloc = host_alloc,
    .free = host_free,
    .host_alloc = host_alloc,
    .host_free = host_free,
    .stream_create = host_stream_create,
    .stream_destroy = host_stream_destroy,
    .stream_wait = host_stream_wait,
    .stream_synchronise = host_stream_synchronise,
    .copy_to_device = host_copy_to_device,
    .copy_to_host = host_copy_to_host,
    .linear_weight_create = reference_linear_weight_create,
    .linear_weight_destroy = reference_linear_weight_destroy,
    .norm_weight_create = host_norm_create,
    .norm_weight_destroy = host_norm_destroy,
    .embedding_weight_create = host_embedding_create,
    .embedding_weight_destroy = host_embedding_destroy,
    .token_batch_create = host_batch_create,
    .token_batch_destroy = host_batch_destroy,
    .token_batch_load = host_batch_load,
    .embed = reference_embed,
    .linear = reference_linear,
    .attention = reference_attention,
    .add_norm = reference_add_norm,
    .pool = reference_pool,
    .gather_first = host_gather_first,
    .softmax = reference_softmax,
    .to_float = host_to_float,
    .from_float = host_from_float,
};

int reference_device_open(const struct device_options *options, struct device **ret_device,
                          char *message, size_t message_size)
{
    struct device *device;

    if (options->precision != DEVICE_FP32) {
        snprintf(message, message_size, "the reference device computes in fp32 only");
        return KERNEL_UNSUPPORTED;
    }
    device = calloc(1, sizeof(*device));
    if (!device)
        return KERNEL_NO_MEMORY;
    device->ops = &reference_ops;
    device->info = (struct device_info){
        .kind = DEVICE_REFERENCE,
        .precision = DEVICE_FP32,
        .activation_bytes = sizeof(float),
        .name = "reference",
        .gemm = "plain loops in double precision",
        .memory_bytes = host_memory_bytes(),
        .cache_bytes = host_cache_bytes(),
        .threads = 1,
    };
    *ret_device = device;
    return KERNEL_OK;
}
