/* SPDX-License-Identifier: Apache-2.0 */
/* batcher: see batcher.h. */
#include "worker_gpu/batcher.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/assert.h"
#include "common/clock.h"

/* The longest the loop sleeps: four proofs of life within the shortest hang time worth setting. */
#define TURN_NS NS_PER_S

/* Room for what an encoder gives. */
struct results {
    float *values;
    size_t room;
};

struct batcher {
    /* configuration */
    struct batcher_callbacks callbacks;

    /* shared */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* on the monotonic clock */
    struct batch_queue *queue;
    bool is_stopping;
    atomic_int expected;

    /* of the compute thread: one batch */
    int32_t *ids;         /* [tokens_max] */
    uint32_t *cu_seqlens; /* [tokens_max + 1] */
    struct results vectors;
    struct results probabilities;
};

static void pack(struct batcher *batcher, const struct batch *batch,
                 struct token_source *ret_source)
{
    uint32_t texts = 0, tokens = 0;
    batcher->cu_seqlens[0] = 0;
    for (uint32_t i = 0; i < batch->slice_count; i++) {
        const struct batch_slice *slice = &batch->slices[i];
        const uint32_t *cu_seqlens = slice->job->cu_seqlens + slice->first_text;
        uint32_t count = cu_seqlens[slice->text_count] - cu_seqlens[0];
        memcpy(batcher->ids + tokens, slice->job->ids + cu_seqlens[0], count * sizeof(int32_t));
        for (uint32_t k = 1; k <= slice->text_count; k++)
            batcher->cu_seqlens[++texts] = tokens + cu_seqlens[k] - cu_seqlens[0];
        tokens += count;
    }
    ASSERT(texts == batch->texts && tokens == batch->tokens);
    *ret_source = (struct token_source){
        .ids = batcher->ids, .cu_seqlens = batcher->cu_seqlens, .tokens = tokens, .texts = texts};
}

static void deliver(struct batcher *batcher, const struct batch *batch)
{
    size_t width = encoder_width(batch->encoder);
    size_t classes = encoder_class_count(batch->encoder);
    size_t text = 0;
    for (uint32_t i = 0; i < batch->slice_count; i++) {
        const struct batch_slice *slice = &batch->slices[i];
        const struct batch_job_functions *functions = slice->job->functions;
        bool is_last = slice->first_text + slice->text_count == slice->job->texts;
        functions->on_results(slice->job, slice->first_text, slice->text_count,
                              batcher->vectors.values + text * width,
                              classes > 0 ? batcher->probabilities.values + text * classes : NULL);
        if (is_last)
            functions->on_end(slice->job, 0, NULL);
        text += slice->text_count;
    }
}

/* A batch that failed fails its jobs; what they still have waiting is taken out of the queue. */
static bool is_not_of_batch(void *arg, const struct batch_job *job)
{
    const struct batch *batch = arg;
    for (uint32_t i = 0; i < batch->slice_count; i++) {
        if (batch->slices[i].job == job)
            return false;
    }
    return true;
}

static void fail(struct batcher *batcher, struct batch *batch, const struct error *err)
{
    pthread_mutex_lock(&batcher->mutex);
    while (batch_queue_sweep(batcher->queue, is_not_of_batch, batch) != NULL)
        ;
    pthread_mutex_unlock(&batcher->mutex);
    for (uint32_t i = 0; i < batch->slice_count; i++)
        batch->slices[i].job->functions->on_end(batch->slices[i].job, err->code, err);
}

static int make_room(struct results *results, size_t count, struct error *err)
{
    if (count <= results->room)
        return 0;
    free(results->values);
    *results = (struct results){.values = malloc(count * sizeof(float))};
    if (results->values == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    results->room = count;
    return 0;
}

static int compute_batch(struct batcher *batcher, const struct batch *batch, struct error *err)
{
    struct token_source source;
    size_t classes = encoder_class_count(batch->encoder);
    int code =
        make_room(&batcher->vectors, batch->texts * (size_t)encoder_width(batch->encoder), err);
    if (code == 0)
        code = make_room(&batcher->probabilities, batch->texts * classes, err);
    if (code != 0)
        return code;
    pack(batcher, batch, &source);
    return encoder_run(batch->encoder, &source, batcher->vectors.values,
                       classes > 0 ? batcher->probabilities.values : NULL, err);
}

/* False when the device failed. */
static bool run(struct batcher *batcher, struct batch *batch)
{
    struct error err = {0};
    int code = compute_batch(batcher, batch, &err);
    if (code == 0) {
        deliver(batcher, batch);
    } else if (code == ERR_DEVICE) {
        batcher->callbacks.on_device_failed(batcher->callbacks.arg, &err);
        return false;
    } else {
        fail(batcher, batch, &err);
    }
    return true;
}

static void wait_until(struct batcher *batcher, uint64_t wait_ns)
{
    uint64_t until_ns = clock_monotonic_ns() + (wait_ns < TURN_NS ? wait_ns : TURN_NS);
    struct timespec until = {.tv_sec = (time_t)(until_ns / NS_PER_S),
                             .tv_nsec = (long)(until_ns % NS_PER_S)};
    pthread_cond_timedwait(&batcher->changed, &batcher->mutex, &until);
}

static bool is_wanted(void *arg, const struct batch_job *job)
{
    (void)arg;
    return job->functions->is_wanted(job);
}

/* One turn with the mutex held, which is let go while callbacks run. False: the loop ends. */
static bool turn(struct batcher *batcher)
{
    struct batch batch;
    uint64_t wait_ns;
    struct batch_job *unwanted = batch_queue_sweep(batcher->queue, is_wanted, NULL);
    bool goes_on = true;
    if (unwanted != NULL) {
        pthread_mutex_unlock(&batcher->mutex);
        unwanted->functions->on_end(unwanted, ERR_CANCELED, NULL);
        pthread_mutex_lock(&batcher->mutex);
    } else if (batch_queue_take(batcher->queue, clock_monotonic_ns(),
                                atomic_load(&batcher->expected) > 0, &batch, &wait_ns)) {
        pthread_mutex_unlock(&batcher->mutex);
        goes_on = run(batcher, &batch);
        pthread_mutex_lock(&batcher->mutex);
    } else if (batcher->is_stopping) {
        goes_on = false;
    } else {
        wait_until(batcher, wait_ns);
    }
    return goes_on;
}

static void *compute(void *arg)
{
    struct batcher *batcher = arg;
    pthread_mutex_lock(&batcher->mutex);
    while (turn(batcher)) {
        pthread_mutex_unlock(&batcher->mutex);
        batcher->callbacks.on_turn(batcher->callbacks.arg);
        pthread_mutex_lock(&batcher->mutex);
    }
    pthread_mutex_unlock(&batcher->mutex);
    return NULL;
}

static int take_memory(struct batcher *batcher, const struct batch_queue_options *options,
                       struct error *err)
{
    int code = batch_queue_create(options, &batcher->queue, err);
    if (code != 0)
        return code;
    batcher->ids = malloc(options->tokens_max * sizeof *batcher->ids);
    batcher->cu_seqlens = malloc((options->tokens_max + 1) * sizeof *batcher->cu_seqlens);
    if (batcher->ids == NULL || batcher->cu_seqlens == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

static void release_memory(struct batcher *batcher)
{
    batch_queue_destroy(batcher->queue);
    free(batcher->ids);
    free(batcher->cu_seqlens);
    free(batcher->vectors.values);
    free(batcher->probabilities.values);
    free(batcher);
}

static void init_locks(struct batcher *batcher)
{
    pthread_condattr_t attributes;
    pthread_mutex_init(&batcher->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&batcher->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

static void fini_locks(struct batcher *batcher)
{
    pthread_cond_destroy(&batcher->changed);
    pthread_mutex_destroy(&batcher->mutex);
}

int batcher_create(const struct batch_queue_options *options,
                   const struct batcher_callbacks *callbacks, struct batcher **ret_batcher,
                   struct error *err)
{
    struct batcher *batcher = calloc(1, sizeof *batcher);
    if (batcher == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    batcher->callbacks = *callbacks;
    int code = take_memory(batcher, options, err);
    if (code != 0) {
        release_memory(batcher);
        return code;
    }
    init_locks(batcher);
    int failed = pthread_create(&batcher->thread, NULL, compute, batcher);
    if (failed != 0) {
        fini_locks(batcher);
        release_memory(batcher);
        return error_set_errno(err, ERR_MEMORY, failed, "could not start the compute thread");
    }
    *ret_batcher = batcher;
    return 0;
}

void batcher_destroy(struct batcher *batcher)
{
    if (batcher == NULL)
        return;
    pthread_mutex_lock(&batcher->mutex);
    batcher->is_stopping = true;
    pthread_cond_signal(&batcher->changed);
    pthread_mutex_unlock(&batcher->mutex);
    pthread_join(batcher->thread, NULL);
    fini_locks(batcher);
    release_memory(batcher);
}

void batcher_expect(struct batcher *batcher, int delta)
{
    int left = atomic_fetch_add(&batcher->expected, delta) + delta;
    ASSERT(left >= 0);
    if (left > 0)
        return;
    /* Nothing more is coming: what waits for company need not. */
    pthread_mutex_lock(&batcher->mutex);
    pthread_cond_signal(&batcher->changed);
    pthread_mutex_unlock(&batcher->mutex);
}

int batcher_submit(struct batcher *batcher, struct batch_job *job, struct error *err)
{
    pthread_mutex_lock(&batcher->mutex);
    int code = batch_queue_put(batcher->queue, job, clock_monotonic_ns(), err);
    if (code == 0)
        pthread_cond_signal(&batcher->changed);
    pthread_mutex_unlock(&batcher->mutex);
    return code;
}
