/* SPDX-License-Identifier: Apache-2.0 */
/* worker_poll: standing polls of a worker and what they bring (worker.h). */
#include <string.h>

#include "common/clock.h"
#include "sdk/worker.h"

/* A poll that was refused is tried again after this. */
#define POLL_RETRY_NS NS_PER_S

static void on_poll_reply(void *context, const struct connection_reply *reply);

static void queue_fill(const struct worker_poll *poll, Api__TaskQueue *queue)
{
    api__task_queue__init(queue);
    queue->name = poll->queue;
    queue->has_kind = 1;
    queue->kind = poll->kind == POLL_STICKY ? TASK_QUEUE_KIND_STICKY : TASK_QUEUE_KIND_NORMAL;
}

static int submit(struct worker_poll *poll, enum method method, const ProtobufCMessage *message,
                  struct error *err)
{
    struct connection_request request = {
        .message = message, .method = method, .on_reply = on_poll_reply, .context = poll};
    return connection_submit(poll->worker->connection, &request, &poll->correlation_id, err);
}

static int poll_workflows(struct worker_poll *poll, struct error *err)
{
    struct argosy_worker *worker = poll->worker;
    Api__TaskQueue queue;
    queue_fill(poll, &queue);
    Api__PollWorkflowTaskQueueRequest request = API__POLL_WORKFLOW_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = worker->options.name_space;
    request.task_queue = &queue;
    request.identity = worker->options.identity;
    request.worker_instance_key = worker->instance_id;
    request.n_registered_types = worker->workflow_type_count;
    request.registered_types = (__typeof__(request.registered_types))worker->workflow_types;
    request.has_slots = 1;
    request.slots = poll->slots;
    return submit(poll, METHOD_POLL_WORKFLOW_TASK_QUEUE, &request.base, err);
}

static int poll_activities(struct worker_poll *poll, struct error *err)
{
    struct argosy_worker *worker = poll->worker;
    Api__TaskQueue queue;
    queue_fill(poll, &queue);
    Api__PollActivityTaskQueueRequest request = API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = worker->options.name_space;
    request.task_queue = &queue;
    request.identity = worker->options.identity;
    request.worker_instance_key = worker->instance_id;
    request.n_registered_types = worker->activity_type_count;
    request.registered_types = (__typeof__(request.registered_types))worker->activity_types;
    request.has_slots = 1;
    request.slots = poll->slots;
    return submit(poll, METHOD_POLL_ACTIVITY_TASK_QUEUE, &request.base, err);
}

static void issue(struct worker_poll *poll)
{
    struct error err = {0};
    poll->retry_ns = 0;
    int code =
        poll->kind == POLL_ACTIVITY ? poll_activities(poll, &err) : poll_workflows(poll, &err);
    if (code < 0) {
        poll->correlation_id = 0;
        poll->retry_ns = clock_monotonic_ns() + POLL_RETRY_NS;
        worker_log(poll->worker, "could not poll %s: %s", poll->queue, err.text);
    }
}

/* ---- what comes ---- */

/* A message with nothing but slots; a task has a token, which alone is longer. */
#define NOTICE_SIZE_MAX 16

/* Operators set how many activities of the queue each process runs: the next turn polls so. */
static void slots_told(struct worker_poll *poll, const struct connection_reply *reply)
{
    struct argosy_worker *worker = poll->worker;
    struct error err = {0};
    ProtobufCMessage *message;
    arena_reset(&worker->task_arena);
    int code = connection_reply_decode(reply, &worker->task_arena, &message, &err);
    if (code == 0) {
        const Api__PollActivityTaskQueueResponse *notice =
            (const Api__PollActivityTaskQueueResponse *)message;
        code = worker_slots_told(poll, notice->poller_slots, &err);
    }
    if (code < 0)
        worker_log(worker, "cannot change the slots of %s: %s", poll->queue, err.text);
}

static void activity_arrived(struct worker_poll *poll, const struct connection_reply *reply)
{
    struct argosy_worker *worker = poll->worker;
    struct argosy_activity *activity;
    struct error err = {0};
    if (activity_create(worker->host, worker->registry, reply->body, reply->body_size, poll->queue,
                        &activity, &err) < 0) {
        /* Its timeouts, or the end of this session, give it to another worker. */
        worker_log(worker, "cannot take an activity of %s: %s", poll->queue, err.text);
        return;
    }
    if (atomic_load(&worker->host->is_draining))
        argosy_activity_release(activity);
    else if (activity->problem.code < 0)
        activity_refuse(activity);
    else if (activity->type->async_function != NULL)
        activity->type->async_function(activity, activity->type->user_data);
    else
        activity_pool_push(&worker->pool, activity);
}

/* The poll has ended with an error. Which ones mend by themselves decides their disposition. */
static void poll_failed(struct worker_poll *poll, const struct connection_reply *reply)
{
    struct argosy_worker *worker = poll->worker;
    struct error reason = {0};
    ProtobufCMessage *response;
    arena_reset(&worker->task_arena);
    int code = connection_reply_decode(reply, &worker->task_arena, &response, &reason);
    if (code == ERR_CANCELED || worker->machine.state != WORKER_SERVING)
        return;
    if (code == ERR_UNAVAILABLE)
        return; /* the session is over: on_session polls anew */
    if (code == ERR_INVALID || code == ERR_NOT_FOUND ||
        error_disposition(code) == DISPOSITION_STOP) {
        error_set(&worker->fatal, code, "cannot poll %s: %s", poll->queue, reason.text);
        return;
    }
    worker_log(worker, "could not poll %s: %s", poll->queue, reason.text);
    poll->retry_ns = clock_monotonic_ns() + POLL_RETRY_NS;
}

static void on_poll_reply(void *context, const struct connection_reply *reply)
{
    struct worker_poll *poll = context;
    bool is_open = reply->correlation_id == poll->correlation_id;
    if (is_open && !reply->more)
        poll->correlation_id = 0;
    if (reply->status != 0) {
        if (is_open)
            poll_failed(poll, reply);
        return;
    }
    /* An empty body is a poll that ended without a task. */
    if (reply->body_size > 1) {
        if (poll->kind == POLL_ACTIVITY && reply->body_size <= NOTICE_SIZE_MAX)
            slots_told(poll, reply);
        else if (poll->kind == POLL_ACTIVITY)
            activity_arrived(poll, reply);
        else
            worker_task_begin(poll->worker, reply->body, reply->body_size);
    }
    if (is_open && !reply->more && poll->worker->machine.state == WORKER_SERVING)
        issue(poll);
}

/* ---- the loop's calls ---- */

void worker_poll_all(struct argosy_worker *worker)
{
    for (size_t i = 0; i < worker->poll_count; i++)
        issue(&worker->polls[i]);
}

uint64_t worker_poll_turn(struct argosy_worker *worker, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;
    for (size_t i = 0; i < worker->poll_count; i++) {
        struct worker_poll *poll = &worker->polls[i];
        pthread_mutex_lock(&worker->mutex);
        int wanted = worker_slots_wanted(poll);
        bool is_changed = poll->slots != wanted;
        poll->slots = wanted;
        pthread_mutex_unlock(&worker->mutex);
        if ((is_changed && poll->correlation_id != 0) ||
            (poll->retry_ns != 0 && now_ns >= poll->retry_ns))
            issue(poll);
        if (poll->retry_ns != 0 && poll->retry_ns < next_ns)
            next_ns = poll->retry_ns;
    }
    return next_ns;
}

void worker_poll_cancel(struct argosy_worker *worker)
{
    for (size_t i = 0; i < worker->poll_count; i++) {
        struct worker_poll *poll = &worker->polls[i];
        poll->retry_ns = 0;
        if (poll->correlation_id != 0)
            connection_cancel(worker->connection, poll->correlation_id, NULL);
    }
}

bool worker_poll_is_open(const struct argosy_worker *worker)
{
    for (size_t i = 0; i < worker->poll_count; i++) {
        if (worker->polls[i].correlation_id != 0)
            return true;
    }
    return false;
}
