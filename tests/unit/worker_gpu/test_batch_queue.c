/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch_queue: when a batch is ready, who shares it and in what order, with time handed in.
 */
#include "worker_gpu/batch_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "tests/test.h"

#define DELAY_NS (2 * NS_PER_MS)

/* A job of `texts` texts of `length` tokens each, named by its number. */
struct test_job {
    struct batch_job job;
    int number;
    uint32_t cu_seqlens[2001];
    int32_t ids[1];
};

static struct test_job *job_create(int number, uint32_t texts, uint32_t length)
{
    struct test_job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    assert_true(texts <= 2000);
    job->number = number;
    for (uint32_t i = 0; i <= texts; i++)
        job->cu_seqlens[i] = i * length;
    job->job = (struct batch_job){
        .ids = job->ids, .cu_seqlens = job->cu_seqlens, .texts = texts, .priority = 3};
    return job;
}

static struct batch_queue *queue_create(uint32_t tokens_max, uint32_t jobs_max)
{
    struct batch_queue *queue;
    struct error err;
    struct batch_queue_options options = {
        .tokens_max = tokens_max, .jobs_max = jobs_max, .delay_ns = DELAY_NS};
    assert_int_equal(batch_queue_create(&options, &queue, &err), 0);
    return queue;
}

static void put(struct batch_queue *queue, struct test_job *job, uint64_t now_ns)
{
    struct error err = {0};
    if (batch_queue_put(queue, &job->job, now_ns, &err) != 0)
        fail_msg("%s", err.text);
}

/* The batch as text: "1:0+3 2:0+1" is texts 0 to 2 of job 1 and text 0 of job 2; "-" for none. */
static const char *take(struct batch_queue *queue, uint64_t now_ns, bool is_more_coming)
{
    static char text[512];
    struct batch batch;
    uint64_t wait_ns;
    strcpy(text, "-");
    if (!batch_queue_take(queue, now_ns, is_more_coming, &batch, &wait_ns))
        return text;
    size_t used = 0;
    uint32_t texts = 0, tokens = 0;
    for (uint32_t i = 0; i < batch.slice_count; i++) {
        const struct batch_slice *slice = &batch.slices[i];
        const struct test_job *job = (const struct test_job *)slice->job;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%d:%u+%u", i > 0 ? " " : "",
                                 job->number, slice->first_text, slice->text_count);
        texts += slice->text_count;
        tokens += job->cu_seqlens[slice->first_text + slice->text_count] -
                  job->cu_seqlens[slice->first_text];
    }
    assert_int_equal(batch.texts, texts);
    assert_int_equal(batch.tokens, tokens);
    return text;
}

static void tasks_of_different_jobs_share_a_batch(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *a = job_create(1, 1, 10), *b = job_create(2, 2, 20), *c = job_create(3, 1, 40);
    put(queue, a, 0);
    put(queue, b, 0);
    put(queue, c, 0);
    assert_int_equal(batch_queue_tokens(queue), 90);
    assert_string_equal(take(queue, 0, false), "1:0+1 2:0+2 3:0+1");
    assert_int_equal(batch_queue_tokens(queue), 0);
    assert_string_equal(take(queue, 0, false), "-");
    batch_queue_destroy(queue);
    free(a);
    free(b);
    free(c);
}

static void nothing_waits_when_nothing_else_is_coming(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *a = job_create(1, 1, 10);
    put(queue, a, 1000);
    assert_string_equal(take(queue, 1000, false), "1:0+1");
    batch_queue_destroy(queue);
    free(a);
}

static void a_batch_waits_for_company_until_the_delay_is_over(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *a = job_create(1, 1, 10), *b = job_create(2, 1, 10);
    struct batch batch;
    uint64_t wait_ns;
    assert_false(batch_queue_take(queue, 0, true, &batch, &wait_ns));
    assert_true(wait_ns == UINT64_MAX);
    put(queue, a, 1000);
    assert_false(batch_queue_take(queue, 1500, true, &batch, &wait_ns));
    assert_int_equal(wait_ns, DELAY_NS - 500);
    put(queue, b, 1000 + DELAY_NS / 2);
    assert_false(batch_queue_take(queue, 1000 + DELAY_NS - 1, true, &batch, &wait_ns));
    assert_int_equal(wait_ns, 1);
    assert_string_equal(take(queue, 1000 + DELAY_NS, true), "1:0+1 2:0+1");
    batch_queue_destroy(queue);
    free(a);
    free(b);
}

static void a_full_batch_does_not_wait(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *a = job_create(1, 9, 10), *b = job_create(2, 2, 10);
    put(queue, a, 0);
    assert_string_equal(take(queue, 0, true), "-");
    put(queue, b, 0);
    assert_string_equal(take(queue, 0, true), "1:0+9 2:0+1");
    assert_string_equal(take(queue, 0, true), "-");
    assert_string_equal(take(queue, 0, false), "2:1+1");
    batch_queue_destroy(queue);
    free(a);
    free(b);
}

/* Job 1 could fill ten batches: the small ones go with its first, and it goes on behind them. */
static void a_large_job_does_not_hold_up_small_ones(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(2 * BATCH_QUANTUM, 10);
    struct test_job *large = job_create(1, 1280, 16), *a = job_create(2, 1, 16),
                    *b = job_create(3, 1, 16), *late = job_create(4, 1, 16);
    put(queue, large, 0);
    put(queue, a, 0);
    put(queue, b, 0);
    assert_string_equal(take(queue, 0, false), "1:0+62 2:0+1 3:0+1");
    put(queue, late, 0);
    assert_string_equal(take(queue, 0, false), "1:62+63 4:0+1");
    assert_string_equal(take(queue, 0, false), "1:125+64");
    batch_queue_destroy(queue);
    free(large);
    free(a);
    free(b);
    free(late);
}

static void a_job_with_losses_behind_it_runs_alone(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *a = job_create(1, 1, 10), *lost = job_create(2, 12, 10),
                    *b = job_create(3, 1, 10), *c = job_create(4, 1, 10);
    lost->job.is_isolated = true;
    put(queue, a, 0);
    put(queue, lost, 0);
    put(queue, b, 0);
    assert_string_equal(take(queue, 0, false), "1:0+1 3:0+1");
    assert_string_equal(take(queue, 0, false), "2:0+10");
    put(queue, c, 0);
    assert_string_equal(take(queue, 0, false), "2:10+2");
    assert_string_equal(take(queue, 0, false), "4:0+1");
    batch_queue_destroy(queue);
    free(a);
    free(lost);
    free(b);
    free(c);
}

/* A job behind a steady stream of large ones still comes to the front. */
static void an_isolated_job_is_not_starved(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *large = job_create(1, 2000, 10), *lost = job_create(2, 1, 10);
    lost->job.is_isolated = true;
    put(queue, large, 0);
    put(queue, lost, 0);
    assert_string_equal(take(queue, 0, false), "1:0+10");
    assert_string_equal(take(queue, 0, false), "2:0+1");
    assert_string_equal(take(queue, 0, false), "1:10+10");
    batch_queue_destroy(queue);
    free(large);
    free(lost);
}

static void a_better_priority_fills_the_next_batch_first(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *bulk = job_create(1, 100, 10), *b = job_create(2, 4, 10),
                    *question = job_create(3, 2, 10), *next = job_create(4, 1, 10);
    bulk->job.priority = 5;
    question->job.priority = next->job.priority = 1;
    put(queue, bulk, 0);
    put(queue, b, 0);
    put(queue, question, 0);
    assert_string_equal(take(queue, 0, false), "3:0+2 2:0+4 1:0+4");
    put(queue, next, 0);
    assert_string_equal(take(queue, 0, false), "4:0+1 1:4+9");
    batch_queue_destroy(queue);
    free(bulk);
    free(b);
    free(question);
    free(next);
}

/* A stream of better work that fills every batch cannot hold up a job for ever; of priority 1 it
 * can. */
static void a_job_that_waits_long_gets_its_share(void **state)
{
    (void)state;
    for (int32_t priority = 1; priority <= 2; priority++) {
        struct batch_queue *queue = queue_create(2 * BATCH_QUANTUM, 10);
        struct test_job *stream = job_create(1, 2000, BATCH_QUANTUM), *bulk = job_create(2, 9, 1);
        stream->job.priority = priority;
        bulk->job.priority = 5;
        put(queue, stream, 0);
        put(queue, bulk, 0);
        assert_string_equal(take(queue, 0, false), "1:0+2");
        assert_string_equal(take(queue, BATCH_AGING_NS - 1, false), "1:2+2");
        assert_string_equal(take(queue, BATCH_AGING_NS, false),
                            priority == 1 ? "1:4+2" : "2:0+9 1:4+1");
        batch_queue_destroy(queue);
        free(stream);
        free(bulk);
    }
}

static void a_batch_holds_texts_of_one_model(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *jobs[4];
    for (int i = 0; i < 4; i++) {
        jobs[i] = job_create(i, 2, 10);
        jobs[i]->job.encoder = (struct encoder *)(i % 2 == 0 ? &jobs[0] : &jobs[1]);
        put(queue, jobs[i], 0);
    }
    jobs[3]->job.priority = 1;
    struct batch batch;
    uint64_t wait_ns;
    assert_true(batch_queue_take(queue, 0, false, &batch, &wait_ns));
    assert_ptr_equal(batch.encoder, &jobs[1]); /* of the job that comes first */
    assert_int_equal(batch.slice_count, 2);
    assert_ptr_equal(batch.slices[0].job, jobs[3]);
    assert_ptr_equal(batch.slices[1].job, jobs[1]);
    assert_string_equal(take(queue, 0, false), "0:0+2 2:0+2");
    batch_queue_destroy(queue);
    for (int i = 0; i < 4; i++)
        free(jobs[i]);
}

static bool is_not_two(void *arg, const struct batch_job *job)
{
    (void)arg;
    return ((const struct test_job *)job)->number != 2;
}

static void unwanted_jobs_are_swept_whole(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *a = job_create(1, 1, 10), *b = job_create(2, 30, 10);
    put(queue, a, 0);
    put(queue, b, 0);
    assert_string_equal(take(queue, 0, false), "1:0+1 2:0+9");
    assert_ptr_equal(batch_queue_sweep(queue, is_not_two, NULL), b);
    assert_null(batch_queue_sweep(queue, is_not_two, NULL));
    assert_int_equal(batch_queue_tokens(queue), 0);
    assert_string_equal(take(queue, 0, false), "-");
    batch_queue_destroy(queue);
    free(a);
    free(b);
}

static void resumed_jobs_start_where_they_were(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 10);
    struct test_job *a = job_create(1, 5, 10);
    a->job.next_text = 3;
    put(queue, a, 0);
    assert_int_equal(batch_queue_tokens(queue), 20);
    assert_string_equal(take(queue, 0, false), "1:3+2");
    batch_queue_destroy(queue);
    free(a);
}

static void a_full_queue_and_texts_that_fit_no_batch_are_refused(void **state)
{
    (void)state;
    struct batch_queue *queue = queue_create(100, 2);
    struct test_job *jobs[4];
    struct error err;
    for (int i = 0; i < 4; i++)
        jobs[i] = job_create(i, 1, i == 3 ? 101 : 10);
    put(queue, jobs[0], 0);
    assert_int_equal(batch_queue_put(queue, &jobs[3]->job, 0, &err), ERR_INVALID);
    put(queue, jobs[1], 0);
    assert_int_equal(batch_queue_put(queue, &jobs[2]->job, 0, &err), ERR_LIMIT);
    assert_string_equal(take(queue, 0, false), "0:0+1 1:0+1");
    put(queue, jobs[2], 0);
    batch_queue_destroy(queue);
    for (int i = 0; i < 4; i++)
        free(jobs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_of_different_jobs_share_a_batch),
        cmocka_unit_test(nothing_waits_when_nothing_else_is_coming),
        cmocka_unit_test(a_batch_waits_for_company_until_the_delay_is_over),
        cmocka_unit_test(a_full_batch_does_not_wait),
        cmocka_unit_test(a_large_job_does_not_hold_up_small_ones),
        cmocka_unit_test(a_job_with_losses_behind_it_runs_alone),
        cmocka_unit_test(an_isolated_job_is_not_starved),
        cmocka_unit_test(a_better_priority_fills_the_next_batch_first),
        cmocka_unit_test(a_job_that_waits_long_gets_its_share),
        cmocka_unit_test(a_batch_holds_texts_of_one_model),
        cmocka_unit_test(unwanted_jobs_are_swept_whole),
        cmocka_unit_test(resumed_jobs_start_where_they_were),
        cmocka_unit_test(a_full_queue_and_texts_that_fit_no_batch_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
