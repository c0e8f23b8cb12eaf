/* SPDX-License-Identifier: Apache-2.0 */
/* test_lifecycle: the states of a process under virtual time, the restart delays, the meaning of
 * exit codes. */
#include "tests/test.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/exit_code.h"
#include "supervisor/lifecycle.h"

#define GRACE_NS (10 * NS_PER_S)
#define HANG_NS  (30 * NS_PER_S)

/* What waitpid gives for an exit code and for a signal. */
#define EXITED(code)   ((code) << 8)
#define KILLED(signal) (signal)

static struct lifecycle lifecycle;
static uint64_t now_ns;

static int set_up(void **state)
{
    (void)state;
    lifecycle_init(&lifecycle);
    lifecycle_set_times(&lifecycle, GRACE_NS, HANG_NS);
    now_ns = NS_PER_S;
    return 0;
}

static void start_ready(void)
{
    lifecycle_started(&lifecycle, now_ns);
    lifecycle_ready(&lifecycle, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_READY);
}

/* Moves time to the deadline and ticks. */
static enum lifecycle_action tick_at_deadline(void)
{
    assert_true(lifecycle.deadline_ns != LIFECYCLE_NEVER);
    assert_int_equal(lifecycle_tick(&lifecycle, lifecycle.deadline_ns - 1), LIFECYCLE_DO_NOTHING);
    now_ns = lifecycle.deadline_ns;
    return lifecycle_tick(&lifecycle, now_ns);
}

static void restart_delays_double_up_to_the_cap(void **state)
{
    (void)state;
    static const uint64_t expected_ms[] = {100,   200,   400,   800,   1600,  3200,  6400,
                                           12800, 25600, 30000, 30000, 30000, 30000, 30000,
                                           30000, 30000, 30000, 30000, 30000, 30000};
    for (size_t i = 0; i < sizeof expected_ms / sizeof expected_ms[0]; i++) {
        start_ready();
        lifecycle_died(&lifecycle, KILLED(SIGSEGV), DEATH_CAUSE_NONE, now_ns);
        assert_int_equal(lifecycle.state, LIFECYCLE_BACKOFF);
        assert_int_equal(lifecycle.deadline_ns - now_ns, expected_ms[i] * NS_PER_MS);
        assert_int_equal(tick_at_deadline(), LIFECYCLE_DO_START);
    }
}

static void healthy_life_ends_the_row(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        start_ready();
        lifecycle_died(&lifecycle, EXITED(1), DEATH_CAUSE_NONE, now_ns);
        tick_at_deadline();
    }
    start_ready();
    now_ns += DEATH_HEALTHY_NS - 1;
    lifecycle_died(&lifecycle, EXITED(1), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(lifecycle.deadline_ns - now_ns, 1600 * NS_PER_MS);
    tick_at_deadline();
    start_ready();
    now_ns += DEATH_HEALTHY_NS;
    lifecycle_died(&lifecycle, EXITED(1), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(death_history_row(&lifecycle.deaths), 0);
    assert_int_equal(lifecycle.deadline_ns - now_ns, 100 * NS_PER_MS);
}

static void kill_from_outside_is_no_fault(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        start_ready();
        now_ns += DEATH_SETTLED_NS;
        lifecycle_died(&lifecycle, KILLED(SIGKILL), DEATH_CAUSE_NONE, now_ns);
        assert_int_equal(lifecycle.deadline_ns - now_ns, DEATH_DELAY_FIRST_NS);
        tick_at_deadline();
    }
    assert_int_equal(death_history_row(&lifecycle.deaths), 0);
    /* before it had settled, or for want of memory, it may be one */
    start_ready();
    lifecycle_died(&lifecycle, KILLED(SIGKILL), DEATH_CAUSE_NONE, now_ns);
    tick_at_deadline();
    start_ready();
    now_ns += DEATH_SETTLED_NS;
    lifecycle_died(&lifecycle, KILLED(SIGKILL), DEATH_CAUSE_OOM, now_ns);
    assert_int_equal(death_history_row(&lifecycle.deaths), 2);
    assert_int_equal(lifecycle.deadline_ns - now_ns, 2 * DEATH_DELAY_FIRST_NS);
}

static void long_start_is_no_health(void **state)
{
    (void)state;
    lifecycle_started(&lifecycle, now_ns);
    now_ns += 5 * DEATH_HEALTHY_NS;
    lifecycle_died(&lifecycle, EXITED(1), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(death_history_row(&lifecycle.deaths), 1);
}

static void final_codes_are_not_restarted(void **state)
{
    (void)state;
    static const int final_codes[] = {EXIT_BAD_CONFIG, EXIT_DEVICE_UNUSABLE, EXIT_USAGE};
    static const int other_codes[] = {EXIT_OK,      EXIT_FAILED,       EXIT_INTERNAL,
                                      EXIT_STORAGE, EXIT_GPU_POISONED, EXIT_UNAVAILABLE};
    for (size_t i = 0; i < sizeof final_codes / sizeof final_codes[0]; i++) {
        set_up(NULL);
        start_ready();
        lifecycle_died(&lifecycle, EXITED(final_codes[i]), DEATH_CAUSE_NONE, now_ns);
        assert_int_equal(lifecycle.state, LIFECYCLE_FAILED);
        assert_true(lifecycle.deadline_ns == LIFECYCLE_NEVER);
        assert_int_equal(lifecycle_stop(&lifecycle, false, now_ns), LIFECYCLE_DO_NOTHING);
        assert_int_equal(lifecycle.state, LIFECYCLE_STOPPED);
    }
    for (size_t i = 0; i < sizeof other_codes / sizeof other_codes[0]; i++) {
        set_up(NULL);
        start_ready();
        lifecycle_died(&lifecycle, EXITED(other_codes[i]), DEATH_CAUSE_NONE, now_ns);
        assert_int_equal(lifecycle.state, LIFECYCLE_BACKOFF);
    }
    /* errno 78 of a failed exec is no exit code 78 */
    set_up(NULL);
    lifecycle_started(&lifecycle, now_ns);
    lifecycle_died(&lifecycle, EXITED(EXIT_BAD_CONFIG), DEATH_CAUSE_EXEC, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_BACKOFF);
}

static void drain_ends_in_stopped(void **state)
{
    (void)state;
    start_ready();
    assert_int_equal(lifecycle_stop(&lifecycle, false, now_ns), LIFECYCLE_DO_TERM);
    assert_int_equal(lifecycle.state, LIFECYCLE_DRAINING);
    assert_int_equal(lifecycle_stop(&lifecycle, false, now_ns), LIFECYCLE_DO_NOTHING);
    lifecycle_died(&lifecycle, EXITED(0), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_STOPPED);
}

static void deaf_drain_is_killed_after_its_grace(void **state)
{
    (void)state;
    start_ready();
    lifecycle_stop(&lifecycle, false, now_ns);
    assert_int_equal(lifecycle.deadline_ns - now_ns, GRACE_NS);
    assert_int_equal(tick_at_deadline(), LIFECYCLE_DO_KILL);
    assert_int_equal(lifecycle.state, LIFECYCLE_KILLING);
    assert_int_equal(lifecycle_stop(&lifecycle, true, now_ns), LIFECYCLE_DO_NOTHING);
    lifecycle_died(&lifecycle, KILLED(SIGKILL), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_STOPPED);
    char text[DEATH_TEXT_MAX];
    assert_string_equal(death_format(death_history_last(&lifecycle.deaths), text),
                        "grace period over, signal 9 (killed)");
}

static void stop_reaches_every_state(void **state)
{
    (void)state;
    assert_int_equal(lifecycle_stop(&lifecycle, false, now_ns), LIFECYCLE_DO_NOTHING);
    assert_int_equal(lifecycle.state, LIFECYCLE_STOPPED);

    set_up(NULL);
    lifecycle_started(&lifecycle, now_ns);
    assert_int_equal(lifecycle_stop(&lifecycle, false, now_ns), LIFECYCLE_DO_TERM);
    lifecycle_ready(&lifecycle, now_ns); /* late news */
    assert_int_equal(lifecycle.state, LIFECYCLE_DRAINING);
    assert_int_equal(lifecycle_stop(&lifecycle, true, now_ns), LIFECYCLE_DO_KILL);

    set_up(NULL);
    start_ready();
    lifecycle_died(&lifecycle, EXITED(1), DEATH_CAUSE_NONE, now_ns);
    lifecycle_stop(&lifecycle, false, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_STOPPED);
    assert_true(lifecycle.deadline_ns == LIFECYCLE_NEVER);
}

static void hang_is_found_within_one_and_a_half_times(void **state)
{
    (void)state;
    start_ready();
    uint64_t last_ns = now_ns;
    lifecycle_progress(&lifecycle, now_ns);
    enum lifecycle_action action;
    while ((action = tick_at_deadline()) == LIFECYCLE_DO_NOTHING)
        assert_true(now_ns - last_ns < HANG_NS);
    assert_int_equal(action, LIFECYCLE_DO_TERM);
    assert_in_range(now_ns - last_ns, HANG_NS, HANG_NS + HANG_NS / 2);
    /* it gets less time to hand its work back than one that is well */
    assert_int_equal(lifecycle.deadline_ns - now_ns, LIFECYCLE_FAULT_GRACE_NS);
    assert_int_equal(tick_at_deadline(), LIFECYCLE_DO_KILL);
    lifecycle_died(&lifecycle, KILLED(SIGKILL), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_BACKOFF);
    char text[DEATH_TEXT_MAX];
    assert_string_equal(death_format(death_history_last(&lifecycle.deaths), text),
                        "no progress, signal 9 (killed)");
    /* the next life starts without a promise of progress */
    tick_at_deadline();
    start_ready();
    assert_false(lifecycle.has_progress);
}

static void restart_drains_and_starts_at_once(void **state)
{
    (void)state;
    start_ready();
    assert_int_equal(lifecycle_replace(&lifecycle, DEATH_CAUSE_RESTART, now_ns), LIFECYCLE_DO_TERM);
    assert_int_equal(lifecycle.state, LIFECYCLE_DRAINING);
    assert_int_equal(lifecycle.deadline_ns - now_ns, GRACE_NS);
    /* a fault found on its way out changes nothing */
    assert_int_equal(lifecycle_replace(&lifecycle, DEATH_CAUSE_HANG, now_ns), LIFECYCLE_DO_NOTHING);
    struct death death = lifecycle_died(&lifecycle, EXITED(0), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(death.cause, DEATH_CAUSE_RESTART);
    assert_int_equal(lifecycle.state, LIFECYCLE_IDLE);
    assert_int_equal(lifecycle.deaths.count, 0); /* it was no fault */
    start_ready();
    assert_int_equal(lifecycle.cause, DEATH_CAUSE_NONE);
}

static void deaf_restart_is_killed_and_starts(void **state)
{
    (void)state;
    start_ready();
    lifecycle_replace(&lifecycle, DEATH_CAUSE_RESTART, now_ns);
    assert_int_equal(tick_at_deadline(), LIFECYCLE_DO_KILL);
    lifecycle_died(&lifecycle, KILLED(SIGKILL), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_IDLE);
}

static void restart_tries_again_what_waits_or_failed(void **state)
{
    (void)state;
    start_ready();
    lifecycle_died(&lifecycle, KILLED(SIGSEGV), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(lifecycle_replace(&lifecycle, DEATH_CAUSE_HANG, now_ns), LIFECYCLE_DO_NOTHING);
    assert_int_equal(lifecycle.state, LIFECYCLE_BACKOFF);
    lifecycle_replace(&lifecycle, DEATH_CAUSE_RESTART, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_IDLE);
    start_ready();
    lifecycle_died(&lifecycle, EXITED(EXIT_BAD_CONFIG), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_FAILED);
    lifecycle_replace(&lifecycle, DEATH_CAUSE_RESTART, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_IDLE);
}

static void stop_wins_over_a_replacement(void **state)
{
    (void)state;
    static const enum death_cause causes[] = {DEATH_CAUSE_RESTART, DEATH_CAUSE_HANG};
    for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++) {
        set_up(NULL);
        start_ready();
        lifecycle_replace(&lifecycle, causes[i], now_ns);
        assert_int_equal(lifecycle_stop(&lifecycle, false, now_ns), LIFECYCLE_DO_NOTHING);
        lifecycle_died(&lifecycle, EXITED(0), DEATH_CAUSE_NONE, now_ns);
        assert_int_equal(lifecycle.state, LIFECYCLE_STOPPED);
    }
}

static void progress_keeps_alive(void **state)
{
    (void)state;
    start_ready();
    for (int i = 0; i < 10; i++) {
        lifecycle_progress(&lifecycle, lifecycle.deadline_ns);
        assert_int_equal(tick_at_deadline(), LIFECYCLE_DO_NOTHING);
    }
}

static void silence_without_a_promise_is_no_hang(void **state)
{
    (void)state;
    start_ready();
    for (int i = 0; i < 10; i++)
        assert_int_equal(tick_at_deadline(), LIFECYCLE_DO_NOTHING);
    lifecycle_init(&lifecycle);
    lifecycle_set_times(&lifecycle, GRACE_NS, 0);
    start_ready();
    assert_true(lifecycle.deadline_ns == LIFECYCLE_NEVER);
}

static void endless_start_is_killed(void **state)
{
    (void)state;
    lifecycle_started(&lifecycle, now_ns);
    assert_int_equal(tick_at_deadline(), LIFECYCLE_DO_KILL);
    lifecycle_died(&lifecycle, KILLED(SIGKILL), DEATH_CAUSE_NONE, now_ns);
    assert_int_equal(lifecycle.state, LIFECYCLE_BACKOFF);
    assert_int_equal(death_history_last(&lifecycle.deaths)->cause, DEATH_CAUSE_START);
}

static void deaths_read_well(void **state)
{
    (void)state;
    static const struct {
        struct death death;
        const char *text;
    } cases[] = {
        {{.status = KILLED(SIGKILL)}, "signal 9 (killed)"},
        {{.status = KILLED(SIGSEGV) | 0x80}, "signal 11 (segmentation fault, core dumped)"},
        {{.status = EXITED(EXIT_BAD_CONFIG)}, "exit 78 (bad configuration)"},
        {{.status = EXITED(EXIT_GPU_POISONED)}, "exit 80 (gpu poisoned)"},
        {{.status = EXITED(3)}, "exit 3 (unknown code)"},
        {{.status = KILLED(SIGKILL), .cause = DEATH_CAUSE_HANG}, "no progress, signal 9 (killed)"},
        {{.status = ENOENT, .cause = DEATH_CAUSE_EXEC},
         "cannot execute: No such file or directory"},
        {{.status = EXITED(0),
          .cause = DEATH_CAUSE_MEMORY,
          .memory_mb = 1234567,
          .memory_max_mb = 1024},
         "over its memory limit: 1,234,567 of 1,024 MB, exit 0 (ended)"},
        {{.status = KILLED(SIGKILL),
          .cause = DEATH_CAUSE_MEMORY,
          .memory_mb = 999,
          .memory_max_mb = 16},
         "over its memory limit: 999 of 16 MB, signal 9 (killed)"},
        {{.status = KILLED(SIGKILL), .cause = DEATH_CAUSE_OOM},
         "killed by the kernel: out of memory"},
        {{.status = KILLED(SIGKILL), .cause = DEATH_CAUSE_OOM, .memory_max_mb = 2048},
         "killed by the kernel: out of memory, over its limit of 2,048 MB"},
        {{.status = KILLED(SIGKILL), .cause = DEATH_CAUSE_OOM_MAYBE},
         "maybe out of memory, signal 9 (killed)"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[DEATH_TEXT_MAX];
        assert_string_equal(death_format(&cases[i].death, text), cases[i].text);
    }
}

/* xorshift64: the same walk every time. */
static uint64_t random_next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* What must hold after every step. */
static void check_invariants(bool has_process)
{
    enum lifecycle_state state = lifecycle.state;
    assert_int_equal(lifecycle_is_alive(&lifecycle), has_process);
    if (state == LIFECYCLE_BACKOFF || state == LIFECYCLE_STARTING || state == LIFECYCLE_DRAINING)
        assert_true(lifecycle.deadline_ns != LIFECYCLE_NEVER);
    if (state == LIFECYCLE_IDLE || state == LIFECYCLE_KILLING || state == LIFECYCLE_FAILED ||
        state == LIFECYCLE_STOPPED)
        assert_true(lifecycle.deadline_ns == LIFECYCLE_NEVER);
    if (lifecycle.is_stopping)
        assert_true(state == LIFECYCLE_DRAINING || state == LIFECYCLE_KILLING ||
                    state == LIFECYCLE_STOPPED);
}

/* Whatever comes in whatever order, no illegal move is made (the table asserts) and every life that
 * is stopped ends in stopped. */
static void any_order_of_events_is_borne(void **state)
{
    (void)state;
    static const int statuses[] = {EXITED(0), EXITED(1), EXITED(EXIT_BAD_CONFIG), KILLED(SIGKILL)};
    uint64_t random = UINT64_C(0x9e3779b97f4a7c15);
    int stopped_count = 0;
    int failed_count = 0;
    for (int life = 0; life < 2000; life++) {
        set_up(NULL);
        bool has_process = false;
        for (int step = 0; step < 60; step++) {
            now_ns += random_next(&random) % (20 * NS_PER_S);
            enum lifecycle_action action = LIFECYCLE_DO_NOTHING;
            switch (random_next(&random) % 10) {
            case 0:
                if (lifecycle.state == LIFECYCLE_IDLE)
                    action = LIFECYCLE_DO_START;
                break;
            case 1:
                if (has_process)
                    lifecycle_ready(&lifecycle, now_ns);
                break;
            case 2:
                if (has_process)
                    lifecycle_progress(&lifecycle, now_ns);
                break;
            case 3:
                if (has_process) {
                    has_process = false;
                    lifecycle_died(&lifecycle, statuses[random_next(&random) % 4], DEATH_CAUSE_NONE,
                                   now_ns);
                }
                break;
            case 4:
                if (step > 30)
                    action = lifecycle_stop(&lifecycle, random_next(&random) % 2 == 0, now_ns);
                break;
            case 5:
                action = lifecycle_replace(
                    &lifecycle,
                    random_next(&random) % 2 == 0 ? DEATH_CAUSE_RESTART : DEATH_CAUSE_HANG, now_ns);
                break;
            default:
                action = lifecycle_tick(&lifecycle, now_ns);
            }
            if (action == LIFECYCLE_DO_START) {
                assert_false(has_process);
                lifecycle_started(&lifecycle, now_ns);
                has_process = true;
            } else if (action != LIFECYCLE_DO_NOTHING) {
                assert_true(has_process);
            }
            check_invariants(has_process);
        }
        stopped_count += lifecycle.state == LIFECYCLE_STOPPED;
        failed_count += lifecycle.state == LIFECYCLE_FAILED;
    }
    /* the walk got everywhere */
    assert_true(stopped_count > 100);
    assert_true(failed_count > 5);
}

#define TEST(function) cmocka_unit_test_setup(function, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(restart_delays_double_up_to_the_cap),
        TEST(healthy_life_ends_the_row),
        TEST(kill_from_outside_is_no_fault),
        TEST(long_start_is_no_health),
        TEST(final_codes_are_not_restarted),
        TEST(drain_ends_in_stopped),
        TEST(deaf_drain_is_killed_after_its_grace),
        TEST(stop_reaches_every_state),
        TEST(hang_is_found_within_one_and_a_half_times),
        TEST(restart_drains_and_starts_at_once),
        TEST(deaf_restart_is_killed_and_starts),
        TEST(restart_tries_again_what_waits_or_failed),
        TEST(stop_wins_over_a_replacement),
        TEST(progress_keeps_alive),
        TEST(silence_without_a_promise_is_no_hang),
        TEST(endless_start_is_killed),
        TEST(any_order_of_events_is_borne),
        TEST(deaths_read_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
