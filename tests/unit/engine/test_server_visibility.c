/* SPDX-License-Identifier: Apache-2.0 */
/* ListWorkflowExecutions and CountWorkflowExecutions over a store. */
#include "tests/unit/engine/store_fixture.h"

#include <string.h>

#include "api/messages.h"
#include "engine/server_visibility.h"

#define RUNS 250

static int setup(void **state)
{
    static struct store_fixture fixture;
    fixture_open(&fixture, true);
    for (int64_t key = 1; key <= RUNS; key++) {
        commit_one(fixture.store, write_open(&fixture.arena, key, key == 7 ? "seven" : "id", 8));
        if (key % 5 != 0)
            commit_one(fixture.store, write_close(&fixture.arena, key, 2, 8));
    }
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    fixture_close(*state);
    return 0;
}

static Api__ListWorkflowExecutionsResponse *list(struct store_fixture *fixture, int32_t page_size,
                                                 const char *query, ProtobufCBinaryData token)
{
    Api__ListWorkflowExecutionsRequest request = API__LIST_WORKFLOW_EXECUTIONS_REQUEST__INIT;
    request.namespace_ = "default";
    request.has_page_size = true;
    request.page_size = page_size;
    request.query = query;
    request.has_next_page_token = token.len > 0;
    request.next_page_token = token;
    ProtobufCMessage *reply;
    struct error err = {0};
    if (server_visibility_handle(fixture->store, METHOD_LIST_WORKFLOW_EXECUTIONS, &request.base,
                                 &fixture->arena, &reply, &err) != 0)
        fail_msg("%s", err.text);
    return (Api__ListWorkflowExecutionsResponse *)reply;
}

static void pages_through_all_runs(void **state)
{
    ProtobufCBinaryData token = {0};
    int64_t key = RUNS;
    size_t pages = 0;
    do {
        Api__ListWorkflowExecutionsResponse *reply = list(*state, 0, NULL, token);
        for (size_t i = 0; i < reply->n_executions; i++, key--) {
            const Api__WorkflowExecutionInfo *info = reply->executions[i];
            assert_int_equal(info->start_time->nanos, (1000 + key) * 1000);
            assert_string_equal(info->execution->workflow_id, key == 7 ? "seven" : "id");
            assert_string_equal(info->type->name, key % 2 == 0 ? "Even" : "Odd");
            assert_string_equal(info->task_queue, "cpu-queue");
            bool closed = key % 5 != 0;
            assert_int_equal(info->status, closed ? COMPLETED : RUNNING);
            assert_int_equal(info->close_time != NULL, closed);
            assert_int_equal(info->history_length, closed ? 11 : 0);
        }
        token = reply->next_page_token;
        pages++;
    } while (token.len > 0);
    assert_int_equal(key, 0);
    assert_int_equal(pages, 3); /* 100, 100, 50 */
}

static void an_exactly_full_page_is_the_last(void **state)
{
    Api__ListWorkflowExecutionsResponse *reply = list(*state, RUNS, "", (ProtobufCBinaryData){0});
    assert_int_equal(reply->n_executions, RUNS);
    assert_false(reply->has_next_page_token);
}

static void filters_by_query(void **state)
{
    Api__ListWorkflowExecutionsResponse *reply =
        list(*state, 10, "WorkflowId = 'seven'", (ProtobufCBinaryData){0});
    assert_int_equal(reply->n_executions, 1);
    assert_string_equal(reply->executions[0]->execution->run_id, "run-7");
    reply = list(*state, 1000, "ExecutionStatus='Running' AND WorkflowType='Odd'",
                 (ProtobufCBinaryData){0});
    assert_int_equal(reply->n_executions, 25); /* 5, 15, ... 245 */
}

static void counts(void **state)
{
    struct store_fixture *fixture = *state;
    Api__CountWorkflowExecutionsRequest request = API__COUNT_WORKFLOW_EXECUTIONS_REQUEST__INIT;
    request.namespace_ = "default";
    request.query = "ExecutionStatus='Running'";
    ProtobufCMessage *reply;
    assert_int_equal(server_visibility_handle(fixture->store, METHOD_COUNT_WORKFLOW_EXECUTIONS,
                                              &request.base, &fixture->arena, &reply, NULL),
                     0);
    assert_int_equal(((Api__CountWorkflowExecutionsResponse *)reply)->count, RUNS / 5);
}

static int list_code(struct store_fixture *fixture, const char *namespace_name, int32_t page_size,
                     size_t token_size)
{
    uint8_t bytes[16] = {0};
    Api__ListWorkflowExecutionsRequest request = API__LIST_WORKFLOW_EXECUTIONS_REQUEST__INIT;
    request.namespace_ = namespace_name;
    request.has_page_size = true;
    request.page_size = page_size;
    request.has_next_page_token = token_size > 0;
    request.next_page_token = (ProtobufCBinaryData){.data = bytes, .len = token_size};
    ProtobufCMessage *reply;
    return server_visibility_handle(fixture->store, METHOD_LIST_WORKFLOW_EXECUTIONS, &request.base,
                                    &fixture->arena, &reply, NULL);
}

static void refuses_what_is_wrong(void **state)
{
    assert_int_equal(list_code(*state, NULL, 10, 0), ERR_INVALID);
    assert_int_equal(list_code(*state, "", 10, 0), ERR_INVALID);
    assert_int_equal(list_code(*state, "other", 10, 0), ERR_NOT_FOUND);
    assert_int_equal(list_code(*state, "default", -1, 0), ERR_INVALID);
    assert_int_equal(list_code(*state, "default", 10, 7), ERR_INVALID);
    assert_int_equal(list_code(*state, "default", 10, 8), 0);
    assert_int_equal(list_code(*state, "default", INT32_MAX, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_through_all_runs),
        cmocka_unit_test(an_exactly_full_page_is_the_last),
        cmocka_unit_test(filters_by_query),
        cmocka_unit_test(counts),
        cmocka_unit_test(refuses_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
