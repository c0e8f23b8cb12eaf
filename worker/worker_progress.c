/* SPDX-License-Identifier: Apache-2.0 */
/* worker_progress: see worker_progress.h. */
#include "worker/worker_progress.h"

#define BIT(loop) (1u << (loop))

void worker_progress_init(struct worker_progress *progress, struct child *child, bool computes)
{
    *progress = (struct worker_progress){
        .child = child,
        .awaited = BIT(WORKER_LOOP_TASKS) | (computes ? BIT(WORKER_LOOP_COMPUTE) : 0),
    };
    pthread_mutex_init(&progress->mutex, NULL);
}

void worker_progress_fini(struct worker_progress *progress)
{
    pthread_mutex_destroy(&progress->mutex);
}

void worker_progress_begin(struct worker_progress *progress)
{
    pthread_mutex_lock(&progress->mutex);
    child_progress(progress->child);
    pthread_mutex_unlock(&progress->mutex);
}

void worker_progress_turned(struct worker_progress *progress, enum worker_loop loop)
{
    pthread_mutex_lock(&progress->mutex);
    progress->turned |= BIT(loop);
    if ((progress->turned & progress->awaited) == progress->awaited) {
        progress->turned = 0;
        child_progress(progress->child);
    }
    pthread_mutex_unlock(&progress->mutex);
}
