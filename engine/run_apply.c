/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_apply: what each record does to the state of a run: the one place that changes persistent
 * state, live and on recovery (docs/spec/02-history.md, section 5).
 *
 * Live code has checked everything before it makes a record, so that a failure there is a bug; on
 * recovery a failure means that the log is damaged. Either way the record is refused, never
 * repaired. In-memory state is not touched here: what is removed must have been disarmed before.
 */
#include "engine/run.h"

#include <inttypes.h>
#include <string.h>

#include "common/assert.h"
#include "engine/event.h"

#define corrupt(err, ...) error_set(err, ERR_CORRUPT, __VA_ARGS__)

/* --- state machines ----------------------------------------------------------------------------
 */

#define TO(state) (1u << (state))

static const unsigned workflow_task_next[] = {
    [WORKFLOW_TASK_NONE] = TO(WORKFLOW_TASK_SCHEDULED),
    [WORKFLOW_TASK_SCHEDULED] = TO(WORKFLOW_TASK_STARTED) | TO(WORKFLOW_TASK_NONE),
    [WORKFLOW_TASK_STARTED] = TO(WORKFLOW_TASK_NONE),
};

static int workflow_task_move(struct workflow_task *task, enum workflow_task_state to,
                              struct error *err)
{
    if ((workflow_task_next[task->state] & TO(to)) == 0)
        return corrupt(err, "workflow task cannot go from state %d to %d", task->state, to);
    task->state = to;
    return 0;
}

static const unsigned activity_next[] = {
    [ACTIVITY_SCHEDULED] = TO(ACTIVITY_STARTED) | TO(ACTIVITY_CLOSED),
    [ACTIVITY_STARTED] = TO(ACTIVITY_SCHEDULED) | TO(ACTIVITY_CANCELING) | TO(ACTIVITY_CLOSED),
    [ACTIVITY_CANCELING] = TO(ACTIVITY_CLOSED),
    [ACTIVITY_CLOSED] = 0,
};

static int activity_move(struct activity *activity, enum activity_state to, struct error *err)
{
    if ((activity_next[activity->state] & TO(to)) == 0)
        return corrupt(err, "activity %" PRId64 " cannot go from state %d to %d",
                       activity->scheduled_event_id, activity->state, to);
    activity->state = to;
    return 0;
}

/* --- history -----------------------------------------------------------------------------------
 */

static void history_append(struct history *history, Api__HistoryEvent *event, size_t size)
{
    if (history->count == history->capacity) {
        history->capacity = history->capacity != 0 ? history->capacity * 2 : 32;
        history->entries =
            reallocarray(history->entries, history->capacity, sizeof *history->entries);
        ASSERT(history->entries != NULL);
    }
    history->entries[history->count++] = (struct history_entry){.event = event, .size = size};
    history->size += size;
}

/* --- the run -----------------------------------------------------------------------------------
 */

static void retry_policy_read(struct retry_policy *retry, const Api__RetryPolicy *policy)
{
    *retry = (struct retry_policy){
        .initial_interval_us = duration_us(policy->initial_interval),
        .maximum_interval_us = duration_us(policy->maximum_interval),
        .backoff_coefficient = policy->backoff_coefficient,
        .maximum_attempts = policy->maximum_attempts,
        .non_retryable_types = (const char *const *)policy->non_retryable_error_types,
        .non_retryable_type_count = policy->n_non_retryable_error_types,
    };
}

static int apply_started(struct run *run, const Api__HistoryEvent *event, struct error *err)
{
    const Api__WorkflowExecutionStartedEventAttributes *attributes =
        event->workflow_execution_started_event_attributes;
    if (run->status != 0 || attributes->workflow_type == NULL || attributes->task_queue == NULL)
        return corrupt(err, "WorkflowExecutionStarted is out of place");
    run->attributes = attributes;
    run->workflow_type = text_or_empty(attributes->workflow_type->name);
    run->task_queue = text_or_empty(attributes->task_queue->name);
    run->execution_timeout_us = duration_us(attributes->workflow_execution_timeout);
    run->run_timeout_us = duration_us(attributes->workflow_run_timeout);
    run->task_timeout_us = duration_us(attributes->workflow_task_timeout);
    run->start_delay_us = duration_us(attributes->first_workflow_task_backoff);
    run->start_us = timestamp_us(event->event_time);
    run->expiration_us = timestamp_us(attributes->workflow_execution_expiration_time);
    run->attempt = attributes->attempt > 0 ? attributes->attempt : 1;
    run->has_retry = attributes->retry_policy != NULL;
    if (run->has_retry)
        retry_policy_read(&run->retry, attributes->retry_policy);
    run->status = WORKFLOW_EXECUTION_STATUS_RUNNING;
    return 0;
}

static void activity_remove(struct run *run, struct activity *activity)
{
    ASSERT(activity->deadline.place == 0 && activity->task.queue == NULL);
    run->history.entries[activity->scheduled_event_id - 1].subject = NULL;
    DL_DELETE(run->activities, activity);
    run->activity_count--;
    kept_fini(&activity->heartbeat_details);
    kept_fini(&activity->last_failure);
    arena_fini(&activity->identity_arena);
}

static void timer_remove(struct run *run, struct timer *timer)
{
    ASSERT(timer->deadline.place == 0);
    run->history.entries[timer->started_event_id - 1].subject = NULL;
    DL_DELETE(run->timers, timer);
}

static Api__WorkflowExecutionStatus close_status(Api__EventType type)
{
    switch (type) {
    case EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
        return WORKFLOW_EXECUTION_STATUS_COMPLETED;
    case EVENT_TYPE_WORKFLOW_EXECUTION_FAILED:
        return WORKFLOW_EXECUTION_STATUS_FAILED;
    case EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT:
        return WORKFLOW_EXECUTION_STATUS_TIMED_OUT;
    case EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED:
        return WORKFLOW_EXECUTION_STATUS_CANCELED;
    default:
        return WORKFLOW_EXECUTION_STATUS_TERMINATED;
    }
}

/* Everything pending goes; buffered events that nobody flushed are dropped. */
static void apply_close(struct run *run, const Api__HistoryEvent *event)
{
    while (run->activities != NULL)
        activity_remove(run, run->activities);
    while (run->timers != NULL)
        timer_remove(run, run->timers);
    run->buffered.count = run->buffered.size = 0;
    run->workflow_task.state = WORKFLOW_TASK_NONE;
    run->sticky_queue = NULL;
    run->status = close_status(event->event_type);
    run->close_us = timestamp_us(event->event_time);
}

static void apply_signaled(struct run *run, const Api__HistoryEvent *event)
{
    const char *id = event->workflow_execution_signaled_event_attributes->request_id;
    run->signal_count++;
    if (id == NULL || *id == '\0')
        return;
    struct request_id *entry = arena_alloc(&run->arena, sizeof *entry);
    ASSERT(entry != NULL);
    entry->id = id;
    HASH_ADD_KEYPTR(hh, run->signal_ids, id, strlen(id), entry);
}

/* --- workflow tasks ----------------------------------------------------------------------------
 */

static int apply_task_scheduled(struct run *run, const Api__HistoryEvent *event, struct error *err)
{
    const Api__WorkflowTaskScheduledEventAttributes *attributes =
        event->workflow_task_scheduled_event_attributes;
    struct workflow_task *task = &run->workflow_task;
    if (attributes->attempt != task->attempt || attributes->task_queue == NULL)
        return corrupt(err, "WorkflowTaskScheduled is of attempt %d, not %d", attributes->attempt,
                       task->attempt);
    if (task->attempt > 1) /* written with the outcome: the attempt has long started */
        return task->state == WORKFLOW_TASK_STARTED && event->event_id == task->scheduled_event_id
                   ? 0
                   : corrupt(err, "WorkflowTaskScheduled of a transient attempt is out of place");
    int rc = workflow_task_move(task, WORKFLOW_TASK_SCHEDULED, err);
    if (rc < 0)
        return rc;
    task->sticky = attributes->task_queue->kind == TASK_QUEUE_KIND_STICKY;
    task->scheduled_event_id = event->event_id;
    task->started_event_id = 0;
    task->scheduled_us = timestamp_us(event->event_time);
    task->start_to_close_us = duration_us(attributes->start_to_close_timeout);
    return 0;
}

static int apply_task_started(struct run *run, const Api__HistoryEvent *event, struct error *err)
{
    struct workflow_task *task = &run->workflow_task;
    if (task->attempt > 1)
        return task->state == WORKFLOW_TASK_STARTED && event->event_id == task->started_event_id
                   ? 0
                   : corrupt(err, "WorkflowTaskStarted of a transient attempt is out of place");
    int rc = workflow_task_move(task, WORKFLOW_TASK_STARTED, err);
    if (rc < 0)
        return rc;
    task->started_event_id = event->event_id;
    task->started_us = timestamp_us(event->event_time);
    task->identity = event->workflow_task_started_event_attributes->identity;
    return 0;
}

static int apply_task_completed(struct run *run, const Api__HistoryEvent *event, struct error *err)
{
    struct workflow_task *task = &run->workflow_task;
    if (task->state != WORKFLOW_TASK_STARTED ||
        event->workflow_task_completed_event_attributes->started_event_id != task->started_event_id)
        return corrupt(err, "WorkflowTaskCompleted is out of place");
    run->completed_started_id = task->started_event_id;
    task->attempt = 1;
    task->sticky = false;
    return workflow_task_move(task, WORKFLOW_TASK_NONE, err);
}

/* A failed sticky attempt is not counted: the fault may be the cache's. */
static int task_failed(struct run *run, bool counts, struct error *err)
{
    struct workflow_task *task = &run->workflow_task;
    if (counts && !task->sticky)
        task->attempt++;
    task->sticky = false;
    run->sticky_queue = NULL;
    return workflow_task_move(task, WORKFLOW_TASK_NONE, err);
}

static int apply_task_timed_out(struct run *run, const Api__HistoryEvent *event, struct error *err)
{
    bool started = event->workflow_task_timed_out_event_attributes->timeout_type ==
                   TIMEOUT_TYPE_START_TO_CLOSE;
    if (started != (run->workflow_task.state == WORKFLOW_TASK_STARTED))
        return corrupt(err, "WorkflowTaskTimedOut is out of place");
    return task_failed(run, started, err);
}

static int apply_task_failed(struct run *run, struct error *err)
{
    if (run->workflow_task.state != WORKFLOW_TASK_STARTED)
        return corrupt(err, "WorkflowTaskFailed is out of place");
    return task_failed(run, true, err);
}

/* The transient attempts, which leave no events until one completes. */

static int apply_attempt_scheduled(struct run *run, const Engine__WorkflowTaskScheduled *record,
                                   struct error *err)
{
    struct workflow_task *task = &run->workflow_task;
    if (task->attempt < 2)
        return corrupt(err, "first attempt of a workflow task is not transient");
    task->sticky = false;
    task->scheduled_event_id = task->started_event_id = 0;
    task->scheduled_us = record->time_utc_us;
    task->start_to_close_us = record->start_to_close_us;
    return workflow_task_move(task, WORKFLOW_TASK_SCHEDULED, err);
}

static int apply_attempt_started(struct run *run, const Engine__WorkflowTaskStarted *record,
                                 struct error *err)
{
    struct workflow_task *task = &run->workflow_task;
    task->scheduled_event_id = run_next_event_id(run);
    task->started_event_id = task->scheduled_event_id + 1;
    task->started_us = record->time_utc_us;
    task->identity = text_copy(&run->arena, record->identity);
    return workflow_task_move(task, WORKFLOW_TASK_STARTED, err);
}

static void apply_sticky_set(struct run *run, const Engine__StickySet *record)
{
    run->sticky_queue = text_copy(&run->arena, record->task_queue);
    run->sticky_schedule_to_start_us = record->schedule_to_start_us;
}

/* --- activities --------------------------------------------------------------------------------
 */

static int apply_activity_scheduled(struct run *run, const Api__HistoryEvent *event,
                                    struct error *err)
{
    const Api__ActivityTaskScheduledEventAttributes *attributes =
        event->activity_task_scheduled_event_attributes;
    if (attributes->activity_id == NULL || attributes->activity_type == NULL ||
        attributes->task_queue == NULL || attributes->retry_policy == NULL)
        return corrupt(err, "ActivityTaskScheduled is incomplete");
    struct activity *activity = arena_calloc(&run->arena, 1, sizeof *activity);
    ASSERT(activity != NULL);
    activity->run = run;
    activity->scheduled_event_id = event->event_id;
    activity->id_hash = id_hash(attributes->activity_id);
    activity->attributes = attributes;
    activity->schedule_to_close_us = duration_us(attributes->schedule_to_close_timeout);
    activity->schedule_to_start_us = duration_us(attributes->schedule_to_start_timeout);
    activity->start_to_close_us = duration_us(attributes->start_to_close_timeout);
    activity->heartbeat_us = duration_us(attributes->heartbeat_timeout);
    retry_policy_read(&activity->retry, attributes->retry_policy);
    activity->attempt = 1;
    activity->scheduled_us = activity->due_us = timestamp_us(event->event_time);
    arena_init(&activity->identity_arena, ARENA_NO_LIMIT);
    activity->task = (struct task){.kind = TASK_ACTIVITY, .run = run};
    activity->deadline = (struct deadline){
        .kind = DEADLINE_ACTIVITY, .major = run->run_key, .minor = event->event_id};
    DL_APPEND(run->activities, activity);
    run->activity_count++;
    run->history.entries[event->event_id - 1].subject = activity;
    return 0;
}

static int find_activity(const struct run *run, int64_t scheduled_event_id,
                         struct activity **ret_activity, struct error *err)
{
    struct activity *activity = run_activity_get(run, scheduled_event_id);
    if (activity == NULL)
        return corrupt(err, "no open activity was scheduled by event %" PRId64, scheduled_event_id);
    *ret_activity = activity;
    return 0;
}

static int apply_activity_cancel_requested(struct run *run, const Api__HistoryEvent *event,
                                           struct error *err)
{
    int64_t scheduled_id =
        event->activity_task_cancel_requested_event_attributes->scheduled_event_id;
    if (run_activity_is_closing(run, scheduled_id))
        return 0; /* too late: the workflow hears of its end next */
    struct activity *activity;
    int rc = find_activity(run, scheduled_id, &activity, err);
    if (rc < 0)
        return rc;
    activity->cancel_requested_id = event->event_id;
    /* One that is not started stays what it is: its ActivityTaskCanceled follows at once. */
    return activity->state == ACTIVITY_STARTED ? activity_move(activity, ACTIVITY_CANCELING, err)
                                               : 0;
}

static int apply_activity_closed(struct run *run, int64_t scheduled_event_id, struct error *err)
{
    struct activity *activity;
    int rc = find_activity(run, scheduled_event_id, &activity, err);
    if (rc == 0)
        rc = activity_move(activity, ACTIVITY_CLOSED, err);
    if (rc == 0)
        activity_remove(run, activity);
    return rc;
}

static int apply_dispatched(struct run *run, const Engine__ActivityDispatched *record,
                            struct error *err)
{
    struct activity *activity;
    int rc = find_activity(run, record->scheduled_event_id, &activity, err);
    if (rc == 0)
        rc = activity_move(activity, ACTIVITY_STARTED, err);
    if (rc < 0)
        return rc;
    activity->dispatch++;
    activity->started_us = record->time_utc_us;
    activity->heartbeat_us_last = 0;
    arena_reset(&activity->identity_arena);
    activity->identity = text_copy(&activity->identity_arena, record->identity);
    return 0;
}

static int apply_heartbeat(struct run *run, const Engine__ActivityHeartbeat *record,
                           struct error *err)
{
    struct activity *activity;
    int rc = find_activity(run, record->scheduled_event_id, &activity, err);
    if (rc < 0)
        return rc;
    activity->heartbeat_us_last = record->time_utc_us;
    if (record->details != NULL) {
        kept_set(&activity->heartbeat_details, record->details);
        activity->loss_count = 0; /* progress */
    }
    return 0;
}

static int apply_returned(struct run *run, const Engine__ActivityReturned *record,
                          struct error *err)
{
    struct activity *activity;
    int rc = find_activity(run, record->scheduled_event_id, &activity, err);
    if (rc == 0)
        rc = activity_move(activity, ACTIVITY_SCHEDULED, err);
    if (rc < 0)
        return rc;
    activity->due_us = record->time_utc_us;
    if (record->lost)
        activity->loss_count++;
    return 0;
}

static int apply_retried(struct run *run, const Engine__ActivityRetried *record, struct error *err)
{
    struct activity *activity;
    int rc = find_activity(run, record->scheduled_event_id, &activity, err);
    if (rc == 0)
        rc = activity_move(activity, ACTIVITY_SCHEDULED, err);
    if (rc < 0)
        return rc;
    activity->attempt++;
    if (!record->lost)
        activity->loss_count = 0; /* it failed by itself: its process lived on */
    activity->due_us = record->due_utc_us;
    activity->attempt_ended_us = record->time_utc_us;
    kept_set(&activity->last_failure, record->failure);
    return 0;
}

/* --- timers ------------------------------------------------------------------------------------
 */

static int apply_timer_started(struct run *run, const Api__HistoryEvent *event, struct error *err)
{
    const Api__TimerStartedEventAttributes *attributes = event->timer_started_event_attributes;
    if (attributes->timer_id == NULL || run_timer_find(run, attributes->timer_id) != NULL)
        return corrupt(err, "TimerStarted has no new timer id");
    struct timer *timer = arena_calloc(&run->arena, 1, sizeof *timer);
    ASSERT(timer != NULL);
    timer->run = run;
    timer->started_event_id = event->event_id;
    timer->timer_id = attributes->timer_id;
    timer->id_hash = id_hash(timer->timer_id);
    timer->fire_us =
        timestamp_us(event->event_time) + duration_us(attributes->start_to_fire_timeout);
    timer->deadline =
        (struct deadline){.kind = DEADLINE_TIMER, .major = run->run_key, .minor = event->event_id};
    DL_APPEND(run->timers, timer);
    run->history.entries[event->event_id - 1].subject = timer;
    return 0;
}

static int apply_timer_ended(struct run *run, const char *timer_id, struct error *err)
{
    struct timer *timer = run_timer_find(run, text_or_empty(timer_id));
    if (timer == NULL)
        return corrupt(err, "no open timer has the id \"%s\"", text_or_empty(timer_id));
    timer_remove(run, timer);
    return 0;
}

/* Canceling a timer that has fired, but whose event still waits, takes the event back. */
static int apply_timer_canceled(struct run *run, const char *timer_id, struct error *err)
{
    const Api__HistoryEvent *fired = run_fired_timer_find(run, text_or_empty(timer_id));
    if (fired == NULL)
        return apply_timer_ended(run, timer_id, err);
    struct history *buffered = &run->buffered;
    size_t place = 0;
    while (buffered->entries[place].event != fired)
        place++;
    buffered->size -= buffered->entries[place].size;
    buffered->count--;
    memmove(&buffered->entries[place], &buffered->entries[place + 1],
            (buffered->count - place) * sizeof buffered->entries[0]);
    return 0;
}

/* --- events ------------------------------------------------------------------------------------
 */

static int apply_effect(struct run *run, const Api__HistoryEvent *event, struct error *err)
{
    switch (event->event_type) {
    case EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
        return apply_started(run, event, err);
    case EVENT_TYPE_WORKFLOW_TASK_SCHEDULED:
        return apply_task_scheduled(run, event, err);
    case EVENT_TYPE_WORKFLOW_TASK_STARTED:
        return apply_task_started(run, event, err);
    case EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
        return apply_task_completed(run, event, err);
    case EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT:
        return apply_task_timed_out(run, event, err);
    case EVENT_TYPE_WORKFLOW_TASK_FAILED:
        return apply_task_failed(run, err);
    case EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
        return apply_activity_scheduled(run, event, err);
    case EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED:
        return apply_activity_cancel_requested(run, event, err);
    case EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
    case EVENT_TYPE_ACTIVITY_TASK_FAILED:
    case EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT:
    case EVENT_TYPE_ACTIVITY_TASK_CANCELED:
        return apply_activity_closed(run, event_closed_activity(event, NULL), err);
    case EVENT_TYPE_TIMER_STARTED:
        return apply_timer_started(run, event, err);
    case EVENT_TYPE_TIMER_FIRED:
        return apply_timer_ended(run, event->timer_fired_event_attributes->timer_id, err);
    case EVENT_TYPE_TIMER_CANCELED:
        return apply_timer_canceled(run, event->timer_canceled_event_attributes->timer_id, err);
    case EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
        apply_signaled(run, event);
        return 0;
    case EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED:
        run->cancel_requested = true;
        return 0;
    default: /* the others only stand in the history, or close the run */
        return 0;
    }
}

static int check_event(const struct run *run, const Api__HistoryEvent *event, struct error *err)
{
    const struct event_row *row = event != NULL ? event_row_get(event->event_type) : NULL;
    if (row == NULL || event->attributes_case != row->attributes_case)
        return corrupt(err, "event of an unknown type");
    bool is_first = event->event_type == EVENT_TYPE_WORKFLOW_EXECUTION_STARTED;
    if (!run_is_open(run) && !is_first)
        return corrupt(err, "event type %d in a run that is not open", event->event_type);
    return 0;
}

static int apply_event(struct run *run, Api__HistoryEvent *event, size_t size, struct error *err)
{
    int rc = check_event(run, event, err);
    if (rc < 0)
        return rc;
    if (event->event_id != run_next_event_id(run))
        return corrupt(err, "event id %" PRId64 ", expected %" PRId64, event->event_id,
                       run_next_event_id(run));
    history_append(&run->history, event, size);
    rc = apply_effect(run, event, err);
    if (rc == 0 && event_row_get(event->event_type)->is_close)
        apply_close(run, event);
    return rc;
}

static int apply_buffered(struct run *run, Api__HistoryEvent *event, size_t size, struct error *err)
{
    int rc = check_event(run, event, err);
    if (rc < 0)
        return rc;
    if (!event_row_get(event->event_type)->is_buffered ||
        run->workflow_task.state != WORKFLOW_TASK_STARTED)
        return corrupt(err, "event type %d cannot be buffered here", event->event_type);
    history_append(&run->buffered, event, size);
    return apply_effect(run, event, err);
}

/* Gives the closing event of an activity the id of its ActivityTaskStarted event, which stands in
 * the history since this flush began; an activity that never started has none. Both kinds came in
 * the same order: the search goes on behind the one found last, *cursor, so that a wide fan-out
 * costs a step for each event. */
static void wire_started_id(const struct run *run, size_t flush_start, size_t flush_end,
                            size_t *cursor, Api__HistoryEvent *event)
{
    int64_t *started_id;
    int64_t scheduled_id = event_closed_activity(event, &started_id);
    for (size_t i = flush_start; i < flush_end; i++, ++*cursor) {
        if (*cursor == flush_end)
            *cursor = flush_start;
        const Api__HistoryEvent *started = run->history.entries[*cursor].event;
        if (started->event_type != EVENT_TYPE_ACTIVITY_TASK_STARTED ||
            started->activity_task_started_event_attributes->scheduled_event_id != scheduled_id)
            continue;
        *started_id = started->event_id;
        return;
    }
}

static void append_flushed(struct run *run, const struct history_entry *entry)
{
    entry->event->has_event_id = true;
    entry->event->event_id = run_next_event_id(run);
    history_append(&run->history, entry->event, entry->size);
}

/* Events get their ids here; those that close activities go behind all others. With news in the
 * history, a task that has failed starts over: its next attempt is no transient one. */
static int apply_flush(struct run *run, struct error *err)
{
    if (run->workflow_task.state == WORKFLOW_TASK_STARTED)
        return corrupt(err, "buffered events are flushed while a workflow task is started");
    struct history *buffered = &run->buffered;
    size_t flush_start = run->history.count, cursor = flush_start;
    run->workflow_task.attempt = 1;
    for (size_t i = 0; i < buffered->count; i++) {
        if (!event_row_get(buffered->entries[i].event->event_type)->is_activity_close)
            append_flushed(run, &buffered->entries[i]);
    }
    size_t flush_end = run->history.count;
    for (size_t i = 0; i < buffered->count; i++) {
        struct history_entry *entry = &buffered->entries[i];
        if (!event_row_get(entry->event->event_type)->is_activity_close)
            continue;
        wire_started_id(run, flush_start, flush_end, &cursor, entry->event);
        append_flushed(run, entry);
    }
    buffered->count = buffered->size = 0;
    return 0;
}

int run_apply(struct run *run, const Engine__Record *record, size_t size, struct error *err)
{
    bool is_first = record->kind_case == ENGINE__RECORD__KIND_RUN_OPENED ||
                    record->kind_case == ENGINE__RECORD__KIND_EVENT;
    if (!is_first && !run_is_open(run))
        return corrupt(err, "record kind %d in a run that is not open", record->kind_case);
    switch (record->kind_case) {
    case ENGINE__RECORD__KIND_EVENT:
        return apply_event(run, record->event, size, err);
    case ENGINE__RECORD__KIND_BUFFERED:
        return apply_buffered(run, record->buffered, size, err);
    case ENGINE__RECORD__KIND_BUFFER_FLUSHED:
        return apply_flush(run, err);
    case ENGINE__RECORD__KIND_RUN_OPENED:
        run->request_id = text_copy(&run->arena, record->run_opened->request_id);
        run->concurrency_key = text_copy(&run->arena, record->run_opened->concurrency_key);
        return 0;
    case ENGINE__RECORD__KIND_CANCEL_ACCEPTED:
        run->cancel_request_id = text_copy(&run->arena, record->cancel_accepted->request_id);
        return 0;
    case ENGINE__RECORD__KIND_WORKFLOW_TASK_SCHEDULED:
        return apply_attempt_scheduled(run, record->workflow_task_scheduled, err);
    case ENGINE__RECORD__KIND_WORKFLOW_TASK_STARTED:
        return apply_attempt_started(run, record->workflow_task_started, err);
    case ENGINE__RECORD__KIND_WORKFLOW_TASK_FAILED:
        return task_failed(run, true, err);
    case ENGINE__RECORD__KIND_STICKY_SET:
        apply_sticky_set(run, record->sticky_set);
        return 0;
    case ENGINE__RECORD__KIND_ACTIVITY_DISPATCHED:
        return apply_dispatched(run, record->activity_dispatched, err);
    case ENGINE__RECORD__KIND_ACTIVITY_HEARTBEAT:
        return apply_heartbeat(run, record->activity_heartbeat, err);
    case ENGINE__RECORD__KIND_ACTIVITY_RETURNED:
        return apply_returned(run, record->activity_returned, err);
    case ENGINE__RECORD__KIND_ACTIVITY_RETRIED:
        return apply_retried(run, record->activity_retried, err);
    default:
        return corrupt(err, "record of an unknown kind");
    }
}
