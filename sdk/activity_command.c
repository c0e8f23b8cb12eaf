/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity_command: an activity as workflow code sees it (the work itself is in activity.c).
 *
 *     MADE ──event 10──► SCHEDULED ───────────outcome──────────────► CLOSED
 *      │ cancel             │ cancel                                   ▲
 *      ▼                    ▼                                          │
 *     DROPPED           CANCEL_MADE ──event 15──► CANCEL_REQUESTED ────┘ outcome
 *
 * DROPPED: canceled before its command left, so that history never hears of it. Whether the code
 * hears of the cancellation at once or of the outcome is its cancellation type's matter.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "sdk/duration.h"
#include "sdk/error.h"
#include "sdk/failure.h"
#include "sdk/payload.h"
#include "sdk/priority.h"
#include "sdk/retry_policy.h"
#include "sdk/run.h"

enum activity_state {
    ACTIVITY_MADE,
    ACTIVITY_DROPPED,
    ACTIVITY_SCHEDULED,
    ACTIVITY_CANCEL_MADE,
    ACTIVITY_CANCEL_REQUESTED,
    ACTIVITY_CLOSED,
};

static const struct state_row activity_rows[] = {
    [ACTIVITY_MADE] = {"made", STATE_BIT(ACTIVITY_DROPPED) | STATE_BIT(ACTIVITY_SCHEDULED)},
    [ACTIVITY_DROPPED] = {"dropped", 0},
    [ACTIVITY_SCHEDULED] = {"scheduled",
                            STATE_BIT(ACTIVITY_CANCEL_MADE) | STATE_BIT(ACTIVITY_CLOSED)},
    [ACTIVITY_CANCEL_MADE] = {"cancel made", STATE_BIT(ACTIVITY_CANCEL_REQUESTED)},
    [ACTIVITY_CANCEL_REQUESTED] = {"cancel requested", STATE_BIT(ACTIVITY_CLOSED)},
    [ACTIVITY_CLOSED] = {"closed", 0},
};

/* ---- the commands ---- */

static bool start_matches(const struct command *command, const Api__HistoryEvent *event)
{
    const struct argosy_future *future = command->owner;
    const Api__ActivityTaskScheduledEventAttributes *scheduled =
        event->activity_task_scheduled_event_attributes;
    return scheduled->activity_id != NULL && strcmp(scheduled->activity_id, future->id) == 0 &&
           scheduled->activity_type != NULL && scheduled->activity_type->name != NULL &&
           strcmp(scheduled->activity_type->name, future->type) == 0;
}

static void start_describe(const struct command *command, char text[COMMAND_TEXT_MAX])
{
    const struct argosy_future *future = command->owner;
    snprintf(text, COMMAND_TEXT_MAX, " (activity \"%s\" of type \"%s\")", future->id, future->type);
}

static void start_record(struct command *command, const Api__HistoryEvent *event)
{
    struct argosy_future *future = command->owner;
    state_move(&future->machine, ACTIVITY_SCHEDULED);
    future->event_id = event->event_id;
}

static const struct command_ops start_ops = {
    .name = "ScheduleActivityTask",
    .event_type = EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    .matches = start_matches,
    .describe = start_describe,
    .record = start_record,
};

static bool cancel_matches(const struct command *command, const Api__HistoryEvent *event)
{
    const struct argosy_future *future = command->owner;
    return event->activity_task_cancel_requested_event_attributes->scheduled_event_id ==
           future->event_id;
}

static void cancel_describe(const struct command *command, char text[COMMAND_TEXT_MAX])
{
    const struct argosy_future *future = command->owner;
    snprintf(text, COMMAND_TEXT_MAX, " (activity scheduled by event %" PRId64 ")",
             future->event_id);
}

static void cancel_record(struct command *command, const Api__HistoryEvent *event)
{
    (void)event;
    struct argosy_future *future = command->owner;
    state_move(&future->machine, ACTIVITY_CANCEL_REQUESTED);
}

static const struct command_ops cancel_ops = {
    .name = "RequestCancelActivityTask",
    .event_type = EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED,
    .matches = cancel_matches,
    .describe = cancel_describe,
    .record = cancel_record,
};

/* ---- building the message of a live start ---- */

static Api__Duration *duration_or_null(struct argosy_workflow *run, int64_t duration_ms)
{
    if (duration_ms == 0)
        return NULL;
    Api__Duration *duration = duration_create(duration_ms, run->task_arena);
    run_check_memory(run, duration);
    return duration;
}

static Api__RetryPolicy *retry_policy_create(struct argosy_workflow *run,
                                             const struct argosy_retry_policy *policy)
{
    if (retry_policy_is_default(policy))
        return NULL;
    Api__RetryPolicy *message = retry_policy_message(policy, run->task_arena);
    run_check_memory(run, message);
    return message;
}

static Api__TaskQueue *task_queue_create(struct argosy_workflow *run, const char *name)
{
    Api__TaskQueue *queue = arena_alloc(run->task_arena, sizeof *queue);
    run_check_memory(run, queue);
    api__task_queue__init(queue);
    queue->name = name == NULL ? run->info.task_queue : arena_strdup(run->task_arena, name);
    run_check_memory(run, queue->name);
    queue->has_kind = 1;
    queue->kind = TASK_QUEUE_KIND_NORMAL;
    return queue;
}

static void start_fill(Api__Command *message, const struct argosy_future *future,
                       const struct argosy_activity_options *options)
{
    struct argosy_workflow *run = future->run;
    Api__ScheduleActivityTaskCommandAttributes *schedule =
        arena_alloc(run->task_arena, sizeof *schedule);
    Api__ActivityType *type = arena_alloc(run->task_arena, sizeof *type);
    run_check_memory(run, schedule);
    run_check_memory(run, type);
    api__activity_type__init(type);
    type->name = future->type;
    api__schedule_activity_task_command_attributes__init(schedule);
    schedule->activity_id = future->id;
    schedule->activity_type = type;
    schedule->task_queue = task_queue_create(run, options->task_queue);
    if (options->input.count > 0) {
        struct argosy_payloads input;
        if (payloads_copy(options->input, run->task_arena, &input))
            schedule->input = payloads_message(input, run->task_arena);
        run_check_memory(run, schedule->input);
    }
    schedule->start_to_close_timeout = duration_or_null(run, options->start_to_close_timeout_ms);
    schedule->schedule_to_close_timeout =
        duration_or_null(run, options->schedule_to_close_timeout_ms);
    schedule->schedule_to_start_timeout =
        duration_or_null(run, options->schedule_to_start_timeout_ms);
    schedule->heartbeat_timeout = duration_or_null(run, options->heartbeat_timeout_ms);
    schedule->retry_policy = retry_policy_create(run, &options->retry_policy);
    if (options->priority != 0) {
        schedule->priority = priority_create(options->priority, run->task_arena);
        run_check_memory(run, schedule->priority);
    }
    message->attributes_case = API__COMMAND__ATTRIBUTES_SCHEDULE_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
    message->schedule_activity_task_command_attributes = schedule;
}

/* ---- starting and canceling ---- */

static void activity_cancel(struct argosy_future *future)
{
    struct argosy_workflow *run = future->run;
    if (future->machine.state == ACTIVITY_MADE) {
        state_move(&future->machine, ACTIVITY_DROPPED);
        run_command_remove(run, &future->start);
        future_end(future);
        future_become_canceled(future, "activity canceled before it was scheduled");
        return;
    }
    if (future->cancellation_type != ARGOSY_CANCEL_ABANDON &&
        future->machine.state == ACTIVITY_SCHEDULED) {
        state_move(&future->machine, ACTIVITY_CANCEL_MADE);
        Api__Command *message = run_command_add(run, &future->cancel, &cancel_ops, future,
                                                COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK);
        if (message != NULL) {
            Api__RequestCancelActivityTaskCommandAttributes *request =
                arena_alloc(run->task_arena, sizeof *request);
            run_check_memory(run, request);
            api__request_cancel_activity_task_command_attributes__init(request);
            request->has_scheduled_event_id = 1;
            request->scheduled_event_id = future->event_id;
            message->attributes_case =
                API__COMMAND__ATTRIBUTES_REQUEST_CANCEL_ACTIVITY_TASK_COMMAND_ATTRIBUTES;
            message->request_cancel_activity_task_command_attributes = request;
        }
    }
    if (future->cancellation_type != ARGOSY_CANCEL_WAIT)
        future_become_canceled(future, "activity canceled");
}

static const struct future_ops activity_ops = {.cancel = activity_cancel};

static const char *text_problem(const char *text, const char *problem)
{
    return text != NULL && (text[0] == '\0' || strlen(text) > LIMIT_ID_LENGTH) ? problem : NULL;
}

/* What is wrong with options, or NULL. */
static const char *options_problem(const struct argosy_workflow *run,
                                   const struct argosy_activity_options *options)
{
    if (!run_may_command(run))
        return "a query handler cannot start an activity";
    if (options->type == NULL)
        return "an activity needs a type";
    const char *problem = text_problem(options->type, "the activity type is empty or too long");
    if (problem == NULL)
        problem = text_problem(options->id, "the activity id is empty or too long");
    if (problem == NULL)
        problem = text_problem(options->task_queue, "the task queue's name is empty or too long");
    if (problem == NULL)
        problem = retry_policy_problem(&options->retry_policy);
    if (problem != NULL)
        return problem;
    if (options->start_to_close_timeout_ms < 0 || options->schedule_to_close_timeout_ms < 0 ||
        options->schedule_to_start_timeout_ms < 0 || options->heartbeat_timeout_ms < 0)
        return "a timeout is negative";
    if (options->start_to_close_timeout_ms == 0 && options->schedule_to_close_timeout_ms == 0)
        return "an activity needs a start-to-close or a schedule-to-close timeout";
    for (size_t i = 0; i < options->input.count; i++) {
        if (options->input.items[i].size > LIMIT_PAYLOAD_SIZE)
            return "an input payload is over 2 MiB";
    }
    if (!priority_is_valid(options->priority))
        return "the priority is not 1 to 5";
    const struct argosy_future *other = NULL;
    if (options->id == NULL)
        return NULL;
    DL_FOREACH (run->pending, other) {
        if (other->type != NULL && strcmp(other->id, options->id) == 0)
            return "the activity id is in use";
    }
    return NULL;
}

static void fail_at_once(struct argosy_future *future, const char *problem)
{
    struct argosy_error error = {0};
    argosy_error_set(&error, ARGOSY_ERR_INVALID, "%s", problem);
    Api__Failure *failure = failure_of_error(&error, &future->run->arena.arena);
    run_check_memory(future->run, failure);
    future_fail(future, ARGOSY_ERR_INVALID, failure);
}

static const char *default_id(struct argosy_workflow *run)
{
    const char *id = arena_printf(&run->arena.arena, "%" PRIu64, ++run->activity_count);
    run_check_memory(run, id);
    return id;
}

struct argosy_future *argosy_activity_start(struct argosy_workflow *run,
                                            const struct argosy_activity_options *options)
{
    struct argosy_future *future = future_create(run, &activity_ops, activity_rows);
    const char *problem = options_problem(run, options);
    if (problem != NULL) {
        fail_at_once(future, problem);
        return future;
    }
    if (run_is_cut_off(run)) {
        future_become_canceled(future, "the workflow is canceled");
        return future;
    }
    future->type = arena_strdup(&run->arena.arena, options->type);
    run_check_memory(run, future->type);
    future->id =
        options->id == NULL ? default_id(run) : arena_strdup(&run->arena.arena, options->id);
    run_check_memory(run, future->id);
    future->cancellation_type = options->cancellation_type;
    future_begin(future);
    Api__Command *message = run_command_add(run, &future->start, &start_ops, future,
                                            COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK);
    if (message != NULL)
        start_fill(message, future, options);
    return future;
}

int argosy_activity_execute(struct argosy_workflow *run,
                            const struct argosy_activity_options *options,
                            struct argosy_payload *ret_result, struct argosy_error *err)
{
    return argosy_await(argosy_activity_start(run, options), ret_result, err);
}

/* ---- outcomes ---- */

/* The pending activity that event closes, moved to CLOSED and off the pending list. */
static int close_activity(struct argosy_workflow *run, const Api__HistoryEvent *event,
                          int64_t scheduled_event_id, struct argosy_future **ret_future,
                          struct error *err)
{
    struct argosy_future *future = future_find(run, scheduled_event_id);
    if (future == NULL || future->ops != &activity_ops ||
        !state_can_move(&future->machine, ACTIVITY_CLOSED))
        return error_set(err, ERR_PROTOCOL,
                         "event %" PRId64 " closes the activity of event %" PRId64
                         ", which is not pending",
                         event->event_id, scheduled_event_id);
    state_move(&future->machine, ACTIVITY_CLOSED);
    future_end(future);
    *ret_future = future;
    return 0;
}

/* The failure of kind ACTIVITY around cause, all of it in the run's arena. */
static Api__Failure *wrap_failure(const struct argosy_future *future, const char *message,
                                  const Api__Failure *cause, Api__RetryState retry_state)
{
    struct arena *arena = &future->run->arena.arena;
    Api__Failure *failure = arena_alloc(arena, sizeof *failure);
    Api__ActivityFailureInfo *info = arena_alloc(arena, sizeof *info);
    Api__ActivityType *type = arena_alloc(arena, sizeof *type);
    if (failure == NULL || info == NULL || type == NULL)
        return NULL;
    api__activity_type__init(type);
    type->name = future->type;
    api__activity_failure_info__init(info);
    info->activity_type = type;
    info->activity_id = future->id;
    info->has_scheduled_event_id = 1;
    info->scheduled_event_id = future->event_id;
    info->has_retry_state = 1;
    info->retry_state = retry_state;
    api__failure__init(failure);
    failure->message = message;
    failure->failure_info_case = API__FAILURE__FAILURE_INFO_ACTIVITY_FAILURE_INFO;
    failure->activity_failure_info = info;
    if (cause != NULL && (failure->cause = failure_copy(cause, arena)) == NULL)
        return NULL;
    return failure;
}

static int resolve_failed(struct argosy_future *future, int code, const char *message,
                          const Api__Failure *cause, Api__RetryState retry_state, struct error *err)
{
    if (future->is_ready)
        return 0;
    Api__Failure *failure = wrap_failure(future, message, cause, retry_state);
    if (failure == NULL)
        return error_set(err, ERR_LIMIT, "the run's memory is exhausted");
    future_fail(future, code, failure);
    return 0;
}

int activity_apply_completed(struct argosy_workflow *run, const Api__HistoryEvent *event,
                             struct error *err)
{
    const Api__ActivityTaskCompletedEventAttributes *completed =
        event->activity_task_completed_event_attributes;
    struct argosy_future *future;
    int code = close_activity(run, event, completed->scheduled_event_id, &future, err);
    if (code < 0 || future->is_ready)
        return code;
    struct argosy_payload result;
    if (!payloads_view_first(completed->result, &run->arena.arena, &result) ||
        !payload_copy(&result, &run->arena.arena, &result))
        return error_set(err, ERR_LIMIT, "the run's memory is exhausted");
    future_succeed(future, result);
    return 0;
}

int activity_apply_failed(struct argosy_workflow *run, const Api__HistoryEvent *event,
                          struct error *err)
{
    const Api__ActivityTaskFailedEventAttributes *failed =
        event->activity_task_failed_event_attributes;
    struct argosy_future *future;
    int code = close_activity(run, event, failed->scheduled_event_id, &future, err);
    if (code < 0)
        return code;
    return resolve_failed(future, ARGOSY_ERR_FAILED, "activity task failed", failed->failure,
                          failed->retry_state, err);
}

int activity_apply_timed_out(struct argosy_workflow *run, const Api__HistoryEvent *event,
                             struct error *err)
{
    const Api__ActivityTaskTimedOutEventAttributes *timed_out =
        event->activity_task_timed_out_event_attributes;
    struct argosy_future *future;
    int code = close_activity(run, event, timed_out->scheduled_event_id, &future, err);
    if (code < 0)
        return code;
    return resolve_failed(future, ARGOSY_ERR_TIMEOUT, "activity task timed out", timed_out->failure,
                          timed_out->retry_state, err);
}

int activity_apply_canceled(struct argosy_workflow *run, const Api__HistoryEvent *event,
                            struct error *err)
{
    const Api__ActivityTaskCanceledEventAttributes *canceled =
        event->activity_task_canceled_event_attributes;
    struct argosy_future *future;
    int code = close_activity(run, event, canceled->scheduled_event_id, &future, err);
    if (code < 0)
        return code;
    Api__CanceledFailureInfo info = API__CANCELED_FAILURE_INFO__INIT;
    info.details = canceled->details;
    Api__Failure cause = API__FAILURE__INIT;
    cause.message = "activity canceled";
    cause.failure_info_case = API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO;
    cause.canceled_failure_info = &info;
    return resolve_failed(future, ARGOSY_ERR_CANCELED, "activity task canceled", &cause,
                          RETRY_STATE_CANCEL_REQUESTED, err);
}
