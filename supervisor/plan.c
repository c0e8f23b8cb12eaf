/* SPDX-License-Identifier: Apache-2.0 */
/* plan: see plan.h. */
#include "supervisor/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/hardware.h"

/* The config's groups as operators scaled them. */
static void scale(struct plan *plan, const struct plan_source *source)
{
    for (size_t i = 0; i < plan->config->group_count; i++) {
        struct fleet_group *group = &plan->config->groups[i];
        group->processes = plan->configured[i];
        for (size_t k = 0; k < source->scale_count; k++) {
            if (strcmp(source->scales[k].group, group->name) == 0)
                group->processes = source->scales[k].processes;
        }
    }
}

/* Places the config's processes on the machine, when both were taken without an error. */
static int finish(int code, struct plan *plan, const struct plan_source *source,
                  const struct plan *running, struct plan *ret_plan, struct error *err)
{
    if (code == 0) {
        scale(plan, source);
        code = running != NULL
                   ? placement_create_after(&running->placement, plan->topology, plan->config,
                                            &plan->placement, err)
                   : placement_create(plan->topology, plan->config, &plan->placement, err);
    }
    if (code != 0) {
        plan_destroy(plan);
        return code;
    }
    *ret_plan = *plan;
    return 0;
}

static int create_topology(struct plan *plan, struct error *err)
{
    plan->topology = calloc(1, sizeof *plan->topology);
    return plan->topology != NULL ? 0 : error_set(err, ERR_MEMORY, "topology: out of memory");
}

int plan_create(const struct plan_source *source, const struct plan *running, struct plan *ret_plan,
                struct error *err)
{
    struct plan plan = {0};
    struct hardware hardware;
    hardware_detect("", &hardware);
    int code = source->config_path != NULL
                   ? fleet_config_load_for(source->config_path, &hardware, &plan.config, err)
                   : fleet_config_default(&source->dev, &hardware, &plan.config, err);
    if (code == 0)
        code = create_topology(&plan, err);
    if (code == 0)
        code = topology_read(NULL, &hardware, plan.topology, err);
    if (code == 0 && source->has_log_format)
        plan.config->log_format = source->log_format;
    for (size_t i = 0; code == 0 && i < plan.config->group_count; i++)
        plan.configured[i] = plan.config->groups[i].processes;
    return finish(code, &plan, source, running, ret_plan, err);
}

int plan_create_again(const struct plan_source *source, const struct plan *running,
                      struct plan *ret_plan, struct error *err)
{
    struct plan again = {0};
    struct buffer text = {0};
    struct hardware hardware;
    topology_hardware(running->topology, &hardware);
    fleet_config_print(running->config, &text);
    int code = text.failed
                   ? error_set(err, ERR_MEMORY, "configuration: out of memory")
                   : fleet_config_parse((const char *)text.data, text.size, running->config->source,
                                        running->config->data_dir, &hardware, &again.config, err);
    buffer_fini(&text);
    if (code == 0)
        code = create_topology(&again, err);
    if (code == 0) {
        cpu_set_t allowed;
        topology_get_allowed(&allowed);
        *again.topology = *running->topology;
        memcpy(again.configured, running->configured, sizeof again.configured);
        code = topology_set_allowed(again.topology, &allowed, err);
    }
    return finish(code, &again, source, running, ret_plan, err);
}

void plan_destroy(struct plan *plan)
{
    placement_destroy(&plan->placement);
    free(plan->topology);
    fleet_config_destroy(plan->config);
    *plan = (struct plan){0};
}

int plan_write_effective(const struct plan *plan, char *ret_path, struct error *err)
{
    struct buffer text = {0};
    char path[PATH_MAX], draft[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/" FLEET_EFFECTIVE, plan->config->data_dir);
    snprintf(draft, sizeof draft, "%s.new", path);
    fleet_config_print(plan->config, &text);
    int fd = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_written = fd >= 0 && !text.failed &&
                      write(fd, text.data, text.size) == (ssize_t)text.size &&
                      rename(draft, path) == 0;
    int code = is_written ? 0 : error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    buffer_fini(&text);
    if (code == 0)
        strcpy(ret_path, path);
    return code;
}
