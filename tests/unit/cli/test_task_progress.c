/* SPDX-License-Identifier: Apache-2.0 */
/* test_task_progress: heartbeats of known shape, of others, and cut in the middle. */
#include "cli/task_progress.h"

#include <string.h>

#include "tests/test.h"

static void expect(const char *details, double done, double total)
{
    struct task_progress progress;
    task_progress_read(details, &progress);
    assert_true(progress.is_known);
    if (progress.done != done || progress.total != total)
        fail_msg("%s: %g of %g", details, progress.done, progress.total);
}

static void expect_unknown(const char *details)
{
    struct task_progress progress;
    task_progress_read(details, &progress);
    assert_false(progress.is_known);
}

static void known_shapes_are_read(void **state)
{
    (void)state;
    expect("{\"done\":3,\"total\":10,\"width\":64}", 3, 10);
    expect("{\"total\" : 1e3 , \"done\": 250}", 250, 1000);
    expect("{\"epoch\":2,\"step\":40,\"steps\":80,\"loss\":0.5,\"checkpoint\":null}", 40, 80);
    expect("{\"done\":7}", 7, 0);
    expect("{\"texts\":{\"done\":1,\"list\":[1,{\"done\":2}]},\"done\":5}", 5, 0);
    expect("{\"text\":\"a \\\" \\\\\",\"done\":5}", 5, 0);
}

/* The engine tells the beginning alone. */
static void cut_details_tell_what_is_whole(void **state)
{
    (void)state;
    expect("{\"done\":3,\"total\":10,\"vectors\":\"AAAA", 3, 10);
    expect("{\"done\":3,\"total\":1", 3, 0); /* 1? 10? 100? */
    expect("{\"done\":3,\"segments\":[{\"artifact\":\"sha", 3, 0);
    expect_unknown("{\"done\":3");
    expect_unknown("{\"done");
    expect_unknown("{\"done\":");
    expect_unknown("{\"text\":\"\\");
}

static void others_are_left_alone(void **state)
{
    (void)state;
    static const char *const others[] = {"",
                                         "half",
                                         "0.5",
                                         "[1,2]",
                                         "{}",
                                         "{",
                                         "{\"total\":10}",
                                         "{\"done\":\"3\"}",
                                         "{\"done\":-1}",
                                         "{\"done\":1e300}",
                                         "{\"done\":nan}",
                                         "{done:3}",
                                         "{\"done\" 3}",
                                         "{\"done\":3"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        expect_unknown(others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_shapes_are_read),
        cmocka_unit_test(cut_details_tell_what_is_whole),
        cmocka_unit_test(others_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
