/* SPDX-License-Identifier: Apache-2.0 */
/* handover: see handover.h. */
#include "supervisor/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/exit_code.h"
#include "common/log.h"
#include "supervisor/gpu/gpu_guard.h"
#include "supervisor/handover_text.h"
#include "supervisor/log/log_output.h"
#include "supervisor/replan.h"
#include "supervisor/service_manager.h"

/* It reads the configuration and the machine, as at a start. */
#define TRY_TIMEOUT_MS 5000
/* What the log holds back for a reader that is slow. */
#define LOG_WAIT_MS 100

struct handover {
    struct handover_node node;
    struct handover_line *lines; /* all but the node's, in order */
    size_t count;
};

/* Writing */

static void print_node(const struct node *node, struct buffer *out)
{
    struct handover_line line = {.kind = HANDOVER_NODE,
                                 .node = {.lock_fd = node->setting.lock_fd,
                                          .http_fd = node->setting.http_fd,
                                          .is_announced = node->is_announced,
                                          .last_sequence = node->channel.last_sequence}};
    snprintf(line.node.config_path, sizeof line.node.config_path, "%s", node->setting.config_path);
    handover_line_print(&line, out);
}

static void print_scales(const struct node *node, struct buffer *out)
{
    const struct fleet_config *config = node->plan.config;
    for (size_t i = 0; i < node->source.scale_count; i++) {
        const struct plan_scale *scale = &node->source.scales[i];
        const struct fleet_group *group = fleet_config_group(config, scale->group);
        struct handover_line line = {
            .kind = HANDOVER_SCALE,
            .scale = {.processes = scale->processes, .is_kept = scale->is_kept}};
        if (group == NULL)
            continue;
        line.scale.configured = node->plan.configured[group - config->groups];
        snprintf(line.scale.group, sizeof line.scale.group, "%s", scale->group);
        handover_line_print(&line, out);
    }
}

static void print_deaths(const struct death_history *history, struct buffer *out)
{
    unsigned known = history->count < DEATH_HISTORY_MAX ? history->count : DEATH_HISTORY_MAX;
    for (unsigned i = known; i > 0; i--) {
        const struct death *death = &history->deaths[(history->count - i) % DEATH_HISTORY_MAX];
        const struct handover_line line = {.kind = HANDOVER_DEATH,
                                           .death = {.at_ns = death->at_ns,
                                                     .healthy_ns = death->healthy_ns,
                                                     .status = death->status,
                                                     .cause = (int)death->cause,
                                                     .memory_mb = (int)death->memory_mb,
                                                     .memory_max_mb = (int)death->memory_max_mb}};
        handover_line_print(&line, out);
    }
}

static void print_process(const struct process *process, struct buffer *out)
{
    const struct lifecycle *lifecycle = &process->lifecycle;
    struct handover_line line = {
        .kind = HANDOVER_PROCESS,
        .process = {.pid = process->pid,
                    .pidfd = process->pidfd,
                    .ready_fd = process->ready_fd,
                    .progress_fd = process->progress_fd,
                    .lifeline_fd = process->lifeline_fd,
                    .link_fd = process->link_fd,
                    .log_fd = process->log != NULL ? log_stream_fd(process->log) : -1,
                    .started_ns = process->started_ns,
                    .state = (int)lifecycle->state,
                    .cause = (int)lifecycle->cause,
                    .is_stopping = lifecycle->is_stopping,
                    .was_ready = lifecycle->was_ready,
                    .has_progress = lifecycle->has_progress,
                    .ready_ns = lifecycle->ready_ns,
                    .progress_ns = lifecycle->progress_ns,
                    .deadline_ns = lifecycle->deadline_ns,
                    .is_drained = process->is_drained,
                    .is_drain_kept = process->is_drain_kept,
                    .is_stale = process->is_stale}};
    struct handover_process *to = &line.process;
    snprintf(to->name, sizeof to->name, "%s", process->name);
    snprintf(to->instance_id, sizeof to->instance_id, "%s", process->instance_id);
    snprintf(to->device, sizeof to->device, "%s", process->pin.device);
    for (int kind = 0; kind < DEATH_KIND_COUNT; kind++)
        to->restarts[kind] = (int)process->restarts[kind];
    handover_line_print(&line, out);
    print_deaths(&lifecycle->deaths, out);
}

static void print_lost(const struct link_channel *channel, struct buffer *out)
{
    for (size_t i = 0; i < channel->pending_count; i++) {
        const struct link_death *death = &channel->pending[i];
        struct handover_line line = {.kind = HANDOVER_LOST,
                                     .lost = {.sequence = death->sequence, .pid = (int)death->pid}};
        snprintf(line.lost.instance_id, sizeof line.lost.instance_id, "%s", death->instance_id);
        snprintf(line.lost.reason, sizeof line.lost.reason, "%s", death->reason);
        handover_line_print(&line, out);
    }
}

static int write_state(const struct node *node, int *ret_fd, struct error *err)
{
    struct buffer text = {0};
    print_node(node, &text);
    print_scales(node, &text);
    for (size_t i = 0; i < node->roster.count; i++)
        print_process(node->roster.processes[i], &text);
    print_lost(&node->channel, &text);
    int fd = memfd_create("argosy-handover", MFD_CLOEXEC);
    bool is_written =
        fd >= 0 && !text.failed && write(fd, text.data, text.size) == (ssize_t)text.size;
    int code = is_written ? 0 : error_set_errno(err, ERR_IO, errno, "cannot write the handover");
    if (code != 0 && fd >= 0)
        close(fd);
    buffer_fini(&text);
    if (code == 0)
        *ret_fd = fd;
    return code;
}

/* Reading */

static int add_line(struct handover *handover, const char *text, size_t size, struct error *err)
{
    struct handover_line *line = &handover->lines[handover->count];
    int code = handover_line_read(text, size, line, err);
    if (code != 0)
        return code;
    if (line->kind == HANDOVER_NODE)
        handover->node = line->node;
    else
        handover->count++;
    return 0;
}

static int parse(struct handover *handover, const char *text, size_t size, struct error *err)
{
    size_t lines = 0;
    for (size_t i = 0; i < size; i++)
        lines += text[i] == '\n';
    handover->lines = calloc(lines + 1, sizeof handover->lines[0]);
    if (handover->lines == NULL)
        return error_set(err, ERR_MEMORY, "handover: out of memory");
    int code = 0;
    const char *end = text + size;
    while (code == 0 && text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        if (stop == NULL)
            return error_set(err, ERR_INVALID, "handover: the last line is cut off");
        code = add_line(handover, text, (size_t)(stop - text), err);
        text = stop + 1;
    }
    if (code == 0 && handover->node.config_path[0] == '\0')
        code = error_set(err, ERR_INVALID, "handover: nothing of the node is in it");
    return code;
}

static int read_fd(int fd, struct handover *handover, struct error *err)
{
    struct stat stat;
    if (fstat(fd, &stat) != 0 || stat.st_size <= 0 || (size_t)stat.st_size > HANDOVER_SIZE_MAX)
        return error_set(err, ERR_INVALID, "handover: descriptor %d is none", fd);
    size_t size = (size_t)stat.st_size;
    void *text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (text == MAP_FAILED)
        return error_set_errno(err, ERR_INVALID, errno, "handover: cannot read descriptor %d", fd);
    int code = parse(handover, text, size, err);
    munmap(text, size);
    return code;
}

int handover_read(struct handover **ret_handover, struct error *err)
{
    const char *text = getenv(HANDOVER_ENV_FD);
    *ret_handover = NULL;
    if (text == NULL)
        return 0;
    char *end;
    long fd = strtol(text, &end, 10);
    bool is_number = end != text && *end == '\0' && fd > STDERR_FILENO && fd <= INT_MAX;
    if (!is_number)
        return error_set(err, ERR_INVALID, HANDOVER_ENV_FD ": \"%.32s\" is no descriptor", text);
    unsetenv(HANDOVER_ENV_FD);
    struct handover *handover = calloc(1, sizeof *handover);
    int code = handover != NULL ? read_fd((int)fd, handover, err)
                                : error_set(err, ERR_MEMORY, "handover: out of memory");
    close((int)fd);
    if (code != 0) {
        handover_destroy(handover);
        return code;
    }
    *ret_handover = handover;
    return 0;
}

void handover_destroy(struct handover *handover)
{
    if (handover == NULL)
        return;
    free(handover->lines);
    free(handover);
}

const char *handover_config_path(const struct handover *handover)
{
    return handover->node.config_path;
}

int handover_http_fd(const struct handover *handover)
{
    return handover->node.http_fd;
}

int handover_lock_fd(const struct handover *handover)
{
    return handover->node.lock_fd;
}

void handover_scale(const struct handover *handover, struct plan_source *source, struct plan *plan)
{
    for (size_t i = 0; i < handover->count; i++) {
        const struct handover_scale *from = &handover->lines[i].scale;
        if (handover->lines[i].kind != HANDOVER_SCALE || source->scale_count == FLEET_GROUPS_MAX)
            continue;
        struct plan_scale *scale = &source->scales[source->scale_count++];
        *scale = (struct plan_scale){.processes = from->processes, .is_kept = from->is_kept};
        snprintf(scale->group, sizeof scale->group, "%s", from->group);
        const struct fleet_group *group = fleet_config_group(plan->config, from->group);
        if (group != NULL)
            plan->configured[group - plan->config->groups] = from->configured;
    }
}

/* Taking over */

static void keep_fd(int fd)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static void drop_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

/* The link knows the old status page, and has the answer to whoever wanted this: it is replaced a
 * moment later. The helper for GPUs has lost its socket. */
static bool is_handed_over(const struct process *process)
{
    return process->rank != PROCESS_RANK_LINK && process->rank != PROCESS_RANK_GPU_HEALTH;
}

static void take_lifecycle(struct lifecycle *lifecycle, const struct handover_process *from)
{
    lifecycle->state = (enum lifecycle_state)from->state;
    lifecycle->cause = (enum death_cause)from->cause;
    lifecycle->is_stopping = from->is_stopping;
    lifecycle->was_ready = from->was_ready;
    lifecycle->has_progress = from->has_progress;
    lifecycle->ready_ns = from->ready_ns;
    lifecycle->progress_ns = from->progress_ns;
    lifecycle->deadline_ns = from->deadline_ns;
}

static void take_process(struct node *node, struct process *process,
                         const struct handover_process *from)
{
    take_lifecycle(&process->lifecycle, from);
    process->is_drained = from->is_drained;
    process->is_drain_kept = from->is_drain_kept;
    process->started_ns = from->started_ns;
    for (int kind = 0; kind < DEATH_KIND_COUNT; kind++)
        process->restarts[kind] = (uint32_t)from->restarts[kind];
    /* Another GPU than it has takes a new process. */
    process->is_stale = from->is_stale || strcmp(from->device, process->pin.device) != 0;
    if (from->pid == 0)
        return;
    process->pid = from->pid;
    snprintf(process->instance_id, sizeof process->instance_id, "%s", from->instance_id);
    process->pidfd = from->pidfd;
    process->ready_fd = from->ready_fd;
    process->progress_fd = from->progress_fd;
    process->lifeline_fd = from->lifeline_fd;
    process->link_fd = from->link_fd;
    keep_fd(from->pidfd);
    keep_fd(from->ready_fd);
    keep_fd(from->progress_fd);
    keep_fd(from->lifeline_fd);
    keep_fd(from->link_fd);
    keep_fd(from->log_fd);
    node_take_over(node, process, from->log_fd);
    if (!is_handed_over(process))
        process_set_stale(process);
}

static void kill_stranger(const struct handover_process *from)
{
    log_error("process.unknown", "name=%s pid=%d", from->name, from->pid);
    if (from->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, from->pidfd, SIGKILL, NULL, 0);
    drop_fd(from->pidfd);
    drop_fd(from->ready_fd);
    drop_fd(from->progress_fd);
    drop_fd(from->lifeline_fd);
    drop_fd(from->link_fd);
    drop_fd(from->log_fd);
}

static void take_death(struct process *process, const struct handover_death *from)
{
    const struct death death = {.at_ns = from->at_ns,
                                .healthy_ns = from->healthy_ns,
                                .status = from->status,
                                .cause = (enum death_cause)from->cause,
                                .memory_mb = (uint32_t)from->memory_mb,
                                .memory_max_mb = (uint32_t)from->memory_max_mb};
    death_history_add(&process->lifecycle.deaths, &death);
}

static void take_lost(struct link_channel *channel, const struct handover_lost *from)
{
    channel->last_sequence = from->sequence - 1;
    link_channel_add(channel, from->pid, from->instance_id, from->reason);
}

void handover_apply(const struct handover *handover, struct node *node)
{
    struct process *process = NULL;
    size_t count = 0;
    for (size_t i = 0; i < handover->count; i++) {
        const struct handover_line *line = &handover->lines[i];
        if (line->kind == HANDOVER_PROCESS) {
            process = roster_find_name(&node->roster, line->process.name);
            if (process != NULL)
                take_process(node, process, &line->process);
            else if (line->process.pid != 0)
                kill_stranger(&line->process);
            count += process != NULL && process->pid != 0;
        } else if (line->kind == HANDOVER_DEATH && process != NULL) {
            take_death(process, &line->death);
        } else if (line->kind == HANDOVER_LOST) {
            take_lost(&node->channel, &line->lost);
        }
    }
    node->channel.last_sequence = handover->node.last_sequence;
    node->is_announced = handover->node.is_announced;
    log_info("supervisor.upgraded", "processes=%zu", count);
    replan_move(node); /* where this plan has them */
}

/* Handing over */

/* The file this program was started from, or what has replaced it. */
static int find_program(char ret_path[PATH_MAX], struct error *err)
{
    static const char deleted[] = " (deleted)";
    ssize_t length = readlink("/proc/self/exe", ret_path, PATH_MAX - 1);
    if (length < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot find this program's file");
    ret_path[length] = '\0';
    size_t tail = sizeof deleted - 1;
    if ((size_t)length > tail && strcmp(ret_path + length - tail, deleted) == 0)
        ret_path[(size_t)length - tail] = '\0';
    return 0;
}

static int check_state(const struct node *node, struct error *err)
{
    for (size_t i = 0; i < node->roster.count; i++) {
        if (node->roster.processes[i]->is_retired)
            return error_set(err, ERR_STATE, "%s is on its way out: try again when it has ended",
                             node->roster.processes[i]->name);
    }
    if (strpbrk(node->setting.config_path, "\n\x1f") != NULL)
        return error_set(err, ERR_UNSUPPORTED, "the data folder's name has a control character");
    return 0;
}

static int wait_for(const struct spawned *spawned, const char *program, struct error *err)
{
    struct pollfd death = {.fd = spawned->pidfd, .events = POLLIN};
    int status = 0;
    int count;
    while ((count = poll(&death, 1, TRY_TIMEOUT_MS)) < 0 && errno == EINTR)
        ;
    if (count != 1)
        kill(spawned->pid, SIGKILL);
    while (waitpid(spawned->pid, &status, 0) < 0 && errno == EINTR)
        ;
    close(spawned->pidfd);
    if (count == 1 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_OK)
        return 0;
    const struct death how = {.status = status};
    char text[DEATH_TEXT_MAX];
    return error_set(err, ERR_UNAVAILABLE, "%s could not take over: %s", program,
                     count == 1 ? death_format(&how, text) : "it does not answer");
}

int handover_try(const struct node *node, struct error *err)
{
    char program[PATH_MAX];
    int fd = -1;
    int errnum;
    struct spawned spawned;
    int code = check_state(node, err);
    if (code == 0)
        code = find_program(program, err);
    if (code == 0)
        code = write_state(node, &fd, err);
    if (code != 0)
        return code;
    const char *const arguments[] = {"argosy-supervisor", "--check-takeover", NULL};
    const struct spawn_request request = {
        .program = program, .arguments = arguments, .fds = {{HANDOVER_ENV_FD, fd}}, .fd_count = 1};
    code = spawn(&request, &spawned, &errnum, err);
    close(fd);
    return code == 0 ? wait_for(&spawned, program, err) : code;
}

/* Whether descriptors outlive the exec. */
static void set_inherited(const struct node *node, int state_fd, bool is_inherited)
{
    int flags = is_inherited ? 0 : FD_CLOEXEC;
    const int own[] = {state_fd, node->setting.lock_fd, node->setting.http_fd};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        if (own[i] >= 0)
            fcntl(own[i], F_SETFD, flags);
    }
    for (size_t i = 0; i < node->roster.count; i++) {
        const struct process *process = node->roster.processes[i];
        const int fds[] = {
            process->pidfd,       process->ready_fd,
            process->progress_fd, process->lifeline_fd,
            process->link_fd,     process->log != NULL ? log_stream_fd(process->log) : -1};
        for (size_t k = 0; k < sizeof fds / sizeof fds[0]; k++) {
            if (fds[k] >= 0)
                fcntl(fds[k], F_SETFD, flags);
        }
    }
}

int handover_exec(struct node *node, struct error *err)
{
    char program[PATH_MAX];
    char number[16];
    int fd = -1;
    int code = find_program(program, err);
    if (code == 0)
        code = write_state(node, &fd, err);
    if (code == 0)
        code = service_manager_hand_on(node->setting.manager, err);
    if (code != 0) {
        service_manager_take_back(node->setting.manager);
        drop_fd(fd);
        return code;
    }
    log_info("supervisor.upgrading", "program=%s", program);
    log_output_close(LOG_WAIT_MS);
    snprintf(number, sizeof number, "%d", fd);
    setenv(HANDOVER_ENV_FD, number, 1);
    set_inherited(node, fd, true);
    execv(program, (char *const *)(uintptr_t)node->setting.arguments);
    int errnum = errno;
    set_inherited(node, fd, false);
    service_manager_take_back(node->setting.manager);
    unsetenv(HANDOVER_ENV_FD);
    close(fd);
    return error_set_errno(err, ERR_UNAVAILABLE, errnum, "could not become %s", program);
}
