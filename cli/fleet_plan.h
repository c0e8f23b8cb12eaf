/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_plan: which process of a fleet would run where, for this machine or another, without
 * starting anything: what `argosy topo` and `argosy up --dry-run` print.
 * Threading: none; it forks to read the machine.
 */
#ifndef ARGOSY_CLI_FLEET_PLAN_H
#define ARGOSY_CLI_FLEET_PLAN_H

#include <stdbool.h>

#include "cli/command.h"

/* --xml, --synthetic and --svg. */
extern const struct option fleet_plan_options[];

/* Whether the command line has one of them. */
bool fleet_plan_is_asked(const struct invocation *invocation);

/* Plans the config of that file, or the machine's defaults when it is NULL, and prints the plan as
 * the options say. Returns as a command does. */
int fleet_plan_run(const struct invocation *invocation, const char *config_path, struct error *err);

#endif
