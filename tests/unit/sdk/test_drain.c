/* SPDX-License-Identifier: Apache-2.0 */
/* A worker that ends while tasks are on their way to it, or while others still hold its tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/sdk/engine_fixture.h"

#define QUEUE          "test-queue"
#define ACTIVITY_COUNT 400
#define DRAIN_COUNT    20

static struct engine_fixture engine;
static struct argosy_registry *registry;
static struct argosy_arena *arena;
static struct argosy_client *client;
static struct gate gate;

static int setup(void **state)
{
    (void)state;
    engine_fixture_start(&engine, false);
    registry = argosy_registry_create();
    arena = argosy_arena_create();
    client = fixture_client(&engine);
    gate_init(&gate);
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

static void serve(struct fixture_worker *worker, int slots, bool is_for_workflows)
{
    const struct argosy_worker_queue queue = {.name = QUEUE, .slots = slots};
    fixture_worker_start(worker, &engine, registry,
                         (struct argosy_worker_options){.queues = &queue,
                                                        .queue_count = 1,
                                                        .without_workflows = !is_for_workflows,
                                                        .without_activities = is_for_workflows});
}

static void start(const char *id, const char *type)
{
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_error err = {0};
    if (argosy_client_start(client,
                            &(struct argosy_start_options){
                                .workflow_id = id, .workflow_type = type, .task_queue = QUEUE},
                            run_id, &err) < 0)
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

/* ---- nothing is lost ---- */

static atomic_int losses;

static int note_losses(struct argosy_activity *activity, void *user_data,
                       struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result, (void)err;
    atomic_fetch_add(&losses, argosy_activity_info(activity)->loss_count);
    gate_pass(&gate);
    return 0;
}

static int fan_out(struct argosy_workflow *workflow, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    struct argosy_future *futures[ACTIVITY_COUNT];
    for (size_t i = 0; i < ACTIVITY_COUNT; i++)
        futures[i] = argosy_activity_start(
            workflow, &(struct argosy_activity_options){.type = "note_losses",
                                                        .start_to_close_timeout_ms = 30000});
    return argosy_await_all(futures, ACTIVITY_COUNT, err);
}

/* Each drain meets tasks that the engine has just sent: they are handed back, not lost. */
static void test_drain_loses_nothing(void **state)
{
    (void)state;
    atomic_store(&losses, 0);
    argosy_registry_add_workflow(registry, "FanOut", fan_out, NULL, NULL);
    argosy_registry_add_activity(registry, "note_losses", note_losses, NULL, NULL);
    struct fixture_worker workflows, activities;
    serve(&workflows, 0, true);
    start("fan-out", "FanOut");
    serve(&activities, 1, false);
    gate_wait(&gate, 1); /* from now on the queue is full */
    fixture_worker_stop(&activities, 20000);
    for (int i = 0; i < DRAIN_COUNT; i++) {
        serve(&activities, 4, false);
        fixture_worker_stop(&activities, 20000);
    }
    serve(&activities, 16, false);
    assert_string_equal(result_text("fan-out"), "null");
    assert_int_equal(atomic_load(&losses), 0);
    fixture_worker_stop(&activities, 5000);
    fixture_worker_stop(&workflows, 5000);
}

/* ---- a handle outlives its worker ---- */

static struct argosy_activity *kept;

static void keep(struct argosy_activity *activity, void *user_data)
{
    (void)user_data;
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

/* The first worker's grace ends before its batch does: the second has the task, and what the first
 * one's thread says afterwards is heard by nobody. */
static void test_completion_after_the_worker(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "CallKeep", call_keep, NULL, NULL);
    argosy_registry_add_async_activity(registry, "keep", keep, NULL, NULL);
    struct fixture_worker workflows, first, second;
    serve(&workflows, 0, true);
    serve(&first, 4, false);
    start("kept", "CallKeep");
    gate_wait(&gate, 1);
    struct argosy_activity *late = kept;
    fixture_worker_stop(&first, 0);
    serve(&second, 4, false);
    gate_wait(&gate, 2);

    assert_true(argosy_activity_is_draining(late));
    assert_true(argosy_activity_is_canceled(late));
    assert_string_equal(argosy_activity_info(late)->task_queue, QUEUE);
    argosy_activity_heartbeat(late, NULL);
    struct argosy_payload wrong = argosy_payload_json("\"late\"");
    argosy_activity_complete(late, &wrong);

    struct argosy_payload right = argosy_payload_json("\"in time\"");
    argosy_activity_complete(kept, &right);
    assert_string_equal(result_text("kept"), "\"in time\"");
    fixture_worker_stop(&second, 5000);
    fixture_worker_stop(&workflows, 5000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(drain_loses_nothing),
                                       TEST(completion_after_the_worker)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
