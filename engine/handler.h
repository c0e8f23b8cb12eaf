/* SPDX-License-Identifier: Apache-2.0 */
/*
 * handler: one function per method of the API that the core answers; the shell answers Ping,
 * ListWorkflowExecutions and CountWorkflowExecutions itself.
 *
 * A handler replies (now or, for a waiting request, later) and returns CORE_HANDLED; or it returns
 * CORE_NEEDS_RUN with *need filled, having changed nothing.
 */
#ifndef ARGOSY_ENGINE_HANDLER_H
#define ARGOSY_ENGINE_HANDLER_H

#include "engine/core_state.h"

/*    method                                    function suffix */
#define HANDLERS(X)                                                                                \
    X(GET_SYSTEM_INFO, get_system_info)                                                            \
    X(DESCRIBE_NAMESPACE, describe_namespace)                                                      \
    X(START_WORKFLOW_EXECUTION, start)                                                             \
    X(SIGNAL_WITH_START_WORKFLOW_EXECUTION, signal_with_start)                                     \
    X(SIGNAL_WORKFLOW_EXECUTION, signal)                                                           \
    X(REQUEST_CANCEL_WORKFLOW_EXECUTION, request_cancel)                                           \
    X(TERMINATE_WORKFLOW_EXECUTION, terminate)                                                     \
    X(GET_WORKFLOW_EXECUTION_HISTORY, get_history)                                                 \
    X(DESCRIBE_WORKFLOW_EXECUTION, describe)                                                       \
    X(QUERY_WORKFLOW, query)                                                                       \
    X(DESCRIBE_TASK_QUEUE, describe_task_queue)                                                    \
    X(POLL_WORKFLOW_TASK_QUEUE, poll_workflow)                                                     \
    X(RESPOND_WORKFLOW_TASK_COMPLETED, workflow_task_completed)                                    \
    X(RESPOND_WORKFLOW_TASK_FAILED, workflow_task_failed)                                          \
    X(RESPOND_QUERY_TASK_COMPLETED, query_completed)                                               \
    X(RESET_STICKY_TASK_QUEUE, reset_sticky)                                                       \
    X(SHUTDOWN_WORKER, shutdown_worker)                                                            \
    X(POLL_ACTIVITY_TASK_QUEUE, poll_activity)                                                     \
    X(RECORD_ACTIVITY_TASK_HEARTBEAT, heartbeat)                                                   \
    X(RESPOND_ACTIVITY_TASK_COMPLETED, activity_completed)                                         \
    X(RESPOND_ACTIVITY_TASK_FAILED, activity_failed)                                               \
    X(RESPOND_ACTIVITY_TASK_CANCELED, activity_canceled)                                           \
    X(RECORD_ACTIVITY_TASK_HEARTBEAT_BY_ID, heartbeat_by_id)                                       \
    X(RESPOND_ACTIVITY_TASK_COMPLETED_BY_ID, activity_completed_by_id)                             \
    X(RESPOND_ACTIVITY_TASK_FAILED_BY_ID, activity_failed_by_id)                                   \
    X(RESPOND_ACTIVITY_TASK_CANCELED_BY_ID, activity_canceled_by_id)                               \
    X(HELLO, hello)                                                                                \
    X(CANCEL, cancel)                                                                              \
    X(RELEASE_TASK, release_task)                                                                  \
    X(WORKER_LOST, worker_lost)                                                                    \
    X(SET_QUEUE_LIMIT, set_queue_limit)                                                            \
    X(GET_ENGINE_STATS, get_engine_stats)                                                          \
    X(DESCRIBE_FLEET, describe_fleet)                                                              \
    X(SERVE_NODE, serve_node)                                                                      \
    X(RESPOND_NODE_CALL, respond_node_call)                                                        \
    X(CALL_NODE, call_node)                                                                        \
    X(LOCK_TIME_SKIPPING, lock_time_skipping)                                                      \
    X(UNLOCK_TIME_SKIPPING, unlock_time_skipping)                                                  \
    X(SLEEP, sleep)                                                                                \
    X(GET_CURRENT_TIME, get_current_time)

typedef enum core_result handler(struct core *core, const struct core_request *request,
                                 struct core_need *need);

#define HANDLER_DECLARE(method, suffix) handler handle_##suffix;
HANDLERS(HANDLER_DECLARE)
#undef HANDLER_DECLARE

#endif
