/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cgroup: each worker in a control group (version 2) of its own, which bounds its memory and counts
 * what the kernel killed in it (docs/spec/04-supervision.md, section "Memory").
 *
 *     <folder>/                      what was given to this supervisor, and to nobody else
 *       argosy.supervisor/           supervisor, engine, storage, link
 *       argosy.worker.cpu.0/         memory.max, memory.swap.max 0, memory.oom.group 1
 *
 * There is no memory.high: a worker that the kernel slows down holds its tasks and finishes none;
 * one that is killed has its tasks run elsewhere in milliseconds.
 *
 * A folder is ours when nobody else is in it, and it is the root of a container, is marked as
 * delegated (systemd: Delegate=yes) or belongs to a user who is not root. Nothing is written
 * elsewhere, and nothing but argosy.* is ever removed; removing spares what is populated. No state
 * but the folder: a supervisor that was replaced in place opens it again and finds its workers.
 *
 * Threading: the supervisor's loop.
 */
#ifndef ARGOSY_SUPERVISOR_CGROUP_H
#define ARGOSY_SUPERVISOR_CGROUP_H

#include <limits.h>
#include <stdint.h>

#include "common/error.h"

struct cgroup;

/* The folder of this process's control group: of version 2 for controller NULL, else of that
 * controller in version 1. proc is /proc/self. ERR_UNSUPPORTED when there is none. */
int cgroup_locate(const char *proc, const char *controller, char ret_folder[PATH_MAX],
                  struct error *err);

/* Takes the folder of this process's control group over, if it is ours: moves the supervisor into
 * its leaf and removes leaves that a dead supervisor left. ERR_UNSUPPORTED when it is not ours,
 * cannot be written or has no memory controller; nothing has changed then. */
int cgroup_open(struct cgroup **ret_cgroup, struct error *err);

/* The same for a folder that the caller knows to be ours. */
int cgroup_open_at(const char *folder, struct cgroup **ret_cgroup, struct error *err);

/* Removes the empty leaves, and leaves the folder as it was found where all are. Accepts NULL. */
void cgroup_close(struct cgroup *cgroup);

const char *cgroup_folder(const struct cgroup *cgroup);

/* Makes the leaf of a worker ("cpu/0"), which may be there already. *ret_fd is its cgroup.procs:
 * who writes "0" to it is in. The caller owns it. limit_bytes 0: no limit. ERR_IO. */
int cgroup_leaf_open(const struct cgroup *cgroup, const char *worker, uint64_t limit_bytes,
                     int *ret_fd, struct error *err);

/* Changes its limit while it runs. ERR_IO. */
int cgroup_leaf_limit(const struct cgroup *cgroup, const char *worker, uint64_t limit_bytes,
                      struct error *err);

/* How many processes of a leaf the kernel has killed for want of memory since the leaf was made. */
uint64_t cgroup_leaf_oom_kills(const struct cgroup *cgroup, const char *worker);

/* Kills what is left in it and sweeps; what takes time to die keeps it until the next sweep. */
void cgroup_leaf_close(const struct cgroup *cgroup, const char *worker);

/* Removes the leaves that are empty. */
void cgroup_sweep(const struct cgroup *cgroup);

#endif
