/* SPDX-License-Identifier: Apache-2.0 */
/*
 * task_heap: the waiting tasks of one type and priority, oldest first; a binary heap that knows
 * where each task lies, so that any task leaves in O(log n). Part of task_queue.
 *
 * The heap borrows its tasks. Threading: as task_queue.
 */
#ifndef ARGOSY_QUEUES_TASK_HEAP_H
#define ARGOSY_QUEUES_TASK_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task_age {
    int64_t since_us;
    uint64_t sequence; /* order of the offers: no two are equal */
    size_t heap_index; /* kept by the heap */
};

struct task_heap {
    struct task_age **tasks;
    size_t count;
    size_t capacity;
};

void task_heap_fini(struct task_heap *heap);

bool task_age_is_older(const struct task_age *a, const struct task_age *b);

void task_heap_add(struct task_heap *heap, struct task_age *task);
void task_heap_remove(struct task_heap *heap, struct task_age *task);

/* The oldest, or NULL. */
struct task_age *task_heap_first(const struct task_heap *heap);

#endif
