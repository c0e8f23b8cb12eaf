/* SPDX-License-Identifier: Apache-2.0 */
/*
 * planner: what the makers of a plan share. For placement.c, which says who there is,
 * planner_gpu.c, which deals the GPUs, and planner_core.c, which deals the cores, in this order.
 */
#ifndef ARGOSY_SUPERVISOR_PLANNER_H
#define ARGOSY_SUPERVISOR_PLANNER_H

#include "supervisor/placement/placement.h"

struct planner {
    const struct topology *topology;
    const struct fleet_config *config;
    const struct placement *previous; /* NULL: nothing runs */
    struct placement *plan;           /* its pins exist; their processors and devices are open */
};

/* Sets the GPU fields of the pins. ERR_CONFIG, ERR_MEMORY. */
int planner_deal_gpus(const struct planner *planner, struct error *err);

/* Sets the processors of the pins, and the memory of those with a GPU. ERR_MEMORY. */
int planner_deal_cores(const struct planner *planner, struct error *err);

#endif
