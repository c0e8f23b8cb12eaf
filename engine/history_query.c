/* SPDX-License-Identifier: Apache-2.0 */
/* history_query: see history_query.h. */
#include "engine/history_query.h"

#include <string.h>

#include "common/assert.h"
#include "engine/handler.h"
#include "engine/workflow_task.h"

#define VERSION     1
#define RUN_ID_SIZE (UUID_TEXT_SIZE - 1)
#define TOKEN_SIZE  (2 + RUN_ID_SIZE + 8)

/* A page must fit a reply with room to spare; one event always fits (validate.h). */
#define PAGE_SIZE_MAX (LIMIT_MESSAGE_SIZE / 2)

ProtobufCBinaryData history_page_token(const struct run *run, const struct history_page *page,
                                       struct arena *arena)
{
    uint8_t bytes[TOKEN_SIZE] = {VERSION, page->with_transient};
    memcpy(bytes + 2, run->run_id, RUN_ID_SIZE);
    for (int i = 0; i < 8; i++)
        bytes[2 + RUN_ID_SIZE + i] = (uint8_t)((uint64_t)page->next_event_id >> (8 * i));
    return (ProtobufCBinaryData){.len = sizeof bytes,
                                 .data = memory_copy(arena, bytes, sizeof bytes)};
}

static bool token_decode(ProtobufCBinaryData data, char ret_run_id[UUID_TEXT_SIZE],
                         struct history_page *ret_page)
{
    if (data.len != TOKEN_SIZE || data.data[0] != VERSION || data.data[1] > 1)
        return false;
    uint64_t id = 0;
    for (int i = 0; i < 8; i++)
        id |= (uint64_t)data.data[2 + RUN_ID_SIZE + i] << (8 * i);
    if (id < 1 || id > LIMIT_REPEATED_COUNT * 2)
        return false;
    memcpy(ret_run_id, data.data + 2, RUN_ID_SIZE);
    ret_run_id[RUN_ID_SIZE] = '\0';
    *ret_page = (struct history_page){.next_event_id = (int64_t)id, .with_transient = data.data[1]};
    return true;
}

Api__History *history_page_read(struct core *core, const struct run *run, struct history_page *page,
                                size_t max_events)
{
    struct arena *arena = &core->outbox->arena;
    Api__History *history = message_new(arena, &api__history__descriptor);
    size_t first = (size_t)page->next_event_id - 1, size = 0;
    size_t left = first < run->history.count ? run->history.count - first : 0;
    size_t room = left < max_events ? left : max_events;
    history->events = arena_alloc(arena, (room + 2) * sizeof(Api__HistoryEvent *));
    ASSERT(history->events != NULL);
    while (history->n_events < room) {
        const struct history_entry *entry = &run->history.entries[first + history->n_events];
        if (history->n_events > 0 && size + entry->size > PAGE_SIZE_MAX)
            break;
        history->events[history->n_events++] = entry->event;
        size += entry->size;
    }
    if (history->n_events < left) {
        page->next_event_id += (int64_t)history->n_events;
        return history;
    }
    page->next_event_id = 0;
    if (page->with_transient && run->workflow_task.state == WORKFLOW_TASK_STARTED &&
        run->workflow_task.attempt > 1) {
        history->events[history->n_events++] = workflow_task_scheduled_event(run, arena);
        history->events[history->n_events++] = workflow_task_started_event(run, arena);
    }
    return history;
}

static Api__GetWorkflowExecutionHistoryResponse *new_response(struct core *core)
{
    struct arena *arena = &core->outbox->arena;
    Api__GetWorkflowExecutionHistoryResponse *response =
        message_new(arena, &api__get_workflow_execution_history_response__descriptor);
    response->history = message_new(arena, &api__history__descriptor);
    return response;
}

static void set_token(struct core *core, Api__GetWorkflowExecutionHistoryResponse *response,
                      const struct run *run, const struct history_page *page)
{
    response->has_next_page_token = true;
    response->next_page_token = history_page_token(run, page, &core->outbox->arena);
}

const void *history_empty_page(struct core *core, const struct pending *pending)
{
    Api__GetWorkflowExecutionHistoryResponse *response = new_response(core);
    struct history_page page = {.next_event_id = pending->next_event_id};
    set_token(core, response, pending->run, &page);
    return response;
}

struct read {
    struct history_page page;
    size_t max_events;
    bool close_only;
    bool waits;
};

/* The answer, or NULL when the request must wait for an event. */
static Api__GetWorkflowExecutionHistoryResponse *read_history(struct core *core, struct run *run,
                                                              struct read *read)
{
    bool is_open = run_is_open(run);
    bool has_nothing =
        read->close_only ? is_open : read->page.next_event_id > (int64_t)run->history.count;
    if (has_nothing && is_open && read->waits)
        return NULL;
    Api__GetWorkflowExecutionHistoryResponse *response = new_response(core);
    if (read->close_only) {
        if (is_open)
            return response;
        read->page.next_event_id = (int64_t)run->history.count;
    }
    response->history = history_page_read(core, run, &read->page, read->max_events);
    if (read->page.next_event_id == 0 && is_open && read->waits)
        read->page.next_event_id = run_next_event_id(run);
    if (read->page.next_event_id != 0)
        set_token(core, response, run, &read->page);
    return response;
}

void history_notify(struct core *core, struct run *run)
{
    struct pending *pending, *next;
    DL_FOREACH_SAFE2(run->waiters, pending, next, run_next)
    {
        struct read read = {.page = {.next_event_id = pending->next_event_id},
                            .max_events = (size_t)pending->page_size,
                            .close_only = pending->close_only,
                            .waits = true};
        Api__GetWorkflowExecutionHistoryResponse *response = read_history(core, run, &read);
        if (response == NULL)
            continue;
        reply_send_to(core, &pending->key, false, false, response);
        pending_destroy(core, pending);
    }
}

static void wait_for_event(struct core *core, const struct core_request *request, struct run *run,
                           const struct read *read)
{
    int64_t deadline_us = core->now_us + core->config.history_poll_timeout_us;
    if (request->deadline_utc_us != 0 && request->deadline_utc_us < deadline_us)
        deadline_us = request->deadline_utc_us;
    struct pending *pending = pending_create(core, request, PENDING_HISTORY, deadline_us);
    if (pending == NULL)
        return;
    pending->run = run;
    pending->next_event_id = read->page.next_event_id;
    pending->page_size = (int32_t)read->max_events;
    pending->close_only = read->close_only;
    DL_APPEND2(run->waiters, pending, run_prev, run_next);
}

enum core_result handle_get_history(struct core *core, const struct core_request *request,
                                    struct core_need *need)
{
    const Api__GetWorkflowExecutionHistoryRequest *body =
        (const Api__GetWorkflowExecutionHistoryRequest *)request->body;
    struct read read = {
        .page = {.next_event_id = 1},
        .max_events = LIMIT_HISTORY_PAGE,
        .close_only = body->history_event_filter_type == HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT,
        .waits = body->wait_new_event,
    };
    if (body->maximum_page_size > 0 && body->maximum_page_size < LIMIT_HISTORY_PAGE)
        read.max_events = (size_t)body->maximum_page_size;
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    if (body->execution != NULL)
        execution = *body->execution;
    char run_id[UUID_TEXT_SIZE];
    if (body->next_page_token.len > 0) {
        if (!token_decode(body->next_page_token, run_id, &read.page)) {
            reply_error(core, request, ERR_INVALID, "page token is malformed");
            return CORE_HANDLED;
        }
        execution.run_id = run_id;
    }
    struct run *run;
    if (!core_run_read(core, request, &execution, need, &run))
        return CORE_NEEDS_RUN;
    if (run == NULL)
        return CORE_HANDLED;
    Api__GetWorkflowExecutionHistoryResponse *response = read_history(core, run, &read);
    if (response != NULL)
        reply_send(core, request, response);
    else
        wait_for_event(core, request, run, &read);
    return CORE_HANDLED;
}
