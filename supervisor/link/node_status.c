/* SPDX-License-Identifier: Apache-2.0 */
/* node_status: see node_status.h. */
#include "supervisor/link/node_status.h"

#include "supervisor/link/probe.h"
#include "supervisor/link/process_usage.h"

static int64_t age_us(uint64_t since_ns, uint64_t now_ns)
{
    return since_ns < now_ns ? (int64_t)((now_ns - since_ns) / NS_PER_US) : 0;
}

static void fill_place(Api__NodeProcess *row, const struct status_process *process)
{
    if (process->cpus[0] != '\0')
        row->cpus = process->cpus;
    row->has_memory_node = process->memory_node != STATUS_UNKNOWN;
    row->memory_node = process->memory_node;
    if (process->gpu[0] != '\0')
        row->gpu = process->gpu;
    row->has_pins_refused = process->pins_refused > 0;
    row->pins_refused = process->pins_refused;
    row->has_memory_limit_bytes = process->memory_limit_bytes > 0;
    row->memory_limit_bytes = (int64_t)process->memory_limit_bytes;
}

static void fill_process(Api__NodeProcess *row, const struct status_process *process,
                         uint64_t now_ns)
{
    struct process_usage usage;
    api__node_process__init(row);
    row->name = process->name;
    row->group = process->group;
    row->state = status_process_state(process);
    row->has_pid = row->has_drained = row->has_restarts = row->has_crash_looping = row->has_stale =
        true;
    row->pid = process->pid;
    row->drained = process->is_drained;
    row->crash_looping = process->is_crash_looping;
    row->stale = process->is_stale;
    row->has_retired = process->is_retired;
    row->retired = process->is_retired;
    for (int kind = 0; kind < DEATH_KIND_COUNT; kind++)
        row->restarts += process->restarts[kind];
    if (process->started_ns != 0) {
        row->has_uptime_us = true;
        row->uptime_us = age_us(process->started_ns, now_ns);
    }
    if (process->death_ns != 0) {
        row->death = process->death;
        row->has_death_age_us = true;
        row->death_age_us = age_us(process->death_ns, now_ns);
    }
    if (process->pid != 0 && process_usage_read(process->pid, &usage)) {
        row->has_memory_bytes = row->has_cpu_us = true;
        row->memory_bytes = (int64_t)usage.memory_bytes;
        row->cpu_us = (int64_t)usage.cpu_us;
    }
    fill_place(row, process);
}

#define FILL(field)                                                                                \
    (row->has_##field = gpu->seen_ns != 0 && gpu->field != STATUS_UNKNOWN, row->field = gpu->field)

static void fill_gpu(Api__NodeGpu *row, const struct status_gpu *gpu, uint64_t now_ns)
{
    api__node_gpu__init(row);
    row->uuid = gpu->uuid;
    row->bus_id = gpu->bus_id;
    row->model = gpu->model;
    row->health = gpu_state_name((enum gpu_state)gpu->health);
    if (gpu->reason[0] != '\0')
        row->reason = gpu->reason;
    FILL(utilization_percent);
    FILL(temperature_celsius);
    FILL(power_watts);
    FILL(memory_used_bytes);
    FILL(memory_total_bytes);
    FILL(ecc_errors);
    row->has_health_age_us = gpu->since_ns != 0;
    row->health_age_us = gpu->since_ns != 0 ? age_us(gpu->since_ns, now_ns) : 0;
    row->has_last_xid = gpu->last_xid != 0;
    row->last_xid = gpu->last_xid;
    row->has_age_us = row->has_throttled = gpu->seen_ns != 0;
    row->throttled = gpu->is_throttled;
    row->age_us = gpu->seen_ns != 0 ? age_us(gpu->seen_ns, now_ns) : 0;
}

static const char *phase_name(enum status_phase phase)
{
    static const char *const names[] = {"starting", "running", "stopping"};
    return names[phase];
}

int node_status_make(const struct node_status_view *view, struct arena *arena,
                     Api__NodeStatus **ret_message, struct error *err)
{
    const struct status *status = view->status;
    Api__NodeStatus *message = arena_calloc(arena, 1, sizeof *message);
    Api__NodeProcess *rows = arena_calloc(arena, status->process_count + 1, sizeof *rows);
    Api__NodeGpu *gpus = arena_calloc(arena, status->gpu_count + 1, sizeof *gpus);
    Api__NodeProcess **row_list =
        arena_calloc(arena, status->process_count + 1, sizeof row_list[0]);
    Api__NodeGpu **gpu_list = arena_calloc(arena, status->gpu_count + 1, sizeof gpu_list[0]);
    if (message == NULL || rows == NULL || gpus == NULL || row_list == NULL || gpu_list == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    api__node_status__init(message);
    message->node = view->node;
    message->http = view->http;
    message->phase = phase_name(status->phase);
    message->has_heartbeat_age_us = message->has_uptime_us = true;
    message->heartbeat_age_us = age_us(status->heartbeat_ns, view->now_ns);
    message->uptime_us = age_us(status->started_ns, view->now_ns);
    message->processes = row_list;
    for (size_t i = 0; i < status->process_count; i++) {
        fill_process(&rows[i], &status->processes[i], view->now_ns);
        message->processes[message->n_processes++] = &rows[i];
    }
    message->gpus = gpu_list;
    for (size_t i = 0; i < status->gpu_count; i++) {
        fill_gpu(&gpus[i], &status->gpus[i], view->now_ns);
        message->gpus[message->n_gpus++] = &gpus[i];
    }
    *ret_message = message;
    return 0;
}
