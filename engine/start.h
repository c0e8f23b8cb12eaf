/* SPDX-License-Identifier: Apache-2.0 */
/* start: new runs, the rules of workflow ids, and run timeouts (docs/spec/02-history.md, 1). */
#ifndef ARGOSY_ENGINE_START_H
#define ARGOSY_ENGINE_START_H

#include "engine/core_state.h"

/* A new run with its first record; its first event is the caller's to record, run_begin comes then.
 * request_id and concurrency_key may be NULL. */
struct run *run_open(struct core *core, const char *workflow_id, const char *run_id,
                     const char *request_id, const char *concurrency_key);

/* Arms its timeouts and counts it in its group. */
void run_begin(struct core *core, struct run *run);

/* Its first workflow task: at once, or when its start delay or backoff is over. */
void run_first_task(struct core *core, struct run *run);

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
