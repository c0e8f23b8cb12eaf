/* SPDX-License-Identifier: Apache-2.0 */
/* process: see process.h. */
#include "supervisor/process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/child.h"
#include "common/log.h"
#include "supervisor/gpu/gpu_record.h"
#include "supervisor/link/http_socket.h"
#include "supervisor/link/link_message.h"
#include "supervisor/log/log_output.h"
#include "supervisor/status_page.h"

/* The engine finishes its batch, syncs and closes its store. */
#define ENGINE_GRACE_NS (10 * NS_PER_S)
/* Its loop turns each second; a commit on a dying disk may take long. */
#define ENGINE_HANG_NS (60 * NS_PER_S)
/* Storage answers what it took and closes its files. */
#define STORAGE_GRACE_NS (10 * NS_PER_S)
/* Its loop waits for nothing but sockets; the disk is its threads' business. */
#define STORAGE_HANG_NS (30 * NS_PER_S)
/* The link hands over the last deaths. */
#define LINK_GRACE_NS (2 * NS_PER_S)
/* Its loop turns each second and waits for nothing but sockets. Deaths wait for it. */
#define LINK_HANG_NS (30 * NS_PER_S)

/* Variables that tell a child who it is, besides those of its group and its GPU. */
#define VARIABLE_MAX (8 + 256)

static const char *program_name(const struct process *process)
{
    if (process->rank == PROCESS_RANK_ENGINE)
        return "argosy-engine";
    if (process->rank == PROCESS_RANK_STORAGE)
        return "argosy-storage";
    if (process->rank == PROCESS_RANK_LINK)
        return "argosy-link";
    if (process->rank == PROCESS_RANK_GPU_HEALTH)
        return "argosy-gpu-health";
    return process->pin.group->kind == FLEET_GROUP_CPU ? "argosy-worker-cpu" : "argosy-worker-gpu";
}

/* How long it may take to end, and how long it may be without progress. */
static void set_times(struct process *process)
{
    const struct fleet_group *group = process->pin.group;
    struct lifecycle *lifecycle = &process->lifecycle;
    switch (process->rank) {
    case PROCESS_RANK_ENGINE:
        lifecycle_set_times(lifecycle, ENGINE_GRACE_NS, ENGINE_HANG_NS);
        return;
    case PROCESS_RANK_STORAGE:
        lifecycle_set_times(lifecycle, STORAGE_GRACE_NS, STORAGE_HANG_NS);
        return;
    case PROCESS_RANK_LINK:
        lifecycle_set_times(lifecycle, LINK_GRACE_NS, LINK_HANG_NS);
        return;
    case PROCESS_RANK_GPU_HEALTH:
        return; /* gpu_guard.h, by the configuration */
    case PROCESS_RANK_WORKER:
        lifecycle_set_times(lifecycle, (uint64_t)group->grace_ms * NS_PER_MS,
                            (uint64_t)group->hang_ms * NS_PER_MS);
        return;
    }
    UNREACHABLE();
}

static enum process_rank find_rank(const struct placement_pin *pin)
{
    if (pin->group != NULL)
        return PROCESS_RANK_WORKER;
    if (pin->index == PLACEMENT_ENGINE)
        return PROCESS_RANK_ENGINE;
    if (pin->index == PLACEMENT_GPU_HEALTH)
        return PROCESS_RANK_GPU_HEALTH;
    return pin->index == PLACEMENT_STORAGE ? PROCESS_RANK_STORAGE : PROCESS_RANK_LINK;
}

void process_init(struct process *process, const struct placement_pin *pin)
{
    *process = (struct process){.rank = find_rank(pin),
                                .pidfd = -1,
                                .ready_fd = -1,
                                .progress_fd = -1,
                                .lifeline_fd = -1,
                                .link_fd = -1,
                                .gpu_fd = -1};
    placement_name(pin, process->name);
    if (pin->group != NULL)
        snprintf(process->group, sizeof process->group, "%s", pin->group->name);
    lifecycle_init(&process->lifecycle);
    process_plan(process, pin);
    /* as the programs name themselves in their records */
    process->writer = (struct log_line_writer){.process = program_name(process) + strlen("argosy-"),
                                               .worker = process->name};
}

void process_fini(struct process *process)
{
    log_stream_destroy(process->log);
}

void process_plan(struct process *process, const struct placement_pin *pin)
{
    process->is_misplaced |= !CPU_EQUAL(&process->pin.cpus, &pin->cpus);
    process->pin = *pin;
    process->is_retired = false;
    set_times(process);
}

void process_retire(struct process *process)
{
    process->pin.group = NULL; /* goes away with its config */
    process->is_retired = true;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_fds(struct process *process)
{
    close_fd(&process->pidfd);
    close_fd(&process->ready_fd);
    close_fd(&process->progress_fd);
    close_fd(&process->lifeline_fd);
    close_fd(&process->link_fd);
    close_fd(&process->gpu_fd);
    if (process->log != NULL)
        log_stream_close(process->log, clock_monotonic_ns());
}

/* Starting */

/* Texts of variables that only live until the program runs. */
struct variables {
    struct fleet_variable entries[VARIABLE_MAX];
    size_t count;
    char supervisor_pid[16];
    char mps_percentage[16];
};

static void add_variable(struct variables *variables, const char *name, const char *value)
{
    ASSERT(variables->count < VARIABLE_MAX);
    variables->entries[variables->count++] = (struct fleet_variable){.name = name, .value = value};
}

/* A GPU worker sees its own GPU and no other; where that has no name but a number, CUDA is made to
 * count as we do. Its share under MPS has no effect without it. */
static void add_gpu_variables(struct variables *variables, const struct placement_pin *pin)
{
    if (pin->device[0] != '\0') {
        add_variable(variables, "CUDA_DEVICE_ORDER", "PCI_BUS_ID");
        add_variable(variables, "CUDA_MODULE_LOADING", "LAZY");
    }
    if (pin->device[0] != '\0' && pin->group->mps_percentage < 100) {
        snprintf(variables->mps_percentage, sizeof variables->mps_percentage, "%d",
                 pin->group->mps_percentage);
        add_variable(variables, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", variables->mps_percentage);
    }
    add_variable(variables, "CUDA_VISIBLE_DEVICES", pin->device);
}

static void fill_variables(struct variables *variables, const struct process *process,
                           const struct process_setting *setting)
{
    variables->count = 0;
    snprintf(variables->supervisor_pid, sizeof variables->supervisor_pid, "%d", (int)getpid());
    add_variable(variables, CHILD_ENV_SUPERVISOR_PID, variables->supervisor_pid);
    add_variable(variables, CHILD_ENV_INSTANCE_ID, process->instance_id);
    add_variable(variables, CHILD_ENV_NODE, setting->config->node);
    const struct fleet_group *group = process->pin.group;
    if (group == NULL)
        return;
    /* The first of two values counts: the group's own before what we choose. */
    for (size_t i = 0; i < group->environment_count; i++)
        add_variable(variables, group->environment[i].name, group->environment[i].value);
    if (group->kind == FLEET_GROUP_GPU)
        add_gpu_variables(variables, &process->pin);
}

/* The child's ends of its pipes. */
struct ends {
    int ready;
    int progress;
    int lifeline;
    int link;
    int gpu;
    int output;
};

/* ours reads (or, for the lifeline, writes). */
static int open_pipe(int *ret_reading, int *ret_writing)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) != 0)
        return errno;
    *ret_reading = fds[0];
    *ret_writing = fds[1];
    return 0;
}

/* For records, both ways. */
static int open_socket(int *ret_ours, int *ret_theirs)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
        return errno;
    *ret_ours = fds[0];
    *ret_theirs = fds[1];
    return 0;
}

static int open_log(struct process *process, int *ret_end)
{
    if (process->log == NULL &&
        log_stream_create(&process->writer, log_output_write, &process->log, NULL) != 0)
        return ENOMEM;
    return log_stream_open(process->log, ret_end);
}

int process_adopt_log(struct process *process, int log_fd, struct error *err)
{
    int code = log_stream_create(&process->writer, log_output_write, &process->log, err);
    if (code == 0 && log_fd >= 0)
        log_stream_adopt(process->log, log_fd);
    return code;
}

static int open_pipes(struct process *process, struct ends *ends)
{
    int errnum = open_pipe(&process->ready_fd, &ends->ready);
    if (errnum == 0)
        errnum = open_pipe(&process->progress_fd, &ends->progress);
    if (errnum == 0)
        errnum = open_pipe(&ends->lifeline, &process->lifeline_fd);
    if (errnum == 0 && process->rank == PROCESS_RANK_LINK)
        errnum = open_socket(&process->link_fd, &ends->link);
    if (errnum == 0 && process->rank == PROCESS_RANK_GPU_HEALTH)
        errnum = open_socket(&process->gpu_fd, &ends->gpu);
    if (errnum == 0)
        errnum = open_log(process, &ends->output);
    return errnum;
}

static void close_ends(struct ends *ends)
{
    close_fd(&ends->ready);
    close_fd(&ends->progress);
    close_fd(&ends->lifeline);
    close_fd(&ends->link);
    close_fd(&ends->gpu);
    close_fd(&ends->output);
}

static void add_link_fds(struct spawn_request *request, const struct process_setting *setting,
                         int link_fd)
{
    request->fds[request->fd_count++] = (struct spawn_fd){LINK_ENV_FD, link_fd};
    request->fds[request->fd_count++] = (struct spawn_fd){STATUS_ENV_FD, setting->status_fd};
    if (setting->http_fd >= 0)
        request->fds[request->fd_count++] = (struct spawn_fd){HTTP_ENV_FD, setting->http_fd};
}

static const char *const listen_variables[] = {CHILD_ENV_LISTEN_FD "1", CHILD_ENV_LISTEN_FD "2",
                                               CHILD_ENV_LISTEN_FD "3", CHILD_ENV_LISTEN_FD "4"};
_Static_assert(sizeof listen_variables / sizeof listen_variables[0] == CHILD_LISTEN_MAX &&
                   CHILD_LISTEN_MAX == SERVICE_ENGINE_SOCKETS_MAX,
               "a variable for each socket");

static void add_engine_fds(struct spawn_request *request, const struct service_manager *manager)
{
    for (size_t i = 0; i < manager->engine_fd_count; i++)
        request->fds[request->fd_count++] =
            (struct spawn_fd){listen_variables[i], manager->engine_fds[i]};
}

/* Where its core dump would land; a program that cannot have that runs all the same. */
static void choose_folder(const struct process *process, const struct process_setting *setting,
                          struct spawn_request *request, char place[PATH_MAX])
{
    struct error err = {0};
    char quoted[ERROR_TEXT_MAX + 8];
    if (crash_folder_core_place(setting->crashes, process->name, place, &err) != 0)
        log_warn("process.core_unkept", "name=%s error=%s", process->name,
                 log_quote(err.text, quoted, sizeof quoted));
    else if (place[0] != '\0')
        request->folder = place;
}

static int spawn_program(struct process *process, const struct process_setting *setting,
                         const struct ends *ends, int *ret_errno, struct error *err)
{
    const char *name = program_name(process);
    char path[PATH_MAX];
    char index[16];
    snprintf(path, sizeof path, "%s/%s", setting->program_dir, name);
    snprintf(index, sizeof index, "%d", process->pin.index);
    bool is_worker = process->rank == PROCESS_RANK_WORKER;
    const char *arguments[] = {name,  "--config", setting->config_path, "--group", "", "--index",
                               index, NULL};
    if (is_worker)
        arguments[4] = process->pin.group->name;
    else
        arguments[3] = NULL;

    struct variables *variables = malloc(sizeof *variables);
    if (variables == NULL) {
        *ret_errno = ENOMEM;
        return error_set(err, ERR_MEMORY, "could not start %s: out of memory", name);
    }
    fill_variables(variables, process, setting);
    struct spawn_request request = {
        .program = path,
        .arguments = arguments,
        .environment = variables->entries,
        .environment_count = variables->count,
        .fds = {{CHILD_ENV_READY_FD, ends->ready},
                {CHILD_ENV_PROGRESS_FD, ends->progress},
                {CHILD_ENV_LIFELINE_FD, ends->lifeline}},
        .fd_count = 3,
        .pin = &process->pin,
        .output_fd = ends->output,
        .core_bytes_max = crash_folder_core_limit(setting->crashes),
    };
    if (process->rank == PROCESS_RANK_ENGINE)
        add_engine_fds(&request, setting->manager);
    char core_place[PATH_MAX];
    choose_folder(process, setting, &request, core_place);
    if (process->rank == PROCESS_RANK_LINK)
        add_link_fds(&request, setting, ends->link);
    if (process->rank == PROCESS_RANK_GPU_HEALTH)
        request.fds[request.fd_count++] = (struct spawn_fd){GPU_ENV_FD, ends->gpu};
    int cgroup_fd = -1;
    if (is_worker)
        cgroup_fd = memory_limit_enter(setting->memory, process->name, &process->memory);
    request.cgroup_fd = cgroup_fd >= 0 ? cgroup_fd : 0;
    struct spawned spawned;
    int code = spawn(&request, &spawned, ret_errno, err);
    close_fd(&cgroup_fd);
    free(variables);
    if (code != 0)
        return code;
    process->pid = spawned.pid;
    process->pidfd = spawned.pidfd;
    process->started_ns = clock_monotonic_ns();
    process->is_misplaced = false;
    process->pins_refused += spawned.pin_errno != 0 || spawned.memory_errno != 0;
    if (spawned.pin_errno != 0)
        log_warn("process.pin_refused", "name=%s errno=%d", process->name, spawned.pin_errno);
    if (spawned.memory_errno != 0)
        log_warn("process.memory_bind_refused", "name=%s errno=%d", process->name,
                 spawned.memory_errno);
    if (spawned.cgroup_errno != 0) {
        log_warn("process.cgroup_refused", "name=%s errno=%d", process->name, spawned.cgroup_errno);
        process->memory.has_leaf = false; /* its memory is watched */
    }
    return 0;
}

static struct death note_death(struct process *process, int status, enum death_cause cause)
{
    struct death death = lifecycle_died(&process->lifecycle, status, cause, clock_monotonic_ns());
    process->started_ns = 0;
    if (process->lifecycle.state == LIFECYCLE_BACKOFF)
        process->restarts[death_kind(&death)]++;
    return death;
}

int process_start(struct process *process, const struct process_setting *setting, struct error *err)
{
    struct ends ends = {-1, -1, -1, -1, -1, -1};
    lifecycle_started(&process->lifecycle, clock_monotonic_ns());
    process->is_stale = false;
    uuid_create(process->instance_id);
    int errnum = open_pipes(process, &ends);
    int code = errnum == 0 ? spawn_program(process, setting, &ends, &errnum, err)
                           : error_set_errno(err, ERR_IO, errnum, "could not start %s",
                                             program_name(process));
    close_ends(&ends);
    if (code != 0) {
        close_fds(process);
        memory_limit_leave(setting->memory, process->name, &process->memory);
        note_death(process, errnum, DEATH_CAUSE_EXEC);
    }
    return code;
}

/* News */

bool process_read_ready(struct process *process)
{
    char text[16];
    ssize_t count = read(process->ready_fd, text, sizeof text);
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    close_fd(&process->ready_fd);
    if (count < 6 || memcmp(text, "ready\n", 6) != 0)
        return false;
    lifecycle_ready(&process->lifecycle, clock_monotonic_ns());
    return true;
}

enum lifecycle_action process_tick(struct process *process)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (process->lifecycle.state == LIFECYCLE_READY) {
        char bytes[4096];
        ssize_t count;
        while ((count = read(process->progress_fd, bytes, sizeof bytes)) > 0)
            lifecycle_progress(&process->lifecycle, now_ns);
    }
    return lifecycle_tick(&process->lifecycle, now_ns);
}

void process_set_stale(struct process *process)
{
    enum lifecycle_state state = process->lifecycle.state;
    process->is_stale = state != LIFECYCLE_IDLE && state != LIFECYCLE_STOPPED;
    process->stale_ns = clock_monotonic_ns();
}

void process_hang_up(const struct process *process)
{
    if (process->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, process->pidfd, SIGHUP, NULL, 0);
}

void process_signal(struct process *process, enum lifecycle_action action)
{
    if (action == LIFECYCLE_DO_TERM)
        syscall(SYS_pidfd_send_signal, process->pidfd, SIGTERM, NULL, 0);
    else if (action == LIFECYCLE_DO_KILL)
        syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
}

/* Why somebody else killed it. */
static enum death_cause explain(const struct process *process,
                                const struct process_setting *setting, int status)
{
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL ||
        process->lifecycle.state == LIFECYCLE_KILLING)
        return DEATH_CAUSE_NONE;
    return memory_limit_explain(setting->memory, process->name, &process->memory,
                                clock_monotonic_ns());
}

bool process_reap(struct process *process, const struct process_setting *setting,
                  struct death *ret_death)
{
    /* While it is a zombie its group's number is its own: what it left behind goes first. */
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
        info.si_pid == 0)
        return false;
    kill(-process->pid, SIGKILL);
    int status = 0;
    if (waitpid(process->pid, &status, WNOHANG) != process->pid)
        return false;
    /* It may have said so and died before we looked. */
    if (process->ready_fd >= 0)
        process_read_ready(process);
    process->pid = 0;
    close_fds(process);
    enum death_cause cause = explain(process, setting, status);
    memory_limit_leave(setting->memory, process->name, &process->memory);
    *ret_death = note_death(process, status, cause);
    return true;
}
