/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gpu_name: how people name a GPU in a configuration: "GPU-<uuid>" or "MIG-<uuid>" as nvidia-smi -L
 * prints them, a PCI bus id ("3b:00.0", "00000000:3B:00.0"), or a number: its place by bus id.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_COMMON_GPU_NAME_H
#define ARGOSY_COMMON_GPU_NAME_H

#include <stdbool.h>

#include "common/hardware.h"

/* Why text names no GPU, NULL when it may name one. */
const char *gpu_name_check(const char *text);

/* Whether name, which has been checked, means gpu. A bus id means the GPU there or each of its MIG
 * slices. */
bool gpu_name_means(const char *name, const struct hardware_gpu *gpu);

/* Whether it names a MIG slice. Those can be used without being detected: the driver tells their
 * UUIDs to NVML alone. */
bool gpu_name_is_slice(const char *name);

#endif
