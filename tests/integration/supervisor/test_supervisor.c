/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_supervisor: the real supervisor over fake children (fake_child.c): order of start and drain,
 * restart, codes that forbid it, hangs, deaths told to the link, and that nobody outlives it.
 *
 * Every fake child reports to one FIFO; tests wait for its lines, never for time.
 */
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

#define WAIT_MS 20000

static char folder[] = "/tmp/argosy-supervisor-XXXXXX";
static int log_fd = -1;
static pid_t supervisor_pid;
static char unread[65536]; /* what came from the FIFO and was not waited for yet */
static size_t unread_size;

static void path_of(const char *name, char *out, size_t size)
{
    snprintf(out, size, "%s/%s", folder, name);
}

static int set_up(void **state)
{
    (void)state;
    static const char *const programs[] = {"argosy-engine", "argosy-link", "argosy-worker-cpu",
                                           "argosy-worker-gpu"};
    char path[256];
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
        path_of(programs[i], path, sizeof path);
        assert_int_equal(symlink(FAKE_CHILD, path), 0);
    }
    path_of("log", path, sizeof path);
    assert_int_equal(mkfifo(path, 0600), 0);
    log_fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    assert_true(log_fd >= 0);
    setenv("FAKE_LOG", path, 1);
    unsetenv("FAKE_MODE_ENGINE");
    unsetenv("FAKE_MODE_LINK");
    unread_size = 0;
    supervisor_pid = 0;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (supervisor_pid > 0) {
        kill(supervisor_pid, SIGKILL);
        waitpid(supervisor_pid, NULL, 0);
    }
    close(log_fd);
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* flags are those of clone(2). False where the system does not let us. */
static bool clone_supervisor(const char *config, unsigned long flags)
{
    char config_path[256];
    char output_path[256];
    path_of("fleet.yaml", config_path, sizeof config_path);
    path_of("output", output_path, sizeof output_path);
    FILE *file = fopen(config_path, "w");
    assert_non_null(file);
    fputs(config, file);
    fclose(file);
    supervisor_pid = (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
    if (supervisor_pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int output = open(output_path, O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(log_fd, STDOUT_FILENO); /* the plan and "fleet ready" are lines to wait for */
        dup2(output, STDERR_FILENO);
        execl(SUPERVISOR, "argosy-supervisor", "--config", config_path, "--programs", folder, NULL);
        _exit(127);
    }
    return supervisor_pid > 0;
}

static void start_supervisor(const char *config)
{
    assert_true(clone_supervisor(config, 0));
}

static void show_output(void)
{
    char command[256];
    snprintf(command, sizeof command, "cat %s/output >&2", folder);
    int status = system(command);
    (void)status;
}

/* Waits for a line that begins with prefix, drops it and returns its process id, if any; *ret_line
 * (may be NULL) gets the whole line. Lines that came before it stay. */
static pid_t wait_line(const char *prefix, char ret_line[512])
{
    uint64_t end_ns = clock_monotonic_ns() + WAIT_MS * NS_PER_MS;
    for (;;) {
        unread[unread_size] = '\0';
        for (char *line = unread; *line != '\0';) {
            char *end = strchr(line, '\n');
            if (end == NULL)
                break;
            if (strncmp(line, prefix, strlen(prefix)) == 0) {
                char copy[512];
                snprintf(copy, sizeof copy, "%.*s", (int)(end - line), line);
                unread_size -= (size_t)(end + 1 - line);
                memmove(line, end + 1, strlen(end + 1) + 1);
                if (ret_line != NULL)
                    strcpy(ret_line, copy);
                int pid = 0;
                int fields = sscanf(copy, "%*s %*s %d", &pid);
                return fields == 1 ? pid : 0;
            }
            line = end + 1;
        }
        struct pollfd poll_fd = {.fd = log_fd, .events = POLLIN};
        uint64_t now_ns = clock_monotonic_ns();
        if (now_ns >= end_ns || poll(&poll_fd, 1, (int)((end_ns - now_ns) / NS_PER_MS) + 1) == 0) {
            show_output();
            fail_msg("no line \"%s\"; unread: %s", prefix, unread);
        }
        ssize_t count = read(log_fd, unread + unread_size, sizeof unread - 1 - unread_size);
        if (count > 0)
            unread_size += (size_t)count;
    }
}

/* Whether a line with that prefix has come already. */
static bool has_line(const char *prefix)
{
    ssize_t count = read(log_fd, unread + unread_size, sizeof unread - 1 - unread_size);
    if (count > 0)
        unread_size += (size_t)count;
    unread[unread_size] = '\0';
    for (char *line = unread; *line != '\0';) {
        if (strncmp(line, prefix, strlen(prefix)) == 0)
            return true;
        line = strchr(line, '\n');
        if (line == NULL)
            break;
        line++;
    }
    return false;
}

static int wait_exit(void)
{
    int status = 0;
    assert_int_equal(waitpid(supervisor_pid, &status, 0), supervisor_pid);
    supervisor_pid = 0;
    if (!WIFEXITED(status)) {
        show_output();
        fail_msg("supervisor: status %d", status);
    }
    return WEXITSTATUS(status);
}

/* Waits until that process, which is no child of ours, has ended. */
static void wait_end(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd < 0) {
        assert_int_equal(errno, ESRCH);
        return;
    }
    struct pollfd poll_fd = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
    close(pidfd);
}

static bool has_output(const char *text)
{
    char path[256];
    static char content[65536];
    path_of("output", path, sizeof path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(content, 1, sizeof content - 1, file);
    fclose(file);
    content[size] = '\0';
    return strstr(content, text) != NULL;
}

#define TWO_AND_ONE                                                                                \
    "groups:\n"                                                                                    \
    "- {name: cpu, kind: cpu, processes: 2}\n"                                                     \
    "- {name: gpu, kind: gpu, processes: 1, device: cpu}\n"

static void starts_and_drains_in_order(void **state)
{
    (void)state;
    start_supervisor(TWO_AND_ONE);
    wait_line("cpu/0 start", NULL);
    /* whoever started last started after all of these */
    assert_true(has_line("engine start"));
    assert_true(has_line("link start"));
    wait_line("cpu/1 start", NULL);
    wait_line("gpu/0 start", NULL);
    wait_line("engine    processors", NULL);
    wait_line("fleet ready", NULL);
    kill(supervisor_pid, SIGTERM);
    wait_line("engine term", NULL);
    assert_true(has_line("link term"));
    assert_true(has_line("cpu/0 term"));
    assert_true(has_line("cpu/1 term"));
    assert_true(has_line("gpu/0 term"));
    assert_int_equal(wait_exit(), EXIT_OK);
}

static void engine_drains_after_the_workers_ended(void **state)
{
    (void)state;
    start_supervisor("groups:\n- {name: cpu, kind: cpu, processes: 1, grace_ms: 300,"
                     " environment: [{name: FAKE_MODE, value: deaf}]}\n");
    pid_t worker = wait_line("cpu/0 start", NULL);
    kill(supervisor_pid, SIGTERM);
    wait_line("cpu/0 term", NULL);
    wait_line("link term", NULL);
    /* the link was asked only after the deaf worker had been killed and reaped */
    assert_int_equal(kill(worker, 0), -1);
    wait_line("engine term", NULL);
    assert_int_equal(wait_exit(), EXIT_OK);
    assert_true(has_output("grace period over, signal 9 (killed)"));
}

static void second_signal_hurries(void **state)
{
    (void)state;
    start_supervisor("groups:\n- {name: cpu, kind: cpu, processes: 1, grace_ms: 3600000,"
                     " environment: [{name: FAKE_MODE, value: deaf}]}\n");
    wait_line("cpu/0 start", NULL);
    kill(supervisor_pid, SIGTERM);
    wait_line("cpu/0 term", NULL);
    kill(supervisor_pid, SIGINT);
    assert_int_equal(wait_exit(), EXIT_OK);
    assert_true(has_output("hurried, signal 9 (killed)"));
}

static void killed_worker_is_replaced_and_told(void **state)
{
    (void)state;
    start_supervisor(TWO_AND_ONE);
    pid_t worker = wait_line("cpu/0 start", NULL);
    wait_line("gpu/0 start", NULL);
    kill(worker, SIGKILL);
    char line[512];
    wait_line("link death", line);
    char expected[64];
    snprintf(expected, sizeof expected, " %d signal 9 (killed)", (int)worker);
    assert_non_null(strstr(line, expected));
    pid_t next = wait_line("cpu/0 start", NULL);
    assert_int_not_equal(next, worker);
}

static void death_without_a_link_is_told_to_the_next(void **state)
{
    (void)state;
    start_supervisor(TWO_AND_ONE);
    pid_t link = wait_line("link start", NULL);
    pid_t worker = wait_line("cpu/1 start", NULL);
    kill(link, SIGSTOP); /* it hears nothing any more */
    kill(worker, SIGKILL);
    wait_line("cpu/1 start", NULL);
    kill(link, SIGKILL);
    assert_int_not_equal(wait_line("link start", NULL), link);
    char expected[64];
    char line[512];
    wait_line("link death", line);
    snprintf(expected, sizeof expected, " %d signal 9", (int)worker);
    assert_non_null(strstr(line, expected));
    /* the link's own death cost no worker */
    assert_false(has_line("cpu/0 term"));
}

static void restarts_are_spaced_out(void **state)
{
    (void)state;
    start_supervisor("groups:\n- {name: cpu, kind: cpu, processes: 1,"
                     " environment: [{name: FAKE_MODE, value: \"exit:70\"}]}\n");
    wait_line("cpu/0 start", NULL);
    uint64_t first_ns = clock_monotonic_ns();
    for (int i = 0; i < 4; i++)
        wait_line("cpu/0 start", NULL);
    uint64_t waited_ms = (clock_monotonic_ns() - first_ns) / NS_PER_MS;
    for (int i = 0; i < 5; i++)
        wait_line("link death", NULL);
    /* 100 + 200 + 400 + 800, less what the first line was late */
    assert_in_range(waited_ms, 1300, 4000);
    kill(supervisor_pid, SIGTERM);
    assert_int_equal(wait_exit(), EXIT_OK);
    assert_true(has_output("reason=\"exit 70 (internal error)\""));
    assert_true(has_output("event=process.crash_looping"));
}

static void bad_config_is_not_restarted(void **state)
{
    (void)state;
    start_supervisor("groups:\n- {name: good, kind: cpu, processes: 1}\n"
                     "- {name: bad, kind: cpu, processes: 1,"
                     " environment: [{name: FAKE_MODE, value: \"exit:78\"}]}\n");
    wait_line("bad/0 start", NULL);
    wait_line("link death", NULL);
    kill(supervisor_pid, SIGTERM);
    assert_int_equal(wait_exit(), EXIT_OK);
    assert_false(has_line("bad/0 start"));
    assert_true(has_output("event=process.failed name=bad/0"));
}

static void engine_without_a_future_ends_the_fleet(void **state)
{
    (void)state;
    setenv("FAKE_MODE_ENGINE", "exit:78", 1);
    start_supervisor(TWO_AND_ONE);
    assert_int_equal(wait_exit(), EXIT_BAD_CONFIG);
    assert_false(has_line("cpu/0 start"));
}

static void fleet_ends_when_no_worker_can_run(void **state)
{
    (void)state;
    start_supervisor("groups:\n- {name: gpu, kind: gpu, processes: 2, device: cpu,"
                     " environment: [{name: FAKE_MODE, value: \"exit:81\"}]}\n");
    assert_int_equal(wait_exit(), EXIT_DEVICE_UNUSABLE);
}

static void hung_worker_is_drained_and_replaced(void **state)
{
    (void)state;
    /* the quiet one never told progress: nobody waits for any */
    start_supervisor("groups:\n- {name: quiet, kind: cpu, processes: 1, hang_ms: 3000}\n"
                     "- {name: cpu, kind: cpu, processes: 1, hang_ms: 3000,"
                     " environment: [{name: FAKE_MODE, value: hang}]}\n");
    pid_t worker = wait_line("cpu/0 start", NULL);
    wait_line("quiet/0 start", NULL);
    assert_int_not_equal(wait_line("cpu/0 start", NULL), worker);
    assert_true(has_line("cpu/0 term"));
    assert_true(has_output("no progress, exit 0 (ended)"));
    assert_false(has_line("quiet/0 start"));
}

static void stuck_worker_is_killed_and_replaced(void **state)
{
    (void)state;
    start_supervisor("groups:\n- {name: cpu, kind: cpu, processes: 1, hang_ms: 3000, grace_ms: 200,"
                     " environment: [{name: FAKE_MODE, value: stuck}]}\n");
    pid_t worker = wait_line("cpu/0 start", NULL);
    assert_int_not_equal(wait_line("cpu/0 start", NULL), worker);
    assert_true(has_output("no progress, signal 9 (killed)"));
}

static void nobody_outlives_a_killed_supervisor(void **state)
{
    (void)state;
    start_supervisor(TWO_AND_ONE);
    pid_t pids[] = {wait_line("engine start", NULL), wait_line("link start", NULL),
                    wait_line("cpu/0 start", NULL), wait_line("cpu/1 start", NULL),
                    wait_line("gpu/0 start", NULL)};
    kill(supervisor_pid, SIGKILL);
    waitpid(supervisor_pid, NULL, 0);
    supervisor_pid = 0;
    for (size_t i = 0; i < sizeof pids / sizeof pids[0]; i++)
        wait_end(pids[i]);
}

static void what_a_child_leaves_behind_goes_with_it(void **state)
{
    (void)state;
    start_supervisor("groups:\n- {name: cpu, kind: cpu, processes: 1,"
                     " environment: [{name: FAKE_MODE, value: early}]}\n");
    char line[512];
    int grandchild = 0;
    wait_line("cpu/0 start", NULL);
    wait_line("cpu/0 grandchild", line);
    assert_int_equal(sscanf(line, "%*s %*s %*d %d", &grandchild), 1);
    wait_end(grandchild);
    wait_line("cpu/0 start", NULL);
    /* reaped, or its number would still answer */
    assert_int_equal(kill(grandchild, 0), -1);
}

static void works_as_process_one(void **state)
{
    (void)state;
    static const char config[] = "groups:\n- {name: cpu, kind: cpu, processes: 1,"
                                 " environment: [{name: FAKE_MODE, value: early}]}\n"
                                 "- {name: gpu, kind: gpu, processes: 1, device: cpu}\n";
    if (!clone_supervisor(config, CLONE_NEWPID) &&
        !clone_supervisor(config, CLONE_NEWPID | CLONE_NEWUSER))
        skip();
    /* grandchildren come and are reaped while everything else goes on */
    for (int i = 0; i < 4; i++)
        wait_line("cpu/0 grandchild", NULL);
    wait_line("gpu/0 start", NULL);
    kill(supervisor_pid, SIGTERM);
    wait_line("gpu/0 term", NULL);
    wait_line("engine term", NULL);
    assert_int_equal(wait_exit(), EXIT_OK);
}

static void missing_program_is_tried_again(void **state)
{
    (void)state;
    char path[256];
    path_of("argosy-worker-cpu", path, sizeof path);
    assert_int_equal(unlink(path), 0);
    start_supervisor(TWO_AND_ONE);
    wait_line("gpu/0 start", NULL);
    assert_int_equal(symlink(FAKE_CHILD, path), 0);
    wait_line("cpu/0 start", NULL);
    assert_true(has_output("cannot execute: No such file or directory"));
}

static void gpu_is_hidden_from_the_cpu_device(void **state)
{
    (void)state;
    char line[512];
    setenv("CUDA_VISIBLE_DEVICES", "3", 1);
    start_supervisor(TWO_AND_ONE);
    wait_line("gpu/0 start", line);
    assert_int_equal(line[strlen(line) - 1], ' '); /* set, and empty */
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static void each_gpu_worker_sees_its_own_gpu(void **state)
{
    (void)state;
    char line[512];
    /* slices that the environment names count without a driver to ask */
    setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b", 1);
    start_supervisor("groups: [{name: gpu, kind: gpu}]\n");
    wait_line("gpu/0 start", line);
    assert_non_null(strstr(line, " MIG-a"));
    wait_line("gpu/1 start", line);
    assert_non_null(strstr(line, " MIG-b"));
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static bool has_variable(pid_t pid, const char *variable)
{
    char path[64];
    char text[65536];
    snprintf(path, sizeof path, "/proc/%d/environ", (int)pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    for (const char *at = text; at < text + size; at += strlen(at) + 1) {
        if (strcmp(at, variable) == 0)
            return true;
    }
    return false;
}

static void processes_share_a_gpu_by_percentage(void **state)
{
    (void)state;
    char line[512];
    setenv("CUDA_VISIBLE_DEVICES", "MIG-a", 1);
    start_supervisor("groups:\n- {name: gpu, kind: gpu, processes_per_gpu: 3}\n"
                     "- {name: all, kind: gpu, gpus: [MIG-b]}\n");
    for (int i = 0; i < 3; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "gpu/%d start", i);
        pid_t pid = wait_line(prefix, line);
        assert_non_null(strstr(line, " MIG-a"));
        assert_true(has_variable(pid, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=33"));
        assert_true(has_variable(pid, "CUDA_DEVICE_ORDER=PCI_BUS_ID"));
    }
    /* A slice that nobody detected is used on the configuration's word, and whole. */
    pid_t pid = wait_line("all/0 start", line);
    assert_non_null(strstr(line, " MIG-b"));
    assert_false(has_variable(pid, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=100"));
    unsetenv("CUDA_VISIBLE_DEVICES");
}

/* Waits until the process runs on these processors and no other. */
static void wait_affinity(pid_t pid, const cpu_set_t *expected)
{
    uint64_t end_ns = clock_monotonic_ns() + WAIT_MS * NS_PER_MS;
    cpu_set_t cpus;
    do {
        assert_int_equal(sched_getaffinity(pid, sizeof cpus, &cpus), 0);
        if (CPU_EQUAL(&cpus, expected))
            return;
        poll(NULL, 0, 10);
    } while (clock_monotonic_ns() < end_ns);
    show_output();
    fail_msg("process %d was not moved", (int)pid);
}

static void processes_follow_the_cpuset(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    if (CPU_COUNT(&all) < 2)
        skip();
    CPU_ZERO(&one);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    }
    start_supervisor(TWO_AND_ONE);
    pid_t engine = wait_line("engine start", NULL);
    pid_t worker = wait_line("cpu/1 start", NULL);
    wait_line("fleet ready", NULL);
    /* What a smaller cpuset does to a process that is bound to nothing. SIGCHLD only wakes it. */
    assert_int_equal(sched_setaffinity(supervisor_pid, sizeof one, &one), 0);
    kill(supervisor_pid, SIGCHLD);
    wait_affinity(engine, &one);
    wait_affinity(worker, &one);
    assert_int_equal(sched_setaffinity(supervisor_pid, sizeof all, &all), 0);
    wait_affinity(engine, &all); /* its loop turns without being woken, too */
    wait_affinity(worker, &all);
    assert_true(has_output("event=cpuset.changed"));
    assert_true(has_output("event=process.moved name=cpu/1"));
}

static int count_descriptors(void)
{
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)supervisor_pid);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

static void restarts_leak_no_descriptor(void **state)
{
    (void)state;
    enum { WORKERS = 12, ROUNDS = 3 };
    start_supervisor("groups: [{name: cpu, kind: cpu, processes: 12}]\n");
    wait_line("fleet ready", NULL);
    int before = count_descriptors();
    for (int round = 0; round <= ROUNDS; round++) {
        for (int i = 0; i < WORKERS; i++) {
            char prefix[32];
            snprintf(prefix, sizeof prefix, "cpu/%d start", i);
            pid_t pid = wait_line(prefix, NULL);
            if (round < ROUNDS)
                kill(pid, SIGKILL);
        }
    }
    /* Of the last round, readiness pipes may be open still, and both ends of the last start's. One
     * descriptor leaked by each restart would be 36. */
    assert_in_range(count_descriptors(), before, before + 2 * WORKERS);
}

static void one_supervisor_to_a_data_folder(void **state)
{
    (void)state;
    start_supervisor(TWO_AND_ONE);
    wait_line("gpu/0 start", NULL);
    pid_t first = supervisor_pid;
    start_supervisor(TWO_AND_ONE);
    assert_int_equal(wait_exit(), EXIT_ALREADY_EXISTS);
    assert_true(has_output("another fleet already runs in"));
    supervisor_pid = first;
}

static void config_errors_are_told(void **state)
{
    (void)state;
    start_supervisor("groups:\n- {name: cpu, kind: cpu, proceses: 1}\n");
    assert_int_equal(wait_exit(), EXIT_BAD_CONFIG);
    assert_true(
        has_output("fleet.yaml:2: groups[0].proceses: unknown key (did you mean \"processes\"?)"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts_and_drains_in_order),
        TEST(engine_drains_after_the_workers_ended),
        TEST(second_signal_hurries),
        TEST(killed_worker_is_replaced_and_told),
        TEST(death_without_a_link_is_told_to_the_next),
        TEST(restarts_are_spaced_out),
        TEST(bad_config_is_not_restarted),
        TEST(engine_without_a_future_ends_the_fleet),
        TEST(fleet_ends_when_no_worker_can_run),
        TEST(hung_worker_is_drained_and_replaced),
        TEST(stuck_worker_is_killed_and_replaced),
        TEST(nobody_outlives_a_killed_supervisor),
        TEST(what_a_child_leaves_behind_goes_with_it),
        TEST(works_as_process_one),
        TEST(missing_program_is_tried_again),
        TEST(gpu_is_hidden_from_the_cpu_device),
        TEST(each_gpu_worker_sees_its_own_gpu),
        TEST(processes_share_a_gpu_by_percentage),
        TEST(processes_follow_the_cpuset),
        TEST(restarts_leak_no_descriptor),
        TEST(one_supervisor_to_a_data_folder),
        TEST(config_errors_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
