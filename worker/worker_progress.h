/* SPDX-License-Identifier: Apache-2.0 */
/*
 * worker_progress: what a worker tells the supervisor of its progress (docs/spec/04-supervision.md,
 * section "Start"): that each of its loops turned since it told so last. One that stands still, in
 * workflow code or in a kernel, silences the process, however well the others turn.
 *
 * Threading: worker_progress_begin and _turned from any thread.
 */
#ifndef ARGOSY_WORKER_WORKER_PROGRESS_H
#define ARGOSY_WORKER_WORKER_PROGRESS_H

#include <pthread.h>
#include <stdbool.h>

#include "common/child.h"

/* The loops of a worker. */
enum worker_loop {
    WORKER_LOOP_TASKS,   /* takes and answers tasks, and runs workflow code */
    WORKER_LOOP_COMPUTE, /* computes on the device */
};

struct worker_progress {
    pthread_mutex_t mutex;
    struct child *child; /* borrowed */
    unsigned awaited;    /* loops that there are, as bits */
    unsigned turned;     /* those that turned since progress was told */
};

/* computes: there is a loop that computes, too. */
void worker_progress_init(struct worker_progress *progress, struct child *child, bool computes);
void worker_progress_fini(struct worker_progress *progress);

/* The worker is ready: from here on silence is a hang. */
void worker_progress_begin(struct worker_progress *progress);

/* A loop turned; it does at least every CHILD_IDLE_TURN_MS while it has nothing to do. */
void worker_progress_turned(struct worker_progress *progress, enum worker_loop loop);

#endif
