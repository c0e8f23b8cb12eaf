/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_start: starting a run and getting its result.
 *
 * A result is waited for with GetWorkflowExecutionHistory: only the closing event, asked again for
 * as long as the engine answers "not yet" (an empty page). A run that a new one continues
 * (new_execution_run_id) is followed to the last.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/uuid.h"
#include "sdk/client.h"
#include "sdk/duration.h"
#include "sdk/error.h"
#include "sdk/failure.h"
#include "sdk/payload.h"
#include "sdk/payload_codec.h"
#include "sdk/priority.h"
#include "sdk/retry_policy.h"

/* The engine holds a long poll for 20 s; this leaves room for the way. */
#define RESULT_POLL_MS 30000

/* ---- the request ---- */

struct start_message {
    Api__StartWorkflowExecutionRequest request;
    Api__WorkflowType type;
    Api__TaskQueue queue;
    char request_id[UUID_TEXT_SIZE];
};

static bool duration_set(int64_t duration_ms, struct arena *arena, Api__Duration **ret_duration)
{
    if (duration_ms == 0)
        return true;
    *ret_duration = duration_create(duration_ms, arena);
    return *ret_duration != NULL;
}

static int check_start(const struct argosy_start_options *options, struct error *err)
{
    if (options->workflow_id == NULL || options->workflow_id[0] == '\0')
        return error_set(err, ERR_INVALID, "a workflow needs an id");
    if (options->workflow_type == NULL || options->workflow_type[0] == '\0')
        return error_set(err, ERR_INVALID, "a workflow needs a type");
    if (options->task_queue == NULL || options->task_queue[0] == '\0')
        return error_set(err, ERR_INVALID, "a workflow needs a task queue");
    if (options->execution_timeout_ms < 0 || options->run_timeout_ms < 0 ||
        options->task_timeout_ms < 0)
        return error_set(err, ERR_INVALID, "a timeout is negative");
    if (!priority_is_valid(options->priority))
        return error_set(err, ERR_INVALID, "the priority %d is not 1 to 5", options->priority);
    if (options->concurrency_key != NULL && options->concurrency_limit < 1)
        return error_set(err, ERR_INVALID, "a concurrency key needs a limit of at least 1");
    const char *problem =
        options->retry_policy != NULL ? retry_policy_problem(options->retry_policy) : NULL;
    if (problem != NULL)
        return error_set(err, ERR_INVALID, "%s", problem);
    for (size_t i = 0; i < options->input.count; i++) {
        if (options->input.items[i].size > LIMIT_PAYLOAD_SIZE)
            return error_set(err, ERR_INVALID, "an input of %zu bytes is over the limit of %zu",
                             options->input.items[i].size, LIMIT_PAYLOAD_SIZE);
    }
    return 0;
}

/* Fills message, which borrows from options, client and arena and must not move. */
static int start_fill(const struct argosy_client *client,
                      const struct argosy_start_options *options, struct arena *arena,
                      struct start_message *message, struct error *err)
{
    int code = check_start(options, err);
    if (code < 0)
        return code;
    api__workflow_type__init(&message->type);
    message->type.name = options->workflow_type;
    api__task_queue__init(&message->queue);
    message->queue.name = options->task_queue;
    Api__StartWorkflowExecutionRequest *request = &message->request;
    api__start_workflow_execution_request__init(request);
    request->namespace_ = client->options.name_space;
    request->workflow_id = options->workflow_id;
    request->workflow_type = &message->type;
    request->task_queue = &message->queue;
    request->identity = client->options.identity;
    if (options->request_id == NULL)
        uuid_create(message->request_id);
    request->request_id = options->request_id == NULL ? message->request_id : options->request_id;
    request->has_workflow_id_reuse_policy = options->id_reuse_policy != 0;
    request->workflow_id_reuse_policy = (Api__WorkflowIdReusePolicy)options->id_reuse_policy;
    request->has_workflow_id_conflict_policy = options->id_conflict_policy != 0;
    request->workflow_id_conflict_policy =
        (Api__WorkflowIdConflictPolicy)options->id_conflict_policy;
    request->concurrency_key = options->concurrency_key;
    request->has_concurrency_limit = options->concurrency_key != NULL;
    request->concurrency_limit = options->concurrency_limit;
    if (options->retry_policy != NULL)
        request->retry_policy = retry_policy_message(options->retry_policy, arena);
    request->input = payloads_message(options->input, arena);
    if (options->priority != 0)
        request->priority = priority_create(options->priority, arena);
    if ((options->retry_policy != NULL && request->retry_policy == NULL) ||
        (options->priority != 0 && request->priority == NULL) ||
        (options->input.count > 0 && request->input == NULL) ||
        !duration_set(options->execution_timeout_ms, arena, &request->workflow_execution_timeout) ||
        !duration_set(options->run_timeout_ms, arena, &request->workflow_run_timeout) ||
        !duration_set(options->task_timeout_ms, arena, &request->workflow_task_timeout))
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

static void copy_run_id(const char *run_id, char ret_run_id[ARGOSY_RUN_ID_SIZE])
{
    snprintf(ret_run_id, ARGOSY_RUN_ID_SIZE, "%s", run_id == NULL ? "" : run_id);
}

int argosy_client_start(struct argosy_client *client, const struct argosy_start_options *options,
                        char ret_run_id[ARGOSY_RUN_ID_SIZE], struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct start_message message;
    ProtobufCMessage *response = NULL;
    ProtobufCMessage *detail = NULL;
    int code = start_fill(client, options, &arena, &message, inner);
    if (code == 0)
        code = client_call(client, METHOD_START_WORKFLOW_EXECUTION, &message.request.base, &arena,
                           &response, &detail, inner);
    if (code == 0)
        copy_run_id(((Api__StartWorkflowExecutionResponse *)response)->run_id, ret_run_id);
    else if (code == ERR_EXISTS && detail != NULL &&
             detail->descriptor == &api__workflow_execution_already_started_failure__descriptor)
        copy_run_id(((Api__WorkflowExecutionAlreadyStartedFailure *)detail)->run_id, ret_run_id);
    arena_fini(&arena);
    return code;
}

/* ---- how a run ended ---- */

struct outcome {
    int code; /* 0: completed */
    struct argosy_payload result;
    const Api__Failure *failure; /* may be NULL */
    const char *text;            /* of a code without failure */
    const char *next_run_id;     /* not NULL: the run goes on in this one */
};

static Api__Failure *timeout_failure(struct arena *arena)
{
    Api__Failure *failure = arena_alloc(arena, sizeof *failure);
    Api__TimeoutFailureInfo *info = arena_alloc(arena, sizeof *info);
    if (failure == NULL || info == NULL)
        return NULL;
    api__timeout_failure_info__init(info);
    info->has_timeout_type = 1;
    info->timeout_type = TIMEOUT_TYPE_START_TO_CLOSE;
    api__failure__init(failure);
    failure->message = "the workflow timed out";
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_TIMEOUT_FAILURE_INFO;
    failure->timeout_failure_info = info;
    return failure;
}

static const char *set_or_null(const char *text)
{
    return text == NULL || text[0] == '\0' ? NULL : text;
}

/* False when arena is exhausted. */
static bool outcome_of_event(const Api__HistoryEvent *event, struct arena *arena,
                             struct outcome *outcome)
{
    *outcome =
        (struct outcome){.code = ERR_PROTOCOL, .text = "history ends without a closing event"};
    switch (event->attributes_case) {
    case API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_COMPLETED_EVENT_ATTRIBUTES:
        outcome->code = 0;
        outcome->next_run_id =
            set_or_null(event->workflow_execution_completed_event_attributes->new_execution_run_id);
        return payloads_view_first(event->workflow_execution_completed_event_attributes->result,
                                   arena, &outcome->result);
    case API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_FAILED_EVENT_ATTRIBUTES:
        outcome->code = ERR_FAILED;
        outcome->failure = event->workflow_execution_failed_event_attributes->failure;
        outcome->text = "the workflow failed";
        outcome->next_run_id =
            set_or_null(event->workflow_execution_failed_event_attributes->new_execution_run_id);
        return true;
    case API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_TIMED_OUT_EVENT_ATTRIBUTES:
        outcome->code = ERR_TIMEOUT;
        outcome->failure = timeout_failure(arena);
        outcome->next_run_id =
            set_or_null(event->workflow_execution_timed_out_event_attributes->new_execution_run_id);
        return outcome->failure != NULL;
    case API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_CANCELED_EVENT_ATTRIBUTES:
        outcome->code = ERR_CANCELED;
        outcome->text = "the workflow was canceled";
        return true;
    case API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_TERMINATED_EVENT_ATTRIBUTES: {
        const char *reason =
            set_or_null(event->workflow_execution_terminated_event_attributes->reason);
        outcome->code = ERR_ABORTED;
        outcome->text = arena_printf(arena, "the workflow was terminated%s%s",
                                     reason == NULL ? "" : ": ", reason == NULL ? "" : reason);
        return outcome->text != NULL;
    }
    case API__HISTORY_EVENT__ATTRIBUTES_WORKFLOW_EXECUTION_CONTINUED_AS_NEW_EVENT_ATTRIBUTES:
        outcome->code = ERR_ABORTED;
        outcome->text = "the workflow continues as a new run";
        outcome->next_run_id = set_or_null(
            event->workflow_execution_continued_as_new_event_attributes->new_execution_run_id);
        return true;
    default:
        return true;
    }
}

static int outcome_raise(const struct outcome *outcome, struct argosy_error *err)
{
    if (outcome->failure != NULL)
        return failure_raise(outcome->code, outcome->failure, err);
    return argosy_error_set(err, outcome->code, "%s", outcome->text);
}

/* What a page of a closing-event poll says: false means ask again. */
static bool page_is_final(const Api__GetWorkflowExecutionHistoryResponse *page,
                          const Api__HistoryEvent **ret_event)
{
    size_t count = page->history == NULL ? 0 : page->history->n_events;
    if (count == 0)
        return false;
    *ret_event = page->history->events[count - 1];
    return true;
}

struct poll_message {
    Api__GetWorkflowExecutionHistoryRequest request;
    Api__WorkflowExecution execution;
};

static void poll_fill(const struct argosy_client *client, const char *workflow_id,
                      const char *run_id, struct poll_message *message)
{
    api__workflow_execution__init(&message->execution);
    message->execution.workflow_id = workflow_id;
    message->execution.run_id = run_id;
    api__get_workflow_execution_history_request__init(&message->request);
    message->request.namespace_ = client->options.name_space;
    message->request.execution = &message->execution;
    message->request.has_wait_new_event = 1;
    message->request.wait_new_event = 1;
    message->request.has_history_event_filter_type = 1;
    message->request.history_event_filter_type = HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
}

/* ---- waiting, blocking ---- */

int argosy_client_result(struct argosy_client *client, const char *workflow_id, const char *run_id,
                         int64_t timeout_ms, struct argosy_arena *arena,
                         struct argosy_payload *ret_result, struct argosy_error *err)
{
    uint64_t end_ns =
        timeout_ms < 0 ? UINT64_MAX : clock_monotonic_ns() + (uint64_t)timeout_ms * NS_PER_MS;
    struct poll_message message;
    poll_fill(client, workflow_id, run_id, &message);
    for (;;) {
        uint64_t now_ns = clock_monotonic_ns();
        uint64_t left_ms = now_ns >= end_ns ? 0 : (end_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
        if (left_ms == 0)
            return argosy_error_set(err, ARGOSY_ERR_TIMEOUT,
                                    "the workflow has not closed within %lld ms",
                                    (long long)timeout_ms);
        ProtobufCMessage *response;
        int code =
            client_call_within(client, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, &message.request.base,
                               left_ms < RESULT_POLL_MS ? (uint32_t)left_ms : RESULT_POLL_MS,
                               &arena->arena, &response, NULL, error_inside(err));
        if (code == ERR_TIMEOUT)
            continue;
        if (code < 0)
            return code;
        const Api__GetWorkflowExecutionHistoryResponse *page =
            (const Api__GetWorkflowExecutionHistoryResponse *)response;
        const Api__HistoryEvent *event;
        message.request.has_next_page_token = page->next_page_token.len > 0;
        message.request.next_page_token = page->next_page_token;
        if (!page_is_final(page, &event))
            continue;
        struct outcome outcome;
        if (!outcome_of_event(event, &arena->arena, &outcome))
            return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
        if (outcome.next_run_id != NULL) {
            poll_fill(client, workflow_id, outcome.next_run_id, &message);
            continue;
        }
        if (outcome.code < 0)
            return outcome_raise(&outcome, err);
        if (ret_result != NULL)
            *ret_result = outcome.result;
        return 0;
    }
}

/* ---- without blocking ---- */

struct execution {
    struct argosy_client *client;
    argosy_client_done_function *done;
    void *user_data;
    struct arena arena; /* ids and the last reply */
    char *workflow_id;
    char run_id[ARGOSY_RUN_ID_SIZE];
};

static void execution_destroy(struct execution *execution)
{
    arena_fini(&execution->arena);
    free(execution);
}

static void execution_end(struct execution *execution, const struct argosy_payload *result,
                          struct argosy_error *err)
{
    if (err->code < 0 && err->failure == NULL && atomic_load(&execution->client->is_closing))
        argosy_error_set(err, ARGOSY_ERR_CLOSED, "the client was closed");
    execution->done(execution->user_data, err->code, result, err);
    execution_destroy(execution);
}

static void on_polled(void *context, const struct connection_reply *reply);

static void execution_poll(struct execution *execution, const ProtobufCBinaryData *page_token)
{
    struct poll_message message;
    poll_fill(execution->client, execution->workflow_id, execution->run_id, &message);
    if (page_token != NULL && page_token->len > 0) {
        message.request.has_next_page_token = 1;
        message.request.next_page_token = *page_token;
    }
    struct argosy_error err = {0};
    struct connection_request request = {
        .message = &message.request.base,
        .method = METHOD_GET_WORKFLOW_EXECUTION_HISTORY,
        .timeout_ms = RESULT_POLL_MS,
        .on_reply = on_polled,
        .context = execution,
    };
    if (connection_submit(execution->client->connection, &request, NULL, error_inside(&err)) < 0)
        execution_end(execution, NULL, &err);
}

static void on_polled(void *context, const struct connection_reply *reply)
{
    struct execution *execution = context;
    struct argosy_error err = {0};
    ProtobufCMessage *response;
    int code = connection_reply_decode(reply, &execution->arena, &response, error_inside(&err));
    if (code == ERR_TIMEOUT) {
        execution_poll(execution, NULL);
        return;
    }
    if (code == 0)
        code = payload_codec_decode(execution->client->options.codecs, response, &execution->arena,
                                    error_inside(&err));
    if (code < 0) {
        execution_end(execution, NULL, &err);
        return;
    }
    const Api__GetWorkflowExecutionHistoryResponse *page =
        (const Api__GetWorkflowExecutionHistoryResponse *)response;
    const Api__HistoryEvent *event;
    struct outcome outcome;
    if (!page_is_final(page, &event)) {
        execution_poll(execution, &page->next_page_token);
    } else if (!outcome_of_event(event, &execution->arena, &outcome)) {
        argosy_error_set(&err, ARGOSY_ERR_MEMORY, "out of memory");
        execution_end(execution, NULL, &err);
    } else if (outcome.next_run_id != NULL) {
        copy_run_id(outcome.next_run_id, execution->run_id);
        execution_poll(execution, NULL);
    } else {
        if (outcome.code < 0)
            outcome_raise(&outcome, &err);
        execution_end(execution, &outcome.result, &err);
    }
}

static void on_started(void *context, const struct connection_reply *reply)
{
    struct execution *execution = context;
    struct argosy_error err = {0};
    ProtobufCMessage *response;
    int code = connection_reply_decode(reply, &execution->arena, &response, error_inside(&err));
    if (code < 0) {
        execution_end(execution, NULL, &err);
        return;
    }
    copy_run_id(((Api__StartWorkflowExecutionResponse *)response)->run_id, execution->run_id);
    execution_poll(execution, NULL);
}

int argosy_client_execute_async(struct argosy_client *client,
                                const struct argosy_start_options *options,
                                argosy_client_done_function *done, void *user_data,
                                struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    struct execution *execution = calloc(1, sizeof *execution);
    if (execution == NULL)
        return error_set(inner, ERR_MEMORY, "out of memory");
    execution->client = client;
    execution->done = done;
    execution->user_data = user_data;
    arena_init(&execution->arena, ARENA_NO_LIMIT);
    struct start_message message;
    int code = start_fill(client, options, &execution->arena, &message, inner);
    if (code == 0) {
        execution->workflow_id = arena_strdup(&execution->arena, options->workflow_id);
        if (execution->workflow_id == NULL)
            code = error_set(inner, ERR_MEMORY, "out of memory");
    }
    const ProtobufCMessage *encoded = NULL;
    if (code == 0)
        code = payload_codec_encode(client->options.codecs, &message.request.base,
                                    &execution->arena, &encoded, inner);
    if (code == 0) {
        struct connection_request request = {
            .message = encoded,
            .method = METHOD_START_WORKFLOW_EXECUTION,
            .timeout_ms = atomic_load(&client->timeout_ms),
            .on_reply = on_started,
            .context = execution,
        };
        code = connection_submit(client->connection, &request, NULL, inner);
    }
    if (code < 0)
        execution_destroy(execution);
    return code;
}
