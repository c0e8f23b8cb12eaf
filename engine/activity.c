/* SPDX-License-Identifier: Apache-2.0 */
/* activity: see activity.h. */
#include "engine/activity.h"

#include <string.h>

#include "common/assert.h"
#include "engine/failure.h"
#include "engine/task_token.h"
#include "engine/workflow_task.h"

/* --- deadlines ---------------------------------------------------------------------------------
 */

static int64_t expiration(const struct activity *activity)
{
    return activity->schedule_to_close_us > 0
               ? activity->scheduled_us + activity->schedule_to_close_us
               : INT64_MAX;
}

struct timeout {
    int64_t at_us;
    Api__TimeoutType type;
};

/* The earlier one; of two at the same time the one with the smaller type number. */
static void consider(struct timeout *best, int64_t at_us, Api__TimeoutType type)
{
    if (at_us < best->at_us || (at_us == best->at_us && type < best->type))
        *best = (struct timeout){at_us, type};
}

static struct timeout next_timeout(const struct core *core, const struct activity *activity)
{
    struct timeout best = {expiration(activity), TIMEOUT_TYPE_SCHEDULE_TO_CLOSE};
    if (!activity_is_started(activity)) {
        /* While the engine was down nobody could take it. */
        int64_t due_us =
            core->recovered_us > activity->due_us ? core->recovered_us : activity->due_us;
        if (activity->schedule_to_start_us > 0)
            consider(&best, due_us + activity->schedule_to_start_us,
                     TIMEOUT_TYPE_SCHEDULE_TO_START);
        return best;
    }
    if (activity->start_to_close_us > 0)
        consider(&best, activity->started_us + activity->start_to_close_us,
                 TIMEOUT_TYPE_START_TO_CLOSE);
    if (activity->heartbeat_us > 0) {
        /* While the engine was down nobody could take a heartbeat. */
        int64_t beat_us = activity->started_us;
        if (activity->heartbeat_us_last > beat_us)
            beat_us = activity->heartbeat_us_last;
        if (core->recovered_us > beat_us)
            beat_us = core->recovered_us;
        consider(&best, beat_us + activity->heartbeat_us, TIMEOUT_TYPE_HEARTBEAT);
    }
    return best;
}

/* What the activity's priority leaves open is its workflow's; 0: nobody said. */
static int32_t priority_key(const struct activity *activity)
{
    const Api__Priority *own = activity->attributes->priority;
    const Api__Priority *inherited = activity->run->attributes->priority;
    if (own != NULL && own->priority_key != 0)
        return own->priority_key;
    return inherited != NULL ? inherited->priority_key : 0;
}

static void suspect(const struct core *core, struct activity *activity)
{
    activity->task.is_suspect = activity->loss_count + 1 >= core->config.loss_limit;
}

static void offer(struct core *core, struct activity *activity)
{
    suspect(core, activity);
    const Api__ActivityTaskScheduledEventAttributes *attributes = activity->attributes;
    queue_offer(core, queue_get(core, QUEUE_ACTIVITY, attributes->task_queue->name),
                &activity->task, attributes->activity_type->name, priority_key(activity),
                activity->scheduled_us, activity->scheduled_event_id);
}

void activity_arm(struct core *core, struct activity *activity)
{
    int64_t at_us = next_timeout(core, activity).at_us;
    if (activity->state == ACTIVITY_SCHEDULED && activity->task.queue == NULL) {
        if (activity->due_us <= core->now_us)
            offer(core, activity);
        else if (activity->due_us < at_us)
            at_us = activity->due_us;
    }
    timer_queue_set(&core->timers, &activity->deadline, at_us);
}

void activity_await_claim(struct core *core, struct activity *activity)
{
    if (!activity_is_started(activity))
        return;
    suspect(core, activity);
    queue_hold(core, queue_get(core, QUEUE_ACTIVITY, activity->attributes->task_queue->name),
               &activity->task, SESSION_UNCLAIMED);
}

void activity_disarm(struct core *core, struct activity *activity)
{
    queue_remove(core, &activity->task);
    timer_queue_cancel(&core->timers, &activity->deadline);
}

/* --- handing out -------------------------------------------------------------------------------
 */

ProtobufCBinaryData activity_token(const struct activity *activity, struct arena *arena)
{
    struct task_token token = {.kind = TASK_ACTIVITY,
                               .id = activity->scheduled_event_id,
                               .attempt = activity->attempt,
                               .dispatch = activity->dispatch};
    memcpy(token.run_id, activity->run->run_id, sizeof token.run_id);
    return task_token_encode(&token, arena);
}

static Api__PollActivityTaskQueueResponse *task_response(struct core *core,
                                                         const struct activity *activity)
{
    struct arena *arena = &core->outbox->arena;
    const Api__ActivityTaskScheduledEventAttributes *attributes = activity->attributes;
    const struct run *run = activity->run;
    Api__PollActivityTaskQueueResponse *response =
        message_new(arena, &api__poll_activity_task_queue_response__descriptor);
    response->has_task_token = true;
    response->task_token = activity_token(activity, arena);
    response->workflow_namespace = DEFAULT_NAMESPACE;
    response->workflow_type = message_new(arena, &api__workflow_type__descriptor);
    response->workflow_type->name = run->workflow_type;
    response->workflow_execution = message_new(arena, &api__workflow_execution__descriptor);
    response->workflow_execution->workflow_id = run->workflow_id;
    response->workflow_execution->run_id = run->run_id;
    response->activity_type = attributes->activity_type;
    response->activity_id = attributes->activity_id;
    response->header = attributes->header;
    response->input = attributes->input;
    response->heartbeat_details = activity->heartbeat_details.message;
    response->scheduled_time = timestamp_new(arena, activity->scheduled_us);
    response->current_attempt_scheduled_time = timestamp_new(arena, activity->due_us);
    response->started_time = timestamp_new(arena, activity->started_us);
    response->has_attempt = response->has_loss_count = true;
    response->attempt = activity->attempt;
    response->loss_count = activity->loss_count;
    response->schedule_to_close_timeout = attributes->schedule_to_close_timeout;
    response->start_to_close_timeout = attributes->start_to_close_timeout;
    response->heartbeat_timeout = attributes->heartbeat_timeout;
    response->retry_policy = attributes->retry_policy;
    if (priority_key(activity) != 0) {
        response->priority = message_new(arena, &api__priority__descriptor);
        response->priority->has_priority_key = true;
        response->priority->priority_key = priority_key(activity);
    }
    return response;
}

void activity_dispatch(struct core *core, struct activity *activity, struct pending *poll)
{
    Engine__ActivityDispatched dispatched = ENGINE__ACTIVITY_DISPATCHED__INIT;
    dispatched.has_scheduled_event_id = dispatched.has_time_utc_us = true;
    dispatched.scheduled_event_id = activity->scheduled_event_id;
    dispatched.time_utc_us = core->now_us;
    dispatched.identity = poll->identity;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_ACTIVITY_DISPATCHED;
    record.activity_dispatched = &dispatched;
    run_record(core, activity->run, &record);
    activity_arm(core, activity);
    reply_send_to(core, &poll->key, poll->standing, false, task_response(core, activity));
}

void activity_heartbeat(struct core *core, struct activity *activity, const Api__Payloads *details)
{
    Engine__ActivityHeartbeat heartbeat = ENGINE__ACTIVITY_HEARTBEAT__INIT;
    heartbeat.has_scheduled_event_id = heartbeat.has_time_utc_us = true;
    heartbeat.scheduled_event_id = activity->scheduled_event_id;
    heartbeat.time_utc_us = core->now_us;
    heartbeat.details = (Api__Payloads *)details;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_ACTIVITY_HEARTBEAT;
    record.activity_heartbeat = &heartbeat;
    run_record(core, activity->run, &record);
    activity_arm(core, activity);
    if (activity->task.is_suspect && activity->loss_count == 0) {
        activity->task.is_suspect = false;
        queue_hold(core, activity->task.queue, &activity->task, activity->task.session);
    }
}

/* --- closing -----------------------------------------------------------------------------------
 */

/* The started event of the last attempt, with the time it started; 0 when none is under way or it
 * is buffered and gets its id later. */
static int64_t record_started(struct core *core, struct activity *activity)
{
    struct run *run = activity->run;
    run_make_room(core, run);
    if (!activity_is_started(activity))
        return 0;
    Api__HistoryEvent *event =
        event_new(&run->arena, EVENT_TYPE_ACTIVITY_TASK_STARTED, activity->started_us);
    Api__ActivityTaskStartedEventAttributes *attributes =
        event->activity_task_started_event_attributes;
    attributes->has_scheduled_event_id = attributes->has_attempt = true;
    attributes->scheduled_event_id = activity->scheduled_event_id;
    attributes->attempt = activity->attempt;
    attributes->identity = text_copy(&run->arena, activity->identity);
    attributes->last_failure = message_copy(&run->arena, activity->last_failure.message);
    run_event(core, run, event);
    return event->event_id;
}

/* The closing event has been recorded: workflow code must hear of it. */
static void closed(struct core *core, struct run *run)
{
    workflow_task_need(core, run);
    run_settle(core, run);
}

void activity_complete(struct core *core, struct activity *activity, const Api__Payloads *result,
                       const char *identity)
{
    struct run *run = activity->run;
    activity_disarm(core, activity);
    int64_t started_id = record_started(core, activity);
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_ACTIVITY_TASK_COMPLETED);
    Api__ActivityTaskCompletedEventAttributes *attributes =
        event->activity_task_completed_event_attributes;
    attributes->has_scheduled_event_id = attributes->has_started_event_id = true;
    attributes->scheduled_event_id = activity->scheduled_event_id;
    attributes->started_event_id = started_id;
    attributes->result = message_copy(&run->arena, result);
    attributes->identity = text_copy(&run->arena, identity);
    run_event(core, run, event);
    closed(core, run);
}

static void close_failed(struct core *core, struct activity *activity, const Api__Failure *failure,
                         Api__RetryState retry_state, const char *identity)
{
    struct run *run = activity->run;
    activity_disarm(core, activity);
    int64_t started_id = record_started(core, activity);
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_ACTIVITY_TASK_FAILED);
    Api__ActivityTaskFailedEventAttributes *attributes =
        event->activity_task_failed_event_attributes;
    attributes->has_scheduled_event_id = attributes->has_started_event_id = true;
    attributes->scheduled_event_id = activity->scheduled_event_id;
    attributes->started_event_id = started_id;
    attributes->failure = message_copy(&run->arena, failure);
    attributes->identity = text_copy(&run->arena, identity);
    attributes->has_retry_state = true;
    attributes->retry_state = retry_state;
    run_event(core, run, event);
    closed(core, run);
}

static void close_timed_out(struct core *core, struct activity *activity, Api__TimeoutType type,
                            Api__RetryState retry_state)
{
    struct run *run = activity->run;
    activity_disarm(core, activity);
    int64_t started_id = record_started(core, activity);
    Api__Failure *failure = failure_timeout(&run->arena, type, activity->heartbeat_details.message);
    if (type == TIMEOUT_TYPE_SCHEDULE_TO_CLOSE)
        failure->cause = message_copy(&run->arena, activity->last_failure.message);
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT);
    Api__ActivityTaskTimedOutEventAttributes *attributes =
        event->activity_task_timed_out_event_attributes;
    attributes->has_scheduled_event_id = attributes->has_started_event_id = true;
    attributes->scheduled_event_id = activity->scheduled_event_id;
    attributes->started_event_id = started_id;
    attributes->failure = failure;
    attributes->has_retry_state = true;
    attributes->retry_state = retry_state;
    run_event(core, run, event);
    closed(core, run);
}

void activity_cancel(struct core *core, struct activity *activity, const Api__Payloads *details,
                     const char *identity)
{
    struct run *run = activity->run;
    activity_disarm(core, activity);
    int64_t started_id = record_started(core, activity);
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_ACTIVITY_TASK_CANCELED);
    Api__ActivityTaskCanceledEventAttributes *attributes =
        event->activity_task_canceled_event_attributes;
    attributes->has_scheduled_event_id = attributes->has_started_event_id = true;
    attributes->scheduled_event_id = activity->scheduled_event_id;
    attributes->started_event_id = started_id;
    attributes->has_latest_cancel_requested_event_id = true;
    attributes->latest_cancel_requested_event_id = activity->cancel_requested_id;
    attributes->details = message_copy(&run->arena, details);
    attributes->identity = text_copy(&run->arena, identity);
    run_event(core, run, event);
    closed(core, run);
}

/* --- retrying ----------------------------------------------------------------------------------
 */

/* Schedules the next attempt if the policy has one: IN_PROGRESS, or why there is none. is_lost: the
 * attempt ended with its worker. */
static Api__RetryState retry(struct core *core, struct activity *activity,
                             const Api__Failure *failure, bool is_lost)
{
    if (activity->cancel_requested_id != 0)
        return RETRY_STATE_CANCEL_REQUESTED;
    struct retry_question question = {.policy = &activity->retry,
                                      .failure = failure,
                                      .attempt = activity->attempt,
                                      .now_us = core->now_us,
                                      .expiration_us = expiration(activity)};
    int64_t due_us;
    Api__RetryState state = retry_decide(&question, &due_us);
    if (state != RETRY_STATE_IN_PROGRESS)
        return state;
    activity_disarm(core, activity);
    Engine__ActivityRetried retried = ENGINE__ACTIVITY_RETRIED__INIT;
    retried.has_scheduled_event_id = retried.has_time_utc_us = retried.has_due_utc_us = true;
    retried.scheduled_event_id = activity->scheduled_event_id;
    retried.time_utc_us = core->now_us;
    retried.due_utc_us = due_us;
    retried.has_lost = true;
    retried.lost = is_lost;
    retried.failure = (Api__Failure *)failure_cut(failure, &core->outbox->arena);
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_ACTIVITY_RETRIED;
    record.activity_retried = &retried;
    run_record(core, activity->run, &record);
    activity_arm(core, activity);
    return state;
}

static void fail(struct core *core, struct activity *activity, const Api__Failure *failure,
                 const char *identity, bool is_lost)
{
    Api__RetryState state = retry(core, activity, failure, is_lost);
    if (state != RETRY_STATE_IN_PROGRESS)
        close_failed(core, activity, failure, state, identity);
}

void activity_fail(struct core *core, struct activity *activity, const Api__Failure *failure,
                   const char *identity)
{
    fail(core, activity, failure, identity, false);
}

static void timed_out(struct core *core, struct activity *activity, Api__TimeoutType type)
{
    if (type == TIMEOUT_TYPE_SCHEDULE_TO_START || type == TIMEOUT_TYPE_SCHEDULE_TO_CLOSE) {
        /* Never retried. */
        close_timed_out(core, activity, type,
                        type == TIMEOUT_TYPE_SCHEDULE_TO_CLOSE ? RETRY_STATE_TIMEOUT
                                                               : RETRY_STATE_NON_RETRYABLE_FAILURE);
        return;
    }
    const Api__Failure *failure =
        failure_timeout(&core->outbox->arena, type, activity->heartbeat_details.message);
    Api__RetryState state = retry(core, activity, failure, false);
    if (state == RETRY_STATE_TIMEOUT) /* no time is left for another attempt */
        type = TIMEOUT_TYPE_SCHEDULE_TO_CLOSE;
    if (state != RETRY_STATE_IN_PROGRESS)
        close_timed_out(core, activity, type, state);
}

void activity_due(struct core *core, struct activity *activity)
{
    struct timeout timeout = next_timeout(core, activity);
    if (timeout.at_us <= core->now_us)
        timed_out(core, activity, timeout.type);
    else
        activity_arm(core, activity); /* the next attempt is due */
}

/* --- losses ------------------------------------------------------------------------------------
 */

static void put_back(struct core *core, struct activity *activity, bool lost, const char *reason)
{
    activity_disarm(core, activity);
    Engine__ActivityReturned returned = ENGINE__ACTIVITY_RETURNED__INIT;
    returned.has_scheduled_event_id = returned.has_time_utc_us = returned.has_lost = true;
    returned.scheduled_event_id = activity->scheduled_event_id;
    returned.time_utc_us = core->now_us;
    returned.lost = lost;
    returned.reason = reason;
    Engine__Record record = ENGINE__RECORD__INIT;
    record.kind_case = ENGINE__RECORD__KIND_ACTIVITY_RETURNED;
    record.activity_returned = &returned;
    run_record(core, activity->run, &record);
    activity_arm(core, activity);
}

void activity_lost(struct core *core, struct activity *activity, const char *reason)
{
    struct arena *arena = &core->outbox->arena;
    if (activity->state == ACTIVITY_CANCELING) {
        activity_cancel(core, activity, NULL, text_copy(arena, activity->identity));
        return;
    }
    bool at_most_once = activity->retry.maximum_attempts == 1;
    if (!at_most_once && activity->loss_count + 1 < core->config.loss_limit) {
        put_back(core, activity, true, reason);
        return;
    }
    Api__Failure *failure = failure_application(
        arena, text_format(arena, "activity worker lost: %s", reason), "WorkerLost");
    fail(core, activity, failure, text_copy(arena, activity->identity), true);
}

void activity_released(struct core *core, struct activity *activity)
{
    if (activity->state == ACTIVITY_CANCELING)
        activity_cancel(core, activity, NULL, text_copy(&core->outbox->arena, activity->identity));
    else
        put_back(core, activity, false, NULL);
}
