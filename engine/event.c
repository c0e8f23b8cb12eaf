/* SPDX-License-Identifier: Apache-2.0 */
/* event: see event.h. */
#include "engine/event.h"

#include "common/assert.h"
#include "engine/message.h"

#define BUFFERED       .is_buffered = true
#define ACTIVITY_CLOSE .is_activity_close = true
#define CLOSE          .is_close = true

#define ROW(upper, lower, ...)                                                                     \
    [EVENT_TYPE_##                                                                                 \
        upper] = {.type = EVENT_TYPE_##upper,                                                      \
                  .attributes_case = API__HISTORY_EVENT__ATTRIBUTES_##upper##_EVENT_ATTRIBUTES,    \
                  .attributes = &api__##lower##_event_attributes__descriptor,                      \
                  __VA_ARGS__}

static const struct event_row rows[] = {
    ROW(WORKFLOW_EXECUTION_STARTED, workflow_execution_started),
    ROW(WORKFLOW_EXECUTION_COMPLETED, workflow_execution_completed, CLOSE),
    ROW(WORKFLOW_EXECUTION_FAILED, workflow_execution_failed, CLOSE),
    ROW(WORKFLOW_EXECUTION_TIMED_OUT, workflow_execution_timed_out, CLOSE),
    ROW(WORKFLOW_TASK_SCHEDULED, workflow_task_scheduled),
    ROW(WORKFLOW_TASK_STARTED, workflow_task_started),
    ROW(WORKFLOW_TASK_COMPLETED, workflow_task_completed),
    ROW(WORKFLOW_TASK_TIMED_OUT, workflow_task_timed_out),
    ROW(WORKFLOW_TASK_FAILED, workflow_task_failed),
    ROW(ACTIVITY_TASK_SCHEDULED, activity_task_scheduled),
    ROW(ACTIVITY_TASK_STARTED, activity_task_started, BUFFERED),
    ROW(ACTIVITY_TASK_COMPLETED, activity_task_completed, BUFFERED, ACTIVITY_CLOSE),
    ROW(ACTIVITY_TASK_FAILED, activity_task_failed, BUFFERED, ACTIVITY_CLOSE),
    ROW(ACTIVITY_TASK_TIMED_OUT, activity_task_timed_out, BUFFERED, ACTIVITY_CLOSE),
    ROW(ACTIVITY_TASK_CANCEL_REQUESTED, activity_task_cancel_requested),
    ROW(ACTIVITY_TASK_CANCELED, activity_task_canceled, BUFFERED, ACTIVITY_CLOSE),
    ROW(TIMER_STARTED, timer_started),
    ROW(TIMER_FIRED, timer_fired, BUFFERED),
    ROW(TIMER_CANCELED, timer_canceled),
    ROW(WORKFLOW_EXECUTION_CANCEL_REQUESTED, workflow_execution_cancel_requested, BUFFERED),
    ROW(WORKFLOW_EXECUTION_CANCELED, workflow_execution_canceled, CLOSE),
    ROW(MARKER_RECORDED, marker_recorded),
    ROW(WORKFLOW_EXECUTION_SIGNALED, workflow_execution_signaled, BUFFERED),
    ROW(WORKFLOW_EXECUTION_TERMINATED, workflow_execution_terminated, CLOSE),
    ROW(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, upsert_workflow_search_attributes),
    ROW(WORKFLOW_PROPERTIES_MODIFIED, workflow_properties_modified),
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

const struct event_row *event_row_get(Api__EventType type)
{
    if ((size_t)type >= ROW_COUNT || rows[type].attributes == NULL)
        return NULL;
    return &rows[type];
}

Api__HistoryEvent *event_new(struct arena *arena, Api__EventType type, int64_t time_utc_us)
{
    const struct event_row *row = event_row_get(type);
    ASSERT(row != NULL);
    Api__HistoryEvent *event = message_new(arena, &api__history_event__descriptor);
    event->has_event_type = true;
    event->event_type = type;
    event->event_time = timestamp_new(arena, time_utc_us);
    event->attributes_case = row->attributes_case;
    /* The members of the union are pointers to messages: setting one sets any. */
    event->workflow_execution_started_event_attributes = message_new(arena, row->attributes);
    return event;
}

int64_t event_closed_activity(const Api__HistoryEvent *event, int64_t **ret_started_id)
{
    int64_t scheduled_id, *started_id;
    switch (event->event_type) {
    case EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
        scheduled_id = event->activity_task_completed_event_attributes->scheduled_event_id;
        started_id = &event->activity_task_completed_event_attributes->started_event_id;
        break;
    case EVENT_TYPE_ACTIVITY_TASK_FAILED:
        scheduled_id = event->activity_task_failed_event_attributes->scheduled_event_id;
        started_id = &event->activity_task_failed_event_attributes->started_event_id;
        break;
    case EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
        scheduled_id = event->activity_task_timed_out_event_attributes->scheduled_event_id;
        started_id = &event->activity_task_timed_out_event_attributes->started_event_id;
        break;
    case EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        scheduled_id = event->activity_task_canceled_event_attributes->scheduled_event_id;
        started_id = &event->activity_task_canceled_event_attributes->started_event_id;
        break;
    default:
        return 0;
    }
    if (ret_started_id != NULL)
        *ret_started_id = started_id;
    return scheduled_id;
}
