/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oom_counter: whether a child that somebody killed was killed by the kernel for want of memory
 * (docs/spec/04-supervision.md, section "Memory").
 *
 * The kernel counts such kills: in the control group of the supervisor, where there is one (of
 * version 2 or 1), else over the whole machine. A death by SIGKILL claims one kill that was counted
 * within OOM_WINDOW_NS; a large process takes a while to die after it was counted. A kill of
 * anybody on the machine is a hint only.
 *
 * A worker in a leaf of its own (cgroup.h) has a count of its own and needs none of this.
 * Threading: the supervisor's loop. Time is handed in.
 */
#ifndef ARGOSY_SUPERVISOR_OOM_COUNTER_H
#define ARGOSY_SUPERVISOR_OOM_COUNTER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

#define OOM_WINDOW_NS (10 * NS_PER_S)

/* What a count tells of a child that was killed. */
enum oom_evidence {
    OOM_NONE,
    OOM_MAYBE, /* the kernel killed some process of the machine */
    OOM_SURE,  /* the kernel killed a process of this control group */
};

struct oom_counter {
    char path[PATH_MAX + 32]; /* a file with a line "oom_kill N" */
    bool is_machine_wide;
    uint64_t count;     /* as last read */
    uint64_t unclaimed; /* kills that no death explains yet */
    uint64_t moved_ns;  /* when the last of them was seen */
};

/* The "oom_kill" of a memory.events, a memory.oom_control or /proc/vmstat. False when the file has
 * none. */
bool oom_counter_read(const char *path, uint64_t *ret_count);

/* Chooses the file of this process. */
void oom_counter_init(struct oom_counter *counter);

/* The same for one file. */
void oom_counter_init_at(struct oom_counter *counter, const char *path, bool is_machine_wide);

/* Looks at the count; to be called at least once in OOM_WINDOW_NS. */
void oom_counter_turn(struct oom_counter *counter, uint64_t now_ns);

/* A child died of a SIGKILL that the supervisor did not send. */
enum oom_evidence oom_counter_claim(struct oom_counter *counter, uint64_t now_ns);

#endif
