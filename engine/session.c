/* SPDX-License-Identifier: Apache-2.0 */
/*
 * session: who is at the other end: Hello, the end of a session, deaths that a node's link reports,
 * and the grace in which sessions claim their tasks after a recovery (docs/spec/03-activity.md,
 * section 4).
 */
#include <string.h>

#include "common/assert.h"
#include "engine/activity.h"
#include "engine/handler.h"
#include "engine/query.h"
#include "engine/task_token.h"
#include "engine/validate.h"
#include "engine/workflow_task.h"

struct session *session_get(struct core *core, uint64_t id)
{
    struct session *session;
    HASH_FIND(hh, core->sessions, &id, sizeof id, session);
    if (session != NULL)
        return session;
    session = calloc(1, sizeof *session);
    ASSERT(session != NULL);
    session->id = id;
    HASH_ADD(hh, core->sessions, id, sizeof session->id, session);
    return session;
}

void session_drop(struct core *core, struct session *session)
{
    while (session->pendings != NULL)
        pending_destroy(core, session->pendings);
    HASH_DEL(core->sessions, session);
    free(session->identity);
    free(session->instance_id);
    free(session->node);
    free(session);
}

/* --- the end of a session -----------------------------------------------------------------------
 */

struct lost_tasks {
    struct core *core;
    const char *reason;
    struct task **tasks;
    size_t count, capacity;
};

static void collect(void *context, uint64_t number)
{
    struct lost_tasks *lost = context;
    if (lost->count == lost->capacity) {
        lost->capacity = lost->capacity != 0 ? lost->capacity * 2 : 64;
        lost->tasks = reallocarray(lost->tasks, lost->capacity, sizeof(struct task *));
        ASSERT(lost->tasks != NULL);
    }
    struct task *task = (struct task *)(uintptr_t)number;
    /* It has left its queue. */
    task->queue = NULL;
    task->session = 0;
    lost->tasks[lost->count++] = task;
}

static void task_lost(struct core *core, struct task *task, const char *reason)
{
    switch (task->kind) {
    case TASK_WORKFLOW:
        workflow_task_lost(core, task->run, reason);
        break;
    case TASK_ACTIVITY:
        activity_lost(core, container_of(task, struct activity, task), reason);
        break;
    case TASK_QUERY:
        query_lost(core, container_of(task, struct query, task));
        break;
    }
}

void queue_abandon(struct core *core, struct queue *queue)
{
    struct task_queue_stats stats;
    task_queue_stats_get(queue->tasks, core->now_us, &stats);
    if (stats.polls > 0)
        return;
    queue->polled_us = INT64_MIN / 2;
    for (struct run *run = core->runs, *next; run != NULL; run = next) {
        next = run->hh.next;
        if (run_is_open(run) && run->workflow_task.task.queue == queue &&
            run->workflow_task.task.session == 0)
            workflow_task_unstick(core, run);
    }
    query_unstick(core, queue);
}

int32_t session_end(struct core *core, uint64_t id, const char *reason)
{
    struct session *session;
    HASH_FIND(hh, core->sessions, &id, sizeof id, session);
    if (session == NULL)
        return 0;
    struct pending *pending;
    DL_FOREACH2(session->pendings, pending, session_next)
    {
        if (pending->kind == PENDING_POLL && pending->queue->kind == QUEUE_STICKY)
            pending->queue->is_orphan = true;
    }
    session_drop(core, session);
    struct lost_tasks lost = {.core = core, .reason = reason};
    for (struct queue *queue = core->queues; queue != NULL; queue = queue->hh.next) {
        task_queue_session_remove(queue->tasks, id, collect, &lost);
        queue_dirty(core, queue);
    }
    for (size_t i = 0; i < lost.count; i++)
        task_lost(core, lost.tasks[i], reason);
    free(lost.tasks);
    for (struct queue *queue = core->queues; queue != NULL; queue = queue->hh.next) {
        if (queue->is_orphan)
            queue_abandon(core, queue);
        queue->is_orphan = false;
    }
    return (int32_t)lost.count;
}

void reclaim_end(struct core *core)
{
    static const char reason[] = "not claimed after a restart of the engine";
    for (struct run *run = core->runs, *next; run != NULL; run = next) {
        next = run->hh.next;
        if (!run_is_open(run))
            continue;
        struct activity *activity, *following;
        DL_FOREACH_SAFE (run->activities, activity, following) {
            if (activity->task.session == SESSION_UNCLAIMED)
                activity_lost(core, activity, reason);
        }
        if (run_is_open(run) && run->workflow_task.state == WORKFLOW_TASK_STARTED &&
            run->workflow_task.task.queue == NULL)
            workflow_task_lost(core, run, reason);
    }
}

/* --- hello --------------------------------------------------------------------------------------
 */

static void text_set(char **slot, const char *text)
{
    free(*slot);
    *slot = strdup(text_or_empty(text));
    ASSERT(*slot != NULL);
}

/* The started task that a token names, and the queue that it belongs to; NULL when it is not under
 * way. Queries are not claimed: they are asked again. */
static struct task *find_started(struct core *core, const struct task_token *token,
                                 struct queue **ret_queue)
{
    const Api__WorkflowExecution execution = {.run_id = token->run_id};
    struct run *run = core_run_find(core, &execution);
    if (run == NULL || !run_is_open(run))
        return NULL;
    if (token->kind == TASK_WORKFLOW) {
        struct workflow_task *task = &run->workflow_task;
        if (task->state != WORKFLOW_TASK_STARTED || task->started_event_id != token->id ||
            task->attempt != token->attempt ||
            workflow_task_dispatch_number(task) != token->dispatch)
            return NULL;
        *ret_queue = task->sticky && run->sticky_queue != NULL
                         ? queue_get(core, QUEUE_STICKY, run->sticky_queue)
                         : queue_get(core, QUEUE_WORKFLOW, run->task_queue);
        return &task->task;
    }
    struct activity *activity =
        token->kind == TASK_ACTIVITY ? run_activity_get(run, token->id) : NULL;
    if (activity == NULL || !activity_is_started(activity) || activity->attempt != token->attempt ||
        activity->dispatch != token->dispatch)
        return NULL;
    *ret_queue = queue_get(core, QUEUE_ACTIVITY, activity->attributes->task_queue->name);
    return &activity->task;
}

/* Gives the task a token names to this session, if it may have it: nobody holds it, or the session
 * before of the same process does. */
static bool claim(struct core *core, ProtobufCBinaryData data, uint64_t session,
                  uint64_t predecessor)
{
    struct task_token token;
    struct queue *queue;
    if (task_token_decode(data, &token, NULL) < 0)
        return false;
    struct task *task = find_started(core, &token, &queue);
    if (task == NULL)
        return false;
    if (task->session == session)
        return true;
    if (task->session != 0 && task->session != SESSION_UNCLAIMED && task->session != predecessor)
        return false;
    queue_remove(core, task);
    queue_hold(core, queue, task, session);
    return true;
}

static struct session *find_predecessor(struct core *core, const struct session *session,
                                        const char *instance_id)
{
    if (*instance_id == '\0')
        return NULL;
    for (struct session *other = core->sessions; other != NULL; other = other->hh.next) {
        if (other != session && strcmp(text_or_empty(other->instance_id), instance_id) == 0)
            return other;
    }
    return NULL;
}

static int check_hello(const Api__HelloRequest *body, struct error *err)
{
    int rc = validate_text("identity", body->identity, err);
    if (rc == 0)
        rc = validate_text("instance id", body->instance_id, err);
    if (rc == 0)
        rc = validate_text("node", body->node, err);
    return rc;
}

/* When the process had a session before, the shell ends that one after this reply: what is not
 * claimed here is lost then. */
enum core_result handle_hello(struct core *core, const struct core_request *request,
                              struct core_need *need)
{
    (void)need;
    const Api__HelloRequest *body = (const Api__HelloRequest *)request->body;
    struct error err;
    int rc = check_hello(body, &err);
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return CORE_HANDLED;
    }
    struct session *session = session_get(core, request->session);
    struct session *before = find_predecessor(core, session, text_or_empty(body->instance_id));
    text_set(&session->identity, body->identity);
    text_set(&session->instance_id, body->instance_id);
    text_set(&session->node, body->node);
    session->pid = body->pid;

    struct arena *arena = &core->outbox->arena;
    Api__HelloResponse *response = message_new(arena, &api__hello_response__descriptor);
    response->lost_task_tokens =
        arena_alloc(arena, (body->n_held_task_tokens + 1) * sizeof(ProtobufCBinaryData));
    ASSERT(response->lost_task_tokens != NULL);
    for (size_t i = 0; i < body->n_held_task_tokens; i++) {
        ProtobufCBinaryData token = body->held_task_tokens[i];
        if (claim(core, token, session->id, before != NULL ? before->id : 0))
            continue;
        response->lost_task_tokens[response->n_lost_task_tokens++] = (ProtobufCBinaryData){
            .len = token.len, .data = memory_copy(arena, token.data, token.len)};
    }
    reply_send(core, request, response);
    return CORE_HANDLED;
}

/* --- deaths -------------------------------------------------------------------------------------
 */

enum core_result handle_worker_lost(struct core *core, const struct core_request *request,
                                    struct core_need *need)
{
    (void)need;
    const Api__WorkerLostRequest *body = (const Api__WorkerLostRequest *)request->body;
    const char *instance_id = text_or_empty(body->instance_id);
    const char *node = text_or_empty(body->node);
    const char *reason = *text_or_empty(body->reason) != '\0' ? body->reason : "process died";
    Api__WorkerLostResponse *response =
        message_new(&core->outbox->arena, &api__worker_lost_response__descriptor);
    response->has_tasks_lost = true;
    for (struct session *session = core->sessions, *next; session != NULL; session = next) {
        next = session->hh.next;
        bool is_it = session->node != NULL && strcmp(session->node, node) == 0 &&
                     session->pid == body->pid && session->id != request->session;
        if (!is_it)
            continue;
        if (*instance_id != '\0' && strcmp(text_or_empty(session->instance_id), instance_id) != 0)
            continue;
        outbox_kill(core->outbox, session->id, reason);
        response->tasks_lost += session_end(core, session->id, reason);
    }
    reply_send(core, request, response);
    return CORE_HANDLED;
}
