/* SPDX-License-Identifier: Apache-2.0 */
/*
 * priority: a task's place in its queue, as a number of the public API and as a message: 1 goes
 * first, 5 last, 0 leaves it open. Threading: any.
 */
#ifndef ARGOSY_SDK_PRIORITY_H
#define ARGOSY_SDK_PRIORITY_H

#include <stdbool.h>
#include <stdint.h>

#include "api/messages.h"
#include "common/arena.h"

#define PRIORITY_DEFAULT 3
#define PRIORITY_WORST   5

static inline bool priority_is_valid(int32_t priority)
{
    return priority >= 0 && priority <= PRIORITY_WORST;
}

/* NULL when arena is exhausted. */
static inline Api__Priority *priority_create(int32_t priority, struct arena *arena)
{
    Api__Priority *message = arena_alloc(arena, sizeof *message);
    if (message == NULL)
        return NULL;
    api__priority__init(message);
    message->has_priority_key = 1;
    message->priority_key = priority;
    return message;
}

/* Other SDKs may give numbers beyond 5: the engine counts them as 5, and so do we. */
static inline int32_t priority_of(const Api__Priority *message)
{
    int32_t priority = message == NULL ? 0 : message->priority_key;
    if (priority <= 0)
        return PRIORITY_DEFAULT;
    return priority > PRIORITY_WORST ? PRIORITY_WORST : priority;
}

#endif
