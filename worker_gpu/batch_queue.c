/* SPDX-License-Identifier: Apache-2.0 */
/* batch_queue: see batch_queue.h. */
#include "worker_gpu/batch_queue.h"

#include <stdlib.h>

#include "common/assert.h"
#include "common/hash.h"

struct batch_queue {
    struct batch_queue_options options;
    struct batch_job *jobs; /* in the order they are served */
    uint32_t job_count;
    uint64_t tokens;            /* of all texts that wait */
    struct batch_slice *slices; /* [jobs_max]: those of the batch taken last */
};

int batch_queue_create(const struct batch_queue_options *options, struct batch_queue **ret_queue,
                       struct error *err)
{
    if (options->tokens_max == 0 || options->jobs_max == 0)
        return error_set(err, ERR_INVALID, "a batch and a queue must hold something");
    struct batch_queue *queue = calloc(1, sizeof *queue);
    struct batch_slice *slices = calloc(options->jobs_max, sizeof *slices);
    if (queue == NULL || slices == NULL) {
        free(queue);
        free(slices);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    queue->options = *options;
    queue->slices = slices;
    *ret_queue = queue;
    return 0;
}

void batch_queue_destroy(struct batch_queue *queue)
{
    if (queue == NULL)
        return;
    free(queue->slices);
    free(queue);
}

static uint32_t text_tokens(const struct batch_job *job, uint32_t text)
{
    return job->cu_seqlens[text + 1] - job->cu_seqlens[text];
}

static uint32_t tokens_left(const struct batch_job *job)
{
    return job->cu_seqlens[job->texts] - job->cu_seqlens[job->next_text];
}

int batch_queue_put(struct batch_queue *queue, struct batch_job *job, uint64_t now_ns,
                    struct error *err)
{
    ASSERT(job->next_text < job->texts);
    ASSERT(job->priority >= BATCH_PRIORITY_FIRST && job->priority <= BATCH_PRIORITY_LAST);
    if (queue->job_count == queue->options.jobs_max)
        return error_set(err, ERR_LIMIT, "%u tasks wait for the device already",
                         queue->options.jobs_max);
    for (uint32_t i = job->next_text; i < job->texts; i++) {
        if (text_tokens(job, i) > queue->options.tokens_max)
            return error_set(err, ERR_INVALID, "a text of %u tokens fits no batch of %u",
                             text_tokens(job, i), queue->options.tokens_max);
    }
    job->arrived_ns = now_ns;
    job->served_ns = now_ns;
    DL_APPEND(queue->jobs, job);
    queue->job_count++;
    queue->tokens += tokens_left(job);
    return 0;
}

static void remove_job(struct batch_queue *queue, struct batch_job *job)
{
    DL_DELETE(queue->jobs, job);
    queue->job_count--;
}

struct batch_job *batch_queue_sweep(struct batch_queue *queue, batch_wanted_fn *is_wanted,
                                    void *arg)
{
    struct batch_job *job;
    DL_FOREACH (queue->jobs, job) {
        if (!is_wanted(arg, job)) {
            queue->tokens -= tokens_left(job);
            remove_job(queue, job);
            return job;
        }
    }
    return NULL;
}

uint64_t batch_queue_tokens(const struct batch_queue *queue)
{
    return queue->tokens;
}

static uint64_t oldest_arrival_ns(const struct batch_queue *queue)
{
    uint64_t oldest_ns = UINT64_MAX;
    const struct batch_job *job;
    DL_FOREACH (queue->jobs, job) {
        if (job->arrived_ns < oldest_ns)
            oldest_ns = job->arrived_ns;
    }
    return oldest_ns;
}

static bool is_ready(const struct batch_queue *queue, uint64_t now_ns, bool is_more_coming,
                     uint64_t *ret_wait_ns)
{
    *ret_wait_ns = UINT64_MAX;
    if (queue->jobs == NULL)
        return false;
    if (!is_more_coming || queue->tokens >= queue->options.tokens_max)
        return true;
    uint64_t due_ns = oldest_arrival_ns(queue) + queue->options.delay_ns;
    if (now_ns >= due_ns)
        return true;
    *ret_wait_ns = due_ns - now_ns;
    return false;
}

/* Adds texts of a slice's job while they fit the batch and `allowance` tokens; always one text when
 * it fits the batch. Returns how many tokens were added. */
static uint32_t extend_slice(const struct batch_queue *queue, struct batch *batch,
                             struct batch_slice *slice, uint32_t allowance)
{
    struct batch_job *job = slice->job;
    uint32_t added = 0;
    while (job->next_text < job->texts) {
        uint32_t tokens = text_tokens(job, job->next_text);
        bool fits_batch = batch->tokens + tokens <= queue->options.tokens_max;
        bool fits_round = added == 0 || added + tokens <= allowance;
        if (!fits_batch || !fits_round)
            break;
        job->next_text++;
        slice->text_count++;
        batch->texts++;
        batch->tokens += tokens;
        added += tokens;
    }
    return added;
}

/* The priority that counts now. */
static int32_t rank(const struct batch_job *job, uint64_t now_ns)
{
    bool is_aged =
        job->priority > BATCH_PRIORITY_FIRST && now_ns - job->served_ns >= BATCH_AGING_NS;
    return is_aged ? BATCH_PRIORITY_FIRST + 1 : job->priority;
}

static struct batch_job *first_job(const struct batch_queue *queue, uint64_t now_ns)
{
    struct batch_job *first = queue->jobs, *job;
    DL_FOREACH (queue->jobs, job) {
        if (rank(job, now_ns) < rank(first, now_ns))
            first = job;
    }
    return first;
}

/* Adds a slice, still empty, for each job of a rank that may share the batch. */
static void choose_jobs(const struct batch_queue *queue, int32_t wanted, uint64_t now_ns,
                        struct batch *batch)
{
    struct batch_job *job;
    DL_FOREACH (queue->jobs, job) {
        if (!job->is_isolated && job->encoder == batch->encoder && rank(job, now_ns) == wanted)
            batch->slices[batch->slice_count++] = (struct batch_slice){job, job->next_text, 0};
    }
}

/* Rounds over the slices from first on, until nothing more fits. */
static void fill_rounds(const struct batch_queue *queue, struct batch *batch, uint32_t first)
{
    uint32_t added;
    do {
        added = 0;
        for (uint32_t i = first; i < batch->slice_count; i++)
            added += extend_slice(queue, batch, &batch->slices[i], BATCH_QUANTUM);
    } while (added > 0);
}

static void fill(const struct batch_queue *queue, uint64_t now_ns, struct batch *batch)
{
    struct batch_job *job = first_job(queue, now_ns);
    batch->encoder = job->encoder;
    if (job->is_isolated) {
        batch->slices[batch->slice_count++] = (struct batch_slice){job, job->next_text, 0};
        fill_rounds(queue, batch, 0);
        return;
    }
    for (int32_t wanted = BATCH_PRIORITY_FIRST; wanted <= BATCH_PRIORITY_LAST; wanted++) {
        uint32_t first = batch->slice_count;
        choose_jobs(queue, wanted, now_ns, batch);
        fill_rounds(queue, batch, first);
    }
}

/* Drops empty slices; jobs that are fully taken leave the queue, the others go to its end. */
static void settle(struct batch_queue *queue, uint64_t now_ns, struct batch *batch)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->slice_count; i++) {
        struct batch_slice slice = batch->slices[i];
        if (slice.text_count == 0)
            continue;
        batch->slices[kept++] = slice;
        slice.job->served_ns = now_ns;
        remove_job(queue, slice.job);
        if (slice.job->next_text < slice.job->texts) {
            DL_APPEND(queue->jobs, slice.job);
            queue->job_count++;
        }
    }
    batch->slice_count = kept;
    queue->tokens -= batch->tokens;
}

bool batch_queue_take(struct batch_queue *queue, uint64_t now_ns, bool is_more_coming,
                      struct batch *ret_batch, uint64_t *ret_wait_ns)
{
    if (!is_ready(queue, now_ns, is_more_coming, ret_wait_ns))
        return false;
    struct batch batch = {.slices = queue->slices};
    fill(queue, now_ns, &batch);
    settle(queue, now_ns, &batch);
    ASSERT(batch.texts > 0);
    *ret_batch = batch;
    return true;
}
