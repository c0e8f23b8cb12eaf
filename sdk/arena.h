/* SPDX-License-Identifier: Apache-2.0 */
/* arena: the public arena is common/'s, under a name of its own. */
#ifndef ARGOSY_SDK_ARENA_H
#define ARGOSY_SDK_ARENA_H

#include <argosy/arena.h>

#include "common/arena.h"

struct argosy_arena {
    struct arena arena;
};

#endif
