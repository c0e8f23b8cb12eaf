/* SPDX-License-Identifier: Apache-2.0 */
/* timer_queue: see timer_queue.h. */
#include "engine/timer_queue.h"

#include <stdlib.h>

#include "common/assert.h"

void timer_queue_fini(struct timer_queue *queue)
{
    free(queue->items);
    *queue = (struct timer_queue){0};
}

static bool is_before(const struct deadline *a, const struct deadline *b)
{
    if (a->at_us != b->at_us)
        return a->at_us < b->at_us;
    if (a->major != b->major)
        return a->major < b->major;
    if (a->minor != b->minor)
        return a->minor < b->minor;
    return a->kind < b->kind;
}

static void put(struct timer_queue *queue, size_t place, struct deadline *deadline)
{
    queue->items[place - 1] = deadline;
    deadline->place = place;
}

static void sift_up(struct timer_queue *queue, struct deadline *deadline)
{
    size_t place = deadline->place;
    while (place > 1 && is_before(deadline, queue->items[place / 2 - 1])) {
        put(queue, place, queue->items[place / 2 - 1]);
        place /= 2;
    }
    put(queue, place, deadline);
}

static void sift_down(struct timer_queue *queue, struct deadline *deadline)
{
    size_t place = deadline->place;
    for (;;) {
        size_t child = place * 2;
        if (child > queue->count)
            break;
        if (child < queue->count && is_before(queue->items[child], queue->items[child - 1]))
            child++;
        if (!is_before(queue->items[child - 1], deadline))
            break;
        put(queue, place, queue->items[child - 1]);
        place = child;
    }
    put(queue, place, deadline);
}

static void add(struct timer_queue *queue, struct deadline *deadline)
{
    if (queue->count == queue->capacity) {
        queue->capacity = queue->capacity != 0 ? queue->capacity * 2 : 64;
        queue->items = reallocarray(queue->items, queue->capacity, sizeof *queue->items);
        ASSERT(queue->items != NULL);
    }
    queue->count++;
    put(queue, queue->count, deadline);
    sift_up(queue, deadline);
}

void timer_queue_set(struct timer_queue *queue, struct deadline *deadline, int64_t at_us)
{
    if (at_us == INT64_MAX) {
        timer_queue_cancel(queue, deadline);
        return;
    }
    int64_t before = deadline->at_us;
    deadline->at_us = at_us;
    if (deadline->place == 0)
        add(queue, deadline);
    else if (at_us < before)
        sift_up(queue, deadline);
    else
        sift_down(queue, deadline);
}

void timer_queue_cancel(struct timer_queue *queue, struct deadline *deadline)
{
    size_t place = deadline->place;
    if (place == 0)
        return;
    ASSERT(queue->items[place - 1] == deadline);
    deadline->place = 0;
    struct deadline *last = queue->items[queue->count - 1];
    queue->count--;
    if (last == deadline)
        return;
    put(queue, place, last);
    sift_up(queue, last);
    sift_down(queue, last);
}

struct deadline *timer_queue_first(const struct timer_queue *queue)
{
    return queue->count > 0 ? queue->items[0] : NULL;
}
