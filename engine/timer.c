/* SPDX-License-Identifier: Apache-2.0 */
/* timer: see timer.h. The commands that start and cancel timers are in command.c. */
#include "engine/timer.h"

#include "engine/workflow_task.h"

void timer_arm(struct core *core, struct timer *timer)
{
    timer_queue_set(&core->timers, &timer->deadline, timer->fire_us);
}

void timer_due(struct core *core, struct timer *timer)
{
    struct run *run = timer->run;
    run_make_room(core, run);
    Api__HistoryEvent *event = run_event_new(core, run, EVENT_TYPE_TIMER_FIRED);
    Api__TimerFiredEventAttributes *attributes = event->timer_fired_event_attributes;
    attributes->timer_id = timer->timer_id;
    attributes->has_started_event_id = true;
    attributes->started_event_id = timer->started_event_id;
    run_event(core, run, event);
    workflow_task_need(core, run);
    run_settle(core, run);
}
