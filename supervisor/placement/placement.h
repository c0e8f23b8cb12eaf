/* SPDX-License-Identifier: Apache-2.0 */
/*
 * placement: which process of the fleet runs on which processors and which GPU
 * (docs/spec/04-supervision.md, section "Placement"). A pure function of the topology and the
 * configuration, and, when a fleet that runs is planned again, of the plan before.
 *
 *   - Below PLACEMENT_CORES_MIN cores nobody is pinned: everything shares all processors, and the
 *     plan says so.
 *   - The engine has a core of its own (two from 16 cores up), which the link shares.
 *   - Storage is bound to nothing: it waits for the disk, and a search wants every core there is.
 *   - GPU workers go one after the other to the unit (GPU or MIG slice) of their group that has
 *     fewest, and get half the free cores of its NUMA node, or all where no CPU worker is pinned;
 *     their memory is bound there. A GPU worker on the CPU device is spread over nodes like a GPU
 *     one.
 *   - CPU workers share out the rest, node by node.
 *   - Workers of pinning core have cores of their own; where workers outnumber cores, cores have
 *     several workers, and the plan says so. Those of pinning l3 and numa run together on what
 *     their cache or node has left, those of pinning none anywhere.
 *
 * Threading: no state. A plan borrows the topology and the config it was made from.
 */
#ifndef ARGOSY_SUPERVISOR_PLACEMENT_H
#define ARGOSY_SUPERVISOR_PLACEMENT_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/fleet_config.h"
#include "supervisor/placement/topology.h"

/* With fewer cores a fixed share for each process wastes more than moving between cores costs. */
#define PLACEMENT_CORES_MIN 4

/* A GPU's or slice's name for CUDA_VISIBLE_DEVICES. */
#define PLACEMENT_DEVICE_MAX 64

struct placement_pin {
    const struct fleet_group *group;   /* NULL: one of the node's own, by index */
    int index;                         /* process of the group */
    int gpu;                           /* place in the topology's gpus; -1: none that it has */
    char device[PLACEMENT_DEVICE_MAX]; /* what CUDA_VISIBLE_DEVICES is to say; "": no GPU */
    int device_users;                  /* processes of the plan on that device, this one included */
    int memory_node; /* the system's NUMA node that memory is bound to; -1: free */
    bool is_pinned;  /* cpus are to be enforced */
    bool is_shared;  /* another process has some of its cores, too */
    bool is_remote;  /* none of its processors is local to its GPU */
    cpu_set_t cpus;
};

/* The node's own processes. */
#define PLACEMENT_ENGINE     0
#define PLACEMENT_LINK       1
#define PLACEMENT_STORAGE    2
#define PLACEMENT_GPU_HEALTH 3

struct placement {
    const struct topology *topology;
    struct placement_pin *pins; /* the own ones that there are, then groups in order */
    size_t pin_count;
};

/* ERR_CONFIG for a gpu group with device cuda on a machine without GPU, or one that names a GPU
 * that is not there; ERR_MEMORY. */
int placement_create(const struct topology *topology, const struct fleet_config *config,
                     struct placement *ret_placement, struct error *err);

/* The same for a fleet that runs as previous says: a process keeps its GPU where its group still
 * may use it, since a running process cannot change it. Groups are recognised by name; previous may
 * be of another config and topology. */
int placement_create_after(const struct placement *previous, const struct topology *topology,
                           const struct fleet_config *config, struct placement *ret_placement,
                           struct error *err);

void placement_destroy(struct placement *placement);

/* The pin of a process; group NULL for the node's own. NULL when the plan has none. */
const struct placement_pin *placement_find(const struct placement *placement,
                                           const struct fleet_group *group, int index);

/* "engine", "link", "storage", "cpu/0" into out, which is returned. */
#define PLACEMENT_NAME_MAX 96
const char *placement_name(const struct placement_pin *pin, char out[PLACEMENT_NAME_MAX]);

/* "0-3,8" into out, which is returned; what does not fit is "...". size is at least 4. */
const char *placement_format_cpus(const cpu_set_t *cpus, char *out, size_t size);

/* Appends the plan as text for people. */
void placement_print(const struct placement *placement, struct buffer *out);

/* Appends what the plan says of one process, without its name: "processors 0-3, gpu 1". */
void placement_print_pin(const struct placement_pin *pin, struct buffer *out);

/* Appends the plan as a drawing: an SVG document for light and dark screens. */
void placement_draw(const struct placement *placement, struct buffer *out);

#endif
