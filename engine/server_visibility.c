/* SPDX-License-Identifier: Apache-2.0 */
/* server_visibility: see server_visibility.h. */
#include "engine/server_visibility.h"

#include <endian.h>
#include <string.h>

#include "api/messages.h"
#include "common/assert.h"
#include "common/clock.h"
#include "engine/visibility_query.h"

bool server_visibility_handles(enum method method)
{
    return method == METHOD_LIST_WORKFLOW_EXECUTIONS || method == METHOD_COUNT_WORKFLOW_EXECUTIONS;
}

/* A message of the described type in arena, initialised; NULL when it does not fit. */
static void *message_new(struct arena *arena, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = arena_alloc(arena, descriptor->sizeof_message);
    if (message != NULL)
        protobuf_c_message_init(descriptor, message);
    return message;
}

static Api__Timestamp *timestamp_new(struct arena *arena, int64_t utc_us)
{
    Api__Timestamp *timestamp = message_new(arena, &api__timestamp__descriptor);
    if (timestamp == NULL)
        return NULL;
    timestamp->has_seconds = true;
    timestamp->seconds = utc_us / US_PER_S;
    timestamp->has_nanos = true;
    timestamp->nanos = (int32_t)(utc_us % US_PER_S * 1000);
    return timestamp;
}

/* NULL when it does not fit in the arena. */
static Api__WorkflowExecutionInfo *info_new(struct arena *arena, const struct store_run *run)
{
    Api__WorkflowExecutionInfo *info =
        message_new(arena, &api__workflow_execution_info__descriptor);
    Api__WorkflowExecution *execution = message_new(arena, &api__workflow_execution__descriptor);
    Api__WorkflowType *type = message_new(arena, &api__workflow_type__descriptor);
    Api__Timestamp *start = timestamp_new(arena, run->start_utc_us);
    if (info == NULL || execution == NULL || type == NULL || start == NULL)
        return NULL;
    execution->workflow_id = run->workflow_id;
    execution->run_id = run->run_id;
    type->name = run->workflow_type;
    info->execution = execution;
    info->type = type;
    info->start_time = start;
    info->task_queue = run->task_queue;
    info->has_status = true;
    info->status = (Api__WorkflowExecutionStatus)run->status;
    if (run->close_utc_us != 0) {
        info->close_time = timestamp_new(arena, run->close_utc_us);
        info->has_history_length = true;
        info->history_length = run->history_length;
        if (info->close_time == NULL)
            return NULL;
    }
    return info;
}

/* A page token is the run key that the next page starts below, little-endian. */
static int token_read(const ProtobufCBinaryData *token, int64_t *ret_run_key, struct error *err)
{
    uint64_t bits;
    if (token->len != sizeof bits)
        return error_set(err, ERR_INVALID, "the page token is not one of this engine");
    memcpy(&bits, token->data, sizeof bits);
    *ret_run_key = (int64_t)le64toh(bits);
    return 0;
}

static int token_write(struct arena *arena, int64_t run_key, ProtobufCBinaryData *ret_token,
                       struct error *err)
{
    uint64_t bits = htole64((uint64_t)run_key);
    void *data = arena_memdup(arena, &bits, sizeof bits);
    if (data == NULL)
        return error_set(err, ERR_LIMIT, "the page does not fit in memory");
    *ret_token = (ProtobufCBinaryData){.data = data, .len = sizeof bits};
    return 0;
}

/* The one namespace there is. */
static int check_namespace(const char *name, struct error *err)
{
    if (name == NULL || name[0] == '\0')
        return error_set(err, ERR_INVALID, "namespace is not set");
    if (strcmp(name, "default") != 0)
        return error_set(err, ERR_NOT_FOUND, "namespace %.200s is not found", name);
    return 0;
}

static int fill_page(struct arena *arena, const struct store_run *runs, size_t run_count,
                     Api__ListWorkflowExecutionsResponse *reply, struct error *err)
{
    reply->executions = arena_calloc(arena, run_count, sizeof(Api__WorkflowExecutionInfo *));
    for (size_t i = 0; reply->executions != NULL && i < run_count; i++) {
        Api__WorkflowExecutionInfo *info = info_new(arena, &runs[i]);
        if (info == NULL)
            return error_set(err, ERR_LIMIT, "the page does not fit in memory");
        reply->executions[reply->n_executions++] = info;
    }
    return reply->executions != NULL ? 0
                                     : error_set(err, ERR_LIMIT, "the page does not fit in memory");
}

static int list(struct store *store, const Api__ListWorkflowExecutionsRequest *request,
                struct arena *arena, ProtobufCMessage **ret_reply, struct error *err)
{
    struct store_filter filter = {.namespace_name = request->namespace_,
                                  .before_run_key = INT64_MAX};
    int32_t limit = request->page_size != 0 ? request->page_size : VISIBILITY_PAGE_DEFAULT;
    if (limit < 0)
        return error_set(err, ERR_INVALID, "page size %d is negative", (int)limit);
    if (limit > VISIBILITY_PAGE_MAX)
        limit = VISIBILITY_PAGE_MAX;
    int code = check_namespace(request->namespace_, err);
    if (code == 0)
        code = visibility_query_parse(request->query, arena, &filter, err);
    if (code == 0 && request->next_page_token.len > 0)
        code = token_read(&request->next_page_token, &filter.before_run_key, err);
    if (code != 0)
        return code;
    /* One more than asked for tells whether there is a next page. */
    struct store_run *runs;
    size_t run_count;
    code = store_list(store, &filter, (size_t)limit + 1, arena, &runs, &run_count, err);
    if (code != 0)
        return code;
    Api__ListWorkflowExecutionsResponse *reply =
        message_new(arena, &api__list_workflow_executions_response__descriptor);
    if (reply == NULL)
        return error_set(err, ERR_LIMIT, "the page does not fit in memory");
    bool has_more = run_count > (size_t)limit;
    if (has_more)
        run_count = (size_t)limit;
    code = fill_page(arena, runs, run_count, reply, err);
    if (code == 0 && has_more) {
        reply->has_next_page_token = true;
        code = token_write(arena, runs[run_count - 1].run_key, &reply->next_page_token, err);
    }
    if (code == 0)
        *ret_reply = &reply->base;
    return code;
}

static int count(struct store *store, const Api__CountWorkflowExecutionsRequest *request,
                 struct arena *arena, ProtobufCMessage **ret_reply, struct error *err)
{
    struct store_filter filter = {.namespace_name = request->namespace_,
                                  .before_run_key = INT64_MAX};
    int64_t total;
    int code = check_namespace(request->namespace_, err);
    if (code == 0)
        code = visibility_query_parse(request->query, arena, &filter, err);
    if (code == 0)
        code = store_count(store, &filter, &total, err);
    if (code != 0)
        return code;
    Api__CountWorkflowExecutionsResponse *reply =
        message_new(arena, &api__count_workflow_executions_response__descriptor);
    if (reply == NULL)
        return error_set(err, ERR_LIMIT, "the count does not fit in memory");
    reply->has_count = true;
    reply->count = total;
    *ret_reply = &reply->base;
    return 0;
}

int server_visibility_handle(struct store *store, enum method method, const ProtobufCMessage *body,
                             struct arena *arena, ProtobufCMessage **ret_reply, struct error *err)
{
    ASSERT(server_visibility_handles(method));
    if (method == METHOD_LIST_WORKFLOW_EXECUTIONS)
        return list(store, (const Api__ListWorkflowExecutionsRequest *)body, arena, ret_reply, err);
    return count(store, (const Api__CountWorkflowExecutionsRequest *)body, arena, ret_reply, err);
}
