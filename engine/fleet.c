/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet: who is connected, what each polls for and works on, which queues are paused
 * (DescribeFleet). An operator's question, asked now and then: it looks into each queue for each
 * session.
 */
#include <string.h>

#include "common/assert.h"
#include "engine/activity.h"
#include "engine/handler.h"

/* Tasks in one answer: with ids and types of full length and progress each takes some 5 KiB. */
#define TASKS_TOLD_MAX 500
/* Of a heartbeat's details so much is told as progress: they may be a checkpoint of megabytes. */
#define PROGRESS_SIZE_MAX 256

struct telling {
    struct core *core;
    Api__DescribeFleetResponse *response;
    Api__FleetSession *session;
    const struct queue *queue;
    size_t tasks_told;
};

static void tell_poll(void *context, const struct task_queue_poll_info *info)
{
    struct telling *telling = context;
    struct arena *arena = &telling->core->outbox->arena;
    Api__FleetPoll *poll = message_new(arena, &api__fleet_poll__descriptor);
    poll->queue = text_copy(arena, telling->queue->name);
    poll->kind = queue_kind_name(telling->queue->kind);
    poll->has_slots = poll->has_slots_used = true;
    poll->slots = info->slots;
    poll->slots_used = info->held;
    telling->session->polls[telling->session->n_polls++] = poll;
}

static bool is_json(const Api__Payload *payload)
{
    static const char encoding[] = "json/plain";
    for (size_t i = 0; i < payload->n_metadata; i++) {
        const Api__Payload__MetadataEntry *entry = payload->metadata[i];
        if (strcmp(text_or_empty(entry->key), "encoding") == 0)
            return entry->value.len == strlen(encoding) &&
                   memcmp(entry->value.data, encoding, entry->value.len) == 0;
    }
    return false;
}

/* The beginning of the last heartbeat's JSON; NULL when it is anything else. */
static const char *progress_text(const struct activity *activity, struct arena *arena)
{
    const Api__Payloads *details = (const Api__Payloads *)activity->heartbeat_details.message;
    if (details == NULL || details->n_payloads != 1)
        return NULL;
    const Api__Payload *payload = details->payloads[0];
    if (payload->data.len == 0 || !is_json(payload))
        return NULL;
    size_t size = payload->data.len < PROGRESS_SIZE_MAX ? payload->data.len : PROGRESS_SIZE_MAX;
    return text_copy_valid(arena,
                           text_format(arena, "%.*s", (int)size, (const char *)payload->data.data));
}

static void tell_activity(struct core *core, const struct activity *activity, Api__FleetTask *row)
{
    struct arena *arena = &core->outbox->arena;
    row->type = activity->attributes->activity_type->name;
    row->activity_id = activity->attributes->activity_id;
    row->has_attempt = row->has_running_us = true;
    row->attempt = activity->attempt;
    row->running_us = core->now_us - activity->started_us;
    if (activity->heartbeat_us_last == 0)
        return;
    row->has_heartbeat_age_us = true;
    row->heartbeat_age_us = core->now_us - activity->heartbeat_us_last;
    row->progress = progress_text(activity, arena);
}

static void tell_task(void *context, uint64_t number)
{
    struct telling *telling = context;
    struct core *core = telling->core;
    struct task *task = (struct task *)(uintptr_t)number;
    if (telling->tasks_told == TASKS_TOLD_MAX) {
        telling->response->tasks_left_out++;
        return;
    }
    telling->tasks_told++;
    Api__FleetTask *row = message_new(&core->outbox->arena, &api__fleet_task__descriptor);
    row->queue = text_copy(&core->outbox->arena, telling->queue->name);
    row->workflow_id = task->run->workflow_id;
    if (task->kind == TASK_ACTIVITY) {
        row->kind = "activity";
        tell_activity(core, container_of(task, struct activity, task), row);
    } else {
        row->kind = task->kind == TASK_QUERY ? "query" : "workflow";
        row->type = task->run->workflow_type;
        row->has_running_us = task->kind == TASK_WORKFLOW;
        row->running_us =
            row->has_running_us ? core->now_us - task->run->workflow_task.started_us : 0;
    }
    telling->session->tasks[telling->session->n_tasks++] = row;
}

static Api__FleetSession *session_message(struct core *core, const struct session *session)
{
    struct arena *arena = &core->outbox->arena;
    Api__FleetSession *message = message_new(arena, &api__fleet_session__descriptor);
    message->identity = text_copy(arena, text_or_empty(session->identity));
    message->node = text_copy(arena, text_or_empty(session->node));
    message->instance_id = text_copy(arena, text_or_empty(session->instance_id));
    message->has_pid = message->has_serves_node = message->has_dispatched_total = true;
    message->dispatched_total = (int64_t)session->dispatched_total;
    message->pid = session->pid;
    message->serves_node = node_link_find(session) != NULL;
    return message;
}

/* Room for what the session polls and holds. */
static void make_room(struct core *core, const struct session *session, Api__FleetSession *message)
{
    size_t polls = 0, tasks = 0;
    for (const struct queue *queue = core->queues; queue != NULL; queue = queue->hh.next) {
        struct task_queue_session_info info;
        task_queue_session_get(queue->tasks, session->id, &info);
        polls += info.polls;
        tasks += info.held;
    }
    message->polls = arena_calloc(&core->outbox->arena, polls + 1, sizeof(void *));
    message->tasks = arena_calloc(&core->outbox->arena, tasks + 1, sizeof(void *));
    ASSERT(message->polls != NULL && message->tasks != NULL);
}

static void tell_session(struct telling *telling, const struct session *session)
{
    struct core *core = telling->core;
    telling->session = session_message(core, session);
    make_room(core, session, telling->session);
    for (const struct queue *queue = core->queues; queue != NULL; queue = queue->hh.next) {
        telling->queue = queue;
        task_queue_session_each(queue->tasks, session->id, tell_poll, tell_task, telling);
    }
    telling->response->sessions[telling->response->n_sessions++] = telling->session;
}

enum core_result handle_describe_fleet(struct core *core, const struct core_request *request,
                                       struct core_need *need)
{
    (void)need;
    struct arena *arena = &core->outbox->arena;
    Api__DescribeFleetResponse *response =
        message_new(arena, &api__describe_fleet_response__descriptor);
    response->sessions = arena_calloc(arena, HASH_COUNT(core->sessions) + 1, sizeof(void *));
    ASSERT(response->sessions != NULL);
    response->has_tasks_left_out = true;
    struct telling telling = {.core = core, .response = response};
    for (const struct session *session = core->sessions; session != NULL;
         session = session->hh.next)
        tell_session(&telling, session);
    queues_paused_fill(core, response);
    reply_send(core, request, response);
    return CORE_HANDLED;
}
