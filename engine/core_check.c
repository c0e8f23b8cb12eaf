/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core_check: the invariants of DESIGN section 4 that can be seen in the core's memory, and its
 * persistent state as text. For tests and the simulator: it walks over everything.
 */
#include <string.h>

#include "common/assert.h"
#include "engine/activity.h"
#include "engine/core_state.h"
#include "engine/query.h"

/* How many tasks the runs say wait and are held, queue by queue. */
struct tally {
    struct queue *queue;
    uint64_t waiting, held;
};

static void tally_task(struct tally *tallies, size_t count, const struct task *task)
{
    if (task->queue == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        if (tallies[i].queue != task->queue)
            continue;
        if (task->session == 0)
            tallies[i].waiting++;
        else
            tallies[i].held++;
        return;
    }
    UNREACHABLE(); /* a queue the core does not know */
}

static void check_history(const struct run *run)
{
    for (size_t i = 0; i < run->history.count; i++) {
        const Api__HistoryEvent *event = run->history.entries[i].event;
        ASSERT(event->event_id == (int64_t)i + 1);
        bool closes = event_row_get(event->event_type)->is_close;
        ASSERT(!closes || (i + 1 == run->history.count && !run_is_open(run)));
    }
    ASSERT(run_is_open(run) ||
           event_row_get(run->history.entries[run->history.count - 1].event->event_type)->is_close);
}

static void check_workflow_task(const struct run *run)
{
    const struct workflow_task *task = &run->workflow_task;
    switch (task->state) {
    case WORKFLOW_TASK_NONE:
        ASSERT(task->task.queue == NULL);
        break;
    case WORKFLOW_TASK_SCHEDULED:
        ASSERT(task->task.queue != NULL && task->task.session == 0);
        break;
    case WORKFLOW_TASK_STARTED:
        ASSERT(task->deadline.place != 0);
        ASSERT(task->task.queue == NULL || task->task.session != 0);
        break;
    }
    ASSERT(task->state == WORKFLOW_TASK_STARTED || run->buffered.count == 0);
    ASSERT(run_is_open(run) || task->state == WORKFLOW_TASK_NONE);
}

static void check_activity(const struct core *core, const struct activity *activity)
{
    ASSERT(activity->state != ACTIVITY_CLOSED);
    ASSERT(activity->attempt >= 1 && activity->loss_count < core->config.loss_limit);
    if (activity->state == ACTIVITY_SCHEDULED) {
        ASSERT(activity->task.queue != NULL || activity->deadline.place != 0);
        ASSERT(activity->task.session == 0);
    } else {
        ASSERT(activity->task.queue != NULL && activity->task.session != 0);
        ASSERT(activity->task.session != SESSION_UNCLAIMED || core->reclaim.place != 0);
    }
}

static void check_run(const struct core *core, const struct run *run, struct tally *tallies,
                      size_t count)
{
    ASSERT(run->unwritten == NULL);
    check_history(run);
    check_workflow_task(run);
    tally_task(tallies, count, &run->workflow_task.task);
    size_t activities = 0;
    const struct activity *activity;
    DL_FOREACH (run->activities, activity) {
        check_activity(core, activity);
        tally_task(tallies, count, &activity->task);
        activities++;
    }
    ASSERT(activities == run->activity_count);
    const struct timer *timer;
    DL_FOREACH (run->timers, timer)
        ASSERT(timer->deadline.place != 0);
}

static void check_timers(const struct core *core)
{
    for (size_t i = 0; i < core->timers.count; i++) {
        ASSERT(core->timers.items[i]->place == i + 1);
        ASSERT(i == 0 || core->timers.items[(i - 1) / 2]->at_us <= core->timers.items[i]->at_us);
    }
}

void core_check(const struct core *core)
{
    ASSERT(core->dirty_runs == NULL && core->dirty_queues == NULL);
    size_t count = HASH_COUNT(core->queues);
    struct tally *tallies = calloc(count + 1, sizeof *tallies);
    ASSERT(tallies != NULL);
    size_t i = 0;
    for (struct queue *queue = core->queues; queue != NULL; queue = queue->hh.next)
        tallies[i++].queue = queue;
    for (const struct run *run = core->runs; run != NULL; run = run->hh.next) {
        check_run(core, run, tallies, count);
        const struct run *newest;
        HASH_FIND(hh_workflow, core->workflows, run->workflow_id, strlen(run->workflow_id), newest);
        ASSERT(!run_is_open(run) || newest == run); /* one open run per workflow id */
    }
    for (const struct query *query = core->queries; query != NULL; query = query->hh.next)
        tally_task(tallies, count, &query->task);
    for (i = 0; i < count; i++) {
        struct task_queue_stats stats;
        task_queue_stats_get(tallies[i].queue->tasks, core->now_us, &stats);
        ASSERT(stats.backlog == tallies[i].waiting && stats.in_flight == tallies[i].held);
    }
    check_timers(core);
    free(tallies);
}

void core_dump(const struct core *core, struct buffer *text)
{
    /* The table iterates in the order the runs were added: that of their keys. */
    for (const struct run *run = core->runs; run != NULL; run = run->hh.next) {
        if (run_is_open(run))
            run_dump(run, text);
    }
}
