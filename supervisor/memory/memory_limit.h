/* SPDX-License-Identifier: Apache-2.0 */
/*
 * memory_limit: how much memory workers may have, and which deaths were for want of it
 * (docs/spec/04-supervision.md, section "Memory").
 *
 * Where the supervisor has a control group to divide (cgroup.h) the kernel holds each worker to its
 * limit and kills it there. Elsewhere memory is watched: what a worker has of its own (resident,
 * without mapped files) is looked at in the supervisor's turns, and one that has more is replaced.
 *
 * No state that matters over a replacement of the supervisor: it is opened again, and a worker's
 * share is found again by memory_limit_find.
 * Threading: the supervisor's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_MEMORY_LIMIT_H
#define ARGOSY_SUPERVISOR_MEMORY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "supervisor/memory/cgroup.h"
#include "supervisor/death.h"
#include "supervisor/memory/oom_counter.h"

struct memory_limit {
    struct cgroup *cgroup; /* NULL: memory is watched */
    struct oom_counter counter;
};

/* What a worker has. */
struct memory_share {
    uint64_t limit_bytes; /* 0: none */
    bool has_leaf;        /* in a control group of its own: the kernel knows the limit */
    uint64_t oom_kills;   /* of the leaf, before this worker's life */
};

/* setting is supervisor.cgroup of the configuration. Says in the log what became of it. */
void memory_limit_open(struct memory_limit *limit, const char *setting);

/* The workers must have ended. Accepts one of zeros. */
void memory_limit_close(struct memory_limit *limit);

/* A worker is about to start. Returns a descriptor, the caller's, that it is to write "0" to, or -1
 * where it gets no leaf. */
int memory_limit_enter(const struct memory_limit *limit, const char *name,
                       struct memory_share *share);

/* A worker of that name has been running, started by the supervisor before this one. */
void memory_limit_find(const struct memory_limit *limit, const char *name,
                       struct memory_share *share);

/* Another limit, for a worker that runs, too. */
void memory_limit_set(const struct memory_limit *limit, const char *name,
                      struct memory_share *share, uint64_t limit_bytes);

/* The worker was reaped. */
void memory_limit_leave(const struct memory_limit *limit, const char *name,
                        struct memory_share *share);

/* Whether a worker has more than its limit, which the kernel does not hold it to. */
bool memory_limit_is_exceeded(const struct memory_share *share, pid_t pid, uint64_t *ret_bytes);

/* What a SIGKILL that the supervisor did not send was about: DEATH_CAUSE_OOM, DEATH_CAUSE_OOM_MAYBE
 * or DEATH_CAUSE_NONE. To be asked before memory_limit_leave. */
enum death_cause memory_limit_explain(struct memory_limit *limit, const char *name,
                                      const struct memory_share *share, uint64_t now_ns);

/* To be called in each turn of the loop. */
void memory_limit_turn(struct memory_limit *limit, uint64_t now_ns);

#endif
