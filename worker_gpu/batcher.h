/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher: the compute thread. It takes batches from a batch_queue, runs them on the encoder that
 * their jobs name, and hands each job its part of the results.
 *
 * The functions of jobs and the callbacks run on the compute thread, one at a time, and (but for
 * is_wanted) without any lock held: they may submit. After on_end of a job it is the owner's again.
 * The compute thread also turns when there is nothing to do, at least once a second, so that
 * on_turn is a proof of life of the loop that does the work.
 *
 * Threading: batcher_expect, batcher_submit from any thread. batcher_destroy from the thread that
 * created it, when no job is left.
 */
#ifndef ARGOSY_WORKER_GPU_BATCHER_H
#define ARGOSY_WORKER_GPU_BATCHER_H

#include "common/error.h"
#include "worker_gpu/batch_queue.h"
#include "worker_gpu/encoder.h"

/* What is told of a job; each gets the job. */
struct batch_job_functions {
    /* Whether the job's results are still wanted: asked before each batch, with the queue locked.
     */
    bool (*is_wanted)(const struct batch_job *job);
    /* Results of texts [first_text, first_text + count): vectors [count, width], and probabilities
     * [count, classes] where the model has classes, else NULL. Borrowed. */
    void (*on_results)(struct batch_job *job, uint32_t first_text, uint32_t count,
                       const float *vectors, const float *probabilities);
    /* The job is over: code 0 when all its texts had results, ERR_CANCELED when it was not wanted
     * any more, else err says why its batch failed. */
    void (*on_end)(struct batch_job *job, int code, const struct error *err);
};

/* What is told of the loop. */
struct batcher_callbacks {
    void *arg;
    /* A turn of the loop is complete. */
    void (*on_turn)(void *arg);
    /* The device failed (ERR_DEVICE): the process must not use it again and should leave. The jobs
     * of the batch get no on_end; the loop stops if this returns. */
    void (*on_device_failed)(void *arg, const struct error *err);
};

struct batcher;

/* Starts the compute thread; callbacks is copied. ERR_INVALID, ERR_MEMORY. */
int batcher_create(const struct batch_queue_options *options,
                   const struct batcher_callbacks *callbacks, struct batcher **ret_batcher,
                   struct error *err);

/* Accepts NULL. Every job must have ended. */
void batcher_destroy(struct batcher *batcher);

/* delta 1: a job is on its way (batches wait for it, within the delay); -1: it came, or will not.
 */
void batcher_expect(struct batcher *batcher, int delta);

/* Queues a job, with its functions set. Its encoder is borrowed until the job has ended, and an
 * encoder that jobs were submitted for belongs to the compute thread. ERR_LIMIT, ERR_INVALID as
 * batch_queue_put. */
int batcher_submit(struct batcher *batcher, struct batch_job *job, struct error *err);

#endif
