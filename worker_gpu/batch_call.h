/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_call: texts given to the batcher by a thread that waits for their vectors: how long
 * activities compute beside the short ones, in the same batches.
 *
 *     batch_call_init(&call, activity);
 *     call.job = (struct batch_job){.ids = ids, .cu_seqlens = ..., .texts = n, .encoder = ...};
 *     call.vectors = vectors;
 *     batch_call_submit(&call, batcher, err);
 *     ... read the next texts ...
 *     batch_call_wait(&call, err);
 *
 * Threading: one thread at a time per call; between submit and wait the batcher has it.
 */
#ifndef ARGOSY_WORKER_GPU_BATCH_CALL_H
#define ARGOSY_WORKER_GPU_BATCH_CALL_H

#include <argosy/activity.h>
#include <pthread.h>
#include <stdbool.h>

#include "common/error.h"
#include "worker_gpu/batcher.h"

struct batch_call {
    /* set by the caller before a submit */
    struct batch_job job; /* but its functions; what it points to is borrowed until the wait */
    float *vectors;       /* borrowed; [texts, width] */
    float *probabilities; /* borrowed; [texts, classes]; NULL: not wanted */

    /* the call's own */
    struct argosy_activity *activity; /* borrowed: once it is canceled nobody wants the texts */
    pthread_mutex_t mutex;
    pthread_cond_t ended;
    bool is_under_way;
    bool has_ended;
    int code;
    struct error err;
};

/* fini: the call must not be under way. */
void batch_call_init(struct batch_call *call, struct argosy_activity *activity);
void batch_call_fini(struct batch_call *call);

/* Errors of batcher_submit. */
int batch_call_submit(struct batch_call *call, struct batcher *batcher, struct error *err);

/* Waits for the end of what was submitted; 0 at once where nothing is under way. ERR_CANCELED when
 * the activity was canceled meanwhile; errors of encoder_run. */
int batch_call_wait(struct batch_call *call, struct error *err);

#endif
