/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topology: the machine as placement sees it: cores, NUMA nodes and GPUs that this process may use.
 *
 * It is read with hwloc, which obeys cpusets, cgroups and the affinity mask. hwloc's plug-ins may
 * load drivers, so reading happens in a short-lived child that hands over plain data: neither the
 * libraries nor their memory stay in the supervisor. GPUs are those of common/hardware.h, located
 * by PCI bus id; in a machine given as XML they are its NVIDIA devices.
 *
 * Threading: single-threaded programs only (it forks); the result is plain data without pointers.
 */
#ifndef ARGOSY_SUPERVISOR_TOPOLOGY_H
#define ARGOSY_SUPERVISOR_TOPOLOGY_H

#include <stdint.h>

#include "common/error.h"
#include "common/hardware.h"

#define TOPOLOGY_CORE_MAX 1024
#define TOPOLOGY_NODE_MAX 64
#define TOPOLOGY_CPU_MAX  1024 /* as cpu_set_t */
#define TOPOLOGY_SMT_MAX  8    /* POWER has 8 threads a core, nobody more */

struct topology_core {
    int node;    /* place in nodes */
    int package; /* from 0 */
    int cpu_count;
    int16_t cpus[TOPOLOGY_SMT_MAX]; /* the system's numbers */
};

struct topology_node {
    int os_index;
    uint64_t memory_bytes;
};

struct topology_gpu {
    struct hardware_gpu gpu;
    int node; /* place in nodes of the NUMA node it hangs on; -1 when unknown */
};

struct topology {
    int package_count;
    int node_count;
    int core_count; /* cores with at least one usable processor, in the machine's order */
    int gpu_count;
    struct topology_node nodes[TOPOLOGY_NODE_MAX];
    struct topology_core cores[TOPOLOGY_CORE_MAX];
    struct topology_gpu gpus[HARDWARE_GPU_MAX];
};

/* Another machine than this one: a file that `lstopo --of xml` wrote, or a hwloc synthetic
 * description ("pack:2 numa:1 core:4 pu:2"). At most one is set. */
struct topology_source {
    const char *xml_path;
    const char *synthetic;
};

/* Reads the source, or this machine when source is NULL. hardware brings the GPUs of this machine
 * (and of a synthetic one, which has no PCI devices); it is not used with XML. ERR_NOT_FOUND,
 * ERR_INVALID for a file that is no topology, ERR_LIMIT for a machine above the maxima, ERR_IO. */
int topology_read(const struct topology_source *source, const struct hardware *hardware,
                  struct topology *ret_topology, struct error *err);

/* The machine as defaults of a configuration depend on it: what hardware_detect would say there. */
void topology_hardware(const struct topology *topology, struct hardware *ret_hardware);

#endif
