/* SPDX-License-Identifier: Apache-2.0 */
/* activity: see activity.h. Here: its life, its function and its outcome; heartbeat.c has the rest.
 */
#include "sdk/activity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/codec.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/limits.h"
#include "sdk/duration.h"
#include "sdk/error.h"
#include "sdk/failure.h"
#include "sdk/payload.h"
#include "sdk/priority.h"

/* Without a heartbeat timeout: the core SDKs' default throttle. */
#define HEARTBEAT_INTERVAL_NS (30 * NS_PER_S)

static const struct state_row activity_rows[] = {
    [ACTIVITY_RUNNING] = {"running", STATE_BIT(ACTIVITY_FINISHING) | STATE_BIT(ACTIVITY_ABANDONED)},
    [ACTIVITY_FINISHING] = {"finishing", 0},
    [ACTIVITY_ABANDONED] = {"abandoned", 0},
};

/* ---- host ---- */

int activity_host_create(struct activity_host **ret_host, struct error *err)
{
    struct activity_host *host = calloc(1, sizeof *host);
    if (host == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    atomic_init(&host->references, 1);
    atomic_init(&host->is_draining, false);
    int errnum = pthread_mutex_init(&host->mutex, NULL);
    if (errnum != 0) {
        free(host);
        return error_set_errno(err, ERR_MEMORY, errnum, "could not make a mutex");
    }
    *ret_host = host;
    return 0;
}

void activity_host_unref(struct activity_host *host)
{
    if (host == NULL || atomic_fetch_sub_explicit(&host->references, 1, memory_order_acq_rel) != 1)
        return;
    ASSERT(host->held == NULL);
    pthread_mutex_destroy(&host->mutex);
    free(host);
}

size_t activity_host_held(struct activity_host *host)
{
    pthread_mutex_lock(&host->mutex);
    size_t count = host->held_count;
    pthread_mutex_unlock(&host->mutex);
    return count;
}

void activity_host_tokens(struct activity_host *host, struct arena *arena, Api__HelloRequest *hello)
{
    pthread_mutex_lock(&host->mutex);
    size_t count = hello->n_held_task_tokens + host->held_count;
    ProtobufCBinaryData *tokens = arena_alloc(arena, count * sizeof *tokens);
    if (tokens != NULL) {
        if (hello->n_held_task_tokens > 0)
            memcpy(tokens, hello->held_task_tokens, hello->n_held_task_tokens * sizeof *tokens);
        hello->held_task_tokens = tokens;
        const struct argosy_activity *activity;
        DL_FOREACH (host->held, activity) {
            uint8_t *bytes = arena_memdup(arena, activity->token.data, activity->token.len);
            if (bytes != NULL)
                tokens[hello->n_held_task_tokens++] =
                    (ProtobufCBinaryData){activity->token.len, bytes};
        }
    }
    pthread_mutex_unlock(&host->mutex);
}

static bool tokens_equal(const ProtobufCBinaryData *one, const ProtobufCBinaryData *other)
{
    return one->len == other->len && memcmp(one->data, other->data, one->len) == 0;
}

void activity_host_lose(struct activity_host *host, size_t count, const ProtobufCBinaryData *tokens)
{
    pthread_mutex_lock(&host->mutex);
    struct argosy_activity *activity, *next;
    DL_FOREACH_SAFE (host->held, activity, next) {
        bool is_lost = false;
        for (size_t i = 0; i < count && !is_lost; i++)
            is_lost = tokens_equal(&activity->token, &tokens[i]);
        if (is_lost && activity->machine.state == ACTIVITY_RUNNING) {
            state_move(&activity->machine, ACTIVITY_ABANDONED);
            atomic_store(&activity->is_canceled, true);
            activity_drop(activity);
        }
    }
    pthread_mutex_unlock(&host->mutex);
}

void activity_host_abandon(struct activity_host *host)
{
    pthread_mutex_lock(&host->mutex);
    struct argosy_activity *activity, *next;
    DL_FOREACH_SAFE (host->held, activity, next) {
        if (activity->machine.state == ACTIVITY_RUNNING) {
            state_move(&activity->machine, ACTIVITY_ABANDONED);
            atomic_store(&activity->is_canceled, true);
            activity_drop(activity);
        }
    }
    pthread_mutex_unlock(&host->mutex);
}

/* ---- life ---- */

void activity_ref(struct argosy_activity *activity)
{
    atomic_fetch_add_explicit(&activity->references, 1, memory_order_relaxed);
}

void activity_unref(struct argosy_activity *activity)
{
    if (atomic_fetch_sub_explicit(&activity->references, 1, memory_order_acq_rel) != 1)
        return;
    struct activity_host *host = activity->host;
    arena_fini(&activity->details_arena);
    arena_fini(&activity->arena.arena);
    free(activity);
    activity_host_unref(host);
}

void activity_drop(struct argosy_activity *activity)
{
    struct activity_host *host = activity->host;
    if (activity->is_unsent)
        host->unsent_count--;
    activity->is_unsent = false;
    DL_DELETE(host->held, activity);
    host->held_count--;
    activity_unref(activity);
}

static bool fill(struct argosy_activity *activity, const Api__PollActivityTaskQueueResponse *task,
                 const char *task_queue)
{
    struct arena *arena = &activity->arena.arena;
    const Api__WorkflowExecution *execution = task->workflow_execution;
    const char *workflow_type = task->workflow_type == NULL ? NULL : task->workflow_type->name;
    activity->token = task->task_token;
    activity->info = (struct argosy_activity_info){
        .activity_type = activity->type->type,
        .activity_id = task->activity_id == NULL ? "" : task->activity_id,
        .workflow_id =
            execution == NULL || execution->workflow_id == NULL ? "" : execution->workflow_id,
        .run_id = execution == NULL || execution->run_id == NULL ? "" : execution->run_id,
        .workflow_type = workflow_type == NULL ? "" : workflow_type,
        .task_queue = arena_strdup(arena, task_queue),
        .attempt = task->attempt == 0 ? 1 : task->attempt,
        .loss_count = task->loss_count,
        .priority = priority_of(task->priority),
        .scheduled_time_utc_us = timestamp_utc_us(task->scheduled_time),
        .attempt_scheduled_time_utc_us = timestamp_utc_us(task->current_attempt_scheduled_time),
        .started_time_utc_us = timestamp_utc_us(task->started_time),
        .start_to_close_timeout_ms = duration_ms(task->start_to_close_timeout),
        .heartbeat_timeout_ms = duration_ms(task->heartbeat_timeout),
    };
    int64_t timeout_ms = activity->info.heartbeat_timeout_ms;
    activity->heartbeat_interval_ns =
        timeout_ms > 0 ? (uint64_t)timeout_ms * NS_PER_MS / 10 * 8 : HEARTBEAT_INTERVAL_NS;
    if (activity->info.task_queue == NULL ||
        !payloads_view(task->input, arena, &activity->inputs) ||
        !payloads_view_first(task->heartbeat_details, arena, &activity->last_heartbeat))
        return false;
    activity->first_input =
        activity->inputs.count > 0 ? activity->inputs.items[0] : argosy_payload_null();
    return true;
}

static int decode(struct argosy_activity *activity, const struct argosy_registry *registry,
                  const uint8_t *body, size_t body_size, const char *task_queue, struct error *err)
{
    struct arena *arena = &activity->arena.arena;
    uint8_t *copy = arena_memdup(arena, body, body_size);
    if (copy == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    ProtobufCMessage *message;
    int code = codec_decode(&api__poll_activity_task_queue_response__descriptor, copy, body_size,
                            arena, &message, err);
    if (code < 0)
        return code;
    /* A task that cannot be read is held all the same: its attempt must be failed. */
    payload_codec_decode(activity->host->codecs, message, arena, &activity->problem);
    const Api__PollActivityTaskQueueResponse *task =
        (const Api__PollActivityTaskQueueResponse *)message;
    if (task->task_token.len == 0 || task->activity_type == NULL ||
        task->activity_type->name == NULL)
        return error_set(err, ERR_PROTOCOL, "an activity task without token or type");
    activity->type = registry_find_activity(registry, task->activity_type->name);
    if (activity->type == NULL)
        return error_set(err, ERR_NOT_FOUND, "activity type \"%s\" is not registered here",
                         task->activity_type->name);
    return fill(activity, task, task_queue) ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

int activity_create(struct activity_host *host, const struct argosy_registry *registry,
                    const uint8_t *body, size_t body_size, const char *task_queue,
                    struct argosy_activity **ret_activity, struct error *err)
{
    struct argosy_activity *activity = calloc(1, sizeof *activity);
    if (activity == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    activity->host = host;
    atomic_fetch_add_explicit(&host->references, 1, memory_order_relaxed);
    activity->machine = (struct state_machine){activity_rows, ACTIVITY_RUNNING};
    atomic_init(&activity->is_canceled, false);
    atomic_init(&activity->references, 2); /* the held list's and the handle */
    arena_init(&activity->arena.arena, ARENA_NO_LIMIT);
    arena_init(&activity->details_arena, ARENA_NO_LIMIT);
    int code = decode(activity, registry, body, body_size, task_queue, err);
    if (code < 0) {
        atomic_store(&activity->references, 1);
        activity_unref(activity);
        return code;
    }
    pthread_mutex_lock(&host->mutex);
    DL_APPEND(host->held, activity);
    host->held_count++;
    pthread_mutex_unlock(&host->mutex);
    *ret_activity = activity;
    return 0;
}

/* ---- outcome ---- */

void activity_report(struct argosy_activity *activity, const char *what, const struct error *reason)
{
    struct error line;
    error_set(&line, reason->code, "%s of activity %s: %s", what, activity->info.activity_id,
              reason->text);
    activity->host->on_log(
        activity->host->context,
        &(struct argosy_log_record){.level = ARGOSY_LOG_WARN,
                                    .text = line.text,
                                    .workflow_type = activity->info.workflow_type,
                                    .workflow_id = activity->info.workflow_id,
                                    .run_id = activity->info.run_id});
}

/* The engine has the outcome, or will never have it. */
static void on_receipt(void *context, const struct connection_reply *reply)
{
    struct argosy_activity *activity = context;
    struct activity_host *host = activity->host;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct error reason = {0};
    ProtobufCMessage *response;
    /* Not found: it was canceled, timed out or given to another worker meanwhile. */
    int code = connection_reply_decode(reply, &arena, &response, &reason);
    if (code < 0 && code != ERR_NOT_FOUND)
        activity_report(activity, "lost the outcome", &reason);
    arena_fini(&arena);
    pthread_mutex_lock(&host->mutex);
    if (activity->machine.state == ACTIVITY_FINISHING)
        activity_drop(activity);
    pthread_mutex_unlock(&host->mutex);
    activity_unref(activity);
}

static int submit(struct argosy_activity *activity, enum method method,
                  const ProtobufCMessage *message, struct error *err)
{
    struct connection_request request = {
        .message = message,
        .method = method,
        .timeout_ms = ACTIVITY_REPORT_TIMEOUT_MS,
        .on_reply = on_receipt,
        .context = activity,
    };
    activity_ref(activity);
    int code = connection_submit(activity->host->connection, &request, NULL, err);
    if (code < 0)
        activity_unref(activity);
    return code;
}

/* Sends the outcome and gives up the handle. Does nothing else for a task that is not ours now. */
static void finish(struct argosy_activity *activity, enum method method,
                   const ProtobufCMessage *message)
{
    struct activity_host *host = activity->host;
    struct error reason = {0};
    pthread_mutex_lock(&host->mutex);
    if (activity->machine.state == ACTIVITY_RUNNING) {
        state_move(&activity->machine, ACTIVITY_FINISHING);
        /* An outcome that cannot be sent leaves the task to its timeouts. */
        if (submit(activity, method, message, &reason) < 0)
            activity_drop(activity);
    }
    pthread_mutex_unlock(&host->mutex);
    if (reason.code < 0)
        activity_report(activity, "cannot send the outcome", &reason);
    activity_unref(activity);
}

static Api__Payloads *newest_details(struct argosy_activity *activity)
{
    struct argosy_payload details = {0};
    pthread_mutex_lock(&activity->host->mutex);
    if (activity->details.encoding != NULL)
        payload_copy(&activity->details, &activity->arena.arena, &details);
    pthread_mutex_unlock(&activity->host->mutex);
    return details.encoding == NULL ? NULL : payload_message(&details, &activity->arena.arena);
}

static Api__RespondActivityTaskFailedRequest failed_request(const struct argosy_activity *activity,
                                                            const struct argosy_error *err,
                                                            struct arena *arena)
{
    Api__RespondActivityTaskFailedRequest request = API__RESPOND_ACTIVITY_TASK_FAILED_REQUEST__INIT;
    request.has_task_token = 1;
    request.task_token = activity->token;
    request.failure = failure_of_error(err, arena);
    request.identity = activity->host->identity;
    request.namespace_ = activity->host->name_space;
    return request;
}

/* A codec failed. What it says of that is not encoded: whoever has the right key must read it. */
static void fail_codec(struct argosy_activity *activity, const struct error *problem)
{
    struct argosy_error err = {0};
    argosy_failure_raise(
        &activity->arena,
        &(struct argosy_failure_options){.type = PAYLOAD_CODEC_FAILURE, .message = problem->text},
        &err);
    Api__RespondActivityTaskFailedRequest request =
        failed_request(activity, &err, &activity->arena.arena);
    finish(activity, METHOD_RESPOND_ACTIVITY_TASK_FAILED, &request.base);
}

void activity_refuse(struct argosy_activity *activity)
{
    fail_codec(activity, &activity->problem);
}

void argosy_activity_fail(struct argosy_activity *activity, const struct argosy_error *err)
{
    static const struct argosy_error unexplained = {.code = ERR_FAILED, .text = "failed"};
    const struct argosy_error *reason = err == NULL || err->code >= 0 ? &unexplained : err;
    struct arena *arena = &activity->arena.arena;
    Api__RespondActivityTaskFailedRequest request = failed_request(activity, reason, arena);
    request.last_heartbeat_details = newest_details(activity);
    struct error problem;
    const ProtobufCMessage *message;
    if (payload_codec_encode(activity->host->codecs, &request.base, arena, &message, &problem) < 0)
        fail_codec(activity, &problem);
    else
        finish(activity, METHOD_RESPOND_ACTIVITY_TASK_FAILED, message);
}

static void fail_over_limit(struct argosy_activity *activity, size_t size)
{
    struct argosy_error err = {0};
    char text[96];
    snprintf(text, sizeof text, "the result of %zu bytes is over %zu", size, LIMIT_PAYLOAD_SIZE);
    argosy_failure_raise(&activity->arena,
                         &(struct argosy_failure_options){
                             .type = "ERR_LIMIT", .message = text, .non_retryable = true},
                         &err);
    argosy_activity_fail(activity, &err);
}

void argosy_activity_complete(struct argosy_activity *activity, const struct argosy_payload *result)
{
    struct argosy_payload none = {0};
    if (result == NULL)
        result = &none;
    if (result->size > LIMIT_PAYLOAD_SIZE) {
        fail_over_limit(activity, result->size);
        return;
    }
    Api__RespondActivityTaskCompletedRequest request =
        API__RESPOND_ACTIVITY_TASK_COMPLETED_REQUEST__INIT;
    request.has_task_token = 1;
    request.task_token = activity->token;
    request.result = payload_message(result, &activity->arena.arena);
    request.identity = activity->host->identity;
    request.namespace_ = activity->host->name_space;
    struct error problem;
    const ProtobufCMessage *message;
    if (payload_codec_encode(activity->host->codecs, &request.base, &activity->arena.arena,
                             &message, &problem) < 0)
        fail_codec(activity, &problem);
    else
        finish(activity, METHOD_RESPOND_ACTIVITY_TASK_COMPLETED, message);
}

void argosy_activity_cancel(struct argosy_activity *activity)
{
    Api__RespondActivityTaskCanceledRequest request =
        API__RESPOND_ACTIVITY_TASK_CANCELED_REQUEST__INIT;
    request.has_task_token = 1;
    request.task_token = activity->token;
    request.identity = activity->host->identity;
    request.namespace_ = activity->host->name_space;
    finish(activity, METHOD_RESPOND_ACTIVITY_TASK_CANCELED, &request.base);
}

/* ---- handing back ---- */

/* Sends a running task's newest details and its release. The host's mutex is held. */
static void hand_back(struct argosy_activity *activity)
{
    if (activity->is_unsent)
        activity_send_heartbeat(activity, clock_monotonic_ns());
    Api__ReleaseTaskRequest request = API__RELEASE_TASK_REQUEST__INIT;
    request.has_task_token = 1;
    request.task_token = activity->token;
    /* It stays held until the receipt: an engine that restarts now must not count a loss. */
    state_move(&activity->machine, ACTIVITY_FINISHING);
    if (submit(activity, METHOD_RELEASE_TASK, &request.base, NULL) < 0)
        activity_drop(activity);
}

void argosy_activity_release(struct argosy_activity *activity)
{
    struct activity_host *host = activity->host;
    pthread_mutex_lock(&host->mutex);
    if (activity->machine.state == ACTIVITY_RUNNING)
        hand_back(activity);
    pthread_mutex_unlock(&host->mutex);
    activity_unref(activity);
}

void activity_host_release_all(struct activity_host *host)
{
    pthread_mutex_lock(&host->mutex);
    struct argosy_activity *activity, *next;
    DL_FOREACH_SAFE (host->held, activity, next) {
        if (activity->machine.state == ACTIVITY_RUNNING) {
            atomic_store(&activity->is_canceled, true);
            hand_back(activity);
        }
    }
    pthread_mutex_unlock(&host->mutex);
}

/* ---- running ---- */

void activity_run(struct argosy_activity *activity)
{
    struct argosy_payload result = {0};
    struct argosy_error err = {0};
    int code = activity->type->function(activity, activity->type->user_data, &result, &err);
    if (code == ARGOSY_ACTIVITY_RELEASED) {
        argosy_activity_release(activity);
    } else if (code >= 0) {
        argosy_activity_complete(activity, &result);
    } else if (code == ARGOSY_ERR_CANCELED && argosy_activity_is_canceled(activity)) {
        argosy_activity_cancel(activity);
    } else {
        if (err.code != code)
            argosy_error_set(&err, code, "%s", argosy_error_text(code));
        argosy_activity_fail(activity, &err);
    }
}

/* ---- what it may ask ---- */

const struct argosy_activity_info *argosy_activity_info(const struct argosy_activity *activity)
{
    return &activity->info;
}

const struct argosy_payload *argosy_activity_input(const struct argosy_activity *activity)
{
    return &activity->first_input;
}

struct argosy_payloads argosy_activity_inputs(const struct argosy_activity *activity)
{
    return activity->inputs;
}

struct argosy_arena *argosy_activity_arena(struct argosy_activity *activity)
{
    return &activity->arena;
}

const struct argosy_payload *argosy_activity_last_heartbeat(const struct argosy_activity *activity)
{
    return &activity->last_heartbeat;
}

bool argosy_activity_is_canceled(const struct argosy_activity *activity)
{
    return atomic_load(&activity->is_canceled);
}

bool argosy_activity_is_draining(const struct argosy_activity *activity)
{
    return atomic_load(&activity->host->is_draining);
}
