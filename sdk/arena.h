/* SPDX-License-Identifier: Apache-2.0 */
/* arena: the public arena is common/'s, under a name of its own. */
#ifndef ARGOSY_SDK_ARENA_H
#define ARGOSY_SDK_ARENA_H

#include <argosy/arena.h>

#include "common/arena.h"

struct argosy_arena {
    struct arena arena;
};

_Static_assert(sizeof(struct argosy_arena) == sizeof(struct arena), "one struct, two names");

static inline struct argosy_arena *arena_public(struct arena *arena)
{
    return (struct argosy_arena *)arena;
}

#endif
