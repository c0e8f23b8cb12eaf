/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher: the compute thread. It takes batches from a batch_queue, runs the encoder, and hands
 * each job its part of the results.
 *
 * The callbacks run on the compute thread, one at a time, and (but for is_wanted) without any lock
 * held: they may submit. After on_end of a job it is the owner's again. The compute thread also
 * turns when there is nothing to do, at least once a second, so that on_turn is a proof of life of
 * the loop that does the work.
 *
 * Threading: batcher_expect, batcher_submit from any thread. batcher_destroy from the thread that
 * created it, when no job is left.
 */
#ifndef ARGOSY_WORKER_GPU_BATCHER_H
#define ARGOSY_WORKER_GPU_BATCHER_H

#include "common/error.h"
#include "worker_gpu/batch_queue.h"
#include "worker_gpu/encoder.h"

struct batcher_callbacks {
    void *arg;
    /* Whether the job's results are still wanted: asked before each batch, with the queue locked.
     */
    batch_wanted_fn *is_wanted;
    /* Results of texts [first_text, first_text + count) of a job: vectors [count, width], and
     * probabilities [count, classes] where the model has classes, else NULL. Borrowed. */
    void (*on_results)(void *arg, struct batch_job *job, uint32_t first_text, uint32_t count,
                       const float *vectors, const float *probabilities);
    /* The job is over: code 0 when all its texts had results, ERR_CANCELED when it was not wanted
     * any more, else err says why its batch failed. */
    void (*on_end)(void *arg, struct batch_job *job, int code, const struct error *err);
    /* A turn of the loop is complete. */
    void (*on_turn)(void *arg);
    /* The device failed (ERR_DEVICE): the process must not use it again and should leave. The jobs
     * of the batch get no on_end; the loop stops if this returns. */
    void (*on_device_failed)(void *arg, const struct error *err);
};

struct batcher;

/* Starts the compute thread. encoder is borrowed and belongs to that thread until batcher_destroy;
 * callbacks is copied. ERR_INVALID, ERR_MEMORY. */
int batcher_create(struct encoder *encoder, const struct batch_queue_options *options,
                   const struct batcher_callbacks *callbacks, struct batcher **ret_batcher,
                   struct error *err);

/* Accepts NULL. Every job must have ended. */
void batcher_destroy(struct batcher *batcher);

/* delta 1: a job is on its way (batches wait for it, within the delay); -1: it came, or will not.
 */
void batcher_expect(struct batcher *batcher, int delta);

/* Queues a job. ERR_LIMIT, ERR_INVALID as batch_queue_put. */
int batcher_submit(struct batcher *batcher, struct batch_job *job, struct error *err);

#endif
