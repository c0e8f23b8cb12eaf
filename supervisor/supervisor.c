/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor: see supervisor.h. */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/exit_code.h"
#include "common/log.h"
#include "supervisor/drain_list.h"
#include "supervisor/link_channel.h"
#include "supervisor/status_page.h"

/* What an epoll event is about: a kind, and the process's place in the upper bits. */
enum news { NEWS_SIGNAL, NEWS_DEATH, NEWS_READY, NEWS_LINK };
#define NEWS_BITS 8

struct supervisor {
    /* identity */
    struct process_setting setting;
    struct process *processes;
    size_t process_count;
    bool ends_on_hangup; /* runs in somebody's terminal, and nohup does not say otherwise */

    /* state */
    bool is_stopping;
    bool is_announced; /* "fleet ready" was said */
    int signal_count;  /* requests to end */
    int exit_code;
    struct link_channel channel;
    struct status_page *page;

    /* links */
    int epoll_fd;
    int signal_fd;
};

/* Set-up */

static int watch(struct supervisor *supervisor, int fd, enum news news, size_t place)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)place << NEWS_BITS | news};
    return epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static bool is_in_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return false;
    close(fd);
    struct sigaction hangup;
    return sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN;
}

/* What was drained to stay so is not started. */
static int recall_drains(struct supervisor *supervisor, struct error *err)
{
    struct buffer names;
    int code = drain_list_read(supervisor->setting.config->data_dir, &names, err);
    for (size_t i = 0; code == 0 && i < supervisor->process_count; i++) {
        struct process *process = &supervisor->processes[i];
        if (process->rank != PROCESS_RANK_WORKER || !drain_list_has(&names, process->name))
            continue;
        process->is_drained = process->is_drain_kept = true;
        log_info("process.drained", "name=%s kept=true", process->name);
    }
    buffer_fini(&names);
    return code;
}

static int supervisor_open(struct supervisor *supervisor, const struct placement *placement,
                           const struct process_setting *setting, struct error *err)
{
    *supervisor = (struct supervisor){.setting = *setting, .epoll_fd = -1, .signal_fd = -1};
    supervisor->processes = calloc(placement->pin_count, sizeof supervisor->processes[0]);
    if (supervisor->processes == NULL)
        return error_set(err, ERR_MEMORY, "supervisor: out of memory");
    for (size_t i = 0; i < placement->pin_count; i++)
        process_init(&supervisor->processes[i], &placement->pins[i]);
    supervisor->process_count = placement->pin_count;
    supervisor->ends_on_hangup = is_in_terminal();
    int code = status_page_create(placement->pin_count, &supervisor->page, err);
    if (code != 0)
        return code;
    supervisor->setting.status_fd = status_page_fd(supervisor->page);
    code = recall_drains(supervisor, err);
    if (code != 0)
        return code;

    /* Children of dead children become ours, as they would process 1's. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    supervisor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    supervisor->signal_fd = open_signals();
    if (supervisor->epoll_fd < 0 || supervisor->signal_fd < 0 ||
        watch(supervisor, supervisor->signal_fd, NEWS_SIGNAL, 0) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot set up the supervisor's loop");
    return 0;
}

static void supervisor_close(struct supervisor *supervisor)
{
    free(supervisor->processes);
    status_page_destroy(supervisor->page);
    if (supervisor->epoll_fd >= 0)
        close(supervisor->epoll_fd);
    if (supervisor->signal_fd >= 0)
        close(supervisor->signal_fd);
}

static struct process *find_pid(struct supervisor *supervisor, pid_t pid)
{
    for (size_t i = 0; i < supervisor->process_count; i++) {
        if (supervisor->processes[i].pid == pid)
            return &supervisor->processes[i];
    }
    return NULL;
}

static struct process *find_link(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->process_count; i++) {
        if (supervisor->processes[i].rank == PROCESS_RANK_LINK)
            return &supervisor->processes[i];
    }
    UNREACHABLE(); /* every plan has one */
}

/* What the link sees */

static void write_place(struct status_process *row, const struct placement_pin *pin,
                        const struct topology *topology)
{
    row->cpus[0] = row->gpu[0] = '\0';
    row->memory_node = pin->memory_node;
    if (pin->is_pinned)
        placement_format_cpus(&pin->cpus, row->cpus, sizeof row->cpus);
    if (pin->gpu >= 0) {
        const struct hardware_gpu *gpu = &topology->gpus[pin->gpu].gpu;
        snprintf(row->gpu, sizeof row->gpu, "%s", gpu->uuid[0] != '\0' ? gpu->uuid : gpu->bus_id);
    }
}

static void write_row(struct status_process *row, const struct process *process,
                      const struct topology *topology)
{
    const struct lifecycle *lifecycle = &process->lifecycle;
    const struct fleet_group *group = process->pin->group;
    snprintf(row->name, sizeof row->name, "%s", process->name);
    snprintf(row->group, sizeof row->group, "%s", group != NULL ? group->name : "");
    row->pid = process->pid;
    row->state = (int32_t)lifecycle->state;
    row->was_ready = lifecycle->was_ready;
    row->is_drained = process->is_drained;
    row->started_ns = process->started_ns;
    memcpy(row->restarts, process->restarts, sizeof row->restarts);
    const struct death *death = death_history_last(&lifecycle->deaths);
    row->death_ns = death != NULL ? death->at_ns : 0;
    if (death != NULL)
        death_format(death, row->death);
    row->is_crash_looping = death_history_row(&lifecycle->deaths) >= DEATH_LOOP_COUNT;
    write_place(row, process->pin, topology);
}

static void write_status(struct supervisor *supervisor)
{
    enum status_phase phase = STATUS_PHASE_STARTING;
    if (supervisor->is_stopping)
        phase = STATUS_PHASE_STOPPING;
    else if (supervisor->is_announced)
        phase = STATUS_PHASE_RUNNING;
    struct status_process *rows = status_page_begin(supervisor->page);
    for (size_t i = 0; i < supervisor->process_count; i++)
        write_row(&rows[i], &supervisor->processes[i], supervisor->setting.topology);
    status_page_end(supervisor->page, phase);
    status_page_beat(supervisor->page, clock_monotonic_ns());
}

/* What befalls a process */

static void note_death(struct supervisor *supervisor, const struct process *process, pid_t pid)
{
    const struct lifecycle *lifecycle = &process->lifecycle;
    char reason[DEATH_TEXT_MAX];
    char quoted[DEATH_TEXT_MAX + 8];
    death_format(death_history_last(&lifecycle->deaths), reason);
    log_quote(reason, quoted, sizeof quoted);
    const char *state = lifecycle_state_name(lifecycle->state);
    if (lifecycle->state == LIFECYCLE_STOPPED) {
        log_info("process.stopped", "name=%s pid=%d reason=%s", process->name, (int)pid, quoted);
    } else if (lifecycle->state == LIFECYCLE_FAILED) {
        log_error("process.failed", "name=%s pid=%d reason=%s restart=never", process->name,
                  (int)pid, quoted);
    } else {
        log_warn("process.died", "name=%s pid=%d reason=%s state=%s restart_ms=%d", process->name,
                 (int)pid, quoted, state,
                 (int)(death_history_delay_ns(&lifecycle->deaths) / NS_PER_MS));
        if (death_history_row(&lifecycle->deaths) == DEATH_LOOP_COUNT)
            log_error("process.crash_looping", "name=%s deaths=%d", process->name,
                      DEATH_LOOP_COUNT);
    }
    if (process->rank == PROCESS_RANK_WORKER && pid != 0) {
        link_channel_add(&supervisor->channel, pid, process->instance_id, reason);
        link_channel_send(&supervisor->channel, find_link(supervisor)->link_fd);
    }
}

static void start_process(struct supervisor *supervisor, struct process *process)
{
    struct error err = {0};
    size_t place = (size_t)(process - supervisor->processes);
    if (process_start(process, &supervisor->setting, &err) != 0) {
        char quoted[ERROR_TEXT_MAX];
        log_error("process.start_failed", "name=%s error=%s", process->name,
                  log_quote(err.text, quoted, sizeof quoted));
        note_death(supervisor, process, 0);
        return;
    }
    bool is_watched = watch(supervisor, process->pidfd, NEWS_DEATH, place) == 0 &&
                      watch(supervisor, process->ready_fd, NEWS_READY, place) == 0;
    if (process->rank == PROCESS_RANK_LINK) {
        is_watched = is_watched && watch(supervisor, process->link_fd, NEWS_LINK, place) == 0;
        link_channel_restart(&supervisor->channel);
        link_channel_send(&supervisor->channel, process->link_fd);
    }
    /* Only the kernel's memory can run out here; an unwatched child would be lost to us. */
    ASSERT(is_watched);
    log_info("process.started", "name=%s pid=%d instance=%s", process->name, (int)process->pid,
             process->instance_id);
}

static void take_ready(struct process *process)
{
    if (process_read_ready(process))
        log_info("process.ready", "name=%s pid=%d", process->name, (int)process->pid);
}

static void stop_process(struct process *process, bool hurry)
{
    uint64_t now_ns = clock_monotonic_ns();
    bool was_alive = lifecycle_is_alive(&process->lifecycle);
    enum lifecycle_action action = lifecycle_stop(&process->lifecycle, hurry, now_ns);
    process_signal(process, action);
    if (was_alive && action != LIFECYCLE_DO_NOTHING)
        log_info("process.stopping", "name=%s pid=%d how=%s", process->name, (int)process->pid,
                 action == LIFECYCLE_DO_TERM ? "drain" : "kill");
}

static bool is_target(const struct process *process, const char *target)
{
    if (process->rank != PROCESS_RANK_WORKER)
        return false;
    return target[0] == '\0' || strcmp(process->name, target) == 0 ||
           strcmp(process->pin->group->name, target) == 0;
}

static bool is_kept_after(const struct process *process, const struct link_order *order)
{
    if (!is_target(process, order->target))
        return process->is_drain_kept;
    return order->operation == LINK_OPERATION_DRAIN && (process->is_drain_kept || order->keep);
}

/* Writes which workers stay drained over a restart, if the order changes that. */
static int keep_drains(const struct supervisor *supervisor, const struct link_order *order,
                       struct error *err)
{
    struct buffer names = {0};
    bool is_changed = false;
    for (size_t i = 0; i < supervisor->process_count; i++) {
        const struct process *process = &supervisor->processes[i];
        bool is_kept = is_kept_after(process, order);
        is_changed = is_changed || is_kept != process->is_drain_kept;
        if (is_kept)
            buffer_printf(&names, "%s\n", process->name);
    }
    int code = 0;
    if (names.failed)
        code = error_set(err, ERR_MEMORY, "out of memory");
    else if (is_changed)
        code = drain_list_write(supervisor->setting.config->data_dir, &names, err);
    buffer_fini(&names);
    return code;
}

static size_t count_targets(const struct supervisor *supervisor, const char *target)
{
    size_t count = 0;
    for (size_t i = 0; i < supervisor->process_count; i++)
        count += is_target(&supervisor->processes[i], target);
    return count;
}

/* Says what is wanted of the workers; go_up and their deaths do the rest. */
static int apply_order(struct supervisor *supervisor, const struct link_order *order,
                       struct error *err)
{
    if (supervisor->is_stopping)
        return error_set(err, ERR_STATE, "the fleet is ending");
    if (count_targets(supervisor, order->target) == 0)
        return error_set(err, ERR_NOT_FOUND, "no worker or group \"%s\" on this node",
                         order->target);
    int code = keep_drains(supervisor, order, err);
    for (size_t i = 0; code == 0 && i < supervisor->process_count; i++) {
        struct process *process = &supervisor->processes[i];
        if (!is_target(process, order->target))
            continue;
        process->is_drain_kept = is_kept_after(process, order);
        process->is_drained = order->operation == LINK_OPERATION_DRAIN;
        if (process->is_drained)
            stop_process(process, false);
        log_info(process->is_drained ? "process.drained" : "process.resumed", "name=%s kept=%s",
                 process->name, process->is_drain_kept ? "true" : "false");
    }
    return code;
}

static void take_order(struct supervisor *supervisor, int link_fd, const struct link_order *order)
{
    struct error err = {0};
    struct link_answer answer = {.kind = LINK_RECORD_ANSWER, .id = order->id};
    answer.code = apply_order(supervisor, order, &err);
    snprintf(answer.text, sizeof answer.text, "%s", err.text);
    write_status(supervisor); /* who gets the answer finds it in the status */
    /* A link that does not take it is dying, and so is the call. */
    ssize_t sent = send(link_fd, &answer, sizeof answer, MSG_DONTWAIT | MSG_NOSIGNAL);
    (void)sent;
}

static void take_link_news(struct supervisor *supervisor, struct process *process)
{
    if (process->link_fd < 0)
        return;
    char byte;
    bool is_closed = recv(process->link_fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
    struct link_order order;
    int code = is_closed ? 0 : 1;
    while (code == 1) {
        code = link_channel_receive(&supervisor->channel, process->link_fd, &order);
        if (code == 1)
            take_order(supervisor, process->link_fd, &order);
    }
    if (!is_closed && code == 0) {
        link_channel_send(&supervisor->channel, process->link_fd);
        return;
    }
    /* The link is dying, or talks nonsense: it ends when its socket does. */
    if (!is_closed)
        log_error("link.record_malformed", "pid=%d", (int)process->pid);
    close(process->link_fd);
    process->link_fd = -1;
}

/* The order of things */

static bool is_settled(const struct process *process)
{
    enum lifecycle_state state = process->lifecycle.state;
    if (process->lifecycle.was_ready || state == LIFECYCLE_FAILED || process->is_drained)
        return true;
    /* Workers need neither the link nor storage to start; nothing runs without the engine. */
    return (process->rank == PROCESS_RANK_LINK || process->rank == PROCESS_RANK_STORAGE) &&
           state == LIFECYCLE_BACKOFF;
}

static void stop_fleet(struct supervisor *supervisor, int exit_code)
{
    supervisor->is_stopping = true;
    supervisor->exit_code = exit_code;
}

/* The exit code of whoever made going on pointless; -1 when there is a point. */
static int find_failure(const struct supervisor *supervisor)
{
    size_t workers = 0;
    size_t failed_workers = 0;
    int worker_code = EXIT_INTERNAL;
    for (size_t i = 0; i < supervisor->process_count; i++) {
        const struct process *process = &supervisor->processes[i];
        workers += process->rank == PROCESS_RANK_WORKER;
        if (process->lifecycle.state != LIFECYCLE_FAILED)
            continue;
        int code = WEXITSTATUS(death_history_last(&process->lifecycle.deaths)->status);
        if (process->rank == PROCESS_RANK_ENGINE)
            return code;
        if (process->rank == PROCESS_RANK_WORKER) {
            failed_workers++;
            worker_code = code;
        }
    }
    return workers > 0 && failed_workers == workers ? worker_code : -1;
}

static void announce(struct supervisor *supervisor)
{
    size_t failed = 0;
    for (size_t i = 0; i < supervisor->process_count; i++)
        failed += supervisor->processes[i].lifecycle.state == LIFECYCLE_FAILED;
    supervisor->is_announced = true;
    log_info("fleet.ready", "node=%s processes=%zu failed=%zu", supervisor->setting.config->node,
             supervisor->process_count, failed);
    if (supervisor->setting.config->log_format == LOG_FORMAT_JSON)
        return; /* the record above is for machines; what follows is for people */
    if (failed == 0)
        printf("fleet ready\n");
    else
        printf("fleet ready without %zu of its %zu processes\n", failed, supervisor->process_count);
    fflush(stdout);
}

/* Starts what may be started: a rank when all before it have been ready. */
static void go_up(struct supervisor *supervisor)
{
    for (int rank = 0; rank < PROCESS_RANK_COUNT; rank++) {
        bool is_complete = true;
        for (size_t i = 0; i < supervisor->process_count; i++) {
            struct process *process = &supervisor->processes[i];
            if ((int)process->rank != rank)
                continue;
            if (process->lifecycle.state == LIFECYCLE_STOPPED && !process->is_drained)
                lifecycle_again(&process->lifecycle);
            if (process->lifecycle.state == LIFECYCLE_IDLE && !process->is_drained)
                start_process(supervisor, process);
            is_complete = is_complete && is_settled(process);
        }
        if (!is_complete)
            return;
    }
    if (!supervisor->is_announced)
        announce(supervisor);
}

/* Stops what may be stopped: a rank when all after it have. True when nothing is left. */
static bool go_down(struct supervisor *supervisor)
{
    bool hurry = supervisor->signal_count > 1;
    for (int rank = PROCESS_RANK_COUNT - 1; rank >= 0; rank--) {
        bool is_complete = true;
        for (size_t i = 0; i < supervisor->process_count; i++) {
            struct process *process = &supervisor->processes[i];
            if ((int)process->rank != rank)
                continue;
            stop_process(process, hurry);
            is_complete = is_complete && process->lifecycle.state == LIFECYCLE_STOPPED;
        }
        if (!is_complete)
            return false;
    }
    return true;
}

/* Does what has become possible. True when the fleet has ended. */
static bool advance(struct supervisor *supervisor)
{
    int failure = supervisor->is_stopping ? -1 : find_failure(supervisor);
    if (failure >= 0) {
        log_error("fleet.failed", "exit=%d", failure);
        stop_fleet(supervisor, failure);
    }
    if (supervisor->is_stopping)
        return go_down(supervisor);
    go_up(supervisor);
    return false;
}

/* News */

/* Reaps children that are not ours by birth. One of ours that died in front of them is left to its
 * pidfd; they are looked at again after it. */
static void reap_strangers(struct supervisor *supervisor)
{
    for (;;) {
        siginfo_t info = {0};
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0 ||
            find_pid(supervisor, info.si_pid) != NULL)
            return;
        waitpid(info.si_pid, NULL, WNOHANG);
        log_debug("stranger.reaped", "pid=%d", (int)info.si_pid);
    }
}

static void take_death(struct supervisor *supervisor, struct process *process)
{
    pid_t pid = process->pid;
    if (pid == 0 || !process_reap(process))
        return;
    note_death(supervisor, process, pid);
    reap_strangers(supervisor);
}

static void take_signals(struct supervisor *supervisor)
{
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD) {
            reap_strangers(supervisor);
        } else if (info.ssi_signo == SIGHUP && supervisor->ends_on_hangup) {
            /* The kernel and the shell each send one: the second is no hurry. */
            if (!supervisor->is_stopping) {
                log_info("fleet.stopping", "signal=%d reason=\"the terminal was closed\"", SIGHUP);
                stop_fleet(supervisor, EXIT_OK);
            }
        } else if (info.ssi_signo == SIGHUP) {
            log_warn("reload.refused", "reason=\"reloading the configuration is not supported\"");
        } else {
            supervisor->signal_count++;
            log_info("fleet.stopping", "signal=%d hurry=%s", (int)info.ssi_signo,
                     supervisor->signal_count > 1 ? "true" : "false");
            if (!supervisor->is_stopping)
                stop_fleet(supervisor, EXIT_OK);
        }
    }
}

static void take_news(struct supervisor *supervisor, uint64_t data)
{
    struct process *process = &supervisor->processes[data >> NEWS_BITS];
    switch ((enum news)(data & ((1u << NEWS_BITS) - 1))) {
    case NEWS_SIGNAL:
        take_signals(supervisor);
        return;
    case NEWS_DEATH:
        take_death(supervisor, process);
        return;
    case NEWS_READY:
        take_ready(process);
        return;
    case NEWS_LINK:
        take_link_news(supervisor, process);
        return;
    }
    UNREACHABLE();
}

/* Deadlines */

static void tick(struct supervisor *supervisor)
{
    for (size_t i = 0; i < supervisor->process_count; i++) {
        struct process *process = &supervisor->processes[i];
        if (clock_monotonic_ns() < process->lifecycle.deadline_ns)
            continue;
        enum lifecycle_action action = process_tick(process);
        if (action == LIFECYCLE_DO_START) {
            start_process(supervisor, process);
        } else if (action == LIFECYCLE_DO_KILL) {
            struct death death = {.status = SIGKILL, .cause = process->lifecycle.cause};
            char reason[DEATH_TEXT_MAX];
            char quoted[DEATH_TEXT_MAX + 8];
            log_warn("process.killed", "name=%s pid=%d reason=%s", process->name, (int)process->pid,
                     log_quote(death_format(&death, reason), quoted, sizeof quoted));
            process_signal(process, action);
        }
    }
}

/* Milliseconds until the nearest deadline, or the next heartbeat, rounded up. */
static int next_timeout_ms(const struct supervisor *supervisor)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t nearest_ns = now_ns + STATUS_TURN_NS;
    for (size_t i = 0; i < supervisor->process_count; i++) {
        if (supervisor->processes[i].lifecycle.deadline_ns < nearest_ns)
            nearest_ns = supervisor->processes[i].lifecycle.deadline_ns;
    }
    return nearest_ns > now_ns ? (int)((nearest_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

int supervisor_run(const struct placement *placement, const struct process_setting *setting,
                   struct error *err)
{
    struct supervisor supervisor;
    if (supervisor_open(&supervisor, placement, setting, err) != 0) {
        supervisor_close(&supervisor);
        return EXIT_INTERNAL;
    }
    while (!advance(&supervisor)) {
        write_status(&supervisor);
        /* One event at a time: handling it may close the descriptors of the next. */
        struct epoll_event event;
        int count = epoll_wait(supervisor.epoll_fd, &event, 1, next_timeout_ms(&supervisor));
        if (count > 0)
            take_news(&supervisor, event.data.u64);
        tick(&supervisor);
    }
    log_info("fleet.stopped", "exit=%d", supervisor.exit_code);
    supervisor_close(&supervisor);
    return supervisor.exit_code;
}
