/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_watch: waits for a run and shows how far it has come, where it says so: it answers a query
 * "progress" with {"done": n, "total": n, "stage": "embed", "unit": "texts"} (unit may be left
 * out). A run that has no such query is shown by its events, as outcome_report does.
 *
 * {"activity": TYPE} in the answer: the pending activity of that type knows better; its newest
 * heartbeat {"step": n, "steps": n, "epoch": n, "loss": x} is shown. Threading: none.
 */
#ifndef ARGOSY_CLI_RUN_WATCH_H
#define ARGOSY_CLI_RUN_WATCH_H

#include "cli/command.h"
#include "cli/session.h"

/* Shows the run's progress on standard error until it is closed, or cannot be watched any more; the
 * outcome is asked for after it. */
void run_watch_progress(struct session *session, const char *workflow_id, const char *run_id);

/* Waits for the run's end, shows its progress on standard error (nothing with --output json) and
 * reports the outcome; returns as outcome_report. */
int run_watch(const struct invocation *invocation, struct session *session, const char *workflow_id,
              const char *run_id, struct error *err);

#endif
