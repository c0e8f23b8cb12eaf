/* SPDX-License-Identifier: Apache-2.0 */
/* test_breaker: when a group is started one worker at a time, and when no longer. */
#include "tests/test.h"

#include <signal.h>
#include <string.h>

#include "supervisor/breaker.h"

#define WORKERS 4
#define NOW_NS  (1000 * NS_PER_S)

static struct process processes[WORKERS + 1];
static struct process *places[WORKERS + 1];
static struct roster roster = {places, WORKERS + 1};

/* Four workers of a group that wait for their next start, and one of another group. */
static int set_up(void **state)
{
    (void)state;
    memset(processes, 0, sizeof processes);
    for (int i = 0; i <= WORKERS; i++) {
        strcpy(processes[i].group, i < WORKERS ? "cpu" : "other");
        lifecycle_init(&processes[i].lifecycle);
        processes[i].lifecycle.state = LIFECYCLE_BACKOFF;
        places[i] = &processes[i];
    }
    return 0;
}

static void die(int worker, int times, uint64_t at_ns, uint64_t healthy_ns)
{
    const struct death death = {.at_ns = at_ns, .healthy_ns = healthy_ns};
    for (int i = 0; i < times; i++)
        death_history_add(&processes[worker].lifecycle.deaths, &death);
}

static void everybody_dies(uint64_t at_ns)
{
    for (int i = 0; i < WORKERS; i++)
        die(i, BREAKER_DEATHS_PER_WORKER, at_ns, 0);
}

static void one_who_dies_does_not_open_it(void **state)
{
    (void)state;
    die(0, WORKERS * BREAKER_DEATHS_PER_WORKER - 1, NOW_NS, 0);
    assert_false(breaker_is_open(&roster, &processes[0], NOW_NS));
    die(1, 1, NOW_NS, 0);
    assert_true(breaker_is_open(&roster, &processes[0], NOW_NS));
}

static void long_lives_do_not_open_it(void **state)
{
    (void)state;
    for (int i = 0; i < WORKERS; i++)
        die(i, 4, NOW_NS, DEATH_HEALTHY_NS);
    assert_false(breaker_is_open(&roster, &processes[0], NOW_NS));
}

static void kills_from_outside_do_not_open_it(void **state)
{
    (void)state;
    struct death death = {.at_ns = NOW_NS, .status = SIGKILL};
    for (int i = 0; i < WORKERS * BREAKER_DEATHS_PER_WORKER; i++)
        death_history_add(&processes[i % WORKERS].lifecycle.deaths, &death);
    assert_false(breaker_is_open(&roster, &processes[0], NOW_NS));
    /* killed because it never became ready, or for its memory */
    death.cause = DEATH_CAUSE_START;
    for (int i = 0; i < WORKERS * BREAKER_DEATHS_PER_WORKER; i++)
        death_history_add(&processes[i % WORKERS].lifecycle.deaths, &death);
    assert_true(breaker_is_open(&roster, &processes[0], NOW_NS));
}

static void old_deaths_are_forgotten(void **state)
{
    (void)state;
    everybody_dies(NOW_NS);
    assert_true(breaker_is_open(&roster, &processes[0], NOW_NS + BREAKER_WINDOW_NS - 1));
    assert_false(breaker_is_open(&roster, &processes[0], NOW_NS + BREAKER_WINDOW_NS));
}

static void other_groups_are_not_meant(void **state)
{
    (void)state;
    everybody_dies(NOW_NS);
    assert_false(breaker_is_open(&roster, &processes[WORKERS], NOW_NS));
    /* nor are the node's own processes, which have no group */
    processes[WORKERS].group[0] = '\0';
    die(WORKERS, DEATH_HISTORY_MAX, NOW_NS, 0);
    assert_false(breaker_is_open(&roster, &processes[WORKERS], NOW_NS));
}

static void one_is_on_trial_at_a_time(void **state)
{
    (void)state;
    everybody_dies(NOW_NS);
    assert_true(breaker_may_start(&roster, &processes[0], NOW_NS));
    processes[0].lifecycle.state = LIFECYCLE_STARTING;
    assert_true(breaker_may_start(&roster, &processes[0], NOW_NS)); /* not in its own way */
    assert_false(breaker_may_start(&roster, &processes[1], NOW_NS));
    processes[0].lifecycle.state = LIFECYCLE_READY;
    processes[0].lifecycle.ready_ns = NOW_NS;
    assert_false(breaker_may_start(&roster, &processes[1], NOW_NS + BREAKER_TRIAL_NS - 1));
    assert_true(breaker_may_start(&roster, &processes[1], NOW_NS + BREAKER_TRIAL_NS));
}

static void failed_trial_lets_the_next_one_try(void **state)
{
    (void)state;
    everybody_dies(NOW_NS);
    processes[0].lifecycle.state = LIFECYCLE_STARTING;
    assert_false(breaker_may_start(&roster, &processes[1], NOW_NS));
    processes[0].lifecycle.state = LIFECYCLE_BACKOFF;
    assert_true(breaker_may_start(&roster, &processes[1], NOW_NS));
}

static void small_group_has_a_few_deaths_free(void **state)
{
    (void)state;
    struct roster small = {places, 1};
    die(0, BREAKER_DEATHS_MIN - 1, NOW_NS, 0);
    assert_false(breaker_is_open(&small, &processes[0], NOW_NS));
    die(0, 1, NOW_NS, 0);
    assert_true(breaker_is_open(&small, &processes[0], NOW_NS));
    assert_true(breaker_may_start(&small, &processes[0], NOW_NS)); /* there is nobody to wait for */
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_who_dies_does_not_open_it),      TEST(long_lives_do_not_open_it),
        TEST(kills_from_outside_do_not_open_it),  TEST(old_deaths_are_forgotten),
        TEST(other_groups_are_not_meant),         TEST(one_is_on_trial_at_a_time),
        TEST(failed_trial_lets_the_next_one_try), TEST(small_group_has_a_few_deaths_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
