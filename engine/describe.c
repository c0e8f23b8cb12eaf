/* SPDX-License-Identifier: Apache-2.0 */
/* describe: what a run or a task queue looks like now. */
#include <string.h>

#include "common/assert.h"
#include "engine/activity.h"
#include "engine/handler.h"
#include "engine/validate.h"

/* --- a run ---------------------------------------------------------------------------------------
 */

/* The last value of each key, over the start and the later upserts of the history. The fields are
 * entries of two maps with the same layout of (key, payload). */
static Api__Memo *merged_memo(struct core *core, const struct run *run)
{
    struct arena *arena = &core->outbox->arena;
    Api__Memo *memo = message_new(arena, &api__memo__descriptor);
    const Api__Memo *first = run->attributes->memo;
    size_t room = first != NULL ? first->n_fields : 0;
    for (size_t i = 0; i < run->history.count; i++) {
        const Api__HistoryEvent *event = run->history.entries[i].event;
        if (event->event_type == EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED &&
            event->workflow_properties_modified_event_attributes->upserted_memo != NULL)
            room += event->workflow_properties_modified_event_attributes->upserted_memo->n_fields;
    }
    memo->fields = arena_alloc(arena, (room + 1) * sizeof memo->fields[0]);
    ASSERT(memo->fields != NULL);
    for (size_t i = 0; i < run->history.count; i++) {
        const Api__HistoryEvent *event = run->history.entries[i].event;
        const Api__Memo *from = i == 0 ? first : NULL;
        if (event->event_type == EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED)
            from = event->workflow_properties_modified_event_attributes->upserted_memo;
        for (size_t f = 0; from != NULL && f < from->n_fields; f++) {
            size_t place = 0;
            while (place < memo->n_fields && strcmp(text_or_empty(memo->fields[place]->key),
                                                    text_or_empty(from->fields[f]->key)) != 0)
                place++;
            memo->fields[place] = from->fields[f];
            if (place == memo->n_fields)
                memo->n_fields++;
        }
    }
    return memo;
}

static Api__SearchAttributes *merged_search_attributes(struct core *core, const struct run *run)
{
    struct arena *arena = &core->outbox->arena;
    Api__SearchAttributes *merged = message_new(arena, &api__search_attributes__descriptor);
    const Api__SearchAttributes *first = run->attributes->search_attributes;
    size_t room = first != NULL ? first->n_indexed_fields : 0;
    for (size_t i = 0; i < run->history.count; i++) {
        const Api__HistoryEvent *event = run->history.entries[i].event;
        if (event->event_type != EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)
            continue;
        const Api__SearchAttributes *from =
            event->upsert_workflow_search_attributes_event_attributes->search_attributes;
        room += from != NULL ? from->n_indexed_fields : 0;
    }
    merged->indexed_fields = arena_alloc(arena, (room + 1) * sizeof merged->indexed_fields[0]);
    ASSERT(merged->indexed_fields != NULL);
    for (size_t i = 0; i < run->history.count; i++) {
        const Api__HistoryEvent *event = run->history.entries[i].event;
        const Api__SearchAttributes *from = i == 0 ? first : NULL;
        if (event->event_type == EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES)
            from = event->upsert_workflow_search_attributes_event_attributes->search_attributes;
        for (size_t f = 0; from != NULL && f < from->n_indexed_fields; f++) {
            size_t place = 0;
            while (place < merged->n_indexed_fields &&
                   strcmp(text_or_empty(merged->indexed_fields[place]->key),
                          text_or_empty(from->indexed_fields[f]->key)) != 0)
                place++;
            merged->indexed_fields[place] = from->indexed_fields[f];
            if (place == merged->n_indexed_fields)
                merged->n_indexed_fields++;
        }
    }
    return merged;
}

static Api__WorkflowExecutionInfo *execution_info(struct core *core, const struct run *run)
{
    struct arena *arena = &core->outbox->arena;
    Api__WorkflowExecutionInfo *info =
        message_new(arena, &api__workflow_execution_info__descriptor);
    info->execution = message_new(arena, &api__workflow_execution__descriptor);
    info->execution->workflow_id = run->workflow_id;
    info->execution->run_id = run->run_id;
    info->type = message_new(arena, &api__workflow_type__descriptor);
    info->type->name = run->workflow_type;
    info->start_time = timestamp_new(arena, run->start_us);
    info->execution_time = timestamp_new(arena, run->start_us + run->start_delay_us);
    if (!run_is_open(run)) {
        info->close_time = timestamp_new(arena, run->close_us);
        info->execution_duration = duration_new(arena, run->close_us - run->start_us);
    }
    info->has_status = info->has_history_length = info->has_history_size_bytes = true;
    info->status = run->status;
    info->history_length = (int64_t)run->history.count;
    info->history_size_bytes = (int64_t)run->history.size;
    info->memo = merged_memo(core, run);
    info->search_attributes = merged_search_attributes(core, run);
    info->task_queue = run->task_queue;
    info->first_run_id = run->run_id;
    info->root_execution = info->execution;
    info->priority = run->attributes->priority;
    return info;
}

static Api__PendingActivityInfo *activity_info(struct core *core, const struct activity *activity)
{
    struct arena *arena = &core->outbox->arena;
    static const Api__PendingActivityState states[] = {
        [ACTIVITY_SCHEDULED] = PENDING_ACTIVITY_STATE_SCHEDULED,
        [ACTIVITY_STARTED] = PENDING_ACTIVITY_STATE_STARTED,
        [ACTIVITY_CANCELING] = PENDING_ACTIVITY_STATE_CANCEL_REQUESTED,
    };
    Api__PendingActivityInfo *info = message_new(arena, &api__pending_activity_info__descriptor);
    info->activity_id = activity->attributes->activity_id;
    info->activity_type = activity->attributes->activity_type;
    info->has_state = info->has_attempt = info->has_maximum_attempts = true;
    info->state = states[activity->state];
    info->attempt = activity->attempt;
    info->maximum_attempts = activity->retry.maximum_attempts;
    info->scheduled_time = timestamp_new(arena, activity->scheduled_us);
    if (activity->schedule_to_close_us > 0)
        info->expiration_time =
            timestamp_new(arena, activity->scheduled_us + activity->schedule_to_close_us);
    info->heartbeat_details = activity->heartbeat_details.message;
    if (activity->heartbeat_us_last > 0)
        info->last_heartbeat_time = timestamp_new(arena, activity->heartbeat_us_last);
    if (activity->started_us > 0)
        info->last_started_time = timestamp_new(arena, activity->started_us);
    info->last_failure = activity->last_failure.message;
    info->last_worker_identity = activity->identity;
    if (activity->attempt_ended_us > 0)
        info->last_attempt_complete_time = timestamp_new(arena, activity->attempt_ended_us);
    if (!activity_is_started(activity) && activity->due_us > core->now_us) {
        info->next_attempt_schedule_time = timestamp_new(arena, activity->due_us);
        info->current_retry_interval =
            duration_new(arena, activity->due_us - activity->attempt_ended_us);
    }
    info->priority = activity->attributes->priority;
    return info;
}

static Api__PendingWorkflowTaskInfo *workflow_task_info(struct core *core, const struct run *run)
{
    struct arena *arena = &core->outbox->arena;
    const struct workflow_task *task = &run->workflow_task;
    if (task->state == WORKFLOW_TASK_NONE)
        return NULL;
    Api__PendingWorkflowTaskInfo *info =
        message_new(arena, &api__pending_workflow_task_info__descriptor);
    info->has_state = info->has_attempt = true;
    info->state = PENDING_WORKFLOW_TASK_STATE_SCHEDULED;
    info->attempt = task->attempt;
    info->scheduled_time = timestamp_new(arena, task->scheduled_us);
    info->original_scheduled_time = info->scheduled_time;
    if (task->state == WORKFLOW_TASK_STARTED) {
        info->state = PENDING_WORKFLOW_TASK_STATE_STARTED;
        info->started_time = timestamp_new(arena, task->started_us);
    }
    return info;
}

enum core_result handle_describe(struct core *core, const struct core_request *request,
                                 struct core_need *need)
{
    const Api__DescribeWorkflowExecutionRequest *body =
        (const Api__DescribeWorkflowExecutionRequest *)request->body;
    struct run *run;
    if (!core_run_read(core, request, body->execution, need, &run))
        return CORE_NEEDS_RUN;
    if (run == NULL)
        return CORE_HANDLED;
    struct arena *arena = &core->outbox->arena;
    Api__DescribeWorkflowExecutionResponse *response =
        message_new(arena, &api__describe_workflow_execution_response__descriptor);
    Api__WorkflowExecutionConfig *config =
        message_new(arena, &api__workflow_execution_config__descriptor);
    config->task_queue = run->attributes->task_queue;
    config->workflow_execution_timeout = run->attributes->workflow_execution_timeout;
    config->workflow_run_timeout = run->attributes->workflow_run_timeout;
    config->default_workflow_task_timeout = run->attributes->workflow_task_timeout;
    config->user_metadata = run->history.entries[0].event->user_metadata;
    response->execution_config = config;
    response->workflow_execution_info = execution_info(core, run);
    response->pending_workflow_task = workflow_task_info(core, run);
    response->pending_activities =
        arena_alloc(arena, (run->activity_count + 1) * sizeof response->pending_activities[0]);
    ASSERT(response->pending_activities != NULL);
    struct activity *activity;
    DL_FOREACH (run->activities, activity)
        response->pending_activities[response->n_pending_activities++] =
            activity_info(core, activity);
    reply_send(core, request, response);
    return CORE_HANDLED;
}

/* --- a task queue
 * ---------------------------------------------------------------------------------- */

struct poller_list {
    struct core *core;
    Api__DescribeTaskQueueResponse *response;
};

static void add_poller(void *context, const struct task_queue_poll_info *info)
{
    struct poller_list *list = context;
    struct arena *arena = &list->core->outbox->arena;
    const struct pending *pending = pending_find(list->core, info->session, info->correlation_id);
    Api__PollerInfo *poller = message_new(arena, &api__poller_info__descriptor);
    poller->last_access_time = timestamp_new(arena, info->polled_us);
    poller->identity = pending != NULL ? text_copy(arena, pending->identity) : NULL;
    poller->has_slots = poller->has_slots_used = true;
    poller->slots = info->slots;
    poller->slots_used = info->held;
    poller->n_registered_types = info->type_count;
    poller->registered_types = arena_calloc(arena, info->type_count, sizeof(char *));
    ASSERT(poller->registered_types != NULL);
    for (size_t i = 0; i < info->type_count; i++)
        poller->registered_types[i] = text_copy(arena, info->types[i]);
    list->response->pollers[list->response->n_pollers++] = poller;
}

static Api__TaskQueueStats *stats_message(struct core *core, uint64_t backlog, int64_t oldest_us)
{
    struct arena *arena = &core->outbox->arena;
    Api__TaskQueueStats *message = message_new(arena, &api__task_queue_stats__descriptor);
    message->has_approximate_backlog_count = true;
    message->approximate_backlog_count = (int64_t)backlog;
    int64_t age_us = oldest_us < core->now_us ? core->now_us - oldest_us : 0;
    message->approximate_backlog_age = duration_new(arena, age_us);
    return message;
}

static void fill_queue(struct core *core, const struct queue *queue,
                       Api__DescribeTaskQueueResponse *response)
{
    struct arena *arena = &core->outbox->arena;
    struct task_queue_stats stats;
    task_queue_stats_get(queue->tasks, core->now_us, &stats);
    response->pollers = arena_alloc(arena, (stats.polls + 1) * sizeof response->pollers[0]);
    ASSERT(response->pollers != NULL);
    task_queue_each_poll(queue->tasks, add_poller, &(struct poller_list){core, response});
    response->stats = stats_message(core, stats.backlog, stats.oldest_us);
    response->stats->tasks_add_rate = (float)stats.offer_rate;
    response->stats->tasks_dispatch_rate = (float)stats.match_rate;
    response->in_flight = (int64_t)stats.in_flight;
    response->stats_by_priority_key =
        arena_alloc(arena, TASK_QUEUE_PRIORITIES * sizeof response->stats_by_priority_key[0]);
    ASSERT(response->stats_by_priority_key != NULL);
    for (int i = 0; i < TASK_QUEUE_PRIORITIES; i++) {
        if (stats.backlog_by_priority[i] == 0)
            continue;
        Api__DescribeTaskQueueResponse__StatsByPriorityKeyEntry *entry = message_new(
            arena, &api__describe_task_queue_response__stats_by_priority_key_entry__descriptor);
        entry->has_key = true;
        entry->key = i + 1;
        entry->value = stats_message(core, stats.backlog_by_priority[i], INT64_MAX);
        response->stats_by_priority_key[response->n_stats_by_priority_key++] = entry;
    }
}

enum core_result handle_describe_task_queue(struct core *core, const struct core_request *request,
                                            struct core_need *need)
{
    (void)need;
    const Api__DescribeTaskQueueRequest *body =
        (const Api__DescribeTaskQueueRequest *)request->body;
    struct error err;
    if (validate_task_queue(body->task_queue, &err) < 0) {
        reply_error(core, request, ERR_INVALID, "%s", err.text);
        return CORE_HANDLED;
    }
    enum queue_kind kind = QUEUE_WORKFLOW;
    if (body->task_queue_type == TASK_QUEUE_TYPE_ACTIVITY)
        kind = QUEUE_ACTIVITY;
    else if (body->task_queue->kind == TASK_QUEUE_KIND_STICKY)
        kind = QUEUE_STICKY;
    Api__DescribeTaskQueueResponse *response =
        message_new(&core->outbox->arena, &api__describe_task_queue_response__descriptor);
    const struct queue *queue = queue_find(core, kind, body->task_queue->name);
    if (queue != NULL)
        fill_queue(core, queue, response);
    else
        response->stats = stats_message(core, 0, INT64_MAX);
    response->has_in_flight = response->has_paused = true;
    response->paused = kind != QUEUE_STICKY && queue_is_paused(core, body->task_queue->name);
    response->stats->has_tasks_add_rate = response->stats->has_tasks_dispatch_rate = true;
    if (kind == QUEUE_ACTIVITY) {
        response->has_max_in_flight = response->has_slots = true;
        queue_setting_read(core, body->task_queue->name, &response->max_in_flight,
                           &response->slots);
    }
    reply_send(core, request, response);
    return CORE_HANDLED;
}
