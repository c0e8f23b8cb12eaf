/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kernel_error: the one place where statuses of kernels/ become errors of the project.
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_WORKER_GPU_KERNEL_ERROR_H
#define ARGOSY_WORKER_GPU_KERNEL_ERROR_H

#include "common/error.h"
#include "kernels/device.h"

/* 0 for KERNEL_OK, else sets err to "what: reason" and returns its code:
 *   DEVICE_FAILED, SYSTEM       ERR_DEVICE       this process must be replaced
 *   NO_MEMORY                   ERR_MEMORY
 *   UNSUPPORTED, NOT_BUILT, NO_DRIVER, DRIVER_TOO_OLD, NO_DEVICE, NO_LIBRARY  ERR_UNSUPPORTED
 *   BAD_ARGUMENT                ERR_INTERNAL     a mistake of ours
 * device (may be NULL) adds what it reported last. */
int kernel_error_set(struct error *err, int status, const struct device *device, const char *what);

#endif
