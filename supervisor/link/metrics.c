/* SPDX-License-Identifier: Apache-2.0 */
/* metrics: see metrics.h. */
#include "supervisor/link/metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "supervisor/link/probe.h"
#include "supervisor/link/process_usage.h"

/* The samples of one metric stand together under its HELP and TYPE. */
static void family(struct buffer *out, const char *name, const char *type, const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line feed are escaped. */
static void label_text(struct buffer *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '\n')
            buffer_append_text(out, "\\n");
        else if (*text == '\\' || *text == '"')
            buffer_printf(out, "\\%c", *text);
        else
            buffer_append_byte(out, (uint8_t)*text);
    }
}

/* name{key="value",...}; pairs end with NULL. */
static void series(struct buffer *out, const char *name, const char *const *pairs)
{
    buffer_append_text(out, name);
    for (size_t i = 0; pairs != NULL && pairs[i] != NULL; i += 2) {
        buffer_printf(out, "%s%s=\"", i == 0 ? "{" : ",", pairs[i]);
        label_text(out, pairs[i + 1]);
        buffer_append_text(out, pairs[i + 2] == NULL ? "\"}" : "\"");
    }
}

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void sample(struct buffer *out, const char *name, const char *const *pairs, int64_t value)
{
    series(out, name, pairs);
    buffer_printf(out, " %" PRId64 "\n", value);
}

static void sample_seconds(struct buffer *out, const char *name, const char *const *pairs,
                           int64_t value_us)
{
    series(out, name, pairs);
    buffer_printf(out, " %" PRId64 ".%06" PRId64 "\n", value_us / US_PER_S, value_us % US_PER_S);
}

/* Processes */

static void print_supervisor(const struct metrics_view *view, struct buffer *out)
{
    const struct status *status = view->status;
    uint64_t age_ns = view->now_ns > status->heartbeat_ns ? view->now_ns - status->heartbeat_ns : 0;
    family(out, "argosy_build_info", "gauge", "1, with the version of this node's programs.");
    sample(out, "argosy_build_info", LABELS("version", ARGOSY_VERSION), 1);
    family(out, "argosy_supervisor_start_time_seconds", "gauge",
           "When the supervisor began, in seconds since 1970.");
    sample_seconds(out, "argosy_supervisor_start_time_seconds", NULL,
                   view->now_utc_us - (int64_t)((view->now_ns - status->started_ns) / NS_PER_US));
    family(out, "argosy_supervisor_up", "gauge", "Whether the supervisor's loop turns.");
    sample(out, "argosy_supervisor_up", NULL, status_is_alive(status, view->now_ns));
    family(out, "argosy_supervisor_heartbeat_age_seconds", "gauge",
           "Time since the supervisor's loop last turned.");
    sample_seconds(out, "argosy_supervisor_heartbeat_age_seconds", NULL,
                   (int64_t)(age_ns / NS_PER_US));
}

static bool is_worker(const struct status_process *process)
{
    return process->group[0] != '\0';
}

static void print_state(const struct status *status, const char *group, const char *state,
                        struct buffer *out)
{
    int64_t count = 0;
    for (size_t i = 0; i < status->process_count; i++) {
        const struct status_process *process = &status->processes[i];
        count +=
            strcmp(process->group, group) == 0 && strcmp(status_process_state(process), state) == 0;
    }
    sample(out, "argosy_workers", LABELS("group", group, "state", state), count);
}

static void print_workers(const struct status *status, struct buffer *out)
{
    family(out, "argosy_workers", "gauge", "Worker processes by group and state.");
    for (size_t i = 0; i < status->process_count; i++) {
        const char *group = status->processes[i].group;
        if (!is_worker(&status->processes[i]) || status_group_first(status, group) != i)
            continue;
        for (enum lifecycle_state state = LIFECYCLE_IDLE; state <= LIFECYCLE_STOPPED; state++)
            print_state(status, group, lifecycle_state_name(state), out);
        print_state(status, group, "drained", out);
    }
}

static void print_restarts(const struct status *status, struct buffer *out)
{
    family(out, "argosy_process_restarts_total", "counter",
           "Deaths of a process after which it was started again.");
    for (size_t i = 0; i < status->process_count; i++) {
        const struct status_process *process = &status->processes[i];
        for (enum death_kind kind = DEATH_KIND_EXIT; kind < DEATH_KIND_COUNT; kind++)
            sample(out, "argosy_process_restarts_total",
                   LABELS("process", process->name, "reason", death_kind_name(kind)),
                   process->restarts[kind]);
    }
}

static void print_starts(const struct metrics_view *view, struct buffer *out)
{
    family(out, "argosy_process_start_time_seconds", "gauge",
           "When the process was started, in seconds since 1970.");
    for (size_t i = 0; i < view->status->process_count; i++) {
        const struct status_process *process = &view->status->processes[i];
        if (process->started_ns == 0)
            continue;
        int64_t age_us = (int64_t)((view->now_ns - process->started_ns) / NS_PER_US);
        sample_seconds(out, "argosy_process_start_time_seconds", LABELS("process", process->name),
                       view->now_utc_us - age_us);
    }
}

/* Figures of a process; false: nobody can tell. */
static bool process_memory(const struct status_process *process, int64_t *ret_value)
{
    struct process_usage usage;
    if (process->pid == 0 || !process_usage_read(process->pid, &usage))
        return false;
    *ret_value = (int64_t)usage.memory_bytes;
    return true;
}

static bool process_cpu_us(const struct status_process *process, int64_t *ret_value)
{
    struct process_usage usage;
    if (process->pid == 0 || !process_usage_read(process->pid, &usage))
        return false;
    *ret_value = (int64_t)usage.cpu_us;
    return true;
}

static bool process_open_fds(const struct status_process *process, int64_t *ret_value)
{
    return process->pid != 0 && process_usage_count_fds(process->pid, ret_value);
}

static bool process_memory_limit(const struct status_process *process, int64_t *ret_value)
{
    *ret_value = (int64_t)process->memory_limit_bytes;
    return process->memory_limit_bytes > 0;
}

static bool process_pins_refused(const struct status_process *process, int64_t *ret_value)
{
    *ret_value = process->pins_refused;
    return true;
}

static bool process_crash_looping(const struct status_process *process, int64_t *ret_value)
{
    *ret_value = process->is_crash_looping;
    return true;
}

static const struct process_family {
    const char *name, *type, *help;
    bool (*value)(const struct status_process *process, int64_t *ret_value);
    void (*print)(struct buffer *out, const char *name, const char *const *pairs, int64_t value);
} process_families[] = {
    {"argosy_process_resident_memory_bytes", "gauge", "Resident memory of the process.",
     process_memory, sample},
    {"argosy_process_memory_limit_bytes", "gauge", "What it may use before it is ended.",
     process_memory_limit, sample},
    {"argosy_process_cpu_seconds_total", "counter",
     "Processor time of the process, since it was started.", process_cpu_us, sample_seconds},
    {"argosy_process_open_fds", "gauge", "Descriptors that the process has open.", process_open_fds,
     sample},
    {"argosy_process_pins_refused_total", "counter",
     "Times that the kernel refused it processors, or to bind its memory.", process_pins_refused,
     sample},
    {"argosy_process_crash_looping", "gauge",
     "Whether it dies again and again, each time after a short life.", process_crash_looping,
     sample},
};

static void print_processes(const struct status *status, struct buffer *out)
{
    for (size_t f = 0; f < sizeof process_families / sizeof process_families[0]; f++) {
        const struct process_family *row = &process_families[f];
        family(out, row->name, row->type, row->help);
        for (size_t i = 0; i < status->process_count; i++) {
            const struct status_process *process = &status->processes[i];
            int64_t value;
            if (row->value(process, &value))
                row->print(out, row->name, LABELS("process", process->name), value);
        }
    }
}

/* GPUs: STATUS_UNKNOWN is no sample */

static int64_t gpu_utilization(const struct status_gpu *gpu)
{
    const int64_t us_per_percent = US_PER_S / 100; /* a part of one is printed as of a second */
    return gpu->utilization_percent == STATUS_UNKNOWN ? STATUS_UNKNOWN
                                                      : gpu->utilization_percent * us_per_percent;
}

static int64_t gpu_temperature(const struct status_gpu *gpu)
{
    return gpu->temperature_celsius;
}

static int64_t gpu_power(const struct status_gpu *gpu)
{
    return gpu->power_watts;
}

static int64_t gpu_memory_used(const struct status_gpu *gpu)
{
    return gpu->memory_used_bytes;
}

static int64_t gpu_memory_size(const struct status_gpu *gpu)
{
    return gpu->memory_total_bytes;
}

static int64_t gpu_throttled(const struct status_gpu *gpu)
{
    return gpu->seen_ns != 0 ? gpu->is_throttled : STATUS_UNKNOWN;
}

static int64_t gpu_ecc_errors(const struct status_gpu *gpu)
{
    return gpu->ecc_errors;
}

static int64_t gpu_ecc_errors_of_life(const struct status_gpu *gpu)
{
    return gpu->ecc_errors_of_life;
}

static int64_t gpu_ecc_corrected(const struct status_gpu *gpu)
{
    return (int64_t)gpu->corrected_count;
}

static int64_t gpu_rows_remapped(const struct status_gpu *gpu)
{
    return gpu->rows_remapped;
}

static int64_t gpu_row_pending(const struct status_gpu *gpu)
{
    return gpu->row_pending;
}

static int64_t gpu_row_failure(const struct status_gpu *gpu)
{
    return gpu->row_failure;
}

static int64_t gpu_last_xid(const struct status_gpu *gpu)
{
    return gpu->last_xid;
}

static int64_t gpu_xids(const struct status_gpu *gpu)
{
    return (int64_t)gpu->xid_count;
}

static const struct gpu_family {
    const char *name, *type, *help;
    int64_t (*value)(const struct status_gpu *gpu);
    void (*print)(struct buffer *out, const char *name, const char *const *pairs, int64_t value);
} gpu_families[] = {
    {"argosy_gpu_utilization_ratio", "gauge", "Part of the time that the GPU computed something.",
     gpu_utilization, sample_seconds},
    {"argosy_gpu_temperature_celsius", "gauge", "Temperature of the GPU.", gpu_temperature, sample},
    {"argosy_gpu_power_watts", "gauge", "Power that the GPU draws.", gpu_power, sample},
    {"argosy_gpu_memory_used_bytes", "gauge", "Memory of the GPU in use.", gpu_memory_used, sample},
    {"argosy_gpu_memory_size_bytes", "gauge", "Memory of the GPU.", gpu_memory_size, sample},
    {"argosy_gpu_throttled", "gauge", "Whether heat or power slows the GPU down.", gpu_throttled,
     sample},
    {"argosy_gpu_ecc_uncorrected_errors_total", "counter",
     "Memory errors not corrected, since the driver was loaded.", gpu_ecc_errors, sample},
    {"argosy_gpu_ecc_uncorrected_lifetime_errors_total", "counter",
     "Memory errors not corrected, in the GPU's life.", gpu_ecc_errors_of_life, sample},
    {"argosy_gpu_ecc_corrected_events_total", "counter",
     "Reports of the driver of corrected memory errors.", gpu_ecc_corrected, sample},
    {"argosy_gpu_remapped_rows", "gauge", "Rows of memory replaced by spare ones.",
     gpu_rows_remapped, sample},
    {"argosy_gpu_row_remap_pending", "gauge", "Whether a replacement waits for a reset.",
     gpu_row_pending, sample},
    {"argosy_gpu_row_remap_failed", "gauge", "Whether a row could not be replaced.",
     gpu_row_failure, sample},
    {"argosy_gpu_xid_last", "gauge", "Number of the driver's last error about it; 0: none.",
     gpu_last_xid, sample},
    {"argosy_gpu_xids_total", "counter", "Errors that the driver reported, ignored ones included.",
     gpu_xids, sample},
};

/* A GPU's labels; number is room for its place. */
#define GPU_LABELS(number, gpu) "gpu", number, "uuid", (gpu)->uuid

static void print_gpu_states(const struct status *status, struct buffer *out)
{
    char number[24];
    family(out, "argosy_gpu_state", "gauge", "1 for the state that the GPU is in, 0 for others.");
    for (size_t i = 0; i < status->gpu_count; i++) {
        const struct status_gpu *gpu = &status->gpus[i];
        snprintf(number, sizeof number, "%zu", i);
        for (int state = GPU_STATE_UNWATCHED; state < GPU_STATE_COUNT; state++)
            sample(out, "argosy_gpu_state",
                   LABELS(GPU_LABELS(number, gpu), "state", gpu_state_name((enum gpu_state)state)),
                   gpu->health == state);
    }
}

static void print_gpus(const struct status *status, struct buffer *out)
{
    char number[24];
    if (status->gpu_count == 0)
        return;
    print_gpu_states(status, out);
    for (size_t f = 0; f < sizeof gpu_families / sizeof gpu_families[0]; f++) {
        const struct gpu_family *row = &gpu_families[f];
        family(out, row->name, row->type, row->help);
        for (size_t i = 0; i < status->gpu_count; i++) {
            const struct status_gpu *gpu = &status->gpus[i];
            snprintf(number, sizeof number, "%zu", i);
            if (row->value(gpu) != STATUS_UNKNOWN)
                row->print(out, row->name, LABELS(GPU_LABELS(number, gpu)), row->value(gpu));
        }
    }
}

/* The engine */

static void print_commits(const Api__GetEngineStatsResponse *engine, struct buffer *out)
{
    static const char name[] = "argosy_engine_commit_seconds";
    char bound[32];
    int64_t count = 0;
    family(out, name, "histogram", "How long the engine's commits took to be durable.");
    for (size_t i = 0; i < engine->n_commit_counts; i++) {
        count += engine->commit_counts[i];
        if (i < engine->n_commit_bounds_us)
            snprintf(bound, sizeof bound, "%g", (double)engine->commit_bounds_us[i] / 1e6);
        else
            snprintf(bound, sizeof bound, "+Inf");
        sample(out, "argosy_engine_commit_seconds_bucket", LABELS("le", bound), count);
    }
    sample_seconds(out, "argosy_engine_commit_seconds_sum", NULL, engine->commit_sum_us);
    sample(out, "argosy_engine_commit_seconds_count", NULL, count);
}

static void print_engine(const Api__GetEngineStatsResponse *engine, struct buffer *out)
{
    family(out, "argosy_engine_open_runs", "gauge", "Workflow runs that are open.");
    sample(out, "argosy_engine_open_runs", NULL, engine->open_runs);
    family(out, "argosy_engine_sessions", "gauge",
           "Clients, workers and links that are connected.");
    sample(out, "argosy_engine_sessions", NULL, engine->sessions);
    family(out, "argosy_engine_commits_total", "counter", "Transactions that the store committed.");
    sample(out, "argosy_engine_commits_total", NULL, engine->commits_total);
    print_commits(engine, out);
    family(out, "argosy_engine_requests_total", "counter", "Requests by method.");
    for (size_t i = 0; i < engine->n_requests; i++)
        sample(out, "argosy_engine_requests_total", LABELS("method", engine->requests[i]->method),
               engine->requests[i]->count);
}

/* Figures of queues that are numbers of the message. */
static int64_t queue_backlog(const Api__QueueStats *queue)
{
    return queue->backlog;
}

static int64_t queue_in_flight(const Api__QueueStats *queue)
{
    return queue->in_flight;
}

static int64_t queue_max_in_flight(const Api__QueueStats *queue)
{
    return queue->max_in_flight;
}

static int64_t queue_paused(const Api__QueueStats *queue)
{
    return queue->paused;
}

static int64_t queue_added(const Api__QueueStats *queue)
{
    return queue->added_total;
}

static int64_t queue_dispatched(const Api__QueueStats *queue)
{
    return queue->dispatched_total;
}

static int64_t queue_pollers(const Api__QueueStats *queue)
{
    return queue->pollers;
}

static const struct queue_family {
    const char *name, *type, *help;
    int64_t (*value)(const Api__QueueStats *queue);
} queue_families[] = {
    {"argosy_task_queue_backlog", "gauge", "Tasks that wait.", queue_backlog},
    {"argosy_task_queue_in_flight", "gauge", "Tasks that workers have.", queue_in_flight},
    {"argosy_task_queue_max_in_flight", "gauge", "Bound on tasks that workers have; 0: none.",
     queue_max_in_flight},
    {"argosy_task_queue_paused", "gauge", "Whether an operator holds its tasks back.",
     queue_paused},
    {"argosy_task_queue_added_total", "counter", "Tasks added; lost and retried ones again.",
     queue_added},
    {"argosy_task_queue_dispatched_total", "counter", "Tasks handed to workers.", queue_dispatched},
    {"argosy_task_queue_pollers", "gauge", "Polls that wait for tasks.", queue_pollers},
};

#define QUEUE_LABELS(row) "queue", (row)->queue, "kind", (row)->kind

static void print_queues(const Api__GetEngineStatsResponse *engine, struct buffer *out)
{
    for (size_t f = 0; f < sizeof queue_families / sizeof queue_families[0]; f++) {
        const struct queue_family *row = &queue_families[f];
        family(out, row->name, row->type, row->help);
        for (size_t i = 0; i < engine->n_queues; i++)
            sample(out, row->name, LABELS(QUEUE_LABELS(engine->queues[i])),
                   row->value(engine->queues[i]));
    }
    family(out, "argosy_task_queue_backlog_age_seconds", "gauge",
           "Age of the oldest task waiting.");
    for (size_t i = 0; i < engine->n_queues; i++)
        sample_seconds(out, "argosy_task_queue_backlog_age_seconds",
                       LABELS(QUEUE_LABELS(engine->queues[i])), engine->queues[i]->backlog_age_us);
    family(out, "argosy_task_queue_slots", "gauge", "Tasks that connected workers can have.");
    for (size_t i = 0; i < engine->n_queues; i++) {
        const Api__QueueStats *queue = engine->queues[i];
        int64_t free = queue->slots > queue->slots_used ? queue->slots - queue->slots_used : 0;
        sample(out, "argosy_task_queue_slots", LABELS(QUEUE_LABELS(queue), "state", "used"),
               queue->slots_used);
        sample(out, "argosy_task_queue_slots", LABELS(QUEUE_LABELS(queue), "state", "free"), free);
    }
}

void metrics_print(const struct metrics_view *view, struct buffer *out)
{
    print_supervisor(view, out);
    print_workers(view->status, out);
    print_restarts(view->status, out);
    print_starts(view, out);
    print_processes(view->status, out);
    print_gpus(view->status, out);
    family(out, "argosy_engine_up", "gauge", "Whether the engine answered within the last second.");
    sample(out, "argosy_engine_up", NULL, view->is_engine_up);
    if (view->engine == NULL)
        return;
    print_engine(view->engine, out);
    print_queues(view->engine, out);
}
