/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spawn: starts a program as a child that cannot outlive this process (docs/spec/04-supervision.md,
 * section "Start").
 *
 * fork, then exec: between the two the child makes only system calls. It gets its own process
 * group, no signal blocked or ignored, no descriptor but standard input (empty), output, error and
 * those passed, the parent-death signal, its processors and memory as placed, and a bound on its
 * core dump.
 *
 * Threading: single-threaded programs only: the parent-death signal tells of the thread that
 * forked.
 */
#ifndef ARGOSY_SUPERVISOR_SPAWN_H
#define ARGOSY_SUPERVISOR_SPAWN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/fleet_config.h"
#include "supervisor/placement/placement.h"

#define SPAWN_FD_MAX 8

/* A descriptor that the child inherits; its number there goes into the environment. */
struct spawn_fd {
    const char *variable;
    int fd;
};

struct spawn_request {
    const char *program;                      /* path */
    const char *const *arguments;             /* argv, ends with NULL */
    const struct fleet_variable *environment; /* replaces variables of the same name */
    size_t environment_count;
    struct spawn_fd fds[SPAWN_FD_MAX];
    size_t fd_count;
    const struct placement_pin *pin; /* NULL: runs anywhere */
    int output_fd;                   /* its standard output and error; 0: ours */
    uint64_t core_bytes_max;         /* RLIMIT_CORE, where the system lets it have as much */
    const char *folder;              /* it runs in; NULL: in ours */
    int cgroup_fd;                   /* cgroup.procs of the group it is to be in; 0: in ours */
};

struct spawned {
    pid_t pid;
    int pidfd; /* owned by the caller */
    /* What the kernel refused, as errno; 0 when done or not asked for. The child runs all the same:
     * containers often forbid binding memory. */
    int pin_errno;
    int memory_errno;
    int cgroup_errno;
};

/* Returns when the program runs or could not be executed (ERR_UNAVAILABLE; *ret_errno says why, so
 * that it can be remembered as a death). ERR_IO and ERR_MEMORY set *ret_errno, too. */
int spawn(const struct spawn_request *request, struct spawned *ret_spawned, int *ret_errno,
          struct error *err);

#endif
