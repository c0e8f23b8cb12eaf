/* SPDX-License-Identifier: Apache-2.0 */
/* placement_text: a plan as lines for people (placement.h). */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/placement/placement.h"

const char *placement_format_cpus(const cpu_set_t *cpus, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (int cpu = 0; cpu < TOPOLOGY_CPU_MAX; cpu++) {
        char range[32];
        int first = cpu;
        if (!CPU_ISSET(cpu, cpus))
            continue;
        while (cpu + 1 < TOPOLOGY_CPU_MAX && CPU_ISSET(cpu + 1, cpus))
            cpu++;
        const char *comma = length > 0 ? "," : "";
        int written = cpu > first ? snprintf(range, sizeof range, "%s%d-%d", comma, first, cpu)
                                  : snprintf(range, sizeof range, "%s%d", comma, first);
        if (length + (size_t)written + sizeof "..." > size) {
            strcpy(out + length, "...");
            return out;
        }
        strcpy(out + length, range);
        length += (size_t)written;
    }
    return out;
}

static void print_count(int count, int total, const char *noun, struct buffer *out)
{
    if (count != total)
        buffer_printf(out, "%d of ", count);
    buffer_printf(out, "%d %s%s", total, noun, total == 1 ? "" : "s");
}

static int count_all_cpus(const struct topology *topology)
{
    int count = 0;
    for (int i = 0; i < topology->core_total; i++)
        count += topology->cores[i].cpu_total;
    return count;
}

/* "NUMA node 1", "NUMA nodes 0, 1" */
static void print_nodes(const struct topology *topology, uint64_t nodes, struct buffer *out)
{
    bool is_first = true;
    if (nodes == 0) {
        buffer_append_text(out, " NUMA node unknown");
        return;
    }
    buffer_append_text(out, (nodes & (nodes - 1)) == 0 ? " NUMA node" : " NUMA nodes");
    for (int i = 0; i < topology->node_count; i++) {
        if ((nodes >> i & 1) == 0)
            continue;
        buffer_printf(out, "%s %d", is_first ? "" : ",", topology->nodes[i].os_index);
        is_first = false;
    }
}

static void print_machine(const struct topology *topology, struct buffer *out)
{
    buffer_append_text(out, "machine   ");
    print_count(topology->package_count, topology->package_count, "package", out);
    buffer_append_text(out, ", ");
    print_count(topology->node_count, topology->node_count, "NUMA node", out);
    if (topology->l3_count > topology->node_count) {
        buffer_append_text(out, ", ");
        print_count(topology->l3_count, topology->l3_count, "L3 domain", out);
    }
    buffer_append_text(out, ", ");
    print_count(topology->core_count, topology->core_total, "core", out);
    buffer_append_text(out, ", ");
    print_count(topology_count_cpus(topology), count_all_cpus(topology), "processor", out);
    buffer_append_text(out, ", ");
    print_count(topology->gpu_count, topology->gpu_count, "NVIDIA GPU", out);
    buffer_append_byte(out, '\n');
    for (int i = 0; i < topology->gpu_count; i++) {
        const struct hardware_gpu *gpu = &topology->gpus[i].gpu;
        const char *const texts[] = {gpu->bus_id, gpu->model, gpu->uuid};
        buffer_printf(out, "gpu %-5d", i);
        for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++) {
            if (texts[j][0] != '\0')
                buffer_printf(out, " %s", texts[j]);
        }
        print_nodes(topology, topology->gpus[i].nodes, out);
        if (gpu->is_divided)
            buffer_append_text(out, ", divided by MIG: gpus names its slices");
        buffer_append_byte(out, '\n');
    }
}

static void print_device(const struct placement_pin *pin, struct buffer *out)
{
    if (pin->device[0] == '\0') {
        buffer_append_text(out, ", CPU device (no GPU)");
        return;
    }
    if (pin->gpu >= 0)
        buffer_printf(out, ", gpu %d", pin->gpu);
    if (strncmp(pin->device, "MIG-", 4) == 0)
        buffer_printf(out, ", slice %s", pin->device);
    if (pin->gpu < 0)
        buffer_append_text(out, ", NUMA node unknown");
    if (pin->device_users > 1)
        buffer_printf(out, ", which %d processes share", pin->device_users);
    if (pin->group->mps_percentage < 100)
        buffer_printf(out, " (%d %% under MPS)", pin->group->mps_percentage);
    if (pin->is_remote)
        buffer_append_text(out, ", far from its GPU");
}

void placement_print_pin(const struct placement_pin *pin, struct buffer *out)
{
    char cpus[512];
    buffer_printf(out, "processors %s", placement_format_cpus(&pin->cpus, cpus, sizeof cpus));
    if (!pin->is_pinned)
        buffer_append_text(out, ", not pinned");
    else if (pin->is_shared)
        buffer_append_text(out, ", shared");
    if (pin->memory_node >= 0)
        buffer_printf(out, ", memory of NUMA node %d", pin->memory_node);
    if (pin->group != NULL && pin->group->kind == FLEET_GROUP_GPU)
        print_device(pin, out);
}

void placement_print(const struct placement *placement, struct buffer *out)
{
    char name[PLACEMENT_NAME_MAX];
    int name_width = 8;
    for (size_t i = 0; i < placement->pin_count; i++) {
        int width = (int)strlen(placement_name(&placement->pins[i], name));
        if (width > name_width)
            name_width = width;
    }
    print_machine(placement->topology, out);
    for (size_t i = 0; i < placement->pin_count; i++) {
        const struct placement_pin *pin = &placement->pins[i];
        buffer_printf(out, "%-*s  ", name_width, placement_name(pin, name));
        placement_print_pin(pin, out);
        buffer_append_byte(out, '\n');
    }
    if (placement->topology->core_count < PLACEMENT_CORES_MIN)
        buffer_printf(out, "fewer than %d cores: all processes share them\n", PLACEMENT_CORES_MIN);
}
