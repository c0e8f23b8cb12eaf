/* SPDX-License-Identifier: Apache-2.0 */
/* workflow_task: see workflow_task.h. */
#include "engine/workflow_task.h"

#include <string.h>

#include "common/assert.h"
#include "common/time_unit.h"
#include "engine/failure.h"
#include "engine/history_query.h"
#include "engine/query.h"
#include "engine/task_token.h"

/* From this many events or bytes on, workflow code is told to continue as new. Temporal: the same.
 */
#define SUGGEST_EVENTS 4096
#define SUGGEST_SIZE   (4 * LIMIT_MIB)

/* Slow-down of a task that keeps failing: from this attempt on, its timeout grows. */
#define SLOW_ATTEMPT       4
#define SLOW_INITIAL_US    (5 * US_PER_S)
#define SLOW_MAXIMUM_US    (600 * US_PER_S)
#define SLOW_DOUBLINGS_MAX 7 /* 5 s * 2^7 = 640 s */

/* --- queue and deadline ------------------------------------------------------------------------
 */

static void offer(struct core *core, struct run *run)
{
    const struct workflow_task *task = &run->workflow_task;
    const Api__Priority *priority = run->attributes->priority;
    struct queue *queue = task->sticky ? queue_get(core, QUEUE_STICKY, run->sticky_queue)
                                       : queue_get(core, QUEUE_WORKFLOW, run->task_queue);
    queue_offer(core, queue, &run->workflow_task.task, run->workflow_type,
                priority != NULL ? priority->priority_key : 0, task->scheduled_us,
                task->scheduled_event_id);
}

void workflow_task_arm(struct core *core, struct run *run)
{
    struct workflow_task *task = &run->workflow_task;
    int64_t deadline_us = INT64_MAX;
    switch (task->state) {
    case WORKFLOW_TASK_NONE:
        if (task->scheduled_event_id == 0) /* the first one waits for the start delay */
            deadline_us = run->start_us + run->start_delay_us;
        break;
    case WORKFLOW_TASK_SCHEDULED:
        if (task->task.queue == NULL)
            offer(core, run);
        if (task->sticky && run->sticky_schedule_to_start_us > 0)
            deadline_us = task->scheduled_us + run->sticky_schedule_to_start_us;
        break;
    case WORKFLOW_TASK_STARTED:
        deadline_us = task->started_us + task->start_to_close_us;
        break;
    }
    timer_queue_set(&core->timers, &task->deadline, deadline_us);
}

void workflow_task_disarm(struct core *core, struct run *run)
{
    queue_remove(core, &run->workflow_task.task);
    timer_queue_cancel(&core->timers, &run->workflow_task.deadline);
}

/* --- scheduling --------------------------------------------------------------------------------
 */

static int64_t start_to_close(const struct core *core, const struct run *run)
{
    int32_t attempt = run->workflow_task.attempt;
    if (attempt < SLOW_ATTEMPT)
        return run->task_timeout_us;
    int doublings = attempt - SLOW_ATTEMPT;
    int64_t extra =
        doublings >= SLOW_DOUBLINGS_MAX ? SLOW_MAXIMUM_US : SLOW_INITIAL_US << doublings;
    return core->config.workflow_task_timeout_us + extra;
}

static void sticky_clear(struct core *core, struct run *run)
{
    Engine__StickySet cleared = ENGINE__STICKY_SET__INIT;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_STICKY_SET;
    record.sticky_set = &cleared;
    run_record(core, run, &record);
}

static void schedule_first(struct core *core, struct run *run)
{
    if (run->sticky_queue != NULL &&
        (queue_is_paused(core, run->task_queue) ||
         !queue_is_alive(core, queue_find(core, QUEUE_STICKY, run->sticky_queue))))
        sticky_clear(core, run);
    bool sticky = run->sticky_queue != NULL;
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_WORKFLOW_TASK_SCHEDULED);
    Api__WorkflowTaskScheduledEventAttributes *attributes =
        event->workflow_task_scheduled_event_attributes;
    attributes->task_queue = message_new(&run->arena, &api__task_queue__descriptor);
    attributes->task_queue->has_kind = true;
    attributes->task_queue->kind = sticky ? TASK_QUEUE_KIND_STICKY : TASK_QUEUE_KIND_NORMAL;
    attributes->task_queue->name = sticky ? run->sticky_queue : run->task_queue;
    if (sticky)
        attributes->task_queue->normal_name = run->task_queue;
    attributes->start_to_close_timeout = duration_new(&run->arena, start_to_close(core, run));
    attributes->has_attempt = true;
    attributes->attempt = 1;
    run_event(core, run, event);
}

static void schedule_transient(struct core *core, struct run *run)
{
    Engine__WorkflowTaskScheduled scheduled = ENGINE__WORKFLOW_TASK_SCHEDULED__INIT;
    scheduled.has_time_utc_us = scheduled.has_start_to_close_us = true;
    scheduled.time_utc_us = core->now_us;
    scheduled.start_to_close_us = start_to_close(core, run);
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_WORKFLOW_TASK_SCHEDULED;
    record.workflow_task_scheduled = &scheduled;
    run_record(core, run, &record);
}

void workflow_task_need(struct core *core, struct run *run)
{
    if (run->workflow_task.state != WORKFLOW_TASK_NONE || !run_is_open(run))
        return;
    if (run->workflow_task.attempt == 1)
        schedule_first(core, run);
    else
        schedule_transient(core, run);
    workflow_task_arm(core, run);
}

/* --- handing out -------------------------------------------------------------------------------
 */

static void start_first(struct core *core, struct run *run, const char *identity)
{
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_WORKFLOW_TASK_STARTED);
    Api__WorkflowTaskStartedEventAttributes *attributes =
        event->workflow_task_started_event_attributes;
    attributes->has_scheduled_event_id = true;
    attributes->scheduled_event_id = run->workflow_task.scheduled_event_id;
    attributes->identity = text_copy(&run->arena, identity);
    attributes->has_suggest_continue_as_new = attributes->has_history_size_bytes = true;
    attributes->suggest_continue_as_new =
        run->history.count >= SUGGEST_EVENTS || run->history.size >= SUGGEST_SIZE;
    attributes->history_size_bytes = (int64_t)run->history.size;
    run_event(core, run, event);
}

static void start_transient(struct core *core, struct run *run, const char *identity)
{
    Engine__WorkflowTaskStarted started = ENGINE__WORKFLOW_TASK_STARTED__INIT;
    started.has_time_utc_us = true;
    started.time_utc_us = core->now_us;
    started.identity = identity;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_WORKFLOW_TASK_STARTED;
    record.workflow_task_started = &started;
    run_record(core, run, &record);
}

Api__HistoryEvent *workflow_task_scheduled_event(const struct run *run, struct arena *arena)
{
    const struct workflow_task *task = &run->workflow_task;
    Api__HistoryEvent *event =
        event_new(arena, EVENT_TYPE_WORKFLOW_TASK_SCHEDULED, task->scheduled_us);
    event->has_event_id = true;
    event->event_id = task->scheduled_event_id;
    Api__WorkflowTaskScheduledEventAttributes *attributes =
        event->workflow_task_scheduled_event_attributes;
    attributes->task_queue = message_new(arena, &api__task_queue__descriptor);
    attributes->task_queue->has_kind = true;
    attributes->task_queue->kind = TASK_QUEUE_KIND_NORMAL;
    attributes->task_queue->name = run->task_queue;
    attributes->start_to_close_timeout = duration_new(arena, task->start_to_close_us);
    attributes->has_attempt = true;
    attributes->attempt = task->attempt;
    return event;
}

Api__HistoryEvent *workflow_task_started_event(const struct run *run, struct arena *arena)
{
    const struct workflow_task *task = &run->workflow_task;
    Api__HistoryEvent *event = event_new(arena, EVENT_TYPE_WORKFLOW_TASK_STARTED, task->started_us);
    event->has_event_id = true;
    event->event_id = task->started_event_id;
    Api__WorkflowTaskStartedEventAttributes *attributes =
        event->workflow_task_started_event_attributes;
    attributes->has_scheduled_event_id = true;
    attributes->scheduled_event_id = task->scheduled_event_id;
    attributes->identity = task->identity;
    attributes->has_history_size_bytes = true;
    attributes->history_size_bytes = (int64_t)run->history.size;
    return event;
}

int32_t workflow_task_dispatch_number(const struct workflow_task *task)
{
    return (int32_t)(uint32_t)task->started_us;
}

static Api__PollWorkflowTaskQueueResponse *task_response(struct core *core, struct run *run,
                                                         bool sticky)
{
    struct arena *arena = &core->outbox->arena;
    const struct workflow_task *task = &run->workflow_task;
    Api__PollWorkflowTaskQueueResponse *response =
        workflow_task_response(core, run, task->started_event_id);
    struct task_token token = {.kind = TASK_WORKFLOW,
                               .id = task->started_event_id,
                               .attempt = task->attempt,
                               .dispatch = workflow_task_dispatch_number(task)};
    memcpy(token.run_id, run->run_id, sizeof token.run_id);
    response->has_task_token = true;
    response->task_token = task_token_encode(&token, arena);
    response->has_attempt = true;
    response->attempt = task->attempt;
    response->scheduled_time = timestamp_new(arena, task->scheduled_us);
    response->started_time = timestamp_new(arena, task->started_us);
    struct history_page page = {.next_event_id = sticky ? run->completed_started_id + 1 : 1,
                                .with_transient = task->attempt > 1};
    response->history = history_page_read(core, run, &page, LIMIT_HISTORY_PAGE);
    if (page.next_event_id != 0) {
        response->has_next_page_token = true;
        response->next_page_token = history_page_token(run, &page, arena);
    }
    return response;
}

Api__PollWorkflowTaskQueueResponse *workflow_task_response(struct core *core, const struct run *run,
                                                           int64_t started_event_id)
{
    struct arena *arena = &core->outbox->arena;
    Api__PollWorkflowTaskQueueResponse *response =
        message_new(arena, &api__poll_workflow_task_queue_response__descriptor);
    response->workflow_execution = message_new(arena, &api__workflow_execution__descriptor);
    response->workflow_execution->workflow_id = run->workflow_id;
    response->workflow_execution->run_id = run->run_id;
    response->workflow_type = message_new(arena, &api__workflow_type__descriptor);
    response->workflow_type->name = run->workflow_type;
    response->has_previous_started_event_id = response->has_started_event_id = true;
    response->previous_started_event_id = run->completed_started_id;
    response->started_event_id = started_event_id;
    response->workflow_execution_task_queue = message_new(arena, &api__task_queue__descriptor);
    response->workflow_execution_task_queue->name = run->task_queue;
    response->workflow_execution_task_queue->has_kind = true;
    response->workflow_execution_task_queue->kind = TASK_QUEUE_KIND_NORMAL;
    return response;
}

void workflow_task_dispatch(struct core *core, struct run *run, struct pending *poll)
{
    bool sticky = run->workflow_task.sticky;
    if (run->workflow_task.attempt == 1)
        start_first(core, run, poll->identity);
    else
        start_transient(core, run, poll->identity);
    workflow_task_arm(core, run);
    Api__PollWorkflowTaskQueueResponse *response = task_response(core, run, sticky);
    query_attach(core, run, response);
    reply_send_to(core, &poll->key, poll->standing, true, response);
    run_settle(core, run);
}

/* --- ending ------------------------------------------------------------------------------------
 */

bool run_flush(struct core *core, struct run *run)
{
    if (run->buffered.count == 0)
        return false;
    Engine__BufferFlushed flushed = ENGINE__BUFFER_FLUSHED__INIT;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_BUFFER_FLUSHED;
    record.buffer_flushed = &flushed;
    run_record(core, run, &record);
    return true;
}

void run_settle(struct core *core, struct run *run)
{
    history_notify(core, run);
    query_settle(core, run);
}

static void record_transient_failed(struct core *core, struct run *run, const char *reason)
{
    Engine__WorkflowTaskFailed failed = ENGINE__WORKFLOW_TASK_FAILED__INIT;
    failed.has_time_utc_us = true;
    failed.time_utc_us = core->now_us;
    failed.reason = reason;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_WORKFLOW_TASK_FAILED;
    record.workflow_task_failed = &failed;
    run_record(core, run, &record);
}

static void record_failed(struct core *core, struct run *run, Api__WorkflowTaskFailedCause cause,
                          const Api__Failure *failure, const char *identity)
{
    const struct workflow_task *task = &run->workflow_task;
    if (task->attempt > 1) {
        record_transient_failed(core, run, failure != NULL ? failure->message : NULL);
        return;
    }
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_WORKFLOW_TASK_FAILED);
    Api__WorkflowTaskFailedEventAttributes *attributes =
        event->workflow_task_failed_event_attributes;
    attributes->has_scheduled_event_id = attributes->has_started_event_id = true;
    attributes->scheduled_event_id = task->scheduled_event_id;
    attributes->started_event_id = task->started_event_id;
    attributes->has_cause = true;
    attributes->cause = cause;
    attributes->failure = message_copy(&run->arena, failure);
    attributes->identity = text_copy(&run->arena, identity);
    run_event(core, run, event);
}

static void record_timed_out(struct core *core, struct run *run, Api__TimeoutType type)
{
    const struct workflow_task *task = &run->workflow_task;
    if (task->attempt > 1) {
        record_transient_failed(core, run, "start-to-close timeout");
        return;
    }
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT);
    Api__WorkflowTaskTimedOutEventAttributes *attributes =
        event->workflow_task_timed_out_event_attributes;
    attributes->has_scheduled_event_id = attributes->has_timeout_type = true;
    attributes->scheduled_event_id = task->scheduled_event_id;
    if (type == TIMEOUT_TYPE_START_TO_CLOSE) {
        attributes->has_started_event_id = true;
        attributes->started_event_id = task->started_event_id;
    }
    attributes->timeout_type = type;
    run_event(core, run, event);
}

/* The failed task is followed by another. */
static void go_on(struct core *core, struct run *run)
{
    query_task_ended(core, run);
    run_flush(core, run);
    workflow_task_need(core, run);
    run_settle(core, run);
}

void workflow_task_fail(struct core *core, struct run *run, Api__WorkflowTaskFailedCause cause,
                        const Api__Failure *failure, const char *identity)
{
    workflow_task_disarm(core, run);
    record_failed(core, run, cause, failure, identity);
    go_on(core, run);
}

void run_make_room(struct core *core, struct run *run)
{
    if (run->buffered.count + 2 > LIMIT_BUFFERED_EVENTS || run->buffered.size > LIMIT_BUFFERED_SIZE)
        workflow_task_fail(core, run, WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND,
                           failure_server(&core->outbox->arena,
                                          "too many events wait for the workflow task", false),
                           run->workflow_task.identity);
}

void workflow_task_lost(struct core *core, struct run *run, const char *reason)
{
    struct arena *arena = &core->outbox->arena;
    const Api__Failure *failure =
        failure_server(arena, text_format(arena, "workflow worker lost: %s", reason), false);
    workflow_task_fail(core, run, WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE,
                       failure, text_copy(arena, run->workflow_task.identity));
}

void workflow_task_unstick(struct core *core, struct run *run)
{
    if (run->workflow_task.state == WORKFLOW_TASK_SCHEDULED && run->workflow_task.sticky) {
        workflow_task_disarm(core, run);
        record_timed_out(core, run, TIMEOUT_TYPE_SCHEDULE_TO_START);
        go_on(core, run);
    } else if (run->sticky_queue != NULL) {
        sticky_clear(core, run);
    }
}

void workflow_task_due(struct core *core, struct run *run)
{
    switch (run->workflow_task.state) {
    case WORKFLOW_TASK_NONE: /* the start delay is over */
        workflow_task_need(core, run);
        run_settle(core, run);
        break;
    case WORKFLOW_TASK_SCHEDULED:
        workflow_task_unstick(core, run);
        break;
    case WORKFLOW_TASK_STARTED:
        workflow_task_disarm(core, run);
        record_timed_out(core, run, TIMEOUT_TYPE_START_TO_CLOSE);
        go_on(core, run);
        break;
    }
}

void workflow_task_force_close(struct core *core, struct run *run, const char *identity)
{
    workflow_task_disarm(core, run);
    if (run->workflow_task.state == WORKFLOW_TASK_STARTED)
        record_failed(core, run, WORKFLOW_TASK_FAILED_CAUSE_FORCE_CLOSE_COMMAND, NULL, identity);
    run_flush(core, run);
}
