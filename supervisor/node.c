/* SPDX-License-Identifier: Apache-2.0 */
/* node: see node.h. */
#include "supervisor/node.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/assert.h"
#include "common/gpu_name.h"
#include "common/log.h"
#include "supervisor/log/node_log.h"
#include "supervisor/breaker.h"
#include "supervisor/order.h"
#include "supervisor/replan.h"

/* Set-up */

/* What the plan in force allows; of those on their way out as before. */
static void limit_memory(struct node *node)
{
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        const struct fleet_group *group = process->pin.group;
        if (group == NULL)
            continue;
        process->lifecycle.memory_max_mb = (uint32_t)group->memory_mb;
        memory_limit_set(&node->memory, process->name, &process->memory,
                         (uint64_t)group->memory_mb << 20);
    }
}

int node_open(struct node *node, const struct plan_source *source, struct plan *plan,
              const struct process_setting *setting, struct error *err)
{
    *node = (struct node){.source = *source, .setting = *setting, .loop.epoll_fd = -1};
    memory_limit_open(&node->memory, plan->config->supervisor.cgroup);
    node->setting.memory = &node->memory;
    int code = loop_open(&node->loop, err);
    if (code == 0)
        code = status_page_create(&node->page, err);
    if (code == 0)
        code = roster_apply(&node->roster, &plan->placement, err);
    if (code != 0) {
        node_close(node);
        return code;
    }
    node->setting.status_fd = status_page_fd(node->page);
    node->setting.config = plan->config;
    node->setting.crashes = &node->crashes;
    node->plan = *plan;
    *plan = (struct plan){0};
    gpu_guard_plan(node);
    limit_memory(node);
    code = node_log_open(node, err);
    if (code != 0)
        return code;
    /* Children of dead children become ours, as they would process 1's. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return 0;
}

void node_close(struct node *node)
{
    roster_fini(&node->roster);
    status_page_destroy(node->page);
    loop_close(&node->loop);
    plan_destroy(&node->plan);
    memory_limit_close(&node->memory);
    node->page = NULL;
}

/* At once: a delay that is over in this very turn would start who has no group any more. */
static void stop_retired(struct node *node)
{
    for (size_t i = 0; i < node->roster.count; i++) {
        if (node->roster.processes[i]->is_retired)
            node_stop(node->roster.processes[i], false);
    }
}

int node_adopt_plan(struct node *node, struct plan *plan, struct error *err)
{
    int code = roster_apply(&node->roster, &plan->placement, err);
    if (code != 0)
        return code;
    stop_retired(node);
    plan_destroy(&node->plan);
    node->plan = *plan;
    node->setting.config = plan->config;
    crash_folder_set(&node->crashes, &plan->config->supervisor);
    *plan = (struct plan){0};
    gpu_guard_plan(node);
    limit_memory(node);
    replan_move(node);
    return 0;
}

/* What the link sees */

static void write_gpu(struct status_process *row, const struct process *process,
                      const struct topology *topology)
{
    const struct placement_pin *pin = &process->pin;
    row->gpu[0] = '\0';
    if (gpu_name_is_slice(pin->device)) {
        snprintf(row->gpu, sizeof row->gpu, "%s", pin->device);
    } else if (pin->gpu >= 0 && !process->is_retired) {
        const struct hardware_gpu *gpu = &topology->gpus[pin->gpu].gpu;
        snprintf(row->gpu, sizeof row->gpu, "%s", gpu->uuid[0] != '\0' ? gpu->uuid : gpu->bus_id);
    }
}

static void write_place(struct status_process *row, const struct process *process,
                        const struct topology *topology)
{
    const struct placement_pin *pin = &process->pin;
    row->cpus[0] = '\0';
    row->memory_node = pin->memory_node;
    row->pins_refused = process->pins_refused;
    if (pin->is_pinned)
        placement_format_cpus(&pin->cpus, row->cpus, sizeof row->cpus);
    write_gpu(row, process, topology);
}

static void write_row(const struct node *node, struct status_process *row,
                      const struct process *process)
{
    const struct lifecycle *lifecycle = &process->lifecycle;
    snprintf(row->name, sizeof row->name, "%s", process->name);
    snprintf(row->group, sizeof row->group, "%s", process->group);
    row->pid = process->pid;
    row->state = (int32_t)lifecycle->state;
    row->was_ready = lifecycle->was_ready;
    row->is_drained = process->is_drained || gpu_guard_holds(node, process);
    row->is_stale = process->is_stale;
    row->is_retired = process->is_retired;
    row->started_ns = process->started_ns;
    memcpy(row->restarts, process->restarts, sizeof row->restarts);
    const struct death *death = death_history_last(&lifecycle->deaths);
    row->death_ns = death != NULL ? death->at_ns : 0;
    row->death[0] = '\0';
    if (death != NULL)
        death_format(death, row->death);
    row->memory_limit_bytes = process->memory.limit_bytes;
    row->is_crash_looping = death_history_row(&lifecycle->deaths) >= DEATH_LOOP_COUNT ||
                            breaker_is_open(&node->roster, process, clock_monotonic_ns());
    write_place(row, process, node->plan.topology);
}

void node_write_status(struct node *node)
{
    enum status_phase phase = STATUS_PHASE_STARTING;
    if (node->is_stopping)
        phase = STATUS_PHASE_STOPPING;
    else if (node->is_announced)
        phase = STATUS_PHASE_RUNNING;
    struct status_process *rows = status_page_begin(node->page, node->roster.count);
    for (size_t i = 0; i < node->roster.count; i++)
        write_row(node, &rows[i], node->roster.processes[i]);
    struct status_gpu gpus[STATUS_GPU_MAX];
    status_page_set_gpus(node->page, gpus, gpu_guard_fill(node, gpus));
    status_page_end(node->page, phase);
    status_page_beat(node->page, clock_monotonic_ns());
}

/* Deaths */

static void log_death(const struct process *process, pid_t pid, const char *reason)
{
    const struct lifecycle *lifecycle = &process->lifecycle;
    char quoted[DEATH_TEXT_MAX + 8];
    log_quote(reason, quoted, sizeof quoted);
    switch (lifecycle->state) {
    case LIFECYCLE_STOPPED:
    case LIFECYCLE_IDLE: /* restarts */
        log_info("process.stopped", "name=%s pid=%d reason=%s", process->name, (int)pid, quoted);
        return;
    case LIFECYCLE_FAILED:
        /* Of the helper for GPUs: it has nothing to look at, as it said itself. */
        log_write(process->rank == PROCESS_RANK_GPU_HEALTH ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
                  "process.failed", "name=%s pid=%d reason=%s restart=never", process->name,
                  (int)pid, quoted);
        return;
    default:
        log_warn("process.died", "name=%s pid=%d reason=%s state=%s restart_ms=%d", process->name,
                 (int)pid, quoted, lifecycle_state_name(lifecycle->state),
                 (int)(death_history_delay_ns(&lifecycle->deaths) / NS_PER_MS));
        if (death_history_row(&lifecycle->deaths) == DEATH_LOOP_COUNT)
            log_error("process.crash_looping", "name=%s deaths=%d", process->name,
                      DEATH_LOOP_COUNT);
    }
}

static void note_death(struct node *node, const struct process *process, pid_t pid,
                       const struct death *death)
{
    char reason[DEATH_TEXT_MAX];
    log_death(process, pid, death_format(death, reason));
    if (process->lifecycle.state == LIFECYCLE_BACKOFF &&
        breaker_was_opened(&node->roster, process, clock_monotonic_ns()))
        log_error("group.crash_looping", "group=%s started=\"one at a time\"", process->group);
    if (process->rank == PROCESS_RANK_WORKER && pid != 0) {
        link_channel_add(&node->channel, pid, process->instance_id, reason);
        link_channel_send(&node->channel, roster_link(&node->roster)->link_fd);
    }
    if (process->rank == PROCESS_RANK_GPU_HEALTH)
        gpu_guard_forget(node);
}

/* One of ours that died in front of strangers is left to its pidfd; they are looked at again after
 * it. */
void node_reap_strangers(struct node *node)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 ||
            roster_find_pid(&node->roster, info.si_pid) != NULL)
            return;
        waitpid(info.si_pid, NULL, WNOHANG);
        log_debug("stranger.reaped", "pid=%d", (int)info.si_pid);
    }
}

/* News of a process */

static void take_death(void *context, void *subject)
{
    struct node *node = context;
    struct process *process = subject;
    pid_t pid = process->pid;
    uint64_t started_ns = process->started_ns;
    struct death death;
    if (pid == 0 || !process_reap(process, &node->setting, &death))
        return;
    note_death(node, process, pid, &death);
    node_log_keep(node, process, pid, death.at_ns - started_ns, &death);
    node_reap_strangers(node);
}

static void take_ready(void *context, void *subject)
{
    (void)context;
    struct process *process = subject;
    if (process_read_ready(process))
        log_info("process.ready", "name=%s pid=%d", process->name, (int)process->pid);
}

static void take_gpu_news(void *context, void *subject)
{
    gpu_guard_take(context, subject);
}

static void take_link_news(void *context, void *subject)
{
    order_take(context, subject);
}

/* What is done to a process */

static void watch(struct node *node, struct process *process, int fd, struct loop_source *source,
                  void (*take)(void *context, void *subject))
{
    struct error err = {0};
    *source = (struct loop_source){.take = take, .context = node, .subject = process};
    /* Only the kernel's memory can run out here; an unwatched child would be lost to us. */
    ASSERT(loop_watch(&node->loop, fd, source, &err) == 0);
}

void node_start(struct node *node, struct process *process)
{
    struct error err = {0};
    if (process_start(process, &node->setting, &err) != 0) {
        char quoted[ERROR_TEXT_MAX];
        log_error("process.start_failed", "name=%s error=%s", process->name,
                  log_quote(err.text, quoted, sizeof quoted));
        note_death(node, process, 0, death_history_last(&process->lifecycle.deaths));
        return;
    }
    watch(node, process, process->pidfd, &process->death_source, take_death);
    watch(node, process, process->ready_fd, &process->ready_source, take_ready);
    node_log_watch(node, process);
    if (process->rank == PROCESS_RANK_LINK) {
        watch(node, process, process->link_fd, &process->link_source, take_link_news);
        link_channel_restart(&node->channel);
        link_channel_send(&node->channel, process->link_fd);
    }
    if (process->rank == PROCESS_RANK_GPU_HEALTH)
        watch(node, process, process->gpu_fd, &process->gpu_source, take_gpu_news);
    log_info("process.started", "name=%s pid=%d instance=%s", process->name, (int)process->pid,
             process->instance_id);
}

void node_take_over(struct node *node, struct process *process, int log_fd)
{
    struct error err = {0};
    ASSERT(process_adopt_log(process, log_fd, &err) == 0); /* little, and at the start */
    watch(node, process, process->pidfd, &process->death_source, take_death);
    if (process->ready_fd >= 0)
        watch(node, process, process->ready_fd, &process->ready_source, take_ready);
    if (log_fd >= 0)
        node_log_watch(node, process);
    if (process->link_fd >= 0)
        watch(node, process, process->link_fd, &process->link_source, take_link_news);
    memory_limit_find(&node->memory, process->name, &process->memory);
}

void node_stop(struct process *process, bool hurry)
{
    bool was_alive = lifecycle_is_alive(&process->lifecycle);
    enum lifecycle_action action = lifecycle_stop(&process->lifecycle, hurry, clock_monotonic_ns());
    process_signal(process, action);
    if (was_alive && action != LIFECYCLE_DO_NOTHING)
        log_info("process.stopping", "name=%s pid=%d how=%s", process->name, (int)process->pid,
                 action == LIFECYCLE_DO_TERM ? "drain" : "kill");
}

/* Why, when a process is drained or killed for it. */
static const char *quote_cause(enum death_cause cause, char out[DEATH_TEXT_MAX])
{
    return log_quote(death_cause_text(cause), out, DEATH_TEXT_MAX);
}

static void log_replacing(const struct process *process)
{
    char cause[DEATH_TEXT_MAX];
    enum log_level level =
        process->lifecycle.cause == DEATH_CAUSE_RESTART ? LOG_LEVEL_INFO : LOG_LEVEL_WARN;
    log_write(level, "process.replacing", "name=%s pid=%d reason=%s", process->name,
              (int)process->pid, quote_cause(process->lifecycle.cause, cause));
}

void node_replace(struct process *process, enum death_cause cause)
{
    enum lifecycle_action action =
        lifecycle_replace(&process->lifecycle, cause, clock_monotonic_ns());
    process_signal(process, action);
    if (action == LIFECYCLE_DO_TERM)
        log_replacing(process);
}

void node_tick(struct node *node, struct process *process)
{
    enum lifecycle_action action = process_tick(process);
    uint64_t now_ns = clock_monotonic_ns();
    char cause[DEATH_TEXT_MAX];
    switch (action) {
    case LIFECYCLE_DO_NOTHING:
        return;
    case LIFECYCLE_DO_START:
        if (breaker_may_start(&node->roster, process, now_ns))
            node_start(node, process);
        else
            lifecycle_postpone(&process->lifecycle, now_ns + BREAKER_LOOK_NS);
        return;
    case LIFECYCLE_DO_TERM:
        log_replacing(process);
        process_signal(process, action);
        return;
    case LIFECYCLE_DO_KILL:
        log_warn("process.killed", "name=%s pid=%d reason=%s", process->name, (int)process->pid,
                 quote_cause(process->lifecycle.cause, cause));
        process_signal(process, action);
        return;
    }
    UNREACHABLE();
}

/* Often enough for a limit that is passed by megabytes a second; the loop wakes for it no more
 * often than for its heartbeat. */
#define MEMORY_LOOK_NS NS_PER_S

void node_watch_memory(struct node *node)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (now_ns - node->memory_ns < MEMORY_LOOK_NS)
        return;
    node->memory_ns = now_ns;
    memory_limit_turn(&node->memory, now_ns);
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        uint64_t bytes;
        if (process->pid == 0 || !memory_limit_is_exceeded(&process->memory, process->pid, &bytes))
            continue;
        process->lifecycle.memory_mb = (uint32_t)(bytes >> 20);
        node_replace(process, DEATH_CAUSE_MEMORY);
    }
}

void node_end(struct node *node, int exit_code)
{
    if (node->is_stopping)
        return;
    node->is_stopping = true;
    node->exit_code = exit_code;
}
