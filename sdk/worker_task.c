/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_task: workflow tasks on their way through a worker (worker.h).
 *
 * A task is worked on as it arrives, on the loop thread, out of the reply's own bytes; what stays
 * is its token, until the answer is acknowledged. A task of a run that is not here keeps its bytes
 * and waits for its history, page by page.
 */
#include <stdlib.h>
#include <string.h>

#include "api/codec.h"
#include "common/hash.h"
#include "sdk/worker.h"

/* Beyond the longest workflow task timeout the engine has given the task away anyhow. */
#define ANSWER_TIMEOUT_MS  60000
#define HISTORY_TIMEOUT_MS 10000

struct worker_task {
    struct argosy_worker *worker;
    struct worker_run_name run;
    ProtobufCBinaryData token;
    struct arena arena; /* the two above, and what is fetched */

    /* while the history is fetched */
    const Api__PollWorkflowTaskQueueResponse *message;
    Api__HistoryEvent **events;
    size_t event_count;
    size_t event_capacity;

    struct worker_task *prev;
    struct worker_task *next;
};

static void work_on(struct argosy_worker *worker,
                    const Api__PollWorkflowTaskQueueResponse *message);

static void task_destroy(struct worker_task *task)
{
    DL_DELETE(task->worker->tasks, task);
    arena_fini(&task->arena);
    free(task);
}

/* NULL when memory is exhausted. */
static struct worker_task *task_create(struct argosy_worker *worker,
                                       const Api__PollWorkflowTaskQueueResponse *message)
{
    const Api__WorkflowExecution *execution = message->workflow_execution;
    const Api__WorkflowType *type = message->workflow_type;
    const ProtobufCBinaryData *token = &message->task_token;
    struct worker_task *task = calloc(1, sizeof *task);
    if (task == NULL)
        return NULL;
    task->worker = worker;
    arena_init(&task->arena, ARENA_NO_LIMIT);
    DL_APPEND(worker->tasks, task);
    task->run.workflow_type =
        arena_strdup(&task->arena, type == NULL || type->name == NULL ? "" : type->name);
    task->run.workflow_id = arena_strdup(&task->arena, execution->workflow_id);
    task->run.run_id = arena_strdup(&task->arena, execution->run_id);
    task->token =
        (ProtobufCBinaryData){token->len, arena_memdup(&task->arena, token->data, token->len)};
    if (task->run.workflow_type == NULL || task->run.workflow_id == NULL ||
        task->run.run_id == NULL || task->token.data == NULL) {
        task_destroy(task);
        return NULL;
    }
    return task;
}

void worker_task_tokens(struct argosy_worker *worker, struct arena *arena, Api__HelloRequest *hello)
{
    size_t count = 0;
    struct worker_task *task;
    DL_COUNT(worker->tasks, task, count);
    ProtobufCBinaryData *tokens = arena_alloc(arena, count * sizeof *tokens);
    if (tokens == NULL)
        return;
    hello->held_task_tokens = tokens;
    hello->n_held_task_tokens = count;
    DL_FOREACH (worker->tasks, task)
        *tokens++ = task->token;
}

bool worker_task_is_any(const struct argosy_worker *worker)
{
    return worker->tasks != NULL;
}

/* ---- sending ---- */

static void on_answered(void *context, const struct connection_reply *reply)
{
    struct worker_task *task = context;
    struct argosy_worker *worker = task->worker;
    struct error reason = {0};
    ProtobufCMessage *message;
    arena_reset(&worker->task_arena);
    int code = connection_reply_decode(reply, &worker->task_arena, &message, &reason);
    if (code < 0) {
        /* The engine did not take it: what the run here has done did not happen. */
        run_cache_drop(&worker->runner.cache, task->run.run_id);
        if (code != ERR_NOT_FOUND)
            worker_log_run(worker, &task->run, "a workflow task was refused", &reason);
    }
    task_destroy(task);
    if (code < 0 ||
        message->descriptor != &api__respond_workflow_task_completed_response__descriptor)
        return;
    /* The next task may come with the receipt of this one. */
    const Api__RespondWorkflowTaskCompletedResponse *response =
        (const Api__RespondWorkflowTaskCompletedResponse *)message;
    if (response->workflow_task != NULL && response->workflow_task->task_token.len > 0)
        work_on(worker, response->workflow_task);
}

static int submit(struct worker_task *task, const struct workflow_answer *answer,
                  connection_reply_fn *on_reply, uint32_t timeout_ms, struct error *err)
{
    struct connection_request request = {
        .message = answer->request,
        .method = answer->method,
        .timeout_ms = timeout_ms,
        .on_reply = on_reply,
        .context = task,
    };
    return connection_submit(task->worker->connection, &request, NULL, err);
}

/* ---- fetching a history ---- */

static void on_page(void *context, const struct connection_reply *reply);

/* Room for more events. */
static bool grow(struct worker_task *task, size_t more)
{
    size_t wanted = task->event_count + more;
    if (wanted <= task->event_capacity)
        return true;
    size_t capacity = wanted < 2 * task->event_capacity ? 2 * task->event_capacity : wanted;
    Api__HistoryEvent **events = arena_alloc(&task->arena, capacity * sizeof *events);
    if (events == NULL || wanted > LIMIT_HISTORY_EVENTS + LIMIT_HISTORY_PAGE)
        return false;
    if (task->event_count > 0)
        memcpy(events, task->events, task->event_count * sizeof *events);
    task->events = events;
    task->event_capacity = capacity;
    return true;
}

static bool append(struct worker_task *task, const Api__History *history)
{
    size_t count = history == NULL ? 0 : history->n_events;
    if (!grow(task, count))
        return false;
    for (size_t i = 0; i < count; i++)
        task->events[task->event_count++] = history->events[i];
    return true;
}

/* The fetched events end where the task's do: a repeated attempt's last two are not stored, and an
 * answer may be newer than the task. */
static bool fit_to_task(struct worker_task *task)
{
    int64_t end = task->message->started_event_id;
    while (end > 0 && task->event_count > 0 && task->events[task->event_count - 1]->event_id > end)
        task->event_count--;
    const Api__History *tail = task->message->history;
    size_t count = tail == NULL ? 0 : tail->n_events;
    if (!grow(task, count))
        return false;
    int64_t last = task->event_count == 0 ? 0 : task->events[task->event_count - 1]->event_id;
    for (size_t i = 0; i < count; i++) {
        if (tail->events[i]->event_id == last + 1) {
            task->events[task->event_count++] = tail->events[i];
            last++;
        }
    }
    return true;
}

/* An answer over the size of a message: the history says why the run stands still. */
static int report_too_large(struct worker_task *task, const struct error *reason, struct error *err)
{
    struct argosy_worker *worker = task->worker;
    Api__Failure failure = API__FAILURE__INIT;
    failure.message = reason->text;
    Api__RespondWorkflowTaskFailedRequest message = API__RESPOND_WORKFLOW_TASK_FAILED_REQUEST__INIT;
    message.has_task_token = 1;
    message.task_token = task->token;
    message.has_cause = 1;
    message.cause = WORKFLOW_TASK_FAILED_CAUSE_GRPC_MESSAGE_TOO_LARGE;
    message.failure = &failure;
    message.identity = worker->options.identity;
    message.namespace_ = worker->options.name_space;
    struct workflow_answer answer = {.method = METHOD_RESPOND_WORKFLOW_TASK_FAILED,
                                     .request = &message.base};
    return submit(task, &answer, on_answered, ANSWER_TIMEOUT_MS, err);
}

/* Takes answer: sends it and destroys task unless a receipt will. */
static void send_answer(struct worker_task *task, struct workflow_answer *answer)
{
    struct argosy_worker *worker = task->worker;
    struct error reason = answer->failure;
    int code = answer->method == 0 ? reason.code
                                   : submit(task, answer, on_answered, ANSWER_TIMEOUT_MS, &reason);
    if (reason.code < 0)
        worker_log_run(worker, &task->run, "a workflow task failed", &reason);
    if (code < 0)
        run_cache_drop(&worker->runner.cache, task->run.run_id);
    if (code == ERR_LIMIT && answer->method == METHOD_RESPOND_WORKFLOW_TASK_COMPLETED)
        code = report_too_large(task, &reason, NULL);
    if (code < 0)
        task_destroy(task);
    workflow_answer_fini(answer);
}

static void give_up(struct worker_task *task, const struct error *reason)
{
    worker_log_run(task->worker, &task->run, "could not get the history", reason);
    task_destroy(task);
}

/* The pages that go on where the task's own events end, or the history from its first event. */
static int fetch_history(struct worker_task *task, const struct workflow_answer *answer,
                         struct error *err)
{
    const Api__GetWorkflowExecutionHistoryRequest *request =
        (const Api__GetWorkflowExecutionHistoryRequest *)answer->request;
    task->event_count = 0;
    if (request->next_page_token.len > 0 && !append(task, task->message->history))
        return error_set(err, ERR_MEMORY, "out of memory");
    return submit(task, answer, on_page, HISTORY_TIMEOUT_MS, err);
}

static void work_on_fetched(struct worker_task *task)
{
    struct workflow_answer answer = {0};
    struct error reason = {0};
    int code = workflow_task_work(&task->worker->runner, task->message, task->events,
                                  task->event_count, &task->arena, &answer, &reason);
    if (code == 0 && answer.method != METHOD_GET_WORKFLOW_EXECUTION_HISTORY) {
        send_answer(task, &answer);
        return;
    }
    /* The run that the pages went on from has left the memory meanwhile. */
    if (code == 0)
        code = fetch_history(task, &answer, &reason);
    if (code < 0)
        give_up(task, &reason);
}

static void on_page(void *context, const struct connection_reply *reply)
{
    struct worker_task *task = context;
    struct argosy_worker *worker = task->worker;
    struct connection_reply kept = *reply;
    struct error reason = {0};
    ProtobufCMessage *message;
    kept.body = arena_memdup(&task->arena, reply->body, reply->body_size);
    if (kept.body == NULL) {
        error_set(&reason, ERR_MEMORY, "out of memory");
        give_up(task, &reason);
        return;
    }
    if (connection_reply_decode(&kept, &task->arena, &message, &reason) < 0) {
        give_up(task, &reason);
        return;
    }
    const Api__GetWorkflowExecutionHistoryResponse *page =
        (const Api__GetWorkflowExecutionHistoryResponse *)message;
    bool is_last = page->next_page_token.len == 0;
    struct workflow_answer answer = {0};
    if (!append(task, page->history) || (is_last && !fit_to_task(task))) {
        error_set(&reason, ERR_LIMIT, "the history is too long");
        give_up(task, &reason);
        return;
    }
    if (is_last) {
        work_on_fetched(task);
        return;
    }
    Api__GetWorkflowExecutionHistoryRequest next =
        API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    next.namespace_ = worker->options.name_space;
    next.execution = task->message->workflow_execution;
    next.has_next_page_token = 1;
    next.next_page_token = page->next_page_token;
    answer.method = METHOD_GET_WORKFLOW_EXECUTION_HISTORY;
    answer.request = &next.base;
    if (submit(task, &answer, on_page, HISTORY_TIMEOUT_MS, &reason) < 0)
        give_up(task, &reason);
}

/* ---- working ---- */

static void work_on(struct argosy_worker *worker, const Api__PollWorkflowTaskQueueResponse *message)
{
    struct workflow_answer answer;
    struct error reason = {0};
    if (workflow_task_work(&worker->runner, message, NULL, 0, &worker->task_arena, &answer,
                           &reason) < 0) {
        worker_log(worker, "cannot take a workflow task: %s", reason.text);
        return;
    }
    struct worker_task *task = task_create(worker, message);
    bool needs_more = answer.method == METHOD_GET_WORKFLOW_EXECUTION_HISTORY;
    if (task != NULL && needs_more) /* it goes on when this call is over */
        task->message =
            (const Api__PollWorkflowTaskQueueResponse *)codec_copy(&message->base, &task->arena);
    if (task == NULL || (needs_more && task->message == NULL)) {
        worker_log(worker, "cannot take a workflow task: out of memory");
        workflow_answer_fini(&answer);
        if (task != NULL)
            task_destroy(task);
    } else if (!needs_more) {
        send_answer(task, &answer);
    } else if (fetch_history(task, &answer, &reason) < 0) {
        give_up(task, &reason);
    }
}

void worker_task_begin(struct argosy_worker *worker, const uint8_t *body, size_t body_size)
{
    struct error reason = {0};
    ProtobufCMessage *message;
    arena_reset(&worker->task_arena);
    if (codec_decode(&api__poll_workflow_task_queue_response__descriptor, body, body_size,
                     &worker->task_arena, &message, &reason) < 0) {
        worker_log(worker, "cannot read a workflow task: %s", reason.text);
        return;
    }
    work_on(worker, (const Api__PollWorkflowTaskQueueResponse *)message);
}
