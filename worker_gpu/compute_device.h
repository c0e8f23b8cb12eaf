/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compute_device: opens the device that a group's `device:` and `precision:` ask for.
 *
 *   cuda   the CUDA device that the process may see; its absence is an error
 *   cpu    the CPU device, one thread per core that the process may run on
 *   auto   cuda where there is a usable device, else cpu: never silently, ret_reason says why
 *
 * Precision auto is fp16 on CUDA and fp32 on the CPU device; one that was asked for and that the
 * device does not have is an error. A CUDA device that is there and fails is an error in every
 * case, never a reason to fall back. Matrices on CUDA are multiplied by cuBLASLt, or by the own
 * kernel where that library cannot be opened; device_info names who does it. Threading: any thread.
 */
#ifndef ARGOSY_WORKER_GPU_COMPUTE_DEVICE_H
#define ARGOSY_WORKER_GPU_COMPUTE_DEVICE_H

#include "common/error.h"
#include "common/fleet_config.h"
#include "kernels/device.h"

/* What is asked for; zeros are auto, auto and no tuning. */
struct compute_device_options {
    enum fleet_device device;
    enum fleet_precision precision;
    const char *tuning_file; /* for CUDA (kernels/device.h), or NULL */
};

/* ret_reason (never NULL) gets the reason of a fallback, or "". The caller closes *ret_device with
 * device_close. ERR_UNSUPPORTED when there is no such device, or it lacks the precision; ERR_DEVICE
 * when it fails, ERR_MEMORY, ERR_INTERNAL for a tuning file that is none. */
int compute_device_open(const struct compute_device_options *wanted, struct device **ret_device,
                        struct error *ret_reason, struct error *err);

#endif
