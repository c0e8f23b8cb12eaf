/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_group: the open runs that share a concurrency key, so that a start can be refused when there
 * are enough. The key stands in a run's first record; the groups are rebuilt from it on recovery.
 */
#ifndef ARGOSY_ENGINE_RUN_GROUP_H
#define ARGOSY_ENGINE_RUN_GROUP_H

#include "engine/core_state.h"

/* Adds an open run to the group of its key, takes a closed one out of it; nothing for a run without
 * a key. */
void run_group_join(struct core *core, struct run *run);
void run_group_leave(struct core *core, struct run *run);

/* How many open runs have the key, not counting except, which may be NULL. */
int32_t run_group_size(const struct core *core, const char *key, const struct run *except);

/* Appends the workflow ids of the first of them, oldest first. */
void run_group_list(const struct core *core, const char *key, const struct run *except,
                    struct buffer *text);

void run_groups_destroy(struct core *core);

#endif
