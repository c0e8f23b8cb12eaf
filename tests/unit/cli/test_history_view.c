/* SPDX-License-Identifier: Apache-2.0 */
/* test_history_view: what a history in the API's JSON form shows to people. */
#include "cli/history_view.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/history_steps.h"
#include "cli/message_view.h"
#include "tests/test.h"

/* "json/plain", "\"hello\"", "binary/plain" and "json/protobuf"-like encodings in base64. */
#define JSON_PLAIN   "anNvbi9wbGFpbg=="
#define BINARY_PLAIN "YmluYXJ5L3BsYWlu"
#define HELLO        "ImhlbGxvIg=="

static const char history_text[] =
    "{\"events\": ["
    "{\"eventId\": \"1\", \"eventTime\": \"2026-01-31T23:59:59.5Z\","
    " \"eventType\": \"EVENT_TYPE_WORKFLOW_EXECUTION_STARTED\","
    " \"workflowExecutionStartedEventAttributes\": {\"workflowType\": {\"name\": \"Greet\"},"
    " \"taskQueue\": {\"name\": \"cpu-queue\"}, \"input\": {\"payloads\": [{\"metadata\":"
    " {\"encoding\": \"" JSON_PLAIN "\"}, \"data\": \"" HELLO "\"}]}, \"identity\": \"7@host\"}},"
    "{\"eventId\": \"2\", \"eventType\": \"EVENT_TYPE_ACTIVITY_TASK_SCHEDULED\","
    " \"activityTaskScheduledEventAttributes\": {\"activityType\": {\"name\": \"say\"},"
    " \"taskQueue\": {\"name\": \"gpu-queue\"}, \"input\": {\"payloads\": [{\"metadata\":"
    " {\"encoding\": \"" BINARY_PLAIN "\"}, \"data\": \"AAEC\"}, {}]}}},"
    "{\"eventId\": \"3\", \"eventType\": \"EVENT_TYPE_ACTIVITY_TASK_STARTED\","
    " \"activityTaskStartedEventAttributes\": {\"scheduledEventId\": \"2\", \"attempt\": 2,"
    " \"identity\": \"4711@host#gpu\", \"lastFailure\": {\"message\": \"no luck\"}}},"
    "{\"eventId\": \"4\", \"eventType\": \"EVENT_TYPE_ACTIVITY_TASK_FAILED\","
    " \"activityTaskFailedEventAttributes\": {\"scheduledEventId\": \"2\", \"retryState\":"
    " \"RETRY_STATE_NON_RETRYABLE_FAILURE\", \"failure\": {\"message\": \"Input text is empty\","
    " \"applicationFailureInfo\": {\"type\": \"EmptyInput\", \"nonRetryable\": true}},"
    " \"identity\": \"4711@host#gpu\"}},"
    "{\"eventId\": \"5\", \"eventType\": \"EVENT_TYPE_WORKFLOW_EXECUTION_FAILED\","
    " \"workflowExecutionFailedEventAttributes\": {\"failure\": {\"message\": \"activity task"
    " failed\", \"activityFailureInfo\": {}, \"cause\": {\"message\": \"activity timed out\","
    " \"timeoutFailureInfo\": {\"timeoutType\": \"TIMEOUT_TYPE_START_TO_CLOSE\"}}}}},"
    "{\"eventId\": \"6\", \"eventType\": \"EVENT_TYPE_OF_ANOTHER_DAY\"}"
    "]}";

static json_t *history;

static int history_load(void **state)
{
    (void)state;
    history = json_loads(history_text, 0, NULL);
    return history != NULL ? 0 : -1;
}

static int history_release(void **state)
{
    (void)state;
    json_decref(history);
    return 0;
}

static void details_say_what_matters_of_each_event(void **state)
{
    (void)state;
    static const char *const want[][2] = {
        {"WorkflowExecutionStarted", "Greet  queue=cpu-queue  input=\"hello\"  by=7@host"},
        {"ActivityTaskScheduled", "say  queue=gpu-queue  input=<binary/plain, 3 bytes>, null"},
        {"ActivityTaskStarted", "say  attempt=2  by=4711@host#gpu  last failure=no luck"},
        {"ActivityTaskFailed",
         "say  NonRetryableFailure  failure=Input text is empty [EmptyInput]  "
         "by=4711@host#gpu"},
        {"WorkflowExecutionFailed",
         "failure=activity task failed: activity timed out [StartToClose]"},
        {"OfAnotherDay", ""},
    };
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        const json_t *event = json_array_get(json_object_get(history, "events"), i);
        struct buffer type = {0}, details = {0};
        history_event_type(event, &type);
        history_details(history, event, true, &details);
        assert_string_equal(buffer_text(&type), want[i][0]);
        assert_string_equal(buffer_text(&details), want[i][1]);
        buffer_fini(&type);
        buffer_fini(&details);
    }
}

static void long_values_are_cut(void **state)
{
    (void)state;
    char reason[HISTORY_VALUE_WIDTH + 2] = {0}, want[HISTORY_VALUE_WIDTH + 16];
    memset(reason, 'x', HISTORY_VALUE_WIDTH + 1);
    json_t *event =
        json_pack("{s:s, s:{s:s}}", "eventType", "EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED",
                  "workflowExecutionTerminatedEventAttributes", "reason", reason);
    struct buffer details = {0};
    history_details(history, event, false, &details);
    snprintf(want, sizeof(want), "reason=%.*s...", HISTORY_VALUE_WIDTH - 3, reason);
    assert_string_equal(buffer_text(&details), want);
    buffer_clear(&details);
    history_details(history, event, true, &details);
    snprintf(want, sizeof(want), "reason=%s", reason);
    assert_string_equal(buffer_text(&details), want);
    buffer_fini(&details);
    json_decref(event);
}

static void the_table_has_a_row_for_every_event(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    assert_int_equal(history_print(history, false, file, NULL), 0);
    fclose(file);
    int lines = 0;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 7);
    assert_memory_equal(text, "ID  TIME", 8);
    assert_non_null(strstr(text, ".500  WorkflowExecutionStarted"));
    free(text);
}

static void steps_are_the_activities_of_a_run(void **state)
{
    (void)state;
    static const char text[] =
        "{\"events\": ["
        "{\"eventId\": \"5\", \"activityTaskScheduledEventAttributes\": {\"activityType\":"
        " {\"name\": \"a\"}, \"taskQueue\": {\"name\": \"cpu-queue\"}}},"
        "{\"eventId\": \"6\", \"activityTaskScheduledEventAttributes\": {\"activityType\":"
        " {\"name\": \"b\"}, \"taskQueue\": {\"name\": \"gpu-queue\"}}},"
        "{\"eventId\": \"7\", \"eventTime\": \"2026-01-31T00:00:01Z\","
        " \"activityTaskStartedEventAttributes\": {\"scheduledEventId\": \"6\", \"attempt\": 2,"
        " \"identity\": \"4711@host#gpu\"}},"
        "{\"eventId\": \"8\", \"eventTime\": \"2026-01-31T00:00:01.0125Z\","
        " \"activityTaskTimedOutEventAttributes\": {\"scheduledEventId\": \"6\"}},"
        "{\"eventId\": \"9\", \"activityTaskCompletedEventAttributes\":"
        " {\"scheduledEventId\": \"99\"}}"
        "]}";
    json_t *events = json_loads(text, 0, NULL);
    json_t *want =
        json_pack("[{s:s, s:s}, {s:s, s:s, s:s, s:i, s:i, s:s, s:f}]", "activity", "a", "queue",
                  "cpu-queue", "activity", "b", "queue", "gpu-queue", "identity", "4711@host#gpu",
                  "pid", 4711, "attempt", 2, "outcome", "timed out", "ms", 12.5);
    json_t *steps = history_steps(events);
    assert_true(json_equal(steps, want));
    json_decref(steps);
    json_decref(want);
    json_decref(events);
    steps = history_steps(NULL);
    assert_int_equal(json_array_size(steps), 0);
    json_decref(steps);
}

static void json_of_the_api_reads_as_numbers_and_times(void **state)
{
    (void)state;
    json_t *object = json_loads("{\"a\": {\"n\": \"9007199254740993\", \"m\": 5, \"t\":"
                                " \"2026-01-31T23:59:59.000123456Z\", \"d\": \"1.5s\","
                                " \"bad\": \"yesterday\"}}",
                                0, NULL);
    assert_int_equal(view_number(object, "a.n"), 9007199254740993);
    assert_int_equal(view_number(object, "a.m"), 5);
    assert_int_equal(view_number(object, "a.b.c"), 0);
    assert_int_equal(view_time_us(object, "a.t"), 1769903999000123);
    assert_int_equal(view_time_us(object, "a.bad"), 0);
    assert_int_equal(view_time_us(object, "nothing"), 0);
    assert_int_equal(view_duration_us(object, "a.d"), 1500000);
    assert_string_equal(view_text(object, "a.m"), "");
    assert_null(view_get(NULL, "a"));
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(details_say_what_matters_of_each_event),
        cmocka_unit_test(long_values_are_cut),
        cmocka_unit_test(the_table_has_a_row_for_every_event),
        cmocka_unit_test(steps_are_the_activities_of_a_run),
        cmocka_unit_test(json_of_the_api_reads_as_numbers_and_times),
    };
    return cmocka_run_group_tests(tests, history_load, history_release);
}
