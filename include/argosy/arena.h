/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: memory that is given back all at once.
 *
 * What the library hands out lives in an arena: the caller's own for client calls, the run's in
 * workflow code (argosy_workflow_arena), the task's in an activity (argosy_activity_arena). Nothing
 * in an arena is freed alone.
 *
 * Threading: one thread at a time per arena.
 */
#ifndef ARGOSY_ARENA_H
#define ARGOSY_ARENA_H

#include <argosy/export.h>
#include <stddef.h>

struct argosy_arena;

/* A new arena, or NULL when memory is exhausted. The caller owns it. */
ARGOSY_API struct argosy_arena *argosy_arena_create(void);

/* Gives back the arena and all that lives in it. NULL is fine. Only for arenas that the caller
 * created: those of runs and activities go with their run or activity. */
ARGOSY_API void argosy_arena_destroy(struct argosy_arena *arena);

/* size bytes aligned for any type, uninitialised; NULL when memory is exhausted. */
ARGOSY_API void *argosy_arena_alloc(struct argosy_arena *arena, size_t size);

/* A formatted string in arena; NULL when memory is exhausted. */
ARGOSY_API char *argosy_arena_printf(struct argosy_arena *arena, const char *format, ...)
    ARGOSY_PRINTF(2, 3);

#endif
