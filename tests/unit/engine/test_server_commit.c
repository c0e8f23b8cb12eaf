/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-off between the server's thread and the commit thread, and the shell's clock. */
#include "tests/unit/engine/store_fixture.h"

#include <poll.h>
#include <string.h>

#include "engine/server_clock.h"
#include "engine/server_commit.h"

static void wait_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&poll_fd, 1, 30000), 1);
}

static bool is_readable(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, 0) == 1;
}

/* Batch after batch, taken back in turn by waiting and by polling. */
static void batches_become_durable_in_order(void **state)
{
    (void)state;
    struct store_fixture fixture;
    struct server_commit *commit;
    fixture_open(&fixture, false);
    assert_int_equal(server_commit_start(fixture.store, &commit, NULL), 0);
    for (int64_t key = 1; key <= 100; key++) {
        struct store_write writes[] = {write_open(&fixture.arena, key, "id", 50),
                                       write_close(&fixture.arena, key, 2, 50)};
        server_commit_submit(commit, writes, 2);
        if (key % 2 == 0) {
            assert_int_equal(server_commit_done(commit, true, NULL), 1);
        } else {
            wait_readable(server_commit_fd(commit));
            assert_int_equal(server_commit_done(commit, false, NULL), 1);
        }
        assert_false(is_readable(server_commit_fd(commit)));
        check_log(&fixture, key, 2, 50);
    }
    server_commit_stop(commit);
    fixture_close(&fixture);
}

/* What was handed over is finished before the thread ends. */
static void stopping_finishes_the_batch(void **state)
{
    (void)state;
    struct store_fixture fixture;
    struct server_commit *commit;
    fixture_open(&fixture, false);
    assert_int_equal(server_commit_start(fixture.store, &commit, NULL), 0);
    struct store_write write = write_open(&fixture.arena, 1, "id", 50);
    server_commit_submit(commit, &write, 1);
    server_commit_stop(commit);
    check_log(&fixture, 1, 1, 50);
    fixture_close(&fixture);
}

static void time_never_goes_back(void **state)
{
    (void)state;
    struct server_clock clock;
    server_clock_init(&clock);
    clock.base_utc_us = 1000000;
    clock.base_ns = 5000000000;
    /* Both run on. */
    assert_int_equal(server_clock_advance(&clock, 1000100, 5000100000), 1000100);
    /* Set back by an hour: on at the monotonic pace. */
    assert_int_equal(server_clock_advance(&clock, 1000200 - 3600000000, 5000200000), 1000200);
    assert_int_equal(server_clock_advance(&clock, 1000300 - 3600000000, 5000300000), 1000300);
    /* Set forward: at once, and from there on. */
    assert_int_equal(server_clock_advance(&clock, 9000000, 5000400000), 9000000);
    assert_int_equal(server_clock_advance(&clock, 5000000, 5000500000), 9000100);
}

static void entropy_is_fresh(void **state)
{
    (void)state;
    struct server_clock clock;
    server_clock_init(&clock);
    uint64_t before = 0;
    int64_t now = 0;
    for (int i = 0; i < 3 * SERVER_CLOCK_ENTROPY_CALLS; i++) {
        struct core_input input = server_clock_input(&clock);
        assert_true(input.entropy[0] != before && input.entropy[0] != input.entropy[1]);
        assert_true(input.now_utc_us >= now);
        before = input.entropy[1];
        now = input.now_utc_us;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_become_durable_in_order),
        cmocka_unit_test(stopping_finishes_the_batch),
        cmocka_unit_test(time_never_goes_back),
        cmocka_unit_test(entropy_is_fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
