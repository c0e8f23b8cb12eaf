/* SPDX-License-Identifier: Apache-2.0 */
/*
 * workflow_options: options that several workflow commands share, and reading them.
 * Threading: none.
 */
#ifndef ARGOSY_CLI_WORKFLOW_OPTIONS_H
#define ARGOSY_CLI_WORKFLOW_OPTIONS_H

#include <argosy/payload.h>

#include "cli/command.h"
#include "cli/input.h"
#include "cli/option.h"

/* --workflow-id (also as the argument) and --run-id: which run. */
extern const struct option run_options[];

/* Reads which run is meant; *ret_run_id is NULL for the latest. Returns 0, or EXIT_USAGE with the
 * usage said. */
int run_options_read(const struct invocation *invocation, const char **ret_workflow_id,
                     const char **ret_run_id);

/* Views of the documents as JSON payloads; items has room for INPUTS_MAX. */
struct argosy_payloads inputs_as_payloads(const struct inputs *inputs,
                                          struct argosy_payload items[INPUTS_MAX]);

#endif
