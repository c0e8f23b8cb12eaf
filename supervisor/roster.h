/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roster: the processes of a node: those that the plan in force wants, and those that it no longer
 * wants and that have not ended yet.
 *
 * A process keeps its address from the plan that brings it to the sweep that drops it. What is kept
 * over a change of plans is found by name.
 *
 * Threading: the supervisor's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_ROSTER_H
#define ARGOSY_SUPERVISOR_ROSTER_H

#include <stddef.h>

#include "common/error.h"
#include "supervisor/placement/placement.h"
#include "supervisor/process.h"

struct roster {
    struct process **processes; /* in the plan's order, then those on their way out */
    size_t count;
};

/* A roster of zeros is empty. Frees the processes; what still runs is not ended. */
void roster_fini(struct roster *roster);

/* Makes the roster that of a plan: new processes are idle, known ones get their new pins, the
 * others become retired. ERR_MEMORY and ERR_LIMIT leave everything as it was. */
int roster_apply(struct roster *roster, const struct placement *placement, struct error *err);

/* Drops what is retired and stopped. */
void roster_sweep(struct roster *roster);

/* NULL: nobody. */
struct process *roster_find_pid(const struct roster *roster, pid_t pid);
struct process *roster_find_name(const struct roster *roster, const char *name);

/* The link; every plan has one. */
struct process *roster_link(const struct roster *roster);

#endif
