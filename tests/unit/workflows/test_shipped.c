/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_shipped: the commands that the shipped workflows make of hand-written histories: which
 * activity on which queue, with which input, timeouts and retry policy, and how each run ends.
 * Every task is worked on live and by replay (history_script.h).
 */
#include "workflows/shipped.h"

#include <string.h>

#include "tests/test.h"
#include "tests/unit/sdk/history_script.h"

static struct script script;

typedef const Api__RespondWorkflowTaskCompletedRequest *commands_t;

static void begin(argosy_workflow_function *function, const char *input)
{
    script_init(&script, function, NULL);
    script_started(&script, input);
    script_open_task(&script);
}

static int teardown(void **state)
{
    (void)state;
    script_fini(&script);
    return 0;
}

/* What issue and documentation promise of a step. */
struct promise {
    const char *activity, *queue;
    int64_t start_to_close_s, heartbeat_s, initial_interval_s;
    int attempts;
    int64_t schedule_to_start_s;
};

static const struct promise validate = {"validate_input", "cpu-queue", 30, 0, 1, 3, 0};
static const struct promise clean = {"preprocess", "cpu-queue", 30, 0, 1, 3, 0};
static const struct promise infer = {"run_inference", "gpu-queue", 120, 30, 2, 2, 60};
static const struct promise clean_batch = {"preprocess_batch", "cpu-queue", 60, 0, 1, 3, 0};
static const struct promise embed = {"compute_embeddings", "gpu-queue", 300, 30, 2, 2, 60};

/* The open task schedules exactly this step with this input; then its events are written. Returns
 * the scheduled event's id. */
static int64_t assert_step(const struct promise *promise, const char *activity_id,
                           const char *input)
{
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    const Api__ScheduleActivityTaskCommandAttributes *step =
        request->commands[0]->schedule_activity_task_command_attributes;
    assert_string_equal(step->activity_type->name, promise->activity);
    assert_string_equal(step->activity_id, activity_id);
    assert_string_equal(step->task_queue->name, promise->queue);
    assert_string_equal(script_payload_text(&script, step->input), input);
    assert_int_equal(step->start_to_close_timeout->seconds, promise->start_to_close_s);
    assert_int_equal(step->heartbeat_timeout != NULL ? step->heartbeat_timeout->seconds : 0,
                     promise->heartbeat_s);
    assert_int_equal(
        step->schedule_to_start_timeout != NULL ? step->schedule_to_start_timeout->seconds : 0,
        promise->schedule_to_start_s);
    assert_null(step->schedule_to_close_timeout);
    assert_int_equal(step->retry_policy->initial_interval->seconds, promise->initial_interval_s);
    assert_true(step->retry_policy->backoff_coefficient == 2);
    assert_int_equal(step->retry_policy->maximum_attempts, promise->attempts);
    script_task_completed(&script);
    return script_activity_scheduled(&script, activity_id, promise->activity);
}

/* The step completes and the next task is open. */
static void complete_step(int64_t scheduled, const char *result)
{
    script_activity_completed(&script, scheduled, result);
    script_open_task(&script);
}

static void assert_completed(const char *result)
{
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    assert_string_equal(
        script_payload_text(
            &script, request->commands[0]->complete_workflow_execution_command_attributes->result),
        result);
}

/* The run fails because an activity did, with that message at the root. */
static void assert_failed(const char *message)
{
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
    const Api__Failure *failure =
        request->commands[0]->fail_workflow_execution_command_attributes->failure;
    while (failure->cause != NULL)
        failure = failure->cause;
    assert_string_equal(failure->message, message);
}

static void a_text_goes_through_three_steps(void **state)
{
    (void)state;
    begin(prepare_and_infer, "\"  Hello  world  \"");
    int64_t step = assert_step(&validate, "1", "\"  Hello  world  \"");
    complete_step(step, "\"  Hello  world  \"");
    step = assert_step(&clean, "2", "\"  Hello  world  \"");
    complete_step(step, "\"hello world\"");
    step = assert_step(&infer, "3", "\"hello world\"");
    complete_step(step, "{\"input\":\"hello world\",\"label\":\"neutral\",\"score\":0.5}");
    assert_completed("{\"input\":\"hello world\",\"label\":\"neutral\",\"score\":0.5}");
}

static void a_refused_text_ends_the_run_at_its_first_step(void **state)
{
    (void)state;
    begin(prepare_and_infer, "\" \"");
    int64_t step = assert_step(&validate, "1", "\" \"");
    script_activity_failed(&script, step, "EmptyInput", "Input text is empty",
                           API__RETRY_STATE__RETRY_STATE_NON_RETRYABLE_FAILURE);
    script_open_task(&script);
    assert_failed("Input text is empty");
}

static void a_gpu_step_that_times_out_fails_the_run(void **state)
{
    (void)state;
    begin(prepare_and_infer, "\"a\"");
    complete_step(assert_step(&validate, "1", "\"a\""), "\"a\"");
    complete_step(assert_step(&clean, "2", "\"a\""), "\"a\"");
    int64_t step = assert_step(&infer, "3", "\"a\"");
    script_activity_timed_out(&script, step, API__TIMEOUT_TYPE__TIMEOUT_TYPE_HEARTBEAT);
    script_open_task(&script);
    commands_t request = script_commands(&script);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
}

static void a_batch_goes_through_two_steps(void **state)
{
    (void)state;
    begin(batch_embed, "[\"One \", \" \", \"two\"]");
    complete_step(assert_step(&clean_batch, "1", "[\"One \", \" \", \"two\"]"),
                  "[\"one\",\"two\"]");
    complete_step(assert_step(&embed, "2", "[\"one\",\"two\"]"), "[[1,0],[0,1]]");
    assert_completed("[[1,0],[0,1]]");
}

static void a_batch_of_blank_texts_needs_no_gpu(void **state)
{
    (void)state;
    begin(batch_embed, "[\" \"]");
    complete_step(assert_step(&clean_batch, "1", "[\" \"]"), "[]");
    assert_completed("[]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_text_goes_through_three_steps, teardown),
        cmocka_unit_test_teardown(a_refused_text_ends_the_run_at_its_first_step, teardown),
        cmocka_unit_test_teardown(a_gpu_step_that_times_out_fails_the_run, teardown),
        cmocka_unit_test_teardown(a_batch_goes_through_two_steps, teardown),
        cmocka_unit_test_teardown(a_batch_of_blank_texts_needs_no_gpu, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
