/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workflow tasks, events and their order: whole histories against docs/spec/02-history.md, worked
 * out by hand.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

/* What arrives while a task is started waits, and stands between its completion and the next. */
static void test_buffered_signal(void **state)
{
    struct fixture *f = *state;
    script_start(f, "buffer");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    script_signal(f, "buffer", "s1");
    script_respond(f, 2, task, script_timer(f, "t", 60 * S));
    assert_string_equal(fixture_history(f, "buffer"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_TASK_STARTED scheduled=2 by w2\n"
                        "4 WORKFLOW_TASK_COMPLETED scheduled=2 started=3\n"
                        "5 TIMER_STARTED id=t\n"
                        "6 WORKFLOW_EXECUTION_SIGNALED name=s1\n"
                        "7 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "8 WORKFLOW_TASK_STARTED scheduled=7 by w2\n");
}

/* An outside event while the task is only scheduled goes straight to the history. */
static void test_unbuffered_signal(void **state)
{
    struct fixture *f = *state;
    script_start(f, "direct");
    script_signal(f, "direct", "s1");
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 1));
    assert_int_equal(task->started_event_id, 4);
    assert_string_equal(fixture_history(f, "direct"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_EXECUTION_SIGNALED name=s1\n"
                        "4 WORKFLOW_TASK_STARTED scheduled=2 by w2\n");
}

/* On flush, events that close activities go behind all others, and get their started ids. */
static void test_flush_order(void **state)
{
    struct fixture *f = *state;
    script_start(f, "order");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    script_respond(f, 2, task, script_schedule(f, "a"), script_schedule(f, "b"));
    uint64_t activity_poll = script_poll_activity(f, 3, 2);
    activity_task_message *a = script_activity_task(f, 3, activity_poll);
    activity_task_message *b = script_activity_task(f, 3, activity_poll);
    script_signal(f, "order", "first");
    task = script_workflow_task(f, 2, poll);
    script_activity_done(f, 3, a, "ra");
    script_signal(f, "order", "second");
    script_activity_done(f, 3, b, "rb");
    script_respond(f, 2, task, NULL);
    assert_string_equal(fixture_history(f, "order"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_TASK_STARTED scheduled=2 by w2\n"
                        "4 WORKFLOW_TASK_COMPLETED scheduled=2 started=3\n"
                        "5 ACTIVITY_TASK_SCHEDULED id=a queue=aq task=4\n"
                        "6 ACTIVITY_TASK_SCHEDULED id=b queue=aq task=4\n"
                        "7 WORKFLOW_EXECUTION_SIGNALED name=first\n"
                        "8 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "9 WORKFLOW_TASK_STARTED scheduled=8 by w2\n"
                        "10 WORKFLOW_TASK_COMPLETED scheduled=8 started=9\n"
                        "11 ACTIVITY_TASK_STARTED scheduled=5 attempt=1 by w3\n"
                        "12 WORKFLOW_EXECUTION_SIGNALED name=second\n"
                        "13 ACTIVITY_TASK_STARTED scheduled=6 attempt=1 by w3\n"
                        "14 ACTIVITY_TASK_COMPLETED scheduled=5 started=11 result=ra\n"
                        "15 ACTIVITY_TASK_COMPLETED scheduled=6 started=13 result=rb\n"
                        "16 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "17 WORKFLOW_TASK_STARTED scheduled=16 by w2\n");
}

/* Every activity that a run can have ends while its worker has a workflow task: the task goes on,
 * and each end finds its start. */
static void test_wide_fan_out(void **state)
{
    struct fixture *f = *state;
    script_start(f, "wide");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    static Api__Command *commands[LIMIT_PENDING_ACTIVITIES];
    for (int i = 0; i < LIMIT_PENDING_ACTIVITIES; i++)
        commands[i] = script_schedule(f, arena_printf(&f->arena, "a%d", i));
    Api__RespondWorkflowTaskCompletedRequest *completion =
        script_completion(f, task, (Api__Command *const[4]){NULL});
    completion->commands = commands;
    completion->n_commands = LIMIT_PENDING_ACTIVITIES;
    f->checks_later = true;
    fixture_ok(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, completion);
    uint64_t activity_poll = script_poll_activity(f, 3, LIMIT_PENDING_ACTIVITIES);
    static activity_task_message *activities[LIMIT_PENDING_ACTIVITIES];
    for (int i = 0; i < LIMIT_PENDING_ACTIVITIES; i++)
        activities[i] = script_activity_task(f, 3, activity_poll);
    script_signal(f, "wide", "go");
    task = script_workflow_task(f, 2, poll);
    for (int i = LIMIT_PENDING_ACTIVITIES; i-- > 0;)
        script_activity_done(f, 3, activities[i], "r");
    f->checks_later = false;
    script_respond(f, 2, task, NULL);
    const char *history = fixture_history(f, "wide");
    assert_null(strstr(history, "WORKFLOW_TASK_FAILED"));
    /* Events 1 to 4 begin the run, then its activities, the signal, and the task that met them. */
    int last = LIMIT_PENDING_ACTIVITIES - 1, started = LIMIT_PENDING_ACTIVITIES + 9;
    int completed = started + LIMIT_PENDING_ACTIVITIES;
    for (int i = 0; i <= last; i++) {
        char line[128];
        snprintf(line, sizeof line, "\n%d ACTIVITY_TASK_STARTED scheduled=%d ", started + i,
                 5 + last - i);
        history = strstr(history, line);
        assert_non_null(history);
    }
    for (int i = 0; i <= last; i++) {
        char line[128];
        snprintf(line, sizeof line, "\n%d ACTIVITY_TASK_COMPLETED scheduled=%d started=%d ",
                 completed + i, 5 + last - i, started + i);
        history = strstr(history, line);
        assert_non_null(history);
    }
}

/* Closing while something unseen waits fails the task; workflow code gets another look. */
static void test_unhandled_command(void **state)
{
    struct fixture *f = *state;
    script_start(f, "unhandled");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    script_signal(f, "unhandled", "s1");
    fixture_refused(
        f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
        script_completion(f, task, (Api__Command *const[4]){script_complete(f, "too early")}), 3,
        "UnhandledCommand");
    task = script_workflow_task(f, 2, poll);
    assert_int_equal(task->attempt, 1);
    script_respond(f, 2, task, script_complete(f, "r"));
    assert_string_equal(fixture_history(f, "unhandled"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_TASK_STARTED scheduled=2 by w2\n"
                        "4 WORKFLOW_TASK_FAILED scheduled=2 started=3 cause=1 "
                        "failure=\"UnhandledCommand\"\n"
                        "5 WORKFLOW_EXECUTION_SIGNALED name=s1\n"
                        "6 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "7 WORKFLOW_TASK_STARTED scheduled=6 by w2\n"
                        "8 WORKFLOW_TASK_COMPLETED scheduled=6 started=7\n"
                        "9 WORKFLOW_EXECUTION_COMPLETED result=r\n");
}

static void fail_task(struct fixture *f, const workflow_task_message *task, int grpc_status)
{
    Api__RespondWorkflowTaskFailedRequest failed = API__RESPOND_WORKFLOW_TASK_FAILED_REQUEST__INIT;
    failed.namespace_ = "default";
    failed.has_task_token = true;
    failed.task_token = task->task_token;
    failed.has_cause = true;
    failed.cause = WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR;
    if (grpc_status == 0)
        fixture_ok(f, 2, METHOD_RESPOND_WORKFLOW_TASK_FAILED, &failed);
    else
        fixture_refused(f, 2, METHOD_RESPOND_WORKFLOW_TASK_FAILED, &failed, grpc_status, "");
}

/* The first failure leaves an event; later attempts leave none until one completes. A repeated
 * failure is refused and left to time out, so that it repeats slowly. */
static void test_transient_attempts(void **state)
{
    struct fixture *f = *state;
    script_start(f, "transient");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    fail_task(f, script_workflow_task(f, 2, poll), 0);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    assert_int_equal(task->attempt, 2);
    assert_int_equal(task->started_event_id, 6);
    assert_int_equal(task->history->n_events, 6);
    fail_task(f, task, 3);
    script_no_task(f, 2, poll);
    fixture_advance(f, 10 * S - 1);
    script_no_task(f, 2, poll);
    fixture_advance(f, 1);
    task = script_workflow_task(f, 2, poll);
    assert_int_equal(task->attempt, 3);
    script_respond(f, 2, task, script_complete(f, "r"));
    assert_string_equal(fixture_history(f, "transient"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_TASK_STARTED scheduled=2 by w2\n"
                        "4 WORKFLOW_TASK_FAILED scheduled=2 started=3 cause=24\n"
                        "5 WORKFLOW_TASK_SCHEDULED queue=wq attempt=3\n"
                        "6 WORKFLOW_TASK_STARTED scheduled=5 by w2\n"
                        "7 WORKFLOW_TASK_COMPLETED scheduled=5 started=6\n"
                        "8 WORKFLOW_EXECUTION_COMPLETED result=r\n");
}

/* From the fourth attempt on the timeout is 10 s and 5, 10, 20 ... s more. */
static void test_slow_attempts(void **state)
{
    struct fixture *f = *state;
    static const int64_t timeouts_s[] = {10, 10, 10, 15, 20, 30, 50};
    script_start(f, "slow");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    for (size_t i = 0; i < sizeof timeouts_s / sizeof timeouts_s[0]; i++) {
        workflow_task_message *task = script_workflow_task(f, 2, poll);
        assert_int_equal(task->attempt, i + 1);
        fixture_advance(f, timeouts_s[i] * S - 1);
        script_no_task(f, 2, poll);
        fixture_advance(f, 1);
    }
}

static void *sticky_completion(struct fixture *f, const workflow_task_message *task,
                               Api__Command *command)
{
    Api__RespondWorkflowTaskCompletedRequest *completion =
        script_completion(f, task, (Api__Command *const[4]){command});
    static Api__StickyExecutionAttributes sticky;
    api__sticky_execution_attributes__init(&sticky);
    sticky.worker_task_queue = script_queue(f, "sticky-2", TASK_QUEUE_KIND_STICKY);
    sticky.schedule_to_start_timeout = script_duration(f, 10 * S);
    completion->sticky_attributes = &sticky;
    return completion;
}

/* The worker that has the run gets only what is new; when it does not come in time, anybody gets
 * everything. */
static void test_sticky(void **state)
{
    struct fixture *f = *state;
    script_start(f, "sticky");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    uint64_t sticky_poll = script_poll_sticky(f, 2, "sticky-2", 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    fixture_ok(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
               sticky_completion(f, task, script_timer(f, "t1", 5 * S)));
    fixture_advance(f, 5 * S);
    script_no_task(f, 2, poll);
    task = script_workflow_task(f, 2, sticky_poll);
    assert_int_equal(task->history->n_events, 5);
    assert_int_equal(task->history->events[0]->event_id, 4);
    assert_int_equal(task->previous_started_event_id, 3);
    fixture_ok(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
               sticky_completion(f, task, script_timer(f, "t2", 1 * S)));
    Api__CancelRequest cancel = API__CANCEL_REQUEST__INIT;
    cancel.has_correlation_id = true;
    cancel.correlation_id = sticky_poll;
    fixture_ok(f, 2, METHOD_CANCEL, &cancel);
    assert_int_equal(fixture_take(f, 2, sticky_poll)->grpc_status, 1);
    fixture_advance(f, 1 * S); /* a moment after the last poll the queue still counts as alive */
    script_no_task(f, 2, poll);
    fixture_advance(f, 10 * S);
    task = script_workflow_task(f, 2, poll);
    assert_int_equal(task->history->events[0]->event_id, 1);
    assert_int_equal(task->attempt, 1);
    assert_string_equal(fixture_history(f, "sticky"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_TASK_STARTED scheduled=2 by w2\n"
                        "4 WORKFLOW_TASK_COMPLETED scheduled=2 started=3\n"
                        "5 TIMER_STARTED id=t1\n"
                        "6 TIMER_FIRED id=t1 started=5\n"
                        "7 WORKFLOW_TASK_SCHEDULED queue=sticky-2 attempt=1\n"
                        "8 WORKFLOW_TASK_STARTED scheduled=7 by w2\n"
                        "9 WORKFLOW_TASK_COMPLETED scheduled=7 started=8\n"
                        "10 TIMER_STARTED id=t2\n"
                        "11 TIMER_FIRED id=t2 started=10\n"
                        "12 WORKFLOW_TASK_SCHEDULED queue=sticky-2 attempt=1\n"
                        "13 WORKFLOW_TASK_TIMED_OUT scheduled=12 started=0 timeout=2\n"
                        "14 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "15 WORKFLOW_TASK_STARTED scheduled=14 by w2\n");
}

/* A dead worker's task goes to another at once; its sticky queue is not waited for. */
static void test_worker_lost(void **state)
{
    struct fixture *f = *state;
    script_start(f, "lost");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    script_poll_sticky(f, 2, "sticky-2", 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    fixture_ok(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
               sticky_completion(f, task, script_timer(f, "t1", 5 * S)));
    uint64_t other_poll = script_poll_workflow(f, 3, 1);
    fixture_advance(f, 5 * S);
    script_no_task(f, 3, other_poll); /* w2 has it */
    fixture_lose(f, 2, "killed");
    task = script_workflow_task(f, 3, other_poll);
    assert_int_equal(task->attempt, 1); /* a sticky attempt is not counted */
    assert_int_equal(task->history->events[0]->event_id, 1);
    fixture_lose(f, 3, "killed too");
    task = script_workflow_task(f, 4, script_poll_workflow(f, 4, 1));
    assert_int_equal(task->attempt, 2);
    script_respond(f, 4, task, script_complete(f, "r"));
}

/* A timer that fired while the task was under way is taken back by its cancellation. */
static void test_cancel_fired_timer(void **state)
{
    struct fixture *f = *state;
    script_start(f, "timer");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    script_respond(f, 2, task, script_timer(f, "t", 5 * S));
    script_signal(f, "timer", "s");
    task = script_workflow_task(f, 2, poll);
    fixture_advance(f, 6 * S);
    script_respond(f, 2, task, script_cancel_timer(f, "t"), script_complete(f, "r"));
    assert_string_equal(fixture_history(f, "timer"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_TASK_STARTED scheduled=2 by w2\n"
                        "4 WORKFLOW_TASK_COMPLETED scheduled=2 started=3\n"
                        "5 TIMER_STARTED id=t\n"
                        "6 WORKFLOW_EXECUTION_SIGNALED name=s\n"
                        "7 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "8 WORKFLOW_TASK_STARTED scheduled=7 by w2\n"
                        "9 WORKFLOW_TASK_COMPLETED scheduled=7 started=8\n"
                        "10 TIMER_CANCELED id=t started=5\n"
                        "11 WORKFLOW_EXECUTION_COMPLETED result=r\n");
}

/* Each wrong command fails the task with its own cause, and none of its neighbours is carried out.
 */
static void test_bad_commands(void **state)
{
    struct fixture *f = *state;
    Api__Command *no_timeout = script_schedule(f, "a");
    no_timeout->schedule_activity_task_command_attributes->start_to_close_timeout = NULL;
    Api__Command *no_type = script_schedule(f, "a");
    no_type->schedule_activity_task_command_attributes->activity_type = NULL;
    Api__Command *no_attributes = script_schedule(f, "a");
    no_attributes->attributes_case = API__COMMAND__ATTRIBUTES__NOT_SET;
    Api__Command *child = script_schedule(f, "a");
    child->command_type = COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION;
    char *big = arena_alloc(&f->arena, LIMIT_PAYLOAD_SIZE + 1);
    memset(big, 'x', LIMIT_PAYLOAD_SIZE);
    big[LIMIT_PAYLOAD_SIZE] = '\0';
    const struct {
        Api__Command *command;
        Api__WorkflowTaskFailedCause cause;
    } rows[] = {
        {no_timeout, WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES},
        {no_type, WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES},
        {no_attributes, WORKFLOW_TASK_FAILED_CAUSE_BAD_SCHEDULE_ACTIVITY_ATTRIBUTES},
        {script_schedule(f, "first"), WORKFLOW_TASK_FAILED_CAUSE_SCHEDULE_ACTIVITY_DUPLICATE_ID},
        {script_timer(f, "t", 0), WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES},
        {script_timer(f, "", S), WORKFLOW_TASK_FAILED_CAUSE_BAD_START_TIMER_ATTRIBUTES},
        {script_cancel_timer(f, "none"), WORKFLOW_TASK_FAILED_CAUSE_BAD_CANCEL_TIMER_ATTRIBUTES},
        {script_cancel_activity(f, 3),
         WORKFLOW_TASK_FAILED_CAUSE_BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES},
        {script_complete(f, big),
         WORKFLOW_TASK_FAILED_CAUSE_BAD_COMPLETE_WORKFLOW_EXECUTION_ATTRIBUTES},
        {child, WORKFLOW_TASK_FAILED_CAUSE_BAD_START_CHILD_EXECUTION_ATTRIBUTES},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *id = arena_printf(&f->arena, "bad-%zu", i);
        script_start(f, id);
        uint64_t poll = script_poll_workflow(f, 2, 0);
        workflow_task_message *task = script_workflow_task(f, 2, poll);
        fixture_refused(
            f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
            script_completion(
                f, task, (Api__Command *const[4]){script_schedule(f, "first"), rows[i].command}),
            3, "");
        const char *history = fixture_history(f, id);
        const char *cause = arena_printf(
            &f->arena, "4 WORKFLOW_TASK_FAILED scheduled=2 started=3 cause=%d ", rows[i].cause);
        assert_non_null(strstr(history, cause));
        assert_null(strstr(history, "ACTIVITY_TASK_SCHEDULED"));
        task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 0));
        script_respond(f, 2, task, script_complete(f, "r"));
    }
}

/* A timer is canceled once: two cancellations of a fired one must not hide another waiting event
 * from the rule that a run cannot close before it has seen everything. */
static void test_cancel_timer_twice(void **state)
{
    struct fixture *f = *state;
    script_start(f, "twice");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    script_respond(f, 2, script_workflow_task(f, 2, poll), script_timer(f, "t", 5 * S));
    script_signal(f, "twice", "s1");
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    fixture_advance(f, 6 * S);
    script_signal(f, "twice", "s2");
    fixture_refused(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
                    script_completion(f, task,
                                      (Api__Command *const[4]){
                                          script_cancel_timer(f, "t"), script_cancel_timer(f, "t"),
                                          script_complete(f, "s2 was never seen")}),
                    3, "timer id t is not known");
}

/* A worker that names a sticky queue without a timeout and goes: its task does not wait for ever.
 */
static void test_sticky_without_timeout(void **state)
{
    struct fixture *f = *state;
    script_start(f, "gone");
    uint64_t sticky_poll = script_poll_sticky(f, 2, "sticky-2", 1);
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 0));
    Api__RespondWorkflowTaskCompletedRequest *completion =
        sticky_completion(f, task, script_timer(f, "t", S));
    completion->sticky_attributes->schedule_to_start_timeout = NULL;
    fixture_ok(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, completion);
    Api__CancelRequest cancel = API__CANCEL_REQUEST__INIT;
    cancel.has_correlation_id = true;
    cancel.correlation_id = sticky_poll;
    fixture_ok(f, 2, METHOD_CANCEL, &cancel);
    fixture_advance(f, S); /* the next task waits in the queue that was just polled */
    fixture_restart(f);
    uint64_t poll = script_poll_workflow(f, 5, 1);
    fixture_advance(f, 10 * S - 1);
    script_no_task(f, 5, poll);
    fixture_advance(f, 1);
    assert_int_equal(script_workflow_task(f, 5, poll)->history->events[0]->event_id, 1);
}

static void test_duplicate_timer(void **state)
{
    struct fixture *f = *state;
    script_start(f, "twice");
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 1));
    fixture_refused(
        f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
        script_completion(
            f, task, (Api__Command *const[4]){script_timer(f, "t", S), script_timer(f, "t", S)}),
        3, "timer id t is in use");
}

/* --- ends from outside
 * ----------------------------------------------------------------------------- */

static void test_terminate(void **state)
{
    struct fixture *f = *state;
    script_start(f, "end");
    script_workflow_task(f, 2, script_poll_workflow(f, 2, 1));
    script_signal(f, "end", "s");
    Api__TerminateWorkflowExecutionRequest terminate =
        API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    terminate.namespace_ = "default";
    terminate.workflow_execution = script_execution(f, "end");
    terminate.reason = "enough";
    fixture_ok(f, 1, METHOD_TERMINATE_WORKFLOW_EXECUTION, &terminate);
    assert_string_equal(fixture_history(f, "end"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_TASK_STARTED scheduled=2 by w2\n"
                        "4 WORKFLOW_TASK_FAILED scheduled=2 started=3 cause=17\n"
                        "5 WORKFLOW_EXECUTION_SIGNALED name=s\n"
                        "6 WORKFLOW_EXECUTION_TERMINATED reason=\"enough\"\n");
    fixture_refused(f, 1, METHOD_TERMINATE_WORKFLOW_EXECUTION, &terminate, 5, "no open workflow");
}

static void test_run_timeout(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = script_start_request(f, "late");
    start->workflow_run_timeout = script_duration(f, 30 * S);
    fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    fixture_advance(f, 30 * S - 1);
    assert_null(strstr(fixture_history(f, "late"), "TIMED_OUT"));
    fixture_advance(f, 1);
    assert_string_equal(fixture_history(f, "late"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "3 WORKFLOW_EXECUTION_TIMED_OUT retry=5\n");
}

static void test_cancel_requested(void **state)
{
    struct fixture *f = *state;
    script_start(f, "cancel");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    script_respond(f, 2, script_workflow_task(f, 2, poll), script_timer(f, "t", 60 * S));
    Api__RequestCancelWorkflowExecutionRequest cancel =
        API__REQUEST_CANCEL_WORKFLOW_EXECUTION_REQUEST__INIT;
    cancel.namespace_ = "default";
    cancel.workflow_execution = script_execution(f, "cancel");
    fixture_ok(f, 1, METHOD_REQUEST_CANCEL_WORKFLOW_EXECUTION, &cancel);
    fixture_ok(f, 1, METHOD_REQUEST_CANCEL_WORKFLOW_EXECUTION, &cancel); /* once is enough */
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    assert_int_equal(task->history->n_events, 8);
    assert_int_equal(task->history->events[5]->event_type,
                     EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED);
}

static void test_start_delay(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = script_start_request(f, "delayed");
    start->workflow_start_delay = script_duration(f, 30 * S);
    fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    uint64_t poll = script_poll_workflow(f, 2, 1);
    fixture_advance(f, 30 * S - 1);
    script_no_task(f, 2, poll);
    fixture_restart(f); /* the delay survives */
    poll = script_poll_workflow(f, 3, 1);
    fixture_advance(f, 1);
    script_workflow_task(f, 3, poll);
}

/* A completion counts once, and only for the task it names. */
static void test_stale_completion(void **state)
{
    struct fixture *f = *state;
    script_start(f, "stale");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    script_respond(f, 2, task, script_timer(f, "t", S));
    fixture_refused(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
                    script_completion(f, task, (Api__Command *const[4]){NULL}), 5,
                    "workflow task not found");
    static uint8_t garbage[] = "garbage";
    task->task_token = (ProtobufCBinaryData){.len = sizeof garbage, .data = garbage};
    fixture_refused(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED,
                    script_completion(f, task, (Api__Command *const[4]){NULL}), 3, "malformed");
}

/* The log alone brings everything back: a started task is lost after the grace, the timer fires. */
static void test_restart(void **state)
{
    struct fixture *f = *state;
    script_start(f, "again");
    uint64_t poll = script_poll_workflow(f, 2, 1);
    script_respond(f, 2, script_workflow_task(f, 2, poll), script_timer(f, "t", 5 * S));
    script_signal(f, "again", "s");
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    fixture_advance(f, 3 * S);
    fixture_restart(f);
    fixture_advance(f, 3 * S); /* the timer fires behind the task that is under way */
    script_respond(f, 2, task, NULL);
    task = script_workflow_task(f, 3, script_poll_workflow(f, 3, 1));
    assert_int_equal(task->history->events[9]->event_type, EVENT_TYPE_TIMER_FIRED);
}

/* After a restart a worker claims the task it works on, and is not disturbed. */
static void test_claim(void **state)
{
    struct fixture *f = *state;
    script_start(f, "mine");
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 1));
    fixture_restart(f);
    Api__HelloRequest hello = API__HELLO_REQUEST__INIT;
    hello.n_held_task_tokens = 1;
    hello.held_task_tokens = &task->task_token;
    Api__HelloResponse *response = fixture_ok(f, 3, METHOD_HELLO, &hello);
    assert_int_equal(response->n_lost_task_tokens, 0);
    uint64_t poll = script_poll_workflow(f, 3, 1);
    script_start(f, "other");
    script_no_task(f, 3, poll); /* the claimed task has its slot */
    script_respond(f, 3, task, script_complete(f, "r"));
    assert_string_equal(script_workflow_task(f, 3, poll)->workflow_execution->workflow_id, "other");
    response = fixture_ok(f, 3, METHOD_HELLO, &hello);
    assert_int_equal(response->n_lost_task_tokens, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_activity, setup, teardown),
        cmocka_unit_test_setup_teardown(test_buffered_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unbuffered_signal, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wide_fan_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_unhandled_command, setup, teardown),
        cmocka_unit_test_setup_teardown(test_transient_attempts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_attempts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sticky, setup, teardown),
        cmocka_unit_test_setup_teardown(test_worker_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_fired_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_timer_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sticky_without_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_duplicate_timer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_terminate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_timeout, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel_requested, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_delay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stale_completion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_claim, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
