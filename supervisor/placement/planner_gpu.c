/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner_gpu: deals GPUs to workers. A unit is what one CUDA_VISIBLE_DEVICES can name: a GPU, or a
 * MIG slice, also one that only the configuration knows. Every worker gets the unit of its group
 * with fewest workers so far; what runs already keeps its own.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/gpu_name.h"
#include "supervisor/placement/planner.h"

struct unit {
    int gpu;            /* place in the topology's gpus of it, or of the GPU it is part of; -1 */
    bool is_undetected; /* a slice that only the configuration knows */
    char device[PLACEMENT_DEVICE_MAX];
    int users;
};

struct dealer {
    const struct planner *planner;
    struct unit *units;
    size_t unit_count;
};

static bool uses_gpus(const struct fleet_group *group)
{
    return group != NULL && group->kind == FLEET_GROUP_GPU && group->device != FLEET_DEVICE_CPU;
}

/* Units */

static bool is_detected(const struct topology *topology, const char *name)
{
    for (int i = 0; i < topology->gpu_count; i++) {
        if (gpu_name_means(name, &topology->gpus[i].gpu))
            return true;
    }
    return false;
}

static struct unit *find_unit(struct dealer *dealer, const char *device)
{
    for (size_t i = 0; i < dealer->unit_count; i++) {
        if (strcmp(dealer->units[i].device, device) == 0)
            return &dealer->units[i];
    }
    return NULL;
}

/* A GPU is named by its UUID where the driver told it, else by its place in the order of bus ids.
 */
static void add_detected(struct dealer *dealer)
{
    const struct topology *topology = dealer->planner->topology;
    for (int i = 0; i < topology->gpu_count; i++) {
        const struct hardware_gpu *gpu = &topology->gpus[i].gpu;
        struct unit *unit = &dealer->units[dealer->unit_count++];
        *unit = (struct unit){.gpu = i};
        if (gpu->uuid[0] != '\0')
            snprintf(unit->device, sizeof unit->device, "%s", gpu->uuid);
        else
            snprintf(unit->device, sizeof unit->device, "%d", gpu->ordinal);
    }
}

static size_t count_named(const struct fleet_config *config)
{
    size_t count = 0;
    for (size_t i = 0; i < config->group_count; i++)
        count += config->groups[i].gpu_count;
    return count;
}

/* The units of the machine and the slices that groups name beside them. A slice is trusted to be
 * there; a GPU that is not there is a mistake. */
static int find_units(struct dealer *dealer, struct error *err)
{
    const struct topology *topology = dealer->planner->topology;
    const struct fleet_config *config = dealer->planner->config;
    size_t room = (size_t)topology->gpu_count + count_named(config);
    dealer->units = calloc(room + 1, sizeof dealer->units[0]);
    if (dealer->units == NULL)
        return error_set(err, ERR_MEMORY, "placement: out of memory");
    add_detected(dealer);
    for (size_t i = 0; i < config->group_count; i++) {
        const struct fleet_group *group = &config->groups[i];
        for (size_t j = 0; j < group->gpu_count; j++) {
            const char *name = group->gpus[j];
            if (is_detected(topology, name) || find_unit(dealer, name) != NULL)
                continue;
            if (!gpu_name_is_slice(name))
                return error_set(err, ERR_CONFIG,
                                 "%s: group \"%s\" names GPU \"%s\", which this machine does not "
                                 "have (it has %d)",
                                 config->source, group->name, name, topology->gpu_count);
            struct unit *unit = &dealer->units[dealer->unit_count++];
            *unit = (struct unit){.gpu = topology->gpu_count == 1 ? 0 : -1, .is_undetected = true};
            snprintf(unit->device, sizeof unit->device, "%s", name);
        }
    }
    return 0;
}

/* Whether workers of group may have the unit: it is in the group's list, or there is no list and it
 * was detected. */
static bool may_use(const struct dealer *dealer, const struct fleet_group *group,
                    const struct unit *unit)
{
    if (group->gpu_count == 0)
        return !unit->is_undetected;
    for (size_t i = 0; i < group->gpu_count; i++) {
        if (unit->is_undetected
                ? strcmp(group->gpus[i], unit->device) == 0
                : gpu_name_means(group->gpus[i], &dealer->planner->topology->gpus[unit->gpu].gpu))
            return true;
    }
    return false;
}

/* Dealing */

static void give_unit(struct placement_pin *pin, struct unit *unit)
{
    pin->gpu = unit->gpu;
    memcpy(pin->device, unit->device, sizeof pin->device);
    unit->users++;
}

/* The unit that the process has now, when it may keep it; else NULL. */
static struct unit *find_kept(struct dealer *dealer, const struct placement_pin *pin)
{
    const struct placement *previous = dealer->planner->previous;
    for (size_t i = 0; previous != NULL && i < previous->pin_count; i++) {
        const struct placement_pin *old = &previous->pins[i];
        if (!uses_gpus(old->group) || old->index != pin->index ||
            strcmp(old->group->name, pin->group->name) != 0)
            continue;
        struct unit *unit = find_unit(dealer, old->device);
        return unit != NULL && may_use(dealer, pin->group, unit) ? unit : NULL;
    }
    return NULL;
}

static struct unit *choose_unit(struct dealer *dealer, const struct fleet_group *group)
{
    struct unit *best = NULL;
    for (size_t i = 0; i < dealer->unit_count; i++) {
        struct unit *unit = &dealer->units[i];
        if (may_use(dealer, group, unit) && (best == NULL || unit->users < best->users))
            best = unit;
    }
    return best;
}

/* Who has least choice comes first. */
enum round { ROUND_KEEPERS, ROUND_LISTED, ROUND_OTHERS, ROUND_COUNT };

static int deal(struct dealer *dealer, enum round round, struct error *err)
{
    struct placement *plan = dealer->planner->plan;
    for (size_t i = 0; i < plan->pin_count; i++) {
        struct placement_pin *pin = &plan->pins[i];
        if (!uses_gpus(pin->group) || pin->device[0] != '\0' ||
            (round == ROUND_LISTED && pin->group->gpu_count == 0))
            continue;
        struct unit *unit =
            round == ROUND_KEEPERS ? find_kept(dealer, pin) : choose_unit(dealer, pin->group);
        if (unit != NULL)
            give_unit(pin, unit);
        else if (round == ROUND_OTHERS && pin->group->device == FLEET_DEVICE_CUDA)
            return error_set(
                err, ERR_CONFIG,
                "%s: group \"%s\" wants device cuda, and this machine has no NVIDIA GPU",
                dealer->planner->config->source, pin->group->name);
    }
    return 0;
}

static void count_users(struct dealer *dealer)
{
    struct placement *plan = dealer->planner->plan;
    for (size_t i = 0; i < plan->pin_count; i++) {
        struct placement_pin *pin = &plan->pins[i];
        if (pin->device[0] != '\0')
            pin->device_users = find_unit(dealer, pin->device)->users;
    }
}

int planner_deal_gpus(const struct planner *planner, struct error *err)
{
    struct dealer dealer = {.planner = planner};
    int code = find_units(&dealer, err);
    for (int round = 0; round < ROUND_COUNT && code == 0; round++)
        code = deal(&dealer, (enum round)round, err);
    if (code == 0)
        count_users(&dealer);
    free(dealer.units);
    return code;
}
