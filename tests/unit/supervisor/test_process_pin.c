/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_process_pin: what a process really runs on, and that it runs where the kernel refuses a
 * binding, as a container's seccomp profile does for memory.
 */
#include "tests/test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/log/crash_folder.h"
#include "supervisor/process.h"

static char folder[] = "/tmp/argosy-pin-XXXXXX";
static struct fleet_group group = {.name = "gpu", .kind = FLEET_GROUP_GPU, .mps_percentage = 100};
static struct fleet_config config = {.node = "n"};
static struct memory_limit memory;
static struct crash_folder crashes; /* nothing is kept there */
static const struct process_setting setting = {.program_dir = folder,
                                               .config_path = "x",
                                               .config = &config,
                                               .http_fd = -1,
                                               .memory = &memory,
                                               .crashes = &crashes};

/* A worker that does nothing: what it runs on is asked of the kernel. */
static int make_program(void **state)
{
    (void)state;
    char path[128];
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/argosy-worker-gpu", folder);
    FILE *file = fopen(path, "w");
    fputs("#!/bin/sh\nsleep 60\n:\n", file);
    fclose(file);
    return chmod(path, 0700);
}

static int remove_program(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

/* On the last processor there is, with the memory of the first node. */
static struct placement_pin make_pin(void)
{
    cpu_set_t allowed;
    struct placement_pin pin = {.group = &group, .gpu = -1, .is_pinned = true, .memory_node = 0};
    topology_get_allowed(&allowed);
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &allowed))
        last--;
    CPU_SET(last, &pin.cpus);
    return pin;
}

static void start(struct process *process, const struct placement_pin *pin)
{
    struct error err = {0};
    process_init(process, pin);
    if (process_start(process, &setting, &err) != 0)
        fail_msg("%s", err.text);
}

static void end(struct process *process)
{
    struct death death;
    process_signal(process, LIFECYCLE_DO_KILL);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT), 0);
    assert_true(process_reap(process, &setting, &death));
    process_fini(process);
}

static bool has_policy(pid_t pid, const char *policy)
{
    char path[64];
    char line[4096];
    bool is_found = false;
    snprintf(path, sizeof path, "/proc/%d/numa_maps", (int)pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && !is_found && fgets(line, sizeof line, file) != NULL)
        is_found = strstr(line, policy) != NULL;
    if (file != NULL)
        fclose(file);
    return is_found;
}

static void cores_and_memory_are_bound(void **state)
{
    (void)state;
    struct process process;
    struct placement_pin pin = make_pin();
    start(&process, &pin);
    cpu_set_t cpus;
    assert_int_equal(sched_getaffinity(process.pid, sizeof cpus, &cpus), 0);
    assert_true(CPU_EQUAL(&cpus, &pin.cpus));
    /* Where this test may bind memory, so may the process. */
    unsigned long mask = 1;
    bool may_bind = syscall(SYS_set_mempolicy, 2 /* bind */, &mask, 65ul) == 0;
    if (may_bind) {
        syscall(SYS_set_mempolicy, 0 /* default */, NULL, 0ul);
        assert_true(has_policy(process.pid, " bind:0 "));
    }
    assert_int_equal(process.pins_refused, may_bind ? 0 : 1);
    end(&process);
}

/* Lets everything pass but set_mempolicy, which "is not permitted". In a child: it cannot be
 * taken back. */
static bool forbid_binding(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_set_mempolicy, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static void a_forbidden_binding_is_counted_and_the_process_runs(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!forbid_binding())
            _exit(77);
        struct process process;
        struct placement_pin pin = make_pin();
        cpu_set_t cpus;
        start(&process, &pin);
        bool is_right =
            process.pins_refused == 1 && process.pid > 0 && !has_policy(process.pid, " bind:") &&
            sched_getaffinity(process.pid, sizeof cpus, &cpus) == 0 && CPU_EQUAL(&cpus, &pin.cpus);
        end(&process);
        start(&process, &pin); /* a process of its own: it counts from the beginning */
        is_right = is_right && process.pins_refused == 1;
        end(&process);
        _exit(is_right ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

static void a_processor_that_is_not_there_is_counted(void **state)
{
    (void)state;
    struct process process;
    struct placement_pin pin = make_pin();
    cpu_set_t allowed, cpus;
    topology_get_allowed(&allowed);
    if (CPU_ISSET(CPU_SETSIZE - 1, &allowed))
        skip();
    CPU_ZERO(&pin.cpus);
    CPU_SET(CPU_SETSIZE - 1, &pin.cpus);
    pin.memory_node = -1;
    start(&process, &pin);
    assert_int_equal(process.pins_refused, 1);
    assert_int_equal(sched_getaffinity(process.pid, sizeof cpus, &cpus), 0);
    assert_true(CPU_EQUAL(&cpus, &allowed));
    end(&process);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_program, remove_program)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cores_and_memory_are_bound),
        TEST(a_forbidden_binding_is_counted_and_the_process_runs),
        TEST(a_processor_that_is_not_there_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
