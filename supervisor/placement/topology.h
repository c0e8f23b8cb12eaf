/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topology: the machine as placement sees it: packages, NUMA nodes, L3 caches, cores, processors
 * and GPUs, and which processors this process may use now.
 *
 * It is read with hwloc. hwloc's plug-ins may load drivers, and a file from elsewhere may be
 * hostile, so reading happens in a short-lived child that hands over plain data: neither the
 * libraries nor their memory nor their mistakes stay in the supervisor. The whole machine is read;
 * which processors of it may be used (affinity mask, cpuset, cgroup) can change later and is then
 * set without reading again. GPUs are those of common/hardware.h, located by PCI bus id; in a
 * machine given as XML they are its NVIDIA devices.
 *
 * Threading: single-threaded programs only (topology_read forks); the result is plain data without
 * pointers.
 */
#ifndef ARGOSY_SUPERVISOR_TOPOLOGY_H
#define ARGOSY_SUPERVISOR_TOPOLOGY_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/hardware.h"

#define TOPOLOGY_CORE_MAX 1024
#define TOPOLOGY_NODE_MAX 64   /* bits of a mask of nodes */
#define TOPOLOGY_CPU_MAX  1024 /* as cpu_set_t */
#define TOPOLOGY_SMT_MAX  8    /* POWER has 8 threads a core, nobody more */

struct topology_core {
    int16_t number;    /* in the machine's order */
    int16_t node;      /* place in nodes */
    int16_t l3;        /* cores of a node with the same number share an L3 cache */
    int16_t package;   /* from 0 */
    int16_t cpu_count; /* usable ones, which come first in cpus */
    int16_t cpu_total;
    int16_t cpus[TOPOLOGY_SMT_MAX]; /* hardware threads: the system's numbers */
};

struct topology_node {
    int os_index;
    bool is_allowed; /* its memory may be used */
    uint64_t memory_bytes;
};

struct topology_gpu {
    struct hardware_gpu gpu;
    uint64_t nodes; /* bit i: it is local to nodes[i]; 0 when unknown */
};

struct topology {
    cpu_set_t allowed; /* what the system lets us use, as it was when this was set */
    int package_count;
    int node_count;
    int l3_count;
    int core_count; /* with a usable processor; they come first in cores, in the machine's order */
    int core_total;
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
 * ERR_INVALID for a file that is no topology, ERR_LIMIT for a machine above the maxima, ERR_TIMEOUT
 * for a source that takes longer than 20 s, ERR_IO. */
int topology_read(const struct topology_source *source, const struct hardware *hardware,
                  struct topology *ret_topology, struct error *err);

/* The processors that this process may use now. One system call; never waits. */
void topology_get_allowed(cpu_set_t *ret_allowed);

/* Makes the processors of allowed the usable ones. ERR_INVALID, and nothing is changed, when the
 * machine has none of them: processors that came after the reading are not known. */
int topology_set_allowed(struct topology *topology, const cpu_set_t *allowed, struct error *err);

/* Whether this process may use other processors than the topology says. As cheap as
 * topology_get_allowed. */
bool topology_has_changed(const struct topology *topology);

/* Usable processors of all cores. */
int topology_count_cpus(const struct topology *topology);

/* The machine as defaults of a configuration depend on it: what hardware_detect would say there. */
void topology_hardware(const struct topology *topology, struct hardware *ret_hardware);

#endif
