/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload: puts another plan into force under a running node, with as few restarts as it takes
 * (docs/spec/04-supervision.md, section "Reload"): the changed configuration, or a
 * group of another size. What follows the cpuset is replan.h.
 *
 * Threading: the supervisor's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_RELOAD_H
#define ARGOSY_SUPERVISOR_RELOAD_H

#include "common/error.h"
#include "supervisor/node.h"

/* Reads the configuration again and applies what changed: processes come and go, take it as they
 * run, move to other processors, or become stale. ret_text says for people what changed. On failure
 * (fleet_config_load's, ERR_STATE for what cannot change while the fleet runs, ERR_IO) nothing did.
 */
int reload_config(struct node *node, char ret_text[ERROR_TEXT_MAX], struct error *err);

/* Applies the node's source, whose scales have changed. Errors as above. */
int reload_scale(struct node *node, struct error *err);

#endif
