/* SPDX-License-Identifier: Apache-2.0 */
/* topology: see topology.h. Reading is topology_read.c. */
#include "supervisor/placement/topology.h"

#include <stdlib.h>

void topology_get_allowed(cpu_set_t *ret_allowed)
{
    /* Fails only for machines with more processors than a cpu_set_t; none is then known as ours. */
    CPU_ZERO(ret_allowed);
    (void)sched_getaffinity(0, sizeof *ret_allowed, ret_allowed);
}

/* Usable processors first, then by number. */
static int compare_cpus(const void *left, const void *right, void *allowed)
{
    int a = *(const int16_t *)left;
    int b = *(const int16_t *)right;
    int is_a_usable = CPU_ISSET(a, (const cpu_set_t *)allowed) != 0;
    int is_b_usable = CPU_ISSET(b, (const cpu_set_t *)allowed) != 0;
    return is_a_usable != is_b_usable ? is_b_usable - is_a_usable : a - b;
}

/* Cores with a usable processor first, then by number. */
static int compare_cores(const void *left, const void *right)
{
    const struct topology_core *a = left;
    const struct topology_core *b = right;
    int is_a_usable = a->cpu_count > 0;
    int is_b_usable = b->cpu_count > 0;
    return is_a_usable != is_b_usable ? is_b_usable - is_a_usable : a->number - b->number;
}

static int16_t count_usable(const struct topology_core *core, const cpu_set_t *allowed)
{
    int16_t count = 0;
    for (int i = 0; i < core->cpu_total; i++)
        count += CPU_ISSET(core->cpus[i], allowed) != 0;
    return count;
}

int topology_set_allowed(struct topology *topology, const cpu_set_t *allowed, struct error *err)
{
    int usable = 0;
    for (int i = 0; i < topology->core_total; i++)
        usable += count_usable(&topology->cores[i], allowed) > 0;
    if (usable == 0)
        return error_set(err, ERR_INVALID, "the topology has no usable processor");
    cpu_set_t mask = *allowed; /* may be the topology's own */
    for (int i = 0; i < topology->core_total; i++) {
        struct topology_core *core = &topology->cores[i];
        qsort_r(core->cpus, (size_t)core->cpu_total, sizeof core->cpus[0], compare_cpus, &mask);
        core->cpu_count = count_usable(core, &mask);
    }
    qsort(topology->cores, (size_t)topology->core_total, sizeof topology->cores[0], compare_cores);
    topology->core_count = usable;
    topology->allowed = mask;
    return 0;
}

bool topology_has_changed(const struct topology *topology)
{
    cpu_set_t allowed;
    topology_get_allowed(&allowed);
    return !CPU_EQUAL(&allowed, &topology->allowed);
}

int topology_count_cpus(const struct topology *topology)
{
    int count = 0;
    for (int i = 0; i < topology->core_count; i++)
        count += topology->cores[i].cpu_count;
    return count;
}

void topology_hardware(const struct topology *topology, struct hardware *ret_hardware)
{
    *ret_hardware = (struct hardware){.cpus = topology_count_cpus(topology),
                                      .gpu_count = (size_t)topology->gpu_count};
    for (int i = 0; i < topology->gpu_count; i++)
        ret_hardware->gpus[i] = topology->gpus[i].gpu;
}
