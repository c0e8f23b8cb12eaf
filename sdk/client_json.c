/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client_json: calls whose requests and responses are JSON text: any method by its name, and the
 * looks at a run that come as one of its messages.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "api/json.h"
#include "common/limits.h"
#include "sdk/client.h"
#include "sdk/error.h"

/* Takes json. The text lives in arena. */
static int dump(json_t *json, struct argosy_arena *arena, const char **ret_text, struct error *err)
{
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    char *copy = text == NULL ? NULL : arena_strdup(&arena->arena, text);
    free(text);
    if (copy == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_text = copy;
    return 0;
}

static int dump_message(const ProtobufCMessage *message, struct argosy_arena *arena,
                        const char **ret_text, struct error *err)
{
    json_t *json;
    int code = message_to_json(message, 0, &json, err);
    return code < 0 ? code : dump(json, arena, ret_text, err);
}

/* ---- any method ---- */

static int parse_request(const struct method_row *row, const char *text, struct arena *arena,
                         ProtobufCMessage **ret_message, struct error *err)
{
    json_error_t at;
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &at);
    if (json == NULL)
        return error_set(err, ERR_INVALID, "the request is not JSON: line %d column %d: %s",
                         at.line, at.column, at.text);
    int code = message_from_json(row->request, json, arena, ret_message, err);
    json_decref(json);
    return code;
}

/* A request that has a namespace and does not say one gets the client's. */
static void fill_namespace(const struct argosy_client *client, ProtobufCMessage *message)
{
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field_by_name(message->descriptor, "namespace");
    if (field == NULL || field->type != PROTOBUF_C_TYPE_STRING)
        return;
    const char **value = (const char **)(void *)((char *)message + field->offset);
    if (*value == NULL || **value == '\0')
        *value = client->options.name_space;
}

int argosy_client_call(struct argosy_client *client, const char *method, const char *request_json,
                       struct argosy_arena *arena, const char **ret_json, struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    const struct method_row *row = method_find(method);
    if (row == NULL)
        return error_set(inner, ERR_INVALID, "there is no method \"%s\"", method);
    ProtobufCMessage *request;
    ProtobufCMessage *response;
    int code = parse_request(row, request_json, &arena->arena, &request, inner);
    if (code < 0)
        return code;
    fill_namespace(client, request);
    code = client_look(client, row->method, request, &arena->arena, &response, inner);
    return code < 0 ? code : dump_message(response, arena, ret_json, inner);
}

/* ---- a run ---- */

int argosy_client_describe(struct argosy_client *client, const char *workflow_id,
                           const char *run_id, struct argosy_arena *arena, const char **ret_json,
                           struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    execution.workflow_id = workflow_id;
    execution.run_id = run_id;
    Api__DescribeWorkflowExecutionRequest request = API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = client->options.name_space;
    request.execution = &execution;
    ProtobufCMessage *response;
    int code = client_look(client, METHOD_DESCRIBE_WORKFLOW_EXECUTION, &request.base, &arena->arena,
                           &response, inner);
    return code < 0 ? code : dump_message(response, arena, ret_json, inner);
}

/* Appends the events of page to events. */
static int append_page(json_t *events, const Api__GetWorkflowExecutionHistoryResponse *page,
                       struct error *err)
{
    json_t *history;
    if (page->history == NULL)
        return 0;
    int code = message_to_json(&page->history->base, 0, &history, err);
    if (code < 0)
        return code;
    json_t *more = json_object_get(history, "events");
    int failed = more == NULL ? 0 : json_array_extend(events, more);
    json_decref(history);
    return failed != 0 ? error_set(err, ERR_MEMORY, "out of memory") : 0;
}

static int fetch_pages(struct argosy_client *client,
                       Api__GetWorkflowExecutionHistoryRequest *request, struct arena *arena,
                       json_t *events, struct error *err)
{
    for (;;) {
        ProtobufCMessage *response;
        int code = client_look(client, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, &request->base, arena,
                               &response, err);
        if (code < 0)
            return code;
        const Api__GetWorkflowExecutionHistoryResponse *page =
            (const Api__GetWorkflowExecutionHistoryResponse *)response;
        code = append_page(events, page, err);
        if (code < 0 || page->next_page_token.len == 0)
            return code;
        if (json_array_size(events) > LIMIT_HISTORY_EVENTS)
            return error_set(err, ERR_LIMIT, "the history has over %d events",
                             LIMIT_HISTORY_EVENTS);
        request->has_next_page_token = 1;
        request->next_page_token = page->next_page_token;
    }
}

int argosy_client_history(struct argosy_client *client, const char *workflow_id, const char *run_id,
                          struct argosy_arena *arena, const char **ret_json,
                          struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    execution.workflow_id = workflow_id;
    execution.run_id = run_id;
    Api__GetWorkflowExecutionHistoryRequest request =
        API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    request.namespace_ = client->options.name_space;
    request.execution = &execution;
    json_t *events = json_array();
    json_t *history = json_pack("{s:O}", "events", events);
    struct arena pages;
    arena_init(&pages, ARENA_NO_LIMIT);
    int code = history == NULL ? error_set(inner, ERR_MEMORY, "out of memory")
                               : fetch_pages(client, &request, &pages, events, inner);
    arena_fini(&pages);
    json_decref(events);
    if (code < 0) {
        json_decref(history);
        return code;
    }
    return dump(history, arena, ret_json, inner);
}
