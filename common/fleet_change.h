/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_change: what applying another configuration to a running fleet takes
 * (docs/spec/04-supervision.md, section "Reload").
 *
 * Every key of the schema names, in its column `change`, the processes that a change of its value
 * concerns and whether they take it as they run or have to be started again. The comparison walks
 * both configurations by that table, so that a new key cannot be forgotten. Lists are compared by
 * the names of their elements; order counts only where it has a meaning (codecs, labels, plug-ins,
 * addresses).
 *
 * What would lose tasks or data is refused: another node or data folder, another kind of store, an
 * engine or storage process that comes to a node or leaves it, and whatever restarts an engine that
 * keeps everything in memory.
 *
 * Threading: no state. A result borrows from both configs and must not outlive either.
 */
#ifndef ARGOSY_COMMON_FLEET_CHANGE_H
#define ARGOSY_COMMON_FLEET_CHANGE_H

#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"

struct fleet_config;
struct fleet_group;

/* Column `change` of the schema's tables. GROUP: of a group's key that group, of other keys all
 * groups. LIVE: the process reads its config file again when it is told to. */
enum fleet_takes {
    FLEET_TAKES_NOTHING = 1 << 0,    /* clients read it with each command */
    FLEET_TAKES_SUPERVISOR = 1 << 1, /* the supervisor acts by it */
    FLEET_TAKES_ENGINE_LIVE = 1 << 2,
    FLEET_TAKES_ENGINE_RESTART = 1 << 3,
    FLEET_TAKES_STORAGE_RESTART = 1 << 4,
    FLEET_TAKES_LINK_RESTART = 1 << 5,
    FLEET_TAKES_GROUP_LIVE = 1 << 6,
    FLEET_TAKES_GROUP_RESTART = 1 << 7,
    FLEET_TAKES_GPU_RESTART = 1 << 8, /* all groups of kind gpu */
    FLEET_TAKES_STOP = 1 << 9,        /* refused: the fleet must be stopped first */
};

/* In rising order: a process takes the most that any of its keys takes. */
enum fleet_effect { FLEET_EFFECT_SAME, FLEET_EFFECT_LIVE, FLEET_EFFECT_RESTART };

struct fleet_group_change {
    const char *name;
    const struct fleet_group *before; /* NULL: the group is new */
    const struct fleet_group *after;  /* NULL: the group is gone */
    enum fleet_effect effect;         /* SAME where one of them is NULL */
};

struct fleet_change {
    /* SAME for an engine or storage process that does not run on this node. */
    enum fleet_effect engine, storage, link;
    struct fleet_group_change *groups; /* those of after in its order, then those that are gone */
    size_t group_count;
    size_t key_count;   /* keys that differ */
    struct buffer text; /* a line for each: "groups[cpu].queues[cpu-queue].slots: 16 -> 32" */
};

/* Compares two loaded configs of one node. What a command line put into one of them (log_format)
 * must have been put into both. ERR_STATE: the change is refused; the text names the key.
 * ERR_MEMORY. fleet_change_fini frees the result. */
int fleet_change_compare(const struct fleet_config *before, const struct fleet_config *after,
                         struct fleet_change *ret_change, struct error *err);
void fleet_change_fini(struct fleet_change *change);

/* "same", "live", "restart". */
const char *fleet_effect_name(enum fleet_effect effect);

#endif
