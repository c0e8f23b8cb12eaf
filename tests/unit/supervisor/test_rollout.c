/* SPDX-License-Identifier: Apache-2.0 */
/* test_rollout: who may be restarted, and when: a group keeps working, whatever else befalls it. */
#include "tests/test.h"

#include <string.h>

#include "supervisor/rollout.h"

#define WORKERS 4
#define NOW_NS  (100 * NS_PER_S)

static struct fleet_group group;
static struct process processes[WORKERS + 1];
static struct process *places[WORKERS + 1];
static struct roster roster = {places, WORKERS + 1};

/* Four workers of a group that serve, and the engine. */
static int set_up(void **state)
{
    (void)state;
    group = (struct fleet_group){.name = "cpu", .processes = WORKERS, .max_unavailable = 1};
    memset(processes, 0, sizeof processes);
    for (int i = 0; i <= WORKERS; i++) {
        struct process *process = places[i] = &processes[i];
        process->lifecycle.state = LIFECYCLE_READY;
        process->rank = i < WORKERS ? PROCESS_RANK_WORKER : PROCESS_RANK_ENGINE;
        process->pin.group = i < WORKERS ? &group : NULL;
        strcpy(process->group, i < WORKERS ? "cpu" : "");
    }
    return 0;
}

static bool may_go(int worker)
{
    return rollout_may_go(&roster, &processes[worker], NOW_NS);
}

static void one_goes_at_a_time(void **state)
{
    (void)state;
    assert_true(may_go(0));
    processes[0].lifecycle.state = LIFECYCLE_DRAINING;
    assert_false(may_go(1));
    processes[0].lifecycle.state = LIFECYCLE_STARTING;
    assert_false(may_go(1));
    processes[0].lifecycle.state = LIFECYCLE_READY;
    assert_true(may_go(1));
}

static void as_many_go_as_the_group_can_spare(void **state)
{
    (void)state;
    group.max_unavailable = 2;
    processes[0].lifecycle.state = LIFECYCLE_DRAINING;
    assert_true(may_go(1));
    processes[1].lifecycle.state = LIFECYCLE_DRAINING;
    assert_false(may_go(2));
    group.max_unavailable = WORKERS;
    assert_true(may_go(2));
}

static void who_died_counts_as_away(void **state)
{
    (void)state;
    processes[3].lifecycle.state = LIFECYCLE_BACKOFF;
    assert_false(may_go(0));
}

static void who_serves_nothing_goes_at_once(void **state)
{
    (void)state;
    processes[0].lifecycle.state = LIFECYCLE_BACKOFF;
    processes[1].lifecycle.state = LIFECYCLE_FAILED;
    processes[2].lifecycle.state = LIFECYCLE_STARTING;
    assert_true(may_go(0));
    assert_true(may_go(1));
    assert_true(may_go(2));
    assert_false(may_go(3));
}

static void single_worker_can_be_spared(void **state)
{
    (void)state;
    group.processes = 1;
    for (int i = 1; i < WORKERS; i++)
        strcpy(processes[i].group, "other");
    assert_true(may_go(0));
}

static void own_process_goes_when_it_was_answered(void **state)
{
    (void)state;
    struct process *engine = &processes[WORKERS];
    assert_true(rollout_deadline_ns(engine) == UINT64_MAX);
    engine->is_stale = true;
    engine->stale_ns = NOW_NS;
    assert_true(rollout_deadline_ns(engine) == NOW_NS + ROLLOUT_ANSWER_NS);
    assert_false(rollout_may_go(&roster, engine, NOW_NS + ROLLOUT_ANSWER_NS - 1));
    assert_true(rollout_may_go(&roster, engine, NOW_NS + ROLLOUT_ANSWER_NS));
    /* on its way it wakes nobody */
    engine->lifecycle.state = LIFECYCLE_DRAINING;
    assert_true(rollout_deadline_ns(engine) == UINT64_MAX);
    /* a worker is decided on when something changes */
    processes[0].is_stale = true;
    assert_true(rollout_deadline_ns(&processes[0]) == UINT64_MAX);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_goes_at_a_time),          TEST(as_many_go_as_the_group_can_spare),
        TEST(who_died_counts_as_away),     TEST(who_serves_nothing_goes_at_once),
        TEST(single_worker_can_be_spared), TEST(own_process_goes_when_it_was_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
