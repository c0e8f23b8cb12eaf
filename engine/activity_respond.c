/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity_respond: the methods with which workers report on attempts, by task token or by id
 * (docs/spec/03-activity.md, section 5).
 *
 * A report counts for the latest dispatch of an attempt that is under way, once; anything else is
 * NOT_FOUND, whereupon the worker drops the attempt.
 */
#include <string.h>

#include "engine/activity.h"
#include "engine/failure.h"
#include "engine/handler.h"
#include "engine/task_token.h"
#include "engine/validate.h"

/* --- finding the attempt -----------------------------------------------------------------------
 */

static void reply_not_found(struct core *core, const struct core_request *request)
{
    Api__NotFoundFailure detail = API__NOT_FOUND_FAILURE__INIT;
    reply_error_detail(core, request, ERR_NOT_FOUND, "NotFoundFailure", &detail,
                       "activity task not found");
}

static struct activity *find_by_token(struct core *core, const struct core_request *request,
                                      ProtobufCBinaryData data)
{
    struct task_token token;
    struct error err;
    if (task_token_decode(data, &token, &err) < 0) {
        reply_error(core, request, ERR_INVALID, "%s", err.text);
        return NULL;
    }
    const Api__WorkflowExecution execution = {.run_id = token.run_id};
    struct run *run = core_run_find(core, &execution);
    struct activity *activity = NULL;
    if (token.kind == TASK_ACTIVITY && run != NULL && run_is_open(run))
        activity = run_activity_get(run, token.id);
    if (activity != NULL && activity_is_started(activity) && activity->attempt == token.attempt &&
        activity->dispatch == token.dispatch)
        return activity;
    reply_not_found(core, request);
    return NULL;
}

static struct activity *find_by_id(struct core *core, const struct core_request *request,
                                   const char *workflow_id, const char *run_id,
                                   const char *activity_id)
{
    struct error err;
    if (validate_id("activity id", activity_id, &err) < 0) {
        reply_error(core, request, ERR_INVALID, "%s", err.text);
        return NULL;
    }
    const Api__WorkflowExecution execution = {.workflow_id = workflow_id, .run_id = run_id};
    struct run *run = core_run_open(core, request, &execution);
    if (run == NULL)
        return NULL;
    struct activity *activity = run_activity_find(run, activity_id);
    if (activity != NULL && activity_is_started(activity))
        return activity;
    reply_not_found(core, request);
    return NULL;
}

/* --- reports -----------------------------------------------------------------------------------
 */

/* What does not fit becomes a failure, so that the workflow hears of it; retrying would not help.
 */
static const Api__Failure *too_large(struct core *core, const char *what, const void *message)
{
    struct error err;
    if (validate_size(what, message, LIMIT_PAYLOAD_SIZE, &err) == 0)
        return NULL;
    struct arena *arena = &core->outbox->arena;
    return failure_server(arena, text_copy_valid(arena, err.text), true);
}

/* Heartbeat details travel with the input to the next dispatch: together they must fit a reply. */
static int check_details(const Api__Payloads *details, struct error *err)
{
    return validate_size("heartbeat details", details, LIMIT_PAYLOAD_SIZE - 2 * VALIDATE_MARGIN,
                         err);
}

static void complete(struct core *core, struct activity *activity, const Api__Payloads *result,
                     const char *identity)
{
    const Api__Failure *failure = too_large(core, "activity result", result);
    if (failure != NULL)
        activity_fail(core, activity, failure, identity);
    else
        activity_complete(core, activity, result, identity);
}

static void fail(struct core *core, struct activity *activity, const Api__Failure *failure,
                 const Api__Payloads *details, const char *identity)
{
    struct arena *arena = &core->outbox->arena;
    if (details != NULL)
        activity_heartbeat(core, activity, details);
    if (failure == NULL)
        failure = failure_server(arena, "activity failed without saying why", false);
    const Api__Failure *replacement = too_large(core, "activity failure", failure);
    activity_fail(core, activity, replacement != NULL ? replacement : failure, identity);
}

/* Replies OK to a report that has been taken. */
static enum core_result done(struct core *core, const struct core_request *request,
                             const ProtobufCMessageDescriptor *response)
{
    reply_send(core, request, message_new(&core->outbox->arena, response));
    return CORE_HANDLED;
}

/* False after replying that the identity or the details are not acceptable. */
static bool check_report(struct core *core, const struct core_request *request,
                         const char *identity, const Api__Payloads *heartbeat_details)
{
    struct error err;
    int rc = validate_text("identity", identity, &err);
    if (rc == 0)
        rc = check_details(heartbeat_details, &err);
    if (rc < 0)
        reply_error(core, request, rc, "%s", err.text);
    return rc == 0;
}

/* --- by token ----------------------------------------------------------------------------------
 */

enum core_result handle_activity_completed(struct core *core, const struct core_request *request,
                                           struct core_need *need)
{
    (void)need;
    const Api__RespondActivityTaskCompletedRequest *body =
        (const Api__RespondActivityTaskCompletedRequest *)request->body;
    if (!check_report(core, request, body->identity, NULL))
        return CORE_HANDLED;
    struct activity *activity = find_by_token(core, request, body->task_token);
    if (activity == NULL)
        return CORE_HANDLED;
    complete(core, activity, body->result, body->identity);
    return done(core, request, &api__respond_activity_task_completed_response__descriptor);
}

enum core_result handle_activity_failed(struct core *core, const struct core_request *request,
                                        struct core_need *need)
{
    (void)need;
    const Api__RespondActivityTaskFailedRequest *body =
        (const Api__RespondActivityTaskFailedRequest *)request->body;
    if (!check_report(core, request, body->identity, body->last_heartbeat_details))
        return CORE_HANDLED;
    struct activity *activity = find_by_token(core, request, body->task_token);
    if (activity == NULL)
        return CORE_HANDLED;
    fail(core, activity, body->failure, body->last_heartbeat_details, body->identity);
    return done(core, request, &api__respond_activity_task_failed_response__descriptor);
}

/* Canceling counts only when it was asked for. */
static bool cancel(struct core *core, const struct core_request *request, struct activity *activity,
                   const Api__Payloads *details, const char *identity)
{
    if (activity->cancel_requested_id == 0) {
        reply_error(core, request, ERR_INVALID, "cancellation of the activity was not requested");
        return false;
    }
    activity_cancel(core, activity,
                    too_large(core, "cancellation details", details) == NULL ? details : NULL,
                    identity);
    return true;
}

enum core_result handle_activity_canceled(struct core *core, const struct core_request *request,
                                          struct core_need *need)
{
    (void)need;
    const Api__RespondActivityTaskCanceledRequest *body =
        (const Api__RespondActivityTaskCanceledRequest *)request->body;
    if (!check_report(core, request, body->identity, NULL))
        return CORE_HANDLED;
    struct activity *activity = find_by_token(core, request, body->task_token);
    if (activity == NULL || !cancel(core, request, activity, body->details, body->identity))
        return CORE_HANDLED;
    return done(core, request, &api__respond_activity_task_canceled_response__descriptor);
}

enum core_result handle_heartbeat(struct core *core, const struct core_request *request,
                                  struct core_need *need)
{
    (void)need;
    const Api__RecordActivityTaskHeartbeatRequest *body =
        (const Api__RecordActivityTaskHeartbeatRequest *)request->body;
    if (!check_report(core, request, body->identity, body->details))
        return CORE_HANDLED;
    struct activity *activity = find_by_token(core, request, body->task_token);
    if (activity == NULL)
        return CORE_HANDLED;
    activity_heartbeat(core, activity, body->details);
    Api__RecordActivityTaskHeartbeatResponse *response = message_new(
        &core->outbox->arena, &api__record_activity_task_heartbeat_response__descriptor);
    response->has_cancel_requested = true;
    response->cancel_requested = activity->cancel_requested_id != 0;
    reply_send(core, request, response);
    return CORE_HANDLED;
}

enum core_result handle_release_task(struct core *core, const struct core_request *request,
                                     struct core_need *need)
{
    (void)need;
    const Api__ReleaseTaskRequest *body = (const Api__ReleaseTaskRequest *)request->body;
    struct task_token token;
    if (task_token_decode(body->task_token, &token, NULL) == 0 && token.kind != TASK_ACTIVITY) {
        reply_error(core, request, ERR_UNSUPPORTED,
                    "only activity tasks are handed back: workflow tasks are short");
        return CORE_HANDLED;
    }
    struct activity *activity = find_by_token(core, request, body->task_token);
    if (activity == NULL)
        return CORE_HANDLED;
    activity_released(core, activity);
    return done(core, request, &api__release_task_response__descriptor);
}

/* --- by id -------------------------------------------------------------------------------------
 */

enum core_result handle_activity_completed_by_id(struct core *core,
                                                 const struct core_request *request,
                                                 struct core_need *need)
{
    (void)need;
    const Api__RespondActivityTaskCompletedByIdRequest *body =
        (const Api__RespondActivityTaskCompletedByIdRequest *)request->body;
    if (!check_report(core, request, body->identity, NULL))
        return CORE_HANDLED;
    struct activity *activity =
        find_by_id(core, request, body->workflow_id, body->run_id, body->activity_id);
    if (activity == NULL)
        return CORE_HANDLED;
    complete(core, activity, body->result, body->identity);
    return done(core, request, &api__respond_activity_task_completed_by_id_response__descriptor);
}

enum core_result handle_activity_failed_by_id(struct core *core, const struct core_request *request,
                                              struct core_need *need)
{
    (void)need;
    const Api__RespondActivityTaskFailedByIdRequest *body =
        (const Api__RespondActivityTaskFailedByIdRequest *)request->body;
    if (!check_report(core, request, body->identity, body->last_heartbeat_details))
        return CORE_HANDLED;
    struct activity *activity =
        find_by_id(core, request, body->workflow_id, body->run_id, body->activity_id);
    if (activity == NULL)
        return CORE_HANDLED;
    fail(core, activity, body->failure, body->last_heartbeat_details, body->identity);
    return done(core, request, &api__respond_activity_task_failed_by_id_response__descriptor);
}

enum core_result handle_activity_canceled_by_id(struct core *core,
                                                const struct core_request *request,
                                                struct core_need *need)
{
    (void)need;
    const Api__RespondActivityTaskCanceledByIdRequest *body =
        (const Api__RespondActivityTaskCanceledByIdRequest *)request->body;
    if (!check_report(core, request, body->identity, NULL))
        return CORE_HANDLED;
    struct activity *activity =
        find_by_id(core, request, body->workflow_id, body->run_id, body->activity_id);
    if (activity == NULL || !cancel(core, request, activity, body->details, body->identity))
        return CORE_HANDLED;
    return done(core, request, &api__respond_activity_task_canceled_by_id_response__descriptor);
}

enum core_result handle_heartbeat_by_id(struct core *core, const struct core_request *request,
                                        struct core_need *need)
{
    (void)need;
    const Api__RecordActivityTaskHeartbeatByIdRequest *body =
        (const Api__RecordActivityTaskHeartbeatByIdRequest *)request->body;
    if (!check_report(core, request, body->identity, body->details))
        return CORE_HANDLED;
    struct activity *activity =
        find_by_id(core, request, body->workflow_id, body->run_id, body->activity_id);
    if (activity == NULL)
        return CORE_HANDLED;
    activity_heartbeat(core, activity, body->details);
    Api__RecordActivityTaskHeartbeatByIdResponse *response = message_new(
        &core->outbox->arena, &api__record_activity_task_heartbeat_by_id_response__descriptor);
    response->has_cancel_requested = true;
    response->cancel_requested = activity->cancel_requested_id != 0;
    reply_send(core, request, response);
    return CORE_HANDLED;
}
