/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer_queue: every deadline of the core in one binary heap.
 *
 * A deadline is embedded in what it belongs to; the heap points to it and it knows its place, so
 * that it can be moved or taken out in O(log n). Deadlines of the same time fire in the order
 * (major, minor, kind): run key, event id, kind for those of runs; creation order for the others.
 * That makes the order the same on every run of the same inputs.
 *
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_ENGINE_TIMER_QUEUE_H
#define ARGOSY_ENGINE_TIMER_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum deadline_kind {
    DEADLINE_ACTIVITY,      /* one of an activity's timeouts, or its next attempt is due */
    DEADLINE_TIMER,         /* a workflow timer */
    DEADLINE_WORKFLOW_TASK, /* a workflow task's timeout, or the first one's start delay */
    DEADLINE_RUN,           /* run or execution timeout */
    DEADLINE_QUERY,         /* a query waited too long for the worker that has the run cached */
    DEADLINE_PENDING,       /* a waiting request */
    DEADLINE_RECLAIM,       /* after recovery: attempts that nobody claimed are lost */
};

struct deadline {
    enum deadline_kind kind;
    int64_t at_us;
    int64_t major, minor;
    size_t place; /* in the heap, from 1; 0: not armed */
};

struct timer_queue {
    struct deadline **items;
    size_t count, capacity;
};

void timer_queue_fini(struct timer_queue *queue);

/* Arms or moves a deadline; INT64_MAX disarms it. */
void timer_queue_set(struct timer_queue *queue, struct deadline *deadline, int64_t at_us);
void timer_queue_cancel(struct timer_queue *queue, struct deadline *deadline);

/* The earliest deadline, NULL when none is armed. */
struct deadline *timer_queue_first(const struct timer_queue *queue);

#endif
