/* SPDX-License-Identifier: Apache-2.0 */
/* history_text: see history_text.h. */
#include "tests/unit/engine/history_text.h"

#include <inttypes.h>
#include <string.h>

static const char *text_of(const char *text)
{
    return text != NULL ? text : "";
}

static void append_payloads(const char *name, const Api__Payloads *payloads, struct buffer *text)
{
    for (size_t i = 0; payloads != NULL && i < payloads->n_payloads; i++)
        buffer_printf(text, " %s=%.*s", name, (int)payloads->payloads[i]->data.len,
                      (const char *)payloads->payloads[i]->data.data);
}

static void append_by(const char *identity, struct buffer *text)
{
    if (*text_of(identity) != '\0')
        buffer_printf(text, " by %s", identity);
}

static void append_failure(const Api__Failure *failure, struct buffer *text)
{
    if (failure == NULL)
        return;
    buffer_printf(text, " failure=\"%s\"", text_of(failure->message));
    if (failure->failure_info_case == API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO) {
        buffer_printf(text, " timeout=%d", failure->timeout_failure_info->timeout_type);
        append_payloads("details", failure->timeout_failure_info->last_heartbeat_details, text);
    }
    if (failure->failure_info_case == API__FAILURE__FAILURE_INFO_APPLICATION_FAILURE_INFO)
        buffer_printf(text, " type=%s", text_of(failure->application_failure_info->type));
}

/* The name of an event type without its prefix, as in the schema: "WORKFLOW_TASK_STARTED". */
static const char *type_name(Api__EventType type)
{
    const ProtobufCEnumValue *value =
        protobuf_c_enum_descriptor_get_value(&api__event_type__descriptor, type);
    return value != NULL ? value->name + strlen("EVENT_TYPE_") : "?";
}

static void append_task_attributes(const Api__HistoryEvent *event, struct buffer *text)
{
    switch (event->event_type) {
    case EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
        buffer_printf(text, " queue=%s attempt=%d",
                      event->workflow_task_scheduled_event_attributes->task_queue->name,
                      event->workflow_task_scheduled_event_attributes->attempt);
        break;
    case EVENT_TYPE_WORKFLOW_TASK_STARTED:
        buffer_printf(text, " scheduled=%" PRId64,
                      event->workflow_task_started_event_attributes->scheduled_event_id);
        append_by(event->workflow_task_started_event_attributes->identity, text);
        break;
    case EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
        buffer_printf(text, " scheduled=%" PRId64 " started=%" PRId64,
                      event->workflow_task_completed_event_attributes->scheduled_event_id,
                      event->workflow_task_completed_event_attributes->started_event_id);
        break;
    case EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
        buffer_printf(text, " scheduled=%" PRId64 " started=%" PRId64 " timeout=%d",
                      event->workflow_task_timed_out_event_attributes->scheduled_event_id,
                      event->workflow_task_timed_out_event_attributes->started_event_id,
                      event->workflow_task_timed_out_event_attributes->timeout_type);
        break;
    case EVENT_TYPE_WORKFLOW_TASK_FAILED:
        buffer_printf(text, " scheduled=%" PRId64 " started=%" PRId64 " cause=%d",
                      event->workflow_task_failed_event_attributes->scheduled_event_id,
                      event->workflow_task_failed_event_attributes->started_event_id,
                      event->workflow_task_failed_event_attributes->cause);
        append_failure(event->workflow_task_failed_event_attributes->failure, text);
        break;
    default:
        break;
    }
}

static void append_activity_attributes(const Api__HistoryEvent *event, struct buffer *text)
{
    switch (event->event_type) {
    case EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        buffer_printf(
            text, " id=%s queue=%s task=%" PRId64,
            event->activity_task_scheduled_event_attributes->activity_id,
            event->activity_task_scheduled_event_attributes->task_queue->name,
            event->activity_task_scheduled_event_attributes->workflow_task_completed_event_id);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_STARTED:
        buffer_printf(text, " scheduled=%" PRId64 " attempt=%d",
                      event->activity_task_started_event_attributes->scheduled_event_id,
                      event->activity_task_started_event_attributes->attempt);
        append_by(event->activity_task_started_event_attributes->identity, text);
        append_failure(event->activity_task_started_event_attributes->last_failure, text);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        buffer_printf(text, " scheduled=%" PRId64 " started=%" PRId64,
                      event->activity_task_completed_event_attributes->scheduled_event_id,
                      event->activity_task_completed_event_attributes->started_event_id);
        append_payloads("result", event->activity_task_completed_event_attributes->result, text);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_FAILED:
        buffer_printf(text, " scheduled=%" PRId64 " started=%" PRId64 " retry=%d",
                      event->activity_task_failed_event_attributes->scheduled_event_id,
                      event->activity_task_failed_event_attributes->started_event_id,
                      event->activity_task_failed_event_attributes->retry_state);
        append_failure(event->activity_task_failed_event_attributes->failure, text);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        buffer_printf(text, " scheduled=%" PRId64 " started=%" PRId64 " retry=%d",
                      event->activity_task_timed_out_event_attributes->scheduled_event_id,
                      event->activity_task_timed_out_event_attributes->started_event_id,
                      event->activity_task_timed_out_event_attributes->retry_state);
        append_failure(event->activity_task_timed_out_event_attributes->failure, text);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED:
        buffer_printf(text, " scheduled=%" PRId64,
                      event->activity_task_cancel_requested_event_attributes->scheduled_event_id);
        break;
    case EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        buffer_printf(
            text, " scheduled=%" PRId64 " started=%" PRId64 " requested=%" PRId64,
            event->activity_task_canceled_event_attributes->scheduled_event_id,
            event->activity_task_canceled_event_attributes->started_event_id,
            event->activity_task_canceled_event_attributes->latest_cancel_requested_event_id);
        append_payloads("details", event->activity_task_canceled_event_attributes->details, text);
        break;
    default:
        break;
    }
}

static void append_other_attributes(const Api__HistoryEvent *event, struct buffer *text)
{
    switch (event->event_type) {
    case EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        buffer_printf(text, " type=%s queue=%s",
                      event->workflow_execution_started_event_attributes->workflow_type->name,
                      event->workflow_execution_started_event_attributes->task_queue->name);
        append_payloads("input", event->workflow_execution_started_event_attributes->input, text);
        break;
    case EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        append_payloads("result", event->workflow_execution_completed_event_attributes->result,
                        text);
        break;
    case EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        append_failure(event->workflow_execution_failed_event_attributes->failure, text);
        break;
    case EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        buffer_printf(text, " retry=%d",
                      event->workflow_execution_timed_out_event_attributes->retry_state);
        break;
    case EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
        buffer_printf(text, " name=%s",
                      event->workflow_execution_signaled_event_attributes->signal_name);
        break;
    case EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED:
        buffer_printf(text, " reason=\"%s\"",
                      text_of(event->workflow_execution_terminated_event_attributes->reason));
        break;
    case EVENT_TYPE_TIMER_STARTED:
        buffer_printf(text, " id=%s", event->timer_started_event_attributes->timer_id);
        break;
    case EVENT_TYPE_TIMER_FIRED:
        buffer_printf(text, " id=%s started=%" PRId64,
                      event->timer_fired_event_attributes->timer_id,
                      event->timer_fired_event_attributes->started_event_id);
        break;
    case EVENT_TYPE_TIMER_CANCELED:
        buffer_printf(text, " id=%s started=%" PRId64,
                      event->timer_canceled_event_attributes->timer_id,
                      event->timer_canceled_event_attributes->started_event_id);
        break;
    case EVENT_TYPE_MARKER_RECORDED:
        buffer_printf(text, " name=%s", event->marker_recorded_event_attributes->marker_name);
        break;
    default:
        break;
    }
}

void history_text_append(const Api__HistoryEvent *event, struct buffer *text)
{
    buffer_printf(text, "%" PRId64 " %s", event->event_id, type_name(event->event_type));
    append_task_attributes(event, text);
    append_activity_attributes(event, text);
    append_other_attributes(event, text);
    buffer_append_byte(text, '\n');
}
