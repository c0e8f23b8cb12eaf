/* SPDX-License-Identifier: Apache-2.0 */
/*
 * codec_timing: see codec_timing.h. The messages are written as JSON, with the fields that the
 * engine sets. The figure is the best of ROUND_COUNT rounds, in turns over all messages, so that
 * what else the machine does falls on none of them alone.
 */
#include "bench/codec_timing.h"

#include <jansson.h>
#include <stdio.h>

#include "api/codec.h"
#include "api/json.h"
#include "api/messages.h"
#include "common/clock.h"
#include "common/limits.h"

#define ROUND_COUNT     50
#define CALLS_PER_ROUND 1000
#define UUID            "\"0191e7a2-5f43-7c1a-9d52-3b8f6c0d4e71\""
#define PAYLOAD_100                                                                                \
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" /* bytes */
#define PAYLOADS                                                                                   \
    "{\"payloads\":[{\"metadata\":{\"encoding\":\"YmluYXJ5L3BsYWlu\"},"                            \
    "\"data\":\"" PAYLOAD_100 PAYLOAD_100 "AA\"}]}"
#define EVENT(id, type, attributes)                                                                \
    "{\"eventId\":" #id ",\"eventTime\":\"2026-01-01T00:00:00.123456Z\",\"eventType\":\"" type     \
    "\",\"taskId\":1048577," attributes "}"

#define STARTED                                                                                    \
    EVENT(1, "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",                                              \
          "\"workflowExecutionStartedEventAttributes\":{\"workflowType\":{\"name\":\"pipeline\"}," \
          "\"taskQueue\":{\"name\":\"bench\"},\"input\":" PAYLOADS                                 \
          ",\"workflowTaskTimeout\":\"10s\",\"originalExecutionRunId\":" UUID                      \
          ",\"identity\":\"client\",\"firstExecutionRunId\":" UUID                                 \
          ",\"attempt\":1,\"workflowId\":\"bench-12345\"}")
#define TASK_SCHEDULED                                                                             \
    EVENT(2, "EVENT_TYPE_WORKFLOW_TASK_SCHEDULED",                                                 \
          "\"workflowTaskScheduledEventAttributes\":{\"taskQueue\":{\"name\":\"bench\"},"          \
          "\"startToCloseTimeout\":\"10s\",\"attempt\":1}")
#define TASK_STARTED                                                                               \
    EVENT(3, "EVENT_TYPE_WORKFLOW_TASK_STARTED",                                                   \
          "\"workflowTaskStartedEventAttributes\":{\"scheduledEventId\":2,"                        \
          "\"identity\":\"worker@host\",\"requestId\":" UUID ",\"historySizeBytes\":512}")
#define TASK_COMPLETED                                                                             \
    EVENT(4, "EVENT_TYPE_WORKFLOW_TASK_COMPLETED",                                                 \
          "\"workflowTaskCompletedEventAttributes\":{\"scheduledEventId\":2,"                      \
          "\"startedEventId\":3,\"identity\":\"worker@host\"}")
#define ACTIVITY_SCHEDULED                                                                         \
    EVENT(5, "EVENT_TYPE_ACTIVITY_TASK_SCHEDULED",                                                 \
          "\"activityTaskScheduledEventAttributes\":{\"activityId\":\"1\","                        \
          "\"activityType\":{\"name\":\"step\"},\"taskQueue\":{\"name\":\"bench\"},"               \
          "\"input\":" PAYLOADS ",\"startToCloseTimeout\":\"60s\","                                \
          "\"workflowTaskCompletedEventId\":4}")
#define ACTIVITY_STARTED                                                                           \
    EVENT(6, "EVENT_TYPE_ACTIVITY_TASK_STARTED",                                                   \
          "\"activityTaskStartedEventAttributes\":{\"scheduledEventId\":5,"                        \
          "\"identity\":\"worker@host\",\"requestId\":" UUID ",\"attempt\":1}")
#define ACTIVITY_COMPLETED                                                                         \
    EVENT(7, "EVENT_TYPE_ACTIVITY_TASK_COMPLETED",                                                 \
          "\"activityTaskCompletedEventAttributes\":{\"result\":" PAYLOADS                         \
          ",\"scheduledEventId\":5,\"startedEventId\":6,\"identity\":\"worker@host\"}")
#define COMPLETED                                                                                  \
    EVENT(11, "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED",                                           \
          "\"workflowExecutionCompletedEventAttributes\":{\"result\":" PAYLOADS                    \
          ",\"workflowTaskCompletedEventId\":10}")

static const struct sample {
    const char *name;
    const ProtobufCMessageDescriptor *type;
    const char *json;
} samples[] = {
    {"activity task", &api__poll_activity_task_queue_response__descriptor,
     "{\"taskToken\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"workflowNamespace\":\"default\","
     "\"workflowType\":{\"name\":\"pipeline\"},\"workflowExecution\":{\"workflowId\":"
     "\"bench-12345\",\"runId\":" UUID "},\"activityType\":{\"name\":\"step\"},"
     "\"activityId\":\"1\",\"input\":" PAYLOADS
     ",\"scheduledTime\":\"2026-01-01T00:00:00.123456Z\","
     "\"currentAttemptScheduledTime\":\"2026-01-01T00:00:00.123456Z\","
     "\"startedTime\":\"2026-01-01T00:00:00.123456Z\",\"attempt\":1,"
     "\"startToCloseTimeout\":\"60s\"}"},
    {"activity completion", &api__respond_activity_task_completed_request__descriptor,
     "{\"taskToken\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"result\":" PAYLOADS
     ",\"identity\":\"worker@host\",\"namespace\":\"default\"}"},
    {"event: workflow started", &api__history_event__descriptor, STARTED},
    {"event: workflow task scheduled", &api__history_event__descriptor, TASK_SCHEDULED},
    {"event: workflow task started", &api__history_event__descriptor, TASK_STARTED},
    {"event: workflow task completed", &api__history_event__descriptor, TASK_COMPLETED},
    {"event: activity scheduled", &api__history_event__descriptor, ACTIVITY_SCHEDULED},
    {"event: activity started", &api__history_event__descriptor, ACTIVITY_STARTED},
    {"event: activity completed", &api__history_event__descriptor, ACTIVITY_COMPLETED},
    {"event: workflow completed", &api__history_event__descriptor, COMPLETED},
    {"workflow task, 10 events", &api__poll_workflow_task_queue_response__descriptor,
     "{\"taskToken\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"workflowExecution\":{\"workflowId\":"
     "\"bench-12345\",\"runId\":" UUID "},\"workflowType\":{\"name\":\"pipeline\"},"
     "\"previousStartedEventId\":3,\"startedEventId\":9,\"attempt\":1,\"history\":{\"events\":"
     "[" STARTED "," TASK_SCHEDULED "," TASK_STARTED "," TASK_COMPLETED "," ACTIVITY_SCHEDULED
     "," ACTIVITY_STARTED "," ACTIVITY_COMPLETED "," TASK_SCHEDULED "," TASK_STARTED
     "," TASK_COMPLETED "]}}"},
};

#define SAMPLE_COUNT (sizeof samples / sizeof samples[0])

/* One sample while it is measured. */
struct timing {
    ProtobufCMessage *message;
    struct buffer encoded;
    uint64_t encode_ns_min; /* a round */
    uint64_t decode_ns_min;
};

static int prepare(const struct sample *sample, struct arena *arena, struct timing *timing,
                   struct error *err)
{
    json_t *json = json_loads(sample->json, 0, NULL);
    if (json == NULL)
        return error_set(err, ERR_INTERNAL, "sample \"%s\" is no JSON", sample->name);
    *timing = (struct timing){.encode_ns_min = UINT64_MAX, .decode_ns_min = UINT64_MAX};
    int rc = message_from_json(sample->type, json, arena, &timing->message, err);
    json_decref(json);
    return rc;
}

static uint64_t min_ns(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static int measure_round(struct timing *timing, struct arena *arena, struct error *err)
{
    int rc = 0;
    uint64_t start_ns = clock_monotonic_ns();
    for (int i = 0; i < CALLS_PER_ROUND && rc == 0; i++) {
        buffer_clear(&timing->encoded);
        rc = codec_encode(timing->message, &timing->encoded, err);
    }
    uint64_t encoded_ns = clock_monotonic_ns();
    for (int i = 0; i < CALLS_PER_ROUND && rc == 0; i++) {
        ProtobufCMessage *message;
        arena_reset(arena);
        rc = codec_decode(timing->message->descriptor, timing->encoded.data, timing->encoded.size,
                          arena, &message, err);
    }
    timing->encode_ns_min = min_ns(timing->encode_ns_min, encoded_ns - start_ns);
    timing->decode_ns_min = min_ns(timing->decode_ns_min, clock_monotonic_ns() - encoded_ns);
    return rc;
}

static void print(const struct timing timings[SAMPLE_COUNT])
{
    printf("%-32s %8s %12s %12s\n", "message", "bytes", "encode ns", "decode ns");
    for (size_t i = 0; i < SAMPLE_COUNT; i++)
        printf("%-32s %8zu %12llu %12llu\n", samples[i].name, timings[i].encoded.size,
               (unsigned long long)timings[i].encode_ns_min / CALLS_PER_ROUND,
               (unsigned long long)timings[i].decode_ns_min / CALLS_PER_ROUND);
}

int codec_timing_measure(struct error *err)
{
    struct timing timings[SAMPLE_COUNT] = {0};
    struct arena messages;
    struct arena decoded;
    arena_init(&messages, ARENA_NO_LIMIT);
    arena_init(&decoded, LIMIT_DECODED_SIZE);
    int rc = 0;
    for (size_t i = 0; i < SAMPLE_COUNT && rc == 0; i++)
        rc = prepare(&samples[i], &messages, &timings[i], err);
    for (int round = 0; round < ROUND_COUNT && rc == 0; round++) {
        for (size_t i = 0; i < SAMPLE_COUNT && rc == 0; i++)
            rc = measure_round(&timings[i], &decoded, err);
    }
    if (rc == 0)
        print(timings);
    for (size_t i = 0; i < SAMPLE_COUNT; i++)
        buffer_fini(&timings[i].encoded);
    arena_fini(&decoded);
    arena_fini(&messages);
    return rc;
}
