/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_plan: see fleet_plan.h. */
#include "cli/fleet_plan.h"

#include <errno.h>
#include <string.h>

#include "cli/output.h"
#include "common/fleet_config.h"
#include "common/hardware.h"
#include "supervisor/placement/placement.h"
#include "supervisor/placement/topology.h"

const struct option fleet_plan_options[] = {
    {"xml", NULL, 0, OPTION_TEXT, "FILE",
     "the plan for another machine: what lstopo --of xml wrote", NULL},
    {"synthetic", NULL, 0, OPTION_TEXT, "TEXT",
     "the plan for a made-up machine, as hwloc describes one", NULL},
    {"svg", NULL, 0, OPTION_TEXT, "FILE", "draw the plan into this file, too", NULL},
    {0},
};

bool fleet_plan_is_asked(const struct invocation *invocation)
{
    const struct parsed *parsed = &invocation->parsed;
    return parsed_has(parsed, "xml") || parsed_has(parsed, "synthetic") ||
           parsed_has(parsed, "svg");
}

/* JSON */

static json_t *cpus_json(const cpu_set_t *cpus)
{
    json_t *list = json_array();
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, cpus))
            json_array_append_new(list, json_integer(cpu));
    return list;
}

static json_t *nodes_json(const struct topology *topology, uint64_t nodes)
{
    json_t *list = json_array();
    for (int i = 0; i < topology->node_count; i++)
        if ((nodes >> i & 1) != 0)
            json_array_append_new(list, json_integer(topology->nodes[i].os_index));
    return list;
}

static json_t *pin_json(const struct topology *topology, const struct placement_pin *pin)
{
    char name[PLACEMENT_NAME_MAX];
    json_t *row =
        json_pack("{s:s, s:b, s:b, s:o}", "process", placement_name(pin, name), "pinned",
                  pin->is_pinned, "shared", pin->is_shared, "cpus", cpus_json(&pin->cpus));
    if (pin->memory_node >= 0)
        json_object_set_new(row, "memoryNode", json_integer(pin->memory_node));
    if (pin->gpu >= 0)
        json_object_set_new(row, "gpu", json_string(topology->gpus[pin->gpu].gpu.bus_id));
    if (pin->device[0] == '\0')
        return row;
    json_object_set_new(row, "device", json_string(pin->device));
    json_object_set_new(row, "deviceProcesses", json_integer(pin->device_users));
    json_object_set_new(row, "mpsPercentage", json_integer(pin->group->mps_percentage));
    json_object_set_new(row, "far", json_boolean(pin->is_remote));
    return row;
}

static json_t *placement_json(const struct placement *placement)
{
    const struct topology *topology = placement->topology;
    json_t *pins = json_array();
    for (size_t i = 0; i < placement->pin_count; i++)
        json_array_append_new(pins, pin_json(topology, &placement->pins[i]));
    json_t *gpus = json_array();
    for (int i = 0; i < topology->gpu_count; i++) {
        const struct hardware_gpu *gpu = &topology->gpus[i].gpu;
        json_array_append_new(gpus, json_pack("{s:s, s:s, s:s, s:o}", "busId", gpu->bus_id, "uuid",
                                              gpu->uuid, "model", gpu->model, "numaNodes",
                                              nodes_json(topology, topology->gpus[i].nodes)));
    }
    return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o}", "packages",
                     topology->package_count, "numaNodes", topology->node_count, "l3Domains",
                     topology->l3_count, "cores", topology->core_count, "coresInMachine",
                     topology->core_total, "gpus", topology->gpu_count, "gpuList", gpus,
                     "processes", pins);
}

/* Reporting */

static int write_svg(const struct placement *placement, const char *path, struct error *err)
{
    struct buffer out = {0};
    placement_draw(placement, &out);
    FILE *file = fopen(path, "we");
    bool is_written = file != NULL && fwrite(out.data, 1, out.size, file) == out.size;
    is_written = file != NULL && fclose(file) == 0 && is_written;
    int code = 0;
    if (out.failed)
        code = error_set(err, ERR_MEMORY, "out of memory");
    else if (!is_written)
        code = error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    buffer_fini(&out);
    return code;
}

static int print_text(const struct fleet_config *config, const struct placement *placement,
                      struct error *err)
{
    struct buffer out = {0};
    buffer_printf(&out, "node      %s, configuration: %s\n", config->node, config->source);
    placement_print(placement, &out);
    int code = out.failed ? error_set(err, ERR_MEMORY, "out of memory") : 0;
    if (code == 0)
        fputs(buffer_text(&out), stdout);
    buffer_fini(&out);
    return code;
}

static int report(const struct invocation *invocation, const struct topology *topology,
                  const struct fleet_config *config, struct error *err)
{
    struct placement placement;
    const char *svg_path = parsed_text(&invocation->parsed, "svg");
    int code = placement_create(topology, config, &placement, err);
    if (code != 0)
        return code;
    if (svg_path != NULL)
        code = write_svg(&placement, svg_path, err);
    if (code == 0 && invocation->json)
        code = output_json(placement_json(&placement), err);
    else if (code == 0)
        code = print_text(config, &placement, err);
    placement_destroy(&placement);
    return code;
}

int fleet_plan_run(const struct invocation *invocation, const char *config_path, struct error *err)
{
    static struct topology topology; /* too large for a stack */
    const struct parsed *parsed = &invocation->parsed;
    const struct topology_source source = {.xml_path = parsed_text(parsed, "xml"),
                                           .synthetic = parsed_text(parsed, "synthetic")};
    if (source.xml_path != NULL && source.synthetic != NULL)
        return command_usage(invocation, "give --xml or --synthetic, not both");
    bool is_other = source.xml_path != NULL || source.synthetic != NULL;
    /* A made-up machine has no devices: not this one's either. */
    struct hardware hardware = {0};
    if (!is_other)
        hardware_detect("", &hardware);
    int code = topology_read(is_other ? &source : NULL, &hardware, &topology, err);
    if (code != 0)
        return code;
    if (is_other)
        topology_hardware(&topology, &hardware);
    struct fleet_config *config;
    code = config_path != NULL ? fleet_config_load_for(config_path, &hardware, &config, err)
                               : fleet_config_default(NULL, &hardware, &config, err);
    if (code != 0)
        return code;
    code = report(invocation, &topology, config, err);
    fleet_config_destroy(config);
    return code;
}
