/* SPDX-License-Identifier: Apache-2.0 */
/* fake_fleet: see fake_fleet.h. */
#include "tests/integration/supervisor/fake_fleet.h"

#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/exit_code.h"

static char folder[] = "/tmp/argosy-supervisor-XXXXXX";
static int log_fd = -1;
static int orders_fd = -1;
pid_t fake_fleet_pid;
static char unread[65536]; /* what came from the FIFO and was not waited for yet */
static size_t unread_size;

void fake_fleet_path(const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", folder, name);
}

int fake_fleet_set_up(void **state)
{
    (void)state;
    static const char *const programs[] = {"argosy-engine", "argosy-storage", "argosy-link",
                                           "argosy-worker-cpu", "argosy-worker-gpu"};
    char path[256];
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        fake_fleet_path(programs[i], path, sizeof path);
        assert_int_equal(symlink(FAKE_CHILD, path), 0);
    }
    fake_fleet_path("log", path, sizeof path);
    assert_int_equal(mkfifo(path, 0600), 0);
    log_fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    assert_true(log_fd >= 0);
    setenv("FAKE_LOG", path, 1);
    fake_fleet_path("orders", path, sizeof path);
    assert_int_equal(mkfifo(path, 0600), 0);
    orders_fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(orders_fd >= 0);
    setenv("FAKE_ORDERS", path, 1);
    unsetenv("FAKE_MODE_ENGINE");
    unsetenv("FAKE_MODE_LINK");
    unread_size = 0;
    fake_fleet_pid = 0;
    return 0;
}

int fake_fleet_tear_down(void **state)
{
    (void)state;
    if (fake_fleet_pid > 0) {
        kill(fake_fleet_pid, SIGKILL);
        waitpid(fake_fleet_pid, NULL, 0);
    }
    close(log_fd);
    close(orders_fd);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

void fake_fleet_config(const char *config)
{
    char path[256];
    fake_fleet_path("fleet.yaml", path, sizeof path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(config, file);
    fclose(file);
}

/* flags are those of clone(2). False where the system does not let us. */
bool fake_fleet_clone(const char *config, unsigned long flags)
{
    char config_path[256];
    char output_path[256];
    fake_fleet_path("fleet.yaml", config_path, sizeof config_path);
    fake_fleet_path("output", output_path, sizeof output_path);
    fake_fleet_config(config);
    fake_fleet_pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
    if (fake_fleet_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int output = open(output_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(log_fd, STDOUT_FILENO); /* the plan and "fleet ready" are lines to wait for */
        dup2(output, STDERR_FILENO);
        execl(SUPERVISOR, "argosy-supervisor", "--config", config_path, "--programs", folder, NULL);
        _exit(127);
    }
    return fake_fleet_pid > 0;
}

void fake_fleet_start(const char *config)
{
    assert_true(fake_fleet_clone(config, 0));
}

void fake_fleet_show(void)
{
    char command[256];
    snprintf(command, sizeof command, "cat %s/output >&2", folder);
    int status = system(command);
    (void)status;
}

void fake_fleet_forget(void)
{
    fake_fleet_has("");
    unread_size = 0;
}

void fake_fleet_order(const char *text)
{
    char line[256];
    int length = snprintf(line, sizeof line, "%s\n", text);
    assert_int_equal(write(orders_fd, line, (size_t)length), length);
}

/* Takes what there is to read, without waiting. */
static void read_more(void)
{
    ssize_t count = read(log_fd, unread + unread_size, sizeof unread - 1 - unread_size);
    if (count > 0)
        unread_size += (size_t)count;
}

/* The first whole line that begins with prefix, of what was read; NULL without one. */
static char *find_line(const char *prefix)
{
    char *line = unread;
    unread[unread_size] = '\0';
    for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            return line;
    }
    return NULL;
}

/* The same, once there is one. */
static char *wait_line(const char *prefix)
{
    uint64_t end_ns = clock_monotonic_ns() + FAKE_FLEET_WAIT_MS * NS_PER_MS;
    char *line;
    while ((line = find_line(prefix)) == NULL) {
        struct pollfd poll_fd = {.fd = log_fd, .events = POLLIN};
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= end_ns || poll(&poll_fd, 1, (int)((end_ns - now_ns) / NS_PER_MS) + 1) == 0) {
            fake_fleet_show();
            fail_msg("no line \"%s\"; unread: %s", prefix, unread);
        }
        read_more();
    }
    return line;
}

pid_t fake_fleet_wait(const char *prefix, char ret_line[512])
{
    char copy[512];
    int pid = 0;
    char *line = wait_line(prefix);
    char *end = strchr(line, '\n');
    snprintf(copy, sizeof copy, "%.*s", (int)(end - line), line);
    unread_size -= (size_t)(end + 1 - line);
    memmove(line, end + 1, strlen(end + 1) + 1);
    if (ret_line != NULL)
        strcpy(ret_line, copy);
    return sscanf(copy, "%*s %*s %d", &pid) == 1 ? pid : 0;
}

bool fake_fleet_has(const char *prefix)
{
    read_more();
    return find_line(prefix) != NULL;
}

bool fake_fleet_comes_before(const char *prefix, const char *other)
{
    const char *line = wait_line(prefix);
    const char *other_line = find_line(other);
    return other_line == NULL || line < other_line;
}

int fake_fleet_wait_exit(void)
{
    int status = 0;
    assert_int_equal(waitpid(fake_fleet_pid, &status, 0), fake_fleet_pid);
    fake_fleet_pid = 0;
    if (!WIFEXITED(status)) {
        fake_fleet_show();
        fail_msg("supervisor: status %d", status);
    }
    return WEXITSTATUS(status);
}

/* Waits until that process, which is no child of ours, has ended. */
void fake_fleet_wait_end(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        assert_int_equal(errno, ESRCH);
        return;
    }
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, FAKE_FLEET_WAIT_MS), 1);
    close(pidfd);
}

bool fake_fleet_has_output(const char *text)
{
    char path[256];
    static char content[65536];
    fake_fleet_path("output", path, sizeof path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(content, 1, sizeof content - 1, file);
    fclose(file);
    content[size] = '\0';
    return strstr(content, text) != NULL;
}

int fake_fleet_descriptors(void)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)fake_fleet_pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

void fake_fleet_wait_descriptors(int most)
{
    uint64_t end_ns = clock_monotonic_ns() + FAKE_FLEET_WAIT_MS * NS_PER_MS;
    int count;
    while ((count = fake_fleet_descriptors()) > most && clock_monotonic_ns() < end_ns)
        poll(NULL, 0, 10);
    assert_in_range(count, 1, most);
}
