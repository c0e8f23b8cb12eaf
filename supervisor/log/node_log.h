/* SPDX-License-Identifier: Apache-2.0 */
/*
 * node_log: the fleet's log and what is left of the dead, from the loop's side: when output is
 * read, what was left out is said, a death is written down (docs/spec/04-supervision.md, section
 * "Log").
 *
 * Threading: the supervisor's loop only. Nothing here waits but node_log_close, within bounds.
 */
#ifndef ARGOSY_SUPERVISOR_NODE_LOG_H
#define ARGOSY_SUPERVISOR_NODE_LOG_H

#include <stdint.h>

#include "common/error.h"
#include "supervisor/node.h"

/* Takes the supervisor's own records over and opens the folder of crashes. ERR_IO. */
int node_log_open(struct node *node, struct error *err);

/* The end: waits a moment for deaths that are being written, and for the log's reader. */
void node_log_close(struct node *node);

/* Has the output of a process that was started read. */
void node_log_watch(struct node *node, struct process *process);

/* Has a death that nobody wanted written down. pid and lived_ns are of the life that ended. */
void node_log_keep(struct node *node, const struct process *process, pid_t pid, uint64_t lived_ns,
                   const struct death *death);

/* When node_log_tick has something to do; UINT64_MAX: never. */
uint64_t node_log_deadline_ns(const struct node *node);
void node_log_tick(struct node *node);

/* Has the last lines of all processes written for `argosy fleet report`. */
void node_log_snap(struct node *node);

#endif
