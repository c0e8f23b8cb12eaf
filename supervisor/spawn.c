/* SPDX-License-Identifier: Apache-2.0 */
/* spawn: see spawn.h. */
#include "supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/assert.h"

/* Where inherited descriptors begin in the child, and a place out of their way. */
#define FD_FIRST 3
#define FD_APART 64

extern char **environ;

/* What the child tells before it becomes the program. Nothing but this and the end of the pipe,
 * which exec closes, comes back. */
struct report {
    int exec_errno;
    int pin_errno;
    int memory_errno;
    int cgroup_errno;
};

/* Environment */

static bool is_variable(const char *entry, const char *name)
{
    size_t length = strlen(name);
    return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

static bool is_replaced(const struct spawn_request *request, const char *entry)
{
    for (size_t i = 0; i < request->environment_count; i++) {
        if (is_variable(entry, request->environment[i].name))
            return true;
    }
    for (size_t i = 0; i < request->fd_count; i++) {
        if (is_variable(entry, request->fds[i].variable))
            return true;
    }
    return false;
}

/* Our environment, less what is replaced, and the new variables. The first *ret_borrowed entries
 * are ours; the rest is to be freed. NULL when memory is exhausted. */
static char **create_environment(const struct spawn_request *request, size_t *ret_borrowed)
{
    size_t ours = 0;
    while (environ[ours] != NULL)
        ours++;
    char **made = calloc(ours + request->environment_count + request->fd_count + 1, sizeof *made);
    if (made == NULL)
        return NULL;
    size_t count = 0;
    for (size_t i = 0; i < ours; i++) {
        if (!is_replaced(request, environ[i]))
            made[count++] = environ[i];
    }
    *ret_borrowed = count;
    bool has_failed = false;
    for (size_t i = 0; i < request->environment_count && !has_failed; i++) {
        const struct fleet_variable *variable = &request->environment[i];
        has_failed = asprintf(&made[count], "%s=%s", variable->name, variable->value) < 0;
        count += has_failed ? 0 : 1;
    }
    for (size_t i = 0; i < request->fd_count && !has_failed; i++) {
        has_failed =
            asprintf(&made[count], "%s=%d", request->fds[i].variable, FD_FIRST + (int)i) < 0;
        count += has_failed ? 0 : 1;
    }
    made[count] = NULL;
    if (!has_failed)
        return made;
    for (size_t i = *ret_borrowed; i < count; i++)
        free(made[i]);
    free(made);
    return NULL;
}

static void destroy_environment(char **environment, size_t borrowed)
{
    for (size_t i = borrowed; environment[i] != NULL; i++)
        free(environment[i]);
    free(environment);
}

/* In the child */

/* All as they are by default, but for SIGHUP: programs that take no new config ignore it. */
static void reset_signals(void)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigemptyset(&action.sa_mask);
    for (int number = 1; number < SIGRTMIN; number++)
        sigaction(number, &action, NULL); /* fails for SIGKILL and SIGSTOP only */
    signal(SIGHUP, SIG_IGN);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Makes output_fd its output, puts the passed descriptors to FD_FIRST and on, in order, and the
 * report's pipe behind them; closes all others. Returns the pipe's new number, or -1. */
static int arrange_fds(const struct spawn_request *request, int report_fd)
{
    int apart[SPAWN_FD_MAX + 1];
    size_t count = request->fd_count;
    if (request->output_fd > 0 && (dup2(request->output_fd, STDOUT_FILENO) < 0 ||
                                   dup2(request->output_fd, STDERR_FILENO) < 0))
        return -1;
    for (size_t i = 0; i <= count; i++) {
        apart[i] = fcntl(i < count ? request->fds[i].fd : report_fd, F_DUPFD, FD_APART);
        if (apart[i] < 0)
            return -1;
    }
    int end = FD_FIRST + (int)count;
    for (size_t i = 0; i <= count; i++) {
        if (dup2(apart[i], FD_FIRST + (int)i) < 0)
            return -1;
    }
    fcntl(end, F_SETFD, FD_CLOEXEC);
    int empty = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (empty < 0 || dup2(empty, STDIN_FILENO) < 0)
        return -1;
    return syscall(SYS_close_range, (unsigned)end + 1, ~0u, 0) == 0 ? end : -1;
}

static int bind_memory(int node)
{
    unsigned long mask[TOPOLOGY_CPU_MAX / (8 * sizeof(unsigned long))] = {0};
    const int bits = 8 * (int)sizeof(unsigned long);
    mask[node / bits] |= 1ul << (node % bits);
    /* The kernel reads one bit less than it is told. */
    return syscall(SYS_set_mempolicy, MPOL_BIND, mask, sizeof mask * 8 + 1) == 0 ? 0 : errno;
}

static void place(const struct placement_pin *pin, struct report *report)
{
    if (pin->is_pinned && sched_setaffinity(0, sizeof pin->cpus, &pin->cpus) != 0)
        report->pin_errno = errno;
    if (pin->memory_node >= 0)
        report->memory_errno = bind_memory(pin->memory_node);
}

/* What core dumps may be, and where the kernel leaves them. False with errno set. */
static bool arrange_core(const struct spawn_request *request)
{
    struct rlimit limit;
    getrlimit(RLIMIT_CORE, &limit);
    limit.rlim_cur =
        request->core_bytes_max < limit.rlim_max ? request->core_bytes_max : limit.rlim_max;
    return setrlimit(RLIMIT_CORE, &limit) == 0 &&
           (request->folder == NULL || chdir(request->folder) == 0);
}

_Noreturn static void become_program(const struct spawn_request *request, char **environment,
                                     int report_fd, pid_t parent)
{
    struct report report = {0};
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(EXIT_FAILURE); /* it died before we asked */
    reset_signals();
    if (request->cgroup_fd > 0 && write(request->cgroup_fd, "0", 1) != 1)
        report.cgroup_errno = errno;
    if (request->pin != NULL)
        place(request->pin, &report);
    int fd = arrange_fds(request, report_fd);
    if (fd >= 0 && arrange_core(request)) {
        if (report.pin_errno != 0 || report.memory_errno != 0 || report.cgroup_errno != 0) {
            ssize_t written = write(fd, &report, sizeof report);
            (void)written;
        }
        execve(request->program, (char *const *)(uintptr_t)request->arguments, environment);
    }
    report.exec_errno = errno;
    ssize_t written = write(fd >= 0 ? fd : report_fd, &report, sizeof report);
    (void)written;
    _exit(EXIT_FAILURE);
}

/* In the parent */

/* Reads reports until exec or exit closes the pipe; the last one counts. */
static void read_reports(int fd, struct report *report)
{
    struct report next;
    ssize_t count;
    while ((count = read(fd, &next, sizeof next)) != 0) {
        if (count == (ssize_t)sizeof next)
            *report = next;
        else if (count < 0 && errno != EINTR)
            return;
    }
}

static int fail(int errnum, int code, const struct spawn_request *request, int *ret_errno,
                struct error *err)
{
    *ret_errno = errnum;
    return error_set_errno(err, code, errnum, "could not start %s", request->program);
}

static int start(const struct spawn_request *request, char **environment,
                 struct spawned *ret_spawned, int *ret_errno, struct error *err)
{
    int pipe_fds[2];
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return fail(errno, ERR_IO, request, ret_errno, err);
    pid_t parent = getpid();
    pid_t pid = fork();
    int fork_errno = errno;
    if (pid == 0)
        become_program(request, environment, pipe_fds[1], parent);
    close(pipe_fds[1]);
    if (pid < 0) {
        close(pipe_fds[0]);
        return fail(fork_errno, ERR_IO, request, ret_errno, err);
    }
    /* Here as well as in the child: whoever signals the group must not come too early. */
    setpgid(pid, pid);
    struct report report = {0};
    read_reports(pipe_fds[0], &report);
    close(pipe_fds[0]);
    int pidfd = report.exec_errno == 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (pidfd < 0) {
        int reason = report.exec_errno != 0 ? report.exec_errno : errno;
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            ;
        return fail(reason, ERR_UNAVAILABLE, request, ret_errno, err);
    }
    *ret_spawned = (struct spawned){.pid = pid,
                                    .pidfd = pidfd,
                                    .pin_errno = report.pin_errno,
                                    .memory_errno = report.memory_errno,
                                    .cgroup_errno = report.cgroup_errno};
    return 0;
}

int spawn(const struct spawn_request *request, struct spawned *ret_spawned, int *ret_errno,
          struct error *err)
{
    ASSERT(request->fd_count <= SPAWN_FD_MAX);
    size_t borrowed = 0;
    char **environment = create_environment(request, &borrowed);
    if (environment == NULL)
        return fail(ENOMEM, ERR_MEMORY, request, ret_errno, err);
    int code = start(request, environment, ret_spawned, ret_errno, err);
    destroy_environment(environment, borrowed);
    return code;
}
