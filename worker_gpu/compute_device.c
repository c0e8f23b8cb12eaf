/* SPDX-License-Identifier: Apache-2.0 */
/* compute_device: see compute_device.h. */
#include "worker_gpu/compute_device.h"

#include "common/assert.h"
#include "worker_gpu/kernel_error.h"

static int open_kind(const struct device_options *options, struct device **ret_device,
                     struct error *err)
{
    char message[256] = "";
    int status = device_open(options, ret_device, message, sizeof message);
    if (status == KERNEL_OK)
        return 0;
    int code = kernel_error_set(err, status, NULL, message[0] != '\0' ? message : "the device");
    error_prefix(err, "could not open the %s device",
                 options->kind == DEVICE_CUDA ? "cuda" : "cpu");
    return code;
}

static enum device_precision precision_of(enum fleet_precision wanted, enum device_precision usual)
{
    switch (wanted) {
    case FLEET_PRECISION_AUTO:
        return usual;
    case FLEET_PRECISION_FP32:
        return DEVICE_FP32;
    case FLEET_PRECISION_FP16:
        return DEVICE_FP16;
    case FLEET_PRECISION_BF16:
        return DEVICE_BF16;
    }
    UNREACHABLE();
}

/* ERR_UNSUPPORTED where there is none to use. */
static int find_cuda(struct error *err)
{
    uint32_t count = 0;
    int status = device_cuda_count(&count);
    if (status == KERNEL_OK && count == 0)
        status = KERNEL_NO_DEVICE;
    return kernel_error_set(err, status, NULL, "there is no cuda device to use");
}

static int open_cuda(const struct compute_device_options *wanted, struct device **ret_device,
                     struct error *err)
{
    int code = find_cuda(err);
    if (code != 0)
        return code;
    struct device_options options = {.kind = DEVICE_CUDA,
                                     .precision = precision_of(wanted->precision, DEVICE_FP16),
                                     .gemm = DEVICE_GEMM_CUBLASLT,
                                     .tuning_file = wanted->tuning_file};
    char message[256];
    int status = device_open(&options, ret_device, message, sizeof message);
    if (status == KERNEL_OK)
        return 0;
    if (status == KERNEL_NO_LIBRARY)
        options.gemm = DEVICE_GEMM_OWN;
    return open_kind(&options, ret_device, err);
}

static int open_cpu(const struct compute_device_options *wanted, struct device **ret_device,
                    struct error *err)
{
    struct device_options options = {.kind = DEVICE_CPU,
                                     .precision = precision_of(wanted->precision, DEVICE_FP32)};
    return open_kind(&options, ret_device, err);
}

int compute_device_open(const struct compute_device_options *wanted, struct device **ret_device,
                        struct error *ret_reason, struct error *err)
{
    *ret_reason = (struct error){0};
    if (wanted->device == FLEET_DEVICE_CPU)
        return open_cpu(wanted, ret_device, err);
    if (wanted->device == FLEET_DEVICE_CUDA)
        return open_cuda(wanted, ret_device, err);
    struct error why = {0};
    int code = open_cuda(wanted, ret_device, &why);
    if (code == 0)
        return 0;
    if (code != ERR_UNSUPPORTED)
        return error_set(err, code, "%s", why.text);
    *ret_reason = why;
    return open_cpu(wanted, ret_device, err);
}
