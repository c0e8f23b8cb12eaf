/* SPDX-License-Identifier: Apache-2.0 */
/* command: see command.h. One row per kind of command; a check and an effect for each. */
#include "engine/command.h"

#include <string.h>

#include "common/assert.h"
#include "engine/activity.h"
#include "engine/failure.h"
#include "engine/run_retry.h"
#include "engine/start.h"
#include "engine/timer.h"
#include "engine/validate.h"

#define CAUSE(name) WORKFLOW_TASK_FAILED_CAUSE_##name

/* Adds an id that a command of this batch opens; false when it is there already. */
static bool id_add(struct command_batch *batch, struct request_id **ids, const char *id)
{
    struct request_id *entry;
    HASH_FIND(hh, *ids, id, strlen(id), entry);
    if (entry != NULL)
        return false;
    entry = arena_alloc(&batch->core->outbox->arena, sizeof *entry);
    ASSERT(entry != NULL);
    entry->id = id;
    HASH_ADD_KEYPTR(hh, *ids, id, strlen(id), entry);
    return true;
}

static bool id_remove(struct request_id **ids, const char *id)
{
    struct request_id *entry;
    HASH_FIND(hh, *ids, id, strlen(id), entry);
    if (entry == NULL)
        return false;
    HASH_DEL(*ids, entry);
    return true;
}

/* --- schedule activity -------------------------------------------------------------------------
 */

static int check_activity_fields(const Api__ScheduleActivityTaskCommandAttributes *attributes,
                                 struct arena *arena, struct error *err)
{
    int rc = validate_id("activity id", attributes->activity_id, err);
    if (rc == 0)
        rc = validate_id("activity type",
                         attributes->activity_type != NULL ? attributes->activity_type->name : NULL,
                         err);
    if (rc == 0 && attributes->task_queue != NULL)
        rc = validate_text("task queue", attributes->task_queue->name, err);
    if (rc == 0)
        rc = validate_duration("schedule-to-close timeout", attributes->schedule_to_close_timeout,
                               err);
    if (rc == 0)
        rc = validate_duration("schedule-to-start timeout", attributes->schedule_to_start_timeout,
                               err);
    if (rc == 0)
        rc = validate_duration("start-to-close timeout", attributes->start_to_close_timeout, err);
    if (rc == 0)
        rc = validate_duration("heartbeat timeout", attributes->heartbeat_timeout, err);
    if (rc == 0)
        rc = validate_size("activity input", attributes->input, LIMIT_PAYLOAD_SIZE, err);
    if (rc == 0)
        rc = validate_size("activity header", attributes->header, VALIDATE_MARGIN / 2, err);
    if (rc == 0)
        rc = validate_priority(attributes->priority, err);
    if (rc == 0)
        rc = validate_size("retry policy", attributes->retry_policy, VALIDATE_MARGIN / 4, err);
    Api__RetryPolicy *filled;
    if (rc == 0)
        rc = retry_policy_fill(attributes->retry_policy, arena, &filled, err);
    return rc;
}

static int check_schedule_activity(struct command_batch *batch, const Api__Command *command,
                                   Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    const Api__ScheduleActivityTaskCommandAttributes *attributes =
        command->schedule_activity_task_command_attributes;
    int rc = check_activity_fields(attributes, &batch->core->outbox->arena, err);
    if (rc < 0)
        return rc;
    if (duration_us(attributes->schedule_to_close_timeout) == 0 &&
        duration_us(attributes->start_to_close_timeout) == 0)
        return error_set(err, ERR_INVALID,
                         "activity %.100s has neither schedule-to-close nor start-to-close timeout",
                         attributes->activity_id);
    if (run_activity_find(batch->run, attributes->activity_id) != NULL ||
        !id_add(batch, &batch->new_activity_ids, attributes->activity_id)) {
        *ret_cause = CAUSE(SCHEDULE_ACTIVITY_DUPLICATE_ID);
        return error_set(err, ERR_INVALID, "activity id %.100s is in use", attributes->activity_id);
    }
    if (batch->run->activity_count + HASH_COUNT(batch->new_activity_ids) >
        LIMIT_PENDING_ACTIVITIES) {
        *ret_cause = CAUSE(PENDING_ACTIVITIES_LIMIT_EXCEEDED);
        return error_set(err, ERR_INVALID, "more than %d activities are pending",
                         LIMIT_PENDING_ACTIVITIES);
    }
    batch->next_event_id++;
    return 0;
}

static int64_t shorter(int64_t a_us, int64_t b_us)
{
    return a_us < b_us ? a_us : b_us;
}

/* Fills in the timeouts that were left out, as Temporal does; 0 stays "none". */
static void fill_timeouts(const struct run *run,
                          const Api__ScheduleActivityTaskCommandAttributes *from,
                          Api__ActivityTaskScheduledEventAttributes *to)
{
    int64_t close_us = duration_us(from->schedule_to_close_timeout);
    int64_t start_us = duration_us(from->schedule_to_start_timeout);
    int64_t run_us = duration_us(from->start_to_close_timeout);
    int64_t heartbeat_us = duration_us(from->heartbeat_timeout);
    int64_t limit_us = run->run_timeout_us;
    if (close_us > 0) {
        start_us = start_us > 0 ? shorter(start_us, close_us) : close_us;
        run_us = run_us > 0 ? shorter(run_us, close_us) : close_us;
    } else {
        close_us = limit_us;
        start_us = start_us > 0 ? start_us : limit_us;
    }
    if (limit_us > 0) {
        close_us = shorter(close_us, limit_us);
        start_us = shorter(start_us, limit_us);
        run_us = shorter(run_us, limit_us);
    }
    struct arena *arena = (struct arena *)&run->arena;
    to->schedule_to_close_timeout = duration_new(arena, close_us);
    to->schedule_to_start_timeout = duration_new(arena, start_us);
    to->start_to_close_timeout = duration_new(arena, run_us);
    to->heartbeat_timeout = duration_new(arena, shorter(heartbeat_us, run_us));
}

static void apply_schedule_activity(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    const Api__ScheduleActivityTaskCommandAttributes *from =
        command->schedule_activity_task_command_attributes;
    Api__HistoryEvent *event = run_event_new(batch->core, run, EVENT_TYPE_ACTIVITY_TASK_SCHEDULED);
    event->user_metadata = message_copy(&run->arena, command->user_metadata);
    Api__ActivityTaskScheduledEventAttributes *to = event->activity_task_scheduled_event_attributes;
    to->activity_id = text_copy(&run->arena, from->activity_id);
    to->activity_type = message_copy(&run->arena, from->activity_type);
    to->task_queue = message_new(&run->arena, &api__task_queue__descriptor);
    to->task_queue->has_kind = true;
    to->task_queue->kind = TASK_QUEUE_KIND_NORMAL;
    const char *name = from->task_queue != NULL ? text_or_empty(from->task_queue->name) : "";
    to->task_queue->name = *name != '\0' ? text_copy(&run->arena, name) : run->task_queue;
    to->header = message_copy(&run->arena, from->header);
    to->input = message_copy(&run->arena, from->input);
    to->priority = message_copy(&run->arena, from->priority);
    to->has_workflow_task_completed_event_id = true;
    to->workflow_task_completed_event_id = batch->completed_event_id;
    fill_timeouts(run, from, to);
    int rc = retry_policy_fill(from->retry_policy, &run->arena, &to->retry_policy, NULL);
    ASSERT(rc == 0); /* checked */
    run_event(batch->core, run, event);
    activity_arm(batch->core, run_activity_get(run, event->event_id));
}

/* --- request cancel of an activity -------------------------------------------------------------
 */

static int check_cancel_activity(struct command_batch *batch, const Api__Command *command,
                                 Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    (void)ret_cause;
    int64_t id = command->request_cancel_activity_task_command_attributes->scheduled_event_id;
    const struct activity *activity = run_activity_get(batch->run, id);
    bool is_of_batch = id > batch->completed_event_id && id < batch->next_event_id;
    if (activity == NULL && !is_of_batch && !run_activity_is_closing(batch->run, id))
        return error_set(err, ERR_INVALID, "event %lld has scheduled no open activity",
                         (long long)id);
    if (activity != NULL && activity->cancel_requested_id != 0)
        return error_set(err, ERR_INVALID, "activity %lld is being canceled already",
                         (long long)id);
    batch->next_event_id++;
    return 0;
}

static void apply_cancel_activity(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    int64_t id = command->request_cancel_activity_task_command_attributes->scheduled_event_id;
    struct activity *activity = run_activity_get(run, id);
    if (activity == NULL ? !run_activity_is_closing(run, id) : activity->cancel_requested_id != 0)
        return; /* no activity of this batch, or canceled twice in it */
    Api__HistoryEvent *event =
        run_event_new(batch->core, run, EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED);
    Api__ActivityTaskCancelRequestedEventAttributes *attributes =
        event->activity_task_cancel_requested_event_attributes;
    attributes->has_scheduled_event_id = attributes->has_workflow_task_completed_event_id = true;
    attributes->scheduled_event_id = id;
    attributes->workflow_task_completed_event_id = batch->completed_event_id;
    bool ends = activity != NULL && !activity_is_started(activity);
    run_event(batch->core, run, event);
    if (!ends)
        return;
    activity_disarm(batch->core, activity);
    batch->canceled[batch->canceled_count++] = id;
}

/* --- timers ------------------------------------------------------------------------------------
 */

static int check_start_timer(struct command_batch *batch, const Api__Command *command,
                             Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    const Api__StartTimerCommandAttributes *attributes = command->start_timer_command_attributes;
    int rc = validate_id("timer id", attributes->timer_id, err);
    if (rc == 0)
        rc = validate_duration("timer duration", attributes->start_to_fire_timeout, err);
    if (rc < 0)
        return rc;
    if (duration_us(attributes->start_to_fire_timeout) == 0)
        return error_set(err, ERR_INVALID, "timer %.100s has no duration", attributes->timer_id);
    if (run_timer_find(batch->run, attributes->timer_id) != NULL ||
        !id_add(batch, &batch->new_timer_ids, attributes->timer_id)) {
        *ret_cause = CAUSE(START_TIMER_DUPLICATE_ID);
        return error_set(err, ERR_INVALID, "timer id %.100s is in use", attributes->timer_id);
    }
    batch->next_event_id++;
    return 0;
}

static void apply_start_timer(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    const Api__StartTimerCommandAttributes *from = command->start_timer_command_attributes;
    Api__HistoryEvent *event = run_event_new(batch->core, run, EVENT_TYPE_TIMER_STARTED);
    event->user_metadata = message_copy(&run->arena, command->user_metadata);
    Api__TimerStartedEventAttributes *to = event->timer_started_event_attributes;
    to->timer_id = text_copy(&run->arena, from->timer_id);
    to->start_to_fire_timeout = message_copy(&run->arena, from->start_to_fire_timeout);
    to->has_workflow_task_completed_event_id = true;
    to->workflow_task_completed_event_id = batch->completed_event_id;
    run_event(batch->core, run, event);
    timer_arm(batch->core, run->history.entries[event->event_id - 1].subject);
}

static int check_cancel_timer(struct command_batch *batch, const Api__Command *command,
                              Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    (void)ret_cause;
    const char *id = text_or_empty(command->cancel_timer_command_attributes->timer_id);
    bool is_old = run_timer_find(batch->run, id) != NULL || run_fired_timer_find(batch->run, id);
    bool is_known = id_remove(&batch->new_timer_ids, id) ||
                    (is_old && id_add(batch, &batch->canceled_timer_ids, id));
    if (!is_known)
        return error_set(err, ERR_INVALID, "timer id %.100s is not known", id);
    batch->next_event_id++;
    return 0;
}

static void apply_cancel_timer(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    const char *id = command->cancel_timer_command_attributes->timer_id;
    struct timer *timer = run_timer_find(run, id);
    const Api__HistoryEvent *fired = run_fired_timer_find(run, id);
    ASSERT(timer != NULL || fired != NULL); /* checked */
    Api__HistoryEvent *event = run_event_new(batch->core, run, EVENT_TYPE_TIMER_CANCELED);
    Api__TimerCanceledEventAttributes *attributes = event->timer_canceled_event_attributes;
    attributes->timer_id = text_copy(&run->arena, id);
    attributes->has_started_event_id = attributes->has_workflow_task_completed_event_id = true;
    attributes->started_event_id = fired != NULL
                                       ? fired->timer_fired_event_attributes->started_event_id
                                       : timer->started_event_id;
    attributes->workflow_task_completed_event_id = batch->completed_event_id;
    if (fired == NULL)
        timer_queue_cancel(&batch->core->timers, &timer->deadline);
    run_event(batch->core, run, event);
}

/* --- closing -----------------------------------------------------------------------------------
 */

static int check_complete(struct command_batch *batch, const Api__Command *command,
                          Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    (void)batch, (void)ret_cause;
    return validate_size("workflow result",
                         command->complete_workflow_execution_command_attributes->result,
                         LIMIT_PAYLOAD_SIZE, err);
}

static int check_fail(struct command_batch *batch, const Api__Command *command,
                      Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    (void)batch, (void)ret_cause;
    const Api__Failure *failure = command->fail_workflow_execution_command_attributes->failure;
    if (failure == NULL)
        return error_set(err, ERR_INVALID, "failure is not set");
    return validate_size("workflow failure", failure, LIMIT_PAYLOAD_SIZE, err);
}

static int check_cancel(struct command_batch *batch, const Api__Command *command,
                        Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    (void)batch, (void)ret_cause;
    return validate_size("cancellation details",
                         command->cancel_workflow_execution_command_attributes->details,
                         LIMIT_PAYLOAD_SIZE, err);
}

static void apply_complete(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    Api__HistoryEvent *event =
        run_event_new(batch->core, run, EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED);
    Api__WorkflowExecutionCompletedEventAttributes *attributes =
        event->workflow_execution_completed_event_attributes;
    attributes->result =
        message_copy(&run->arena, command->complete_workflow_execution_command_attributes->result);
    attributes->has_workflow_task_completed_event_id = true;
    attributes->workflow_task_completed_event_id = batch->completed_event_id;
    run_close(batch->core, run, event);
}

static void apply_fail(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    Api__HistoryEvent *event =
        run_event_new(batch->core, run, EVENT_TYPE_WORKFLOW_EXECUTION_FAILED);
    Api__WorkflowExecutionFailedEventAttributes *attributes =
        event->workflow_execution_failed_event_attributes;
    attributes->failure =
        message_copy(&run->arena, command->fail_workflow_execution_command_attributes->failure);
    struct run_retry retry;
    run_retry_decide(batch->core, run, attributes->failure, &retry);
    attributes->has_retry_state = true;
    attributes->retry_state = retry.state;
    attributes->new_execution_run_id = run_retry_id(&retry, &run->arena);
    attributes->has_workflow_task_completed_event_id = true;
    attributes->workflow_task_completed_event_id = batch->completed_event_id;
    run_close(batch->core, run, event);
    run_retry_begin(batch->core, run, &retry);
}

static void apply_cancel(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    Api__HistoryEvent *event =
        run_event_new(batch->core, run, EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED);
    Api__WorkflowExecutionCanceledEventAttributes *attributes =
        event->workflow_execution_canceled_event_attributes;
    attributes->details =
        message_copy(&run->arena, command->cancel_workflow_execution_command_attributes->details);
    attributes->has_workflow_task_completed_event_id = true;
    attributes->workflow_task_completed_event_id = batch->completed_event_id;
    run_close(batch->core, run, event);
}

/* --- what only stands in the history -----------------------------------------------------------
 */

static int check_marker(struct command_batch *batch, const Api__Command *command,
                        Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    (void)ret_cause;
    int rc =
        validate_id("marker name", command->record_marker_command_attributes->marker_name, err);
    if (rc == 0)
        rc = validate_size("marker", command->record_marker_command_attributes, LIMIT_PAYLOAD_SIZE,
                           err);
    batch->next_event_id++;
    return rc;
}

static void apply_marker(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    const Api__RecordMarkerCommandAttributes *from = command->record_marker_command_attributes;
    Api__HistoryEvent *event = run_event_new(batch->core, run, EVENT_TYPE_MARKER_RECORDED);
    event->user_metadata = message_copy(&run->arena, command->user_metadata);
    Api__MarkerRecordedEventAttributes *to = event->marker_recorded_event_attributes;
    to->marker_name = text_copy(&run->arena, from->marker_name);
    to->n_details = from->n_details;
    to->details = arena_calloc(&run->arena, from->n_details, sizeof to->details[0]);
    ASSERT(to->details != NULL);
    for (size_t i = 0; i < from->n_details; i++) {
        to->details[i] = message_new(
            &run->arena, &api__marker_recorded_event_attributes__details_entry__descriptor);
        to->details[i]->key = text_copy(&run->arena, from->details[i]->key);
        to->details[i]->value = message_copy(&run->arena, from->details[i]->value);
    }
    to->header = message_copy(&run->arena, from->header);
    to->failure = message_copy(&run->arena, from->failure);
    to->has_workflow_task_completed_event_id = true;
    to->workflow_task_completed_event_id = batch->completed_event_id;
    run_event(batch->core, run, event);
}

static int check_search_attributes(struct command_batch *batch, const Api__Command *command,
                                   Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    (void)ret_cause;
    batch->next_event_id++;
    return validate_size(
        "search attributes",
        command->upsert_workflow_search_attributes_command_attributes->search_attributes,
        LIMIT_PAYLOAD_SIZE, err);
}

static void apply_search_attributes(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    Api__HistoryEvent *event =
        run_event_new(batch->core, run, EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES);
    Api__UpsertWorkflowSearchAttributesEventAttributes *to =
        event->upsert_workflow_search_attributes_event_attributes;
    to->search_attributes = message_copy(
        &run->arena,
        command->upsert_workflow_search_attributes_command_attributes->search_attributes);
    to->has_workflow_task_completed_event_id = true;
    to->workflow_task_completed_event_id = batch->completed_event_id;
    run_event(batch->core, run, event);
}

static int check_properties(struct command_batch *batch, const Api__Command *command,
                            Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    (void)ret_cause;
    batch->next_event_id++;
    return validate_size("memo",
                         command->modify_workflow_properties_command_attributes->upserted_memo,
                         LIMIT_PAYLOAD_SIZE, err);
}

static void apply_properties(struct command_batch *batch, const Api__Command *command)
{
    struct run *run = batch->run;
    Api__HistoryEvent *event =
        run_event_new(batch->core, run, EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED);
    Api__WorkflowPropertiesModifiedEventAttributes *to =
        event->workflow_properties_modified_event_attributes;
    to->upserted_memo = message_copy(
        &run->arena, command->modify_workflow_properties_command_attributes->upserted_memo);
    to->has_workflow_task_completed_event_id = true;
    to->workflow_task_completed_event_id = batch->completed_event_id;
    run_event(batch->core, run, event);
}

/* --- the table ---------------------------------------------------------------------------------
 */

struct command_row {
    Api__Command__AttributesCase attributes_case;
    Api__WorkflowTaskFailedCause cause;
    int (*check)(struct command_batch *batch, const Api__Command *command,
                 Api__WorkflowTaskFailedCause *ret_cause, struct error *err);
    void (*apply)(struct command_batch *batch, const Api__Command *command);
    bool closes;
};

#define ATTRIBUTES(name) API__COMMAND__ATTRIBUTES_##name##_COMMAND_ATTRIBUTES

static const struct command_row rows[] = {
    [COMMAND_TYPE_SCHEDULE_ACTIVITY_TASK] = {ATTRIBUTES(SCHEDULE_ACTIVITY_TASK),
                                             CAUSE(BAD_SCHEDULE_ACTIVITY_ATTRIBUTES),
                                             check_schedule_activity, apply_schedule_activity,
                                             false},
    [COMMAND_TYPE_REQUEST_CANCEL_ACTIVITY_TASK] = {ATTRIBUTES(REQUEST_CANCEL_ACTIVITY_TASK),
                                                   CAUSE(BAD_REQUEST_CANCEL_ACTIVITY_ATTRIBUTES),
                                                   check_cancel_activity, apply_cancel_activity,
                                                   false},
    [COMMAND_TYPE_START_TIMER] = {ATTRIBUTES(START_TIMER), CAUSE(BAD_START_TIMER_ATTRIBUTES),
                                  check_start_timer, apply_start_timer, false},
    [COMMAND_TYPE_CANCEL_TIMER] = {ATTRIBUTES(CANCEL_TIMER), CAUSE(BAD_CANCEL_TIMER_ATTRIBUTES),
                                   check_cancel_timer, apply_cancel_timer, false},
    [COMMAND_TYPE_COMPLETE_WORKFLOW_EXECUTION] = {ATTRIBUTES(COMPLETE_WORKFLOW_EXECUTION),
                                                  CAUSE(BAD_COMPLETE_WORKFLOW_EXECUTION_ATTRIBUTES),
                                                  check_complete, apply_complete, true},
    [COMMAND_TYPE_FAIL_WORKFLOW_EXECUTION] = {ATTRIBUTES(FAIL_WORKFLOW_EXECUTION),
                                              CAUSE(BAD_FAIL_WORKFLOW_EXECUTION_ATTRIBUTES),
                                              check_fail, apply_fail, true},
    [COMMAND_TYPE_CANCEL_WORKFLOW_EXECUTION] = {ATTRIBUTES(CANCEL_WORKFLOW_EXECUTION),
                                                CAUSE(BAD_CANCEL_WORKFLOW_EXECUTION_ATTRIBUTES),
                                                check_cancel, apply_cancel, true},
    [COMMAND_TYPE_RECORD_MARKER] = {ATTRIBUTES(RECORD_MARKER), CAUSE(BAD_RECORD_MARKER_ATTRIBUTES),
                                    check_marker, apply_marker, false},
    [COMMAND_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES] =
        {ATTRIBUTES(UPSERT_WORKFLOW_SEARCH_ATTRIBUTES), CAUSE(BAD_SEARCH_ATTRIBUTES),
         check_search_attributes, apply_search_attributes, false},
    [COMMAND_TYPE_MODIFY_WORKFLOW_PROPERTIES] = {ATTRIBUTES(MODIFY_WORKFLOW_PROPERTIES),
                                                 CAUSE(BAD_MODIFY_WORKFLOW_PROPERTIES_ATTRIBUTES),
                                                 check_properties, apply_properties, false},
    /* Not carried out yet: the task fails with the cause and a clear text. */
    [COMMAND_TYPE_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION] =
        {.cause = CAUSE(BAD_REQUEST_CANCEL_EXTERNAL_WORKFLOW_EXECUTION_ATTRIBUTES)},
    [COMMAND_TYPE_CONTINUE_AS_NEW_WORKFLOW_EXECUTION] = {.cause =
                                                             CAUSE(BAD_CONTINUE_AS_NEW_ATTRIBUTES)},
    [COMMAND_TYPE_START_CHILD_WORKFLOW_EXECUTION] = {.cause = CAUSE(
                                                         BAD_START_CHILD_EXECUTION_ATTRIBUTES)},
    [COMMAND_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION] =
        {.cause = CAUSE(BAD_SIGNAL_WORKFLOW_EXECUTION_ATTRIBUTES)},
};

#define ROW_COUNT (sizeof rows / sizeof rows[0])

static int check_command(struct command_batch *batch, const Api__Command *command,
                         Api__WorkflowTaskFailedCause *ret_cause, struct error *err)
{
    const struct command_row *row =
        (size_t)command->command_type < ROW_COUNT ? &rows[command->command_type] : &rows[0];
    *ret_cause = row->cause != 0 ? row->cause : CAUSE(UNHANDLED_COMMAND);
    if (row->check == NULL)
        return error_set(err, ERR_INVALID, "command type %d is not supported yet",
                         command->command_type);
    if (command->attributes_case != row->attributes_case)
        return error_set(err, ERR_INVALID, "attributes of command type %d are not set",
                         command->command_type);
    int rc = validate_size("command", command, VALIDATE_EVENT_SIZE, err);
    return rc == 0 ? row->check(batch, command, ret_cause, err) : rc;
}

/* Events that the batch takes back do not count: a canceled timer that has just fired. */
static bool has_unseen_events(const struct command_batch *batch)
{
    size_t unseen = batch->run->buffered.count;
    for (size_t i = 0; i < batch->count; i++) {
        const Api__Command *command = batch->commands[i];
        if (command->command_type == COMMAND_TYPE_CANCEL_TIMER &&
            run_fired_timer_find(
                batch->run, text_or_empty(command->cancel_timer_command_attributes->timer_id)) !=
                NULL &&
            unseen > 0)
            unseen--;
    }
    return unseen > 0;
}

int command_batch_check(struct command_batch *batch, Api__WorkflowTaskFailedCause *ret_cause,
                        struct error *err)
{
    int rc = 0;
    size_t given = batch->count;
    batch->count = 0;
    while (rc == 0 && batch->count < given) {
        const Api__Command *command = batch->commands[batch->count];
        rc = check_command(batch, command, ret_cause, err);
        if (rc < 0)
            break;
        batch->count++;
        if (!rows[command->command_type].closes)
            continue;
        if (has_unseen_events(batch)) {
            *ret_cause = CAUSE(UNHANDLED_COMMAND);
            rc = error_set(err, ERR_INVALID, "UnhandledCommand");
        }
        break;
    }
    HASH_CLEAR(hh, batch->new_activity_ids);
    HASH_CLEAR(hh, batch->new_timer_ids);
    HASH_CLEAR(hh, batch->canceled_timer_ids);
    return rc;
}

void command_batch_apply(struct command_batch *batch)
{
    batch->canceled =
        arena_alloc(&batch->core->outbox->arena, (batch->count + 1) * sizeof(int64_t));
    ASSERT(batch->canceled != NULL);
    for (size_t i = 0; i < batch->count; i++)
        rows[batch->commands[i]->command_type].apply(batch, batch->commands[i]);
}
