/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_program: what every worker program does around its own activities: command line, config
 * and group, the contract with the supervisor (common/child.h), plug-ins, serving, draining, exit
 * status.
 *
 *     argosy-worker-KIND --config FILE [--group NAME] [--index N]
 *
 * On SIGHUP it reads the config again and takes over its group's slots and grace period and the log
 * level; what else has changed is for the next start. On SIGTERM or SIGINT it takes no more tasks,
 * finishes what it can within most of the group's grace period, hands the rest back and ends with
 * EXIT_OK. What starting again cannot mend (a wrong config, a plug-in that does not load, a damaged
 * model) is EXIT_BAD_CONFIG.
 *
 * Threading: the main thread runs the worker's loop and workflow code; the SDK owns the threads
 * that run activities.
 */
#ifndef ARGOSY_WORKER_WORKER_PROGRAM_H
#define ARGOSY_WORKER_WORKER_PROGRAM_H

#include <argosy/registry.h>
#include <stdbool.h>

#include "common/child.h"
#include "common/error.h"
#include "common/fleet_config.h"
#include "storage/storage_client.h"
#include "worker/worker_progress.h"

/* What a program is told of itself when it opens; borrowed until it has closed. */
struct worker_process {
    const struct fleet_config *config;
    const struct fleet_group *group;
    struct child *child;
    struct worker_progress *progress;
    struct storage_client *storage; /* connects with the first call */
    const char *index;              /* which of the group's processes; for logs */
};

/* What sets one worker program apart from another. */
struct worker_program {
    const char *name;    /* "worker-cpu": in logs; the program is argosy-<name> */
    const char *summary; /* one sentence for --help */
    enum fleet_group_kind kind;
    /* Whether it has a loop that computes, which calls worker_progress_turned. */
    bool computes;

    /* All get context. open and close may be NULL; close follows an open that succeeded.
     * register_types adds the program's own workflows and activities; plug-ins come after it. */
    int (*open)(void *context, const struct worker_process *process, struct error *err);
    int (*register_types)(void *context, struct argosy_registry *registry, struct error *err);
    void (*close)(void *context);
};

/* The whole of main; returns the exit status (common/exit_code.h). */
int worker_program_main(const struct worker_program *program, void *context, int argc, char **argv);

#endif
