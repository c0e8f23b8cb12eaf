/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_error: see kernel_error.h. */
#include "worker_gpu/kernel_error.h"

static int code_of(int status)
{
    switch ((enum kernel_status)status) {
    case KERNEL_OK:
        return 0;
    case KERNEL_NO_MEMORY:
        return ERR_MEMORY;
    case KERNEL_UNSUPPORTED:
    case KERNEL_NOT_BUILT:
    case KERNEL_NO_DRIVER:
    case KERNEL_DRIVER_TOO_OLD:
    case KERNEL_NO_DEVICE:
    case KERNEL_NO_LIBRARY:
        return ERR_UNSUPPORTED;
    case KERNEL_DEVICE_FAILED:
    case KERNEL_SYSTEM:
        return ERR_DEVICE;
    case KERNEL_BAD_ARGUMENT:
        return ERR_INTERNAL;
    }
    return ERR_INTERNAL;
}

int kernel_error_set(struct error *err, int status, const struct device *device, const char *what)
{
    int code = code_of(status);
    if (code == 0)
        return 0;
    const char *detail = device != NULL ? device_error_text(device) : "";
    return error_set(err, code, "%s: %s%s%s", what, kernel_status_text(status),
                     detail[0] != '\0' ? ": " : "", detail);
}
