/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fleet without GPU workers, its engine a real one whose time skips: what somebody waits for
 * fails after the minute that the shipped workflows give gpu-queue, and says which timeout it was.
 */
#include <argosy/argosy.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "common/fleet_config.h"
#include "tests/test.h"
#include "workflows/shipped.h"

#define SECOND_US INT64_C(1000000)

static struct argosy_test_env *env;
static struct argosy_arena *arena;
static struct argosy_registry *registry;
static struct argosy_client *client;
static struct argosy_worker *worker;
static pthread_t thread;

static void *run_worker(void *argument)
{
    (void)argument;
    assert_int_equal(argosy_worker_run(worker, NULL), 0);
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    static const struct argosy_worker_queue queue = {.name = FLEET_QUEUE_CPU, .slots = 4};
    static const struct shipped_context context;
    struct argosy_error err = {0};
    arena = argosy_arena_create();
    registry = argosy_registry_create();
    assert_int_equal(shipped_register(registry, &context, &err), 0);
    if (argosy_test_env_start_skipping(&env, &err) < 0)
        fail_msg("%s", err.text);
    struct argosy_connection_options connection = {.endpoint = argosy_test_env_endpoint(env)};
    if (argosy_client_connect(&connection, &client, &err) < 0)
        fail_msg("%s", err.text);
    struct argosy_worker_options options = {
        .connection = connection, .queues = &queue, .queue_count = 1};
    assert_int_equal(argosy_worker_create(&options, registry, &worker, &err), 0);
    return pthread_create(&thread, NULL, run_worker, NULL);
}

static int teardown(void **state)
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

static int64_t now_us(void)
{
    int64_t utc_us;
    assert_int_equal(argosy_test_env_now(env, &utc_us, NULL), 0);
    return utc_us;
}

static void assert_gives_up_after_a_minute(const char *type, const char *input)
{
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_error err = {0};
    struct argosy_payload result;
    int64_t begin_us = now_us();
    struct argosy_start_options options = {.workflow_id = type,
                                           .workflow_type = type,
                                           .task_queue = FLEET_QUEUE_CPU,
                                           .input = ARGOSY_PAYLOADS(argosy_payload_json(input))};
    if (argosy_client_start(client, &options, run_id, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(argosy_client_result(client, type, run_id, 60000, arena, &result, &err),
                     ARGOSY_ERR_FAILED);
    const struct argosy_failure *cause = argosy_failure_root(err.failure);
    assert_int_equal(argosy_failure_kind(cause), ARGOSY_FAILURE_TIMEOUT);
    assert_int_equal(argosy_failure_timeout_type(cause), ARGOSY_TIMEOUT_SCHEDULE_TO_START);
    /* Once, not once for each attempt: nobody would serve the next one. */
    assert_in_range(now_us() - begin_us, 60 * SECOND_US, 119 * SECOND_US);
}

static void an_inference_gives_up(void **state)
{
    (void)state;
    assert_gives_up_after_a_minute(WORKFLOW_PREPARE_AND_INFER, "\"a text\"");
}

static void a_batch_gives_up(void **state)
{
    (void)state;
    assert_gives_up_after_a_minute(WORKFLOW_BATCH_EMBED, "[\"one\", \"two\"]");
}

static void a_search_gives_up(void **state)
{
    (void)state;
    assert_gives_up_after_a_minute(
        WORKFLOW_SEARCH, "{\"collection\": \"c\", \"question\": \"why?\", \"model\": \"tiny\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_inference_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_gives_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_search_gives_up, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
