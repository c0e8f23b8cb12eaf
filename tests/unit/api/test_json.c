/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_json: the promises of api/json.h, against texts written by hand from proto3's JSON mapping;
 * and any message reads back as what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/codec.h"
#include "api/json.h"
#include "api/json_time.h"
#include "api/messages.h"
#include "common/base64.h"
#include "common/limits.h"
#include "tests/unit/api/random_message.h"

static char *text_of(const ProtobufCMessage *message, unsigned flags)
{
    json_t *json;
    struct error err = {0};
    if (message_to_json(message, flags, &json, &err) != 0)
        fail_msg("%s", err.text);
    char *text = json_dumps(json, JSON_COMPACT | JSON_ENCODE_ANY);
    json_decref(json);
    return text;
}

static void expect_text(const ProtobufCMessage *message, unsigned flags, const char *expected)
{
    char *text = text_of(message, flags);
    assert_string_equal(text, expected);
    free(text);
}

/* A history event with most kinds of fields; in arena. */
static Api__HistoryEvent *sample_event(struct arena *arena)
{
    Api__HistoryEvent *event = arena_alloc(arena, sizeof *event);
    api__history_event__init(event);
    Api__Timestamp *time = arena_alloc(arena, sizeof *time);
    api__timestamp__init(time);
    Api__ActivityTaskScheduledEventAttributes *scheduled = arena_alloc(arena, sizeof *scheduled);
    api__activity_task_scheduled_event_attributes__init(scheduled);
    Api__Duration *timeout = arena_alloc(arena, sizeof *timeout);
    api__duration__init(timeout);
    Api__Payloads *input = arena_alloc(arena, sizeof *input);
    api__payloads__init(input);
    Api__Payload **payloads = arena_calloc(arena, 3, sizeof *payloads);
    static const char *const encodings[] = {"json/plain", "binary/null", "binary/plain"};
    for (int i = 0; i < 3; i++) {
        Api__Payload *payload = arena_alloc(arena, sizeof *payload);
        api__payload__init(payload);
        Api__Payload__MetadataEntry *entry = arena_alloc(arena, sizeof *entry);
        api__payload__metadata_entry__init(entry);
        entry->key = "encoding";
        entry->has_value = 1;
        entry->value = (ProtobufCBinaryData){.len = strlen(encodings[i]),
                                             .data = (uint8_t *)(uintptr_t)encodings[i]};
        payload->n_metadata = 1;
        payload->metadata = arena_alloc(arena, sizeof *payload->metadata);
        payload->metadata[0] = entry;
        payload->has_data = i != 1;
        payload->data = (ProtobufCBinaryData){
            .len = i == 0 ? 9 : 2,
            .data = (uint8_t *)(uintptr_t)(i == 0 ? "{\"a\":[1]}" : "\0\xff")};
        payloads[i] = payload;
    }
    input->n_payloads = 3;
    input->payloads = payloads;
    time->has_seconds = 1;
    time->seconds = 1769904000; /* 2026-02-01T00:00:00Z */
    time->has_nanos = 1;
    time->nanos = 5000000;
    timeout->has_seconds = 1;
    timeout->seconds = 30;
    scheduled->activity_id = "5";
    scheduled->input = input;
    scheduled->start_to_close_timeout = timeout;
    event->has_event_id = 1;
    event->event_id = 5;
    event->event_time = time;
    event->has_event_type = 1;
    event->event_type = EVENT_TYPE_ACTIVITY_TASK_SCHEDULED;
    event->attributes_case =
        API__HISTORY_EVENT__ATTRIBUTES_ACTIVITY_TASK_SCHEDULED_EVENT_ATTRIBUTES;
    event->activity_task_scheduled_event_attributes = scheduled;
    return event;
}

static void test_written_by_hand(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__HistoryEvent *event = sample_event(&arena);
    expect_text(&event->base, 0,
                "{\"eventId\":\"5\",\"eventTime\":\"2026-02-01T00:00:00.005Z\","
                "\"eventType\":\"EVENT_TYPE_ACTIVITY_TASK_SCHEDULED\","
                "\"activityTaskScheduledEventAttributes\":{\"activityId\":\"5\",\"input\":"
                "{\"payloads\":[{\"metadata\":{\"encoding\":\"anNvbi9wbGFpbg==\"},"
                "\"data\":\"eyJhIjpbMV19\"},{\"metadata\":{\"encoding\":\"YmluYXJ5L251bGw=\"}},"
                "{\"metadata\":{\"encoding\":\"YmluYXJ5L3BsYWlu\"},\"data\":\"AP8=\"}]},"
                "\"startToCloseTimeout\":\"30s\"}}");
    expect_text(&event->activity_task_scheduled_event_attributes->input->base,
                MESSAGE_JSON_PAYLOADS_DECODED,
                "[{\"a\":[1]},null,{\"metadata\":{\"encoding\":\"YmluYXJ5L3BsYWlu\"},"
                "\"data\":\"AP8=\"}]");
    arena_fini(&arena);
}

static void test_numbers(void **state)
{
    (void)state;
    Api__TaskQueueStats stats = API__TASK_QUEUE_STATS__INIT;
    stats.has_approximate_backlog_count = 1;
    stats.approximate_backlog_count = INT64_MIN;
    stats.has_tasks_add_rate = 1;
    stats.tasks_add_rate = 0.5F;
    stats.has_rate_limiting_active = 1;
    expect_text(&stats.base, 0,
                "{\"approximateBacklogCount\":\"-9223372036854775808\",\"tasksAddRate\":0.5,"
                "\"rateLimitingActive\":false}");
    Api__DescribeTaskQueueResponse__StatsByPriorityKeyEntry entry =
        API__DESCRIBE_TASK_QUEUE_RESPONSE__STATS_BY_PRIORITY_KEY_ENTRY__INIT;
    Api__DescribeTaskQueueResponse__StatsByPriorityKeyEntry *entries[] = {&entry};
    Api__TaskQueueStats empty = API__TASK_QUEUE_STATS__INIT;
    entry.has_key = 1;
    entry.key = 3;
    entry.value = &empty;
    Api__DescribeTaskQueueResponse response = API__DESCRIBE_TASK_QUEUE_RESPONSE__INIT;
    response.n_stats_by_priority_key = 1;
    response.stats_by_priority_key = entries;
    expect_text(&response.base, 0, "{\"statsByPriorityKey\":{\"3\":{}}}");
    Api__WorkflowType bad = API__WORKFLOW_TYPE__INIT;
    bad.name = "\xff";
    json_t *json;
    struct error err = {0};
    assert_int_equal(message_to_json(&bad.base, 0, &json, &err), ERR_INVALID);
    assert_string_equal(err.text, "WorkflowType.name: text is not UTF-8");
}

static int read_text(const ProtobufCMessageDescriptor *type, const char *text, struct arena *arena,
                     void *ret_message, struct error *err)
{
    json_t *json = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(json);
    int rc = message_from_json(type, json, arena, ret_message, err);
    json_decref(json);
    return rc;
}

static void test_read(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__StartWorkflowExecutionRequest *start;
    struct error err = {0};
    int rc = read_text(&api__start_workflow_execution_request__descriptor,
                       "{\"workflowId\":\"w\",\"task_queue\":{\"name\":\"q\",\"kind\":1},"
                       "\"workflowRunTimeout\":\"3.5s\",\"workflowIdConflictPolicy\":"
                       "\"WORKFLOW_ID_CONFLICT_POLICY_FAIL\",\"memo\":{\"fields\":{\"k\":{\"data\":"
                       "\"AP8\"}}},\"retryPolicy\":{\"maximumAttempts\":\"3\","
                       "\"backoffCoefficient\":2,\"nonRetryableErrorTypes\":[\"A\",\"B\"]},"
                       "\"requestEagerExecution\":null,\"cronSchedule\":\"\"}",
                       &arena, &start, &err);
    if (rc != 0)
        fail_msg("%s", err.text);
    assert_string_equal(start->workflow_id, "w");
    assert_string_equal(start->task_queue->name, "q");
    assert_int_equal(start->task_queue->kind, TASK_QUEUE_KIND_NORMAL);
    assert_int_equal(start->workflow_run_timeout->seconds, 3);
    assert_int_equal(start->workflow_run_timeout->nanos, 500000000);
    assert_int_equal(start->workflow_id_conflict_policy, WORKFLOW_ID_CONFLICT_POLICY_FAIL);
    assert_int_equal(start->memo->n_fields, 1);
    assert_string_equal(start->memo->fields[0]->key, "k");
    assert_int_equal(start->memo->fields[0]->value->data.len, 2);
    assert_memory_equal(start->memo->fields[0]->value->data.data, "\0\xff", 2);
    assert_int_equal(start->retry_policy->maximum_attempts, 3);
    assert_true(start->retry_policy->backoff_coefficient == 2.0);
    assert_int_equal(start->retry_policy->n_non_retryable_error_types, 2);
    assert_false(start->has_request_eager_execution);
    assert_string_equal(start->cron_schedule, "");
    arena_fini(&arena);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const ProtobufCMessageDescriptor *type;
        const char *json;
        const char *text;
    } cases[] = {
        {&api__start_workflow_execution_request__descriptor, "{\"workflowID\":\"w\"}",
         "StartWorkflowExecutionRequest: unknown field \"workflowID\"; did you mean "
         "\"workflowId\"?"},
        {&api__start_workflow_execution_request__descriptor,
         "{\"taskQueue\":{\"kind\":\"NORMAL\"}}",
         "StartWorkflowExecutionRequest.task_queue.kind: unknown enum name"},
        {&api__start_workflow_execution_request__descriptor, "{\"taskQueue\":\"q\"}",
         "StartWorkflowExecutionRequest.task_queue: an object expected"},
        {&api__start_workflow_execution_request__descriptor, "{\"taskQueue\":{},\"task_queue\":{}}",
         "field is there twice"},
        {&api__workflow_type__descriptor, "[]", "WorkflowType: an object expected"},
        {&api__workflow_type__descriptor, "{\"name\":1}", "a string expected"},
        {&api__workflow_type__descriptor, "{\"name\":\"a\\u0000b\"}", "text holds a NUL"},
        {&api__payload__descriptor, "{\"data\":\"A\"}", "base64 text expected"},
        {&api__payload__descriptor, "{\"data\":\"A!==\"}", "base64 text expected"},
        {&api__payload__descriptor, "{\"metadata\":[]}", "an object expected"},
        {&api__retry_policy__descriptor, "{\"maximumAttempts\":2147483648}",
         "an integer in range expected"},
        {&api__retry_policy__descriptor, "{\"maximumAttempts\":\"1x\"}", "an integer in range"},
        {&api__retry_policy__descriptor, "{\"maximumAttempts\":1.5}", "an integer in range"},
        {&api__retry_policy__descriptor, "{\"initialInterval\":\"3\"}", "a duration such as"},
        {&api__retry_policy__descriptor, "{\"initialInterval\":3}", "a duration such as"},
        {&api__retry_policy__descriptor, "{\"nonRetryableErrorTypes\":\"A\"}", "an array expected"},
        {&api__retry_policy__descriptor, "{\"backoffCoefficient\":\"2\"}", "a number expected"},
        {&api__cancel_request__descriptor, "{\"correlationId\":-1}", "an integer in range"},
        {&api__cancel_request__descriptor, "{\"correlationId\":\"18446744073709551616\"}",
         "an integer in range"},
        {&api__history_event__descriptor, "{\"eventTime\":\"2026-02-30T00:00:00Z\"}",
         "a time such as"},
        {&api__failure__descriptor, "{\"applicationFailureInfo\":{},\"timeoutFailureInfo\":{}}",
         "another member"},
    };
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        ProtobufCMessage *message = NULL;
        int rc = read_text(cases[i].type, cases[i].json, &arena, &message, &err);
        if (rc != ERR_INVALID || strstr(err.text, cases[i].text) == NULL || message != NULL)
            fail_msg("%s: %d \"%s\"", cases[i].json, rc, err.text);
    }
    arena_fini(&arena);
}

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
        int32_t nanos;
        const char *written;
    } times[] = {
        {"1970-01-01T00:00:00Z", 0, 0, "1970-01-01T00:00:00Z"},
        {"1969-12-31T23:59:59.9Z", -1, 900000000, "1969-12-31T23:59:59.900Z"},
        {"2026-02-01T01:30:00+01:30", 1769904000, 0, "2026-02-01T00:00:00Z"},
        {"2024-02-29T00:00:00.000001Z", 1709164800, 1000, "2024-02-29T00:00:00.000001Z"},
        {"9999-12-31T23:59:59.999999999Z", 253402300799, 999999999,
         "9999-12-31T23:59:59.999999999Z"},
        {"0001-01-01T00:00:00Z", -62135596800, 0, "0001-01-01T00:00:00Z"},
    };
    char text[JSON_TIME_SIZE];
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        Api__Timestamp time;
        assert_true(json_time_parse_timestamp(times[i].text, &time));
        assert_int_equal(time.seconds, times[i].seconds);
        assert_int_equal(time.nanos, times[i].nanos);
        assert_true(json_time_format_timestamp(&time, text));
        assert_string_equal(text, times[i].written);
    }
    static const char *const bad_times[] = {"",
                                            "2026-02-01",
                                            "2026-02-01T00:00:00",
                                            "2026-13-01T00:00:00Z",
                                            "2026-02-01T24:00:00Z",
                                            "2026-02-01T00:00:00.Z",
                                            "2026-02-01T00:00:00Zx",
                                            "2026-02-01T00:00:00.1234567890Z",
                                            "0001-01-01T00:00:00+00:01"};
    Api__Timestamp time;
    for (size_t i = 0; i < sizeof bad_times / sizeof bad_times[0]; i++)
        assert_false(json_time_parse_timestamp(bad_times[i], &time));
    Api__Duration duration;
    assert_true(json_time_parse_duration("-0.25s", &duration));
    assert_int_equal(duration.nanos, -250000000);
    assert_true(json_time_format_duration(&duration, text));
    assert_string_equal(text, "-0.250s");
    static const char *const bad_durations[] = {
        "", "s", "1", "1m", ".5s", "1.s", "+1s", "1s ", "99999999999999999999s"};
    for (size_t i = 0; i < sizeof bad_durations / sizeof bad_durations[0]; i++)
        assert_false(json_time_parse_duration(bad_durations[i], &duration));
    /* what has no such text keeps its plain form */
    Api__Duration mixed = API__DURATION__INIT;
    mixed.has_seconds = mixed.has_nanos = 1;
    mixed.seconds = 1;
    mixed.nanos = -1;
    expect_text(&mixed.base, 0, "{\"seconds\":\"1\",\"nanos\":-1}");
}

static void test_base64(void **state)
{
    (void)state;
    /* RFC 4648, section 10 */
    static const char *const vectors[][2] = {{"", ""},
                                             {"f", "Zg=="},
                                             {"fo", "Zm8="},
                                             {"foo", "Zm9v"},
                                             {"foob", "Zm9vYg=="},
                                             {"fooba", "Zm9vYmE="},
                                             {"foobar", "Zm9vYmFy"}};
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        const char *plain = vectors[i][0];
        assert_string_equal(base64_encode(&arena, (const uint8_t *)plain, strlen(plain)),
                            vectors[i][1]);
        uint8_t *data;
        size_t size;
        assert_int_equal(base64_decode(&arena, vectors[i][1], strlen(vectors[i][1]), &data, &size),
                         BASE64_OK);
        assert_int_equal(size, strlen(plain));
        assert_memory_equal(data, plain, size);
    }
    arena_fini(&arena);
}

/* Written, read and written again, a message has the same JSON. */
static void test_any_message_reads_back(void **state)
{
    (void)state;
    const ProtobufCMessageDescriptor *types[MESSAGE_TYPES_MAX];
    size_t count = message_types(types);
    struct random random = {99};
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    for (size_t i = 0; i < 4 * count; i++) {
        ProtobufCMessage *message = random_message(&random, &arena, types[i % count], 2);
        json_t *first, *second;
        struct error err = {0};
        ProtobufCMessage *again;
        assert_int_equal(message_to_json(message, 0, &first, &err), 0);
        char *text = json_dumps(first, JSON_ENCODE_ANY);
        json_t *parsed = json_loads(text, JSON_DECODE_ANY, NULL);
        if (message_from_json(types[i % count], parsed, &arena, &again, &err) != 0)
            fail_msg("%s", err.text);
        assert_int_equal(message_to_json(again, 0, &second, &err), 0);
        assert_true(json_equal(first, second));
        json_decref(first);
        json_decref(second);
        json_decref(parsed);
        free(text);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

static void test_depth_and_memory(void **state)
{
    (void)state;
    struct buffer text = {0};
    for (int i = 0; i < 200; i++)
        buffer_append_text(&text, "{\"cause\":");
    buffer_append_text(&text, "{}");
    for (int i = 0; i < 200; i++)
        buffer_append_text(&text, "}");
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct error err = {0};
    ProtobufCMessage *message;
    assert_int_equal(
        read_text(&api__failure__descriptor, buffer_text(&text), &arena, &message, &err),
        ERR_LIMIT);
    buffer_fini(&text);
    arena_fini(&arena);

    struct arena source;
    arena_init(&source, ARENA_NO_LIMIT);
    char *event = text_of(&sample_event(&source)->base, 0);
    int rc = ERR_LIMIT;
    int failures = 0;
    for (size_t limit = 0; rc != 0; limit += 16, failures += rc != 0) {
        arena_init(&arena, limit);
        rc = read_text(&api__history_event__descriptor, event, &arena, &message, &err);
        assert_true(rc == 0 || rc == ERR_LIMIT);
        arena_fini(&arena);
    }
    assert_true(failures > 20);
    free(event);
    arena_fini(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_by_hand),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_any_message_reads_back),
        cmocka_unit_test(test_depth_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
