/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats: the figures of the core for GetEngineStats; the shell adds its own (server_stats.h). Cost:
 * the queues, the polls of each, and the types that wait there.
 */
#include <string.h>

#include "common/assert.h"
#include "engine/handler.h"

/* Queues in one answer: each takes some 60 bytes and its name. */
#define QUEUES_TOLD_MAX 4096

const char *queue_kind_name(enum queue_kind kind)
{
    switch (kind) {
    case QUEUE_WORKFLOW:
        return "workflow";
    case QUEUE_STICKY:
        return "sticky";
    case QUEUE_ACTIVITY:
        return "activity";
    }
    UNREACHABLE();
}

static Api__QueueStats *row_new(struct core *core, enum queue_kind kind, const char *name)
{
    Api__QueueStats *row = message_new(&core->outbox->arena, &api__queue_stats__descriptor);
    row->queue = text_copy(&core->outbox->arena, name);
    row->kind = queue_kind_name(kind);
    row->has_backlog = row->has_backlog_age_us = row->has_in_flight = true;
    row->has_max_in_flight = row->has_added_total = row->has_dispatched_total = true;
    row->has_pollers = row->has_slots = row->has_slots_used = true;
    row->has_added_rate = row->has_dispatched_rate = row->has_paused = true;
    return row;
}

static void row_add(Api__QueueStats *row, const struct core *core, const struct queue *queue)
{
    struct task_queue_stats stats;
    task_queue_stats_get(queue->tasks, core->now_us, &stats);
    int64_t age_us = stats.oldest_us < core->now_us ? core->now_us - stats.oldest_us : 0;
    if (age_us > row->backlog_age_us)
        row->backlog_age_us = age_us;
    row->backlog += (int64_t)stats.backlog;
    row->in_flight += (int64_t)stats.in_flight;
    row->max_in_flight += stats.limit;
    row->paused = row->paused || stats.is_paused;
    row->added_total += (int64_t)stats.offered_total;
    row->dispatched_total += (int64_t)stats.matched_total;
    row->pollers += (int64_t)stats.polls;
    row->slots += (int64_t)stats.slots;
    row->slots_used += (int64_t)stats.slots_used;
    row->added_rate += stats.offer_rate;
    row->dispatched_rate += stats.match_rate;
}

static void fill_queues(struct core *core, Api__GetEngineStatsResponse *response)
{
    /* One row for all sticky queues: each belongs to one process and goes with it. */
    Api__QueueStats *sticky = row_new(core, QUEUE_STICKY, "");
    sticky->added_total = (int64_t)core->sticky_retired.added_total;
    sticky->dispatched_total = (int64_t)core->sticky_retired.dispatched_total;
    response->queues =
        arena_calloc(&core->outbox->arena, HASH_COUNT(core->queues) + 1, sizeof(void *));
    ASSERT(response->queues != NULL);
    response->queues[response->n_queues++] = sticky;
    for (const struct queue *queue = core->queues; queue != NULL; queue = queue->hh.next) {
        if (queue->kind == QUEUE_STICKY) {
            row_add(sticky, core, queue);
        } else if (response->n_queues < QUEUES_TOLD_MAX) {
            Api__QueueStats *row = row_new(core, queue->kind, queue->name);
            row_add(row, core, queue);
            response->queues[response->n_queues++] = row;
        } else {
            response->queues_left_out++;
        }
    }
}

enum core_result handle_get_engine_stats(struct core *core, const struct core_request *request,
                                         struct core_need *need)
{
    (void)need;
    Api__GetEngineStatsResponse *response =
        message_new(&core->outbox->arena, &api__get_engine_stats_response__descriptor);
    response->has_open_runs = response->has_sessions = response->has_queues_left_out = true;
    response->open_runs = core->open_run_count;
    response->sessions = HASH_COUNT(core->sessions);
    fill_queues(core, response);
    reply_send(core, request, response);
    return CORE_HANDLED;
}
