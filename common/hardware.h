/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hardware: what of this machine the process may use, as far as defaults depend on it: processors
 * and NVIDIA GPUs. Nothing of CUDA is loaded: GPUs are read from the driver's files under /proc,
 * or from /dev where a container hides those.
 *
 * Threading: any thread; no state. Where processors and GPUs lie is
 * supervisor/placement/topology.h's.
 */
#ifndef ARGOSY_COMMON_HARDWARE_H
#define ARGOSY_COMMON_HARDWARE_H

#include <stdbool.h>
#include <stddef.h>

/* NVIDIA's driver supports at most 64 per machine. */
#define HARDWARE_GPU_MAX 64
/* MPS serves at most 48 processes on one GPU. */
#define HARDWARE_GPU_SHARE_MAX 48

struct hardware_gpu {
    int minor;       /* /dev/nvidia<minor>; -1 for a MIG slice */
    int ordinal;     /* place by bus id among all GPUs of the machine: CUDA's number for it; -1 for
                        a MIG slice, which has none */
    char bus_id[24]; /* "0000:3b:00.0" in lower case; a slice has its GPU's; empty when unknown */
    char uuid[64];   /* "GPU-...", "MIG-..."; empty when unknown */
    char model[64];  /* "NVIDIA H100 80GB HBM3"; empty when unknown */
    bool is_divided; /* into MIG slices: a program that names it gets the first of them */
};

struct hardware {
    int cpus; /* processors in the affinity mask, lowered by the quotas of the process's cgroup v2
                 and of those around it; at least 1 */
    struct hardware_gpu gpus[HARDWARE_GPU_MAX]; /* those visible, by bus id or as named */
    size_t gpu_count;
};

/* Reads the machine. The environment's CUDA_VISIBLE_DEVICES limits the GPUs as it would for a CUDA
 * program: numbers (by bus id), beginnings of UUIDs or MIG slices, up to the first that is not
 * there. Without it the MIG slices of NVIDIA_VISIBLE_DEVICES, which container runtimes set, take
 * the GPUs' place. root is put before every path ("" for the real one; a folder in tests). What
 * cannot be read counts as absent. */
void hardware_detect(const char *root, struct hardware *ret_hardware);

/* How many CPU worker processes fit: one per two processors, since each keeps a workflow loop and
 * activity threads busy; at least 2, so that a death leaves one; at most 16. */
int hardware_cpu_workers(const struct hardware *hardware);

#endif
