/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_supervisor: the real supervisor over fake children (fake_child.c): order of start and drain,
 * restart, codes that forbid it, hangs, deaths told to the link, and that nobody outlives it.
 */
#include "tests/test.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/exit_code.h"
#include "tests/integration/supervisor/fake_fleet.h"

#define TWO_AND_ONE                                                                                \
    "groups:\n"                                                                                    \
    "- {name: cpu, kind: cpu, processes: 2}\n"                                                     \
    "- {name: gpu, kind: gpu, processes: 1, device: cpu}\n"

static void starts_and_drains_in_order(void **state)
{
    (void)state;
    fake_fleet_start(TWO_AND_ONE);
    fake_fleet_wait("cpu/0 start", NULL);
    /* whoever started last started after all of these */
    assert_true(fake_fleet_has("engine start"));
    assert_true(fake_fleet_has("link start"));
    fake_fleet_wait("cpu/1 start", NULL);
    fake_fleet_wait("gpu/0 start", NULL);
    fake_fleet_wait("engine    processors", NULL);
    fake_fleet_wait("fleet ready", NULL);
    kill(fake_fleet_pid, SIGTERM);
    fake_fleet_wait("engine term", NULL);
    assert_true(fake_fleet_has("link term"));
    assert_true(fake_fleet_has("cpu/0 term"));
    assert_true(fake_fleet_has("cpu/1 term"));
    assert_true(fake_fleet_has("gpu/0 term"));
    assert_int_equal(fake_fleet_wait_exit(), EXIT_OK);
}

static void engine_drains_after_the_workers_ended(void **state)
{
    (void)state;
    fake_fleet_start("groups:\n- {name: cpu, kind: cpu, processes: 1, grace_ms: 300,"
                     " environment: [{name: FAKE_MODE, value: deaf}]}\n");
    pid_t worker = fake_fleet_wait("cpu/0 start", NULL);
    kill(fake_fleet_pid, SIGTERM);
    fake_fleet_wait("cpu/0 term", NULL);
    fake_fleet_wait("link term", NULL);
    /* the link was asked only after the deaf worker had been killed and reaped */
    assert_int_equal(kill(worker, 0), -1);
    fake_fleet_wait("engine term", NULL);
    assert_int_equal(fake_fleet_wait_exit(), EXIT_OK);
    assert_true(fake_fleet_has_output("grace period over, signal 9 (killed)"));
}

static void second_signal_hurries(void **state)
{
    (void)state;
    fake_fleet_start("groups:\n- {name: cpu, kind: cpu, processes: 1, grace_ms: 3600000,"
                     " environment: [{name: FAKE_MODE, value: deaf}]}\n");
    fake_fleet_wait("cpu/0 start", NULL);
    kill(fake_fleet_pid, SIGTERM);
    fake_fleet_wait("cpu/0 term", NULL);
    kill(fake_fleet_pid, SIGINT);
    assert_int_equal(fake_fleet_wait_exit(), EXIT_OK);
    assert_true(fake_fleet_has_output("hurried, signal 9 (killed)"));
}

static void killed_worker_is_replaced_and_told(void **state)
{
    (void)state;
    fake_fleet_start(TWO_AND_ONE);
    pid_t worker = fake_fleet_wait("cpu/0 start", NULL);
    fake_fleet_wait("gpu/0 start", NULL);
    kill(worker, SIGKILL);
    char line[512];
    fake_fleet_wait("link death", line);
    char expected[64];
    snprintf(expected, sizeof expected, " %d signal 9 (killed)", (int)worker);
    assert_non_null(strstr(line, expected));
    pid_t next = fake_fleet_wait("cpu/0 start", NULL);
    assert_int_not_equal(next, worker);
}

static void death_without_a_link_is_told_to_the_next(void **state)
{
    (void)state;
    fake_fleet_start(TWO_AND_ONE);
    pid_t link = fake_fleet_wait("link start", NULL);
    pid_t worker = fake_fleet_wait("cpu/1 start", NULL);
    kill(link, SIGSTOP); /* it hears nothing any more */
    kill(worker, SIGKILL);
    fake_fleet_wait("cpu/1 start", NULL);
    kill(link, SIGKILL);
    assert_int_not_equal(fake_fleet_wait("link start", NULL), link);
    char expected[64];
    char line[512];
    fake_fleet_wait("link death", line);
    snprintf(expected, sizeof expected, " %d signal 9", (int)worker);
    assert_non_null(strstr(line, expected));
    /* the link's own death cost no worker */
    assert_false(fake_fleet_has("cpu/0 term"));
}

static void restarts_are_spaced_out(void **state)
{
    (void)state;
    static const int delays_ms[] = {100, 200, 400, 800};
    enum { DELAYS = sizeof delays_ms / sizeof delays_ms[0] };
    uint64_t begin_ns = clock_monotonic_ns();
    fake_fleet_start("groups:\n- {name: cpu, kind: cpu, processes: 1,"
                     " environment: [{name: FAKE_MODE, value: \"exit:70\"}]}\n");
    uint64_t least_ns = 0;
    fake_fleet_wait("cpu/0 start", NULL);
    for (int i = 0; i < DELAYS; i++) {
        char text[64];
        fake_fleet_wait("cpu/0 start", NULL);
        least_ns += (uint64_t)delays_ms[i] * NS_PER_MS;
        assert_true(clock_monotonic_ns() - begin_ns >= least_ns);
        snprintf(text, sizeof text, "state=backoff restart_ms=%d\n", delays_ms[i]);
        assert_true(fake_fleet_has_output(text));
    }
    for (int i = 0; i <= DELAYS; i++)
        fake_fleet_wait("link death", NULL);
    kill(fake_fleet_pid, SIGTERM);
    assert_int_equal(fake_fleet_wait_exit(), EXIT_OK);
    assert_true(fake_fleet_has_output("reason=\"exit 70 (internal error)\""));
    assert_true(fake_fleet_has_output("event=process.crash_looping"));
}

static void dying_group_is_started_one_at_a_time(void **state)
{
    (void)state;
    fake_fleet_start("groups:\n- {name: good, kind: cpu, processes: 1}\n"
                     "- {name: bad, kind: cpu, processes: 6,"
                     " environment: [{name: FAKE_MODE, value: \"exit:70\"}]}\n");
    /* three lives each, then each start is a trial: it goes on, and the others live */
    int plan_lines = 6;
    for (int i = 0; i < plan_lines + 6 * 3 + 4; i++)
        fake_fleet_wait("bad/", NULL);
    assert_true(fake_fleet_has_output("event=group.crash_looping group=bad"));
    assert_false(fake_fleet_has("good/0 term"));
    kill(fake_fleet_pid, SIGTERM);
    assert_int_equal(fake_fleet_wait_exit(), EXIT_OK);
}

static void bad_config_is_not_restarted(void **state)
{
    (void)state;
    fake_fleet_start("groups:\n- {name: good, kind: cpu, processes: 1}\n"
                     "- {name: bad, kind: cpu, processes: 1,"
                     " environment: [{name: FAKE_MODE, value: \"exit:78\"}]}\n");
    fake_fleet_wait("bad/0 start", NULL);
    fake_fleet_wait("link death", NULL);
    kill(fake_fleet_pid, SIGTERM);
    assert_int_equal(fake_fleet_wait_exit(), EXIT_OK);
    assert_false(fake_fleet_has("bad/0 start"));
    assert_true(fake_fleet_has_output("event=process.failed name=bad/0"));
}

static void engine_without_a_future_ends_the_fleet(void **state)
{
    (void)state;
    setenv("FAKE_MODE_ENGINE", "exit:78", 1);
    fake_fleet_start(TWO_AND_ONE);
    assert_int_equal(fake_fleet_wait_exit(), EXIT_BAD_CONFIG);
    assert_false(fake_fleet_has("cpu/0 start"));
}

static void fleet_ends_when_no_worker_can_run(void **state)
{
    (void)state;
    fake_fleet_start("groups:\n- {name: gpu, kind: gpu, processes: 2, device: cpu,"
                     " environment: [{name: FAKE_MODE, value: \"exit:81\"}]}\n");
    assert_int_equal(fake_fleet_wait_exit(), EXIT_DEVICE_UNUSABLE);
}

static void hung_worker_is_drained_and_replaced(void **state)
{
    (void)state;
    /* the quiet one never told progress: nobody waits for any */
    fake_fleet_start("groups:\n- {name: quiet, kind: cpu, processes: 1, hang_ms: 3000}\n"
                     "- {name: cpu, kind: cpu, processes: 1, hang_ms: 3000,"
                     " environment: [{name: FAKE_MODE, value: hang}]}\n");
    pid_t worker = fake_fleet_wait("cpu/0 start", NULL);
    fake_fleet_wait("quiet/0 start", NULL);
    assert_int_not_equal(fake_fleet_wait("cpu/0 start", NULL), worker);
    assert_true(fake_fleet_has("cpu/0 term"));
    assert_true(fake_fleet_has_output("no progress, exit 0 (ended)"));
    assert_false(fake_fleet_has("quiet/0 start"));
}

static void stuck_worker_is_killed_and_replaced(void **state)
{
    (void)state;
    fake_fleet_start("groups:\n- {name: cpu, kind: cpu, processes: 1, hang_ms: 3000, grace_ms: 200,"
                     " environment: [{name: FAKE_MODE, value: stuck}]}\n");
    pid_t worker = fake_fleet_wait("cpu/0 start", NULL);
    assert_int_not_equal(fake_fleet_wait("cpu/0 start", NULL), worker);
    assert_true(fake_fleet_has_output("no progress, signal 9 (killed)"));
}

static void nobody_outlives_a_killed_supervisor(void **state)
{
    (void)state;
    fake_fleet_start(TWO_AND_ONE);
    pid_t pids[] = {fake_fleet_wait("engine start", NULL), fake_fleet_wait("link start", NULL),
                    fake_fleet_wait("cpu/0 start", NULL), fake_fleet_wait("cpu/1 start", NULL),
                    fake_fleet_wait("gpu/0 start", NULL)};
    kill(fake_fleet_pid, SIGKILL);
    waitpid(fake_fleet_pid, NULL, 0);
    fake_fleet_pid = 0;
    for (size_t i = 0; i < sizeof pids / sizeof pids[0]; i++)
        fake_fleet_wait_end(pids[i]);
}

static void what_a_child_leaves_behind_goes_with_it(void **state)
{
    (void)state;
    fake_fleet_start("groups:\n- {name: cpu, kind: cpu, processes: 1,"
                     " environment: [{name: FAKE_MODE, value: early}]}\n");
    char line[512];
    int grandchild = 0;
    fake_fleet_wait("cpu/0 start", NULL);
    fake_fleet_wait("cpu/0 grandchild", line);
    assert_int_equal(sscanf(line, "%*s %*s %*d %d", &grandchild), 1);
    fake_fleet_wait_end(grandchild);
    fake_fleet_wait("cpu/0 start", NULL);
    /* reaped, or its number would still answer */
    assert_int_equal(kill(grandchild, 0), -1);
}

static void works_as_process_one(void **state)
{
    (void)state;
    static const char config[] = "groups:\n- {name: cpu, kind: cpu, processes: 1,"
                                 " environment: [{name: FAKE_MODE, value: early}]}\n"
                                 "- {name: gpu, kind: gpu, processes: 1, device: cpu}\n";
    if (!fake_fleet_clone(config, CLONE_NEWPID) &&
        !fake_fleet_clone(config, CLONE_NEWPID | CLONE_NEWUSER))
        skip();
    /* grandchildren come and are reaped while everything else goes on */
    for (int i = 0; i < 4; i++)
        fake_fleet_wait("cpu/0 grandchild", NULL);
    fake_fleet_wait("gpu/0 start", NULL);
    kill(fake_fleet_pid, SIGTERM);
    fake_fleet_wait("gpu/0 term", NULL);
    fake_fleet_wait("engine term", NULL);
    assert_int_equal(fake_fleet_wait_exit(), EXIT_OK);
}

static void missing_program_is_tried_again(void **state)
{
    (void)state;
    char path[256];
    fake_fleet_path("argosy-worker-cpu", path, sizeof path);
    assert_int_equal(unlink(path), 0);
    fake_fleet_start(TWO_AND_ONE);
    fake_fleet_wait("gpu/0 start", NULL);
    assert_int_equal(symlink(FAKE_CHILD, path), 0);
    fake_fleet_wait("cpu/0 start", NULL);
    assert_true(fake_fleet_has_output("cannot execute: No such file or directory"));
}

static void gpu_is_hidden_from_the_cpu_device(void **state)
{
    (void)state;
    char line[512];
    setenv("CUDA_VISIBLE_DEVICES", "3", 1);
    fake_fleet_start(TWO_AND_ONE);
    fake_fleet_wait("gpu/0 start", line);
    assert_int_equal(line[strlen(line) - 1], ' '); /* set, and empty */
    unsetenv("CUDA_VISIBLE_DEVICES");
}

static void each_gpu_worker_sees_its_own_gpu(void **state)
{
    (void)state;
    char line[512];
    /* slices that the environment names count without a driver to ask */
    setenv("CUDA_VISIBLE_DEVICES", "MIG-a,MIG-b", 1);
    fake_fleet_start("groups: [{name: gpu, kind: gpu}]\n");
    fake_fleet_wait("gpu/0 start", line);
    assert_non_null(strstr(line, " MIG-a"));
    fake_fleet_wait("gpu/1 start", line);
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
    fake_fleet_start("groups:\n- {name: gpu, kind: gpu, processes_per_gpu: 3}\n"
                     "- {name: all, kind: gpu, gpus: [MIG-b]}\n");
    for (int i = 0; i < 3; i++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "gpu/%d start", i);
        pid_t pid = fake_fleet_wait(prefix, line);
        assert_non_null(strstr(line, " MIG-a"));
        assert_true(has_variable(pid, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=33"));
        assert_true(has_variable(pid, "CUDA_DEVICE_ORDER=PCI_BUS_ID"));
    }
    /* A slice that nobody detected is used on the configuration's word, and whole. */
    pid_t pid = fake_fleet_wait("all/0 start", line);
    assert_non_null(strstr(line, " MIG-b"));
    assert_false(has_variable(pid, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=100"));
    unsetenv("CUDA_VISIBLE_DEVICES");
}

/* Waits until the process runs on these processors and no other. */
static void wait_affinity(pid_t pid, const cpu_set_t *expected)
{
    uint64_t end_ns = clock_monotonic_ns() + FAKE_FLEET_WAIT_MS * NS_PER_MS;
    cpu_set_t cpus;
    do {
        assert_int_equal(sched_getaffinity(pid, sizeof cpus, &cpus), 0);
        if (CPU_EQUAL(&cpus, expected))
            return;
        poll(NULL, 0, 10);
    } while (clock_monotonic_ns() < end_ns);
    fake_fleet_show();
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
    fake_fleet_start(TWO_AND_ONE);
    pid_t engine = fake_fleet_wait("engine start", NULL);
    pid_t worker = fake_fleet_wait("cpu/1 start", NULL);
    fake_fleet_wait("fleet ready", NULL);
    /* What a smaller cpuset does to a process that is bound to nothing. SIGCHLD only wakes it. */
    assert_int_equal(sched_setaffinity(fake_fleet_pid, sizeof one, &one), 0);
    kill(fake_fleet_pid, SIGCHLD);
    wait_affinity(engine, &one);
    wait_affinity(worker, &one);
    assert_int_equal(sched_setaffinity(fake_fleet_pid, sizeof all, &all), 0);
    wait_affinity(engine, &all); /* its loop turns without being woken, too */
    wait_affinity(worker, &all);
    assert_true(fake_fleet_has_output("event=cpuset.changed"));
    assert_true(fake_fleet_has_output("event=process.moved name=cpu/1"));
}

static void restarts_leak_no_descriptor(void **state)
{
    (void)state;
    enum { WORKERS = 12, ROUNDS = 3 };
    fake_fleet_start("groups: [{name: cpu, kind: cpu, processes: 12}]\n");
    fake_fleet_wait("fleet ready", NULL);
    int before = fake_fleet_descriptors();
    for (int round = 0; round <= ROUNDS; round++) {
        for (int i = 0; i < WORKERS; i++) {
            char prefix[32];
            snprintf(prefix, sizeof prefix, "cpu/%d start", i);
            pid_t pid = fake_fleet_wait(prefix, NULL);
            if (round < ROUNDS)
                kill(pid, SIGKILL);
        }
    }
    /* One descriptor leaked by each restart would be 36. */
    fake_fleet_wait_descriptors(before + 2);
}

static void one_supervisor_to_a_data_folder(void **state)
{
    (void)state;
    fake_fleet_start(TWO_AND_ONE);
    fake_fleet_wait("gpu/0 start", NULL);
    pid_t first = fake_fleet_pid;
    fake_fleet_start(TWO_AND_ONE);
    assert_int_equal(fake_fleet_wait_exit(), EXIT_ALREADY_EXISTS);
    assert_true(fake_fleet_has_output("another fleet already runs in"));
    fake_fleet_pid = first;
}

static void config_errors_are_told(void **state)
{
    (void)state;
    fake_fleet_start("groups:\n- {name: cpu, kind: cpu, proceses: 1}\n");
    assert_int_equal(fake_fleet_wait_exit(), EXIT_BAD_CONFIG);
    assert_true(fake_fleet_has_output(
        "fleet.yaml:2: groups[0].proceses: unknown key (did you mean \"processes\"?)"));
}

#define TEST(function)                                                                             \
    cmocka_unit_test_setup_teardown(function, fake_fleet_set_up, fake_fleet_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(starts_and_drains_in_order),
        TEST(engine_drains_after_the_workers_ended),
        TEST(second_signal_hurries),
        TEST(killed_worker_is_replaced_and_told),
        TEST(death_without_a_link_is_told_to_the_next),
        TEST(restarts_are_spaced_out),
        TEST(dying_group_is_started_one_at_a_time),
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
