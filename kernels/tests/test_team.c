/* SPDX-License-Identifier: Apache-2.0 */
/* The thread team: every item is done once, by a member, before team_run returns. */
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "kernels/cpu/team.h"
#include "kernels/device.h"

enum { ITEMS_MAX = 1000 };

struct work {
    _Atomic uint32_t done[ITEMS_MAX];
    uint32_t plain[ITEMS_MAX]; /* written without atomics: must be visible to the caller */
    _Atomic uint32_t threads_wrong;
    uint32_t threads;
};

static void do_item(const void *argument, uint32_t item, uint32_t thread)
{
    struct work *work = (struct work *)(uintptr_t)argument;

    if (thread >= work->threads)
        work->threads_wrong++;
    work->done[item]++;
    work->plain[item] = item + 1;
}

static void busy_wait_us(long us)
{
    struct timespec start, now;

    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000000 + (now.tv_nsec - start.tv_nsec) / 1000 < us);
}

static void run_team(uint32_t threads, uint32_t rounds, long pause_us)
{
    struct team *team;
    struct work *work = calloc(1, sizeof(*work));
    uint32_t total[ITEMS_MAX] = {0};

    assert_non_null(work);
    work->threads = threads;
    assert_int_equal(team_create(threads, NULL, &team), KERNEL_OK);
    assert_int_equal(team_threads(team), threads);
    for (uint32_t round = 0; round < rounds; round++) {
        uint32_t items = round * 37 % (ITEMS_MAX + 1);
        for (uint32_t i = 0; i < items; i++)
            work->plain[i] = 0;
        team_run(team, do_item, work, items);
        for (uint32_t i = 0; i < items; i++) {
            total[i]++;
            assert_int_equal(work->plain[i], i + 1);
            assert_int_equal(work->done[i], total[i]);
        }
        if (pause_us)
            busy_wait_us(pause_us); /* long enough for the members to go to sleep */
    }
    assert_int_equal(work->threads_wrong, 0);
    team_destroy(team);
    free(work);
}

static void test_every_item_once(void **state)
{
    (void)state;
    for (uint32_t threads = 1; threads <= 5; threads++)
        run_team(threads, 300, 0);
}

static void test_wakes_sleepers(void **state)
{
    (void)state;
    run_team(3, 50, 1000);
}

static void test_closes_unused(void **state)
{
    struct team *team;

    (void)state;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(team_create(4, NULL, &team), KERNEL_OK);
        team_destroy(team);
    }
    team_destroy(NULL);
}

struct where {
    uint32_t core;
    _Atomic bool is_elsewhere;
    _Atomic uint32_t others; /* items done by a thread other than the caller */
};

static void note_core(const void *argument, uint32_t item, uint32_t thread)
{
    struct where *where = (struct where *)(uintptr_t)argument;

    (void)item;
    if (thread == 0) {
        /* Leave the items to the member, which must come. */
        while (atomic_load(&where->others) == 0)
            sched_yield();
        return;
    }
    where->others++;
    if ((uint32_t)sched_getcpu() != where->core)
        where->is_elsewhere = true;
}

static void test_pins_to_cores(void **state)
{
    cpu_set_t set;
    uint32_t core = 0;
    struct team *team;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    while (!CPU_ISSET(core, &set))
        core++;
    const uint32_t cores[] = {core, core};
    struct where where = {.core = core};
    assert_int_equal(team_create(2, cores, &team), KERNEL_OK);
    team_run(team, note_core, &where, 2);
    assert_false(where.is_elsewhere);
    team_destroy(team);

    const uint32_t absent[] = {core, CPU_SETSIZE + 1};
    assert_int_equal(team_create(2, absent, &team), KERNEL_SYSTEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_item_once),
        cmocka_unit_test(test_wakes_sleepers),
        cmocka_unit_test(test_closes_unused),
        cmocka_unit_test(test_pins_to_cores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
