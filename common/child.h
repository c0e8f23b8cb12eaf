/* SPDX-License-Identifier: Apache-2.0 */
/*
 * child: a program's side of the contract with its supervisor (docs/spec/04-supervision.md).
 *
 *     struct child child;
 *     int code = child_init(&child, "cpu", &err);    first thing in main
 *     int signals = child_signal_fd(&err);           before any thread starts
 *     ... bind, load, connect ...
 *     child_ready(&child);
 *     for (;;) { wait; work; child_progress(&child); }
 *     on SIGHUP: read the config again (child_reload_fd); others are started to ignore it
 *     on SIGTERM: take no more tasks, finish what fits, release the rest, return EXIT_OK
 *
 * The supervisor passes ARGOSY_SUPERVISOR_PID, ARGOSY_READY_FD, ARGOSY_PROGRESS_FD,
 * ARGOSY_LIFELINE_FD, ARGOSY_INSTANCE_ID and ARGOSY_NODE. Without them (started by hand) every call
 * here works and tells nobody.
 *
 * A child never outlives its supervisor: the kernel sends it SIGKILL (parent-death signal), and
 * where that was lost (an exec with file capabilities drops it) the end of the lifeline pipe makes
 * it leave at once with EXIT_PARENT_DIED. Killing is safe: whatever was acknowledged is on disk.
 *
 * Threading: child_init, child_signal_fd and child_reload_fd on the main thread before others
 * start; child_progress from one thread, the one whose loop does the work; the rest is constant.
 */
#ifndef ARGOSY_COMMON_CHILD_H
#define ARGOSY_COMMON_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/uuid.h"

#define CHILD_ENV_SUPERVISOR_PID "ARGOSY_SUPERVISOR_PID"
#define CHILD_ENV_READY_FD       "ARGOSY_READY_FD"
#define CHILD_ENV_PROGRESS_FD    "ARGOSY_PROGRESS_FD"
#define CHILD_ENV_LIFELINE_FD    "ARGOSY_LIFELINE_FD"
#define CHILD_ENV_INSTANCE_ID    "ARGOSY_INSTANCE_ID"
#define CHILD_ENV_NODE           "ARGOSY_NODE"

/* Listening sockets, of which the engine may get some: ARGOSY_LISTEN_FD_1 and on. */
#define CHILD_ENV_LISTEN_FD "ARGOSY_LISTEN_FD_"
#define CHILD_LISTEN_MAX    4

#define CHILD_NODE_MAX     64
#define CHILD_IDENTITY_MAX 192

struct child {
    pid_t supervisor_pid;             /* 0 when started by hand */
    int ready_fd;                     /* -1 when nobody listens, or ready was said */
    int progress_fd;                  /* -1 when nobody listens */
    uint64_t progress_ns;             /* when progress was last told */
    int listen_fds[CHILD_LISTEN_MAX]; /* close-on-exec; the first listen_fd_count of them */
    size_t listen_fd_count;
    char instance_id[UUID_TEXT_SIZE];  /* random per process start */
    char node[CHILD_NODE_MAX + 1];     /* the supervisor's node, or the host name */
    char identity[CHILD_IDENTITY_MAX]; /* "pid@host#group", as in histories */
};

/* Takes over what the environment says and removes it from the environment, so that programs
 * started from here do not inherit it. group names the worker group ("engine", "link" for those).
 * ERR_INVALID when a variable is malformed, ERR_CLOSED when the supervisor is already gone: leave
 * with EXIT_PARENT_DIED. */
int child_init(struct child *child, const char *group, struct error *err);

/* Says once that the program is serving; later calls do nothing. */
void child_ready(struct child *child);

/* An idle loop turns at least this often, so that its silence means something. */
#define CHILD_IDLE_TURN_MS 1000

/* Says that the loop completed a turn. Cheap: tells the supervisor at most twice a second. Call it
 * from the loop that does the work and every CHILD_IDLE_TURN_MS when idle, or never: a child that
 * has never told progress is not watched for it. */
void child_progress(struct child *child);

/* Blocks SIGTERM and SIGINT in the calling thread and returns a descriptor (signalfd, non-blocking,
 * close-on-exec) that is readable when one came: the call to drain. ERR_IO. */
int child_signal_fd(struct error *err);

/* Blocks SIGHUP in the calling thread and returns a descriptor (signalfd, non-blocking,
 * close-on-exec) that is readable when one came: the supervisor's call to read the config again.
 * Call it before the config is read for the first time, so that no change is missed. ERR_IO. */
int child_reload_fd(struct error *err);

/* Takes what made it readable; several calls are one. False when there was none. */
bool child_reload_take(int fd);

#endif
