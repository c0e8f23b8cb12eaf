/* SPDX-License-Identifier: Apache-2.0 */
/* client: see client.h and include/argosy/client.h. */
#include "sdk/client.h"

#include <stdlib.h>
#include <string.h>

#include "common/uuid.h"
#include "sdk/error.h"
#include "sdk/payload.h"
#include "sdk/payload_codec.h"

#define CONNECT_TIMEOUT_MS 5000
#define CALL_TIMEOUT_MS    10000

int argosy_client_connect(const struct argosy_connection_options *options,
                          struct argosy_client **ret_client, struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    struct argosy_client *client = calloc(1, sizeof *client);
    if (client == NULL)
        return error_set(inner, ERR_MEMORY, "out of memory");
    arena_init(&client->arena, ARENA_NO_LIMIT);
    atomic_init(&client->timeout_ms, CALL_TIMEOUT_MS);
    atomic_init(&client->is_closing, false);
    int code = connect_resolve(options, &client->arena, &client->options, inner);
    if (code == 0) {
        struct connection_config config = connect_config(&client->options);
        config.own_thread = true;
        code = connection_open(&config, &client->connection, inner);
    }
    if (code == 0) {
        struct error reason = {0};
        code = connection_wait_session(client->connection, CONNECT_TIMEOUT_MS, &reason);
        if (code < 0)
            code =
                error_set(inner, code == ERR_TIMEOUT ? ERR_UNAVAILABLE : code, "%s", reason.text);
    }
    if (code < 0) {
        argosy_client_close(client);
        return code;
    }
    *ret_client = client;
    return 0;
}

void argosy_client_close(struct argosy_client *client)
{
    if (client == NULL)
        return;
    atomic_store(&client->is_closing, true);
    connection_close(client->connection);
    arena_fini(&client->arena);
    free(client);
}

void argosy_client_set_timeout(struct argosy_client *client, int64_t timeout_ms)
{
    if (timeout_ms < 1)
        timeout_ms = 1;
    atomic_store(&client->timeout_ms, timeout_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)timeout_ms);
}

/* A call whose response is as it came. */
static int call_encoded(struct argosy_client *client, enum method method,
                        const ProtobufCMessage *request, uint32_t timeout_ms, struct arena *arena,
                        ProtobufCMessage **ret_response, ProtobufCMessage **ret_detail,
                        struct error *err)
{
    const ProtobufCMessage *encoded;
    int code = payload_codec_encode(client->options.codecs, request, arena, &encoded, err);
    if (code < 0)
        return code;
    return connection_call(client->connection, method, encoded, timeout_ms, arena, ret_response,
                           ret_detail, err);
}

int client_call_within(struct argosy_client *client, enum method method,
                       const ProtobufCMessage *request, uint32_t timeout_ms, struct arena *arena,
                       ProtobufCMessage **ret_response, ProtobufCMessage **ret_detail,
                       struct error *err)
{
    ProtobufCMessage *response;
    int code = call_encoded(client, method, request, timeout_ms, arena, &response, ret_detail, err);
    if (code == 0)
        code = payload_codec_decode(client->options.codecs, response, arena, err);
    if (code == 0)
        *ret_response = response;
    return code;
}

int client_call(struct argosy_client *client, enum method method, const ProtobufCMessage *request,
                struct arena *arena, ProtobufCMessage **ret_response, ProtobufCMessage **ret_detail,
                struct error *err)
{
    return client_call_within(client, method, request, atomic_load(&client->timeout_ms), arena,
                              ret_response, ret_detail, err);
}

int client_look(struct argosy_client *client, enum method method, const ProtobufCMessage *request,
                struct arena *arena, ProtobufCMessage **ret_response, struct error *err)
{
    ProtobufCMessage *response;
    int code = call_encoded(client, method, request, atomic_load(&client->timeout_ms), arena,
                            &response, NULL, err);
    if (code == 0)
        code = payload_codec_decode_known(client->options.codecs, response, arena, err);
    if (code == 0)
        *ret_response = response;
    return code;
}

/* A call whose reply says nothing but that it worked. */
static int call_plain(struct argosy_client *client, enum method method,
                      const ProtobufCMessage *request, struct arena *arena,
                      struct argosy_error *err)
{
    ProtobufCMessage *response;
    int code = client_call(client, method, request, arena, &response, NULL, error_inside(err));
    arena_fini(arena);
    return code;
}

static Api__WorkflowExecution execution_of(const char *workflow_id, const char *run_id)
{
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    execution.workflow_id = workflow_id;
    execution.run_id = run_id;
    return execution;
}

int argosy_client_signal(struct argosy_client *client, const char *workflow_id, const char *run_id,
                         const char *name, struct argosy_payloads input, struct argosy_error *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__WorkflowExecution execution = execution_of(workflow_id, run_id);
    char request_id[UUID_TEXT_SIZE];
    uuid_create(request_id);
    Api__SignalWorkflowExecutionRequest request = API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = client->options.name_space;
    request.workflow_execution = &execution;
    request.signal_name = name;
    request.input = payloads_message(input, &arena);
    request.identity = client->options.identity;
    request.request_id = request_id;
    return call_plain(client, METHOD_SIGNAL_WORKFLOW_EXECUTION, &request.base, &arena, err);
}

int argosy_client_cancel(struct argosy_client *client, const char *workflow_id, const char *run_id,
                         const char *reason, struct argosy_error *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__WorkflowExecution execution = execution_of(workflow_id, run_id);
    char request_id[UUID_TEXT_SIZE];
    uuid_create(request_id);
    Api__RequestCancelWorkflowExecutionRequest request =
        API__REQUEST_CANCEL_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = client->options.name_space;
    request.workflow_execution = &execution;
    request.identity = client->options.identity;
    request.request_id = request_id;
    request.reason = reason;
    return call_plain(client, METHOD_REQUEST_CANCEL_WORKFLOW_EXECUTION, &request.base, &arena, err);
}

int argosy_client_terminate(struct argosy_client *client, const char *workflow_id,
                            const char *run_id, const char *reason, struct argosy_error *err)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__WorkflowExecution execution = execution_of(workflow_id, run_id);
    Api__TerminateWorkflowExecutionRequest request =
        API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    request.namespace_ = client->options.name_space;
    request.workflow_execution = &execution;
    request.identity = client->options.identity;
    request.reason = reason;
    return call_plain(client, METHOD_TERMINATE_WORKFLOW_EXECUTION, &request.base, &arena, err);
}

int argosy_client_query(struct argosy_client *client, const char *workflow_id, const char *run_id,
                        const char *type, struct argosy_payloads input, struct argosy_arena *arena,
                        struct argosy_payload *ret_answer, struct argosy_error *err)
{
    struct error *inner = error_inside(err);
    Api__WorkflowExecution execution = execution_of(workflow_id, run_id);
    Api__WorkflowQuery query = API__WORKFLOW_QUERY__INIT;
    query.query_type = type;
    query.query_args = payloads_message(input, &arena->arena);
    Api__QueryWorkflowRequest request = API__QUERY_WORKFLOW_REQUEST__INIT;
    request.namespace_ = client->options.name_space;
    request.execution = &execution;
    request.query = &query;
    ProtobufCMessage *message;
    int code = client_call(client, METHOD_QUERY_WORKFLOW, &request.base, &arena->arena, &message,
                           NULL, inner);
    if (code < 0)
        return code;
    const Api__QueryWorkflowResponse *response = (const Api__QueryWorkflowResponse *)message;
    if (!payloads_view_first(response->query_result, &arena->arena, ret_answer))
        return error_set(inner, ERR_MEMORY, "out of memory");
    return 0;
}
