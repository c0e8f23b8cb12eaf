/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workflow code against histories written by hand (history_script.h): what commands it makes, live
 * and replayed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <argosy/workflow.h>

#include "tests/unit/sdk/history_script.h"

static struct script script;

typedef const Api__RespondWorkflowTaskCompletedRequest *commands_t;

static int teardown(void **state)
{
    (void)state;
    script_fini(&script);
    return 0;
}

static void begin(argosy_workflow_function *function, const char *input)
{
    script_init(&script, function, NULL);
    script_started(&script, input);
    script_open_task(&script);
}

/* ---- assertions on one command ---- */

static const Api__ScheduleActivityTaskCommandAttributes *assert_schedule(commands_t request,
                                                                         size_t i, const char *type)
{
    assert_true(i < request->n_commands);
    assert_int_equal(request->commands[i]->command_type, COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    const Api__ScheduleActivityTaskCommandAttributes *schedule =
        request->commands[i]->schedule_activity_task_command_attributes;
    assert_string_equal(schedule->activity_type->name, type);
    return schedule;
}

static const char *assert_complete(commands_t request)
{
    assert_int_equal(request->n_commands, 1);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    return script_payload_text(
        &script, request->commands[0]->complete_workflow_execution_command_attributes->result);
}

static const Api__Failure *assert_fail(commands_t request, size_t i)
{
    assert_true(i < request->n_commands);
    assert_int_equal(request->commands[i]->command_type, COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
    return request->commands[i]->fail_workflow_execution_command_attributes->failure;
}

/* ---- activities ---- */

#define SECONDS(n) ((int64_t)(n)*1000)

static struct argosy_activity_options activity_of(const char *type)
{
    return (struct argosy_activity_options){.type = type, .start_to_close_timeout_ms = SECONDS(30)};
}

/* Two activities in sequence; the second gets the first one's result. */
static int pipeline(struct argosy_workflow *workflow, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_activity_options options = {
        .type = "clean",
        .task_queue = "text-queue",
        .input = ARGOSY_PAYLOADS(*argosy_workflow_input(workflow)),
        .start_to_close_timeout_ms = SECONDS(30),
        .heartbeat_timeout_ms = 1500,
        .retry_policy = {.initial_interval_ms = 1000,
                         .backoff_coefficient = 2,
                         .maximum_attempts = 3,
                         .non_retryable_types = (const char *const[]){"EmptyInput"},
                         .non_retryable_type_count = 1},
    };
    struct argosy_payload cleaned;
    int code = argosy_activity_execute(workflow, &options, &cleaned, err);
    if (code < 0)
        return code;
    struct argosy_activity_options second = activity_of("embed");
    second.input = ARGOSY_PAYLOADS(cleaned);
    return argosy_activity_execute(workflow, &second, ret_result, err);
}

static void test_pipeline(void **state)
{
    (void)state;
    begin(pipeline, "\" Hi \"");
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    const Api__ScheduleActivityTaskCommandAttributes *clean = assert_schedule(request, 0, "clean");
    assert_string_equal(clean->activity_id, "1");
    assert_string_equal(clean->task_queue->name, "text-queue");
    assert_string_equal(script_payload_text(&script, clean->input), "\" Hi \"");
    assert_int_equal(clean->start_to_close_timeout->seconds, 30);
    assert_int_equal(clean->heartbeat_timeout->seconds, 1);
    assert_int_equal(clean->heartbeat_timeout->nanos, 500000000);
    assert_null(clean->schedule_to_close_timeout);
    assert_int_equal(clean->retry_policy->initial_interval->seconds, 1);
    assert_int_equal(clean->retry_policy->maximum_attempts, 3);
    assert_string_equal(clean->retry_policy->non_retryable_error_types[0], "EmptyInput");
    assert_string_equal(request->sticky_attributes->worker_task_queue->name, "sticky-7");
    assert_string_equal(request->sticky_attributes->worker_task_queue->normal_name, "cpu-queue");

    script_task_completed(&script);
    int64_t scheduled = script_activity_scheduled(&script, "1", "clean");
    script_activity_completed(&script, scheduled, "\"hi\"");
    script_open_task(&script);
    request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    const Api__ScheduleActivityTaskCommandAttributes *embed = assert_schedule(request, 0, "embed");
    assert_string_equal(embed->activity_id, "2");
    assert_string_equal(embed->task_queue->name, "cpu-queue");
    assert_string_equal(script_payload_text(&script, embed->input), "\"hi\"");
    assert_null(embed->retry_policy);

    script_task_completed(&script);
    scheduled = script_activity_scheduled(&script, "2", "embed");
    script_activity_completed(&script, scheduled, "[1,2]");
    script_open_task(&script);
    request = script_commands(&script);
    assert_string_equal(assert_complete(request), "[1,2]");
    assert_null(request->sticky_attributes);
}

static void run_until_embed(void)
{
    begin(pipeline, "1");
    script_commands(&script);
    script_task_completed(&script);
}

static void test_activity_failure_fails_the_run(void **state)
{
    (void)state;
    run_until_embed();
    int64_t scheduled = script_activity_scheduled(&script, "1", "clean");
    script_activity_failed(&script, scheduled, "EmptyInput", "Input text is empty",
                           RETRY_STATE_NON_RETRYABLE_FAILURE);
    script_open_task(&script);
    const Api__Failure *failure = assert_fail(script_commands(&script), 0);
    assert_int_equal(failure->failure_info_case, API__FAILURE__FAILURE_INFO_ACTIVITY_FAILURE_INFO);
    assert_string_equal(failure->activity_failure_info->activity_type->name, "clean");
    assert_string_equal(failure->activity_failure_info->activity_id, "1");
    assert_int_equal(failure->activity_failure_info->scheduled_event_id, scheduled);
    assert_int_equal(failure->activity_failure_info->retry_state,
                     RETRY_STATE_NON_RETRYABLE_FAILURE);
    assert_string_equal(failure->cause->message, "Input text is empty");
    assert_string_equal(failure->cause->application_failure_info->type, "EmptyInput");
}

/* Looks at everything a failure says, then completes. */
static int inspect_failure(struct argosy_workflow *workflow, void *user_data,
                           struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_activity_options options = activity_of("flaky");
    int code = argosy_activity_execute(workflow, &options, NULL, err);
    const struct argosy_failure *root = argosy_failure_root(err->failure);
    return argosy_payload_pack(
        argosy_workflow_arena(workflow), ret_result, err, "[i, i, i, s, s, s, i]", code,
        (int)argosy_failure_kind(err->failure), (int)argosy_failure_retry_state(err->failure),
        argosy_failure_activity_type(err->failure), argosy_failure_type(root), err->text,
        (int)argosy_failure_timeout_type(root));
}

static void test_retries_exhausted(void **state)
{
    (void)state;
    begin(inspect_failure, NULL);
    script_commands(&script);
    script_task_completed(&script);
    int64_t scheduled = script_activity_scheduled(&script, "1", "flaky");
    script_activity_failed(&script, scheduled, "Busy", "device busy",
                           RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED);
    script_open_task(&script);
    assert_string_equal(assert_complete(script_commands(&script)),
                        "[-24,6,4,\"flaky\",\"Busy\",\"device busy\",0]");
}

static void test_activity_timeout(void **state)
{
    (void)state;
    begin(inspect_failure, NULL);
    script_commands(&script);
    script_task_completed(&script);
    int64_t scheduled = script_activity_scheduled(&script, "1", "flaky");
    script_activity_timed_out(&script, scheduled, TIMEOUT_TYPE_HEARTBEAT);
    script_open_task(&script);
    assert_string_equal(assert_complete(script_commands(&script)),
                        "[-3,6,0,\"flaky\",\"\",\"activity StartToClose timeout\",4]");
}

/* Starts n activities at once and sums what they return. */
static int fan_out(struct argosy_workflow *workflow, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int64_t count;
    int code = argosy_payload_get_integer(argosy_workflow_input(workflow), &count, err);
    if (code < 0)
        return code;
    struct argosy_future **futures =
        argosy_workflow_alloc(workflow, (size_t)count * sizeof(struct argosy_future *));
    for (int64_t i = 0; i < count; i++) {
        struct argosy_activity_options options = activity_of("part");
        options.input = ARGOSY_PAYLOADS(argosy_payload_integer(argosy_workflow_arena(workflow), i));
        futures[i] = argosy_activity_start(workflow, &options);
    }
    code = argosy_await_all(futures, (size_t)count, err);
    int64_t sum = 0;
    for (int64_t i = 0; code == 0 && i < count; i++) {
        struct argosy_payload result;
        int64_t value = 0;
        code = argosy_await(futures[i], &result, err);
        if (code == 0)
            code = argosy_payload_get_integer(&result, &value, err);
        sum += value;
    }
    *ret_result = argosy_payload_integer(argosy_workflow_arena(workflow), sum);
    return code;
}

static void test_fan_out(void **state)
{
    (void)state;
    begin(fan_out, "3");
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 3);
    for (size_t i = 0; i < 3; i++) {
        char text[8];
        snprintf(text, sizeof text, "%zu", i);
        assert_string_equal(
            script_payload_text(&script, assert_schedule(request, i, "part")->input), text);
    }
    script_task_completed(&script);
    int64_t first = script_activity_scheduled(&script, "1", "part");
    int64_t second = script_activity_scheduled(&script, "2", "part");
    int64_t third = script_activity_scheduled(&script, "3", "part");
    script_activity_completed(&script, third, "300");
    script_open_task(&script);
    assert_int_equal(script_commands(&script)->n_commands, 0);
    script_task_completed(&script);
    script_activity_completed(&script, first, "1");
    script_activity_completed(&script, second, "20");
    script_open_task(&script);
    assert_string_equal(assert_complete(script_commands(&script)), "321");
}

static void test_fan_out_with_one_failure(void **state)
{
    (void)state;
    begin(fan_out, "2");
    script_commands(&script);
    script_task_completed(&script);
    int64_t first = script_activity_scheduled(&script, "1", "part");
    int64_t second = script_activity_scheduled(&script, "2", "part");
    script_activity_failed(&script, second, "Bad", "second part is bad",
                           RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED);
    script_open_task(&script);
    assert_int_equal(script_commands(&script)->n_commands, 0);
    script_task_completed(&script);
    script_activity_completed(&script, first, "1");
    script_open_task(&script);
    assert_string_equal(assert_fail(script_commands(&script), 0)->cause->message,
                        "second part is bad");
}

static int race(struct argosy_workflow *workflow, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_activity_options options = activity_of("slow");
    struct argosy_future *futures[2] = {argosy_activity_start(workflow, &options),
                                        argosy_timer_start(workflow, 2500)};
    size_t first;
    int code = argosy_await_any(futures, 2, &first, err);
    if (code < 0)
        return code;
    argosy_future_cancel(futures[1 - first]);
    *ret_result = argosy_payload_integer(argosy_workflow_arena(workflow), (int64_t)first);
    return 0;
}

static void test_race_won_by_activity(void **state)
{
    (void)state;
    begin(race, NULL);
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 2);
    assert_int_equal(request->commands[1]->command_type, COMMAND_TYPE_START_TIMER);
    const Api__StartTimerCommandAttributes *start =
        request->commands[1]->start_timer_command_attributes;
    assert_string_equal(start->timer_id, "1");
    assert_int_equal(start->start_to_fire_timeout->seconds, 2);
    assert_int_equal(start->start_to_fire_timeout->nanos, 500000000);
    script_task_completed(&script);
    int64_t scheduled = script_activity_scheduled(&script, "1", "slow");
    script_timer_started(&script, "1");
    script_activity_completed(&script, scheduled, "1");
    script_open_task(&script);
    request = script_commands(&script);
    assert_int_equal(request->n_commands, 2);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_CANCEL_TIMER);
    assert_string_equal(request->commands[0]->cancel_timer_command_attributes->timer_id, "1");
    assert_int_equal(request->commands[1]->command_type, COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
}

static void test_race_won_by_timer(void **state)
{
    (void)state;
    begin(race, NULL);
    script_commands(&script);
    script_task_completed(&script);
    int64_t scheduled = script_activity_scheduled(&script, "1", "slow");
    int64_t started = script_timer_started(&script, "1");
    script_timer_fired(&script, "1", started);
    script_open_task(&script);
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 2);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK);
    assert_int_equal(
        request->commands[0]->request_cancel_activity_task_command_attributes->scheduled_event_id,
        scheduled);
}

/* ---- wrong options ---- */

static int bad_options(struct argosy_workflow *workflow, void *user_data,
                       struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    return argosy_activity_execute(workflow, &(struct argosy_activity_options){.type = "x"}, NULL,
                                   err);
}

static void test_wrong_options_fail_the_run(void **state)
{
    (void)state;
    begin(bad_options, NULL);
    assert_string_equal(assert_fail(script_commands(&script), 0)->message,
                        "an activity needs a start-to-close or a schedule-to-close timeout");
}

/* ---- timers, time, randomness ---- */

static int sleeper(struct argosy_workflow *workflow, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    char uuid[ARGOSY_UUID_SIZE];
    argosy_workflow_uuid(workflow, uuid);
    int64_t before_us = argosy_workflow_now_utc_us(workflow);
    argosy_workflow_log(workflow, "before");
    int code = argosy_workflow_sleep(workflow, 60000, err);
    argosy_workflow_log(workflow, "after");
    int64_t waited_us = argosy_workflow_now_utc_us(workflow) - before_us;
    if (code < 0)
        return code;
    return argosy_payload_pack(argosy_workflow_arena(workflow), ret_result, err, "[I, s, I]",
                               waited_us, uuid, (int64_t)(argosy_workflow_random(workflow) >> 1));
}

static void test_sleep(void **state)
{
    (void)state;
    begin(sleeper, NULL);
    script_commands(&script);
    script_task_completed(&script);
    int64_t started = script_timer_started(&script, "1");
    script.now_s += 60;
    script_timer_fired(&script, "1", started);
    script_open_task(&script);
    const char *result = assert_complete(script_commands(&script));
    /* Events are a second apart: 3 started, 4 completed, 5 timer, 66 fired, 67, 68. */
    assert_memory_equal(result, "[65000000,", 10);
    assert_int_equal(result[10 + 15], '4'); /* version digit of the uuid */
    assert_string_equal(script.log, "Scripted/script-1: before\nScripted/script-1: after\n");
}

/* ---- signals and conditions ---- */

struct tally {
    int64_t sum;
    int count;
};

static void add_signal(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                       void *user_data)
{
    (void)workflow;
    struct tally *tally = user_data;
    int64_t value = 0;
    argosy_payload_get_integer(&input->items[0], &value, NULL);
    tally->sum = tally->sum * 10 + value;
    tally->count++;
}

static bool has_three(void *user_data)
{
    return ((struct tally *)user_data)->count >= 3;
}

static int get_sum(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                   void *user_data, struct argosy_payload *ret_answer, struct argosy_error *err)
{
    (void)input, (void)err;
    argosy_workflow_random(workflow);
    *ret_answer =
        argosy_payload_integer(argosy_workflow_arena(workflow), ((struct tally *)user_data)->sum);
    return 0;
}

static int query_that_acts(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                           void *user_data, struct argosy_payload *ret_answer,
                           struct argosy_error *err)
{
    (void)input, (void)user_data;
    struct argosy_activity_options options = activity_of("x");
    return argosy_activity_execute(workflow, &options, ret_answer, err);
}

/* Waits for three signals "add" that were counted by a handler, at most a minute. */
static int counter(struct argosy_workflow *workflow, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct tally *tally = argosy_workflow_alloc(workflow, sizeof *tally);
    *tally = (struct tally){0};
    argosy_query_handle(workflow, "sum", get_sum, tally);
    argosy_query_handle(workflow, "act", query_that_acts, NULL);
    argosy_signal_handle(workflow, "add", add_signal, tally);
    int code = argosy_condition_wait(workflow, has_three, tally, 60000, err);
    if (code < 0)
        return code;
    *ret_result = argosy_payload_integer(argosy_workflow_arena(workflow), tally->sum);
    return 0;
}

static void test_signal_before_handler(void **state)
{
    (void)state;
    script_init(&script, counter, NULL);
    script_started(&script, NULL);
    script_signaled(&script, "add", "1");
    script_signaled(&script, "other", "9");
    script_open_task(&script);
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_START_TIMER);
    script_task_completed(&script);
    int64_t started = script_timer_started(&script, "1");
    script_signaled(&script, "add", "2");
    script_open_task(&script);
    assert_int_equal(script_commands(&script)->n_commands, 0);
    script_task_completed(&script);
    script_signaled(&script, "add", "3");
    script_open_task(&script);
    request = script_commands(&script);
    assert_int_equal(request->n_commands, 2);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_CANCEL_TIMER);
    (void)started;
    assert_string_equal(
        script_payload_text(
            &script, request->commands[1]->complete_workflow_execution_command_attributes->result),
        "123");
}

static void test_condition_timeout(void **state)
{
    (void)state;
    begin(counter, NULL);
    script_commands(&script);
    script_task_completed(&script);
    int64_t started = script_timer_started(&script, "1");
    script_signaled(&script, "add", "2");
    script_timer_fired(&script, "1", started);
    script_open_task(&script);
    assert_string_equal(assert_fail(script_commands(&script), 0)->message,
                        "the condition was not met within 60000 ms");
}

static const Api__RespondQueryTaskCompletedRequest *query(struct workflow_runner *runner,
                                                          size_t first_event, const char *type)
{
    struct workflow_answer answer = script_task_by(&script, runner, first_event, type);
    assert_int_equal(answer.method, METHOD_RESPOND_QUERY_TASK_COMPLETED);
    workflow_answer_fini(&answer);
    return (const Api__RespondQueryTaskCompletedRequest *)answer.request;
}

static void test_queries(void **state)
{
    (void)state;
    begin(counter, NULL);
    script_commands(&script);
    script_task_completed(&script);
    script_timer_started(&script, "1");
    script_signaled(&script, "add", "7");
    script_open_task(&script);
    script_commands(&script);
    script_task_completed(&script);

    /* By the worker that kept the run, without events; by a rebuilt run, from all of them. */
    const Api__RespondQueryTaskCompletedRequest *kept = query(&script.kept, script.count, "sum");
    assert_int_equal(kept->completed_type, QUERY_RESULT_TYPE_ANSWERED);
    assert_string_equal(script_payload_text(&script, kept->query_result), "7");
    run_cache_drop(&script.kept.cache, SCRIPT_RUN_ID);
    const Api__RespondQueryTaskCompletedRequest *rebuilt = query(&script.kept, 0, "sum");
    assert_string_equal(script_payload_text(&script, rebuilt->query_result), "7");

    assert_string_equal(query(&script.kept, script.count, "nothing")->error_message,
                        "the workflow has no query \"nothing\"");
    const Api__RespondQueryTaskCompletedRequest *acting = query(&script.kept, script.count, "act");
    assert_int_equal(acting->completed_type, QUERY_RESULT_TYPE_FAILED);
    assert_string_equal(acting->error_message, "a query handler cannot start an activity");

    /* The queries left no trace: the run goes on as if there had been none. */
    script.seen = script.count;
    script_signaled(&script, "add", "8");
    script_signaled(&script, "add", "9");
    script_open_task(&script);
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 2);
    assert_string_equal(
        script_payload_text(
            &script, request->commands[1]->complete_workflow_execution_command_attributes->result),
        "789");
}

static int receiver(struct argosy_workflow *workflow, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int code = argosy_signal_receive(workflow, "go", -1, NULL, err);
    return code < 0 ? code : argosy_signal_receive(workflow, "go", -1, ret_result, err);
}

static int keeps_a_local(struct argosy_workflow *workflow, void *user_data,
                         struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result, (void)err;
    struct tally local = {.sum = 7};
    struct tally *kept = argosy_workflow_alloc(workflow, sizeof *kept);
    *kept = (struct tally){.sum = 8};
    argosy_query_handle(workflow, "local", get_sum, &local);
    argosy_query_handle(workflow, "kept", get_sum, kept);
    return 0;
}

/* A run that is over has no local variables; what it allocated is still there. */
static void test_queries_of_a_closed_run(void **state)
{
    (void)state;
    begin(keeps_a_local, NULL);
    assert_int_equal(script_commands(&script)->commands[0]->command_type,
                     COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    script_task_completed(&script);
    script_completed(&script);
    assert_string_equal(script_payload_text(&script, query(&script.kept, 0, "kept")->query_result),
                        "8");
    const Api__RespondQueryTaskCompletedRequest *local = query(&script.kept, 0, "local");
    assert_int_equal(local->completed_type, QUERY_RESULT_TYPE_FAILED);
    assert_non_null(strstr(local->error_message, "the query \"local\" reads a local variable"));
}

static void test_signal_receive(void **state)
{
    (void)state;
    begin(receiver, NULL);
    assert_int_equal(script_commands(&script)->n_commands, 0);
    script_task_completed(&script);
    script_signaled(&script, "go", "1");
    script_open_task(&script);
    assert_int_equal(script_commands(&script)->n_commands, 0);
    script_task_completed(&script);
    script_signaled(&script, "stay", "5");
    script_signaled(&script, "go", "2");
    script_open_task(&script);
    assert_string_equal(assert_complete(script_commands(&script)), "2");
}

/* ---- cancellation ---- */

/* Passes the cancellation on. */
static int obedient(struct argosy_workflow *workflow, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    struct argosy_activity_options options = activity_of("long");
    return argosy_activity_execute(workflow, &options, ret_result, err);
}

static void test_cancel(void **state)
{
    (void)state;
    begin(obedient, NULL);
    script_commands(&script);
    script_task_completed(&script);
    int64_t scheduled = script_activity_scheduled(&script, "1", "long");
    script_cancel_requested(&script);
    script_open_task(&script);
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 2);
    assert_int_equal(
        request->commands[0]->request_cancel_activity_task_command_attributes->scheduled_event_id,
        scheduled);
    assert_int_equal(request->commands[1]->command_type, COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION);
}

/* Waits for the activity's own end, then cleans up behind a shield. */
static int tidy(struct argosy_workflow *workflow, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    struct argosy_activity_options options = activity_of("long");
    options.cancellation_type = ARGOSY_CANCEL_WAIT;
    int code = argosy_activity_execute(workflow, &options, NULL, err);
    if (code != ARGOSY_ERR_CANCELED || !argosy_workflow_is_canceled(workflow))
        return 0;
    struct argosy_activity_options more = activity_of("more");
    if (argosy_activity_execute(workflow, &more, NULL, err) != ARGOSY_ERR_CANCELED)
        return 0;
    argosy_workflow_shield(workflow, true);
    struct argosy_activity_options cleanup = activity_of("cleanup");
    code = argosy_activity_execute(workflow, &cleanup, NULL, err);
    argosy_workflow_shield(workflow, false);
    return code < 0 ? code : argosy_error_set(err, ARGOSY_ERR_CANCELED, "cleaned up");
}

static void test_cancel_with_cleanup(void **state)
{
    (void)state;
    begin(tidy, NULL);
    script_commands(&script);
    script_task_completed(&script);
    int64_t scheduled = script_activity_scheduled(&script, "1", "long");
    script_cancel_requested(&script);
    script_open_task(&script);
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK);
    script_task_completed(&script);
    script_activity_cancel_requested(&script, scheduled);
    script_activity_canceled(&script, scheduled);
    script_open_task(&script);
    request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_string_equal(assert_schedule(request, 0, "cleanup")->activity_id, "2");
    script_task_completed(&script);
    int64_t cleanup = script_activity_scheduled(&script, "2", "cleanup");
    script_activity_completed(&script, cleanup, NULL);
    script_open_task(&script);
    request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION);
}

static int start_and_drop(struct argosy_workflow *workflow, void *user_data,
                          struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    struct argosy_activity_options options = activity_of("never");
    struct argosy_future *future = argosy_activity_start(workflow, &options);
    struct argosy_future *timer = argosy_timer_start(workflow, 1000);
    argosy_future_cancel(future);
    argosy_future_cancel(timer);
    int code = argosy_await(future, NULL, err);
    return code == ARGOSY_ERR_CANCELED && argosy_await(timer, NULL, err) == code ? 0 : -1;
}

static void test_canceled_before_sent_leaves_no_command(void **state)
{
    (void)state;
    begin(start_and_drop, NULL);
    assert_complete(script_commands(&script));
}

/* ---- failed tasks, eviction ---- */

static void test_failed_task_runs_no_code(void **state)
{
    (void)state;
    begin(pipeline, "1");
    script_task_failed(&script);
    script_signaled(&script, "unused", NULL);
    script_open_task(&script);
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_schedule(request, 0, "clean");
}

static void test_evicted_run_asks_for_its_history(void **state)
{
    (void)state;
    run_until_embed();
    int64_t scheduled = script_activity_scheduled(&script, "1", "clean");
    script_activity_completed(&script, scheduled, "2");
    script_open_task(&script);
    run_cache_drop(&script.kept.cache, SCRIPT_RUN_ID);
    struct workflow_answer answer = script_task_by(&script, &script.kept, script.seen, NULL);
    assert_int_equal(answer.method, METHOD_GET_WORKFLOW_EXECUTION_HISTORY);
    const Api__GetWorkflowExecutionHistoryRequest *fetch =
        (const Api__GetWorkflowExecutionHistoryRequest *)answer.request;
    assert_string_equal(fetch->execution->run_id, SCRIPT_RUN_ID);
    script.seen = 0;
    assert_schedule(script_commands(&script), 0, "embed");
}

static void test_cache_drops_the_least_used(void **state)
{
    (void)state;
    run_until_embed();
    script.kept.cache.capacity = 1;
    struct argosy_workflow *other;
    assert_int_equal(run_create(&script.kept.config, "other", "other-run", &other, NULL), 0);
    run_cache_put(&script.kept.cache, other);
    assert_null(run_cache_take(&script.kept.cache, SCRIPT_RUN_ID));
    assert_ptr_equal(run_cache_take(&script.kept.cache, "other-run"), other);
    run_destroy(other);
}

/* ---- histories that the code does not fit ---- */

static void assert_nondeterminism(const char *text)
{
    struct workflow_answer answer = script_task(&script);
    assert_int_equal(answer.method, METHOD_RESPOND_WORKFLOW_TASK_FAILED);
    const Api__RespondWorkflowTaskFailedRequest *failed =
        (const Api__RespondWorkflowTaskFailedRequest *)answer.request;
    assert_int_equal(failed->cause, WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR);
    assert_string_equal(failed->failure->message, text);
}

static void test_other_activity_in_history(void **state)
{
    (void)state;
    run_until_embed();
    script_activity_scheduled(&script, "1", "wash");
    script_open_task(&script);
    assert_nondeterminism("event 5 is ActivityTaskScheduled (activity \"1\" of type \"wash\"), but "
                          "the code's command there is ScheduleActivityTask (activity \"1\" of "
                          "type \"clean\")");
}

static void test_other_kind_in_history(void **state)
{
    (void)state;
    run_until_embed();
    script_timer_started(&script, "1");
    script_open_task(&script);
    assert_nondeterminism("event 5 is TimerStarted (timer \"1\"), but the code's command there is "
                          "ScheduleActivityTask (activity \"1\" of type \"clean\")");
}

static void test_command_missing_in_code(void **state)
{
    (void)state;
    run_until_embed();
    script_activity_scheduled(&script, "1", "clean");
    script_activity_scheduled(&script, "2", "rinse");
    script_open_task(&script);
    assert_nondeterminism(
        "event 6 is ActivityTaskScheduled (activity \"2\" of type \"rinse\"), but "
        "the code made no command there");
}

static void test_command_missing_in_history(void **state)
{
    (void)state;
    run_until_embed();
    script_signaled(&script, "x", NULL);
    script_open_task(&script);
    assert_nondeterminism("event 5 is WorkflowExecutionSignaled, but the code's command there is "
                          "ScheduleActivityTask (activity \"1\" of type \"clean\")");
}

static void test_malformed_histories(void **state)
{
    (void)state;
    run_until_embed();
    int64_t scheduled = script_activity_scheduled(&script, "1", "clean");
    script_activity_completed(&script, scheduled, "1");
    script_activity_completed(&script, scheduled, "1");
    script_open_task(&script);
    struct workflow_answer answer = script_task(&script);
    assert_int_equal(answer.failure.code, ERR_PROTOCOL);
    assert_string_equal(answer.failure.text,
                        "event 9 closes the activity of event 5, which is not pending");

    script.events[8]->attributes_case = API__HISTORY_EVENT__ATTRIBUTES__NOT_SET;
    script.seen = 0;
    answer = script_task(&script);
    assert_string_equal(answer.failure.text,
                        "event 9 (ActivityTaskCompleted) has no attributes of its type");

    script.events[8]->event_type = EVENT_TYPE_NEXUS_OPERATION_SCHEDULED;
    script.seen = 0;
    answer = script_task(&script);
    assert_int_equal(answer.failure.code, ERR_UNSUPPORTED);
    assert_string_equal(answer.failure.text, "event 9 is of type 48, unknown here");

    script.events[8]->worker_may_ignore = 1;
    script.seen = 0;
    assert_schedule(script_commands(&script), 0, "embed");
}

static void test_unknown_workflow_type(void **state)
{
    (void)state;
    begin(pipeline, NULL);
    script.events[0]->workflow_execution_started_event_attributes->workflow_type->name = "Other";
    struct workflow_answer answer = script_task(&script);
    assert_int_equal(answer.failure.code, ERR_NOT_FOUND);
    assert_string_equal(answer.failure.text, "workflow type \"Other\" is not registered here");
}

/* ---- a run that uses too much ---- */

static int glutton(struct argosy_workflow *workflow, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result, (void)err;
    argosy_workflow_alloc(workflow, RUN_MEMORY_MAX + 1);
    fail_msg("the allocation returned");
    return 0;
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    begin(glutton, NULL);
    struct workflow_answer answer = script_task(&script);
    assert_int_equal(answer.method, METHOD_RESPOND_WORKFLOW_TASK_FAILED);
    assert_int_equal(answer.failure.code, ERR_LIMIT);
}

#define TEST(name) cmocka_unit_test_teardown(test_##name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pipeline),
        TEST(activity_failure_fails_the_run),
        TEST(retries_exhausted),
        TEST(activity_timeout),
        TEST(fan_out),
        TEST(fan_out_with_one_failure),
        TEST(race_won_by_activity),
        TEST(race_won_by_timer),
        TEST(wrong_options_fail_the_run),
        TEST(sleep),
        TEST(signal_before_handler),
        TEST(condition_timeout),
        TEST(queries),
        TEST(queries_of_a_closed_run),
        TEST(signal_receive),
        TEST(cancel),
        TEST(cancel_with_cleanup),
        TEST(canceled_before_sent_leaves_no_command),
        TEST(failed_task_runs_no_code),
        TEST(evicted_run_asks_for_its_history),
        TEST(cache_drops_the_least_used),
        TEST(other_activity_in_history),
        TEST(other_kind_in_history),
        TEST(command_missing_in_code),
        TEST(command_missing_in_history),
        TEST(malformed_histories),
        TEST(unknown_workflow_type),
        TEST(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
