/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_queue: which texts of which jobs share the next batch. A job is what one task brings: some
 * texts, already cut into tokens.
 *
 * A batch is ready when the texts that wait fill it, when nothing more is on its way, or when the
 * oldest job has waited `delay_ns`. It holds texts of one model: that of the job that comes first.
 * Jobs of priority 1 fill it before those of 2, and so on to 5; a job of which no text was in a
 * batch for BATCH_AGING_NS counts as 2 at least, so that only priority 1 can hold it up. Those of
 * one priority take turns in rounds: each job, oldest first, gives texts of up to BATCH_QUANTUM
 * tokens a round, so that a large job cannot hold up small ones; a job that gave and still has
 * texts goes to the end of the line. A job that is isolated (its task was lost with a process
 * before) has the batch to itself when it comes first.
 *
 * Pure: no clock, no thread, no allocation after creation. One thread at a time. The queue borrows
 * jobs from batch_queue_put until they are fully taken, swept or the queue is destroyed.
 */
#ifndef ARGOSY_WORKER_GPU_BATCH_QUEUE_H
#define ARGOSY_WORKER_GPU_BATCH_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/time_unit.h"

struct encoder;

/* Two texts of MiniLM's longest length: of a full batch of 16,384 tokens 32 jobs get a share. */
#define BATCH_QUANTUM 512u

#define BATCH_PRIORITY_FIRST 1
#define BATCH_PRIORITY_LAST  5
/* Ten batches of the CPU device, hundreds of a GPU. */
#define BATCH_AGING_NS (1000 * NS_PER_MS)

struct batch_job {
    /* the owner's, constant while the queue has the job */
    const int32_t *ids;         /* all texts' tokens, one after another */
    const uint32_t *cu_seqlens; /* [texts + 1]: text i is ids[cu_seqlens[i] .. cu_seqlens[i + 1]) */
    uint32_t texts;
    struct encoder *encoder; /* of the model whose tokens these are; only compared */
    int32_t priority;        /* BATCH_PRIORITY_FIRST to BATCH_PRIORITY_LAST */
    bool is_isolated;
    const struct batch_job_functions *functions; /* the batcher's (batcher.h) */

    /* the queue's; next_text is set by the owner before the put, to skip texts already done */
    uint32_t next_text;
    uint64_t arrived_ns;
    uint64_t served_ns; /* when it last had texts in a batch, or arrived */
    struct batch_job *prev, *next;
};

/* Texts [first_text, first_text + text_count) of a job. */
struct batch_slice {
    struct batch_job *job;
    uint32_t first_text;
    uint32_t text_count;
};

struct batch {
    struct batch_slice *slices; /* borrowed from the queue until its next call */
    uint32_t slice_count;
    struct encoder *encoder; /* of all slices */
    uint32_t texts;
    uint32_t tokens;
};

struct batch_queue_options {
    uint32_t tokens_max; /* of one batch; no text may be longer */
    uint32_t jobs_max;   /* that wait at once */
    uint64_t delay_ns;
};

struct batch_queue;

/* ERR_INVALID for a maximum of 0, ERR_MEMORY. The caller owns *ret_queue. */
int batch_queue_create(const struct batch_queue_options *options, struct batch_queue **ret_queue,
                       struct error *err);

/* Accepts NULL. Jobs are the owner's. */
void batch_queue_destroy(struct batch_queue *queue);

/* Adds a job with at least one text to go. ERR_LIMIT when jobs_max wait already, ERR_INVALID when a
 * text is longer than a batch. */
int batch_queue_put(struct batch_queue *queue, struct batch_job *job, uint64_t now_ns,
                    struct error *err);

/* Takes out the first job, from the front, that is_wanted says false of; NULL when there is none.
 */
typedef bool batch_wanted_fn(void *arg, const struct batch_job *job);
struct batch_job *batch_queue_sweep(struct batch_queue *queue, batch_wanted_fn *is_wanted,
                                    void *arg);

/* Fills *ret_batch and returns true when a batch is ready. is_more_coming: jobs are on their way
 * that are worth waiting for. False with *ret_wait_ns, how long to wait at most (UINT64_MAX: until
 * a put).
 */
bool batch_queue_take(struct batch_queue *queue, uint64_t now_ns, bool is_more_coming,
                      struct batch *ret_batch, uint64_t *ret_wait_ns);

/* Tokens of the texts that wait. */
uint64_t batch_queue_tokens(const struct batch_queue *queue);

#endif
