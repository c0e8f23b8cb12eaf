/* SPDX-License-Identifier: Apache-2.0 */
/*
 * breaker: a group whose workers all die young is started one worker at a time
 * (docs/spec/04-supervision.md, section "Restart"). Each worker has its own delays (death.h); they
 * do not help against what kills all of a group (a broken plug-in, a model that does not fit):
 * dozens of processes that load gigabytes to die at once take the node with them.
 *
 * The breaker is open when the group's workers died often after short lives in the last minute;
 * deaths by a SIGKILL from outside, unless it was the kernel's for want of memory, do not count.
 * Then one of them is on trial: the next one starts when it has been ready for a while. Nothing is
 * remembered: it is read from the workers' own deaths.
 *
 * Threading: no state. Time is handed in.
 */
#ifndef ARGOSY_SUPERVISOR_BREAKER_H
#define ARGOSY_SUPERVISOR_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/roster.h"

#define BREAKER_WINDOW_NS (60 * NS_PER_S)
/* In the window: each worker three times, and more than one worker alone may die before its own
 * delays are long. */
#define BREAKER_DEATHS_PER_WORKER 3
#define BREAKER_DEATHS_MIN        6
/* Ready for so long, a worker on trial has passed. */
#define BREAKER_TRIAL_NS (10 * NS_PER_S)
/* A worker that may not start yet is looked at again after this. */
#define BREAKER_LOOK_NS NS_PER_S

/* Whether the worker's group is dying as a whole. */
bool breaker_is_open(const struct roster *roster, const struct process *process, uint64_t now_ns);

/* Whether the death that the worker has just died opened it. */
bool breaker_was_opened(const struct roster *roster, const struct process *process,
                        uint64_t now_ns);

/* Whether the worker may start now. */
bool breaker_may_start(const struct roster *roster, const struct process *process, uint64_t now_ns);

#endif
