/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed_file: the commands that EmbedFileWorkflow makes of hand-written histories: which parts are
 * under way at once, what it says of its progress, and how it ends.
 */
#include "workflows/embed/embed_file.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"
#include "tests/unit/sdk/history_script.h"
#include "workflows/failure.h"

#define DIGEST      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"
#define REF(x)      "{\"artifact\":\"sha256:" DIGEST #x "\",\"size\":" #x "}"
#define PLAN(parts) "{\"count\":5,\"parts\":[" parts "]}"
#define PART_1      "{\"offset\":0,\"line\":1,\"count\":2}"
#define PART_2      "{\"offset\":30,\"line\":3,\"count\":2}"
#define PART_3      "{\"offset\":60,\"line\":6,\"count\":1}"

typedef const Api__RespondWorkflowTaskCompletedRequest *commands_t;

static struct script script;

static void begin(const char *input)
{
    script_init(&script, embed_file, NULL);
    script_started(&script, input);
    script_open_task(&script);
}

static int teardown(void **state)
{
    (void)state;
    script_fini(&script);
    return 0;
}

static void assert_step(commands_t request, size_t index, const char *type, const char *queue,
                        const char *input)
{
    assert_true(index < request->n_commands);
    assert_int_equal(request->commands[index]->command_type, COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    const Api__ScheduleActivityTaskCommandAttributes *step =
        request->commands[index]->schedule_activity_task_command_attributes;
    assert_string_equal(step->activity_type->name, type);
    assert_string_equal(step->task_queue->name, queue);
    assert_string_equal(script_payload_text(&script, step->input), input);
    assert_true(step->heartbeat_timeout->seconds > 0);
    assert_int_equal(step->retry_policy->maximum_attempts, 8);
    /* Bulk work waits as long as it has to. */
    assert_null(step->schedule_to_start_timeout);
    assert_null(step->schedule_to_close_timeout);
}

/* The open task schedules this one step; its events follow, and the next task is open. */
static void step(const char *type, const char *queue, const char *input, const char *id,
                 const char *result)
{
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_step(request, 0, type, queue, input);
    script_task_completed(&script);
    script_activity_completed(&script, script_activity_scheduled(&script, id, type), result);
    script_open_task(&script);
}

static void assert_failed(const char *type, const char *message)
{
    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION);
    const Api__Failure *failure =
        request->commands[0]->fail_workflow_execution_command_attributes->failure;
    while (failure->cause != NULL)
        failure = failure->cause;
    assert_string_equal(failure->application_failure_info->type, type);
    if (strstr(failure->message, message) == NULL)
        fail_msg("%s", failure->message);
}

#define PART_INPUT(offset, count, line)                                                            \
    "{\"texts\":" REF(1) ",\"offset\":" #offset ",\"count\":" #count ",\"line\":" #line            \
                         ",\"model\":\"mine\"}"
#define PART_RESULT(ref, count, truncated)                                                         \
    "{\"vectors\":" REF(ref) ",\"count\":" #count ",\"dimension\":4,\"truncated\":" #truncated     \
                             ",\"model\":\"mine\"}"

static void parts_are_embedded_in_parallel_and_put_together_in_order(void **state)
{
    (void)state;
    begin("{\"input\":" REF(1) ",\"model\":\"mine\",\"part_texts\":2,\"parallel\":2}");
    step("plan_texts", "storage-queue", "{\"input\":" REF(1) ",\"part_texts\":2}", "1",
         PLAN(PART_1 "," PART_2 "," PART_3));

    commands_t request = script_commands(&script);
    assert_int_equal(request->n_commands, 2);
    assert_step(request, 0, "embed_artifact", "gpu-queue", PART_INPUT(0, 2, 1));
    assert_step(request, 1, "embed_artifact", "gpu-queue", PART_INPUT(30, 2, 3));
    assert_int_equal(
        request->commands[0]->schedule_activity_task_command_attributes->priority->priority_key, 4);
    script_task_completed(&script);
    int64_t first = script_activity_scheduled(&script, "2", "embed_artifact");
    int64_t second = script_activity_scheduled(&script, "3", "embed_artifact");

    /* The second one is done first: the third takes its place. */
    script_activity_completed(&script, second, PART_RESULT(3, 2, 1));
    script_open_task(&script);
    request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_step(request, 0, "embed_artifact", "gpu-queue", PART_INPUT(60, 1, 6));
    script_task_completed(&script);
    int64_t third = script_activity_scheduled(&script, "4", "embed_artifact");
    script_activity_completed(&script, third, PART_RESULT(4, 1, 1));
    script_activity_completed(&script, first, PART_RESULT(2, 2, 0));
    script_open_task(&script);

    step("assemble_vectors", "storage-queue",
         "{\"format\":\"npy\",\"dimension\":4,\"parts\":["
         "{\"artifact\":\"sha256:" DIGEST "2\",\"size\":2,\"count\":2},"
         "{\"artifact\":\"sha256:" DIGEST "3\",\"size\":3,\"count\":2},"
         "{\"artifact\":\"sha256:" DIGEST "4\",\"size\":4,\"count\":1}]}",
         "5", "{\"output\":" REF(5) "}");

    request = script_commands(&script);
    assert_int_equal(request->n_commands, 1);
    assert_int_equal(request->commands[0]->command_type, COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION);
    assert_string_equal(
        script_payload_text(
            &script, request->commands[0]->complete_workflow_execution_command_attributes->result),
        "{\"output\":" REF(5) ",\"input\":" REF(
            1) ",\"format\":\"npy\",\"count\":5,"
               "\"dimension\":4,\"truncated\":2,\"model\":\"mine\"}");
}

static void progress_is_told_in_texts(void **state)
{
    (void)state;
    begin("{\"input\":" REF(1) ",\"parallel\":1}");
    step("plan_texts", "storage-queue", "{\"input\":" REF(1) ",\"part_texts\":2048}", "1",
         PLAN(PART_1 "," PART_2 "," PART_3));
    script_commands(&script);
    script_task_completed(&script);
    script_activity_completed(&script, script_activity_scheduled(&script, "2", "embed_artifact"),
                              PART_RESULT(2, 2, 0));
    script_open_task(&script);
    script_commands(&script);
    script_task_completed(&script);
    struct workflow_answer answer = script_task_by(&script, &script.kept, script.count, "progress");
    const Api__RespondQueryTaskCompletedRequest *told =
        (const Api__RespondQueryTaskCompletedRequest *)answer.request;
    assert_non_null(told->query_result);
    assert_string_equal(script_payload_text(&script, told->query_result),
                        "{\"stage\":\"embed\",\"done\":2,\"total\":5,\"unit\":\"texts\"}");
}

static void vectors_of_two_models_fit_no_file(void **state)
{
    (void)state;
    begin("{\"input\":" REF(1) ",\"parallel\":2}");
    step("plan_texts", "storage-queue", "{\"input\":" REF(1) ",\"part_texts\":2048}", "1",
         PLAN(PART_1 "," PART_2));
    script_commands(&script);
    script_task_completed(&script);
    int64_t first = script_activity_scheduled(&script, "2", "embed_artifact");
    int64_t second = script_activity_scheduled(&script, "3", "embed_artifact");
    script_activity_completed(&script, first, PART_RESULT(2, 2, 0));
    script_activity_completed(&script, second,
                              "{\"vectors\":" REF(3) ",\"count\":2,\"dimension\":8}");
    script_open_task(&script);
    assert_failed(FAILURE_INVALID_INPUT, "vectors of 4 and of 8 numbers");
}

static void a_bad_line_ends_the_run_before_anything_is_computed(void **state)
{
    (void)state;
    begin("{\"input\":" REF(1) "}");
    script_commands(&script);
    script_task_completed(&script);
    script_activity_failed(&script, script_activity_scheduled(&script, "1", "plan_texts"),
                           FAILURE_INVALID_INPUT, "line 7: \"text\" is missing",
                           API__RETRY_STATE__RETRY_STATE_NON_RETRYABLE_FAILURE);
    script_open_task(&script);
    assert_failed(FAILURE_INVALID_INPUT, "line 7: \"text\" is missing");
}

static void requests_that_are_none_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *input, *message;
    } cases[] = {
        {"7", "the input must be an object"},
        {"{}", "artifact"},
        {"{\"input\":" REF(1) ",\"format\":\"csv\"}", "\"format\" must be \"npy\""},
        {"{\"input\":" REF(1) ",\"model\":7}", "\"model\" must be a text"},
        {"{\"input\":" REF(1) ",\"part_texts\":0}", "\"part_texts\" must be a number from 1"},
        {"{\"input\":" REF(1) ",\"parallel\":65}", "\"parallel\" must be a number from 1 to 64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        begin(cases[i].input);
        assert_failed(FAILURE_INVALID_INPUT, cases[i].message);
        script_fini(&script);
    }
    begin("{}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(parts_are_embedded_in_parallel_and_put_together_in_order,
                                  teardown),
        cmocka_unit_test_teardown(progress_is_told_in_texts, teardown),
        cmocka_unit_test_teardown(vectors_of_two_models_fit_no_file, teardown),
        cmocka_unit_test_teardown(a_bad_line_ends_the_run_before_anything_is_computed, teardown),
        cmocka_unit_test_teardown(requests_that_are_none_are_refused, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
