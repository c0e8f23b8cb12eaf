/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task: what a task queue hands to a session: a workflow task, an activity's attempt or a query.
 *
 * It is embedded in its owner. The queue knows it by its address; it knows the queue it waits or is
 * held in, and who holds it.
 */
#ifndef ARGOSY_ENGINE_TASK_H
#define ARGOSY_ENGINE_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue;
struct run;

enum task_kind { TASK_WORKFLOW = 1, TASK_ACTIVITY = 2, TASK_QUERY = 3 };

struct task {
    enum task_kind kind;
    struct run *run;
    struct queue *queue; /* NULL: in no queue */
    uint64_t session;    /* 0: waiting */
    bool is_suspect;     /* one loss more is one too many (queues/task_queue.h) */
};

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
