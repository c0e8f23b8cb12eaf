/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workflow tasks, events and their order: whole histories against docs/spec/02-history.md, worked
 * out by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/engine/worker_script.h"

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    return 0;
}

/* A start, one activity, a result: every event in its place. */
static void test_one_activity(void **state)
{
    struct fixture *f = *state;
    script_start(f, "one");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    assert_int_equal(task->started_event_id, 3);
    assert_int_equal(task->previous_started_event_id, 0);
    assert_int_equal(task->history->n_events, 3);
    assert_string_equal(task->workflow_execution->workflow_id, "one");
    script_respond(f, 2, task, script_schedule(f, "a"));
    uint64_t activity_poll = script_poll_activity(f, 3, 1);
    activity_task_message *activity = script_activity_task(f, 3, activity_poll);
    assert_string_equal(activity->activity_id, "a");
    assert_int_equal(activity->attempt, 1);
    script_activity_done(f, 3, activity, "out");
    task = script_workflow_task(f, 2, poll);
    assert_int_equal(task->previous_started_event_id, 3);
    assert_int_equal(task->started_event_id, 9);
    script_respond(f, 2, task, script_complete(f, "result"));
    assert_string_equal(fixture_history(f, "one"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_TASK_STARTED scheduled=2 by w2\n"
                        "4 WORKFLOW_TASK_COMPLETED scheduled=2 started=3\n"
                        "5 ACTIVITY_TASK_SCHEDULED id=a queue=aq task=4\n"
                        "6 ACTIVITY_TASK_STARTED scheduled=5 attempt=1 by w3\n"
                        "7 ACTIVITY_TASK_COMPLETED scheduled=5 started=6 result=out\n"
                        "8 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "9 WORKFLOW_TASK_STARTED scheduled=8 by w2\n"
                        "10 WORKFLOW_TASK_COMPLETED scheduled=8 started=9\n"
                        "11 WORKFLOW_EXECUTION_COMPLETED result=result\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_activity, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
