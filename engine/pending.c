/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pending: requests that wait for their reply: polls, history requests that wait for an event,
 * queries, sleeps, calls to nodes. Each belongs to a session and ends with it, by its reply, its
 * deadline, or Cancel.
 */
#include <string.h>

#include "common/assert.h"
#include "engine/core_state.h"
#include "engine/handler.h"
#include "engine/history_query.h"
#include "engine/query.h"

struct pending *pending_find(const struct core *core, uint64_t session, uint64_t correlation)
{
    struct pending_key key = {session, correlation};
    struct pending *pending;
    HASH_FIND(hh, core->pendings, &key, sizeof key, pending);
    return pending;
}

struct pending *pending_create(struct core *core, const struct core_request *request,
                               enum pending_kind kind, int64_t deadline_us)
{
    if (pending_find(core, request->session, request->correlation) != NULL) {
        reply_error(core, request, ERR_INVALID, "correlation id %llu is in use",
                    (unsigned long long)request->correlation);
        return NULL;
    }
    struct pending *pending = calloc(1, sizeof *pending);
    ASSERT(pending != NULL);
    pending->key = (struct pending_key){request->session, request->correlation};
    pending->kind = kind;
    pending->session = session_get(core, request->session);
    pending->deadline = (struct deadline){
        .kind = DEADLINE_PENDING, .major = INT64_MAX, .minor = core->next_minor++};
    HASH_ADD(hh, core->pendings, key, sizeof pending->key, pending);
    DL_APPEND2(pending->session->pendings, pending, session_prev, session_next);
    if (deadline_us != 0)
        timer_queue_set(&core->timers, &pending->deadline, deadline_us);
    return pending;
}

void pending_destroy(struct core *core, struct pending *pending)
{
    timer_queue_cancel(&core->timers, &pending->deadline);
    if (pending->kind == PENDING_POLL) {
        task_queue_poll_remove(pending->queue->tasks, pending->key.session,
                               pending->key.correlation);
        queue_dirty(core, pending->queue);
    }
    if (pending->kind == PENDING_NODE)
        node_link_gone(core, pending);
    if (pending->run != NULL)
        DL_DELETE2(pending->run->waiters, pending, run_prev, run_next);
    if (pending->query != NULL)
        query_forget(core, pending->query);
    DL_DELETE2(pending->session->pendings, pending, session_prev, session_next);
    HASH_DEL(core->pendings, pending);
    free(pending->identity);
    free(pending);
}

/* The answer that says "nothing yet, ask again"; NULL where there is none. */
static const void *empty_answer(struct core *core, const struct pending *pending)
{
    struct arena *arena = &core->outbox->arena;
    switch (pending->kind) {
    case PENDING_POLL:
        return message_new(arena, pending->queue->kind == QUEUE_ACTIVITY
                                      ? &api__poll_activity_task_queue_response__descriptor
                                      : &api__poll_workflow_task_queue_response__descriptor);
    case PENDING_HISTORY:
        return history_empty_page(core, pending);
    case PENDING_SLEEP:
        return message_new(arena, &api__sleep_response__descriptor);
    case PENDING_NODE:
        return message_new(arena, &api__serve_node_response__descriptor);
    case PENDING_QUERY:
    case PENDING_CALL:
        break;
    }
    return NULL;
}

void pending_expire(struct core *core, struct pending *pending)
{
    const void *answer = empty_answer(core, pending);
    if (answer != NULL)
        reply_send_to(core, &pending->key, false, false, answer);
    else
        reply_error_to(core, &pending->key, ERR_TIMEOUT,
                       pending->kind == PENDING_QUERY ? "query was not answered in time"
                                                      : "the node did not answer in time");
    pending_destroy(core, pending);
}

void pending_fail(struct core *core, struct pending *pending, int code, const char *text)
{
    reply_error_to(core, &pending->key, code, text);
    pending_destroy(core, pending);
}

/* Ends a waiting request of the caller's own. One that has just been answered is no error. */
enum core_result handle_cancel(struct core *core, const struct core_request *request,
                               struct core_need *need)
{
    (void)need;
    const Api__CancelRequest *body = (const Api__CancelRequest *)request->body;
    struct pending *pending = pending_find(core, request->session, body->correlation_id);
    if (pending != NULL)
        pending_fail(core, pending, ERR_CANCELED, "canceled by the caller");
    reply_send(core, request, message_new(&core->outbox->arena, &api__cancel_response__descriptor));
    return CORE_HANDLED;
}
