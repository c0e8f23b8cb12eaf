/* SPDX-License-Identifier: Apache-2.0 */
/* test_roster: processes come and go by plans; what stays keeps its place in memory. */
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

#include "supervisor/roster.h"
#include "supervisor/status_page.h"

static struct fleet_group cpu = {.name = "cpu", .grace_ms = 1000, .hang_ms = 3000};
static struct fleet_group gpu = {.name = "gpu"};
static struct roster roster;

/* A plan of the link, and of so many processes of two groups. */
static struct placement make_plan(int cpus, int gpus)
{
    struct placement plan = {.pin_count = (size_t)(1 + cpus + gpus)};
    plan.pins = calloc(plan.pin_count, sizeof plan.pins[0]);
    plan.pins[0].index = PLACEMENT_LINK;
    for (int i = 0; i < cpus; i++)
        plan.pins[1 + i] = (struct placement_pin){.group = &cpu, .index = i};
    for (int i = 0; i < gpus; i++)
        plan.pins[1 + cpus + i] = (struct placement_pin){.group = &gpu, .index = i};
    return plan;
}

static int apply(int cpus, int gpus)
{
    struct placement plan = make_plan(cpus, gpus);
    struct error err = {0};
    int code = roster_apply(&roster, &plan, &err);
    free(plan.pins);
    return code;
}

static int tear_down(void **state)
{
    (void)state;
    roster_fini(&roster);
    return 0;
}

static void processes_keep_their_address(void **state)
{
    (void)state;
    assert_int_equal(apply(2, 1), 0);
    struct process *first = roster_find_name(&roster, "cpu/0");
    struct process *last = roster_find_name(&roster, "gpu/0");
    assert_int_equal(apply(3, 1), 0);
    assert_int_equal(roster.count, 5);
    assert_ptr_equal(roster_find_name(&roster, "cpu/0"), first);
    assert_ptr_equal(roster_find_name(&roster, "gpu/0"), last);
    assert_int_equal(roster_find_name(&roster, "cpu/2")->lifecycle.state, LIFECYCLE_IDLE);
    assert_string_equal(roster_link(&roster)->name, "link");
}

static void who_is_not_planned_stays_until_it_has_stopped(void **state)
{
    (void)state;
    assert_int_equal(apply(2, 0), 0);
    struct process *process = roster_find_name(&roster, "cpu/1");
    lifecycle_started(&process->lifecycle, 1);
    assert_int_equal(apply(1, 0), 0);
    assert_true(process->is_retired);
    assert_null(process->pin.group); /* it may go with its config */
    roster_sweep(&roster);
    assert_ptr_equal(roster_find_name(&roster, "cpu/1"), process);
    lifecycle_stop(&process->lifecycle, true, 2);
    lifecycle_died(&process->lifecycle, 9, DEATH_CAUSE_NONE, 3);
    roster_sweep(&roster);
    assert_null(roster_find_name(&roster, "cpu/1"));
    assert_int_equal(roster.count, 2);
}

static void who_is_planned_again_comes_back(void **state)
{
    (void)state;
    assert_int_equal(apply(1, 1), 0);
    struct process *process = roster_find_name(&roster, "gpu/0");
    lifecycle_started(&process->lifecycle, 1);
    assert_int_equal(apply(1, 0), 0);
    assert_int_equal(apply(1, 1), 0);
    assert_ptr_equal(roster_find_name(&roster, "gpu/0"), process);
    assert_false(process->is_retired);
    assert_ptr_equal(process->pin.group, &gpu);
}

static void new_times_hold_for_who_runs(void **state)
{
    (void)state;
    assert_int_equal(apply(1, 0), 0);
    cpu.grace_ms = 7000;
    assert_int_equal(apply(1, 0), 0);
    assert_true(roster_find_name(&roster, "cpu/0")->lifecycle.grace_ns == 7 * NS_PER_S);
    cpu.grace_ms = 1000;
}

static void who_tells_progress_is_watched_for_it(void **state)
{
    (void)state;
    assert_int_equal(apply(1, 0), 0);
    assert_true(roster_find_name(&roster, "cpu/0")->lifecycle.hang_ns == 3 * NS_PER_S);
    assert_true(roster_link(&roster)->lifecycle.hang_ns == 30 * NS_PER_S);
}

static void too_many_are_refused_and_nothing_changes(void **state)
{
    (void)state;
    assert_int_equal(apply(2, 0), 0);
    assert_int_equal(apply(STATUS_PROCESS_MAX, 0), ERR_LIMIT);
    assert_int_equal(roster.count, 3);
    assert_false(roster_find_name(&roster, "cpu/0")->is_retired);
}

#define TEST(function) cmocka_unit_test_teardown(function, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(processes_keep_their_address),
        TEST(who_is_not_planned_stays_until_it_has_stopped),
        TEST(who_is_planned_again_comes_back),
        TEST(new_times_hold_for_who_runs),
        TEST(who_tells_progress_is_watched_for_it),
        TEST(too_many_are_refused_and_nothing_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
