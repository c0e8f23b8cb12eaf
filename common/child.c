/* SPDX-License-Identifier: Apache-2.0 */
/* child: see child.h. */
#include "common/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/exit_code.h"

/* Often enough for a supervisor that counts in seconds, rare enough to cost nothing. */
#define PROGRESS_INTERVAL_NS (NS_PER_S / 2)

/* Read by the signal handler. */
static volatile sig_atomic_t lifeline_fd = -1;

/* Parses the variable as a number of at least 0. Absent leaves *ret_number alone. */
static int take_number(const char *name, int *ret_number, struct error *err)
{
    const char *text = getenv(name);
    if (text == NULL)
        return 0;
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0 || number > INT32_MAX)
        return error_set(err, ERR_INVALID, "environment variable %s: \"%s\" is no number", name,
                         text);
    *ret_number = (int)number;
    unsetenv(name);
    return 0;
}

static int take_descriptor(const char *name, int *ret_fd, struct error *err)
{
    int fd = -1;
    int code = take_number(name, &fd, err);
    if (code != 0)
        return code;
    if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return error_set_errno(err, ERR_INVALID, errno, "environment variable %s: descriptor %d",
                               name, fd);
    *ret_fd = fd;
    return 0;
}

static int take_listen_fds(struct child *child, struct error *err)
{
    int code = 0;
    for (int i = 0; code == 0 && i < CHILD_LISTEN_MAX; i++) {
        char name[sizeof CHILD_ENV_LISTEN_FD + 8];
        int fd = -1;
        snprintf(name, sizeof name, CHILD_ENV_LISTEN_FD "%d", i + 1);
        code = take_descriptor(name, &fd, err);
        if (code == 0 && fd >= 0)
            child->listen_fds[child->listen_fd_count++] = fd;
    }
    return code;
}

static int take_text(const char *name, char *out, size_t size, struct error *err)
{
    const char *text = getenv(name);
    if (text == NULL)
        return 0;
    if (text[0] == '\0' || strlen(text) >= size)
        return error_set(err, ERR_INVALID, "environment variable %s: must have 1 to %zu characters",
                         name, size - 1);
    strcpy(out, text);
    unsetenv(name);
    return 0;
}

static bool is_lifeline_cut(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLHUP) != 0;
}

static void handle_lifeline(int signal_number)
{
    (void)signal_number;
    int saved_errno = errno;
    if (is_lifeline_cut(lifeline_fd))
        _exit(EXIT_PARENT_DIED);
    errno = saved_errno;
}

/* Asks for a signal when the lifeline's other end closes: no loop has to watch it. */
static int watch_lifeline(int fd, struct error *err)
{
    lifeline_fd = fd;
    struct sigaction action = {.sa_handler = handle_lifeline, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(SIGIO, &action, NULL) != 0 || fcntl(fd, F_SETOWN, getpid()) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK | O_ASYNC) != 0)
        return error_set_errno(err, ERR_IO, errno, "cannot watch the supervisor's pipe");
    if (is_lifeline_cut(fd))
        return error_set(err, ERR_CLOSED, "the supervisor is gone");
    return 0;
}

static int tie_to_supervisor(pid_t supervisor_pid, int fd, struct error *err)
{
    if (supervisor_pid != 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
            return error_set_errno(err, ERR_IO, errno, "cannot ask for a parent-death signal");
        /* It may have died before the call. */
        if (getppid() != supervisor_pid)
            return error_set(err, ERR_CLOSED, "the supervisor (pid %d) is gone",
                             (int)supervisor_pid);
    }
    return fd >= 0 ? watch_lifeline(fd, err) : 0;
}

static void name_host(char *out, size_t size)
{
    if (gethostname(out, size) != 0 || out[0] == '\0')
        snprintf(out, size, "localhost");
    out[size - 1] = '\0';
}

int child_init(struct child *child, const char *group, struct error *err)
{
    struct child made = {.ready_fd = -1, .progress_fd = -1};
    char host[CHILD_NODE_MAX + 1];
    name_host(host, sizeof host);
    memcpy(made.node, host, sizeof host);
    uuid_create(made.instance_id);

    int supervisor_pid = 0;
    int fd = -1;
    int code;
    if ((code = take_number(CHILD_ENV_SUPERVISOR_PID, &supervisor_pid, err)) != 0 ||
        (code = take_descriptor(CHILD_ENV_READY_FD, &made.ready_fd, err)) != 0 ||
        (code = take_descriptor(CHILD_ENV_PROGRESS_FD, &made.progress_fd, err)) != 0 ||
        (code = take_descriptor(CHILD_ENV_LIFELINE_FD, &fd, err)) != 0 ||
        (code = take_listen_fds(&made, err)) != 0 ||
        (code = take_text(CHILD_ENV_INSTANCE_ID, made.instance_id, sizeof made.instance_id, err)) !=
            0 ||
        (code = take_text(CHILD_ENV_NODE, made.node, sizeof made.node, err)) != 0)
        return code;
    made.supervisor_pid = supervisor_pid;
    if ((code = tie_to_supervisor(made.supervisor_pid, fd, err)) != 0)
        return code;
    if (made.progress_fd >= 0)
        fcntl(made.progress_fd, F_SETFL, O_NONBLOCK);
    snprintf(made.identity, sizeof made.identity, "%d@%s#%s", (int)getpid(), host, group);
    *child = made;
    return 0;
}

void child_ready(struct child *child)
{
    static const char text[] = "ready\n";
    if (child->ready_fd < 0)
        return;
    /* If nobody reads, the supervisor is gone, and the lifeline says so. */
    ssize_t written = write(child->ready_fd, text, sizeof text - 1);
    (void)written;
    close(child->ready_fd);
    child->ready_fd = -1;
}

void child_progress(struct child *child)
{
    if (child->progress_fd < 0)
        return;
    uint64_t now_ns = clock_monotonic_ns();
    if (child->progress_ns != 0 && now_ns - child->progress_ns < PROGRESS_INTERVAL_NS)
        return;
    child->progress_ns = now_ns;
    /* A full pipe means that the supervisor has news enough to read. */
    ssize_t written = write(child->progress_fd, "", 1);
    (void)written;
}

/* A descriptor for these signals, which are blocked from here on. */
static int signals_open(const int *numbers, size_t count, struct error *err)
{
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < count; i++)
        sigaddset(&signals, numbers[i]);
    errno = pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int fd = errno == 0 ? signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC) : -1;
    if (fd < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot receive signals");
    return fd;
}

int child_signal_fd(struct error *err)
{
    return signals_open((const int[]){SIGTERM, SIGINT}, 2, err);
}

int child_reload_fd(struct error *err)
{
    return signals_open((const int[]){SIGHUP}, 1, err);
}

bool child_reload_take(int fd)
{
    struct signalfd_siginfo info;
    return read(fd, &info, sizeof info) == (ssize_t)sizeof info;
}
