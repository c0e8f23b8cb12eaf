/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong and must come right: the engine restarts, runs are dropped from memory, code and
 * history part, results are too large. Against the real engine (engine_fixture.h).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sdk/engine_fixture.h"

#define QUEUE "recovery-queue"

static struct engine_fixture engine;
static struct argosy_registry *registry;
static struct argosy_arena *arena;
static struct argosy_client *client;
static struct gate gate;
static atomic_int runs;

static int setup(void **state)
{
    (void)state;
    engine_fixture_start(&engine, true);
    registry = argosy_registry_create();
    arena = argosy_arena_create();
    client = fixture_client(&engine);
    gate_init(&gate);
    atomic_store(&runs, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    argosy_client_close(client);
    argosy_arena_destroy(arena);
    argosy_registry_destroy(registry);
    engine_fixture_stop(&engine);
    gate_fini(&gate);
    return 0;
}

static void serve(struct fixture_worker *worker, int slots, int cached_runs)
{
    struct argosy_worker_queue queue = {.name = QUEUE, .slots = slots};
    struct argosy_worker_options options = {
        .queues = &queue, .queue_count = 1, .cached_runs = cached_runs};
    fixture_worker_start(worker, &engine, registry, options);
}

static void start(const char *id, const char *type, const char *input)
{
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_error err = {0};
    struct argosy_start_options options = {
        .workflow_id = id,
        .workflow_type = type,
        .task_queue = QUEUE,
        .input = ARGOSY_PAYLOADS(argosy_payload_json(input)),
        .task_timeout_ms = 1000, /* a task that was not answered is soon somebody else's */
    };
    if (argosy_client_start(client, &options, run_id, &err) < 0)
        fail_msg("%s", err.text);
}

static const char *result_text(const char *id)
{
    struct argosy_payload result;
    struct argosy_error err = {0};
    if (argosy_client_result(client, id, NULL, 30000, arena, &result, &err) < 0)
        fail_msg("%s", err.text);
    return argosy_payload_text(&result, arena);
}

/* ---- the engine restarts ---- */

static struct argosy_activity *kept;

static void keep(struct argosy_activity *activity, void *user_data)
{
    (void)user_data;
    atomic_fetch_add(&runs, 1);
    kept = activity;
    gate_pass(&gate);
}

static int call_keep(struct argosy_workflow *workflow, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "keep", .start_to_close_timeout_ms = 30000},
        ret_result, err);
}

/* The outcome is known while there is no engine: it is delivered to the next one, which is told in
 * Hello that the task is still held, and so gives it to nobody else. */
static void test_engine_restarts(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "CallKeep", call_keep, NULL, NULL);
    argosy_registry_add_async_activity(registry, "keep", keep, NULL, NULL);
    struct fixture_worker worker;
    serve(&worker, 4, 0);
    start("kept", "CallKeep", "null");
    gate_wait(&gate, 1);
    engine_fixture_pause(&engine);
    struct argosy_payload result = argosy_payload_json("\"done meanwhile\"");
    argosy_activity_complete(kept, &result);
    engine_fixture_resume(&engine);
    assert_string_equal(result_text("kept"), "\"done meanwhile\"");
    assert_int_equal(atomic_load(&runs), 1);
    fixture_worker_stop(&worker, 5000);
}

static int until_canceled(struct argosy_activity *activity, void *user_data,
                          struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result, (void)err;
    gate_pass(&gate);
    while (!argosy_activity_is_canceled(activity))
        sched_yield();
    gate_pass(&gate);
    return 0;
}

/* The next engine has never heard of the task: the activity is told to give up. */
static void test_lost_tasks_are_canceled(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "CallKeep", call_keep, NULL, NULL);
    argosy_registry_add_activity(registry, "keep", until_canceled, NULL, NULL);
    struct fixture_worker worker;
    serve(&worker, 1, 0);
    start("lost", "CallKeep", "null");
    gate_wait(&gate, 1);
    engine_fixture_pause(&engine);
    engine.store[0] = '\0';
    engine_fixture_resume(&engine);
    gate_wait(&gate, 2);
    fixture_worker_stop(&worker, 5000);
}

/* ---- long histories of dropped runs ---- */

static int echo(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)err;
    *ret_result = *argosy_activity_input(activity);
    atomic_fetch_add(&runs, 1);
    return 0;
}

/* Rounds of ten activities at once: over 256 events, so that a history takes several pages. */
static int rounds(struct argosy_workflow *workflow, void *user_data,
                  struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int64_t sum = 0;
    for (int round = 0; round < 10; round++) {
        struct argosy_future *futures[10];
        for (int i = 0; i < 10; i++)
            futures[i] = argosy_activity_start(
                workflow,
                &(struct argosy_activity_options){.type = "echo",
                                                  .input = ARGOSY_PAYLOADS(argosy_payload_integer(
                                                      argosy_workflow_arena(workflow), round * i)),
                                                  .start_to_close_timeout_ms = 20000});
        int code = argosy_await_all(futures, 10, err);
        for (int i = 0; code == 0 && i < 10; i++) {
            struct argosy_payload result;
            int64_t value = 0;
            code = argosy_await(futures[i], &result, err);
            if (code == 0)
                code = argosy_payload_get_integer(&result, &value, err);
            sum += value;
        }
        if (code < 0)
            return code;
    }
    *ret_result = argosy_payload_integer(argosy_workflow_arena(workflow), sum);
    return 0;
}

static void test_dropped_runs_are_rebuilt(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "Rounds", rounds, NULL, NULL);
    argosy_registry_add_activity(registry, "echo", echo, NULL, NULL);
    struct fixture_worker worker;
    serve(&worker, 4, 1);
    start("rounds-1", "Rounds", "null");
    start("rounds-2", "Rounds", "null");
    start("rounds-3", "Rounds", "null");
    /* 45 * 45, by hand. */
    assert_string_equal(result_text("rounds-1"), "2025");
    assert_string_equal(result_text("rounds-2"), "2025");
    assert_string_equal(result_text("rounds-3"), "2025");
    assert_int_equal(atomic_load(&runs), 300);
    fixture_worker_stop(&worker, 5000);
}

/* ---- code that changed under a run ---- */

static int waits(struct argosy_workflow *workflow, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    const int *version = user_data;
    struct argosy_activity_options options = {.type = *version == 1 ? "echo" : "other",
                                              .start_to_close_timeout_ms = 20000};
    int code = argosy_activity_execute(workflow, &options, NULL, err);
    if (code == 0)
        gate_pass(&gate);
    return code < 0 ? code : argosy_signal_receive(workflow, "go", -1, ret_result, err);
}

/* Asks for the run's history until it holds text (the test's timeout ends a wait in vain). */
static const char *history_with(const char *id, const char *text)
{
    for (;;) {
        struct argosy_error err = {0};
        struct argosy_arena *scratch = argosy_arena_create();
        const char *history;
        if (argosy_client_history(client, id, NULL, scratch, &history, &err) < 0)
            fail_msg("%s", err.text);
        const char *copy =
            strstr(history, text) == NULL ? NULL : argosy_arena_printf(arena, "%s", history);
        argosy_arena_destroy(scratch);
        if (copy != NULL)
            return copy;
        sched_yield();
    }
}

static void test_nondeterminism_waits_for_fixed_code(void **state)
{
    (void)state;
    int version = 1;
    argosy_registry_add_workflow(registry, "Waits", waits, &version, NULL);
    argosy_registry_add_activity(registry, "echo", echo, NULL, NULL);
    struct fixture_worker worker;
    serve(&worker, 1, 0);
    start("changed", "Waits", "null");
    gate_wait(&gate, 1);
    fixture_worker_stop(&worker, 5000);

    version = 2;
    serve(&worker, 1, 0);
    struct argosy_error err = {0};
    assert_int_equal(argosy_client_signal(client, "changed", NULL, "go",
                                          ARGOSY_PAYLOADS(argosy_payload_json("5")), &err),
                     0);
    const char *history = history_with("changed", "NON_DETERMINISTIC_ERROR");
    assert_non_null(strstr(history, "but the code's command there is ScheduleActivityTask "
                                    "(activity \\\"1\\\" of type \\\"other\\\")"));
    fixture_worker_stop(&worker, 5000);

    version = 1;
    serve(&worker, 1, 0);
    assert_string_equal(result_text("changed"), "5");
    fixture_worker_stop(&worker, 5000);
}

/* ---- tasks of several pages ---- */

#define WIDTH 300

/* Activities side by side, and then a signal. */
static int wide(struct argosy_workflow *workflow, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    const int *version = user_data;
    struct argosy_future *futures[WIDTH];
    for (int i = 0; i < WIDTH; i++)
        futures[i] = argosy_activity_start(
            workflow, &(struct argosy_activity_options){.type = *version == 1 ? "echo" : "other",
                                                        .start_to_close_timeout_ms = 20000});
    int code = argosy_await_all(futures, WIDTH, err);
    if (code == 0)
        gate_pass(&gate);
    return code < 0 ? code : argosy_signal_receive(workflow, "go", -1, ret_result, err);
}

/* A run's next task, at the worker that has the run, is longer than a page; so is a repeated
 * attempt at another worker, whose last events are in no history yet. */
static void test_long_tasks(void **state)
{
    (void)state;
    int version = 1;
    argosy_registry_add_workflow(registry, "Wide", wide, &version, NULL);
    argosy_registry_add_activity(registry, "echo", echo, NULL, NULL);
    struct fixture_worker worker;
    serve(&worker, 4, 10);
    start("wide", "Wide", "null");
    gate_wait(&gate, 1);
    fixture_worker_stop(&worker, 5000);
    assert_null(strstr(history_with("wide", "ACTIVITY_TASK_COMPLETED"), "WORKFLOW_TASK_FAILED"));

    version = 2;
    serve(&worker, 1, 0);
    struct argosy_error err = {0};
    assert_int_equal(argosy_client_signal(client, "wide", NULL, "go",
                                          ARGOSY_PAYLOADS(argosy_payload_json("5")), &err),
                     0);
    history_with("wide", "NON_DETERMINISTIC_ERROR");
    fixture_worker_stop(&worker, 5000);

    version = 1;
    serve(&worker, 1, 0);
    assert_string_equal(result_text("wide"), "5");
    fixture_worker_stop(&worker, 5000);
}

/* ---- attempts ---- */

static int second_time_lucky(struct argosy_activity *activity, void *user_data,
                             struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    const struct argosy_activity_info *info = argosy_activity_info(activity);
    struct argosy_payload progress =
        argosy_payload_integer(argosy_activity_arena(activity), info->attempt);
    *ret_result = *argosy_activity_last_heartbeat(activity);
    argosy_activity_heartbeat(activity, NULL);
    argosy_activity_heartbeat(activity, &progress);
    if (info->attempt < 3)
        return argosy_error_set(err, ARGOSY_ERR_UNAVAILABLE, "attempt %d", info->attempt);
    return 0;
}

static int call_lucky(struct argosy_workflow *workflow, void *user_data,
                      struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){
            .type = "lucky",
            .start_to_close_timeout_ms = 20000,
            .heartbeat_timeout_ms = 20000,
            .retry_policy = {.initial_interval_ms = 1, .maximum_attempts = 3}},
        ret_result, err);
}

/* The third attempt sees what the second one said last, though the throttle kept it back. */
static void test_retries_resume(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "CallLucky", call_lucky, NULL, NULL);
    argosy_registry_add_activity(registry, "lucky", second_time_lucky, NULL, NULL);
    struct fixture_worker worker;
    serve(&worker, 1, 0);
    start("lucky", "CallLucky", "null");
    assert_string_equal(result_text("lucky"), "2");
    fixture_worker_stop(&worker, 5000);
}

/* ---- too much ---- */

static int huge(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)err;
    size_t size = 2 * 1024 * 1024 + 1;
    char *bytes = argosy_arena_alloc(argosy_activity_arena(activity), size);
    memset(bytes, 'x', size);
    *ret_result = argosy_payload_binary(bytes, size);
    return 0;
}

static int call_huge(struct argosy_workflow *workflow, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "huge", .start_to_close_timeout_ms = 20000},
        ret_result, err);
}

static void test_result_over_the_limit(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "CallHuge", call_huge, NULL, NULL);
    argosy_registry_add_activity(registry, "huge", huge, NULL, NULL);
    struct fixture_worker worker;
    serve(&worker, 1, 0);
    start("huge", "CallHuge", "null");
    struct argosy_error err = {0};
    assert_int_equal(argosy_client_result(client, "huge", NULL, 30000, arena, NULL, &err),
                     ARGOSY_ERR_FAILED);
    assert_string_equal(err.text, "the result of 2097153 bytes is over 2097152");
    fixture_worker_stop(&worker, 5000);
}

/* Three inputs of 2 MiB do not fit one answer. */
static int call_three_huge(struct argosy_workflow *workflow, void *user_data,
                           struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    size_t size = 2 * 1024 * 1024;
    char *bytes = argosy_workflow_alloc(workflow, size);
    memset(bytes, 'x', size);
    struct argosy_future *futures[3];
    for (int i = 0; i < 3; i++)
        futures[i] = argosy_activity_start(
            workflow, &(struct argosy_activity_options){
                          .type = "echo",
                          .input = ARGOSY_PAYLOADS(argosy_payload_binary(bytes, size)),
                          .start_to_close_timeout_ms = 20000});
    return argosy_await_all(futures, 3, err);
}

static void test_answer_over_the_limit(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "CallThreeHuge", call_three_huge, NULL, NULL);
    argosy_registry_add_activity(registry, "echo", echo, NULL, NULL);
    struct fixture_worker worker;
    serve(&worker, 1, 0);
    start("three-huge", "CallThreeHuge", "null");
    const char *history = history_with("three-huge", "GRPC_MESSAGE_TOO_LARGE");
    assert_non_null(strstr(history, "GRPC_MESSAGE_TOO_LARGE"));
    assert_int_equal(argosy_client_terminate(client, "three-huge", NULL, NULL, NULL), 0);
    fixture_worker_stop(&worker, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(engine_restarts),
        TEST(lost_tasks_are_canceled),
        TEST(dropped_runs_are_rebuilt),
        TEST(nondeterminism_waits_for_fixed_code),
        TEST(long_tasks),
        TEST(retries_resume),
        TEST(result_over_the_limit),
        TEST(answer_over_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
