/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_history: reads a run's events and holds its code against them (run.h).
 *
 * Where the events of a workflow task stand (reference: docs/spec/02-history.md):
 *
 *     WorkflowTaskScheduled, WorkflowTaskStarted        the code runs: it makes commands c1 c2
 *     WorkflowTaskCompleted, event of c1, event of c2   they are matched here, in order
 *     signals, results, timers ...                      news for the next activation
 *
 * A task that failed or timed out ran no code that counts: its start activates nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/hash.h"
#include "sdk/duration.h"
#include "sdk/payload.h"
#include "sdk/run.h"

enum event_class {
    EVENT_UNKNOWN,
    EVENT_BEGIN,          /* the run's first */
    EVENT_TASK_STARTED,   /* code may run */
    EVENT_TASK_COMPLETED, /* events of its commands follow */
    EVENT_TASK_OTHER,     /* of workflow tasks; means nothing to code */
    EVENT_COMMAND,        /* made by a command of the code */
    EVENT_NEWS,           /* from outside; apply may be NULL: nothing to do */
    EVENT_END,            /* from outside: the run is over */
};

struct event_row {
    const char *name;
    enum event_class class;
    Api__HistoryEvent__AttributesCase attributes;
    int (*apply)(struct argosy_workflow *run, const Api__HistoryEvent *event, struct error *err);
};

static int apply_begin(struct argosy_workflow *run, const Api__HistoryEvent *event,
                       struct error *err);
static int apply_cancel_requested(struct argosy_workflow *run, const Api__HistoryEvent *event,
                                  struct error *err);

#define ROW(type, label, kind, attribute, function)                                                \
    [EVENT_TYPE_##type] = {label, EVENT_##kind,                                                    \
                           API__HISTORY_EVENT__ATTRIBUTES_##attribute##_EVENT_ATTRIBUTES,          \
                           function}

static const struct event_row event_rows[] = {
    ROW(WORKFLOW_EXECUTION_STARTED, "WorkflowExecutionStarted", BEGIN, WORKFLOW_EXECUTION_STARTED,
        apply_begin),
    ROW(WORKFLOW_EXECUTION_COMPLETED, "WorkflowExecutionCompleted", COMMAND,
        WORKFLOW_EXECUTION_COMPLETED, NULL),
    ROW(WORKFLOW_EXECUTION_FAILED, "WorkflowExecutionFailed", COMMAND, WORKFLOW_EXECUTION_FAILED,
        NULL),
    ROW(WORKFLOW_EXECUTION_CANCELED, "WorkflowExecutionCanceled", COMMAND,
        WORKFLOW_EXECUTION_CANCELED, NULL),
    ROW(WORKFLOW_EXECUTION_TIMED_OUT, "WorkflowExecutionTimedOut", END,
        WORKFLOW_EXECUTION_TIMED_OUT, NULL),
    ROW(WORKFLOW_EXECUTION_TERMINATED, "WorkflowExecutionTerminated", END,
        WORKFLOW_EXECUTION_TERMINATED, NULL),
    ROW(WORKFLOW_TASK_SCHEDULED, "WorkflowTaskScheduled", TASK_OTHER, WORKFLOW_TASK_SCHEDULED,
        NULL),
    ROW(WORKFLOW_TASK_STARTED, "WorkflowTaskStarted", TASK_STARTED, WORKFLOW_TASK_STARTED, NULL),
    ROW(WORKFLOW_TASK_COMPLETED, "WorkflowTaskCompleted", TASK_COMPLETED, WORKFLOW_TASK_COMPLETED,
        NULL),
    ROW(WORKFLOW_TASK_TIMED_OUT, "WorkflowTaskTimedOut", TASK_OTHER, WORKFLOW_TASK_TIMED_OUT, NULL),
    ROW(WORKFLOW_TASK_FAILED, "WorkflowTaskFailed", TASK_OTHER, WORKFLOW_TASK_FAILED, NULL),
    ROW(ACTIVITY_TASK_SCHEDULED, "ActivityTaskScheduled", COMMAND, ACTIVITY_TASK_SCHEDULED, NULL),
    ROW(ACTIVITY_TASK_STARTED, "ActivityTaskStarted", NEWS, ACTIVITY_TASK_STARTED, NULL),
    ROW(ACTIVITY_TASK_COMPLETED, "ActivityTaskCompleted", NEWS, ACTIVITY_TASK_COMPLETED,
        activity_apply_completed),
    ROW(ACTIVITY_TASK_FAILED, "ActivityTaskFailed", NEWS, ACTIVITY_TASK_FAILED,
        activity_apply_failed),
    ROW(ACTIVITY_TASK_TIMED_OUT, "ActivityTaskTimedOut", NEWS, ACTIVITY_TASK_TIMED_OUT,
        activity_apply_timed_out),
    ROW(ACTIVITY_TASK_CANCEL_REQUESTED, "ActivityTaskCancelRequested", COMMAND,
        ACTIVITY_TASK_CANCEL_REQUESTED, NULL),
    ROW(ACTIVITY_TASK_CANCELED, "ActivityTaskCanceled", NEWS, ACTIVITY_TASK_CANCELED,
        activity_apply_canceled),
    ROW(TIMER_STARTED, "TimerStarted", COMMAND, TIMER_STARTED, NULL),
    ROW(TIMER_FIRED, "TimerFired", NEWS, TIMER_FIRED, timer_apply_fired),
    ROW(TIMER_CANCELED, "TimerCanceled", COMMAND, TIMER_CANCELED, NULL),
    ROW(WORKFLOW_EXECUTION_SIGNALED, "WorkflowExecutionSignaled", NEWS, WORKFLOW_EXECUTION_SIGNALED,
        signal_apply),
    ROW(WORKFLOW_EXECUTION_CANCEL_REQUESTED, "WorkflowExecutionCancelRequested", NEWS,
        WORKFLOW_EXECUTION_CANCEL_REQUESTED, apply_cancel_requested),
};

static const struct event_row *find_row(const Api__HistoryEvent *event)
{
    size_t type = (size_t)event->event_type;
    if (type >= sizeof event_rows / sizeof event_rows[0] || event_rows[type].class == EVENT_UNKNOWN)
        return NULL;
    return &event_rows[type];
}

/* ---- the run's own events ---- */

static int apply_begin(struct argosy_workflow *run, const Api__HistoryEvent *event,
                       struct error *err)
{
    const Api__WorkflowExecutionStartedEventAttributes *started =
        event->workflow_execution_started_event_attributes;
    struct arena *arena = &run->arena.arena;
    if (started->workflow_type == NULL || started->workflow_type->name == NULL)
        return error_set(err, ERR_PROTOCOL, "event 1 names no workflow type");
    run->type = registry_find_workflow(run->config->registry, started->workflow_type->name);
    if (run->type == NULL)
        return error_set(err, ERR_NOT_FOUND, "workflow type \"%s\" is not registered here",
                         started->workflow_type->name);
    const char *queue = started->task_queue == NULL ? NULL : started->task_queue->name;
    run->info.workflow_type = run->type->type;
    run->info.task_queue = arena_strdup(arena, queue == NULL ? "" : queue);
    run->info.attempt = started->attempt == 0 ? 1 : started->attempt;
    run->info.start_time_utc_us = timestamp_utc_us(event->event_time);
    run->info.run_timeout_ms = duration_ms(started->workflow_run_timeout);
    run->info.execution_timeout_ms = duration_ms(started->workflow_execution_timeout);
    struct argosy_payloads inputs;
    if (run->info.task_queue == NULL || !payloads_view(started->input, arena, &inputs) ||
        !payloads_copy(inputs, arena, &run->inputs))
        return error_set(err, ERR_MEMORY, "the run's memory is exhausted");
    if (run->inputs.count > 0)
        run->first_input = run->inputs.items[0];
    return 0;
}

static int apply_cancel_requested(struct argosy_workflow *run, const Api__HistoryEvent *event,
                                  struct error *err)
{
    (void)event, (void)err;
    run->is_cancel_requested = true;
    return 0;
}

/* ---- matching ---- */

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* What a command's event says of itself, as the command's describe does. */
static void describe_event(const Api__HistoryEvent *event, char text[COMMAND_TEXT_MAX])
{
    text[0] = '\0';
    if (event->event_type == EVENT_TYPE_ACTIVITY_TASK_SCHEDULED) {
        const Api__ActivityTaskScheduledEventAttributes *scheduled =
            event->activity_task_scheduled_event_attributes;
        const Api__ActivityType *type = scheduled->activity_type;
        snprintf(text, COMMAND_TEXT_MAX, " (activity \"%s\" of type \"%s\")",
                 or_empty(scheduled->activity_id), or_empty(type == NULL ? NULL : type->name));
    } else if (event->event_type == EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED) {
        snprintf(text, COMMAND_TEXT_MAX, " (activity scheduled by event %" PRId64 ")",
                 event->activity_task_cancel_requested_event_attributes->scheduled_event_id);
    } else if (event->event_type == EVENT_TYPE_TIMER_STARTED) {
        snprintf(text, COMMAND_TEXT_MAX, " (timer \"%s\")",
                 or_empty(event->timer_started_event_attributes->timer_id));
    } else if (event->event_type == EVENT_TYPE_TIMER_CANCELED) {
        snprintf(text, COMMAND_TEXT_MAX, " (timer \"%s\")",
                 or_empty(event->timer_canceled_event_attributes->timer_id));
    }
}

/* History has event; the code's next command is another one, or none. */
static int mismatch(const struct argosy_workflow *run, const Api__HistoryEvent *event,
                    const struct event_row *row, struct error *err)
{
    char expected[COMMAND_TEXT_MAX];
    describe_event(event, expected);
    const struct command *command = run->commands;
    if (command == NULL)
        return error_set(err, ERR_NONDETERMINISM,
                         "event %" PRId64 " is %s%s, but the code made no command there",
                         event->event_id, row->name, expected);
    char actual[COMMAND_TEXT_MAX];
    command->ops->describe(command, actual);
    return error_set(err, ERR_NONDETERMINISM,
                     "event %" PRId64 " is %s%s, but the code's command there is %s%s",
                     event->event_id, row->name, expected, command->ops->name, actual);
}

static int match_command(struct argosy_workflow *run, const Api__HistoryEvent *event,
                         const struct event_row *row, struct error *err)
{
    struct command *command = run->commands;
    if (command == NULL || command->ops->event_type != event->event_type ||
        !command->ops->matches(command, event))
        return mismatch(run, event, row, err);
    run_command_remove(run, command);
    command->message = NULL;
    command->ops->record(command, event);
    return 0;
}

/* ---- reading ---- */

static int check_event(const struct argosy_workflow *run, const Api__HistoryEvent *event,
                       const struct event_row *row, struct error *err)
{
    if (event->event_id != run->last_event_id + 1)
        return error_set(err, ERR_STATE, "event %" PRId64 " does not follow event %" PRId64,
                         event->event_id, run->last_event_id);
    if (row == NULL) {
        if (event->worker_may_ignore)
            return 0;
        return error_set(err, ERR_UNSUPPORTED, "event %" PRId64 " is of type %d, unknown here",
                         event->event_id, (int)event->event_type);
    }
    /* The members of the oneof are pointers that share one place. */
    if (event->attributes_case != row->attributes ||
        event->workflow_execution_started_event_attributes == NULL)
        return error_set(err, ERR_PROTOCOL, "event %" PRId64 " (%s) has no attributes of its type",
                         event->event_id, row->name);
    if ((row->class == EVENT_BEGIN) != (event->event_id == 1) || run->is_closed)
        return error_set(err, ERR_PROTOCOL, "event %" PRId64 " (%s) is out of place",
                         event->event_id, row->name);
    return 0;
}

static int apply_event(struct argosy_workflow *run, const Api__HistoryEvent *event,
                       const struct event_row *row, struct error *err)
{
    if (row->class == EVENT_COMMAND)
        return match_command(run, event, row, err);
    if (row->class != EVENT_TASK_COMPLETED && run->commands != NULL && row->class != EVENT_END)
        return mismatch(run, event, row, err);
    if (row->class == EVENT_END)
        run->is_closed = true;
    return row->apply == NULL ? 0 : row->apply(run, event, err);
}

/* Whether events[i] started a workflow task whose code counts. */
static bool is_activation(Api__HistoryEvent *const *events, size_t count, size_t i, bool is_task)
{
    if (i + 1 == count)
        return is_task;
    return events[i + 1]->event_type == EVENT_TYPE_WORKFLOW_TASK_COMPLETED;
}

int run_apply(struct argosy_workflow *run, Api__HistoryEvent *const *events, size_t count,
              bool is_task, struct arena *task_arena, struct error *err)
{
    run->task_arena = task_arena;
    if (is_task &&
        (count == 0 || events[count - 1]->event_type != EVENT_TYPE_WORKFLOW_TASK_STARTED))
        return error_set(err, ERR_PROTOCOL,
                         "a workflow task's history does not end with its start");
    for (size_t i = 0; i < count; i++) {
        const Api__HistoryEvent *event = events[i];
        const struct event_row *row = find_row(event);
        int code = check_event(run, event, row, err);
        if (code == 0 && row != NULL)
            code = apply_event(run, event, row, err);
        if (code < 0)
            return code;
        run->last_event_id = event->event_id;
        if (row != NULL && row->class == EVENT_TASK_STARTED &&
            is_activation(events, count, i, is_task)) {
            run_activate(run, timestamp_utc_us(event->event_time), i + 1 == count);
            if (run->fatal.code < 0) {
                if (err != NULL)
                    *err = run->fatal;
                return run->fatal.code;
            }
        }
    }
    if (!is_task && count > 0 && run->commands != NULL && !run->is_closed) {
        char actual[COMMAND_TEXT_MAX];
        run->commands->ops->describe(run->commands, actual);
        return error_set(err, ERR_NONDETERMINISM,
                         "history ends with event %" PRId64 ", but the code's next command is %s%s",
                         run->last_event_id, run->commands->ops->name, actual);
    }
    return 0;
}
