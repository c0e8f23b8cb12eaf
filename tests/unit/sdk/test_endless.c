/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that computes for ever: the coroutine comes back, its workflow task fails and names the run.
 * Code that yields is left alone however long it goes on.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "sdk/coroutine.h"
#include "sdk/coroutine_watch.h"
#include "tests/unit/sdk/history_script.h"

#define STACK_SIZE (64 * 1024)

static uint64_t used_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void count_for_ever(void *argument)
{
    volatile uint64_t *count = argument;
    for (;;)
        (*count)++;
}

#if !defined(__SANITIZE_ADDRESS__)
/* Nearly always inside the C library's allocator, whose lock must not be lost. */
static void allocate_for_ever(void *argument)
{
    volatile uint64_t *count = argument;
    for (;;) {
        void *volatile memory = malloc(1 + *count % 4096);
        free(memory);
        (*count)++;
    }
}
#endif

static void assert_interrupted(coroutine_fn *function)
{
    struct coroutine_pool *pool = coroutine_pool_create(STACK_SIZE, 1);
    struct coroutine *coroutine;
    uint64_t count = 0;
    uint64_t start_ns = used_ns();
    assert_int_equal(coroutine_create(pool, function, &count, &coroutine, NULL), 0);
    coroutine_resume(coroutine);
    assert_true(coroutine_was_interrupted(coroutine));
    assert_false(coroutine_is_done(coroutine));
    assert_false(coroutine_has_overflowed(coroutine));
    assert_true(count > 0);
    assert_true(used_ns() - start_ns >= COROUTINE_WATCH_NS / 2);
    coroutine_destroy(coroutine);
    coroutine_pool_destroy(pool);
    free(malloc(123456));
}

static void test_endless_comes_back(void **state)
{
    (void)state;
    assert_interrupted(count_for_ever);
}

#if !defined(__SANITIZE_ADDRESS__)
/* What it had allocated is lost, which a sanitizer reports. */
static void test_endless_in_the_allocator_comes_back(void **state)
{
    (void)state;
    assert_interrupted(allocate_for_ever);
}
#endif

static void *run_with_signals_blocked(void *argument)
{
    bool *was_interrupted = argument;
    struct coroutine_pool *pool = coroutine_pool_create(STACK_SIZE, 1);
    struct coroutine *coroutine;
    uint64_t count = 0;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (coroutine_create(pool, count_for_ever, &count, &coroutine, NULL) == 0) {
        coroutine_resume(coroutine);
        *was_interrupted = coroutine_was_interrupted(coroutine);
        coroutine_destroy(coroutine);
    }
    coroutine_pool_destroy(pool);
    return NULL;
}

/* As threads of a program are that takes its signals by a descriptor. */
static void test_endless_comes_back_where_signals_are_blocked(void **state)
{
    (void)state;
    pthread_t thread;
    bool was_interrupted = false;
    assert_int_equal(pthread_create(&thread, NULL, run_with_signals_blocked, &was_interrupted), 0);
    pthread_join(thread, NULL);
    assert_true(was_interrupted);
}

struct worker {
    struct coroutine *coroutine;
    volatile bool is_over;
};

static void count_and_yield(void *argument)
{
    struct worker *worker = argument;
    while (!worker->is_over) {
        for (volatile int i = 0; i < 100000; i = i + 1)
            ;
        coroutine_yield(worker->coroutine);
    }
}

static void test_who_yields_is_left_alone(void **state)
{
    (void)state;
    struct coroutine_pool *pool = coroutine_pool_create(STACK_SIZE, 1);
    struct worker worker = {0};
    uint64_t start_ns = used_ns();
    assert_int_equal(coroutine_create(pool, count_and_yield, &worker, &worker.coroutine, NULL), 0);
    while (!worker.is_over) {
        coroutine_resume(worker.coroutine);
        worker.is_over = used_ns() - start_ns > 2 * COROUTINE_WATCH_NS + NS_PER_S;
    }
    coroutine_resume(worker.coroutine);
    assert_true(coroutine_is_done(worker.coroutine));
    coroutine_destroy(worker.coroutine);
    coroutine_pool_destroy(pool);
}

static struct script script;

static int loops(struct argosy_workflow *workflow, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)workflow, (void)user_data, (void)ret_result, (void)err;
    uint64_t count = 0;
    count_for_ever(&count);
    return 0;
}

static void test_workflow_is_named(void **state)
{
    (void)state;
    script_init(&script, loops, NULL);
    script_started(&script, NULL);
    script_open_task(&script);
    struct workflow_answer answer = script_task(&script);
    assert_int_equal(answer.method, METHOD_RESPOND_WORKFLOW_TASK_FAILED);
    assert_int_equal(answer.failure.code, ERR_LIMIT);
    assert_non_null(strstr(answer.failure.text, "workflow type \"Scripted\", id \"script-1\", run "
                                                "\"" SCRIPT_RUN_ID "\": the code computed for over "
                                                "2 s without waiting for anything"));
    script_fini(&script);
}

int main(void)
{
#if defined(__SANITIZE_THREAD__)
    print_message("skipped: the thread sanitizer holds signals back\n");
    return 77;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    print_message("skipped: the thread sanitizer holds signals back\n");
    return 77;
#endif
#endif
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endless_comes_back),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(test_endless_in_the_allocator_comes_back),
#endif
        cmocka_unit_test(test_endless_comes_back_where_signals_are_blocked),
        cmocka_unit_test(test_who_yields_is_left_alone),
        cmocka_unit_test(test_workflow_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
