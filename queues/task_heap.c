/* SPDX-License-Identifier: Apache-2.0 */
/* task_heap: see task_heap.h. */
#include "queues/task_heap.h"

#include <stdlib.h>

#include "common/assert.h"

#define CAPACITY_MIN 8

void task_heap_fini(struct task_heap *heap)
{
    free(heap->tasks);
    *heap = (struct task_heap){0};
}

bool task_age_is_older(const struct task_age *a, const struct task_age *b)
{
    return a->since_us != b->since_us ? a->since_us < b->since_us : a->sequence < b->sequence;
}

static void put(struct task_heap *heap, size_t index, struct task_age *task)
{
    heap->tasks[index] = task;
    task->heap_index = index;
}

static void sift_up(struct task_heap *heap, size_t index, struct task_age *task)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!task_age_is_older(task, heap->tasks[parent]))
            break;
        put(heap, index, heap->tasks[parent]);
        index = parent;
    }
    put(heap, index, task);
}

static void sift_down(struct task_heap *heap, size_t index, struct task_age *task)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            task_age_is_older(heap->tasks[child + 1], heap->tasks[child]))
            child++;
        if (!task_age_is_older(heap->tasks[child], task))
            break;
        put(heap, index, heap->tasks[child]);
        index = child;
    }
    put(heap, index, task);
}

void task_heap_add(struct task_heap *heap, struct task_age *task)
{
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity > 0 ? 2 * heap->capacity : CAPACITY_MIN;
        struct task_age **tasks = realloc(heap->tasks, capacity * sizeof(struct task_age *));
        if (tasks == NULL)
            abort();
        heap->tasks = tasks;
        heap->capacity = capacity;
    }
    sift_up(heap, heap->count++, task);
}

void task_heap_remove(struct task_heap *heap, struct task_age *task)
{
    size_t index = task->heap_index;
    ASSERT(index < heap->count && heap->tasks[index] == task);
    struct task_age *last = heap->tasks[--heap->count];
    if (last == task)
        return;
    if (task_age_is_older(last, task))
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}

struct task_age *task_heap_first(const struct task_heap *heap)
{
    return heap->count > 0 ? heap->tasks[0] : NULL;
}
