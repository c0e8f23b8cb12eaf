/* SPDX-License-Identifier: Apache-2.0 */
/* placement: see placement.h. Here is who there is; planner.h names who deals what. */
#include "supervisor/placement/placement.h"

#include <stdio.h>
#include <stdlib.h>

#include "supervisor/placement/planner.h"

static size_t count_pins(const struct fleet_config *config)
{
    size_t count = 2 + (config->engine.endpoint == NULL) + config->storage.enabled;
    for (size_t i = 0; i < config->group_count; i++)
        count += (size_t)config->groups[i].processes;
    return count;
}

static void add_pin(struct placement *plan, const struct fleet_group *group, int index)
{
    plan->pins[plan->pin_count++] =
        (struct placement_pin){.group = group, .index = index, .gpu = -1, .memory_node = -1};
}

/* Whether a worker may get an NVIDIA GPU, so that somebody has to watch it. */
static bool uses_gpus(const struct planner *planner)
{
    const struct fleet_config *config = planner->config;
    for (size_t i = 0; i < config->group_count; i++) {
        const struct fleet_group *group = &config->groups[i];
        if (group->kind == FLEET_GROUP_GPU && group->device != FLEET_DEVICE_CPU &&
            group->processes > 0 && (planner->topology->gpu_count > 0 || group->gpu_count > 0))
            return true;
    }
    return false;
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
    if (config->supervisor.gpu_health.enabled && uses_gpus(planner))
        add_pin(planner->plan, NULL, PLACEMENT_GPU_HEALTH);
    for (size_t i = 0; i < config->group_count; i++) {
        for (int index = 0; index < config->groups[i].processes; index++)
            add_pin(planner->plan, &config->groups[i], index);
    }
    return 0;
}

int placement_create_after(const struct placement *previous, const struct topology *topology,
                           const struct fleet_config *config, struct placement *ret_placement,
                           struct error *err)
{
    struct placement plan = {.topology = topology};
    struct planner planner = {
        .topology = topology, .config = config, .previous = previous, .plan = &plan};
    int code = add_pins(&planner, err);
    if (code == 0)
        code = planner_deal_gpus(&planner, err);
    if (code == 0)
        code = planner_deal_cores(&planner, err);
    if (code != 0) {
        placement_destroy(&plan);
        return code;
    }
    *ret_placement = plan;
    return 0;
}

int placement_create(const struct topology *topology, const struct fleet_config *config,
                     struct placement *ret_placement, struct error *err)
{
    return placement_create_after(NULL, topology, config, ret_placement, err);
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

const char *placement_name(const struct placement_pin *pin, char out[PLACEMENT_NAME_MAX])
{
    static const char *const own[] = {
        [PLACEMENT_ENGINE] = "engine",
        [PLACEMENT_LINK] = "link",
        [PLACEMENT_STORAGE] = "storage",
        [PLACEMENT_GPU_HEALTH] = "gpu-health",
    };
    if (pin->group == NULL)
        snprintf(out, PLACEMENT_NAME_MAX, "%s", own[pin->index]);
    else
        snprintf(out, PLACEMENT_NAME_MAX, "%s/%d", pin->group->name, pin->index);
    return out;
}
