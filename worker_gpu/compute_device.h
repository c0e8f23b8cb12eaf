/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compute_device: opens the device that a group's `device:` asks for.
 *
 *   cuda   the CUDA device that the process may see, fp16; its absence is an error
 *   cpu    the CPU device, fp32, one thread per core that the process may run on
 *   auto   cuda where there is a usable device, else cpu: never silently, ret_reason says why
 *
 * A CUDA device that is there and fails is an error in every case, never a reason to fall back.
 * Matrices on CUDA are multiplied by cuBLASLt, or by the own kernel where that library cannot be
 * opened; device_info names who does it. Threading: any thread.
 */
#ifndef ARGOSY_WORKER_GPU_COMPUTE_DEVICE_H
#define ARGOSY_WORKER_GPU_COMPUTE_DEVICE_H

#include "common/error.h"
#include "common/fleet_config.h"
#include "kernels/device.h"

/* ret_reason (never NULL) gets the reason of a fallback, or "". The caller closes *ret_device with
 * device_close. ERR_UNSUPPORTED when there is no such device, ERR_DEVICE when it fails, ERR_MEMORY.
 */
int compute_device_open(enum fleet_device wanted, struct device **ret_device,
                        struct error *ret_reason, struct error *err);

#endif
