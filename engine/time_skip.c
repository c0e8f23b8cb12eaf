/* SPDX-License-Identifier: Apache-2.0 */
/*
 * time_skip: time that jumps over what is only waiting (core_config.skips_time), for tests.
 *
 * Nothing can run while no workflow task is waiting or under way, no activity is under way and no
 * query is open: an activity that waits in its queue then waits for a worker that is not there.
 * Time jumps only where somebody waits for it: a history request (the result of a run), unless
 * skipping is locked, or a sleep. So it stands still between two calls of a test.
 */
#include "engine/handler.h"
#include "engine/validate.h"

static bool is_busy(const struct run *run)
{
    if (run->workflow_task.state != WORKFLOW_TASK_NONE)
        return true;
    const struct activity *activity;
    DL_FOREACH (run->activities, activity) {
        if (activity->state == ACTIVITY_STARTED || activity->state == ACTIVITY_CANCELING)
            return true;
    }
    return false;
}

static bool belongs_to_run(const struct deadline *deadline)
{
    switch (deadline->kind) {
    case DEADLINE_ACTIVITY:
    case DEADLINE_TIMER:
    case DEADLINE_WORKFLOW_TASK:
    case DEADLINE_RUN:
        return true;
    case DEADLINE_QUERY:
    case DEADLINE_PENDING:
    case DEADLINE_RECLAIM:
        break;
    }
    return false;
}

int64_t core_skip_utc_us(const struct core *core)
{
    int64_t wake_us = INT64_MAX;
    bool is_watched = false;
    if (!core->config.skips_time || core->queries != NULL)
        return INT64_MAX;
    for (struct pending *pending = core->pendings; pending != NULL; pending = pending->hh.next) {
        is_watched = is_watched || pending->kind == PENDING_HISTORY;
        if (pending->kind == PENDING_SLEEP && pending->deadline.at_us < wake_us)
            wake_us = pending->deadline.at_us;
    }
    if (wake_us == INT64_MAX && (!is_watched || core->time_locks > 0))
        return INT64_MAX;
    for (struct run *run = core->runs; run != NULL; run = run->hh.next) {
        if (run_is_open(run) && is_busy(run))
            return INT64_MAX;
    }
    for (size_t i = 0; i < core->timers.count; i++) {
        const struct deadline *deadline = core->timers.items[i];
        if (belongs_to_run(deadline) && deadline->at_us < wake_us)
            wake_us = deadline->at_us;
    }
    return wake_us;
}

/* --- requests ----------------------------------------------------------------------------------
 */

static bool check_skips(struct core *core, const struct core_request *request)
{
    if (core->config.skips_time)
        return true;
    reply_error(core, request, ERR_STATE, "this engine was not started to skip time");
    return false;
}

enum core_result handle_lock_time_skipping(struct core *core, const struct core_request *request,
                                           struct core_need *need)
{
    (void)need;
    if (!check_skips(core, request))
        return CORE_HANDLED;
    core->time_locks++;
    reply_send(core, request,
               message_new(&core->outbox->arena, &api__lock_time_skipping_response__descriptor));
    return CORE_HANDLED;
}

enum core_result handle_unlock_time_skipping(struct core *core, const struct core_request *request,
                                             struct core_need *need)
{
    (void)need;
    if (!check_skips(core, request))
        return CORE_HANDLED;
    if (core->time_locks == 0) {
        reply_error(core, request, ERR_STATE, "time skipping is not locked");
        return CORE_HANDLED;
    }
    core->time_locks--;
    reply_send(core, request,
               message_new(&core->outbox->arena, &api__unlock_time_skipping_response__descriptor));
    return CORE_HANDLED;
}

enum core_result handle_sleep(struct core *core, const struct core_request *request,
                              struct core_need *need)
{
    (void)need;
    const Api__SleepRequest *body = (const Api__SleepRequest *)request->body;
    struct error err;
    if (!check_skips(core, request))
        return CORE_HANDLED;
    if (validate_duration("duration", body->duration, &err) < 0)
        reply_error(core, request, err.code, "%s", err.text);
    else
        pending_create(core, request, PENDING_SLEEP, core->now_us + duration_us(body->duration));
    return CORE_HANDLED;
}

enum core_result handle_get_current_time(struct core *core, const struct core_request *request,
                                         struct core_need *need)
{
    (void)need;
    Api__GetCurrentTimeResponse *response =
        message_new(&core->outbox->arena, &api__get_current_time_response__descriptor);
    response->time = timestamp_new(&core->outbox->arena, core->now_us);
    reply_send(core, request, response);
    return CORE_HANDLED;
}
