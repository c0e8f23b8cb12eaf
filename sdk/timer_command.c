/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_command: a durable timer.
 *
 *     MADE ──event 17──► STARTED ──event 18──► FIRED
 *      │ cancel             │ cancel
 *      ▼                    ▼
 *     DROPPED           CANCEL_MADE ──event 19──► CANCELED
 *
 * A timer that is canceled is ready, as canceled, at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "sdk/duration.h"
#include "sdk/error.h"
#include "sdk/run.h"

enum timer_state {
    TIMER_MADE,
    TIMER_DROPPED,
    TIMER_STARTED,
    TIMER_FIRED,
    TIMER_CANCEL_MADE,
    TIMER_CANCELED,
};

static const struct state_row timer_rows[] = {
    [TIMER_MADE] = {"made", STATE_BIT(TIMER_DROPPED) | STATE_BIT(TIMER_STARTED)},
    [TIMER_DROPPED] = {"dropped", 0},
    [TIMER_STARTED] = {"started", STATE_BIT(TIMER_FIRED) | STATE_BIT(TIMER_CANCEL_MADE)},
    [TIMER_FIRED] = {"fired", 0},
    [TIMER_CANCEL_MADE] = {"cancel made", STATE_BIT(TIMER_CANCELED)},
    [TIMER_CANCELED] = {"canceled", 0},
};

/* ---- the commands ---- */

static bool id_matches(const struct argosy_future *future, const char *timer_id)
{
    return timer_id != NULL && strcmp(timer_id, future->id) == 0;
}

static void timer_describe(const struct command *command, char text[COMMAND_TEXT_MAX])
{
    const struct argosy_future *future = command->owner;
    snprintf(text, COMMAND_TEXT_MAX, " (timer \"%s\")", future->id);
}

static bool start_matches(const struct command *command, const Api__HistoryEvent *event)
{
    return id_matches(command->owner, event->timer_started_event_attributes->timer_id);
}

static void start_record(struct command *command, const Api__HistoryEvent *event)
{
    struct argosy_future *future = command->owner;
    state_move(&future->machine, TIMER_STARTED);
    future->event_id = event->event_id;
}

static const struct command_ops start_ops = {
    .name = "StartTimer",
    .event_type = EVENT_TYPE_TIMER_STARTED,
    .matches = start_matches,
    .describe = timer_describe,
    .record = start_record,
};

static bool cancel_matches(const struct command *command, const Api__HistoryEvent *event)
{
    return id_matches(command->owner, event->timer_canceled_event_attributes->timer_id);
}

static void cancel_record(struct command *command, const Api__HistoryEvent *event)
{
    (void)event;
    struct argosy_future *future = command->owner;
    state_move(&future->machine, TIMER_CANCELED);
    future_end(future);
}

static const struct command_ops cancel_ops = {
    .name = "CancelTimer",
    .event_type = EVENT_TYPE_TIMER_CANCELED,
    .matches = cancel_matches,
    .describe = timer_describe,
    .record = cancel_record,
};

/* ---- starting and canceling ---- */

static void timer_cancel(struct argosy_future *future)
{
    struct argosy_workflow *run = future->run;
    if (future->machine.state == TIMER_MADE) {
        state_move(&future->machine, TIMER_DROPPED);
        run_command_remove(run, &future->start);
        future_end(future);
    } else {
        state_move(&future->machine, TIMER_CANCEL_MADE);
        Api__Command *message =
            run_command_add(run, &future->cancel, &cancel_ops, future, COMMAND_TYPE_CANCEL_TIMER);
        if (message != NULL) {
            Api__CancelTimerCommandAttributes *cancel =
                arena_alloc(run->task_arena, sizeof *cancel);
            run_check_memory(run, cancel);
            api__cancel_timer_command_attributes__init(cancel);
            cancel->timer_id = future->id;
            message->attributes_case = API__COMMAND__ATTRIBUTES_CANCEL_TIMER_COMMAND_ATTRIBUTES;
            message->cancel_timer_command_attributes = cancel;
        }
    }
    future_become_canceled(future, "timer canceled");
}

static const struct future_ops timer_ops = {.cancel = timer_cancel};

static void start_fill(Api__Command *message, const struct argosy_future *future, int64_t delay_ms)
{
    struct argosy_workflow *run = future->run;
    Api__StartTimerCommandAttributes *start = arena_alloc(run->task_arena, sizeof *start);
    run_check_memory(run, start);
    api__start_timer_command_attributes__init(start);
    start->timer_id = future->id;
    start->start_to_fire_timeout = duration_create(delay_ms, run->task_arena);
    run_check_memory(run, start->start_to_fire_timeout);
    message->attributes_case = API__COMMAND__ATTRIBUTES_START_TIMER_COMMAND_ATTRIBUTES;
    message->start_timer_command_attributes = start;
}

struct argosy_future *argosy_timer_start(struct argosy_workflow *run, int64_t delay_ms)
{
    struct argosy_future *future = future_create(run, &timer_ops, timer_rows);
    if (!run_may_command(run) || run_is_cut_off(run)) {
        future_become_canceled(future, run_may_command(run) ? "the workflow is canceled"
                                                            : "a query handler has no timers");
        return future;
    }
    future->id = arena_printf(&run->arena.arena, "%" PRIu64, ++run->timer_count);
    run_check_memory(run, future->id);
    future_begin(future);
    Api__Command *message =
        run_command_add(run, &future->start, &start_ops, future, COMMAND_TYPE_START_TIMER);
    if (message != NULL)
        start_fill(message, future, delay_ms < 1 ? 1 : delay_ms);
    return future;
}

int argosy_workflow_sleep(struct argosy_workflow *run, int64_t delay_ms, struct argosy_error *err)
{
    return argosy_await(argosy_timer_start(run, delay_ms), NULL, err);
}

/* ---- outcome ---- */

int timer_apply_fired(struct argosy_workflow *run, const Api__HistoryEvent *event,
                      struct error *err)
{
    const Api__TimerFiredEventAttributes *fired = event->timer_fired_event_attributes;
    struct argosy_future *future = future_find(run, fired->started_event_id);
    if (future == NULL || future->ops != &timer_ops ||
        !state_can_move(&future->machine, TIMER_FIRED))
        return error_set(err, ERR_PROTOCOL,
                         "event %" PRId64 " fires the timer of event %" PRId64
                         ", which is not pending",
                         event->event_id, fired->started_event_id);
    state_move(&future->machine, TIMER_FIRED);
    future_end(future);
    future_succeed(future, argosy_payload_null());
    return 0;
}
