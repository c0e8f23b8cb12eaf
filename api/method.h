/* SPDX-License-Identifier: Apache-2.0 */
/*
 * method: the methods of the API, their wire numbers and message types, in one table.
 *
 * Names are Temporal's RPC names; numbers are ours and never reused. From 100 on: methods that
 * exist on the ZeroMQ transport only (docs/spec/01-wire.md). From 200 on: those of the storage
 * process (docs/spec/06-storage.md); it takes no others, and the engine none of these.
 */
#ifndef ARGOSY_API_METHOD_H
#define ARGOSY_API_METHOD_H

#include <protobuf-c/protobuf-c.h>

/*    name                              number request and reply message, as in C */
#define METHODS(X)                                                                                 \
    X(GET_SYSTEM_INFO, 1, get_system_info, GetSystemInfo)                                          \
    X(DESCRIBE_NAMESPACE, 2, describe_namespace, DescribeNamespace)                                \
    X(START_WORKFLOW_EXECUTION, 3, start_workflow_execution, StartWorkflowExecution)               \
    X(SIGNAL_WITH_START_WORKFLOW_EXECUTION, 4, signal_with_start_workflow_execution,               \
      SignalWithStartWorkflowExecution)                                                            \
    X(SIGNAL_WORKFLOW_EXECUTION, 5, signal_workflow_execution, SignalWorkflowExecution)            \
    X(REQUEST_CANCEL_WORKFLOW_EXECUTION, 6, request_cancel_workflow_execution,                     \
      RequestCancelWorkflowExecution)                                                              \
    X(TERMINATE_WORKFLOW_EXECUTION, 7, terminate_workflow_execution, TerminateWorkflowExecution)   \
    X(GET_WORKFLOW_EXECUTION_HISTORY, 8, get_workflow_execution_history,                           \
      GetWorkflowExecutionHistory)                                                                 \
    X(DESCRIBE_WORKFLOW_EXECUTION, 9, describe_workflow_execution, DescribeWorkflowExecution)      \
    X(LIST_WORKFLOW_EXECUTIONS, 10, list_workflow_executions, ListWorkflowExecutions)              \
    X(COUNT_WORKFLOW_EXECUTIONS, 11, count_workflow_executions, CountWorkflowExecutions)           \
    X(QUERY_WORKFLOW, 12, query_workflow, QueryWorkflow)                                           \
    X(DESCRIBE_TASK_QUEUE, 13, describe_task_queue, DescribeTaskQueue)                             \
    X(POLL_WORKFLOW_TASK_QUEUE, 20, poll_workflow_task_queue, PollWorkflowTaskQueue)               \
    X(RESPOND_WORKFLOW_TASK_COMPLETED, 21, respond_workflow_task_completed,                        \
      RespondWorkflowTaskCompleted)                                                                \
    X(RESPOND_WORKFLOW_TASK_FAILED, 22, respond_workflow_task_failed, RespondWorkflowTaskFailed)   \
    X(RESPOND_QUERY_TASK_COMPLETED, 23, respond_query_task_completed, RespondQueryTaskCompleted)   \
    X(RESET_STICKY_TASK_QUEUE, 24, reset_sticky_task_queue, ResetStickyTaskQueue)                  \
    X(SHUTDOWN_WORKER, 25, shutdown_worker, ShutdownWorker)                                        \
    X(POLL_ACTIVITY_TASK_QUEUE, 30, poll_activity_task_queue, PollActivityTaskQueue)               \
    X(RECORD_ACTIVITY_TASK_HEARTBEAT, 31, record_activity_task_heartbeat,                          \
      RecordActivityTaskHeartbeat)                                                                 \
    X(RESPOND_ACTIVITY_TASK_COMPLETED, 32, respond_activity_task_completed,                        \
      RespondActivityTaskCompleted)                                                                \
    X(RESPOND_ACTIVITY_TASK_FAILED, 33, respond_activity_task_failed, RespondActivityTaskFailed)   \
    X(RESPOND_ACTIVITY_TASK_CANCELED, 34, respond_activity_task_canceled,                          \
      RespondActivityTaskCanceled)                                                                 \
    X(RECORD_ACTIVITY_TASK_HEARTBEAT_BY_ID, 35, record_activity_task_heartbeat_by_id,              \
      RecordActivityTaskHeartbeatById)                                                             \
    X(RESPOND_ACTIVITY_TASK_COMPLETED_BY_ID, 36, respond_activity_task_completed_by_id,            \
      RespondActivityTaskCompletedById)                                                            \
    X(RESPOND_ACTIVITY_TASK_FAILED_BY_ID, 37, respond_activity_task_failed_by_id,                  \
      RespondActivityTaskFailedById)                                                               \
    X(RESPOND_ACTIVITY_TASK_CANCELED_BY_ID, 38, respond_activity_task_canceled_by_id,              \
      RespondActivityTaskCanceledById)                                                             \
    X(HELLO, 100, hello, Hello)                                                                    \
    X(PING, 101, ping, Ping)                                                                       \
    X(CANCEL, 102, cancel, Cancel)                                                                 \
    X(RELEASE_TASK, 103, release_task, ReleaseTask)                                                \
    X(WORKER_LOST, 104, worker_lost, WorkerLost)                                                   \
    X(SET_QUEUE_LIMIT, 105, set_queue_limit, SetQueueLimit)                                        \
    X(GET_ENGINE_STATS, 106, get_engine_stats, GetEngineStats)                                     \
    X(DESCRIBE_FLEET, 107, describe_fleet, DescribeFleet)                                          \
    X(SERVE_NODE, 108, serve_node, ServeNode)                                                      \
    X(RESPOND_NODE_CALL, 109, respond_node_call, RespondNodeCall)                                  \
    X(CALL_NODE, 110, call_node, CallNode)                                                         \
    X(LOCK_TIME_SKIPPING, 120, lock_time_skipping, LockTimeSkipping)                               \
    X(UNLOCK_TIME_SKIPPING, 121, unlock_time_skipping, UnlockTimeSkipping)                         \
    X(SLEEP, 122, sleep, Sleep)                                                                    \
    X(GET_CURRENT_TIME, 123, get_current_time, GetCurrentTime)                                     \
    X(PUT_ARTIFACT, 200, put_artifact, PutArtifact)                                                \
    X(GET_ARTIFACT, 201, get_artifact, GetArtifact)                                                \
    X(KEEP_ARTIFACT, 202, keep_artifact, KeepArtifact)                                             \
    X(RELEASE_ARTIFACT, 203, release_artifact, ReleaseArtifact)                                    \
    X(LIST_ARTIFACTS, 204, list_artifacts, ListArtifacts)                                          \
    X(VERIFY_ARTIFACTS, 205, verify_artifacts, VerifyArtifacts)                                    \
    X(COLLECT_ARTIFACTS, 206, collect_artifacts, CollectArtifacts)                                 \
    X(REGISTER_MODEL, 207, register_model, RegisterModel)                                          \
    X(GET_MODEL, 208, get_model, GetModel)                                                         \
    X(LIST_MODELS, 209, list_models, ListModels)                                                   \
    X(UNREGISTER_MODEL, 210, unregister_model, UnregisterModel)                                    \
    X(LIST_VECTOR_HASHES, 220, list_vector_hashes, ListVectorHashes)                               \
    X(UPLOAD_VECTORS, 221, upload_vectors, UploadVectors)                                          \
    X(COMMIT_VECTORS, 222, commit_vectors, CommitVectors)                                          \
    X(SEARCH_VECTORS, 223, search_vectors, SearchVectors)                                          \
    X(GET_VECTOR_CONTENTS, 224, get_vector_contents, GetVectorContents)                            \
    X(LIST_VECTOR_COLLECTIONS, 225, list_vector_collections, ListVectorCollections)                \
    X(DELETE_VECTOR_COLLECTION, 226, delete_vector_collection, DeleteVectorCollection)

enum method {
#define METHOD_ENUM(name, number, lower, camel) METHOD_##name = number,
    METHODS(METHOD_ENUM)
#undef METHOD_ENUM
};

struct method_row {
    enum method method;
    const char *name; /* "StartWorkflowExecution" */
    const ProtobufCMessageDescriptor *request;
    const ProtobufCMessageDescriptor *response;
};

/* The row of a wire number or of a name; NULL when there is none. The table is constant. */
const struct method_row *method_get(int number);
const struct method_row *method_find(const char *name);

#endif
