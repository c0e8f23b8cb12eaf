/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queues as operators see and set them: bounds and slots that are set, kept, reset and configured
 * anew; pauses; bounds that hold across a restart; the figures that the engine tells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/engine/worker_script.h"

static int setup(void **state)
{
    static struct fixture fixture;
    fixture_init(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_fini(*state);
    return 0;
}

/* The configuration: two activities of "aq" at once. */
static void configure(struct core *core)
{
    core_configure_queue(core, "aq", 2);
}

static Api__SetQueueLimitRequest limit_request(void)
{
    Api__SetQueueLimitRequest request = API__SET_QUEUE_LIMIT_REQUEST__INIT;
    request.task_queue = "aq";
    return request;
}

static void expect_limits(struct fixture *f, int max_in_flight, int slots)
{
    Api__TaskQueue queue = API__TASK_QUEUE__INIT;
    queue.name = "aq";
    Api__DescribeTaskQueueRequest request = API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_queue = &queue;
    request.has_task_queue_type = true;
    request.task_queue_type = TASK_QUEUE_TYPE_ACTIVITY;
    const Api__DescribeTaskQueueResponse *response =
        fixture_ok(f, 9, METHOD_DESCRIBE_TASK_QUEUE, &request);
    assert_int_equal(response->max_in_flight, max_in_flight);
    assert_int_equal(response->slots, slots);
}

static void set_max(struct fixture *f, int max_in_flight, bool keep)
{
    Api__SetQueueLimitRequest request = limit_request();
    request.has_max_in_flight = true;
    request.max_in_flight = max_in_flight;
    request.has_keep = true;
    request.keep = keep;
    const Api__SetQueueLimitResponse *response = fixture_ok(f, 9, METHOD_SET_QUEUE_LIMIT, &request);
    assert_int_equal(response->max_in_flight, max_in_flight);
}

static void set_slots(struct fixture *f, int slots, bool keep)
{
    Api__SetQueueLimitRequest request = limit_request();
    request.has_slots = true;
    request.slots = slots;
    request.has_keep = true;
    request.keep = keep;
    fixture_ok(f, 9, METHOD_SET_QUEUE_LIMIT, &request);
}

static void reset(struct fixture *f)
{
    Api__SetQueueLimitRequest request = limit_request();
    request.has_reset = request.reset = true;
    fixture_ok(f, 9, METHOD_SET_QUEUE_LIMIT, &request);
}

/* What is set holds until the restart, what is kept after it, the configuration before and after
 * both. */
static void test_layers(void **state)
{
    struct fixture *f = *state;
    f->on_start = configure;
    fixture_restart(f);
    expect_limits(f, 2, 0);
    set_max(f, 5, false);
    expect_limits(f, 5, 0);
    fixture_restart(f);
    expect_limits(f, 2, 0);
    set_max(f, 7, true);
    set_slots(f, 3, true);
    set_max(f, 9, false);
    expect_limits(f, 9, 3);
    fixture_restart(f);
    expect_limits(f, 7, 3);
    set_max(f, 0, true); /* no bound is kept as well as any */
    fixture_restart(f);
    expect_limits(f, 0, 3);
    reset(f);
    expect_limits(f, 2, 0);
    fixture_restart(f);
    expect_limits(f, 2, 0);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;
    Api__SetQueueLimitRequest request = limit_request();
    request.has_max_in_flight = true;
    request.max_in_flight = -1;
    fixture_refused(f, 9, METHOD_SET_QUEUE_LIMIT, &request, 3, "the bound must be from 0");
    request = limit_request();
    request.has_slots = true;
    request.slots = 4097;
    fixture_refused(f, 9, METHOD_SET_QUEUE_LIMIT, &request, 3, "slots must be from 0");
    request = limit_request();
    request.task_queue = "";
    fixture_refused(f, 9, METHOD_SET_QUEUE_LIMIT, &request, 3, "task queue");
}

/* A notice of slots on a standing poll. */
static void expect_notice(struct fixture *f, uint64_t session, uint64_t poll, int slots)
{
    const struct fixture_reply *reply = fixture_take(f, session, poll);
    const activity_task_message *notice = (const activity_task_message *)reply->body;
    assert_int_equal(reply->grpc_status, 0);
    assert_true(reply->more);
    assert_int_equal(notice->task_token.len, 0);
    assert_true(notice->has_poller_slots);
    assert_int_equal(notice->poller_slots, slots);
}

/* Workers are told of slots when those change and when they poll with others; nobody is told
 * twice. */
static void test_slots_are_told(void **state)
{
    struct fixture *f = *state;
    uint64_t early = script_poll_activity(f, 3, 4);
    uint64_t once = script_poll_activity(f, 5, 0);
    set_slots(f, 2, false);
    expect_notice(f, 3, early, 2);
    script_no_task(f, 5, once);
    uint64_t again = script_poll_activity(f, 3, 2);
    fixture_take(f, 3, early); /* replaced */
    script_no_task(f, 3, again);
    uint64_t late = script_poll_activity(f, 4, 8);
    expect_notice(f, 4, late, 2);
    set_slots(f, 2, false);
    script_no_task(f, 3, again);
    reset(f);
    expect_notice(f, 3, again, 0);
}

/* Attempts that were dispatched before a restart count until they are claimed or lost. */
static void test_bound_across_restart(void **state)
{
    struct fixture *f = *state;
    f->on_start = configure;
    fixture_restart(f);
    script_start(f, "flow");
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 1)),
                   script_schedule(f, "a"), script_schedule(f, "b"), script_schedule(f, "c"));
    uint64_t poll = script_poll_activity(f, 3, 4);
    activity_task_message *a = script_activity_task(f, 3, poll);
    script_activity_task(f, 3, poll);
    script_no_task(f, 3, poll);
    fixture_restart(f);

    uint64_t other = script_poll_activity(f, 4, 4);
    script_no_task(f, 4, other);
    Api__HelloRequest hello = API__HELLO_REQUEST__INIT;
    hello.n_held_task_tokens = 1;
    hello.held_task_tokens = &a->task_token;
    const Api__HelloResponse *response = fixture_ok(f, 5, METHOD_HELLO, &hello);
    assert_int_equal(response->n_lost_task_tokens, 0);
    script_no_task(f, 4, other);
    script_activity_done(f, 5, a, "out");
    script_activity_task(f, 4, other);
    script_no_task(f, 4, other);
    fixture_advance(f, f->config.reclaim_grace_us); /* b is lost, and goes to the other one */
    assert_string_equal(script_activity_task(f, 4, other)->activity_id, "b");
    script_no_task(f, 4, other);
}

/* The configuration changes under what was set: the bound of its layer alone. */
static void test_reconfigured(void **state)
{
    struct fixture *f = *state;
    f->on_start = configure;
    fixture_restart(f);
    fixture_reconfigure(f, &(struct core_queue_limit){"aq", 4}, 1);
    expect_limits(f, 4, 0);
    set_max(f, 7, true);
    fixture_reconfigure(f, &(struct core_queue_limit){"aq", 5}, 1);
    expect_limits(f, 7, 0);
    set_max(f, 0, false);
    fixture_reconfigure(f, &(struct core_queue_limit){"aq", 6}, 1);
    expect_limits(f, 0, 0); /* no bound is set as well as any */
    reset(f);
    expect_limits(f, 6, 0);
    fixture_reconfigure(f, NULL, 0);
    expect_limits(f, 0, 0);
}

/* A higher bound of the configuration lets what waits go at once; a lower one takes nothing back.
 */
static void test_reconfigured_under_load(void **state)
{
    struct fixture *f = *state;
    f->on_start = configure;
    fixture_restart(f);
    script_start(f, "flow");
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 1)),
                   script_schedule(f, "a"), script_schedule(f, "b"), script_schedule(f, "c"),
                   script_schedule(f, "d"));
    uint64_t poll = script_poll_activity(f, 3, 8);
    activity_task_message *tasks[4];
    tasks[0] = script_activity_task(f, 3, poll);
    tasks[1] = script_activity_task(f, 3, poll);
    script_no_task(f, 3, poll);
    fixture_reconfigure(f, &(struct core_queue_limit){"aq", 3}, 1);
    tasks[2] = script_activity_task(f, 3, poll);
    script_no_task(f, 3, poll);
    fixture_reconfigure(f, &(struct core_queue_limit){"aq", 1}, 1);
    for (int i = 0; i < 3; i++) {
        script_no_task(f, 3, poll);
        script_activity_done(f, 3, tasks[i], "out");
    }
    tasks[3] = script_activity_task(f, 3, poll);
    script_activity_done(f, 3, tasks[3], "out");
}

/* --- pauses --- */

static void set_paused(struct fixture *f, const char *queue, bool paused, bool keep)
{
    Api__SetQueueLimitRequest request = API__SET_QUEUE_LIMIT_REQUEST__INIT;
    request.task_queue = (char *)queue;
    request.has_paused = request.has_keep = true;
    request.paused = paused;
    request.keep = keep;
    const Api__SetQueueLimitResponse *response = fixture_ok(f, 9, METHOD_SET_QUEUE_LIMIT, &request);
    assert_true(response->has_paused);
    assert_int_equal(response->paused, paused);
}

static void expect_paused(struct fixture *f, const char *name, Api__TaskQueueType type, bool paused)
{
    Api__TaskQueue queue = API__TASK_QUEUE__INIT;
    queue.name = (char *)name;
    Api__DescribeTaskQueueRequest request = API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    request.namespace_ = "default";
    request.task_queue = &queue;
    request.has_task_queue_type = true;
    request.task_queue_type = type;
    const Api__DescribeTaskQueueResponse *response =
        fixture_ok(f, 9, METHOD_DESCRIBE_TASK_QUEUE, &request);
    assert_int_equal(response->paused, paused);
    Api__DescribeFleetRequest fleet = API__DESCRIBE_FLEET_REQUEST__INIT;
    const Api__DescribeFleetResponse *told = fixture_ok(f, 9, METHOD_DESCRIBE_FLEET, &fleet);
    assert_int_equal(told->n_paused_queues, paused);
    if (paused)
        assert_string_equal(told->paused_queues[0], name);
}

/* Nothing new is handed out, what runs goes on, what comes waits, lost tasks too. */
static void test_paused_activities(void **state)
{
    struct fixture *f = *state;
    script_start(f, "flow");
    uint64_t workflows = script_poll_workflow(f, 2, 1);
    script_respond(f, 2, script_workflow_task(f, 2, workflows), script_schedule(f, "a"),
                   script_schedule(f, "b"), script_schedule(f, "c"));
    uint64_t poll = script_poll_activity(f, 3, 2);
    activity_task_message *a = script_activity_task(f, 3, poll);
    script_activity_task(f, 3, poll);
    set_paused(f, "aq", true, false);
    expect_paused(f, "aq", TASK_QUEUE_TYPE_ACTIVITY, true);
    assert_true(script_heartbeat(f, 3, a, "half") == false);
    script_activity_done(f, 3, a, "out");
    script_no_task(f, 3, poll);
    /* The workflow is of another queue: it is told, and schedules more. */
    script_respond(f, 2, script_workflow_task(f, 2, workflows), script_schedule(f, "d"));
    fixture_lose(f, 3, "died");
    uint64_t other = script_poll_activity(f, 4, 8);
    uint64_t once = script_poll_activity(f, 5, 0);
    script_no_task(f, 4, other);
    script_no_task(f, 5, once);
    set_paused(f, "aq", true, false);
    script_no_task(f, 4, other);
    set_paused(f, "aq", false, false);
    expect_paused(f, "aq", TASK_QUEUE_TYPE_ACTIVITY, false);
    int count = 0;
    while (fixture_find(f, 4, other) != NULL)
        count++;
    assert_int_equal(count + (fixture_find(f, 5, once) != NULL), 3);
}

/* A run that sticks to a worker waits as well, wherever its next task was. */
static void test_paused_workflows(void **state)
{
    struct fixture *f = *state;
    script_start(f, "flow");
    uint64_t poll = script_poll_workflow(f, 2, 0);
    Api__RespondWorkflowTaskCompletedRequest *completion = script_completion(
        f, script_workflow_task(f, 2, poll),
        (Api__Command *const[4]){script_timer(f, "t1", S), script_timer(f, "t2", 60 * S)});
    Api__StickyExecutionAttributes sticky = API__STICKY_EXECUTION_ATTRIBUTES__INIT;
    sticky.worker_task_queue = script_queue(f, "sticky-2", TASK_QUEUE_KIND_STICKY);
    sticky.schedule_to_start_timeout = script_duration(f, 10 * S);
    completion->sticky_attributes = &sticky;
    fixture_ok(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, completion);
    /* Its worker is busy for a moment: t1 fires and waits for it. */
    uint64_t stuck = script_poll_sticky(f, 2, "sticky-2", 0);
    Api__CancelRequest cancel = API__CANCEL_REQUEST__INIT;
    cancel.has_correlation_id = true;
    cancel.correlation_id = stuck;
    fixture_ok(f, 2, METHOD_CANCEL, &cancel);
    fixture_take(f, 2, stuck);
    fixture_advance(f, S);
    set_paused(f, "wq", true, true);
    expect_paused(f, "wq", TASK_QUEUE_TYPE_WORKFLOW, true);
    stuck = script_poll_sticky(f, 2, "sticky-2", 1);
    poll = script_poll_workflow(f, 2, 1);
    script_start(f, "another");
    fixture_advance(f, 20 * S);
    script_no_task(f, 2, stuck);
    script_no_task(f, 2, poll);

    fixture_restart(f);
    expect_paused(f, "wq", TASK_QUEUE_TYPE_WORKFLOW, true);
    poll = script_poll_workflow(f, 2, 1);
    script_no_task(f, 2, poll);
    set_paused(f, "wq", false, false); /* a kept pause ends, too */
    script_respond(f, 2, script_workflow_task(f, 2, poll), script_complete(f, "r"));
    script_workflow_task(f, 2, poll);
    fixture_restart(f);
    expect_paused(f, "wq", TASK_QUEUE_TYPE_WORKFLOW, false);
}

/* A pause that was not kept ends with the engine; bounds and pauses do not touch each other. */
static void test_pause_and_bounds(void **state)
{
    struct fixture *f = *state;
    set_max(f, 3, true);
    set_paused(f, "aq", true, false);
    fixture_restart(f);
    expect_paused(f, "aq", TASK_QUEUE_TYPE_ACTIVITY, false);
    set_paused(f, "aq", true, true);
    set_max(f, 5, false);
    reset(f);
    expect_paused(f, "aq", TASK_QUEUE_TYPE_ACTIVITY, true);
    fixture_restart(f);
    expect_paused(f, "aq", TASK_QUEUE_TYPE_ACTIVITY, true);
    expect_limits(f, 0, 0);
    set_max(f, 2, true);
    set_paused(f, "aq", false, false);
    fixture_restart(f);
    expect_paused(f, "aq", TASK_QUEUE_TYPE_ACTIVITY, false);
    expect_limits(f, 2, 0);
}

/* Of activities that were scheduled together, one that was lost, and one that was handed back, goes
 * before those that were never handed out. */
static void test_lost_keeps_its_place(void **state)
{
    struct fixture *f = *state;
    script_start(f, "flow");
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 1)),
                   script_schedule(f, "a"), script_schedule(f, "b"), script_schedule(f, "c"),
                   script_schedule(f, "d"));
    uint64_t poll = script_poll_activity(f, 3, 2);
    assert_string_equal(script_activity_task(f, 3, poll)->activity_id, "a");
    assert_string_equal(script_activity_task(f, 3, poll)->activity_id, "b");
    fixture_lose(f, 3, "died");
    uint64_t other = script_poll_activity(f, 4, 4);
    static const char *const expected[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++)
        assert_string_equal(script_activity_task(f, 4, other)->activity_id, expected[i]);
}

static const Api__QueueStats *find_row(const Api__GetEngineStatsResponse *stats, const char *queue,
                                       const char *kind)
{
    for (size_t i = 0; i < stats->n_queues; i++) {
        if (strcmp(stats->queues[i]->queue, queue) == 0 &&
            strcmp(stats->queues[i]->kind, kind) == 0)
            return stats->queues[i];
    }
    fail_msg("no figures of queue %s, %s", queue, kind);
    return NULL;
}

static const Api__GetEngineStatsResponse *get_stats(struct fixture *f)
{
    Api__GetEngineStatsRequest request = API__GET_ENGINE_STATS_REQUEST__INIT;
    return fixture_ok(f, 9, METHOD_GET_ENGINE_STATS, &request);
}

static void test_figures(void **state)
{
    struct fixture *f = *state;
    script_start(f, "flow");
    uint64_t workflows = script_poll_workflow(f, 2, 5);
    script_respond(f, 2, script_workflow_task(f, 2, workflows), script_schedule(f, "a"),
                   script_schedule(f, "b"), script_schedule(f, "c"));
    fixture_advance(f, 3 * S);
    const Api__GetEngineStatsResponse *stats = get_stats(f);
    assert_int_equal(stats->open_runs, 1);
    assert_int_equal(stats->sessions, 3);
    /* Nobody polls the queue: its backlog is there all the same. */
    const Api__QueueStats *row = find_row(stats, "aq", "activity");
    assert_int_equal(row->backlog, 3);
    assert_int_equal(row->backlog_age_us, 3 * S);
    assert_int_equal(row->in_flight, 0);
    assert_int_equal(row->added_total, 3);
    assert_int_equal(row->pollers, 0);
    assert_true(row->added_rate > 0 && row->dispatched_rate == 0);
    uint64_t poll = script_poll_activity(f, 3, 2);
    activity_task_message *a = script_activity_task(f, 3, poll);
    script_activity_task(f, 3, poll);
    row = find_row(get_stats(f), "aq", "activity");
    assert_int_equal(row->backlog, 1);
    assert_int_equal(row->in_flight, 2);
    assert_int_equal(row->dispatched_total, 2);
    assert_true(row->dispatched_rate > 0 && row->dispatched_rate < row->added_rate);
    assert_int_equal(row->slots, 2);
    assert_int_equal(row->slots_used, 2);
    /* The third takes the place of the first; two are lost, and added again. */
    script_activity_done(f, 3, a, "out");
    fixture_lose(f, 3, "died");
    row = find_row(get_stats(f), "aq", "activity");
    assert_int_equal(row->backlog, 2);
    assert_int_equal(row->in_flight, 0);
    assert_int_equal(row->added_total, 5);
    assert_int_equal(row->dispatched_total, 3);
}

/* Counters rise, whatever becomes of queues and runs. */
static void test_counters_outlive_use(void **state)
{
    struct fixture *f = *state;
    script_start(f, "flow");
    uint64_t poll = script_poll_workflow(f, 2, 0);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    script_respond(f, 2, task, script_complete(f, "r"));
    fixture_lose(f, 2, "gone");
    const Api__GetEngineStatsResponse *stats = get_stats(f);
    assert_int_equal(stats->open_runs, 0);
    const Api__QueueStats *row = find_row(stats, "wq", "workflow");
    assert_int_equal(row->added_total, 1);
    assert_int_equal(row->dispatched_total, 1);
    assert_int_equal(row->pollers, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_layers),
        TEST(test_refused),
        TEST(test_slots_are_told),
        TEST(test_bound_across_restart),
        TEST(test_reconfigured),
        TEST(test_reconfigured_under_load),
        TEST(test_paused_activities),
        TEST(test_paused_workflows),
        TEST(test_pause_and_bounds),
        TEST(test_lost_keeps_its_place),
        TEST(test_figures),
        TEST(test_counters_outlive_use),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
