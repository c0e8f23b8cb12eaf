/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activities: attempts, timeouts, retries, losses, cancellation (docs/spec/03-activity.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/message.h"
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

/* Starts a workflow whose first task schedules these activities; the workflow worker is session 2,
 * and *ret_poll its standing poll. */
static uint64_t schedule(struct fixture *f, Api__Command *first, Api__Command *second)
{
    script_start(f, "flow");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    script_respond(f, 2, script_workflow_task(f, 2, poll), first, second);
    return poll;
}

static Api__ScheduleActivityTaskCommandAttributes *attributes(Api__Command *command)
{
    return command->schedule_activity_task_command_attributes;
}

static Api__RetryPolicy *policy(struct fixture *f, int64_t initial_us, int32_t maximum_attempts)
{
    Api__RetryPolicy *retry = message_new(&f->arena, &api__retry_policy__descriptor);
    retry->initial_interval = script_duration(f, initial_us);
    retry->has_maximum_attempts = true;
    retry->maximum_attempts = maximum_attempts;
    return retry;
}

/* The lines of the history from the activity's scheduling on. */
static const char *tail(struct fixture *f)
{
    const char *text = strstr(fixture_history(f, "flow"), "ACTIVITY_TASK_SCHEDULED");
    assert_non_null(text);
    return strchr(text, '\n') + 1;
}

static void complete_flow(struct fixture *f, uint64_t poll)
{
    script_respond(f, 2, script_workflow_task(f, 2, poll), script_complete(f, "r"));
}

/* --- priority ----------------------------------------------------------------------------------
 */

static Api__Priority *priority(struct fixture *f, int32_t key)
{
    Api__Priority *message = message_new(&f->arena, &api__priority__descriptor);
    message->has_priority_key = true;
    message->priority_key = key;
    return message;
}

/* An activity's own priority counts; without one it has its workflow's. The poll's answer tells. */
static void test_priority(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = script_start_request(f, "flow");
    start->priority = priority(f, -1);
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, 3, "the priority -1 is negative");
    start->priority = priority(f, 4);
    fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    Api__Command *urgent = script_schedule(f, "urgent");
    attributes(urgent)->priority = priority(f, 1);
    uint64_t poll = script_poll_workflow(f, 2, 1);
    script_respond(f, 2, script_workflow_task(f, 2, poll), script_schedule(f, "plain"), urgent);
    poll = script_poll_activity(f, 3, 2);
    activity_task_message *task = script_activity_task(f, 3, poll);
    assert_string_equal(task->activity_id, "urgent");
    assert_int_equal(task->priority->priority_key, 1);
    task = script_activity_task(f, 3, poll);
    assert_string_equal(task->activity_id, "plain");
    assert_int_equal(task->priority->priority_key, 4);
}

/* --- retries
 * --------------------------------------------------------------------------------------- */

/* Defaults: 1 s, doubling; the interval is counted from the failure, to the microsecond. The
 * started event is written once, with the last attempt and the failure before it. */
static void test_retry_backoff(void **state)
{
    struct fixture *f = *state;
    uint64_t flow_poll = schedule(f, script_schedule(f, "a"), NULL);
    uint64_t poll = script_poll_activity(f, 3, 1);
    static const int64_t waits_s[] = {1, 2, 4};
    for (int i = 0; i < 3; i++) {
        activity_task_message *task = script_activity_task(f, 3, poll);
        assert_int_equal(task->attempt, i + 1);
        fixture_ok(f, 3, METHOD_RESPOND_ACTIVITY_TASK_FAILED,
                   script_failure(f, task, "no luck", "Luck"));
        fixture_advance(f, waits_s[i] * S - 1);
        script_no_task(f, 3, poll);
        fixture_advance(f, 1);
    }
    script_activity_done(f, 3, script_activity_task(f, 3, poll), "out");
    assert_string_equal(tail(f),
                        "6 ACTIVITY_TASK_STARTED scheduled=5 attempt=4 by w3 failure=\"no luck\" "
                        "type=Luck\n"
                        "7 ACTIVITY_TASK_COMPLETED scheduled=5 started=6 result=out\n"
                        "8 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "9 WORKFLOW_TASK_STARTED scheduled=8 by w2\n");
    complete_flow(f, flow_poll);
}

static void test_maximum_attempts(void **state)
{
    struct fixture *f = *state;
    Api__Command *command = script_schedule(f, "a");
    attributes(command)->retry_policy = policy(f, 1 * S, 2);
    schedule(f, command, NULL);
    uint64_t poll = script_poll_activity(f, 3, 1);
    fixture_ok(f, 3, METHOD_RESPOND_ACTIVITY_TASK_FAILED,
               script_failure(f, script_activity_task(f, 3, poll), "one", "T"));
    fixture_advance(f, 1 * S);
    fixture_ok(f, 3, METHOD_RESPOND_ACTIVITY_TASK_FAILED,
               script_failure(f, script_activity_task(f, 3, poll), "two", "T"));
    assert_string_equal(tail(f),
                        "6 ACTIVITY_TASK_STARTED scheduled=5 attempt=2 by w3 failure=\"one\" "
                        "type=T\n"
                        "7 ACTIVITY_TASK_FAILED scheduled=5 started=6 retry=4 failure=\"two\" "
                        "type=T\n"
                        "8 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "9 WORKFLOW_TASK_STARTED scheduled=8 by w2\n");
}

static void test_non_retryable(void **state)
{
    struct fixture *f = *state;
    Api__Command *listed = script_schedule(f, "listed");
    static const char *types[] = {"Fatal"};
    attributes(listed)->retry_policy = policy(f, 1 * S, 0);
    attributes(listed)->retry_policy->n_non_retryable_error_types = 1;
    attributes(listed)->retry_policy->non_retryable_error_types = types;
    schedule(f, listed, script_schedule(f, "flagged"));
    uint64_t poll = script_poll_activity(f, 3, 2);
    fixture_ok(f, 3, METHOD_RESPOND_ACTIVITY_TASK_FAILED,
               script_failure(f, script_activity_task(f, 3, poll), "x", "Fatal"));
    Api__RespondActivityTaskFailedRequest *flagged =
        script_failure(f, script_activity_task(f, 3, poll), "y", "Other");
    flagged->failure->application_failure_info->has_non_retryable = true;
    flagged->failure->application_failure_info->non_retryable = true;
    fixture_ok(f, 3, METHOD_RESPOND_ACTIVITY_TASK_FAILED, flagged);
    const char *history = fixture_history(f, "flow");
    assert_non_null(strstr(history, "8 ACTIVITY_TASK_FAILED scheduled=5 started=7 retry=2"));
}

/* The failure's own delay replaces the policy's, without its cap. */
static void test_next_retry_delay(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "a"), NULL);
    uint64_t poll = script_poll_activity(f, 3, 1);
    Api__RespondActivityTaskFailedRequest *failed =
        script_failure(f, script_activity_task(f, 3, poll), "later", "T");
    failed->failure->application_failure_info->next_retry_delay = script_duration(f, 500 * S);
    fixture_ok(f, 3, METHOD_RESPOND_ACTIVITY_TASK_FAILED, failed);
    fixture_advance(f, 500 * S - 1);
    script_no_task(f, 3, poll);
    fixture_restart(f); /* back-off survives */
    poll = script_poll_activity(f, 4, 1);
    fixture_advance(f, 1);
    assert_int_equal(script_activity_task(f, 4, poll)->attempt, 2);
}

/* --- timeouts
 * -------------------------------------------------------------------------------------- */

/* No time is left for another attempt: what was a start-to-close timeout is reported as
 * schedule-to-close, with the last heartbeat. */
static void test_timeout_without_time_left(void **state)
{
    struct fixture *f = *state;
    Api__Command *command = script_schedule(f, "a");
    attributes(command)->start_to_close_timeout = script_duration(f, 6 * S);
    attributes(command)->schedule_to_close_timeout = script_duration(f, 10 * S);
    attributes(command)->retry_policy = policy(f, 5 * S, 0);
    schedule(f, command, NULL);
    uint64_t poll = script_poll_activity(f, 3, 1);
    script_heartbeat(f, 3, script_activity_task(f, 3, poll), "half");
    fixture_advance(f, 6 * S);
    assert_string_equal(tail(f),
                        "6 ACTIVITY_TASK_STARTED scheduled=5 attempt=1 by w3\n"
                        "7 ACTIVITY_TASK_TIMED_OUT scheduled=5 started=6 retry=3 "
                        "failure=\"activity ScheduleToClose timeout\" timeout=3 details=half\n"
                        "8 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "9 WORKFLOW_TASK_STARTED scheduled=8 by w2\n");
}

static void test_start_to_close(void **state)
{
    struct fixture *f = *state;
    Api__Command *command = script_schedule(f, "a");
    attributes(command)->start_to_close_timeout = script_duration(f, 6 * S);
    schedule(f, command, NULL);
    uint64_t poll = script_poll_activity(f, 3, 1);
    activity_task_message *first = script_activity_task(f, 3, poll);
    fixture_advance(f, 6 * S - 1);
    script_no_task(f, 3, poll);
    fixture_advance(f, 1 + 1 * S); /* timed out, and back-off */
    assert_int_equal(script_activity_task(f, 3, poll)->attempt, 2);
    Api__RespondActivityTaskCompletedRequest late =
        API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    late.namespace_ = "default";
    late.has_task_token = true;
    late.task_token = first->task_token;
    fixture_refused(f, 3, METHOD_RESPOND_ACTIVITY_TASK_COMPLETED, &late, 5,
                    "activity task not found");
}

/* Never retried, and wins over schedule-to-close when both are due. */
static void test_schedule_to_start(void **state)
{
    struct fixture *f = *state;
    Api__Command *command = script_schedule(f, "a");
    attributes(command)->schedule_to_close_timeout = script_duration(f, 5 * S);
    schedule(f, command, NULL);
    fixture_advance(f, 5 * S);
    assert_string_equal(tail(f), "6 ACTIVITY_TASK_TIMED_OUT scheduled=5 started=0 retry=2 "
                                 "failure=\"activity ScheduleToStart timeout\" timeout=2\n"
                                 "7 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                                 "8 WORKFLOW_TASK_STARTED scheduled=7 by w2\n");
}

static void test_heartbeat_timeout(void **state)
{
    struct fixture *f = *state;
    Api__Command *command = script_schedule(f, "a");
    attributes(command)->heartbeat_timeout = script_duration(f, 2 * S);
    attributes(command)->retry_policy = policy(f, 1 * S, 2);
    schedule(f, command, NULL);
    uint64_t poll = script_poll_activity(f, 3, 1);
    activity_task_message *task = script_activity_task(f, 3, poll);
    fixture_advance(f, 1500 * MS);
    script_heartbeat(f, 3, task, "p1");
    fixture_advance(f, 1500 * MS);
    script_no_task(f, 3, poll); /* the heartbeat has moved the deadline */
    fixture_advance(f, 500 * MS + 1 * S);
    task = script_activity_task(f, 3, poll);
    assert_int_equal(task->attempt, 2);
    assert_memory_equal(task->heartbeat_details->payloads[0]->data.data, "p1", 2);
    fixture_advance(f, 2 * S);
    assert_non_null(strstr(tail(f), "7 ACTIVITY_TASK_TIMED_OUT scheduled=5 started=6 retry=4 "
                                    "failure=\"activity Heartbeat timeout\" timeout=4 "
                                    "details=p1\n"));
}

/* What was left out is filled in as Temporal does. */
static void test_filled_timeouts(void **state)
{
    struct fixture *f = *state;
    const struct {
        int64_t close_s, start_s, run_s, beat_s, run_timeout_s;
        int64_t close, start, run, beat;
    } rows[] = {
        {100, 0, 0, 0, 0, 100, 100, 100, 0}, {100, 200, 300, 0, 0, 100, 100, 100, 0},
        {0, 0, 30, 60, 0, 0, 0, 30, 30},     {0, 0, 30, 5, 20, 20, 20, 20, 5},
        {100, 10, 30, 0, 50, 50, 10, 30, 0}, {0, 40, 30, 0, 0, 0, 40, 30, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *id = arena_printf(&f->arena, "fill-%zu", i);
        Api__StartWorkflowExecutionRequest *start = script_start_request(f, id);
        if (rows[i].run_timeout_s > 0)
            start->workflow_run_timeout = script_duration(f, rows[i].run_timeout_s * S);
        fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
        Api__Command *command = script_schedule(f, "a");
        attributes(command)->schedule_to_close_timeout = script_duration(f, rows[i].close_s * S);
        attributes(command)->schedule_to_start_timeout = script_duration(f, rows[i].start_s * S);
        attributes(command)->start_to_close_timeout = script_duration(f, rows[i].run_s * S);
        attributes(command)->heartbeat_timeout = script_duration(f, rows[i].beat_s * S);
        script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 0)), command);
        Api__GetWorkflowExecutionHistoryRequest get =
            API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
        get.namespace_ = "default";
        get.execution = script_execution(f, id);
        Api__GetWorkflowExecutionHistoryResponse *history =
            fixture_ok(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, &get);
        const Api__ActivityTaskScheduledEventAttributes *filled =
            history->history->events[4]->activity_task_scheduled_event_attributes;
        assert_int_equal(filled->schedule_to_close_timeout->seconds, rows[i].close);
        assert_int_equal(filled->schedule_to_start_timeout->seconds, rows[i].start);
        assert_int_equal(filled->start_to_close_timeout->seconds, rows[i].run);
        assert_int_equal(filled->heartbeat_timeout->seconds, rows[i].beat);
        assert_int_equal(filled->retry_policy->initial_interval->seconds, 1);
        assert_int_equal(filled->retry_policy->maximum_interval->seconds, 100);
    }
}

/* --- losses
 * ---------------------------------------------------------------------------------------- */

/* A worker's death is not the task's failure: at once on another worker, the same attempt, with the
 * last heartbeat; no trace in the history. */
static void test_lost(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "a"), NULL);
    script_heartbeat(f, 3, script_activity_task(f, 3, script_poll_activity(f, 3, 1)), "40%");
    uint64_t other = script_poll_activity(f, 4, 1);
    fixture_lose(f, 3, "signal 9");
    activity_task_message *task = script_activity_task(f, 4, other);
    assert_int_equal(task->attempt, 1);
    assert_int_equal(task->loss_count, 1);
    assert_memory_equal(task->heartbeat_details->payloads[0]->data.data, "40%", 3);
    script_activity_done(f, 4, task, "out");
    assert_string_equal(tail(f), "6 ACTIVITY_TASK_STARTED scheduled=5 attempt=1 by w4\n"
                                 "7 ACTIVITY_TASK_COMPLETED scheduled=5 started=6 result=out\n"
                                 "8 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                                 "9 WORKFLOW_TASK_STARTED scheduled=8 by w2\n");
}

/* The third loss without progress is a failure of type WorkerLost, which the policy retries; the
 * next attempt may lose no other worker. */
static void test_third_loss(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "a"), NULL);
    for (uint64_t session = 10; session < 12; session++) {
        script_activity_task(f, session, script_poll_activity(f, session, 1));
        fixture_lose(f, session, "signal 9");
    }
    activity_task_message *task = script_activity_task(f, 12, script_poll_activity(f, 12, 1));
    assert_int_equal(task->loss_count, 2);
    script_heartbeat(f, 12, task, "progress");
    fixture_lose(f, 12, "signal 9"); /* progress lies between: counted from 1 again */
    task = script_activity_task(f, 13, script_poll_activity(f, 13, 1));
    assert_int_equal(task->loss_count, 1);
    fixture_lose(f, 13, "signal 9");
    script_activity_task(f, 14, script_poll_activity(f, 14, 1));
    fixture_lose(f, 14, "signal 9");
    uint64_t poll = script_poll_activity(f, 15, 1);
    script_no_task(f, 15, poll);
    fixture_advance(f, 1 * S);
    task = script_activity_task(f, 15, poll);
    assert_int_equal(task->attempt, 2);
    assert_int_equal(task->loss_count, 2);
    fixture_lose(f, 15, "signal 9");
    poll = script_poll_activity(f, 16, 1);
    fixture_advance(f, 2 * S);
    task = script_activity_task(f, 16, poll);
    assert_int_equal(task->attempt, 3);
    script_activity_done(f, 16, task, "out");
    assert_non_null(strstr(tail(f), "attempt=3 by w16 failure=\"activity worker lost: signal 9\" "
                                    "type=WorkerLost\n"));
}

/* An attempt that fails by itself leaves its process alive: it stands under no suspicion. */
static void test_failure_clears_losses(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "a"), NULL);
    script_activity_task(f, 3, script_poll_activity(f, 3, 1));
    fixture_lose(f, 3, "signal 9");
    uint64_t poll = script_poll_activity(f, 4, 1);
    fixture_ok(f, 4, METHOD_RESPOND_ACTIVITY_TASK_FAILED,
               script_failure(f, script_activity_task(f, 4, poll), "broken", "T"));
    fixture_advance(f, 1 * S);
    assert_int_equal(script_activity_task(f, 4, poll)->loss_count, 0);
}

/* Two that lost two workers together are not given to one a third time. */
static void test_suspects_are_kept_apart(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "a"), script_schedule(f, "b"));
    for (uint64_t session = 10; session < 12; session++) {
        uint64_t poll = script_poll_activity(f, session, 8);
        script_activity_task(f, session, poll);
        script_activity_task(f, session, poll);
        fixture_lose(f, session, "signal 9");
    }
    uint64_t poll = script_poll_activity(f, 12, 8);
    activity_task_message *task = script_activity_task(f, 12, poll);
    assert_int_equal(task->loss_count, 2);
    script_no_task(f, 12, poll);
    script_heartbeat(f, 12, task, "progress");
    assert_int_equal(script_activity_task(f, 12, poll)->loss_count, 2);
}

/* At most once is kept: with one attempt allowed, a loss is the failure. */
static void test_lost_at_most_once(void **state)
{
    struct fixture *f = *state;
    Api__Command *command = script_schedule(f, "a");
    attributes(command)->retry_policy = policy(f, 1 * S, 1);
    schedule(f, command, NULL);
    script_activity_task(f, 3, script_poll_activity(f, 3, 1));
    fixture_lose(f, 3, "signal 9");
    assert_non_null(strstr(tail(f), "7 ACTIVITY_TASK_FAILED scheduled=5 started=6 retry=4 "
                                    "failure=\"activity worker lost: signal 9\" "
                                    "type=WorkerLost\n"));
}

/* Handed back: no attempt, no loss, no back-off. The old token counts no more. */
static void test_release(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "a"), NULL);
    uint64_t poll = script_poll_activity(f, 3, 1);
    activity_task_message *task = script_activity_task(f, 3, poll);
    Api__ReleaseTaskRequest release = API__RELEASE_TASK_REQUEST__INIT;
    release.has_task_token = true;
    release.task_token = task->task_token;
    fixture_ok(f, 3, METHOD_RELEASE_TASK, &release);
    activity_task_message *again = script_activity_task(f, 3, poll);
    assert_int_equal(again->attempt, 1);
    assert_int_equal(again->loss_count, 0);
    fixture_refused(f, 3, METHOD_RELEASE_TASK, &release, 5, "activity task not found");
    script_activity_done(f, 3, again, "out");
}

/* After a restart a session claims what it works on; what nobody claims is lost after the grace. */
static void test_reclaim(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "kept"), script_schedule(f, "gone"));
    uint64_t poll = script_poll_activity(f, 3, 2);
    activity_task_message *kept = script_activity_task(f, 3, poll);
    activity_task_message *gone = script_activity_task(f, 3, poll);
    fixture_restart(f);
    Api__HelloRequest hello = API__HELLO_REQUEST__INIT;
    ProtobufCBinaryData held[2] = {kept->task_token, {.len = 3, .data = (uint8_t *)"old"}};
    hello.n_held_task_tokens = 2;
    hello.held_task_tokens = held;
    Api__HelloResponse *response = fixture_ok(f, 4, METHOD_HELLO, &hello);
    assert_int_equal(response->n_lost_task_tokens, 1);
    assert_memory_equal(response->lost_task_tokens[0].data, "old", 3);
    uint64_t other = script_poll_activity(f, 5, 2);
    fixture_advance(f, 10 * S - 1);
    script_no_task(f, 5, other);
    fixture_advance(f, 1);
    activity_task_message *task = script_activity_task(f, 5, other);
    assert_string_equal(task->activity_id, "gone");
    assert_int_equal(task->loss_count, 1);
    script_no_task(f, 5, other);
    script_activity_done(f, 4, kept, "out");
    hello.held_task_tokens = &gone->task_token;
    hello.n_held_task_tokens = 1;
    response = fixture_ok(f, 4, METHOD_HELLO, &hello);
    assert_int_equal(response->n_lost_task_tokens, 1);
}

/* The same process on a new connection keeps its tasks; the rest is lost with the old one. */
static void test_reconnect(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "kept"), script_schedule(f, "gone"));
    script_hello(f, 3, "instance-1");
    uint64_t poll = script_poll_activity(f, 3, 2);
    activity_task_message *kept = script_activity_task(f, 3, poll);
    script_activity_task(f, 3, poll);
    Api__HelloRequest hello = API__HELLO_REQUEST__INIT;
    hello.instance_id = "instance-1";
    hello.n_held_task_tokens = 1;
    hello.held_task_tokens = &kept->task_token;
    Api__HelloResponse *response = fixture_ok(f, 4, METHOD_HELLO, &hello);
    assert_int_equal(response->n_lost_task_tokens, 0);
    fixture_lose(f, 3, "replaced");
    poll = script_poll_activity(f, 4, 1);
    script_no_task(f, 4, poll); /* its slot is taken by the kept task */
    script_activity_done(f, 4, kept, "out");
    assert_string_equal(script_activity_task(f, 4, poll)->activity_id, "gone");
}

/* A node's link reports a death: only the session of that process is ended. */
static void test_worker_lost(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "a"), NULL);
    script_hello(f, 3, "instance-1");
    script_activity_task(f, 3, script_poll_activity(f, 3, 1));
    Api__WorkerLostRequest lost = API__WORKER_LOST_REQUEST__INIT;
    lost.node = "node1";
    lost.has_pid = true;
    lost.pid = 3;
    lost.instance_id = "another instance";
    lost.reason = "signal 9 (killed)";
    Api__WorkerLostResponse *response = fixture_ok(f, 9, METHOD_WORKER_LOST, &lost);
    assert_int_equal(response->tasks_lost, 0);
    lost.instance_id = "instance-1";
    response = fixture_ok(f, 9, METHOD_WORKER_LOST, &lost);
    assert_int_equal(response->tasks_lost, 1);
    assert_int_equal(f->kill_count, 1);
    assert_int_equal(f->kills[0].session, 3);
    assert_int_equal(script_activity_task(f, 4, script_poll_activity(f, 4, 1))->loss_count, 1);
}

/* --- cancellation
 * ---------------------------------------------------------------------------------- */

static void test_cancel_not_started(void **state)
{
    struct fixture *f = *state;
    uint64_t flow_poll = schedule(f, script_schedule(f, "a"), NULL);
    script_signal(f, "flow", "s");
    workflow_task_message *task = script_workflow_task(f, 2, flow_poll);
    script_respond(f, 2, task, script_cancel_activity(f, 5), script_timer(f, "t", S));
    assert_non_null(strstr(tail(f), "10 ACTIVITY_TASK_CANCEL_REQUESTED scheduled=5\n"
                                    "11 TIMER_STARTED id=t\n"
                                    "12 ACTIVITY_TASK_CANCELED scheduled=5 started=0 requested=10 "
                                    "details=\"ACTIVITY_ID_NOT_STARTED\"\n"
                                    "13 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"));
    script_no_task(f, 3, script_poll_activity(f, 3, 1));
}

static void test_cancel_started(void **state)
{
    struct fixture *f = *state;
    uint64_t flow_poll = schedule(f, script_schedule(f, "a"), NULL);
    activity_task_message *activity = script_activity_task(f, 3, script_poll_activity(f, 3, 1));
    assert_false(script_heartbeat(f, 3, activity, NULL));
    Api__RespondActivityTaskCanceledRequest canceled =
        API__RESPOND_ACTIVITY_TASK_CANCELED_REQUEST__INIT;
    canceled.namespace_ = "default";
    canceled.has_task_token = true;
    canceled.task_token = activity->task_token;
    fixture_refused(f, 3, METHOD_RESPOND_ACTIVITY_TASK_CANCELED, &canceled, 3, "not requested");
    script_signal(f, "flow", "s");
    script_respond(f, 2, script_workflow_task(f, 2, flow_poll), script_cancel_activity(f, 5));
    assert_true(script_heartbeat(f, 3, activity, NULL));
    fixture_ok(f, 3, METHOD_RESPOND_ACTIVITY_TASK_CANCELED, &canceled);
    assert_non_null(strstr(tail(f), "11 ACTIVITY_TASK_STARTED scheduled=5 attempt=1 by w3\n"
                                    "12 ACTIVITY_TASK_CANCELED scheduled=5 started=11 "
                                    "requested=10\n"));
}

/* Canceling what has ended meanwhile, unseen, writes its event like any command: a replay looks for
 * it. It changes nothing. Canceling what was seen to end is a mistake. */
static void test_cancel_ended(void **state)
{
    struct fixture *f = *state;
    uint64_t flow_poll = schedule(f, script_schedule(f, "a"), NULL);
    activity_task_message *activity = script_activity_task(f, 3, script_poll_activity(f, 3, 1));
    script_signal(f, "flow", "s");
    workflow_task_message *task = script_workflow_task(f, 2, flow_poll);
    script_activity_done(f, 3, activity, "out");
    script_respond(f, 2, task, script_cancel_activity(f, 5));
    assert_string_equal(tail(f), "6 WORKFLOW_EXECUTION_SIGNALED name=s\n"
                                 "7 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                                 "8 WORKFLOW_TASK_STARTED scheduled=7 by w2\n"
                                 "9 WORKFLOW_TASK_COMPLETED scheduled=7 started=8\n"
                                 "10 ACTIVITY_TASK_CANCEL_REQUESTED scheduled=5\n"
                                 "11 ACTIVITY_TASK_STARTED scheduled=5 attempt=1 by w3\n"
                                 "12 ACTIVITY_TASK_COMPLETED scheduled=5 started=11 result=out\n"
                                 "13 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                                 "14 WORKFLOW_TASK_STARTED scheduled=13 by w2\n");
    task = script_workflow_task(f, 2, flow_poll);
    fixture_refused(
        f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
        script_completion(f, task, (Api__Command *const[4]){script_cancel_activity(f, 5)}), 3,
        "no open activity");
}

static void test_cancel_twice(void **state)
{
    struct fixture *f = *state;
    uint64_t flow_poll = schedule(f, script_schedule(f, "a"), NULL);
    script_activity_task(f, 3, script_poll_activity(f, 3, 1));
    script_signal(f, "flow", "s1");
    script_respond(f, 2, script_workflow_task(f, 2, flow_poll), script_cancel_activity(f, 5));
    script_signal(f, "flow", "s2");
    fixture_refused(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
                    script_completion(f, script_workflow_task(f, 2, flow_poll),
                                      (Api__Command *const[4]){script_cancel_activity(f, 5)}),
                    3, "canceled already");
}

/* After a cancel request there is no other attempt: not after a failure, not after a loss. */
static void test_no_retry_after_cancel(void **state)
{
    struct fixture *f = *state;
    uint64_t flow_poll = schedule(f, script_schedule(f, "a"), script_schedule(f, "b"));
    uint64_t poll = script_poll_activity(f, 3, 2);
    activity_task_message *a = script_activity_task(f, 3, poll);
    script_activity_task(f, 3, poll);
    script_signal(f, "flow", "s");
    script_respond(f, 2, script_workflow_task(f, 2, flow_poll), script_cancel_activity(f, 5),
                   script_cancel_activity(f, 6));
    fixture_ok(f, 3, METHOD_RESPOND_ACTIVITY_TASK_FAILED, script_failure(f, a, "x", "T"));
    assert_non_null(strstr(tail(f), "ACTIVITY_TASK_FAILED scheduled=5 started=13 retry=7"));
    script_respond(f, 2, script_workflow_task(f, 2, flow_poll), NULL);
    fixture_lose(f, 3, "signal 9");
    assert_non_null(strstr(tail(f), "ACTIVITY_TASK_CANCELED scheduled=6 started=18"));
}

/* --- bounds
 * ---------------------------------------------------------------------------------------- */

/* What does not fit becomes a failure that the workflow hears of. */
static void test_large_result(void **state)
{
    struct fixture *f = *state;
    schedule(f, script_schedule(f, "a"), NULL);
    char *big = arena_alloc(&f->arena, LIMIT_PAYLOAD_SIZE + 1);
    memset(big, 'x', LIMIT_PAYLOAD_SIZE);
    big[LIMIT_PAYLOAD_SIZE] = '\0';
    script_activity_done(f, 3, script_activity_task(f, 3, script_poll_activity(f, 3, 1)), big);
    assert_non_null(strstr(tail(f), "7 ACTIVITY_TASK_FAILED scheduled=5 started=6 retry=2 "
                                    "failure=\"activity result has "));
}

/* slots bound a session, max_in_flight the queue over all sessions; both change live. */
static void test_slots_and_limit(void **state)
{
    struct fixture *f = *state;
    script_start(f, "flow");
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 1)),
                   script_schedule(f, "a"), script_schedule(f, "b"), script_schedule(f, "c"),
                   script_schedule(f, "d"));
    Api__SetQueueLimitRequest limit = API__SET_QUEUE_LIMIT_REQUEST__INIT;
    limit.task_queue = "aq";
    limit.has_max_in_flight = true;
    limit.max_in_flight = 2;
    fixture_ok(f, 9, METHOD_SET_QUEUE_LIMIT, &limit);
    uint64_t poll = script_poll_activity(f, 3, 1);
    activity_task_message *a = script_activity_task(f, 3, poll);
    script_no_task(f, 3, poll);
    uint64_t other = script_poll_activity(f, 4, 3);
    script_activity_task(f, 4, other);
    script_no_task(f, 4, other);
    limit.max_in_flight = 0;
    fixture_ok(f, 9, METHOD_SET_QUEUE_LIMIT, &limit);
    script_activity_task(f, 4, other);
    script_activity_task(f, 4, other);
    script_activity_done(f, 3, a, "out");
    script_no_task(f, 3, poll);
    uint64_t wider = script_poll_activity(f, 3, 2); /* replaces the poll; the old one ends */
    struct fixture_reply *end = fixture_take(f, 3, poll);
    assert_int_equal(end->grpc_status, 0);
    assert_false(end->more);
    script_no_task(f, 3, wider);
}

/* An empty answer ends a one-shot poll after 60 s. */
static void test_long_poll(void **state)
{
    struct fixture *f = *state;
    uint64_t poll = script_poll_activity(f, 3, 0);
    fixture_advance(f, 60 * S - 1);
    script_no_task(f, 3, poll);
    fixture_advance(f, 1);
    struct fixture_reply *reply = fixture_take(f, 3, poll);
    assert_int_equal(reply->grpc_status, 0);
    assert_int_equal(((activity_task_message *)reply->body)->task_token.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_priority),
        TEST(test_retry_backoff),
        TEST(test_maximum_attempts),
        TEST(test_non_retryable),
        TEST(test_next_retry_delay),
        TEST(test_timeout_without_time_left),
        TEST(test_start_to_close),
        TEST(test_schedule_to_start),
        TEST(test_heartbeat_timeout),
        TEST(test_filled_timeouts),
        TEST(test_lost),
        TEST(test_third_loss),
        TEST(test_failure_clears_losses),
        TEST(test_suspects_are_kept_apart),
        TEST(test_lost_at_most_once),
        TEST(test_release),
        TEST(test_reclaim),
        TEST(test_reconnect),
        TEST(test_worker_lost),
        TEST(test_cancel_not_started),
        TEST(test_cancel_started),
        TEST(test_cancel_ended),
        TEST(test_cancel_twice),
        TEST(test_no_retry_after_cancel),
        TEST(test_large_result),
        TEST(test_slots_and_limit),
        TEST(test_long_poll),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
