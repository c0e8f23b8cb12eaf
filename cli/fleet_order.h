/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_order: an operator's order to the nodes of a running fleet, and the wait until it is
 * carried out (docs/operations.md). The order goes to each node that is meant; then the nodes'
 * status is looked at until their processes are where they are wanted. What goes away meanwhile (a
 * link, the engine) comes back: it is looked at again.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_FLEET_ORDER_H
#define ARGOSY_CLI_FLEET_ORDER_H

#include <stdbool.h>

#include "cli/command.h"
#include "cli/fleet_view.h"

/* Where a process is, as an order sees it. */
enum fleet_arrival {
    FLEET_UNDER_WAY,
    FLEET_IN_LINE, /* waits until the others of its group can spare it */
    FLEET_ARRIVED,
    FLEET_LOST, /* it will not arrive */
};

struct fleet_order {
    struct fleet_operation operation; /* its target comes from the command line */
    const char *noun;                 /* what it is about: "worker", "process" */
    const char *wanted;               /* what those are called that arrived: "drained", "ready" */
    bool is_targetless;               /* the command's argument is no target; all processes count */
    /* Whether a process, as NodeStatus has it, is where it is wanted. */
    enum fleet_arrival (*look)(const json_t *process);
};

/* Options of all orders: --node, --timeout. */
extern const struct option fleet_order_options[];

/* Gives it and waits. ERR_NOT_FOUND names the nearest node or target, ERR_TIMEOUT: it goes on
 * without us, ERR_STATE: a process failed. Prints what was done. */
int fleet_order_run(const struct invocation *invocation, struct fleet_order *order,
                    struct error *err);

#endif
