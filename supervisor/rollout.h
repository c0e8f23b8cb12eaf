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
 * Threading: no state.
 */
#ifndef ARGOSY_SUPERVISOR_ROLLOUT_H
#define ARGOSY_SUPERVISOR_ROLLOUT_H

#include <stdbool.h>

#include "supervisor/process.h"
#include "supervisor/roster.h"

/* The node's own processes have no group to spare them: they may always go. */
bool rollout_may_go(const struct roster *roster, const struct process *process);

#endif
