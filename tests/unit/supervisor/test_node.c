/* SPDX-License-Identifier: Apache-2.0 */
/* test_node: a node changes its plan under processes in all states, and fails whole. */
#include "tests/test.h"

#include <signal.h>

#include "supervisor/node.h"

static struct node node;

/* A plan of this machine with so many CPU workers, and the node's own processes. */
static struct plan make_plan(int workers)
{
    const struct plan_source source = {
        .dev = {.data_dir = "/nowhere", .cpu_workers = workers, .device = FLEET_DEVICE_CPU}};
    struct plan plan;
    struct error err = {0};
    if (plan_create(&source, NULL, &plan, &err) != 0)
        fail_msg("%s", err.text);
    return plan;
}

static int start_node(void **state)
{
    (void)state;
    struct error err = {0};
    node = (struct node){.loop.epoll_fd = -1, .plan = make_plan(2)};
    return roster_apply(&node.roster, &node.plan.placement, &err);
}

static int end_node(void **state)
{
    (void)state;
    node_close(&node);
    return 0;
}

static void who_waits_for_its_next_start_and_is_retired_is_not_started(void **state)
{
    (void)state;
    struct error err = {0};
    struct process *process = roster_find_name(&node.roster, "cpu/1");
    lifecycle_started(&process->lifecycle, 1);
    lifecycle_died(&process->lifecycle, SIGSEGV, DEATH_CAUSE_NONE, 2);
    lifecycle_postpone(&process->lifecycle, 3); /* over long ago */
    struct plan plan = make_plan(1);
    assert_int_equal(node_adopt_plan(&node, &plan, &err), 0);
    assert_true(process->is_retired);
    node_tick(&node, process);
    assert_int_equal(process->lifecycle.state, LIFECYCLE_STOPPED);
    assert_int_equal(process->pid, 0);
}

static void what_cannot_be_opened_is_closed_all_the_same(void **state)
{
    (void)state;
    static struct placement_pin pins[STATUS_PROCESS_MAX + 1];
    struct fleet_config config = {.supervisor.cgroup = FLEET_CGROUP_NONE};
    struct plan plan = {.config = &config,
                        .placement = {.pins = pins, .pin_count = STATUS_PROCESS_MAX + 1}};
    const struct plan_source source = {0};
    const struct process_setting setting = {0};
    struct error err = {0};
    assert_int_equal(node_open(&node, &source, &plan, &setting, &err), ERR_LIMIT);
    assert_non_null(plan.config); /* not taken */
    node_close(&node);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, start_node, end_node)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_opened_is_closed_all_the_same),
        TEST(who_waits_for_its_next_start_and_is_retired_is_not_started),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
