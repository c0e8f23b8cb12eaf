/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fleet as operators see it (DescribeFleet), and calls to its nodes (CallNode), with the links
 * that answer them played by sessions of the test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/engine/worker_script.h"

/* Sessions. */
#define CLIENT 1
#define WORKER 3
#define LINK   4
#define OTHER  5

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

/* Calls */

static uint64_t serve(struct fixture *f, uint64_t session)
{
    Api__ServeNodeRequest request = API__SERVE_NODE_REQUEST__INIT;
    return fixture_send(f, session, METHOD_SERVE_NODE, &request);
}

static uint64_t open_link(struct fixture *f, uint64_t session, const char *instance_id)
{
    script_hello(f, session, instance_id);
    return serve(f, session);
}

static Api__CallNodeRequest call_request(Api__NodeOperation operation, const char *target)
{
    Api__CallNodeRequest request = API__CALL_NODE_REQUEST__INIT;
    request.node = "node1";
    request.has_operation = true;
    request.operation = operation;
    request.target = target;
    return request;
}

static uint64_t call(struct fixture *f, Api__NodeOperation operation, const char *target)
{
    Api__CallNodeRequest request = call_request(operation, target);
    return fixture_send(f, CLIENT, METHOD_CALL_NODE, &request);
}

static const Api__ServeNodeResponse *take_call(struct fixture *f, uint64_t session, uint64_t link)
{
    const struct fixture_reply *reply = fixture_take(f, session, link);
    assert_int_equal(reply->grpc_status, 0);
    assert_true(reply->more);
    return (const Api__ServeNodeResponse *)reply->body;
}

static Api__RespondNodeCallRequest answer_request(const Api__ServeNodeResponse *call)
{
    Api__RespondNodeCallRequest request = API__RESPOND_NODE_CALL_REQUEST__INIT;
    request.has_call_token = true;
    request.call_token = call->call_token;
    return request;
}

static void expect_failure(struct fixture *f, uint64_t call, int grpc_status, const char *text)
{
    const struct fixture_reply *reply = fixture_take(f, CLIENT, call);
    assert_int_equal(reply->grpc_status, grpc_status);
    assert_non_null(strstr(((const Api__ErrorReply *)reply->body)->message, text));
}

static void test_call_reaches_the_link(void **state)
{
    struct fixture *f = *state;
    uint64_t link = open_link(f, LINK, "i-link");
    Api__CallNodeRequest request = call_request(NODE_OPERATION_DRAIN, "gpu/0");
    request.has_keep = request.keep = true;
    uint64_t asked = fixture_send(f, CLIENT, METHOD_CALL_NODE, &request);
    const Api__ServeNodeResponse *order = take_call(f, LINK, link);
    assert_int_equal(order->operation, NODE_OPERATION_DRAIN);
    assert_string_equal(order->target, "gpu/0");
    assert_true(order->keep);
    assert_null(fixture_find(f, CLIENT, asked));

    Api__NodeStatus status = API__NODE_STATUS__INIT;
    status.phase = "running";
    Api__RespondNodeCallRequest answer = answer_request(order);
    answer.status = &status;
    fixture_ok(f, LINK, METHOD_RESPOND_NODE_CALL, &answer);
    const struct fixture_reply *reply = fixture_take(f, CLIENT, asked);
    assert_int_equal(reply->grpc_status, 0);
    assert_string_equal(((const Api__CallNodeResponse *)reply->body)->status->phase, "running");
    /* It was answered. */
    fixture_refused(f, LINK, METHOD_RESPOND_NODE_CALL, &answer, 5, "nobody waits");
}

static void test_refusal_is_passed_on(void **state)
{
    struct fixture *f = *state;
    uint64_t link = open_link(f, LINK, "i-link");
    uint64_t asked = call(f, NODE_OPERATION_DRAIN, "gpx");
    Api__RespondNodeCallRequest answer = answer_request(take_call(f, LINK, link));
    answer.has_error_status = true;
    answer.error_status = 5;
    answer.error_message = "no worker or group \"gpx\" on this node";
    fixture_ok(f, LINK, METHOD_RESPOND_NODE_CALL, &answer);
    expect_failure(f, asked, 5, "no worker or group \"gpx\"");
}

static void test_call_is_refused(void **state)
{
    struct fixture *f = *state;
    Api__CallNodeRequest request = call_request(NODE_OPERATION_STATUS, NULL);
    fixture_refused(f, CLIENT, METHOD_CALL_NODE, &request, 5, "node \"node1\" is not connected");
    open_link(f, LINK, "i-link");
    request.operation = 0;
    fixture_refused(f, CLIENT, METHOD_CALL_NODE, &request, 3, "operation is not set");
    request = call_request(NODE_OPERATION_STATUS, NULL);
    request.node = "";
    fixture_refused(f, CLIENT, METHOD_CALL_NODE, &request, 3, "node");
}

/* A token counts from the link that got it, and malformed ones from nobody. */
static void test_foreign_answers_are_refused(void **state)
{
    struct fixture *f = *state;
    uint64_t link = open_link(f, LINK, "i-link");
    uint64_t asked = call(f, NODE_OPERATION_STATUS, NULL);
    const Api__ServeNodeResponse *order = take_call(f, LINK, link);
    Api__RespondNodeCallRequest answer = answer_request(order);
    fixture_refused(f, OTHER, METHOD_RESPOND_NODE_CALL, &answer, 5, "nobody waits");
    answer.call_token.len--;
    fixture_refused(f, LINK, METHOD_RESPOND_NODE_CALL, &answer, 5, "nobody waits");
    /* A request of the right session that is no call. */
    struct {
        uint64_t session, correlation;
    } key = {LINK, link};
    answer.call_token = (ProtobufCBinaryData){.len = sizeof key, .data = (uint8_t *)&key};
    fixture_refused(f, LINK, METHOD_RESPOND_NODE_CALL, &answer, 5, "nobody waits");
    assert_null(fixture_find(f, CLIENT, asked));
}

static void test_silent_link_times_out(void **state)
{
    struct fixture *f = *state;
    open_link(f, LINK, "i-link");
    uint64_t asked = call(f, NODE_OPERATION_STATUS, NULL);
    fixture_advance(f, 9 * S);
    assert_null(fixture_find(f, CLIENT, asked));
    fixture_advance(f, 2 * S);
    expect_failure(f, asked, 4, "the node did not answer in time");
}

static void test_lost_link_fails_its_calls(void **state)
{
    struct fixture *f = *state;
    open_link(f, LINK, "i-link");
    uint64_t asked = call(f, NODE_OPERATION_STATUS, NULL);
    fixture_lose(f, LINK, "died");
    expect_failure(f, asked, 14, "the node's link is gone");
}

static void test_caller_may_leave(void **state)
{
    struct fixture *f = *state;
    uint64_t link = open_link(f, LINK, "i-link");
    call(f, NODE_OPERATION_STATUS, NULL);
    const Api__ServeNodeResponse *order = take_call(f, LINK, link);
    fixture_lose(f, CLIENT, "gone");
    Api__RespondNodeCallRequest answer = answer_request(order);
    fixture_refused(f, LINK, METHOD_RESPOND_NODE_CALL, &answer, 5, "nobody waits");
}

/* A link that serves again, and one that takes another's place. */
static void test_latest_link_is_called(void **state)
{
    struct fixture *f = *state;
    uint64_t first = open_link(f, LINK, "i-link");
    uint64_t second = serve(f, LINK);
    assert_false(fixture_take(f, LINK, first)->more);
    call(f, NODE_OPERATION_STATUS, NULL);
    take_call(f, LINK, second);
    uint64_t successor = open_link(f, OTHER, "i-next");
    call(f, NODE_OPERATION_STATUS, NULL);
    take_call(f, OTHER, successor);
}

/* Description */

static const Api__FleetSession *find_session(const Api__DescribeFleetResponse *fleet, int64_t pid)
{
    for (size_t i = 0; i < fleet->n_sessions; i++) {
        if (fleet->sessions[i]->pid == pid)
            return fleet->sessions[i];
    }
    fail_msg("no session of process %lld", (long long)pid);
    return NULL;
}

static const Api__DescribeFleetResponse *describe(struct fixture *f)
{
    Api__DescribeFleetRequest request = API__DESCRIBE_FLEET_REQUEST__INIT;
    return fixture_ok(f, CLIENT, METHOD_DESCRIBE_FLEET, &request);
}

/* Schedules activity "a" and hands it to WORKER. */
static activity_task_message *run_activity(struct fixture *f)
{
    script_start(f, "flow");
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 1)),
                   script_schedule(f, "a"));
    return script_activity_task(f, WORKER, script_poll_activity(f, WORKER, 4));
}

static void test_description(void **state)
{
    struct fixture *f = *state;
    open_link(f, LINK, "i-link");
    script_hello(f, WORKER, "i-worker");
    activity_task_message *task = run_activity(f);
    fixture_advance(f, 3 * S);

    const Api__DescribeFleetResponse *fleet = describe(f);
    assert_int_equal(fleet->tasks_left_out, 0);
    const Api__FleetSession *link = find_session(fleet, LINK);
    assert_true(link->serves_node);
    assert_string_equal(link->node, "node1");
    assert_int_equal(link->n_polls, 0);
    const Api__FleetSession *worker = find_session(fleet, WORKER);
    assert_false(worker->serves_node);
    assert_int_equal(worker->n_polls, 1);
    assert_string_equal(worker->polls[0]->queue, "aq");
    assert_string_equal(worker->polls[0]->kind, "activity");
    assert_int_equal(worker->polls[0]->slots, 4);
    assert_int_equal(worker->polls[0]->slots_used, 1);
    assert_int_equal(worker->n_tasks, 1);
    assert_string_equal(worker->tasks[0]->type, "Act");
    assert_string_equal(worker->tasks[0]->workflow_id, "flow");
    assert_int_equal(worker->tasks[0]->running_us, 3 * S);
    assert_false(worker->tasks[0]->has_heartbeat_age_us);

    script_heartbeat(f, WORKER, task, "half");
    fixture_advance(f, S);
    const Api__FleetTask *row = find_session(describe(f), WORKER)->tasks[0];
    assert_int_equal(row->heartbeat_age_us, S);
    assert_string_equal(row->progress, "half");

    /* Of a checkpoint the beginning is told. */
    char checkpoint[4096];
    memset(checkpoint, '7', sizeof checkpoint);
    memcpy(checkpoint, "{\"done\":5,", 10);
    checkpoint[sizeof checkpoint - 1] = '\0';
    script_heartbeat(f, WORKER, task, checkpoint);
    row = find_session(describe(f), WORKER)->tasks[0];
    assert_int_equal(strlen(row->progress), 256);
    assert_memory_equal(row->progress, checkpoint, 256);

    script_activity_done(f, WORKER, task, "out");
    worker = find_session(describe(f), WORKER);
    assert_int_equal(worker->n_tasks, 0);
    assert_int_equal(worker->polls[0]->slots_used, 0);
    assert_int_equal(worker->dispatched_total, 1);
    assert_int_equal(find_session(fleet, LINK)->dispatched_total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_call_reaches_the_link), TEST(test_refusal_is_passed_on),
        TEST(test_call_is_refused),       TEST(test_foreign_answers_are_refused),
        TEST(test_silent_link_times_out), TEST(test_lost_link_fails_its_calls),
        TEST(test_caller_may_leave),      TEST(test_latest_link_is_called),
        TEST(test_description),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
