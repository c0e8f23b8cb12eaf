/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence: the order of things on a node (docs/spec/04-supervision.md, sections "Start" and
 * "End"): a rank starts when all before it have been ready, and ends when all after it have; what
 * has to be restarted is, as far as its group can spare it; and when going on is pointless.
 *
 * Threading: the supervisor's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_SEQUENCE_H
#define ARGOSY_SUPERVISOR_SEQUENCE_H

#include <stdbool.h>

#include "supervisor/node.h"

/* Does what has become possible. True when the fleet has ended. */
bool sequence_advance(struct node *node);

#endif
