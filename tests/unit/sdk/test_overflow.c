/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Code that runs over its stack: the coroutine comes back, its workflow task fails and names the
 * run; what is no overflow ends the process as ever.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sdk/coroutine.h"
#include "sdk/coroutine_guard.h"
#include "tests/unit/sdk/history_script.h"

#define STACK_SIZE (64 * 1024)

/* cmocka sets handlers of its own before each test: this one is put back. */
static struct sigaction guard_action;

static void take_signals(void)
{
    sigaction(SIGSEGV, &guard_action, NULL);
    sigaction(SIGBUS, &guard_action, NULL);
}

/* ---- coroutines ---- */

static int descend(int depth)
{
    volatile char frame[512];
    memset((char *)frame, depth & 0x7f, sizeof frame);
    return depth == 0 ? frame[0] : descend(depth - 1) + frame[1];
}

/* Arrays of which the far end is written first. */
static int descend_in_leaps(int depth)
{
    volatile char frame[40 * 1024];
    frame[0] = (char)depth;
    return depth == 0 ? frame[0] : descend_in_leaps(depth - 1) + frame[0];
}

struct overflow {
    int (*descend)(int depth);
    int result;
};

static void overflow(void *argument)
{
    struct overflow *overflow = argument;
    overflow->result = overflow->descend(1000000);
}

/* Runs function(argument) on a stack of pool; whether it overflowed. */
static bool overflows(struct coroutine_pool *pool, coroutine_fn *function, void *argument)
{
    struct coroutine *coroutine;
    take_signals();
    assert_int_equal(coroutine_create(pool, function, argument, &coroutine, NULL), 0);
    coroutine_resume(coroutine);
    bool has_overflowed = coroutine_has_overflowed(coroutine);
    assert_true(has_overflowed != coroutine_is_done(coroutine));
    coroutine_destroy(coroutine);
    return has_overflowed;
}

static int add_up(int depth)
{
    return depth;
}

static void test_overflow_comes_back(void **state)
{
    (void)state;
    struct coroutine_pool *pool = coroutine_pool_create(STACK_SIZE, 1);
    for (int i = 0; i < 10; i++) {
        assert_true(overflows(pool, overflow, &(struct overflow){.descend = descend}));
        assert_true(overflows(pool, overflow, &(struct overflow){.descend = descend_in_leaps}));
        assert_false(overflows(pool, overflow, &(struct overflow){.descend = add_up}));
    }
    coroutine_pool_destroy(pool);
}

static void *overflow_in_thread(void *argument)
{
    test_overflow_comes_back(argument);
    return NULL;
}

static void test_overflow_in_another_thread(void **state)
{
    (void)state;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, overflow_in_thread, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void overflow_inside(void *argument)
{
    bool *has_overflowed = argument;
    struct coroutine_pool *pool = coroutine_pool_create(STACK_SIZE, 0);
    *has_overflowed = overflows(pool, overflow, &(struct overflow){.descend = descend});
    coroutine_pool_destroy(pool);
}

static void test_overflow_of_the_inner_one(void **state)
{
    (void)state;
    bool has_overflowed = false;
    struct coroutine_pool *pool = coroutine_pool_create(STACK_SIZE, 1);
    assert_false(overflows(pool, overflow_inside, &has_overflowed));
    assert_true(has_overflowed);
    coroutine_pool_destroy(pool);
}

static void write_to_null(void *argument)
{
    *(volatile int *)argument = 1;
}

/* What is no overflow ends the process as ever: also after an overflow, and outside coroutines. */
static void test_other_faults_end_the_process(void **state)
{
    (void)state;
    for (int is_inside = 0; is_inside <= 1; is_inside++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            close(STDERR_FILENO);
            struct coroutine_pool *pool = coroutine_pool_create(STACK_SIZE, 1);
            overflows(pool, overflow, &(struct overflow){.descend = descend});
            if (is_inside)
                overflows(pool, write_to_null, NULL);
            else
                write_to_null(NULL);
            _exit(0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        /* A signal, or the exit with which a sanitizer reports it. */
        assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) != 0);
    }
}

/* ---- workflows ---- */

static struct script script;

static int deep(struct argosy_workflow *workflow, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)err;
    *ret_result = argosy_payload_integer(argosy_workflow_arena(workflow), descend(1000000));
    return 0;
}

static void test_workflow_is_named(void **state)
{
    (void)state;
    take_signals();
    script_init(&script, deep, NULL);
    script_started(&script, NULL);
    script_open_task(&script);
    struct workflow_answer answer = script_task(&script);
    assert_int_equal(answer.method, METHOD_RESPOND_WORKFLOW_TASK_FAILED);
    assert_int_equal(answer.failure.code, ERR_LIMIT);
    assert_non_null(strstr(answer.failure.text, "workflow type \"Scripted\", id \"script-1\": the "
                                                "code ran over its stack of 63 KiB"));
    script_fini(&script);
}

static int deep_query(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                      void *user_data, struct argosy_payload *ret_answer, struct argosy_error *err)
{
    (void)input;
    return deep(workflow, user_data, ret_answer, err);
}

static int answers_deeply(struct argosy_workflow *workflow, void *user_data,
                          struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    argosy_query_handle(workflow, "depth", deep_query, NULL);
    return argosy_workflow_sleep(workflow, 1000, err);
}

/* The query alone fails. */
static void test_query_is_named(void **state)
{
    (void)state;
    take_signals();
    script_init(&script, answers_deeply, NULL);
    script_started(&script, NULL);
    script_open_task(&script);
    script_commands(&script);
    script_task_completed(&script);
    script_timer_started(&script, "1");
    for (int i = 0; i < 2; i++) { /* a run that was kept, a run that is rebuilt */
        struct workflow_answer answer =
            script_task_by(&script, &script.kept, i == 0 ? script.count : 0, "depth");
        run_cache_drop(&script.kept.cache, SCRIPT_RUN_ID);
        assert_int_equal(answer.method, METHOD_RESPOND_QUERY_TASK_COMPLETED);
        const Api__RespondQueryTaskCompletedRequest *request =
            (const Api__RespondQueryTaskCompletedRequest *)answer.request;
        assert_int_equal(request->completed_type, QUERY_RESULT_TYPE_FAILED);
        assert_non_null(strstr(request->error_message, "id \"script-1\": the code ran over"));
    }
    script_fini(&script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overflow_comes_back),
        cmocka_unit_test(test_overflow_in_another_thread),
        cmocka_unit_test(test_overflow_of_the_inner_one),
        cmocka_unit_test(test_other_faults_end_the_process),
        cmocka_unit_test(test_workflow_is_named),
        cmocka_unit_test(test_query_is_named),
    };
    coroutine_guard_thread();
    sigaction(SIGSEGV, NULL, &guard_action);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
