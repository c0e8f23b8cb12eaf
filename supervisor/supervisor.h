/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor: the loop that starts, watches and ends the processes of a node
 * (docs/spec/04-supervision.md).
 *
 * One thread, one epoll over a signalfd, the children's pidfds and readiness pipes, and the link's
 * socket; it wakes for news, for the nearest deadline, and every two seconds for its heartbeat
 * on the status page. It holds no ZeroMQ, no SQLite and no CUDA.
 *
 * Start: the engine; when it is ready storage, then the link; then all workers. SIGTERM or SIGINT:
 * the workers drain, then the link, storage and the engine end in turn; a second signal kills what
 * still runs. SIGHUP (reload) is not there yet: it is ignored, and the log says so.
 */
#ifndef ARGOSY_SUPERVISOR_SUPERVISOR_H
#define ARGOSY_SUPERVISOR_SUPERVISOR_H

#include "common/error.h"
#include "supervisor/placement.h"
#include "supervisor/process.h"

/* Runs the fleet until it was asked to end or cannot go on; placement and setting are borrowed.
 * Returns the exit code of the program: EXIT_OK after a drain; the engine's own when it failed for
 * good, or that of a worker when all of them did; EXIT_INTERNAL with err set when the loop itself
 * could not be set up. */
int supervisor_run(const struct placement *placement, const struct process_setting *setting,
                   struct error *err);

#endif
