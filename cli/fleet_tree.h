/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_tree: the fleet for people, as `argosy fleet status` prints it: each node with its own
 * processes, then its groups and their workers, below each what it works on; then the queues.
 *
 * A pure function of what fleet_fetch got. Threading: none.
 */
#ifndef ARGOSY_CLI_FLEET_TREE_H
#define ARGOSY_CLI_FLEET_TREE_H

#include <jansson.h>
#include <stddef.h>

#include "cli/drawing.h"

/* Draws the fleet; of each worker's tasks the tasks_max that have run longest. */
void fleet_tree_draw(const json_t *fleet, size_t tasks_max, struct drawing *drawing);

/* Where a process runs, "0-3 node 0 GPU-1a2b3c4d", "not pinned"; returns text. */
#define FLEET_PIN_SIZE 256
const char *fleet_pin_text(const json_t *process, char text[FLEET_PIN_SIZE]);

#endif
