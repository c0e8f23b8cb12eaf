/* SPDX-License-Identifier: Apache-2.0 */
/* placement: see placement.h. */
#include "supervisor/placement.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From here on the engine's loop and its commit thread have a core each. */
#define ENGINE_TWO_CORES_MIN 16

/* Free cores of one NUMA node and who wants some. */
struct node_share {
    int *cores; /* places in the topology's cores */
    int core_count;
    int gpu_workers;
    int gpu_cores; /* of the cores, from the front, for GPU workers */
    int gpu_given;
    int cpu_workers;
    int cpu_given;
};

struct planner {
    const struct topology *topology;
    const struct fleet_config *config;
    struct placement *plan;
    struct node_share *shares; /* one per node */
    int *core_users;           /* processes pinned to each core */
};

static void add_core(struct placement_pin *pin, const struct topology_core *core)
{
    for (int i = 0; i < core->cpu_count; i++)
        CPU_SET(core->cpus[i], &pin->cpus);
}

static void give_core(struct planner *planner, struct placement_pin *pin, int core)
{
    add_core(pin, &planner->topology->cores[core]);
    planner->core_users[core]++;
    pin->is_pinned = true;
}

static void give_everything(const struct topology *topology, struct placement_pin *pin)
{
    for (int i = 0; i < topology->core_count; i++)
        add_core(pin, &topology->cores[i]);
}

static void give_node(const struct topology *topology, struct placement_pin *pin, int node)
{
    for (int i = 0; i < topology->core_count; i++) {
        if (topology->cores[i].node == node)
            add_core(pin, &topology->cores[i]);
    }
    pin->is_pinned = true;
}

static bool has_core(const struct topology *topology, int node)
{
    for (int i = 0; i < topology->core_count; i++) {
        if (topology->cores[i].node == node)
            return true;
    }
    return false;
}

static bool is_core_pinned(const struct placement_pin *pin, enum fleet_group_kind kind)
{
    return pin->group != NULL && pin->group->kind == kind &&
           pin->group->pinning == FLEET_PINNING_CORE;
}

/* Who there is */

static size_t count_pins(const struct fleet_config *config)
{
    size_t count = 1 + (config->engine.endpoint == NULL) + config->storage.enabled;
    for (size_t i = 0; i < config->group_count; i++)
        count += (size_t)config->groups[i].processes;
    return count;
}

static struct placement_pin *add_pin(struct placement *plan, const struct fleet_group *group,
                                     int index)
{
    struct placement_pin *pin = &plan->pins[plan->pin_count++];
    *pin = (struct placement_pin){.group = group, .index = index, .gpu = -1, .memory_node = -1};
    return pin;
}

static int add_group(struct planner *planner, const struct fleet_group *group, int *next_gpu,
                     struct error *err)
{
    int gpu_count = planner->topology->gpu_count;
    bool wants_gpu = group->kind == FLEET_GROUP_GPU && group->device != FLEET_DEVICE_CPU;
    if (wants_gpu && group->device == FLEET_DEVICE_CUDA && gpu_count == 0)
        return error_set(err, ERR_CONFIG,
                         "%s: group \"%s\" wants device cuda, and this machine has no NVIDIA GPU",
                         planner->config->source, group->name);
    for (int i = 0; i < group->processes; i++) {
        struct placement_pin *pin = add_pin(planner->plan, group, i);
        if (wants_gpu && gpu_count > 0)
            pin->gpu = (*next_gpu)++ % gpu_count;
    }
    return 0;
}

static int add_pins(struct planner *planner, struct error *err)
{
    const struct fleet_config *config = planner->config;
    planner->plan->pins = calloc(count_pins(config), sizeof planner->plan->pins[0]);
    if (planner->plan->pins == NULL)
        return error_set(err, ERR_MEMORY, "placement: out of memory");
    if (config->engine.endpoint == NULL)
        add_pin(planner->plan, NULL, PLACEMENT_ENGINE);
    add_pin(planner->plan, NULL, PLACEMENT_LINK);
    if (config->storage.enabled)
        add_pin(planner->plan, NULL, PLACEMENT_STORAGE);
    int next_gpu = 0;
    int code = 0;
    for (size_t i = 0; i < config->group_count && code == 0; i++)
        code = add_group(planner, &config->groups[i], &next_gpu, err);
    return code;
}

/* Who gets what */

/* The engine takes the first cores; the others go to their nodes' shares. */
static void share_cores(struct planner *planner)
{
    const struct topology *topology = planner->topology;
    int engine_cores = 0;
    if (planner->config->engine.endpoint == NULL)
        engine_cores = topology->core_count >= ENGINE_TWO_CORES_MIN ? 2 : 1;
    for (int core = 0; core < topology->core_count; core++) {
        if (core < engine_cores) {
            give_core(planner, &planner->plan->pins[0], core);
            add_core(&planner->plan->pins[1], &topology->cores[core]);
            planner->plan->pins[1].is_pinned = true;
        } else {
            struct node_share *share = &planner->shares[topology->cores[core].node];
            share->cores[share->core_count++] = core;
        }
    }
    if (engine_cores == 0)
        give_everything(topology, &planner->plan->pins[0]);
}

/* The node with most free cores for each worker it would then have. */
static int choose_node(const struct planner *planner, bool is_gpu)
{
    int best = -1;
    double best_room = 0;
    for (int node = 0; node < planner->topology->node_count; node++) {
        const struct node_share *share = &planner->shares[node];
        int cores = is_gpu ? share->core_count : share->core_count - share->gpu_cores;
        int workers = 1 + (is_gpu ? share->gpu_workers : share->cpu_workers);
        double room = (double)cores / workers;
        if (room > best_room) {
            best_room = room;
            best = node;
        }
    }
    return best;
}

/* The node whose cores a GPU worker is to have; says when that is not its GPU's. */
static int home_node(const struct planner *planner, struct placement_pin *pin)
{
    int wanted = pin->gpu >= 0 ? planner->topology->gpus[pin->gpu].node : -1;
    if (wanted >= 0 && planner->shares[wanted].core_count > 0)
        return wanted;
    pin->is_remote = wanted >= 0;
    return choose_node(planner, true);
}

/* Counts the workers of each node and fixes how its cores divide between the kinds. homes has a
 * node for each pin. */
static void divide_cores(struct planner *planner, int *homes)
{
    struct placement *plan = planner->plan;
    bool has_cpu_workers = false;
    for (size_t i = 0; i < plan->pin_count; i++) {
        has_cpu_workers |= is_core_pinned(&plan->pins[i], FLEET_GROUP_CPU);
        if (!is_core_pinned(&plan->pins[i], FLEET_GROUP_GPU))
            continue;
        homes[i] = home_node(planner, &plan->pins[i]);
        planner->shares[homes[i]].gpu_workers++;
    }
    for (int node = 0; node < planner->topology->node_count; node++) {
        struct node_share *share = &planner->shares[node];
        if (share->gpu_workers == 0)
            continue;
        int half = share->core_count / 2;
        int cores = half > share->gpu_workers ? half : share->gpu_workers;
        if (!has_cpu_workers || cores > share->core_count)
            cores = share->core_count;
        share->gpu_cores = cores;
    }
    for (size_t i = 0; i < plan->pin_count; i++) {
        if (!is_core_pinned(&plan->pins[i], FLEET_GROUP_CPU))
            continue;
        homes[i] = choose_node(planner, false);
        if (homes[i] >= 0)
            planner->shares[homes[i]].cpu_workers++;
    }
}

/* Gives the nth of workers its part of count cores; workers beyond the cores double up. */
static void give_part(struct planner *planner, struct placement_pin *pin, const int *cores,
                      int count, int nth, int workers)
{
    if (workers > count) {
        give_core(planner, pin, cores[nth % count]);
        return;
    }
    for (int i = nth * count / workers; i < (nth + 1) * count / workers; i++)
        give_core(planner, pin, cores[i]);
}

static void pin_to_cores(struct planner *planner, struct placement_pin *pin, int home)
{
    /* The GPU workers took all cores: CPU workers run anywhere. */
    if (home < 0) {
        give_everything(planner->topology, pin);
        pin->is_shared = true;
        return;
    }
    struct node_share *share = &planner->shares[home];
    if (pin->group->kind == FLEET_GROUP_GPU) {
        give_part(planner, pin, share->cores, share->gpu_cores, share->gpu_given++,
                  share->gpu_workers);
        if (planner->topology->node_count > 1)
            pin->memory_node = planner->topology->nodes[home].os_index;
    } else {
        give_part(planner, pin, share->cores + share->gpu_cores,
                  share->core_count - share->gpu_cores, share->cpu_given++, share->cpu_workers);
    }
}

static void pin_to_node(struct planner *planner, struct placement_pin *pin, int *next_node)
{
    const struct topology *topology = planner->topology;
    int node = pin->gpu >= 0 ? topology->gpus[pin->gpu].node : -1;
    pin->is_remote = node >= 0 && !has_core(topology, node);
    while (node < 0 || !has_core(topology, node))
        node = (*next_node)++ % topology->node_count;
    give_node(topology, pin, node);
    pin->is_shared = true;
    if (pin->group->kind == FLEET_GROUP_GPU && topology->node_count > 1)
        pin->memory_node = topology->nodes[node].os_index;
}

static void mark_shared(struct planner *planner)
{
    const struct topology *topology = planner->topology;
    for (size_t i = 0; i < planner->plan->pin_count; i++) {
        struct placement_pin *pin = &planner->plan->pins[i];
        for (int core = 0; core < topology->core_count && !pin->is_shared; core++)
            pin->is_shared = planner->core_users[core] > 1 &&
                             CPU_ISSET(topology->cores[core].cpus[0], &pin->cpus);
    }
}

static void pin_all(struct planner *planner, int *homes)
{
    struct placement *plan = planner->plan;
    share_cores(planner);
    divide_cores(planner, homes);
    int next_node = 0;
    for (size_t i = 0; i < plan->pin_count; i++) {
        struct placement_pin *pin = &plan->pins[i];
        if (pin->group == NULL && pin->index != PLACEMENT_STORAGE)
            continue;
        if (pin->group == NULL)
            give_everything(planner->topology, pin);
        else if (pin->group->pinning == FLEET_PINNING_CORE)
            pin_to_cores(planner, pin, homes[i]);
        else if (pin->group->pinning == FLEET_PINNING_NUMA)
            pin_to_node(planner, pin, &next_node);
        else
            give_everything(planner->topology, pin);
    }
    mark_shared(planner);
}

static int pin_within_memory(struct planner *planner, struct error *err)
{
    const struct topology *topology = planner->topology;
    struct placement *plan = planner->plan;
    size_t cores = (size_t)topology->core_count;
    size_t nodes = (size_t)topology->node_count;
    planner->shares = calloc(nodes, sizeof planner->shares[0]);
    planner->core_users = calloc(cores, sizeof planner->core_users[0]);
    int *node_cores = calloc(nodes * cores, sizeof *node_cores);
    int *homes = calloc(plan->pin_count, sizeof *homes);
    int code = 0;
    if (planner->shares != NULL && planner->core_users != NULL && node_cores != NULL &&
        homes != NULL) {
        for (size_t i = 0; i < nodes; i++)
            planner->shares[i].cores = node_cores + i * cores;
        pin_all(planner, homes);
    } else {
        code = error_set(err, ERR_MEMORY, "placement: out of memory");
    }
    free(planner->shares);
    free(planner->core_users);
    free(node_cores);
    free(homes);
    return code;
}

int placement_create(const struct topology *topology, const struct fleet_config *config,
                     struct placement *ret_placement, struct error *err)
{
    struct placement plan = {.topology = topology};
    struct planner planner = {.topology = topology, .config = config, .plan = &plan};
    int code = add_pins(&planner, err);
    if (code == 0 && topology->core_count >= PLACEMENT_CORES_MIN) {
        code = pin_within_memory(&planner, err);
    } else if (code == 0) {
        for (size_t i = 0; i < plan.pin_count; i++) {
            give_everything(topology, &plan.pins[i]);
            plan.pins[i].is_shared = true;
        }
    }
    if (code != 0) {
        placement_destroy(&plan);
        return code;
    }
    *ret_placement = plan;
    return 0;
}

void placement_destroy(struct placement *placement)
{
    free(placement->pins);
    placement->pins = NULL;
    placement->pin_count = 0;
}

const struct placement_pin *placement_find(const struct placement *placement,
                                           const struct fleet_group *group, int index)
{
    for (size_t i = 0; i < placement->pin_count; i++) {
        if (placement->pins[i].group == group && placement->pins[i].index == index)
            return &placement->pins[i];
    }
    return NULL;
}

/* Text */

const char *placement_name(const struct placement_pin *pin, char out[PLACEMENT_NAME_MAX])
{
    static const char *const own[] = {
        [PLACEMENT_ENGINE] = "engine",
        [PLACEMENT_LINK] = "link",
        [PLACEMENT_STORAGE] = "storage",
    };
    if (pin->group == NULL)
        snprintf(out, PLACEMENT_NAME_MAX, "%s", own[pin->index]);
    else
        snprintf(out, PLACEMENT_NAME_MAX, "%s/%d", pin->group->name, pin->index);
    return out;
}

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

static int count_cpus(const struct topology *topology)
{
    int count = 0;
    for (int i = 0; i < topology->core_count; i++)
        count += topology->cores[i].cpu_count;
    return count;
}

static void print_count(int count, const char *one, const char *many, struct buffer *out)
{
    buffer_printf(out, "%d %s", count, count == 1 ? one : many);
}

static void print_machine(const struct topology *topology, struct buffer *out)
{
    buffer_append_text(out, "machine   ");
    print_count(topology->package_count, "package, ", "packages, ", out);
    print_count(topology->node_count, "NUMA node, ", "NUMA nodes, ", out);
    print_count(topology->core_count, "core, ", "cores, ", out);
    print_count(count_cpus(topology), "processor, ", "processors, ", out);
    print_count(topology->gpu_count, "NVIDIA GPU\n", "NVIDIA GPUs\n", out);
    for (int i = 0; i < topology->gpu_count; i++) {
        const struct topology_gpu *at = &topology->gpus[i];
        buffer_printf(out, "gpu %-5d %s %s %s", i, at->gpu.bus_id, at->gpu.model, at->gpu.uuid);
        if (at->node >= 0)
            buffer_printf(out, " NUMA node %d\n", topology->nodes[at->node].os_index);
        else
            buffer_append_text(out, " NUMA node unknown\n");
    }
}

static void print_pin(const struct placement_pin *pin, int name_width, struct buffer *out)
{
    char name[PLACEMENT_NAME_MAX];
    char cpus[256];
    buffer_printf(out, "%-*s  processors %s", name_width, placement_name(pin, name),
                  placement_format_cpus(&pin->cpus, cpus, sizeof cpus));
    if (!pin->is_pinned)
        buffer_append_text(out, ", not pinned");
    else if (pin->is_shared)
        buffer_append_text(out, ", shared");
    if (pin->memory_node >= 0)
        buffer_printf(out, ", memory of NUMA node %d", pin->memory_node);
    if (pin->gpu >= 0)
        buffer_printf(out, ", gpu %d", pin->gpu);
    else if (pin->group != NULL && pin->group->kind == FLEET_GROUP_GPU)
        buffer_append_text(out, ", CPU device (no GPU)");
    if (pin->is_remote)
        buffer_append_text(out, ", far from its GPU");
    buffer_append_byte(out, '\n');
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
    for (size_t i = 0; i < placement->pin_count; i++)
        print_pin(&placement->pins[i], name_width, out);
    if (placement->topology->core_count < PLACEMENT_CORES_MIN)
        buffer_printf(out, "fewer than %d cores: all processes share them\n", PLACEMENT_CORES_MIN);
}
