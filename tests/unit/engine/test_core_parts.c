/* SPDX-License-Identifier: Apache-2.0 */
/* The core's small parts: retry decisions, the timer queue, task tokens, kept messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/failure.h"
#include "engine/task_token.h"

#define S INT64_C(1000000)

/* --- retry
 * ----------------------------------------------------------------------------------------- */

static void test_backoff(void **state)
{
    (void)state;
    const struct {
        int64_t initial_us, maximum_us;
        double coefficient;
        int32_t attempt;
        int64_t delay_us;
    } rows[] = {
        {1 * S, 100 * S, 2.0, 1, 1 * S},   {1 * S, 100 * S, 2.0, 4, 8 * S},
        {1 * S, 100 * S, 2.0, 8, 100 * S}, {1 * S, 100 * S, 2.0, 2000000000, 100 * S},
        {3 * S, 3 * S, 1.0, 50, 3 * S},    {2 * S, 100 * S, 1.5, 3, 4500000},
    };
    Api__Failure failure = API__FAILURE__INIT;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct retry_policy policy = {.initial_interval_us = rows[i].initial_us,
                                      .maximum_interval_us = rows[i].maximum_us,
                                      .backoff_coefficient = rows[i].coefficient};
        struct retry_question question = {.policy = &policy,
                                          .failure = &failure,
                                          .attempt = rows[i].attempt,
                                          .now_us = 7 * S,
                                          .expiration_us = INT64_MAX};
        int64_t due_us;
        assert_int_equal(retry_decide(&question, &due_us), RETRY_STATE_IN_PROGRESS);
        assert_int_equal(due_us, 7 * S + rows[i].delay_us);
        question.expiration_us = due_us; /* just in time */
        assert_int_equal(retry_decide(&question, &due_us), RETRY_STATE_IN_PROGRESS);
        question.expiration_us--;
        assert_int_equal(retry_decide(&question, &due_us), RETRY_STATE_TIMEOUT);
    }
}

static void test_retryable(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    static const char *const listed[] = {"Fatal", "TemporalTimeout:Heartbeat"};
    const struct retry_policy policy = {.initial_interval_us = S,
                                        .maximum_interval_us = S,
                                        .backoff_coefficient = 1.0,
                                        .maximum_attempts = 5,
                                        .non_retryable_types = listed,
                                        .non_retryable_type_count = 2};
    Api__Failure *canceled = message_new(&arena, &api__failure__descriptor);
    canceled->failure_info_case = API__FAILURE__FAILURE_INFO_CANCELED_FAILURE_INFO;
    canceled->canceled_failure_info = message_new(&arena, &api__canceled_failure_info__descriptor);
    const struct {
        const Api__Failure *failure;
        int32_t attempt;
        Api__RetryState expected;
    } rows[] = {
        {failure_application(&arena, "m", "Other"), 1, RETRY_STATE_IN_PROGRESS},
        {failure_application(&arena, "m", "Other"), 5, RETRY_STATE_MAXIMUM_ATTEMPTS_REACHED},
        {failure_application(&arena, "m", "Fatal"), 1, RETRY_STATE_NON_RETRYABLE_FAILURE},
        {failure_server(&arena, "m", false), 1, RETRY_STATE_IN_PROGRESS},
        {failure_server(&arena, "m", true), 1, RETRY_STATE_NON_RETRYABLE_FAILURE},
        {failure_timeout(&arena, TIMEOUT_TYPE_START_TO_CLOSE, NULL), 1, RETRY_STATE_IN_PROGRESS},
        {failure_timeout(&arena, TIMEOUT_TYPE_HEARTBEAT, NULL), 1,
         RETRY_STATE_NON_RETRYABLE_FAILURE},
        {canceled, 1, RETRY_STATE_NON_RETRYABLE_FAILURE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct retry_question question = {.policy = &policy,
                                          .failure = rows[i].failure,
                                          .attempt = rows[i].attempt,
                                          .expiration_us = INT64_MAX};
        int64_t due_us;
        assert_int_equal(retry_decide(&question, &due_us), rows[i].expected);
    }
    arena_fini(&arena);
}

static void test_retry_policy(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__RetryPolicy *filled;
    assert_int_equal(retry_policy_fill(NULL, &arena, &filled, NULL), 0);
    assert_int_equal(duration_us(filled->initial_interval), 1 * S);
    assert_int_equal(duration_us(filled->maximum_interval), 100 * S);
    assert_true(filled->backoff_coefficient == 2.0);
    Api__RetryPolicy *bad = message_new(&arena, &api__retry_policy__descriptor);
    bad->backoff_coefficient = 0.5;
    assert_int_equal(retry_policy_fill(bad, &arena, &filled, NULL), ERR_INVALID);
    bad->backoff_coefficient = __builtin_nan("");
    assert_int_equal(retry_policy_fill(bad, &arena, &filled, NULL), ERR_INVALID);
    bad->backoff_coefficient = 2.0;
    bad->maximum_attempts = -1;
    assert_int_equal(retry_policy_fill(bad, &arena, &filled, NULL), ERR_INVALID);
    bad->maximum_attempts = 0;
    bad->initial_interval = duration_new(&arena, 10 * S);
    bad->maximum_interval = duration_new(&arena, 9 * S);
    assert_int_equal(retry_policy_fill(bad, &arena, &filled, NULL), ERR_INVALID);
    arena_fini(&arena);
}

/* A stored failure is small, still UTF-8, and keeps what deciding needs. */
static void test_failure_cut(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    char *text = arena_alloc(&arena, 9001);
    for (size_t i = 0; i < 9000; i += 3)
        memcpy(text + i, "\xe2\x82\xac", 3); /* the euro sign: 1000 bytes end inside one */
    text[9000] = '\0';
    Api__Failure *large = failure_application(&arena, text, "Type");
    large->application_failure_info->has_non_retryable = true;
    large->application_failure_info->non_retryable = true;
    const Api__Failure *cut = failure_cut(large, &arena);
    assert_int_equal(strlen(cut->message), 999);
    assert_string_equal(cut->application_failure_info->type, "Type");
    assert_true(cut->application_failure_info->non_retryable);
    const Api__Failure *small = failure_application(&arena, "small", "Type");
    assert_ptr_equal(failure_cut(small, &arena), small);
    arena_fini(&arena);
}

/* --- timers
 * ---------------------------------------------------------------------------------------- */

/* Against the slow and obvious way: look at all of them. */
static void test_timer_queue(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    static struct deadline deadlines[COUNT];
    struct timer_queue queue = {0};
    unsigned seed = 7;
    for (int i = 0; i < COUNT; i++)
        deadlines[i] = (struct deadline){.major = i % 5, .minor = i};
    for (int step = 0; step < 20000; step++) {
        struct deadline *deadline = &deadlines[rand_r(&seed) % COUNT];
        if (rand_r(&seed) % 4 == 0)
            timer_queue_cancel(&queue, deadline);
        else
            timer_queue_set(&queue, deadline, rand_r(&seed) % 50);
        const struct deadline *expected = NULL;
        for (int i = 0; i < COUNT; i++) {
            const struct deadline *other = &deadlines[i];
            if (other->place == 0)
                continue;
            if (expected == NULL || other->at_us < expected->at_us ||
                (other->at_us == expected->at_us &&
                 (other->major < expected->major ||
                  (other->major == expected->major && other->minor < expected->minor))))
                expected = other;
        }
        assert_ptr_equal(timer_queue_first(&queue), expected);
    }
    timer_queue_fini(&queue);
}

/* --- tokens and messages
 * --------------------------------------------------------------------------- */

static void test_task_token(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct task_token token = {.kind = TASK_ACTIVITY,
                               .run_id = "7b1c8f5e-1d3a-4c59-9a86-0f3f0e9d2b11",
                               .id = INT64_C(0x123456789abcdef),
                               .attempt = 3,
                               .dispatch = 0x7fffffff};
    ProtobufCBinaryData data = task_token_encode(&token, &arena);
    struct task_token again;
    assert_int_equal(task_token_decode(data, &again, NULL), 0);
    assert_string_equal(again.run_id, token.run_id);
    assert_int_equal(again.kind, token.kind);
    assert_int_equal(again.id, token.id);
    assert_int_equal(again.attempt, token.attempt);
    assert_int_equal(again.dispatch, token.dispatch);
    data.len--;
    assert_int_equal(task_token_decode(data, &again, NULL), ERR_INVALID);
    data.len++;
    data.data[0]++;
    assert_int_equal(task_token_decode(data, &again, NULL), ERR_INVALID);
    arena_fini(&arena);
}

/* A message replaced a thousand times takes the memory of one. */
static void test_kept(void **state)
{
    (void)state;
    struct kept kept = {0};
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__Failure *failure = failure_application(&arena, "message", "Type");
    for (int i = 0; i < 1000; i++)
        kept_set(&kept, failure);
    assert_true(kept.arena.used < 1000);
    assert_string_equal(((Api__Failure *)kept.message)->message, "message");
    kept_set(&kept, NULL);
    assert_null(kept.message);
    kept_fini(&kept);
    arena_fini(&arena);
}

static void test_times(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    assert_int_equal(timestamp_us(timestamp_new(&arena, 1234567890123456)), 1234567890123456);
    assert_int_equal(duration_us(duration_new(&arena, 1500001)), 1500001);
    Api__Duration duration = API__DURATION__INIT;
    duration.nanos = 1; /* not zero: rounded up */
    assert_int_equal(duration_us(&duration), 1);
    duration.seconds = -5;
    assert_int_equal(duration_us(&duration), 0);
    duration.seconds = INT64_MAX;
    assert_int_equal(duration_us(&duration), DURATION_US_MAX);
    assert_string_equal(text_copy_valid(&arena, "a\xe2\x82"
                                                "b\xe2\x82\xac"),
                        "a??b\xe2\x82\xac");
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backoff),      cmocka_unit_test(test_retryable),
        cmocka_unit_test(test_retry_policy), cmocka_unit_test(test_failure_cut),
        cmocka_unit_test(test_timer_queue),  cmocka_unit_test(test_task_token),
        cmocka_unit_test(test_kept),         cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
