/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batcher and zero_shot on a small random model: many threads submit, every job gets the vectors it
 * would get alone, bit for bit; unwanted jobs end as canceled; a device that fails is told.
 */
#include "worker_gpu/batcher.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/clock.h"
#include "models/file.h"
#include "models/model_synth.h"
#include "tests/test.h"
#include "worker_gpu/zero_shot.h"

#define WIDTH     64
#define TEXTS_MAX 40
#define JOBS      60

static struct device *device;
static struct model *model;
static struct encoder *encoders[2]; /* the batcher's; jobs take turns */
static struct encoder *single;      /* what jobs are compared with */

static int setup(void **state)
{
    (void)state;
    char folder[] = "/tmp/argosy-batcher-XXXXXX", path[PATH_MAX], message[128];
    struct model_shape shape = MODEL_SHAPE_TINY;
    struct device_options options = {.kind = DEVICE_CPU, .threads = 1};
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/model", folder);
    int code = model_synth(path, &shape, 1, NULL);
    if (code == 0)
        code = model_open(path, &model, NULL);
    folder_remove(folder);
    if (code == 0)
        code = device_open(&options, &device, message, sizeof message);
    for (int i = 0; code == 0 && i < 2; i++)
        code = encoder_create(device, model, 64, &encoders[i], NULL);
    if (code == 0)
        code = encoder_create(device, model, 64, &single, NULL);
    return code;
}

static int teardown(void **state)
{
    (void)state;
    encoder_destroy(encoders[0]);
    encoder_destroy(encoders[1]);
    encoder_destroy(single);
    device_close(device);
    model_close(model);
    return 0;
}

struct test_job {
    struct batch_job job;
    struct fixture *fixture;
    int32_t ids[TEXTS_MAX * 16];
    uint32_t cu_seqlens[TEXTS_MAX + 1];
    float vectors[TEXTS_MAX][WIDTH];
    uint32_t results;
    int code;
    atomic_bool is_unwanted;
};

/* Counts what ended; the main thread waits for it. */
struct fixture {
    struct batcher *batcher;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t ended;
    atomic_uint turns;
    atomic_uint device_failures;
    struct test_job jobs[JOBS];
};

static bool is_wanted(const struct batch_job *job)
{
    return !atomic_load(&((const struct test_job *)job)->is_unwanted);
}

static void on_results(struct batch_job *batch_job, uint32_t first_text, uint32_t count,
                       const float *vectors, const float *probabilities)
{
    struct test_job *job = (struct test_job *)batch_job;
    ASSERT(probabilities == NULL && first_text == job->results);
    memcpy(job->vectors[first_text], vectors, count * sizeof job->vectors[0]);
    job->results += count;
}

static void on_end(struct batch_job *batch_job, int code, const struct error *err)
{
    struct test_job *job = (struct test_job *)batch_job;
    struct fixture *fixture = job->fixture;
    ASSERT((err == NULL) == (code == 0 || code == ERR_CANCELED));
    pthread_mutex_lock(&fixture->mutex);
    job->code = code;
    fixture->ended++;
    pthread_cond_signal(&fixture->changed);
    pthread_mutex_unlock(&fixture->mutex);
}

static const struct batch_job_functions functions = {is_wanted, on_results, on_end};

static void job_fill(struct test_job *job, struct fixture *fixture, int number)
{
    uint32_t texts = (uint32_t)(number * 7 % TEXTS_MAX) + 1;
    job->fixture = fixture;
    for (uint32_t i = 0; i < texts; i++) {
        char text[64];
        int size = snprintf(text, sizeof text, "text %u of job %d", i, number);
        uint32_t begin = job->cu_seqlens[i];
        job->cu_seqlens[i + 1] = begin + tokenizer_encode(model->tokenizer, text, (size_t)size,
                                                          job->ids + begin, 4 + i % 13);
    }
    job->job = (struct batch_job){.ids = job->ids,
                                  .cu_seqlens = job->cu_seqlens,
                                  .texts = texts,
                                  .encoder = encoders[number % 2],
                                  .priority = 1 + number % 5,
                                  .is_isolated = number % 11 == 0,
                                  .functions = &functions};
}

static void on_turn(void *arg)
{
    struct fixture *fixture = arg;
    atomic_fetch_add(&fixture->turns, 1);
}

static void on_device_failed(void *arg, const struct error *err)
{
    struct fixture *fixture = arg;
    ASSERT(err->code == ERR_DEVICE);
    atomic_fetch_add(&fixture->device_failures, 1);
}

static struct fixture *fixture_create(uint64_t delay_ns)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    pthread_mutex_init(&fixture->mutex, NULL);
    pthread_cond_init(&fixture->changed, NULL);
    for (int i = 0; i < JOBS; i++)
        job_fill(&fixture->jobs[i], fixture, i);
    struct batch_queue_options options = {
        .tokens_max = 256, .jobs_max = JOBS, .delay_ns = delay_ns};
    struct batcher_callbacks callbacks = {fixture, on_turn, on_device_failed};
    struct error err;
    if (batcher_create(&options, &callbacks, &fixture->batcher, &err) != 0)
        fail_msg("%s", err.text);
    return fixture;
}

static void fixture_destroy(struct fixture *fixture)
{
    batcher_destroy(fixture->batcher);
    assert_int_equal(atomic_load(&fixture->device_failures), 0);
    pthread_cond_destroy(&fixture->changed);
    pthread_mutex_destroy(&fixture->mutex);
    free(fixture);
}

static void wait_for_ends(struct fixture *fixture, uint32_t count)
{
    pthread_mutex_lock(&fixture->mutex);
    while (fixture->ended < count)
        pthread_cond_wait(&fixture->changed, &fixture->mutex);
    pthread_mutex_unlock(&fixture->mutex);
}

static void submit(struct test_job *job)
{
    struct error err = {0};
    if (batcher_submit(job->fixture->batcher, &job->job, &err) != 0)
        fail_msg("%s", err.text);
}

static void assert_as_alone(const struct test_job *job)
{
    for (uint32_t i = 0; i < job->job.texts; i++) {
        uint32_t cu_seqlens[2] = {0, job->cu_seqlens[i + 1] - job->cu_seqlens[i]};
        struct token_source source = {.ids = job->ids + job->cu_seqlens[i],
                                      .cu_seqlens = cu_seqlens,
                                      .tokens = cu_seqlens[1],
                                      .texts = 1};
        float vector[WIDTH];
        assert_int_equal(encoder_run(single, &source, vector, NULL, NULL), 0);
        assert_memory_equal(job->vectors[i], vector, sizeof vector);
    }
}

static void *submit_every_third(void *arg)
{
    struct test_job *first = arg;
    struct test_job *end = first->fixture->jobs + JOBS;
    for (struct test_job *job = first; job < end; job += 3) {
        batcher_expect(job->fixture->batcher, 1);
        ASSERT(batcher_submit(job->fixture->batcher, &job->job, NULL) == 0);
        batcher_expect(job->fixture->batcher, -1);
    }
    return NULL;
}

static void jobs_of_many_threads_get_the_vectors_they_would_get_alone(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(NS_PER_MS);
    pthread_t threads[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, submit_every_third, &fixture->jobs[i]),
                         0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    wait_for_ends(fixture, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(fixture->jobs[i].code, 0);
        assert_int_equal(fixture->jobs[i].results, fixture->jobs[i].job.texts);
        assert_as_alone(&fixture->jobs[i]);
    }
    assert_true(atomic_load(&fixture->turns) > 0);
    fixture_destroy(fixture);
}

/* With company expected and no end to the delay, only the end of the expectation lets it go. */
static void a_job_waits_for_expected_company_and_no_longer(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(3600 * NS_PER_S);
    struct test_job *job = &fixture->jobs[0];
    batcher_expect(fixture->batcher, 2);
    submit(job);
    batcher_expect(fixture->batcher, -1);
    uint32_t turns = atomic_load(&fixture->turns);
    while (atomic_load(&fixture->turns) < turns + 2) /* the loop has looked at the queue again */
        sched_yield();
    pthread_mutex_lock(&fixture->mutex);
    assert_int_equal(fixture->ended, 0);
    pthread_mutex_unlock(&fixture->mutex);
    batcher_expect(fixture->batcher, -1);
    wait_for_ends(fixture, 1);
    assert_int_equal(job->code, 0);
    fixture_destroy(fixture);
}

static void unwanted_jobs_end_as_canceled(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(0);
    batcher_expect(fixture->batcher, 1);
    for (int i = 0; i < 4; i++) {
        atomic_store(&fixture->jobs[i].is_unwanted, i % 2 == 1);
        submit(&fixture->jobs[i]);
    }
    batcher_expect(fixture->batcher, -1);
    wait_for_ends(fixture, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(fixture->jobs[i].code, i % 2 == 1 ? ERR_CANCELED : 0);
        assert_int_equal(fixture->jobs[i].results, i % 2 == 1 ? 0 : fixture->jobs[i].job.texts);
    }
    fixture_destroy(fixture);
}

/* A token that the model does not have makes its batch fail: the jobs in it, no others. */
static void a_batch_that_fails_fails_its_jobs_alone(void **state)
{
    (void)state;
    struct fixture *fixture = fixture_create(0);
    struct test_job *bad = &fixture->jobs[0], *good = &fixture->jobs[1]; /* bad is isolated */
    bad->ids[0] = 100000;
    batcher_expect(fixture->batcher, 1);
    submit(bad);
    submit(good);
    batcher_expect(fixture->batcher, -1);
    wait_for_ends(fixture, 2);
    assert_int_equal(bad->code, ERR_INTERNAL);
    assert_int_equal(good->code, 0);
    fixture_destroy(fixture);
}

static void vector_of(const char *text, float vector[WIDTH])
{
    int32_t ids[64];
    uint32_t cu_seqlens[2] = {0, tokenizer_encode(model->tokenizer, text, strlen(text), ids, 64)};
    struct token_source source = {
        .ids = ids, .cu_seqlens = cu_seqlens, .tokens = cu_seqlens[1], .texts = 1};
    assert_int_equal(encoder_run(single, &source, vector, NULL, NULL), 0);
}

static double cosine_of(const char *a, const char *b)
{
    float x[WIDTH], y[WIDTH];
    vector_of(a, x);
    vector_of(b, y);
    double product = 0, x_squares = 0, y_squares = 0;
    for (int i = 0; i < WIDTH; i++) {
        product += (double)x[i] * (double)y[i];
        x_squares += (double)x[i] * (double)x[i];
        y_squares += (double)y[i] * (double)y[i];
    }
    return product / sqrt(x_squares * y_squares);
}

/* The label whose prompt is the text itself wins, with the softmax written out as its score. */
static void zero_shot_is_the_softmax_of_cosines(void **state)
{
    (void)state;
    static const struct fleet_label labels[] = {
        {"one", "the first prompt"}, {"two", "zyx 98"}, {"three", "third"}};
    static const double temperature = 0.05;
    struct zero_shot *zero_shot;
    struct error err;
    assert_int_equal(zero_shot_create(single, model, labels, 3, temperature, &zero_shot, &err), 0);
    for (int i = 0; i < 3; i++) {
        float vector[WIDTH], score;
        double sum = 0;
        vector_of(labels[i].prompt, vector);
        assert_string_equal(zero_shot_classify(zero_shot, vector, &score), labels[i].name);
        for (int k = 0; k < 3; k++)
            sum += exp((cosine_of(labels[i].prompt, labels[k].prompt) - 1) / temperature);
        assert_true(fabs((double)score - 1 / sum) < 1e-5);
    }
    zero_shot_destroy(zero_shot);
    assert_int_equal(zero_shot_create(single, model, labels, 0, 1, &zero_shot, &err), ERR_INVALID);
    assert_int_equal(zero_shot_create(single, model, labels, 3, 0, &zero_shot, &err), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_of_many_threads_get_the_vectors_they_would_get_alone),
        cmocka_unit_test(a_job_waits_for_expected_company_and_no_longer),
        cmocka_unit_test(unwanted_jobs_end_as_canceled),
        cmocka_unit_test(a_batch_that_fails_fails_its_jobs_alone),
        cmocka_unit_test(zero_shot_is_the_softmax_of_cosines),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
