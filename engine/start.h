/* SPDX-License-Identifier: Apache-2.0 */
/* start: new runs, the rules of workflow ids, and run timeouts (docs/spec/02-history.md, 1). */
#ifndef ARGOSY_ENGINE_START_H
#define ARGOSY_ENGINE_START_H

#include "engine/core_state.h"

/* Arms the earlier of the run and execution timeouts. */
void run_deadline_arm(struct core *core, struct run *run);

/* It passed. */
void run_timed_out(struct core *core, struct run *run);

/* Ends an open run from outside. */
void run_terminate(struct core *core, struct run *run, const char *reason,
                   const Api__Payloads *details, const char *identity);

/* Remembers the start request of a closed run for a while, so that the same request again finds the
 * same run; forgets all of them. */
void start_remember(struct core *core, const struct run *run);
void start_forget_all(struct core *core);

#endif
