/* SPDX-License-Identifier: Apache-2.0 */
/* arena: see include/argosy/arena.h. */
#include "sdk/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct argosy_arena *argosy_arena_create(void)
{
    struct argosy_arena *arena = malloc(sizeof *arena);
    if (arena != NULL)
        arena_init(&arena->arena, ARENA_NO_LIMIT);
    return arena;
}

void argosy_arena_destroy(struct argosy_arena *arena)
{
    if (arena == NULL)
        return;
    arena_fini(&arena->arena);
    free(arena);
}

void *argosy_arena_alloc(struct argosy_arena *arena, size_t size)
{
    return arena_alloc(&arena->arena, size);
}

char *argosy_arena_printf(struct argosy_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length < 0 ? NULL : arena_alloc(&arena->arena, (size_t)length + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}
