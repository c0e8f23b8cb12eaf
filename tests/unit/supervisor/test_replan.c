/* SPDX-License-Identifier: Apache-2.0 */
/* test_replan: a plan's new processors reach the processes that run, and no other. */
#include "tests/test.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "supervisor/replan.h"

static const struct fleet_group group = {.name = "cpu", .kind = FLEET_GROUP_CPU};
static cpu_set_t allowed, one;
static struct process process;
static struct process *processes[] = {&process};
static struct node node = {.roster = {.processes = processes, .count = 1}};

static int start_child(void **state)
{
    (void)state;
    const struct placement_pin pin = {.group = &group, .cpus = allowed};
    process_init(&process, &pin);
    process.pid = fork();
    if (process.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    process.is_misplaced = false; /* as after a start */
    return process.pid > 0 ? 0 : -1;
}

static void end_child(void)
{
    if (process.pid > 0) {
        kill(process.pid, SIGKILL);
        waitpid(process.pid, NULL, 0);
    }
    process.pid = 0;
}

static int end(void **state)
{
    (void)state;
    end_child();
    process_fini(&process);
    return 0;
}

static bool runs_on(const cpu_set_t *expected)
{
    cpu_set_t cpus;
    return sched_getaffinity(process.pid, sizeof cpus, &cpus) == 0 && CPU_EQUAL(&cpus, expected);
}

static void another_place_is_moved_to(void **state)
{
    (void)state;
    struct placement_pin pin = {.group = &group, .is_pinned = true, .cpus = one};
    process_plan(&process, &pin);
    replan_move(&node);
    assert_true(runs_on(&one));
    assert_int_equal(process.pins_refused, 0);
    assert_false(process.is_misplaced);
}

/* A process may have bound its threads itself, within the place it was given. */
static void the_same_place_is_left_alone(void **state)
{
    (void)state;
    struct placement_pin pin = {.group = &group, .cpus = allowed};
    assert_int_equal(sched_setaffinity(process.pid, sizeof one, &one), 0);
    process_plan(&process, &pin);
    replan_move(&node);
    assert_true(runs_on(&one));
}

static void a_refusal_is_counted(void **state)
{
    (void)state;
    struct placement_pin nowhere = {.group = &group, .is_pinned = true};
    process_plan(&process, &nowhere);
    replan_move(&node);
    assert_true(runs_on(&allowed));
    assert_int_equal(process.pins_refused, 1);
    replan_move(&node); /* once for each plan */
    assert_int_equal(process.pins_refused, 1);
}

static void who_does_not_run_is_not_moved(void **state)
{
    (void)state;
    struct placement_pin pin = {.group = &group, .is_pinned = true, .cpus = one};
    end_child();
    process_plan(&process, &pin);
    replan_move(&node);
    assert_int_equal(process.pins_refused, 0);
    assert_false(process.is_misplaced);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start_child, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(another_place_is_moved_to),
        TEST(the_same_place_is_left_alone),
        TEST(a_refusal_is_counted),
        TEST(who_does_not_run_is_not_moved),
    };
    topology_get_allowed(&allowed);
    for (int cpu = 0; CPU_COUNT(&one) == 0; cpu++) {
        if (CPU_ISSET(cpu, &allowed))
            CPU_SET(cpu, &one);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
