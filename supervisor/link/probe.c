/* SPDX-License-Identifier: Apache-2.0 */
/* probe: see probe.h. */
#include "supervisor/link/probe.h"

#include <string.h>

#include "common/clock.h"

const char *status_process_state(const struct status_process *process)
{
    bool is_down = process->state == LIFECYCLE_STOPPED || process->state == LIFECYCLE_IDLE;
    if (process->is_drained && is_down)
        return "drained";
    return lifecycle_state_name((enum lifecycle_state)process->state);
}

static bool conclude(struct buffer *out, size_t before)
{
    if (out->size > before)
        return false;
    buffer_printf(out, "ok\n");
    return true;
}

/* The bad GPU of a process; NULL when it has none, or one that is not bad. */
static const struct status_gpu *find_bad_gpu(const struct status *status,
                                             const struct status_process *process)
{
    for (size_t i = 0; i < status->gpu_count && process->gpu[0] != '\0'; i++) {
        const struct status_gpu *gpu = &status->gpus[i];
        if (gpu->health == GPU_STATE_BAD &&
            (strcmp(gpu->uuid, process->gpu) == 0 || strcmp(gpu->bus_id, process->gpu) == 0))
            return gpu;
    }
    return NULL;
}

static void say_process(struct buffer *out, const struct status *status,
                        const struct status_process *process)
{
    const struct status_gpu *gpu = find_bad_gpu(status, process);
    buffer_printf(out, "%s is %s", process->name, status_process_state(process));
    if (gpu != NULL)
        buffer_printf(out, ", its GPU is bad: %s", gpu->reason);
    if (process->death[0] != '\0')
        buffer_printf(out, " (last death: %s)", process->death);
    buffer_printf(out, "\n");
}

static void check_live(const struct probe_view *view, struct buffer *out)
{
    const struct status *status = view->status;
    if (!status_is_alive(status, view->now_ns))
        buffer_printf(out, "the supervisor's loop has not turned for %llu s\n",
                      (unsigned long long)((view->now_ns - status->heartbeat_ns) / NS_PER_S));
    else if (view->is_torn)
        buffer_printf(out, "the supervisor stopped while it wrote its status\n");
}

bool probe_live(const struct probe_view *view, struct buffer *out)
{
    size_t before = out->size;
    check_live(view, out);
    return conclude(out, before);
}

bool probe_started(const struct probe_view *view, struct buffer *out)
{
    size_t before = out->size;
    const struct status *status = view->status;
    check_live(view, out);
    /* A reload may bring processes that have yet to start: the node has. */
    bool is_starting = status->phase == STATUS_PHASE_STARTING && out->size == before;
    for (size_t i = 0; i < status->process_count && is_starting && out->size == before; i++) {
        const struct status_process *process = &status->processes[i];
        if (!process->was_ready && !process->is_drained)
            say_process(out, status, process);
    }
    return conclude(out, before);
}

/* Whether process i is of that group, and is not on its way out. */
static bool is_of_group(const struct status *status, size_t i, const char *group)
{
    const struct status_process *process = &status->processes[i];
    return !process->is_retired && strcmp(process->group, group) == 0;
}

/* From its first process on. */
static void check_group(const struct status *status, size_t first, struct buffer *out)
{
    const char *group = status->processes[first].group;
    for (size_t i = first; i < status->process_count; i++) {
        if (is_of_group(status, i, group) && status->processes[i].state == LIFECYCLE_READY)
            return;
    }
    buffer_printf(out, "group %s has no worker that is ready\n", group);
    for (size_t i = first; i < status->process_count; i++) {
        if (is_of_group(status, i, group))
            say_process(out, status, &status->processes[i]);
    }
}

bool probe_ready(const struct probe_view *view, struct buffer *out)
{
    const struct status *status = view->status;
    size_t before = out->size;
    check_live(view, out);
    if (status->phase == STATUS_PHASE_STOPPING)
        buffer_printf(out, "the fleet is draining\n");
    if (view->engine_reason != NULL)
        buffer_printf(out, "no session with the engine: %s\n", view->engine_reason);
    for (size_t i = 0; i < status->process_count; i++) {
        const char *group = status->processes[i].group;
        if (group[0] != '\0' && is_of_group(status, i, group) &&
            status_group_first(status, group) == i)
            check_group(status, i, out);
    }
    return conclude(out, before);
}
