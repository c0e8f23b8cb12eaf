/* SPDX-License-Identifier: Apache-2.0 */
/* The users' test environment: a real engine as a child, gone when it is stopped; and its time. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <argosy/argosy.h>

#define QUEUE  "q"
#define DAY_MS INT64_C(86400000)
#define DAY_US (DAY_MS * 1000)

static struct argosy_test_env *env;
static struct argosy_arena *arena;
static struct argosy_registry *registry;
static struct argosy_client *client;
static struct argosy_worker *worker;
static pthread_t thread;

static struct argosy_client *connect_to(const char *endpoint)
{
    struct argosy_client *connected;
    struct argosy_error err = {0};
    if (argosy_client_connect(&(struct argosy_connection_options){.endpoint = endpoint}, &connected,
                              &err) < 0)
        fail_msg("%s", err.text);
    return connected;
}

static void test_start_use_stop(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    arena = argosy_arena_create();
    if (argosy_test_env_start(&env, &err) < 0)
        fail_msg("%s", err.text);
    char *endpoint = strdup(argosy_test_env_endpoint(env));
    client = connect_to(endpoint);
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_start_options options = {
        .workflow_id = "one", .workflow_type = "T", .task_queue = QUEUE};
    assert_int_equal(argosy_client_start(client, &options, run_id, &err), 0);
    /* Its time is nobody's to skip. */
    assert_int_equal(argosy_test_env_sleep(env, 1, &err), ARGOSY_ERR_STATE);
    const char *json;
    assert_int_equal(argosy_client_call(client, "LockTimeSkipping", "{}", arena, &json, &err),
                     ARGOSY_ERR_STATE);
    assert_string_equal(err.text, "this engine was not started to skip time");
    argosy_client_close(client);
    argosy_test_env_stop(env);
    /* The folder of its socket is gone, and with it the engine's only door. */
    *strrchr(endpoint, '/') = '\0';
    assert_int_equal(access(endpoint + strlen("ipc://"), F_OK), -1);
    free(endpoint);
    argosy_arena_destroy(arena);
}

/* ---- skipped time ---- */

static void *run_worker(void *argument)
{
    (void)argument;
    struct argosy_error err = {0};
    assert_int_equal(argosy_worker_run(worker, &err), 0);
    return NULL;
}

static atomic_int attempts;

static int fail_thrice(struct argosy_activity *activity, void *user_data,
                       struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    int attempt = argosy_activity_info(activity)->attempt;
    attempts = attempt;
    return attempt < 4 ? argosy_error_set(err, ARGOSY_ERR_UNAVAILABLE, "not yet") : 0;
}

/* Waits for the signal "go" for 10 days; whole days until it came or the time was over. */
static int wait_for_go(struct argosy_workflow *workflow, void *user_data,
                       struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int64_t begin_us = argosy_workflow_now_utc_us(workflow);
    int code = argosy_signal_receive(workflow, "go", 10 * DAY_MS, NULL, err);
    int64_t days = (argosy_workflow_now_utc_us(workflow) - begin_us) / DAY_US;
    *ret_result = argosy_payload_integer(argosy_workflow_arena(workflow),
                                         code == ARGOSY_ERR_TIMEOUT ? -days : days);
    return code == ARGOSY_ERR_TIMEOUT ? 0 : code;
}

/* Three retries, a day apart. */
static int retry_daily(struct argosy_workflow *workflow, void *user_data,
                       struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){
            .type = "fail_thrice",
            .start_to_close_timeout_ms = 60000,
            .retry_policy = {.initial_interval_ms = DAY_MS, .backoff_coefficient = 1}},
        ret_result, err);
}

/* An activity that nobody serves, with a schedule-to-start timeout of a day. */
static int wait_in_vain(struct argosy_workflow *workflow, void *user_data,
                        struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "fail_thrice",
                                          .task_queue = "nobody",
                                          .start_to_close_timeout_ms = 60000,
                                          .schedule_to_start_timeout_ms = DAY_MS},
        ret_result, err);
}

static int setup_skipping(void **state)
{
    (void)state;
    static const struct argosy_worker_queue queue = {.name = QUEUE, .slots = 2};
    struct argosy_error err = {0};
    arena = argosy_arena_create();
    registry = argosy_registry_create();
    argosy_registry_add_workflow(registry, "WaitForGo", wait_for_go, NULL, NULL);
    argosy_registry_add_workflow(registry, "RetryDaily", retry_daily, NULL, NULL);
    argosy_registry_add_workflow(registry, "WaitInVain", wait_in_vain, NULL, NULL);
    argosy_registry_add_activity(registry, "fail_thrice", fail_thrice, NULL, NULL);
    if (argosy_test_env_start_skipping(&env, &err) < 0)
        fail_msg("%s", err.text);
    client = connect_to(argosy_test_env_endpoint(env));
    struct argosy_worker_options options = {
        .connection = {.endpoint = argosy_test_env_endpoint(env)},
        .queues = &queue,
        .queue_count = 1};
    assert_int_equal(argosy_worker_create(&options, registry, &worker, &err), 0);
    return pthread_create(&thread, NULL, run_worker, NULL);
}

static int teardown_skipping(void **state)
{
    (void)state;
    argosy_worker_stop(worker, 1000);
    pthread_join(thread, NULL);
    argosy_worker_destroy(worker);
    argosy_client_close(client);
    argosy_test_env_stop(env);
    argosy_registry_destroy(registry);
    argosy_arena_destroy(arena);
    return 0;
}

static void start(const char *id, const char *type)
{
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_error err = {0};
    struct argosy_start_options options = {
        .workflow_id = id, .workflow_type = type, .task_queue = QUEUE};
    if (argosy_client_start(client, &options, run_id, &err) < 0)
        fail_msg("%s", err.text);
}

static const char *result_of(const char *id)
{
    struct argosy_payload result;
    struct argosy_error err = {0};
    if (argosy_client_result(client, id, NULL, 60000, arena, &result, &err) < 0)
        fail_msg("%s", err.text);
    return argosy_payload_text(&result, arena);
}

static int64_t now_us(void)
{
    int64_t utc_us;
    assert_int_equal(argosy_test_env_now(env, &utc_us, NULL), 0);
    return utc_us;
}

static void test_a_result_skips_what_waits(void **state)
{
    (void)state;
    int64_t begin_us = now_us();
    start("late", "WaitForGo");
    assert_string_equal(result_of("late"), "-10");
    assert_in_range(now_us() - begin_us, 10 * DAY_US, 10 * DAY_US + DAY_US / 2);
}

/* Between two calls nobody waits: what is started and what is said stay together. */
static void test_sleep_goes_to_the_day(void **state)
{
    (void)state;
    start("fourth", "WaitForGo");
    assert_int_equal(argosy_test_env_sleep(env, 4 * DAY_MS + DAY_MS / 2, NULL), 0);
    assert_int_equal(
        argosy_client_signal(client, "fourth", NULL, "go", (struct argosy_payloads){0}, NULL), 0);
    assert_string_equal(result_of("fourth"), "4");
}

static void test_locked_time_stands(void **state)
{
    (void)state;
    struct argosy_payload result;
    struct argosy_error err = {0};
    int64_t begin_us = now_us();
    assert_int_equal(argosy_test_env_lock_time(env, &err), 0);
    start("locked", "WaitForGo");
    assert_int_equal(argosy_client_result(client, "locked", NULL, 300, arena, &result, &err),
                     ARGOSY_ERR_TIMEOUT);
    assert_true(now_us() - begin_us < DAY_US);
    assert_int_equal(argosy_test_env_sleep(env, DAY_MS, &err), 0);
    assert_true(now_us() - begin_us >= DAY_US);
    assert_int_equal(argosy_test_env_unlock_time(env, &err), 0);
    assert_int_equal(argosy_test_env_unlock_time(env, &err), ARGOSY_ERR_STATE);
    assert_string_equal(result_of("locked"), "-10");
}

static void test_retries_and_timeouts_are_skipped(void **state)
{
    (void)state;
    struct argosy_payload result;
    struct argosy_error err = {0};
    int64_t begin_us = now_us();
    start("retry", "RetryDaily");
    result_of("retry");
    assert_int_equal(attempts, 4);
    assert_in_range(now_us() - begin_us, 3 * DAY_US, 3 * DAY_US + DAY_US / 2);
    start("vain", "WaitInVain");
    assert_int_equal(argosy_client_result(client, "vain", NULL, 60000, arena, &result, &err),
                     ARGOSY_ERR_FAILED);
    assert_int_equal(argosy_failure_timeout_type(argosy_failure_root(err.failure)),
                     ARGOSY_TIMEOUT_SCHEDULE_TO_START);
    assert_int_equal(argosy_test_env_sleep(env, -1, &err), ARGOSY_ERR_INVALID);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup_skipping, teardown_skipping)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_start_use_stop),
        TEST(a_result_skips_what_waits),
        TEST(sleep_goes_to_the_day),
        TEST(locked_time_stands),
        TEST(retries_and_timeouts_are_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
