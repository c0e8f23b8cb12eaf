/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restarts of the engine: what was handed out and undone by a crash, and time that passed while it
 * was down (docs/spec/02-history.md section 3, docs/spec/03-activity.md sections 2 and 4).
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

static Api__RespondWorkflowTaskCompletedRequest *
closing(struct fixture *f, const workflow_task_message *task, const char *result)
{
    return script_completion(f, task, (Api__Command *const[4]){script_complete(f, result)});
}

/* A workflow task leaves before it is durable. A crash undoes it, and the next one may have the
 * same ids with other events behind them: the answer to the lost one must not count for it. */
static void test_answer_to_undone_task(void **state)
{
    struct fixture *f = *state;
    script_start(f, "undone");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    script_respond(f, 2, script_workflow_task(f, 2, poll), script_schedule(f, "a"),
                   script_schedule(f, "b"));
    uint64_t activity_poll = script_poll_activity(f, 3, 2);
    activity_task_message *a = script_activity_task(f, 3, activity_poll);
    activity_task_message *b = script_activity_task(f, 3, activity_poll);
    f->loses_writes = true;
    script_activity_done(f, 3, a, "ra");
    workflow_task_message *lost = script_workflow_task(f, 2, poll);
    assert_int_equal(lost->started_event_id, 10);
    f->now_us += 5 * MS;
    fixture_restart(f);
    script_activity_done(f, 3, b, "rb");
    workflow_task_message *next = script_workflow_task(f, 4, script_poll_workflow(f, 4, 1));
    assert_int_equal(next->started_event_id, 10);
    assert_int_equal(next->attempt, lost->attempt);
    fixture_refused(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, closing(f, lost, "saw a"), 5,
                    "workflow task not found");
    Api__HelloRequest hello = API__HELLO_REQUEST__INIT;
    hello.n_held_task_tokens = 1;
    hello.held_task_tokens = &lost->task_token;
    Api__HelloResponse *response = fixture_ok(f, 2, METHOD_HELLO, &hello);
    assert_int_equal(response->n_lost_task_tokens, 1);
    fixture_ok(f, 4, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, closing(f, next, "saw b"));
}

/* The same when nothing but the handing-out is lost: the worker's answer is refused, the task goes
 * to whoever asks, with the same events. */
static void test_undone_handing_out(void **state)
{
    struct fixture *f = *state;
    script_start(f, "again");
    f->loses_writes = true;
    workflow_task_message *lost = script_workflow_task(f, 2, script_poll_workflow(f, 2, 1));
    f->now_us += 5 * MS;
    fixture_restart(f);
    fixture_refused(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, closing(f, lost, "r"), 5,
                    "workflow task not found");
    workflow_task_message *next = script_workflow_task(f, 3, script_poll_workflow(f, 3, 1));
    assert_int_equal(next->started_event_id, lost->started_event_id);
    fixture_ok(f, 3, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, closing(f, next, "r"));
}

static uint64_t ask(struct fixture *f, const char *workflow_id)
{
    Api__WorkflowQuery question = API__WORKFLOW_QUERY__INIT;
    question.query_type = "q";
    Api__QueryWorkflowRequest request = API__QUERY_WORKFLOW_REQUEST__INIT;
    request.namespace_ = "default";
    request.execution = script_execution(f, workflow_id);
    request.query = &question;
    return fixture_send(f, 1, METHOD_QUERY_WORKFLOW, &request);
}

/* The answer to a query from before the crash does not answer one that came after it. */
static void test_answer_to_forgotten_query(void **state)
{
    struct fixture *f = *state;
    script_start(f, "asked");
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 0)),
                   script_timer(f, "t", 100 * S));
    ask(f, "asked");
    workflow_task_message *old = script_workflow_task(f, 2, script_poll_workflow(f, 2, 0));
    fixture_restart(f);
    uint64_t query = ask(f, "asked");
    script_workflow_task(f, 3, script_poll_workflow(f, 3, 0));
    Api__RespondQueryTaskCompletedRequest answer = API__RESPOND_QUERY_TASK_COMPLETED_REQUEST__INIT;
    answer.namespace_ = "default";
    answer.has_task_token = answer.has_completed_type = true;
    answer.task_token = old->task_token;
    answer.completed_type = QUERY_RESULT_TYPE_ANSWERED;
    answer.query_result = script_payloads(f, "stale");
    fixture_refused(f, 2, METHOD_RESPOND_QUERY_TASK_COMPLETED, &answer, 5, "query task not found");
    assert_null(fixture_find(f, 1, query));
}

/* The engine is down longer than some timeouts: start-to-close and schedule-to-close have run out,
 * a heartbeat could not be taken and counts from the recovery. */
static void test_timeouts_while_down(void **state)
{
    struct fixture *f = *state;
    script_start(f, "down");
    Api__Command *short_one = script_schedule(f, "short");
    Api__Command *beating = script_schedule(f, "beating");
    Api__ScheduleActivityTaskCommandAttributes *attributes =
        short_one->schedule_activity_task_command_attributes;
    attributes->schedule_to_close_timeout = script_duration(f, 20 * S);
    attributes->start_to_close_timeout = script_duration(f, 20 * S);
    attributes = beating->schedule_activity_task_command_attributes;
    attributes->start_to_close_timeout = script_duration(f, 1000 * S);
    attributes->heartbeat_timeout = script_duration(f, 15 * S);
    uint64_t poll = script_poll_workflow(f, 2, 1);
    script_respond(f, 2, script_workflow_task(f, 2, poll), short_one, beating);
    uint64_t activity_poll = script_poll_activity(f, 3, 2);
    script_activity_task(f, 3, activity_poll);
    activity_task_message *task = script_activity_task(f, 3, activity_poll);
    script_heartbeat(f, 3, task, "half");
    f->now_us += 30 * S; /* down */
    fixture_restart(f);
    fixture_advance(f, 0);
    assert_non_null(strstr(fixture_history(f, "down"),
                           "8 ACTIVITY_TASK_TIMED_OUT scheduled=5 started=7 retry=3"));
    Api__HelloRequest hello = API__HELLO_REQUEST__INIT;
    hello.n_held_task_tokens = 1;
    hello.held_task_tokens = &task->task_token;
    Api__HelloResponse *response = fixture_ok(f, 4, METHOD_HELLO, &hello);
    assert_int_equal(response->n_lost_task_tokens, 0);
    uint64_t other = script_poll_activity(f, 5, 1);
    fixture_advance(f, 15 * S - 1);
    assert_false(script_heartbeat(f, 4, task, "more"));
    fixture_advance(f, 15 * S - 1);
    script_no_task(f, 5, other);
    fixture_advance(f, S + 1); /* the timeout, then a back-off of 1 s */
    activity_task_message *again = script_activity_task(f, 5, other);
    assert_int_equal(again->attempt, 2);
    assert_memory_equal(again->heartbeat_details->payloads[0]->data.data, "more", 4);
}

/* The engine is down longer than a task may wait in its queue: nobody could take it meanwhile, so
 * the wait counts from the recovery. */
static void test_wait_in_queue_while_down(void **state)
{
    struct fixture *f = *state;
    script_start(f, "queued");
    Api__Command *waiting = script_schedule(f, "a");
    waiting->schedule_activity_task_command_attributes->schedule_to_start_timeout =
        script_duration(f, 60 * S);
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 1)), waiting);
    fixture_advance(f, 30 * S);
    f->now_us += 600 * S; /* down */
    fixture_restart(f);
    fixture_advance(f, 60 * S - 1);
    assert_null(strstr(fixture_history(f, "queued"), "ACTIVITY_TASK_TIMED_OUT"));
    fixture_advance(f, 1);
    assert_non_null(strstr(fixture_history(f, "queued"), "ACTIVITY_TASK_TIMED_OUT"));
}

/* A run timeout that passed while the engine was down ends the run, back-off or not. */
static void test_run_timeout_while_down(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = script_start_request(f, "late");
    start->workflow_run_timeout = script_duration(f, 60 * S);
    fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 1)),
                   script_schedule(f, "a"));
    activity_task_message *task = script_activity_task(f, 3, script_poll_activity(f, 3, 1));
    fixture_advance(f, 59 * S + 500 * MS);
    fixture_ok(f, 3, METHOD_RESPOND_ACTIVITY_TASK_FAILED, script_failure(f, task, "x", "T"));
    assert_true(f->logs[0].closed == false);
    f->now_us += 10 * S;
    fixture_restart(f);
    fixture_advance(f, 0);
    assert_int_equal(f->logs[0].run.status, WORKFLOW_EXECUTION_STATUS_TIMED_OUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_answer_to_undone_task),     TEST(test_undone_handing_out),
        TEST(test_answer_to_forgotten_query), TEST(test_timeouts_while_down),
        TEST(test_wait_in_queue_while_down),  TEST(test_run_timeout_while_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
