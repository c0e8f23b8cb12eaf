/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batcher over an encoder that fails on demand (this file defines the encoder's functions): a
 * failed device is told once and ends the loop, its jobs stay unanswered, for the engine to count
 * as lost; any other failure fails the jobs of the batch, and the loop goes on.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "tests/test.h"
#include "worker_gpu/batcher.h"

#define JOBS  3
#define WIDTH 4

struct encoder {
    int code; /* what the next run returns */
};

uint32_t encoder_width(const struct encoder *encoder)
{
    (void)encoder;
    return WIDTH;
}

uint32_t encoder_class_count(const struct encoder *encoder)
{
    (void)encoder;
    return 0;
}

int encoder_run(struct encoder *encoder, const struct token_source *source, float *ret_vectors,
                float *ret_probabilities, struct error *err)
{
    ASSERT(ret_probabilities == NULL);
    memset(ret_vectors, 0, source->texts * WIDTH * sizeof *ret_vectors);
    int code = encoder->code;
    encoder->code = 0;
    return code == 0 ? 0 : error_set(err, code, "made to fail");
}

struct test_job {
    struct batch_job job;
    struct fixture *fixture;
};

struct fixture {
    struct encoder encoder;
    struct batcher *batcher;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int ended;
    int codes[JOBS];
    int device_failures;
    struct test_job jobs[JOBS];
};

static const int32_t ids[] = {1, 2};
static const uint32_t cu_seqlens[] = {0, 2};

static bool is_wanted(const struct batch_job *job)
{
    (void)job;
    return true;
}

static void on_results(struct batch_job *job, uint32_t first_text, uint32_t count,
                       const float *vectors, const float *probabilities)
{
    (void)job;
    (void)vectors;
    ASSERT(first_text == 0 && count == 1 && probabilities == NULL);
}

static void on_end(struct batch_job *batch_job, int code, const struct error *err)
{
    struct test_job *job = (struct test_job *)batch_job;
    struct fixture *fixture = job->fixture;
    ASSERT((code == 0) == (err == NULL));
    pthread_mutex_lock(&fixture->mutex);
    fixture->codes[job - fixture->jobs] = code;
    fixture->ended++;
    pthread_cond_signal(&fixture->changed);
    pthread_mutex_unlock(&fixture->mutex);
}

static const struct batch_job_functions functions = {is_wanted, on_results, on_end};

static void on_turn(void *arg)
{
    (void)arg;
}

static void on_device_failed(void *arg, const struct error *err)
{
    struct fixture *fixture = arg;
    ASSERT(err->code == ERR_DEVICE && strstr(err->text, "made to fail") != NULL);
    pthread_mutex_lock(&fixture->mutex);
    fixture->device_failures++;
    pthread_cond_signal(&fixture->changed);
    pthread_mutex_unlock(&fixture->mutex);
}

/* Jobs 0 and 1 share the batch that meets `code`; job 2 is isolated and comes after it. */
static struct fixture *fixture_create(int code)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    fixture->encoder.code = code;
    pthread_mutex_init(&fixture->mutex, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    struct batch_queue_options options = {
        .tokens_max = 16, .jobs_max = JOBS, .delay_ns = UINT32_MAX};
    struct batcher_callbacks callbacks = {fixture, on_turn, on_device_failed};
    assert_int_equal(batcher_create(&options, &callbacks, &fixture->batcher, NULL), 0);
    batcher_expect(fixture->batcher, 1);
    for (int i = 0; i < JOBS; i++) {
        fixture->jobs[i] = (struct test_job){.job = {.ids = ids,
                                                     .cu_seqlens = cu_seqlens,
                                                     .texts = 1,
                                                     .encoder = &fixture->encoder,
                                                     .priority = 3,
                                                     .is_isolated = i == 2,
                                                     .functions = &functions},
                                             .fixture = fixture};
        assert_int_equal(batcher_submit(fixture->batcher, &fixture->jobs[i].job, NULL), 0);
    }
    batcher_expect(fixture->batcher, -1);
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    batcher_destroy(fixture->batcher);
    pthread_cond_destroy(&fixture->changed);
    pthread_mutex_destroy(&fixture->mutex);
    free(fixture);
}

static void a_failed_device_ends_the_loop_and_answers_nobody(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(ERR_DEVICE);
    pthread_mutex_lock(&fixture->mutex);
    while (fixture->device_failures == 0)
        pthread_cond_wait(&fixture->changed, &fixture->mutex);
    pthread_mutex_unlock(&fixture->mutex);
    batcher_destroy(fixture->batcher); /* joins a loop that has ended */
    fixture->batcher = NULL;
    assert_int_equal(fixture->device_failures, 1);
    assert_int_equal(fixture->ended, 0);
    fixture_destroy(fixture);
}

static void another_failure_fails_its_batch_and_no_other(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(ERR_MEMORY);
    pthread_mutex_lock(&fixture->mutex);
    while (fixture->ended < JOBS)
        pthread_cond_wait(&fixture->changed, &fixture->mutex);
    pthread_mutex_unlock(&fixture->mutex);
    assert_int_equal(fixture->codes[0], ERR_MEMORY);
    assert_int_equal(fixture->codes[1], ERR_MEMORY);
    assert_int_equal(fixture->codes[2], 0);
    assert_int_equal(fixture->device_failures, 0);
    fixture_destroy(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_device_ends_the_loop_and_answers_nobody),
        cmocka_unit_test(another_failure_fails_its_batch_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
