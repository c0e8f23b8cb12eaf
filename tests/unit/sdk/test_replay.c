/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved histories: as the client prints them, and replayed against the code that made them and
 * against code that was changed since. tests/golden/history keeps histories of earlier versions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "tests/unit/sdk/engine_fixture.h"

#define QUEUE "replay-queue"

/* Asks for a name by signal "name", at most 60 s, and has it greeted by `type`. */
static int greet_with(const char *type, struct argosy_workflow *workflow,
                      struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct argosy_payload name;
    int code = argosy_signal_receive(workflow, "name", 60000, &name, err);
    if (code < 0)
        return code;
    struct argosy_activity_options options = {
        .type = type, .input = ARGOSY_PAYLOADS(name), .start_to_close_timeout_ms = 10000};
    return argosy_activity_execute(workflow, &options, ret_result, err);
}

static int greet(struct argosy_workflow *workflow, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return greet_with("say_hello", workflow, ret_result, err);
}

static int greet_otherwise(struct argosy_workflow *workflow, void *user_data,
                           struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return greet_with("say_goodbye", workflow, ret_result, err);
}

static int greet_and_sleep(struct argosy_workflow *workflow, void *user_data,
                           struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int code = greet_with("say_hello", workflow, ret_result, err);
    return code < 0 ? code : argosy_workflow_sleep(workflow, 1000, err);
}

static int say_hello(struct argosy_activity *activity, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)err;
    *ret_result = *argosy_activity_input(activity);
    return 0;
}

static int replay_with(argosy_workflow_function *function, const char *history,
                       struct argosy_error *err)
{
    struct argosy_registry *registry = argosy_registry_create();
    argosy_registry_add_workflow(registry, "Greet", function, NULL, NULL);
    int code = argosy_replay_history(registry, history, err);
    argosy_registry_destroy(registry);
    return code;
}

static void assert_replays(const char *history)
{
    struct argosy_error err = {0};
    if (replay_with(greet, history, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(replay_with(greet_otherwise, history, &err), ARGOSY_ERR_NONDETERMINISM);
    assert_non_null(strstr(err.text, "is ActivityTaskScheduled (activity \"1\" of type "
                                     "\"say_hello\"), but the code's command there is "
                                     "ScheduleActivityTask (activity \"1\" of type "
                                     "\"say_goodbye\")"));
    assert_int_equal(replay_with(greet_and_sleep, history, &err), ARGOSY_ERR_NONDETERMINISM);
    assert_non_null(strstr(err.text, "is WorkflowExecutionCompleted, but the code's command there "
                                     "is StartTimer (timer "));
}

/* ---- a run of today ---- */

static void test_saved_history(void **state)
{
    (void)state;
    struct engine_fixture engine;
    engine_fixture_start(&engine, false);
    struct argosy_registry *registry = argosy_registry_create();
    argosy_registry_add_workflow(registry, "Greet", greet, NULL, NULL);
    argosy_registry_add_activity(registry, "say_hello", say_hello, NULL, NULL);
    struct argosy_worker_queue queue = {.name = QUEUE, .slots = 1};
    struct argosy_worker_options options = {.queues = &queue, .queue_count = 1};
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options);
    struct argosy_client *client = fixture_client(&engine);
    struct argosy_arena *arena = argosy_arena_create();
    struct argosy_error err = {0};
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_start_options start = {
        .workflow_id = "greet-1", .workflow_type = "Greet", .task_queue = QUEUE};
    assert_int_equal(argosy_client_start(client, &start, run_id, &err), 0);
    assert_int_equal(argosy_client_signal(client, "greet-1", NULL, "name",
                                          ARGOSY_PAYLOADS(argosy_payload_json("\"Ada\"")), &err),
                     0);
    assert_int_equal(argosy_client_result(client, "greet-1", NULL, 20000, arena, NULL, &err), 0);

    const char *history;
    if (argosy_client_history(client, "greet-1", NULL, arena, &history, &err) < 0)
        fail_msg("%s", err.text);
    assert_replays(history);

    /* The same run by the calls in JSON. */
    const char *text;
    char request[256];
    snprintf(request, sizeof request,
             "{\"execution\": {\"workflowId\": \"greet-1\", \"runId\": \"%s\"}}", run_id);
    if (argosy_client_call(client, "GetWorkflowExecutionHistory", request, arena, &text, &err) < 0)
        fail_msg("%s", err.text);
    json_t *called = json_loads(text, 0, NULL);
    json_t *saved = json_loads(history, 0, NULL);
    assert_true(json_equal(json_object_get(called, "history"), saved));
    json_decref(called);
    json_decref(saved);
    if (argosy_client_describe(client, "greet-1", run_id, arena, &text, &err) < 0)
        fail_msg("%s", err.text);
    assert_non_null(strstr(text, "WORKFLOW_EXECUTION_STATUS_COMPLETED"));
    assert_int_equal(argosy_client_call(client, "Nothing", "{}", arena, &text, &err),
                     ARGOSY_ERR_INVALID);
    assert_string_equal(err.text, "there is no method \"Nothing\"");
    assert_int_equal(argosy_client_call(client, "ListWorkflowExecutions", "{", arena, &text, &err),
                     ARGOSY_ERR_INVALID);

    fixture_worker_stop(&worker, 5000);
    argosy_client_close(client);
    argosy_arena_destroy(arena);
    argosy_registry_destroy(registry);
    engine_fixture_stop(&engine);
}

/* ---- runs of earlier versions ---- */

static char *read_golden(const char *name)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/history/%s", getenv("ARGOSY_SOURCE_DIR"), name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = NULL;
    size_t size = 0;
    assert_true(getdelim(&text, &size, '\0', file) > 0);
    fclose(file);
    return text;
}

static void test_golden_history(void **state)
{
    (void)state;
    char *history = read_golden("0.1-greet.json");
    assert_replays(history);
    free(history);
}

static void test_no_history(void **state)
{
    (void)state;
    struct argosy_error err = {0};
    assert_int_equal(replay_with(greet, "{", &err), ARGOSY_ERR_INVALID);
    assert_non_null(strstr(err.text, "the history is not JSON: line 1"));
    assert_int_equal(replay_with(greet, "{\"event\": []}", &err), ARGOSY_ERR_INVALID);
    assert_non_null(strstr(err.text, "not a history: "));
    assert_int_equal(replay_with(greet, "{\"events\": []}", &err), ARGOSY_ERR_INVALID);
    char *history = read_golden("0.1-greet.json");
    struct argosy_registry *empty = argosy_registry_create();
    assert_int_equal(argosy_replay_history(empty, history, &err), ARGOSY_ERR_NOT_FOUND);
    assert_string_equal(err.text, "workflow type \"Greet\" is not registered here");
    argosy_registry_destroy(empty);
    free(history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_saved_history),
        cmocka_unit_test(test_golden_history),
        cmocka_unit_test(test_no_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
