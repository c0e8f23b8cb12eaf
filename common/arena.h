/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arena: memory for one request, attempt or run, dropped whole.
 *
 * Allocation moves a pointer inside a block; blocks double in size from ARENA_BLOCK_MIN. Nothing is
 * freed alone: arena_reset keeps the first block for the next request, arena_fini returns all.
 * An arena has a byte limit: an allocation past it returns NULL, which callers turn into ERR_LIMIT
 * or ERR_MEMORY, so that hostile input cannot take the machine's memory.
 *
 * Threading: one thread at a time per arena.
 */
#ifndef ARGOSY_COMMON_ARENA_H
#define ARGOSY_COMMON_ARENA_H

#include <stddef.h>

#define ARENA_BLOCK_MIN ((size_t)4096)
#define ARENA_NO_LIMIT  ((size_t)-1)

struct arena_block;

struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* bytes handed out since init or reset */
    size_t limit;               /* most bytes that may be handed out */
};

void arena_init(struct arena *arena, size_t limit);
void arena_fini(struct arena *arena);
void arena_reset(struct arena *arena);

/* size bytes aligned for any type, uninitialised; NULL when memory or the limit is exhausted. A
 * size of 0 gives a valid pointer. The arena owns what it returns. */
void *arena_alloc(struct arena *arena, size_t size);
void *arena_calloc(struct arena *arena, size_t count, size_t size);

/* Copies; the string copies end in NUL. NULL in gives NULL out only for arena_strdup. */
void *arena_memdup(struct arena *arena, const void *data, size_t size);
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
