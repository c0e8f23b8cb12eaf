/* SPDX-License-Identifier: Apache-2.0 */
/* supervisor: see supervisor.h. */
#include "supervisor/supervisor.h"

#include <fcntl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/exit_code.h"
#include "common/log.h"
#include "supervisor/node.h"
#include "supervisor/log/node_log.h"
#include "supervisor/order.h"
#include "supervisor/replan.h"
#include "supervisor/rollout.h"
#include "supervisor/sequence.h"

struct supervisor {
    struct node node;
    bool ends_on_hangup; /* runs in somebody's terminal, and nohup does not say otherwise */
    bool was_announced;  /* what the service manager was told */
    bool was_stopping;
    int signal_fd;
    struct loop_source signal_source;
};

/* Signals */

static int open_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
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

static void take_hangup(struct supervisor *supervisor)
{
    struct node *node = &supervisor->node;
    if (!supervisor->ends_on_hangup) {
        service_manager_reloading(node->setting.manager, clock_monotonic_ns());
        order_reload(node);
        if (node->is_announced)
            service_manager_ready(node->setting.manager);
    } else if (!node->is_stopping) {
        /* The kernel and the shell each send one: the second is no hurry. */
        log_info("fleet.stopping", "signal=%d reason=\"the terminal was closed\"", SIGHUP);
        node_end(node, EXIT_OK);
    }
}

static void take_end(struct node *node, int number)
{
    node->is_hurried = node->is_stopping;
    log_info("fleet.stopping", "signal=%d hurry=%s", number, node->is_hurried ? "true" : "false");
    node_end(node, EXIT_OK);
}

static void take_signals(void *context, void *subject)
{
    (void)subject;
    struct supervisor *supervisor = context;
    struct signalfd_siginfo info;
    while (read(supervisor->signal_fd, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGCHLD)
            node_reap_strangers(&supervisor->node);
        else if (info.ssi_signo == SIGHUP)
            take_hangup(supervisor);
        else if (info.ssi_signo == SIGUSR1)
            node_log_snap(&supervisor->node);
        else
            take_end(&supervisor->node, (int)info.ssi_signo);
    }
}

/* Deadlines */

static void tick(struct node *node)
{
    for (size_t i = 0; i < node->roster.count; i++) {
        struct process *process = node->roster.processes[i];
        if (clock_monotonic_ns() >= process->lifecycle.deadline_ns)
            node_tick(node, process);
    }
    if (clock_monotonic_ns() >= node_log_deadline_ns(node))
        node_log_tick(node);
}

/* Milliseconds until the nearest deadline, or the next heartbeat, rounded up. */
static int next_timeout_ms(const struct node *node)
{
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t nearest_ns = service_manager_turn(node->setting.manager, now_ns);
    if (nearest_ns > now_ns + STATUS_TURN_NS)
        nearest_ns = now_ns + STATUS_TURN_NS;
    uint64_t log_ns = node_log_deadline_ns(node);
    if (log_ns < nearest_ns)
        nearest_ns = log_ns;
    for (size_t i = 0; i < node->roster.count; i++) {
        uint64_t deadline_ns = node->roster.processes[i]->lifecycle.deadline_ns;
        if (deadline_ns < nearest_ns)
            nearest_ns = deadline_ns;
        deadline_ns = rollout_deadline_ns(node->roster.processes[i]);
        if (deadline_ns < nearest_ns)
            nearest_ns = deadline_ns;
    }
    return nearest_ns > now_ns ? (int)((nearest_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;
}

/* The service manager */

static void tell_manager(struct supervisor *supervisor)
{
    struct node *node = &supervisor->node;
    struct service_manager *manager = node->setting.manager;
    char text[SERVICE_STATUS_MAX];
    size_t ready = 0;
    for (size_t i = 0; i < node->roster.count; i++)
        ready += node->roster.processes[i]->lifecycle.state == LIFECYCLE_READY;
    snprintf(text, sizeof text, "%s: %zu of %zu processes are ready",
             node->is_stopping    ? "ending"
             : node->is_announced ? "running"
                                  : "starting",
             ready, node->roster.count);
    if (node->is_announced && !supervisor->was_announced)
        service_manager_ready(manager);
    if (node->is_stopping && !supervisor->was_stopping)
        service_manager_stopping(manager);
    service_manager_status(manager, text);
    supervisor->was_announced = node->is_announced;
    supervisor->was_stopping = node->is_stopping;
}

/* The loop */

/* Returns when that failed. */
static void become_new(struct node *node)
{
    struct error err = {0};
    char quoted[ERROR_TEXT_MAX];
    node->is_upgrading = false;
    if (handover_exec(node, &err) != 0)
        log_error("supervisor.upgrade_failed", "error=%s",
                  log_quote(err.text, quoted, sizeof quoted));
}

static int supervisor_open(struct supervisor *supervisor, const struct plan_source *source,
                           struct plan *plan, const struct process_setting *setting,
                           const struct handover *handover, struct error *err)
{
    *supervisor = (struct supervisor){.signal_fd = -1, .ends_on_hangup = is_in_terminal()};
    int code = node_open(&supervisor->node, source, plan, setting, err);
    if (code != 0)
        return code;
    supervisor->signal_fd = open_signals();
    supervisor->signal_source = (struct loop_source){.take = take_signals, .context = supervisor};
    if (supervisor->signal_fd < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot set up the supervisor's loop");
    code =
        loop_watch(&supervisor->node.loop, supervisor->signal_fd, &supervisor->signal_source, err);
    if (code == 0 && handover != NULL)
        handover_apply(handover, &supervisor->node);
    else if (code == 0)
        code = order_recall(&supervisor->node, err);
    return code == 0 ? gpu_guard_recall(&supervisor->node, err) : code;
}

static void supervisor_close(struct supervisor *supervisor)
{
    node_close(&supervisor->node);
    if (supervisor->signal_fd >= 0)
        close(supervisor->signal_fd);
}

int supervisor_run(const struct plan_source *source, struct plan *plan,
                   const struct process_setting *setting, const struct handover *handover,
                   struct error *err)
{
    struct supervisor supervisor;
    if (supervisor_open(&supervisor, source, plan, setting, handover, err) != 0) {
        supervisor_close(&supervisor);
        return EXIT_INTERNAL;
    }
    struct node *node = &supervisor.node;
    while (!sequence_advance(node)) {
        node_write_status(node);
        tell_manager(&supervisor);
        loop_turn(&node->loop, next_timeout_ms(node));
        if (node->is_upgrading)
            become_new(node);
        tick(node);
        node_watch_memory(node);
        replan_follow_cpuset(node);
    }
    int exit_code = node->exit_code;
    log_info("fleet.stopped", "exit=%d", exit_code);
    node_log_close(node);
    supervisor_close(&supervisor);
    return exit_code;
}
