/* SPDX-License-Identifier: Apache-2.0 */
/* Client, worker and workflow code against the real engine (engine_fixture.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/sdk/engine_fixture.h"

#define QUEUE "test-queue"

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

static struct argosy_worker_options options_of(int slots)
{
    static struct argosy_worker_queue queue;
    queue = (struct argosy_worker_queue){.name = QUEUE, .slots = slots};
    return (struct argosy_worker_options){.queues = &queue, .queue_count = 1};
}

static void start(const char *id, const char *type, struct argosy_payloads input)
{
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_error err = {0};
    struct argosy_start_options options = {
        .workflow_id = id, .workflow_type = type, .task_queue = QUEUE, .input = input};
    if (argosy_client_start(client, &options, run_id, &err) < 0)
        fail_msg("%s", err.text);
}

static const char *result_text(const char *id)
{
    struct argosy_payload result;
    struct argosy_error err = {0};
    if (argosy_client_result(client, id, NULL, 20000, arena, &result, &err) < 0)
        fail_msg("%s", err.text);
    return argosy_payload_text(&result, arena);
}

/* ---- a pipeline ---- */

static int add_one(struct argosy_activity *activity, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int64_t value;
    int code = argosy_payload_get_integer(argosy_activity_input(activity), &value, err);
    if (code == 0)
        *ret_result = argosy_payload_integer(argosy_activity_arena(activity), value + 1);
    return code;
}

static void add_one_async(struct argosy_activity *activity, void *user_data)
{
    (void)user_data;
    struct argosy_payload result = {0};
    struct argosy_error err = {0};
    if (add_one(activity, NULL, &result, &err) < 0)
        argosy_activity_fail(activity, &err);
    else
        argosy_activity_complete(activity, &result);
}

static int count_up(struct argosy_workflow *workflow, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    static const char *const types[] = {"add_one", "add_one_async", "add_one"};
    struct argosy_payload value = *argosy_workflow_input(workflow);
    for (size_t i = 0; i < 3; i++) {
        int code = argosy_activity_execute(
            workflow,
            &(struct argosy_activity_options){.type = types[i],
                                              .input = ARGOSY_PAYLOADS(value),
                                              .start_to_close_timeout_ms = 10000,
                                              .retry_policy = {.maximum_attempts = 1}},
            &value, err);
        if (code < 0)
            return code;
    }
    *ret_result = value;
    return 0;
}

static void register_counting(void)
{
    assert_int_equal(argosy_registry_add_workflow(registry, "CountUp", count_up, NULL, NULL), 0);
    assert_int_equal(argosy_registry_add_activity(registry, "add_one", add_one, NULL, NULL), 0);
    assert_int_equal(
        argosy_registry_add_async_activity(registry, "add_one_async", add_one_async, NULL, NULL),
        0);
}

static void test_pipeline(void **state)
{
    (void)state;
    register_counting();
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(4));
    for (int i = 0; i < 20; i++) {
        char id[32];
        snprintf(id, sizeof id, "count-%d", i);
        start(id, "CountUp", ARGOSY_PAYLOADS(argosy_payload_integer(arena, i)));
    }
    for (int i = 0; i < 20; i++) {
        char id[32];
        char expected[32];
        snprintf(id, sizeof id, "count-%d", i);
        snprintf(expected, sizeof expected, "%d", i + 3);
        assert_string_equal(result_text(id), expected);
    }
    fixture_worker_stop(&worker, 5000);
}

/* Every task finds its run gone and fetches the history. */
static void test_pipeline_without_cache(void **state)
{
    (void)state;
    register_counting();
    struct fixture_worker worker;
    struct argosy_worker_options options = options_of(4);
    options.cached_runs = 1;
    fixture_worker_start(&worker, &engine, registry, options);
    for (int i = 0; i < 10; i++) {
        char id[32];
        snprintf(id, sizeof id, "count-%d", i);
        start(id, "CountUp", ARGOSY_PAYLOADS(argosy_payload_integer(arena, i)));
    }
    for (int i = 0; i < 10; i++) {
        char id[32];
        char expected[32];
        snprintf(id, sizeof id, "count-%d", i);
        snprintf(expected, sizeof expected, "%d", i + 3);
        assert_string_equal(result_text(id), expected);
    }
    fixture_worker_stop(&worker, 5000);
}

struct done {
    int code;
    char text[64];
};

static void on_done(void *user_data, int code, const struct argosy_payload *result,
                    const struct argosy_error *err)
{
    struct done *done = user_data;
    done->code = code;
    snprintf(done->text, sizeof done->text, "%.*s", code < 0 ? 60 : (int)result->size,
             code < 0 ? err->text : (const char *)result->data);
    gate_pass(&gate);
}

static void test_execute_async(void **state)
{
    (void)state;
    register_counting();
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(4));
    struct done done[8];
    for (int i = 0; i < 8; i++) {
        char id[32];
        snprintf(id, sizeof id, "async-%d", i);
        struct argosy_start_options options = {
            .workflow_id = id,
            .workflow_type = "CountUp",
            .task_queue = QUEUE,
            .input = ARGOSY_PAYLOADS(i == 7 ? argosy_payload_json("\"seven\"")
                                            : argosy_payload_integer(arena, i)),
        };
        assert_int_equal(argosy_client_execute_async(client, &options, on_done, &done[i], NULL), 0);
    }
    gate_wait(&gate, 8);
    for (int i = 0; i < 7; i++) {
        assert_int_equal(done[i].code, 0);
        assert_int_equal(atoi(done[i].text), i + 3);
    }
    assert_int_equal(done[7].code, ARGOSY_ERR_FAILED);
    assert_string_equal(done[7].text, "the payload holds a string, not an integer");
    fixture_worker_stop(&worker, 5000);
}

/* ---- starting ---- */

static void test_id_in_use(void **state)
{
    (void)state;
    char run_id[ARGOSY_RUN_ID_SIZE];
    char other[ARGOSY_RUN_ID_SIZE] = "";
    struct argosy_error err = {0};
    struct argosy_start_options options = {
        .workflow_id = "one", .workflow_type = "T", .task_queue = QUEUE};
    assert_int_equal(argosy_client_start(client, &options, run_id, &err), 0);
    assert_int_equal(argosy_client_start(client, &options, other, &err), ARGOSY_ERR_EXISTS);
    assert_string_equal(other, run_id);
    options.id_conflict_policy = ARGOSY_CONFLICT_USE_EXISTING;
    assert_int_equal(argosy_client_start(client, &options, other, &err), 0);
    assert_string_equal(other, run_id);
    options.workflow_id = "";
    assert_int_equal(argosy_client_start(client, &options, other, &err), ARGOSY_ERR_INVALID);
    assert_string_equal(err.text, "a workflow needs an id");
    size_t size = 2 * 1024 * 1024 + 1;
    options.workflow_id = "huge";
    options.input = ARGOSY_PAYLOADS(argosy_payload_binary(argosy_arena_alloc(arena, size), size));
    assert_int_equal(argosy_client_start(client, &options, other, &err), ARGOSY_ERR_INVALID);
    assert_string_equal(err.text, "an input of 2097153 bytes is over the limit of 2097152");
    assert_int_equal(argosy_client_result(client, "none", NULL, 1000, arena, NULL, &err),
                     ARGOSY_ERR_NOT_FOUND);
    assert_int_equal(argosy_client_terminate(client, "one", NULL, "enough", &err), 0);
    assert_int_equal(argosy_client_result(client, "one", NULL, 5000, arena, NULL, &err),
                     ARGOSY_ERR_ABORTED);
    assert_string_equal(err.text, "the workflow was terminated: enough");
}

/* ---- failing ---- */

static int fail_in_detail(struct argosy_activity *activity, void *user_data,
                          struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    return argosy_failure_raise(argosy_activity_arena(activity),
                                &(struct argosy_failure_options){.type = "EmptyInput",
                                                                 .message = "Input text is empty",
                                                                 .non_retryable = true},
                                err);
}

static int call_failing(struct argosy_workflow *workflow, void *user_data,
                        struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "fail", .start_to_close_timeout_ms = 10000},
        ret_result, err);
}

static void test_failure_travels(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "CallFailing", call_failing, NULL, NULL);
    argosy_registry_add_activity(registry, "fail", fail_in_detail, NULL, NULL);
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(1));
    start("failing", "CallFailing", (struct argosy_payloads){0});
    struct argosy_error err = {0};
    assert_int_equal(argosy_client_result(client, "failing", NULL, 20000, arena, NULL, &err),
                     ARGOSY_ERR_FAILED);
    assert_string_equal(err.text, "Input text is empty");
    assert_int_equal(argosy_failure_kind(err.failure), ARGOSY_FAILURE_ACTIVITY);
    assert_int_equal(argosy_failure_retry_state(err.failure), ARGOSY_RETRY_NON_RETRYABLE_FAILURE);
    assert_string_equal(argosy_failure_type(argosy_failure_root(err.failure)), "EmptyInput");
    fixture_worker_stop(&worker, 5000);
}

/* ---- signals, queries, cancellation, timers ---- */

static void remember(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                     void *user_data)
{
    (void)workflow;
    argosy_payload_get_integer(&input->items[0], user_data, NULL);
}

static bool is_set(void *user_data)
{
    return *(int64_t *)user_data != 0;
}

static int answer(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                  void *user_data, struct argosy_payload *ret_answer, struct argosy_error *err)
{
    (void)input, (void)err;
    *ret_answer = argosy_payload_integer(argosy_workflow_arena(workflow), *(int64_t *)user_data);
    return 0;
}

static int wait_for_signal(struct argosy_workflow *workflow, void *user_data,
                           struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    int64_t *value = argosy_workflow_alloc(workflow, sizeof *value);
    *value = 0;
    argosy_query_handle(workflow, "value", answer, value);
    argosy_signal_handle(workflow, "set", remember, value);
    int code = argosy_condition_wait(workflow, is_set, value, -1, err);
    if (code == 0)
        code = argosy_workflow_sleep(workflow, 10, err);
    *ret_result = argosy_payload_integer(argosy_workflow_arena(workflow), *value);
    return code;
}

static void test_signal_query_timer(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "Wait", wait_for_signal, NULL, NULL);
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(1));
    start("waiting", "Wait", (struct argosy_payloads){0});
    struct argosy_payload value;
    struct argosy_error err = {0};
    if (argosy_client_query(client, "waiting", NULL, "value", (struct argosy_payloads){0}, arena,
                            &value, &err) < 0)
        fail_msg("%s", err.text);
    assert_string_equal(argosy_payload_text(&value, arena), "0");
    assert_int_equal(argosy_client_signal(client, "waiting", NULL, "set",
                                          ARGOSY_PAYLOADS(argosy_payload_json("7")), &err),
                     0);
    assert_string_equal(result_text("waiting"), "7");
    fixture_worker_stop(&worker, 5000);
}

static void test_cancel(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "Wait", wait_for_signal, NULL, NULL);
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(1));
    start("canceled", "Wait", (struct argosy_payloads){0});
    struct argosy_error err = {0};
    assert_int_equal(argosy_client_cancel(client, "canceled", NULL, NULL, &err), 0);
    assert_int_equal(argosy_client_result(client, "canceled", NULL, 20000, arena, NULL, &err),
                     ARGOSY_ERR_CANCELED);
    fixture_worker_stop(&worker, 5000);
}

/* ---- heartbeats, drain, resuming ---- */

static int long_work(struct argosy_activity *activity, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)err;
    const struct argosy_payload *before = argosy_activity_last_heartbeat(activity);
    if (!argosy_payload_is_null(before)) {
        *ret_result = *before;
        return 0;
    }
    for (int done = 1; done <= 3; done++) {
        struct argosy_payload details =
            argosy_payload_integer(argosy_activity_arena(activity), done);
        argosy_activity_heartbeat(activity, &details);
    }
    gate_pass(&gate);
    while (!argosy_activity_is_draining(activity))
        sched_yield();
    return ARGOSY_ACTIVITY_RELEASED;
}

static int do_long_work(struct argosy_workflow *workflow, void *user_data,
                        struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "long_work",
                                          .start_to_close_timeout_ms = 20000,
                                          .heartbeat_timeout_ms = 10000,
                                          .retry_policy = {.maximum_attempts = 1}},
        ret_result, err);
}

/* The first worker is drained in the middle; the second begins where its newest details are, though
 * the throttle held them back until the drain. */
static void test_drain_hands_work_on(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "Long", do_long_work, NULL, NULL);
    argosy_registry_add_activity(registry, "long_work", long_work, NULL, NULL);
    struct fixture_worker first;
    struct fixture_worker second;
    fixture_worker_start(&first, &engine, registry, options_of(1));
    start("long", "Long", (struct argosy_payloads){0});
    gate_wait(&gate, 1);
    fixture_worker_start(&second, &engine, registry, options_of(1));
    fixture_worker_stop(&first, 10000);
    assert_string_equal(result_text("long"), "3");
    fixture_worker_stop(&second, 5000);
}

static int until_canceled(struct argosy_activity *activity, void *user_data,
                          struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    gate_pass(&gate);
    while (!argosy_activity_is_canceled(activity)) {
        argosy_activity_heartbeat(activity, NULL);
        sched_yield();
    }
    gate_pass(&gate);
    return argosy_error_set(err, ARGOSY_ERR_CANCELED, "stopped");
}

static int wait_canceled(struct argosy_workflow *workflow, void *user_data,
                         struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data;
    return argosy_activity_execute(
        workflow,
        &(struct argosy_activity_options){.type = "until_canceled",
                                          .start_to_close_timeout_ms = 20000,
                                          .heartbeat_timeout_ms = 4000,
                                          .cancellation_type = ARGOSY_CANCEL_WAIT},
        ret_result, err);
}

static void test_cancel_reaches_the_activity(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "WaitCanceled", wait_canceled, NULL, NULL);
    argosy_registry_add_activity(registry, "until_canceled", until_canceled, NULL, NULL);
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(1));
    start("stop", "WaitCanceled", (struct argosy_payloads){0});
    gate_wait(&gate, 1);
    struct argosy_error err = {0};
    assert_int_equal(argosy_client_cancel(client, "stop", NULL, NULL, &err), 0);
    gate_wait(&gate, 2);
    assert_int_equal(argosy_client_result(client, "stop", NULL, 20000, arena, NULL, &err),
                     ARGOSY_ERR_CANCELED);
    fixture_worker_stop(&worker, 5000);
}

/* ---- slots ---- */

static atomic_int running;
static atomic_int running_most;
static atomic_bool may_end;

static int crowd(struct argosy_activity *activity, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)activity, (void)user_data, (void)ret_result, (void)err;
    int now = atomic_fetch_add(&running, 1) + 1;
    int most = atomic_load(&running_most);
    while (now > most && !atomic_compare_exchange_weak(&running_most, &most, now))
        ;
    gate_pass(&gate);
    while (!atomic_load(&may_end))
        sched_yield();
    atomic_fetch_sub(&running, 1);
    return 0;
}

static int fan_out(struct argosy_workflow *workflow, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    struct argosy_future *futures[12];
    for (size_t i = 0; i < 12; i++)
        futures[i] = argosy_activity_start(
            workflow,
            &(struct argosy_activity_options){.type = "crowd", .start_to_close_timeout_ms = 20000});
    return argosy_await_all(futures, 12, err);
}

static void test_slots_bound_what_runs(void **state)
{
    (void)state;
    atomic_store(&running, 0);
    atomic_store(&running_most, 0);
    atomic_store(&may_end, false);
    argosy_registry_add_workflow(registry, "FanOut", fan_out, NULL, NULL);
    argosy_registry_add_activity(registry, "crowd", crowd, NULL, NULL);
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(2));
    start("crowd", "FanOut", (struct argosy_payloads){0});
    gate_wait(&gate, 2);
    assert_int_equal(atomic_load(&running), 2);
    assert_int_equal(argosy_worker_set_slots(worker.worker, QUEUE, 5, NULL), 0);
    gate_wait(&gate, 5);
    assert_int_equal(atomic_load(&running), 5);
    assert_int_equal(argosy_worker_set_slots(worker.worker, "other", 5, NULL),
                     ARGOSY_ERR_NOT_FOUND);
    atomic_store(&may_end, true);
    assert_string_equal(result_text("crowd"), "null");
    assert_int_equal(atomic_load(&running_most), 5);
    fixture_worker_stop(&worker, 5000);
}

/* ---- priority ---- */

static atomic_int rank_next;
static atomic_int ranks[6]; /* by priority: as which it ran */

static int rank(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result, (void)err;
    int32_t priority = argosy_activity_info(activity)->priority;
    if (priority >= 1 && priority <= 5)
        atomic_store(&ranks[priority], atomic_fetch_add(&rank_next, 1) + 1);
    return 0;
}

static int rank_all(struct argosy_workflow *workflow, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    (void)user_data, (void)ret_result;
    static const int32_t priorities[] = {2, 5, 0, 1};
    struct argosy_future *futures[4];
    for (size_t i = 0; i < 4; i++)
        futures[i] = argosy_activity_start(
            workflow, &(struct argosy_activity_options){.type = "rank",
                                                        .start_to_close_timeout_ms = 20000,
                                                        .priority = priorities[i]});
    return argosy_await_all(futures, 4, err);
}

/* The first of the queue may leave before the others are there; of those that wait the best goes.
 * What an activity leaves open is its workflow's: 4. */
static void test_priority(void **state)
{
    (void)state;
    argosy_registry_add_workflow(registry, "RankAll", rank_all, NULL, NULL);
    argosy_registry_add_activity(registry, "rank", rank, NULL, NULL);
    struct fixture_worker worker;
    fixture_worker_start(&worker, &engine, registry, options_of(1));
    struct argosy_start_options options = {
        .workflow_id = "ranks", .workflow_type = "RankAll", .task_queue = QUEUE, .priority = 6};
    char run_id[ARGOSY_RUN_ID_SIZE];
    struct argosy_error err = {0};
    assert_int_equal(argosy_client_start(client, &options, run_id, &err), ARGOSY_ERR_INVALID);
    assert_string_equal(err.text, "the priority 6 is not 1 to 5");
    options.priority = 4;
    assert_int_equal(argosy_client_start(client, &options, run_id, &err), 0);
    assert_string_equal(result_text("ranks"), "null");
    assert_int_equal(atomic_load(&rank_next), 4);
    assert_in_range(atomic_load(&ranks[1]), 1, 2);
    assert_true(atomic_load(&ranks[2]) <= 2);
    assert_int_equal(atomic_load(&ranks[4]), 3);
    assert_int_equal(atomic_load(&ranks[5]), 4);
    fixture_worker_stop(&worker, 5000);
}

/* ---- wrong options ---- */

static void test_wrong_options(void **state)
{
    (void)state;
    struct argosy_worker *worker = NULL;
    struct argosy_error err = {0};
    struct argosy_worker_options options = options_of(1);
    assert_int_equal(argosy_worker_create(&options, registry, &worker, &err), ARGOSY_ERR_INVALID);
    assert_string_equal(err.text, "there is nothing to serve: no workflow and no activity is "
                                  "registered and wanted");
    options.queue_count = 0;
    assert_int_equal(argosy_worker_create(&options, registry, &worker, &err), ARGOSY_ERR_INVALID);
    assert_null(worker);
    struct argosy_client *other = NULL;
    assert_int_equal(
        argosy_client_connect(
            &(struct argosy_connection_options){.endpoint = engine.address, .server_key_file = "x"},
            &other, &err),
        ARGOSY_ERR_INVALID);
    assert_null(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pipeline),
        TEST(pipeline_without_cache),
        TEST(execute_async),
        TEST(id_in_use),
        TEST(failure_travels),
        TEST(signal_query_timer),
        TEST(cancel),
        TEST(drain_hands_work_on),
        TEST(cancel_reaches_the_activity),
        TEST(slots_bound_what_runs),
        TEST(priority),
        TEST(wrong_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
