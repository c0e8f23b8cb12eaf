/* SPDX-License-Identifier: Apache-2.0 */
/* history_view: see history_view.h. */
#include "cli/history_view.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message_view.h"
#include "cli/output.h"

#define EVENT_TYPE_PREFIX "EVENT_TYPE_"

enum detail_kind {
    DETAIL_TEXT,
    DETAIL_NUMBER,    /* shown when it is not 0 */
    DETAIL_RETRIES,   /* an attempt: shown from the second on */
    DETAIL_PAYLOADS,  /* */
    DETAIL_FAILURE,   /* */
    DETAIL_WORD,      /* an enum's value; `prefix` is taken off */
    DETAIL_SCHEDULED, /* a scheduled event's id: shown as the activity's type */
    DETAIL_TIMER,     /* a timer's started event's id: shown as the timer's id */
};

struct detail {
    const char *event; /* "ACTIVITY_TASK_SCHEDULED" */
    const char *label; /* "" shows the value alone */
    const char *path;  /* below the event's attributes */
    enum detail_kind kind;
    const char *prefix;
};

static const struct detail details[] = {
    {"WORKFLOW_EXECUTION_STARTED", "", "workflowType.name", DETAIL_TEXT, NULL},
    {"WORKFLOW_EXECUTION_STARTED", "queue", "taskQueue.name", DETAIL_TEXT, NULL},
    {"WORKFLOW_EXECUTION_STARTED", "input", "input", DETAIL_PAYLOADS, NULL},
    {"WORKFLOW_EXECUTION_STARTED", "by", "identity", DETAIL_TEXT, NULL},
    {"WORKFLOW_EXECUTION_COMPLETED", "result", "result", DETAIL_PAYLOADS, NULL},
    {"WORKFLOW_EXECUTION_FAILED", "failure", "failure", DETAIL_FAILURE, NULL},
    {"WORKFLOW_EXECUTION_TIMED_OUT", "", "retryState", DETAIL_WORD, "RETRY_STATE_"},
    {"WORKFLOW_EXECUTION_CANCEL_REQUESTED", "reason", "cause", DETAIL_TEXT, NULL},
    {"WORKFLOW_EXECUTION_CANCEL_REQUESTED", "by", "identity", DETAIL_TEXT, NULL},
    {"WORKFLOW_EXECUTION_CANCELED", "details", "details", DETAIL_PAYLOADS, NULL},
    {"WORKFLOW_EXECUTION_SIGNALED", "", "signalName", DETAIL_TEXT, NULL},
    {"WORKFLOW_EXECUTION_SIGNALED", "input", "input", DETAIL_PAYLOADS, NULL},
    {"WORKFLOW_EXECUTION_SIGNALED", "by", "identity", DETAIL_TEXT, NULL},
    {"WORKFLOW_EXECUTION_TERMINATED", "reason", "reason", DETAIL_TEXT, NULL},
    {"WORKFLOW_EXECUTION_TERMINATED", "by", "identity", DETAIL_TEXT, NULL},
    {"WORKFLOW_TASK_SCHEDULED", "attempt", "attempt", DETAIL_RETRIES, NULL},
    {"WORKFLOW_TASK_STARTED", "by", "identity", DETAIL_TEXT, NULL},
    {"WORKFLOW_TASK_COMPLETED", "by", "identity", DETAIL_TEXT, NULL},
    {"WORKFLOW_TASK_FAILED", "", "cause", DETAIL_WORD, "WORKFLOW_TASK_FAILED_CAUSE_"},
    {"WORKFLOW_TASK_FAILED", "failure", "failure", DETAIL_FAILURE, NULL},
    {"WORKFLOW_TASK_FAILED", "by", "identity", DETAIL_TEXT, NULL},
    {"WORKFLOW_TASK_TIMED_OUT", "", "timeoutType", DETAIL_WORD, "TIMEOUT_TYPE_"},
    {"ACTIVITY_TASK_SCHEDULED", "", "activityType.name", DETAIL_TEXT, NULL},
    {"ACTIVITY_TASK_SCHEDULED", "queue", "taskQueue.name", DETAIL_TEXT, NULL},
    {"ACTIVITY_TASK_SCHEDULED", "input", "input", DETAIL_PAYLOADS, NULL},
    {"ACTIVITY_TASK_STARTED", "", "scheduledEventId", DETAIL_SCHEDULED, NULL},
    {"ACTIVITY_TASK_STARTED", "attempt", "attempt", DETAIL_NUMBER, NULL},
    {"ACTIVITY_TASK_STARTED", "by", "identity", DETAIL_TEXT, NULL},
    {"ACTIVITY_TASK_STARTED", "last failure", "lastFailure", DETAIL_FAILURE, NULL},
    {"ACTIVITY_TASK_COMPLETED", "", "scheduledEventId", DETAIL_SCHEDULED, NULL},
    {"ACTIVITY_TASK_COMPLETED", "result", "result", DETAIL_PAYLOADS, NULL},
    {"ACTIVITY_TASK_COMPLETED", "by", "identity", DETAIL_TEXT, NULL},
    {"ACTIVITY_TASK_FAILED", "", "scheduledEventId", DETAIL_SCHEDULED, NULL},
    {"ACTIVITY_TASK_FAILED", "", "retryState", DETAIL_WORD, "RETRY_STATE_"},
    {"ACTIVITY_TASK_FAILED", "failure", "failure", DETAIL_FAILURE, NULL},
    {"ACTIVITY_TASK_FAILED", "by", "identity", DETAIL_TEXT, NULL},
    {"ACTIVITY_TASK_TIMED_OUT", "", "scheduledEventId", DETAIL_SCHEDULED, NULL},
    {"ACTIVITY_TASK_TIMED_OUT", "", "retryState", DETAIL_WORD, "RETRY_STATE_"},
    {"ACTIVITY_TASK_TIMED_OUT", "failure", "failure", DETAIL_FAILURE, NULL},
    {"ACTIVITY_TASK_CANCEL_REQUESTED", "", "scheduledEventId", DETAIL_SCHEDULED, NULL},
    {"ACTIVITY_TASK_CANCELED", "", "scheduledEventId", DETAIL_SCHEDULED, NULL},
    {"ACTIVITY_TASK_CANCELED", "by", "identity", DETAIL_TEXT, NULL},
    {"TIMER_STARTED", "timer", "timerId", DETAIL_TEXT, NULL},
    {"TIMER_STARTED", "after", "startToFireTimeout", DETAIL_TEXT, NULL},
    {"TIMER_FIRED", "timer", "startedEventId", DETAIL_TIMER, NULL},
    {"TIMER_CANCELED", "timer", "startedEventId", DETAIL_TIMER, NULL},
    {"MARKER_RECORDED", "", "markerName", DETAIL_TEXT, NULL},
};

/* The attributes are the one member whose name says so. */
static const json_t *event_attributes(const json_t *event)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)event, key, value)
    {
        if (strstr(key, "EventAttributes") != NULL)
            return value;
    }
    return NULL;
}

static const json_t *event_by_id(const json_t *history, int64_t id)
{
    /* Ids are dense, so the place is known. */
    const json_t *events = json_object_get(history, "events");
    int64_t first = view_number(json_array_get(events, 0), "eventId");
    const json_t *event = id >= first ? json_array_get(events, (size_t)(id - first)) : NULL;
    return view_number(event, "eventId") == id ? event : NULL;
}

/* Appends the value of one detail; nothing when there is none to show. */
static void detail_value(const json_t *history, const json_t *attributes,
                         const struct detail *detail, struct buffer *out)
{
    const json_t *value = view_get(attributes, detail->path);
    if (value == NULL)
        return;
    int64_t number = view_number(attributes, detail->path);
    switch (detail->kind) {
    case DETAIL_TEXT:
        buffer_append_text(out, view_text(attributes, detail->path));
        break;
    case DETAIL_NUMBER:
        if (number != 0)
            buffer_printf(out, "%" PRId64, number);
        break;
    case DETAIL_RETRIES:
        if (number > 1)
            buffer_printf(out, "%" PRId64, number);
        break;
    case DETAIL_PAYLOADS:
        view_payloads(value, out);
        break;
    case DETAIL_FAILURE:
        view_failure(value, out);
        break;
    case DETAIL_WORD:
        view_enum(json_string_value(value) != NULL ? json_string_value(value) : "", detail->prefix,
                  out);
        break;
    case DETAIL_SCHEDULED:
        buffer_append_text(
            out, view_text(event_attributes(event_by_id(history, number)), "activityType.name"));
        break;
    case DETAIL_TIMER:
        buffer_append_text(out,
                           view_text(event_attributes(event_by_id(history, number)), "timerId"));
        break;
    }
}

void history_event_type(const json_t *event, struct buffer *out)
{
    view_enum(view_text(event, "eventType"), EVENT_TYPE_PREFIX, out);
}

void history_details(const json_t *history, const json_t *event, bool full, struct buffer *out)
{
    const char *type = view_text(event, "eventType");
    if (strncmp(type, EVENT_TYPE_PREFIX, strlen(EVENT_TYPE_PREFIX)) == 0)
        type += strlen(EVENT_TYPE_PREFIX);
    const json_t *attributes = event_attributes(event);
    struct buffer value = {0};
    bool first = true;
    for (size_t i = 0; i < sizeof(details) / sizeof(details[0]); i++) {
        if (strcmp(details[i].event, type) != 0)
            continue;
        buffer_clear(&value);
        detail_value(history, attributes, &details[i], &value);
        if (value.size == 0)
            continue;
        if (!full)
            output_cut(&value, HISTORY_VALUE_WIDTH);
        if (!first)
            buffer_append_text(out, "  ");
        if (details[i].label[0] != '\0')
            buffer_printf(out, "%s=", details[i].label);
        buffer_append(out, value.data, value.size);
        first = false;
    }
    buffer_fini(&value);
}

int history_print(const json_t *history, bool full, FILE *out, struct error *err)
{
    struct table table;
    table_init(&table, (const char *const[]){"ID", "TIME", "EVENT", "DETAILS", NULL});
    struct buffer type = {0}, shown = {0};
    size_t index;
    const json_t *event;
    json_array_foreach(json_object_get(history, "events"), index, event)
    {
        char id[24], time[OUTPUT_TIME_SIZE], stamp[OUTPUT_TIME_SIZE + 8];
        int64_t utc_us = view_time_us(event, "eventTime");
        snprintf(id, sizeof(id), "%" PRId64, view_number(event, "eventId"));
        snprintf(stamp, sizeof(stamp), "%s.%03d", output_time(utc_us, time),
                 (int)(utc_us % 1000000 / 1000));
        buffer_clear(&type);
        history_event_type(event, &type);
        buffer_clear(&shown);
        history_details(history, event, full, &shown);
        table_add(&table, id, stamp, buffer_text(&type), buffer_text(&shown));
    }
    int code = table_print(&table, out, err);
    table_fini(&table);
    buffer_fini(&type);
    buffer_fini(&shown);
    return code;
}
