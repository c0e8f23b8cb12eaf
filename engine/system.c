/* SPDX-License-Identifier: Apache-2.0 */
/* system: what this engine is and can do, its one namespace, and workers that say goodbye. */
#include <string.h>

#include "common/limits.h"
#include "engine/handler.h"
#include "engine/validate.h"
#include "engine/workflow_task.h"

#define SERVER_VERSION "argosy-0.1.0"

enum core_result handle_get_system_info(struct core *core, const struct core_request *request,
                                        struct core_need *need)
{
    (void)need;
    struct arena *arena = &core->outbox->arena;
    Api__GetSystemInfoResponse *response =
        message_new(arena, &api__get_system_info_response__descriptor);
    response->server_version = SERVER_VERSION;
    Api__GetSystemInfoResponse__Capabilities *capabilities =
        message_new(arena, &api__get_system_info_response__capabilities__descriptor);
    capabilities->has_signal_and_query_header = capabilities->signal_and_query_header = true;
    capabilities->has_internal_error_differentiation =
        capabilities->internal_error_differentiation = true;
    capabilities->has_activity_failure_include_heartbeat =
        capabilities->activity_failure_include_heartbeat = true;
    capabilities->has_encoded_failure_attributes = capabilities->encoded_failure_attributes = true;
    capabilities->has_upsert_memo = capabilities->upsert_memo = true;
    capabilities->has_sdk_metadata = capabilities->sdk_metadata = true;
    response->capabilities = capabilities;
    reply_send(core, request, response);
    return CORE_HANDLED;
}

enum core_result handle_describe_namespace(struct core *core, const struct core_request *request,
                                           struct core_need *need)
{
    (void)need;
    struct arena *arena = &core->outbox->arena;
    Api__DescribeNamespaceResponse *response =
        message_new(arena, &api__describe_namespace_response__descriptor);
    Api__NamespaceInfo *info = message_new(arena, &api__namespace_info__descriptor);
    info->name = DEFAULT_NAMESPACE;
    info->id = DEFAULT_NAMESPACE;
    info->has_state = true;
    info->state = NAMESPACE_STATE_REGISTERED;
    info->capabilities = message_new(arena, &api__namespace_info__capabilities__descriptor);
    info->limits = message_new(arena, &api__namespace_info__limits__descriptor);
    info->limits->has_blob_size_limit_error = info->limits->has_memo_size_limit_error = true;
    info->limits->blob_size_limit_error = LIMIT_PAYLOAD_SIZE;
    info->limits->memo_size_limit_error = LIMIT_PAYLOAD_SIZE;
    response->namespace_info = info;
    response->config = message_new(arena, &api__namespace_config__descriptor);
    reply_send(core, request, response);
    return CORE_HANDLED;
}

/* A worker stops: the session's polls of the named queues end with an empty answer, and runs that
 * are cached there go to any worker next. */
enum core_result handle_shutdown_worker(struct core *core, const struct core_request *request,
                                        struct core_need *need)
{
    (void)need;
    const Api__ShutdownWorkerRequest *body = (const Api__ShutdownWorkerRequest *)request->body;
    const char *sticky = text_or_empty(body->sticky_task_queue);
    const char *normal = text_or_empty(body->task_queue);
    struct session *session = session_get(core, request->session);
    struct pending *pending, *next;
    DL_FOREACH_SAFE2(session->pendings, pending, next, session_next)
    {
        if (pending->kind != PENDING_POLL)
            continue;
        const char *name = pending->queue->kind == QUEUE_STICKY ? sticky : normal;
        if (*name != '\0' && strcmp(pending->queue->name, name) == 0)
            pending_expire(core, pending);
    }
    struct error err;
    if (*sticky != '\0' && validate_text("sticky task queue", sticky, &err) == 0) {
        struct queue *queue = queue_find(core, QUEUE_STICKY, sticky);
        if (queue != NULL)
            queue_abandon(core, queue);
    }
    reply_send(core, request,
               message_new(&core->outbox->arena, &api__shutdown_worker_response__descriptor));
    return CORE_HANDLED;
}
