/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outcome: waiting for a run's end and saying how it ended.
 *
 * As text, the result alone goes to standard output, exactly as the workflow gave it, and a failure
 * to standard error. As JSON, one document says both: {"workflowId", "status", "result" or
 * "failure"}. A run that did not complete is EXIT_FAILED.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_OUTCOME_H
#define ARGOSY_CLI_OUTCOME_H

#include "cli/command.h"
#include "cli/session.h"

/* Waits for the run (timeout_ms < 0: for ever), watching its events on a terminal, and reports.
 * Returns EXIT_OK or EXIT_FAILED; ERR_TIMEOUT when the wait ended first, other codes as
 * argosy_client_result. */
int outcome_report(const struct invocation *invocation, struct session *session,
                   const char *workflow_id, const char *run_id, int64_t timeout_ms,
                   struct error *err);

/* A payload as JSON: its value, or its description as a string. The caller releases it. */
json_t *outcome_value(const struct argosy_payload *payload, struct argosy_arena *arena);

/* Prints a payload and a line feed to standard output: as it is, or on a terminal with what could
 * disturb it made visible. */
int outcome_print(const struct argosy_payload *payload, struct argosy_arena *arena,
                  struct error *err);

#endif
