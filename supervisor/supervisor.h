/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor: runs the processes of a plan until the fleet ends
 * (docs/spec/04-supervision.md).
 *
 * One thread, one epoll loop over a signalfd, pidfds, pipes and the link's socket; it sleeps until
 * there is news or a deadline.
 *
 * Threading: single-threaded programs only. It changes signal masks and dispositions, and becomes
 * the reaper of orphans.
 */
#ifndef ARGOSY_SUPERVISOR_SUPERVISOR_H
#define ARGOSY_SUPERVISOR_SUPERVISOR_H

#include "common/error.h"
#include "supervisor/handover.h"
#include "supervisor/plan.h"
#include "supervisor/process.h"

/* Runs the fleet of a plan, which it takes, made from source, and returns the exit code for the
 * program (common/exit_code.h). handover is what an earlier supervisor left, or NULL. err is set
 * when the loop itself could not be set up. */
int supervisor_run(const struct plan_source *source, struct plan *plan,
                   const struct process_setting *setting, const struct handover *handover,
                   struct error *err);

#endif
