/* SPDX-License-Identifier: Apache-2.0 */
/* test_worker_progress: all loops of a worker have to turn for it to make progress. */
#include "tests/test.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "worker/worker_progress.h"

static int fds[2];
static struct child child;
static struct worker_progress progress;

static void start(bool computes)
{
    char text[16];
    assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    snprintf(text, sizeof text, "%d", fds[1]);
    setenv(CHILD_ENV_PROGRESS_FD, text, 1);
    assert_int_equal(child_init(&child, "test", NULL), 0);
    worker_progress_init(&progress, &child, computes);
}

static void end(void)
{
    worker_progress_fini(&progress);
    close(fds[0]);
    close(fds[1]);
}

/* Whether progress was told; forgets when, so that the next time is told, too. */
static bool is_told(void)
{
    char bytes[16];
    child.progress_ns = 0;
    return read(fds[0], bytes, sizeof bytes) > 0;
}

static void one_loop_is_enough_where_there_is_one(void **state)
{
    (void)state;
    start(false);
    worker_progress_turned(&progress, WORKER_LOOP_TASKS);
    assert_true(is_told());
    worker_progress_turned(&progress, WORKER_LOOP_TASKS);
    assert_true(is_told());
    end();
}

static void a_loop_that_stands_still_silences_the_other(void **state)
{
    (void)state;
    static const enum worker_loop loops[] = {WORKER_LOOP_TASKS, WORKER_LOOP_COMPUTE};
    for (int standing = 0; standing < 2; standing++) {
        start(true);
        worker_progress_turned(&progress, WORKER_LOOP_TASKS);
        worker_progress_turned(&progress, WORKER_LOOP_COMPUTE);
        assert_true(is_told());
        for (int i = 0; i < 10; i++) {
            worker_progress_turned(&progress, loops[1 - standing]);
            assert_false(is_told());
        }
        worker_progress_turned(&progress, loops[standing]);
        assert_true(is_told());
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_loop_is_enough_where_there_is_one),
        cmocka_unit_test(a_loop_that_stands_still_silences_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
