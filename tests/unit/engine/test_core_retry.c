/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retries of whole workflows, by the rules of docs/spec/02-history.md section 1, and bounds of
 * concurrent runs: run_retry.h and run_group.h.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/message.h"
#include "tests/test.h"
#include "tests/unit/engine/worker_script.h"

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    fixture_init(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    free(*state);
    return 0;
}

#define INVALID            3
#define ALREADY_EXISTS     6
#define RESOURCE_EXHAUSTED 8

/* --- retries ---------------------------------------------------------------------------------- */

/* A start with the retry policy 2 s, x 3, at most 3 attempts. */
static Api__StartWorkflowExecutionRequest *retried(struct fixture *f, const char *workflow_id)
{
    Api__StartWorkflowExecutionRequest *start = script_start_request(f, workflow_id);
    Api__RetryPolicy *policy = message_new(&f->arena, &api__retry_policy__descriptor);
    policy->initial_interval = script_duration(f, 2 * S);
    policy->has_backoff_coefficient = true;
    policy->backoff_coefficient = 3;
    policy->has_maximum_attempts = true;
    policy->maximum_attempts = 3;
    start->retry_policy = policy;
    return start;
}

static const char *start_run(struct fixture *f, const Api__StartWorkflowExecutionRequest *start)
{
    const Api__StartWorkflowExecutionResponse *response =
        fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    return response->run_id;
}

static Api__Command *fail_command(struct fixture *f, bool non_retryable)
{
    Api__Command *command = message_new(&f->arena, &api__command__descriptor);
    command->has_command_type = true;
    command->command_type = COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION;
    command->attributes_case = API__COMMAND__ATTRIBUTES_FAIL_WORKFLOW_EXECUTION_COMMAND_ATTRIBUTES;
    Api__Failure *failure = message_new(&f->arena, &api__failure__descriptor);
    failure->message = "broken";
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO;
    failure->application_failure_info =
        message_new(&f->arena, &api__application_failure_info__descriptor);
    failure->application_failure_info->type = "Broken";
    failure->application_failure_info->has_non_retryable = true;
    failure->application_failure_info->non_retryable = non_retryable;
    command->fail_workflow_execution_command_attributes =
        message_new(&f->arena, &api__fail_workflow_execution_command_attributes__descriptor);
    command->fail_workflow_execution_command_attributes->failure = failure;
    return command;
}

static const Api__WorkflowExecutionStartedEventAttributes *
started(const workflow_task_message *task)
{
    return task->history->events[0]->workflow_execution_started_event_attributes;
}

/* The closing event of a run. */
static const Api__HistoryEvent *closing(struct fixture *f, const char *workflow_id,
                                        const char *run_id)
{
    Api__GetWorkflowExecutionHistoryRequest *request =
        message_new(&f->arena, &api__get_workflow_execution_history_request__descriptor);
    request->namespace_ = "default";
    request->execution = script_execution(f, workflow_id);
    request->execution->run_id = run_id;
    request->has_history_event_filter_type = true;
    request->history_event_filter_type = HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    const Api__GetWorkflowExecutionHistoryResponse *response =
        fixture_ok(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, request);
    assert_int_equal(response->history->n_events, 1);
    return response->history->events[0];
}

static void test_a_failed_run_is_tried_again(void **state)
{
    struct fixture *f = *state;
    const char *first = start_run(f, retried(f, "again"));
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    assert_int_equal(started(task)->attempt, 1);
    assert_int_equal(started(task)->retry_policy->maximum_attempts, 3);
    script_respond(f, 2, task, fail_command(f, false));

    const Api__WorkflowExecutionFailedEventAttributes *failed =
        closing(f, "again", first)->workflow_execution_failed_event_attributes;
    assert_int_equal(failed->retry_state, RETRY_STATE_IN_PROGRESS);
    const char *second = failed->new_execution_run_id;
    assert_string_not_equal(second, first);

    fixture_advance(f, 2 * S - 1); /* backoff */
    script_no_task(f, 2, poll);
    fixture_advance(f, 1);
    task = script_workflow_task(f, 2, poll);
    assert_string_equal(task->workflow_execution->run_id, second);
    assert_int_equal(started(task)->attempt, 2);
    assert_int_equal(started(task)->initiator, CONTINUE_AS_NEW_INITIATOR_RETRY);
    assert_string_equal(started(task)->continued_execution_run_id, first);
    assert_string_equal(started(task)->first_execution_run_id, first);
    assert_string_equal(started(task)->original_execution_run_id, second);
    assert_string_equal(started(task)->continued_failure->message, "broken");
    assert_int_equal(duration_us(started(task)->first_workflow_task_backoff), 2 * S);
    assert_memory_equal(started(task)->input->payloads[0]->data.data, "in", 2);

    script_respond(f, 2, task, fail_command(f, false));
    failed = closing(f, "again", second)->workflow_execution_failed_event_attributes;
    const char *third = failed->new_execution_run_id;
    fixture_advance(f, 6 * S - 1); /* 2 s, three times as long */
    script_no_task(f, 2, poll);
    fixture_advance(f, 1);
    task = script_workflow_task(f, 2, poll);
    assert_int_equal(started(task)->attempt, 3);
    assert_string_equal(started(task)->first_execution_run_id, first);
    script_respond(f, 2, task, fail_command(f, false));
    failed = closing(f, "again", third)->workflow_execution_failed_event_attributes;
    assert_int_equal(failed->retry_state, RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED);
    assert_null(failed->new_execution_run_id);
}

static void test_a_failure_may_say_no(void **state)
{
    struct fixture *f = *state;
    const char *run_id = start_run(f, retried(f, "never"));
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    script_respond(f, 2, task, fail_command(f, true));
    const Api__WorkflowExecutionFailedEventAttributes *failed =
        closing(f, "never", run_id)->workflow_execution_failed_event_attributes;
    assert_int_equal(failed->retry_state, RETRY_STATE_NON_RETRYABLE_FAILURE);
    assert_null(failed->new_execution_run_id);

    Api__StartWorkflowExecutionRequest *start = retried(f, "listed");
    static const char *types[] = {"Broken"};
    start->retry_policy->n_non_retryable_error_types = 1;
    start->retry_policy->non_retryable_error_types =
        (__typeof__(start->retry_policy->non_retryable_error_types))types;
    run_id = start_run(f, start);
    task = script_workflow_task(f, 2, poll);
    script_respond(f, 2, task, fail_command(f, false));
    failed = closing(f, "listed", run_id)->workflow_execution_failed_event_attributes;
    assert_int_equal(failed->retry_state, RETRY_STATE_NON_RETRYABLE_FAILURE);
}

static void test_backoff_survives_a_restart(void **state)
{
    struct fixture *f = *state;
    start_run(f, retried(f, "durable"));
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 1));
    script_respond(f, 2, task, fail_command(f, false));
    fixture_advance(f, S);
    fixture_restart(f);
    uint64_t poll = script_poll_workflow(f, 3, 1);
    script_signal(f, "durable", "hurry"); /* waits, as Temporal's do */
    script_no_task(f, 3, poll);
    fixture_advance(f, S);
    task = script_workflow_task(f, 3, poll);
    assert_int_equal(started(task)->attempt, 2);
    script_respond(f, 3, task, script_complete(f, "done"));
}

static void test_a_run_timeout_is_tried_again(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = retried(f, "slow");
    start->workflow_run_timeout = script_duration(f, 10 * S);
    start->workflow_execution_timeout = script_duration(f, 25 * S);
    const char *first = start_run(f, start);
    fixture_advance(f, 10 * S);
    const Api__WorkflowExecutionTimedOutEventAttributes *late =
        closing(f, "slow", first)->workflow_execution_timed_out_event_attributes;
    assert_int_equal(late->retry_state, RETRY_STATE_IN_PROGRESS);
    const char *second = late->new_execution_run_id;
    /* backoff 2 s, then 10 s of its own: it ends at 22 s; the third would begin at 28 s */
    fixture_advance(f, 12 * S - 1);
    assert_null(strstr(fixture_history(f, "slow"), "TIMED_OUT"));
    fixture_advance(f, 1);
    late = closing(f, "slow", second)->workflow_execution_timed_out_event_attributes;
    assert_int_equal(late->retry_state, RETRY_STATE_TIMEOUT);
    assert_null(late->new_execution_run_id);
}

static void test_the_execution_timeout_ends_the_chain(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = retried(f, "expired");
    start->workflow_execution_timeout = script_duration(f, 5 * S);
    start_run(f, start);
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 1));
    fixture_advance(f, S);
    script_respond(f, 2, task, fail_command(f, false));
    fixture_advance(f, 4 * S - 1);
    assert_null(strstr(fixture_history(f, "expired"), "TIMED_OUT"));
    fixture_advance(f, 1);
    assert_non_null(strstr(fixture_history(f, "expired"), "TIMED_OUT retry=3"));
}

static void test_a_repeated_request_is_still_one_start(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = retried(f, "once");
    start->request_id = "request-1";
    const char *first = start_run(f, start);
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 1));
    script_respond(f, 2, task, fail_command(f, false));
    assert_string_equal(start_run(f, start), first);
    start->request_id = "request-2"; /* while it backs off the workflow is open */
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, ALREADY_EXISTS,
                    "already running");
    Api__TerminateWorkflowExecutionRequest terminate =
        API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    terminate.namespace_ = "default";
    terminate.workflow_execution = script_execution(f, "once");
    fixture_ok(f, 1, METHOD_TERMINATE_WORKFLOW_EXECUTION, &terminate);
    assert_non_null(strstr(fixture_history(f, "once"), "2 WORKFLOW_EXECUTION_TERMINATED"));
}

static void test_a_bad_policy_is_refused(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = retried(f, "bad");
    start->retry_policy->backoff_coefficient = 0.5;
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, INVALID,
                    "backoff coefficient is below 1");
}

/* --- bounds of concurrent runs ---------------------------------------------------------------- */

static Api__StartWorkflowExecutionRequest *bounded(struct fixture *f, const char *workflow_id,
                                                   int32_t limit)
{
    Api__StartWorkflowExecutionRequest *start = script_start_request(f, workflow_id);
    start->concurrency_key = "train";
    start->has_concurrency_limit = true;
    start->concurrency_limit = limit;
    return start;
}

static void complete_one(struct fixture *f, uint64_t session, uint64_t poll)
{
    workflow_task_message *task = script_workflow_task(f, session, poll);
    script_respond(f, session, task, script_complete(f, "done"));
}

static void test_a_full_group_refuses(void **state)
{
    struct fixture *f = *state;
    start_run(f, bounded(f, "a", 2));
    start_run(f, bounded(f, "b", 2));
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, bounded(f, "c", 2), RESOURCE_EXHAUSTED,
                    "2 of at most 2 runs of \"train\" are open: a, b");
    Api__StartWorkflowExecutionRequest *other = bounded(f, "other", 1);
    other->concurrency_key = "evaluate";
    start_run(f, other);
    start_run(f, script_start_request(f, "free"));
    start_run(f, bounded(f, "c", 3)); /* the limit is that of the start */
    fixture_restart(f);               /* groups are found again */
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, bounded(f, "d", 3), RESOURCE_EXHAUSTED,
                    "3 of at most 3");
    complete_one(f, 3, script_poll_workflow(f, 3, 1)); /* a */
    start_run(f, bounded(f, "d", 3));
}

static void test_an_existing_run_needs_no_room(void **state)
{
    struct fixture *f = *state;
    const char *first = start_run(f, bounded(f, "a", 1));
    Api__StartWorkflowExecutionRequest *again = bounded(f, "a", 1);
    again->has_workflow_id_conflict_policy = true;
    again->workflow_id_conflict_policy = WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING;
    assert_string_equal(start_run(f, again), first);
    /* a run that takes the place of another one takes its room too */
    again->workflow_id_conflict_policy = WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING;
    assert_string_not_equal(start_run(f, again), first);
    /* but a refused start ends nobody */
    start_run(f, bounded(f, "b", 2));
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, again, RESOURCE_EXHAUSTED,
                    "1 of at most 1 runs of \"train\" are open: b");
    assert_null(strstr(fixture_history(f, "a"), "TERMINATED"));
}

static void test_a_retried_run_keeps_its_room(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = retried(f, "a");
    start->concurrency_key = "train";
    start->has_concurrency_limit = true;
    start->concurrency_limit = 1;
    start_run(f, start);
    uint64_t poll = script_poll_workflow(f, 2, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    script_respond(f, 2, task, fail_command(f, false));
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, bounded(f, "b", 1), RESOURCE_EXHAUSTED,
                    "are open: a");
    fixture_advance(f, 2 * S);
    complete_one(f, 2, poll);
    start_run(f, bounded(f, "b", 1));
}

static void test_a_bad_bound_is_refused(void **state)
{
    struct fixture *f = *state;
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, bounded(f, "a", 0), INVALID,
                    "concurrency limit is below 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_failed_run_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_failure_may_say_no, setup, teardown),
        cmocka_unit_test_setup_teardown(test_backoff_survives_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_run_timeout_is_tried_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_execution_timeout_ends_the_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_repeated_request_is_still_one_start, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_bad_policy_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_group_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_existing_run_needs_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_retried_run_keeps_its_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_bad_bound_is_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
