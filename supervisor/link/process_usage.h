/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_usage: what a process of the node uses, from /proc.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_SUPERVISOR_PROCESS_USAGE_H
#define ARGOSY_SUPERVISOR_PROCESS_USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct process_usage {
    uint64_t memory_bytes; /* resident */
    uint64_t cpu_us;       /* user and system, of all its threads */
};

/* False when there is no such process, or it may not be looked at. */
bool process_usage_read(int pid, struct process_usage *ret_usage);

/* How many descriptors it has open. False as above. */
bool process_usage_count_fds(int pid, int64_t *ret_count);

#endif
