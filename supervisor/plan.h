/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan: a configuration, the machine, and which process of the one runs where on the other. It is
 * made whole, when a node starts and at each reload, and replaced whole.
 *
 * Threading: single-threaded programs only (topology_read forks).
 */
#ifndef ARGOSY_SUPERVISOR_PLAN_H
#define ARGOSY_SUPERVISOR_PLAN_H

#include <stdbool.h>

#include "common/error.h"
#include "common/fleet_config.h"
#include "common/log.h"
#include "supervisor/placement/placement.h"
#include "supervisor/placement/topology.h"

/* An operator's count of a group's processes, before what the configuration says. */
struct plan_scale {
    char group[PLACEMENT_NAME_MAX];
    int processes;
    bool is_kept; /* over a restart of the supervisor */
};

/* What plans are made from: what the command line says, and what operators changed since. */
struct plan_source {
    const char *config_path;      /* borrowed; NULL: the defaults, with dev */
    struct fleet_dev_options dev; /* where there is no file; its texts are borrowed */
    bool has_log_format;          /* else the configuration's */
    enum log_format log_format;
    size_t scale_count;
    struct plan_scale scales[FLEET_GROUPS_MAX]; /* those of groups that there are not wait */
};

struct plan {
    struct fleet_config *config; /* scaled */
    struct topology *topology;
    struct placement placement;       /* borrows from both */
    int configured[FLEET_GROUPS_MAX]; /* processes of each group before it was scaled */
};

/* Reads the configuration and the machine anew. running is the plan in force, whose processes keep
 * their GPUs; NULL: nothing runs yet. Errors are those of fleet_config_load, topology_read and
 * placement_create. */
int plan_create(const struct plan_source *source, const struct plan *running, struct plan *ret_plan,
                struct error *err);

/* Accepts a plan of zeros. */
void plan_destroy(struct plan *plan);

/* The same configuration on the same machine, of which the processors may be used that the system
 * allows now, with what operators changed since. ERR_INVALID when it allows none that was known. */
int plan_create_again(const struct plan_source *source, const struct plan *running,
                      struct plan *ret_plan, struct error *err);

/* Writes the effective configuration, which may hold secrets from the environment, for the
 * children: they see the old file or the new one. path has room for PATH_MAX. ERR_IO. */
int plan_write_effective(const struct plan *plan, char *ret_path, struct error *err);

#endif
