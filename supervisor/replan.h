/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replan: a node that runs follows its cpuset (docs/spec/04-supervision.md, section "Placement").
 * Processors come and go while a node runs (a container's cpuset, a kubelet's shared pool, taskset
 * on the supervisor, which is pinned to nothing itself); and when workers are added, those there
 * are have to make room.
 *
 * Threading: the supervisor's loop only. Nothing here waits.
 */
#ifndef ARGOSY_SUPERVISOR_REPLAN_H
#define ARGOSY_SUPERVISOR_REPLAN_H

#include "supervisor/node.h"

/* Makes and adopts another plan when the supervisor may use other processors than those planned
 * for. Called in every turn of the loop; one system call when nothing has changed. */
void replan_follow_cpuset(struct node *node);

/* Puts running processes whose processors the plan in force changed on the new ones. A refusal is
 * logged, and counted with the process. */
void replan_move(struct node *node);

#endif
