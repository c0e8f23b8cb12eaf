/* SPDX-License-Identifier: Apache-2.0 */
/*
 * queue: the core's task queues by kind and name; the matching itself is queues/task_queue.h.
 *
 * Whatever may make a match possible marks the queue dirty; queues_match, at the end of every call,
 * hands out what can go. A sticky queue nobody uses
 * is dropped, another one when there are many.
 */
#include <string.h>

#include "common/assert.h"
#include "common/time_unit.h"
#include "engine/activity.h"
#include "engine/core_state.h"
#include "engine/query.h"
#include "engine/workflow_task.h"

/* A sticky queue without a poll is given this long for the next poll of its worker: one-shot polls
 * leave gaps between them. */
#define ALIVE_US (10 * US_PER_S)

/* So many queues keep their counters when nobody uses them: one that is dropped begins again at 0,
 * which a monitor takes for a restart. Some 2 KiB each. */
#define QUEUES_KEPT 1024

struct queue *queue_find(const struct core *core, enum queue_kind kind, const char *name)
{
    char key[LIMIT_ID_LENGTH + 2];
    size_t length = strlen(name) + 1;
    ASSERT(length < sizeof key);
    key[0] = (char)kind;
    memcpy(key + 1, name, length);
    struct queue *queue;
    HASH_FIND(hh, core->queues, key, length, queue);
    return queue;
}

struct queue *queue_get(struct core *core, enum queue_kind kind, const char *name)
{
    struct queue *queue = queue_find(core, kind, name);
    if (queue != NULL)
        return queue;
    size_t length = strlen(name);
    queue = calloc(1, sizeof *queue + length + 2);
    ASSERT(queue != NULL);
    queue->kind = kind;
    queue->key[0] = (char)kind;
    memcpy(queue->key + 1, name, length);
    queue->name = queue->key + 1;
    queue->tasks = task_queue_create();
    HASH_ADD_KEYPTR(hh, core->queues, queue->key, length + 1, queue);
    queue_setting_apply(core, queue);
    return queue;
}

void queue_dirty(struct core *core, struct queue *queue)
{
    if (queue->is_dirty)
        return;
    queue->is_dirty = true;
    LL_APPEND2(core->dirty_queues, queue, dirty_next);
}

void queue_offer(struct core *core, struct queue *queue, struct task *task, const char *type,
                 int priority, int64_t since_us, int64_t event_id)
{
    ASSERT(task->queue == NULL);
    task->queue = queue;
    task->session = 0;
    task_queue_offer(queue->tasks,
                     &(struct task_queue_task){.id = (uintptr_t)task,
                                               .type = type,
                                               .priority = priority,
                                               .since_us = since_us,
                                               .rank = event_id,
                                               .is_suspect = task->is_suspect},
                     core->now_us);
    queue_dirty(core, queue);
}

void queue_remove(struct core *core, struct task *task)
{
    if (task->queue == NULL)
        return;
    bool removed = task_queue_remove(task->queue->tasks, (uintptr_t)task);
    ASSERT(removed);
    queue_dirty(core, task->queue);
    task->queue = NULL;
    task->session = 0;
}

void queue_hold(struct core *core, struct queue *queue, struct task *task, uint64_t session)
{
    ASSERT(task->queue == NULL || task->queue == queue);
    task_queue_hold(queue->tasks, (uintptr_t)task, task->is_suspect, session);
    task->queue = queue;
    task->session = session;
    queue_dirty(core, queue);
}

bool queue_is_alive(const struct core *core, const struct queue *queue)
{
    if (queue == NULL)
        return false;
    if (queue->polled_us + ALIVE_US > core->now_us)
        return true;
    struct task_queue_stats stats;
    task_queue_stats_get(queue->tasks, core->now_us, &stats);
    return stats.polls > 0;
}

static void hand_out(struct core *core, struct queue *queue, const struct task_queue_match *match)
{
    struct task *task = (struct task *)(uintptr_t)match->task;
    ASSERT(task->queue == queue && task->session == 0);
    task->session = match->session;
    struct pending *poll = pending_find(core, match->session, match->correlation_id);
    ASSERT(poll != NULL && poll->kind == PENDING_POLL && poll->standing == match->standing);
    queue->polled_us = core->now_us;
    poll->session->dispatched_total++;
    switch (task->kind) {
    case TASK_WORKFLOW:
        workflow_task_dispatch(core, task->run, poll);
        break;
    case TASK_ACTIVITY:
        activity_dispatch(core, container_of(task, struct activity, task), poll);
        break;
    case TASK_QUERY:
        query_dispatch(core, container_of(task, struct query, task), poll);
        break;
    }
    if (!match->standing)
        pending_destroy(core, poll);
}

static bool is_kept(const struct core *core, const struct queue *queue)
{
    if (queue->kind == QUEUE_STICKY)
        return queue->polled_us + ALIVE_US > core->now_us;
    return HASH_COUNT(core->queues) <= QUEUES_KEPT;
}

static void drop(struct core *core, struct queue *queue)
{
    if (queue->kind == QUEUE_STICKY) {
        struct task_queue_stats stats;
        task_queue_stats_get(queue->tasks, core->now_us, &stats);
        core->sticky_retired.added_total += stats.offered_total;
        core->sticky_retired.dispatched_total += stats.matched_total;
    }
    HASH_DEL(core->queues, queue);
    task_queue_destroy(queue->tasks);
    free(queue);
}

void queues_match(struct core *core)
{
    while (core->dirty_queues != NULL) {
        struct queue *queue = core->dirty_queues;
        struct task_queue_match match;
        while (task_queue_match(queue->tasks, core->now_us, &match))
            hand_out(core, queue, &match);
        LL_DELETE2(core->dirty_queues, queue, dirty_next);
        queue->is_dirty = false;
        if (task_queue_is_idle(queue->tasks) && !is_kept(core, queue))
            drop(core, queue);
    }
}

void queues_destroy(struct core *core)
{
    struct queue *queue, *next;
    core->dirty_queues = NULL;
    HASH_ITER (hh, core->queues, queue, next) {
        HASH_DEL(core->queues, queue);
        task_queue_destroy(queue->tasks);
        free(queue);
    }
}
