/* SPDX-License-Identifier: Apache-2.0 */
/* query: see query.h. */
#include "engine/query.h"

#include <inttypes.h>
#include <string.h>

#include "common/assert.h"
#include "common/time_unit.h"
#include "engine/handler.h"
#include "engine/history_query.h"
#include "engine/task_token.h"
#include "engine/validate.h"
#include "engine/workflow_task.h"

/* How long a query waits for the worker that has the run cached before any worker may take it. */
#define STICKY_US (5 * US_PER_S)

/* Most queries of one run that wait at the same time. */
#define QUERIES_MAX 1000

/* --- the life of a query ------------------------------------------------------------------------
 */

void query_forget(struct core *core, struct query *query)
{
    queue_remove(core, &query->task);
    timer_queue_cancel(&core->timers, &query->deadline);
    DL_DELETE(query->run->queries, query);
    HASH_DEL(core->queries, query);
    query->pending->query = NULL;
    arena_fini(&query->arena);
    free(query);
}

/* The request is over: its reply has been sent. */
static void finish(struct core *core, struct query *query)
{
    pending_destroy(core, query->pending);
}

static void answer(struct core *core, struct query *query, const Api__Payloads *result)
{
    Api__QueryWorkflowResponse *response =
        message_new(&core->outbox->arena, &api__query_workflow_response__descriptor);
    response->query_result = (Api__Payloads *)result;
    reply_send_to(core, &query->pending->key, false, false, response);
    finish(core, query);
}

static void refuse(struct core *core, struct query *query, const char *message,
                   const Api__Failure *failure)
{
    const struct core_request to = {.session = query->pending->key.session,
                                    .correlation = query->pending->key.correlation};
    Api__QueryFailedFailure detail = API__QUERY_FAILED_FAILURE__INIT;
    detail.failure = (Api__Failure *)failure;
    if (*text_or_empty(message) == '\0')
        message = failure != NULL ? text_or_empty(failure->message) : "query failed";
    reply_error_detail(core, &to, ERR_INVALID, "QueryFailedFailure", &detail, "%s", message);
    finish(core, query);
}

static void offer(struct core *core, struct query *query, bool sticky)
{
    struct run *run = query->run;
    struct queue *queue = sticky ? queue_get(core, QUEUE_STICKY, run->sticky_queue)
                                 : queue_get(core, QUEUE_WORKFLOW, run->task_queue);
    query->state = QUERY_QUEUED;
    queue_offer(core, queue, &query->task, run->workflow_type, TASK_QUEUE_PRIORITY_BEST,
                core->now_us, 0);
    timer_queue_set(&core->timers, &query->deadline, sticky ? core->now_us + STICKY_US : INT64_MAX);
}

void query_settle(struct core *core, struct run *run)
{
    if (run->queries == NULL || run->workflow_task.state != WORKFLOW_TASK_NONE)
        return;
    /* A run whose first task has not completed has no state to ask for. */
    if (run_is_open(run) && run->completed_started_id == 0)
        return;
    bool sticky = run->sticky_queue != NULL && !queue_is_paused(core, run->task_queue) &&
                  queue_is_alive(core, queue_find(core, QUEUE_STICKY, run->sticky_queue));
    struct query *query;
    DL_FOREACH (run->queries, query) {
        if (query->state == QUERY_ATTACHED)
            query->state = QUERY_BUFFERED;
        if (query->state == QUERY_BUFFERED)
            offer(core, query, sticky);
    }
}

void query_lost(struct core *core, struct query *query)
{
    query->state = QUERY_BUFFERED;
    query_settle(core, query->run);
}

void query_due(struct core *core, struct query *query)
{
    if (query->state != QUERY_QUEUED)
        return;
    queue_remove(core, &query->task);
    offer(core, query, false);
}

void query_unstick(struct core *core, struct queue *queue)
{
    for (struct query *query = core->queries; query != NULL; query = query->hh.next) {
        if (query->task.queue == queue && query->state == QUERY_QUEUED) {
            queue_remove(core, &query->task);
            offer(core, query, false);
        }
    }
}

void query_unstick_run(struct core *core, struct run *run)
{
    struct query *query;
    DL_FOREACH (run->queries, query) {
        if (query->state == QUERY_QUEUED && query->task.queue->kind == QUEUE_STICKY) {
            queue_remove(core, &query->task);
            offer(core, query, false);
        }
    }
}

/* --- with a workflow task ------------------------------------------------------------------------
 */

void query_attach(struct core *core, struct run *run, Api__PollWorkflowTaskQueueResponse *response)
{
    struct arena *arena = &core->outbox->arena;
    struct query *query;
    size_t count = 0, size = 0;
    DL_COUNT(run->queries, query, count);
    if (count == 0)
        return;
    response->queries = arena_alloc(arena, count * sizeof response->queries[0]);
    ASSERT(response->queries != NULL);
    DL_FOREACH (run->queries, query) {
        if (query->state != QUERY_BUFFERED)
            continue;
        size += protobuf_c_message_get_packed_size(&query->question->base);
        if (size > VALIDATE_QUERY_SIZE)
            break; /* the others go with the next task */
        Api__PollWorkflowTaskQueueResponse__QueriesEntry *entry =
            message_new(arena, &api__poll_workflow_task_queue_response__queries_entry__descriptor);
        entry->key = query->name;
        entry->value = (Api__WorkflowQuery *)query->question;
        response->queries[response->n_queries++] = entry;
        query->state = QUERY_ATTACHED;
    }
}

static void take_result(struct core *core, struct query *query,
                        const Api__WorkflowQueryResult *result)
{
    if (result->result_type == QUERY_RESULT_TYPE_ANSWERED)
        answer(core, query, result->answer);
    else
        refuse(core, query, result->error_message, result->failure);
}

void query_answered(struct core *core, struct run *run,
                    const Api__RespondWorkflowTaskCompletedRequest *body)
{
    struct query *query, *next;
    DL_FOREACH_SAFE (run->queries, query, next) {
        if (query->state != QUERY_ATTACHED)
            continue;
        query->state = QUERY_BUFFERED;
        for (size_t i = 0; i < body->n_query_results; i++) {
            const Api__RespondWorkflowTaskCompletedRequest__QueryResultsEntry *entry =
                body->query_results[i];
            if (entry->value != NULL && strcmp(text_or_empty(entry->key), query->name) == 0) {
                take_result(core, query, entry->value);
                break;
            }
        }
    }
}

void query_task_ended(struct core *core, struct run *run)
{
    (void)core;
    struct query *query;
    DL_FOREACH (run->queries, query) {
        if (query->state == QUERY_ATTACHED)
            query->state = QUERY_BUFFERED;
    }
}

/* --- as a task of its own ------------------------------------------------------------------------
 */

void query_dispatch(struct core *core, struct query *query, struct pending *poll)
{
    struct arena *arena = &core->outbox->arena;
    struct run *run = query->run;
    bool sticky = query->task.queue->kind == QUEUE_STICKY;
    timer_queue_cancel(&core->timers, &query->deadline);
    query->state = QUERY_HELD;
    query->dispatch++;
    Api__PollWorkflowTaskQueueResponse *response =
        workflow_task_response(core, run, run->completed_started_id);
    struct task_token token = {
        .kind = TASK_QUERY, .id = (int64_t)query->id, .dispatch = query->dispatch};
    memcpy(token.run_id, run->run_id, sizeof token.run_id);
    response->has_task_token = true;
    response->task_token = task_token_encode(&token, arena);
    response->query = (Api__WorkflowQuery *)query->question;
    struct history_page page = {.next_event_id = sticky ? run_next_event_id(run) : 1};
    response->history = history_page_read(core, run, &page, LIMIT_HISTORY_PAGE);
    if (page.next_event_id != 0) {
        response->has_next_page_token = true;
        response->next_page_token = history_page_token(run, &page, arena);
    }
    reply_send_to(core, &poll->key, poll->standing, true, response);
}

static struct query *find_task(struct core *core, ProtobufCBinaryData data)
{
    struct task_token token;
    if (task_token_decode(data, &token, NULL) < 0 || token.kind != TASK_QUERY)
        return NULL;
    struct query *query;
    uint64_t id = (uint64_t)token.id;
    HASH_FIND(hh, core->queries, &id, sizeof id, query);
    bool is_current = query != NULL && query->state == QUERY_HELD &&
                      query->dispatch == token.dispatch &&
                      strcmp(query->run->run_id, token.run_id) == 0;
    return is_current ? query : NULL;
}

enum core_result handle_query_completed(struct core *core, const struct core_request *request,
                                        struct core_need *need)
{
    (void)need;
    const Api__RespondQueryTaskCompletedRequest *body =
        (const Api__RespondQueryTaskCompletedRequest *)request->body;
    struct query *query = find_task(core, body->task_token);
    if (query == NULL) {
        Api__NotFoundFailure detail = API__NOT_FOUND_FAILURE__INIT;
        reply_error_detail(core, request, ERR_NOT_FOUND, "NotFoundFailure", &detail,
                           "query task not found");
        return CORE_HANDLED;
    }
    if (body->completed_type == QUERY_RESULT_TYPE_ANSWERED)
        answer(core, query, body->query_result);
    else
        refuse(core, query, body->error_message, body->failure);
    reply_send(
        core, request,
        message_new(&core->outbox->arena, &api__respond_query_task_completed_response__descriptor));
    return CORE_HANDLED;
}

/* --- the request
 * ---------------------------------------------------------------------------------- */

static bool is_rejected(const struct run *run, Api__QueryRejectCondition condition)
{
    switch (condition) {
    case QUERY_REJECT_CONDITION_NOT_OPEN:
        return !run_is_open(run);
    case QUERY_REJECT_CONDITION_NOT_COMPLETED_CLEANLY:
        return !run_is_open(run) && run->status != WORKFLOW_EXECUTION_STATUS_COMPLETED;
    default:
        return false;
    }
}

static void reject(struct core *core, const struct core_request *request, const struct run *run)
{
    struct arena *arena = &core->outbox->arena;
    Api__QueryWorkflowResponse *response =
        message_new(arena, &api__query_workflow_response__descriptor);
    response->query_rejected = message_new(arena, &api__query_rejected__descriptor);
    response->query_rejected->has_status = true;
    response->query_rejected->status = run->status;
    reply_send(core, request, response);
}

static void ask(struct core *core, const struct core_request *request, struct run *run,
                const Api__WorkflowQuery *question)
{
    int64_t deadline_us = core->now_us + core->config.long_poll_timeout_us;
    if (request->deadline_utc_us != 0 && request->deadline_utc_us < deadline_us)
        deadline_us = request->deadline_utc_us;
    struct pending *pending = pending_create(core, request, PENDING_QUERY, deadline_us);
    if (pending == NULL)
        return;
    struct query *query = calloc(1, sizeof *query);
    ASSERT(query != NULL);
    arena_init(&query->arena, ARENA_NO_LIMIT);
    query->id = core_random(core); /* an answer from before a restart must not find another */
    snprintf(query->name, sizeof query->name, "%" PRIu64, query->id);
    query->run = run;
    query->pending = pending;
    query->question = message_copy(&query->arena, question);
    query->task = (struct task){.kind = TASK_QUERY, .run = run};
    query->deadline =
        (struct deadline){.kind = DEADLINE_QUERY, .major = INT64_MAX, .minor = core->next_minor++};
    pending->query = query;
    DL_APPEND(run->queries, query);
    HASH_ADD(hh, core->queries, id, sizeof query->id, query);
    query_settle(core, run);
}

enum core_result handle_query(struct core *core, const struct core_request *request,
                              struct core_need *need)
{
    const Api__QueryWorkflowRequest *body = (const Api__QueryWorkflowRequest *)request->body;
    struct error err;
    int rc = validate_id("query type", body->query != NULL ? body->query->query_type : NULL, &err);
    if (rc == 0)
        rc = validate_size("query", body->query, VALIDATE_QUERY_SIZE, &err);
    if (rc < 0) {
        reply_error(core, request, rc, "%s", err.text);
        return CORE_HANDLED;
    }
    struct run *run;
    if (!core_run_read(core, request, body->execution, need, &run))
        return CORE_NEEDS_RUN;
    if (run == NULL)
        return CORE_HANDLED;
    struct query *query;
    size_t waiting = 0;
    DL_COUNT(run->queries, query, waiting);
    if (is_rejected(run, body->query_reject_condition))
        reject(core, request, run);
    else if (waiting >= QUERIES_MAX)
        reply_error(core, request, ERR_LIMIT, "%zu queries of the run wait already", waiting);
    else
        ask(core, request, run, body->query);
    return CORE_HANDLED;
}
