/* SPDX-License-Identifier: Apache-2.0 */
/* test_repin: real children with threads are moved between the processors this test may use. */
#include "tests/test.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/repin.h"

#define THREAD_COUNT 4

static cpu_set_t allowed;
static bool has_moved;
static int report_fds[2]; /* from the child: a byte for each thread that runs */

/* A pin on one processor, the nth of those allowed. */
static struct placement_pin pin_to(int nth)
{
    struct placement_pin pin = {.is_pinned = true};
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed) && nth-- == 0)
            CPU_SET(cpu, &pin.cpus);
    }
    return pin;
}

static void *tell_and_wait(void *argument)
{
    (void)argument;
    char byte = 't';
    if (write(report_fds[1], &byte, 1) != 1)
        _exit(1);
    pause();
    return NULL;
}

/* Starts a thread, which starts one, until the process is killed: somebody is always new. */
static void *start_another(void *argument)
{
    pthread_t thread;
    char byte = 't';
    (void)!write(report_fds[1], &byte, 1);
    (void)pthread_create(&thread, NULL, start_another, argument);
    pthread_detach(pthread_self());
    return NULL;
}

static pid_t start_child(void *(*function)(void *), int threads)
{
    assert_int_equal(pipe(report_fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        pthread_t thread;
        for (int i = 0; i < threads; i++) {
            if (pthread_create(&thread, NULL, function, NULL) != 0)
                _exit(1);
        }
        pause();
        _exit(0);
    }
    char byte;
    for (int i = 0; i < threads; i++)
        assert_int_equal(read(report_fds[0], &byte, 1), 1);
    return pid;
}

static void end_child(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    close(report_fds[0]);
    close(report_fds[1]);
}

/* What the kernel says of each thread, read in another way than the code under test does: all are
 * on the processor. A sanitizer adds threads of its own. */
static void expect_threads_on(pid_t pid, const cpu_set_t *cpus)
{
    char command[160];
    snprintf(command, sizeof command, "grep -h ^Cpus_allowed_list: /proc/%d/task/*/status",
             (int)pid);
    FILE *lines = popen(command, "r");
    assert_non_null(lines);
    int first = 0;
    while (!CPU_ISSET(first, cpus))
        first++;
    int count = 0;
    char line[256];
    while (fgets(line, sizeof line, lines) != NULL) {
        char expected[64];
        snprintf(expected, sizeof expected, "Cpus_allowed_list:\t%d\n", first);
        assert_string_equal(line, expected);
        count++;
    }
    pclose(lines);
    assert_true(count >= THREAD_COUNT + 1);
}

static void all_threads_move(void **state)
{
    (void)state;
    struct error err = {0};
    pid_t pid = start_child(tell_and_wait, THREAD_COUNT);
    for (int nth = 0; nth < CPU_COUNT(&allowed) && nth < 4; nth++) {
        struct placement_pin pin = pin_to(nth);
        if (repin(pid, &pin, &has_moved, &err) != 0)
            fail_msg("%s", err.text);
        assert_int_equal(has_moved, CPU_COUNT(&allowed) > 1);
        expect_threads_on(pid, &pin.cpus);
        assert_int_equal(repin(pid, &pin, &has_moved, &err), 0);
        assert_false(has_moved);
    }
    end_child(pid);
}

/* Whatever was started while they were moved has the new processors, too. */
static void threads_that_start_meanwhile_move(void **state)
{
    (void)state;
    struct error err = {0};
    pid_t pid = start_child(start_another, THREAD_COUNT);
    for (int round = 0; round < 50; round++) {
        struct placement_pin pin = pin_to(round % CPU_COUNT(&allowed));
        if (repin(pid, &pin, &has_moved, &err) != 0)
            fail_msg("%s", err.text);
        cpu_set_t cpus;
        assert_int_equal(sched_getaffinity(pid, sizeof cpus, &cpus), 0);
        assert_true(CPU_EQUAL(&cpus, &pin.cpus));
        char bytes[512];
        assert_true(read(report_fds[0], bytes, sizeof bytes) > 0);
    }
    end_child(pid);
}

static void what_cannot_be_is_said(void **state)
{
    (void)state;
    struct error err = {0};
    struct placement_pin pin = pin_to(0);
    pid_t pid = start_child(tell_and_wait, 1);
    struct placement_pin nowhere = {.is_pinned = true};
    assert_int_equal(repin(pid, &nowhere, &has_moved, &err), ERR_IO);
    assert_non_null(strstr(err.text, "to its processors: Invalid argument"));
    cpu_set_t cpus;
    assert_int_equal(sched_getaffinity(pid, sizeof cpus, &cpus), 0);
    assert_true(CPU_EQUAL(&cpus, &allowed));
    end_child(pid);
    assert_int_equal(repin(pid, &pin, &has_moved, &err), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_threads_move),
        cmocka_unit_test(threads_that_start_meanwhile_move),
        cmocka_unit_test(what_cannot_be_is_said),
    };
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
