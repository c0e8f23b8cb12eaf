/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollout: which of the processes that are to be restarted may go now, so that their group keeps
 * working (docs/spec/04-supervision.md, section "Rolling restart").
 *
 * A worker may go when its group, without it, still has all but max_unavailable of its processes
 * ready. One that serves nothing (it is starting, waits for its next start, or has failed) may
 * always go. A replacement that does not become ready holds up the rest: a bad change takes no more
 * than what the group can spare.
 *
 * The node's own processes have no group to spare them. Orders come through the engine and the
 * link: these go a moment later, so that who gave the order has its answer.
 *
 * Threading: no state. Time is handed in.
 */
#ifndef ARGOSY_SUPERVISOR_ROLLOUT_H
#define ARGOSY_SUPERVISOR_ROLLOUT_H

#include <stdbool.h>

#include "supervisor/process.h"
#include "supervisor/roster.h"

/* An answer takes milliseconds. */
#define ROLLOUT_ANSWER_NS (300 * NS_PER_MS)

bool rollout_may_go(const struct roster *roster, const struct process *process, uint64_t now_ns);

/* When rollout_may_go is to be asked again, besides at each change; UINT64_MAX: never. */
uint64_t rollout_deadline_ns(const struct process *process);

#endif
