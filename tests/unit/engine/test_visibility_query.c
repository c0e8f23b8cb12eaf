/* SPDX-License-Identifier: Apache-2.0 */
/* The query language of engine/visibility_query.h: what it means, and how it refuses. */
#include <string.h>

#include "api/enums.h"
#include "engine/visibility_query.h"
#include "tests/test.h"

static void check(const char *query, const char *id, const char *type, int32_t status)
{
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct store_filter filter = {.before_run_key = 77};
    struct error err = {0};
    if (visibility_query_parse(query, &arena, &filter, &err) != 0)
        fail_msg("%s: %s", query, err.text);
    assert_int_equal(filter.before_run_key, 77);
    assert_int_equal(filter.status, status);
    if (id == NULL)
        assert_null(filter.workflow_id);
    else
        assert_string_equal(filter.workflow_id, id);
    if (type == NULL)
        assert_null(filter.workflow_type);
    else
        assert_string_equal(filter.workflow_type, type);
    arena_fini(&arena);
}

static void understands_its_language(void **state)
{
    (void)state;
    check(NULL, NULL, NULL, 0);
    check("", NULL, NULL, 0);
    check("  ", NULL, NULL, 0);
    check("WorkflowId='a'", "a", NULL, 0);
    check("WorkflowId = \"a 'b'\"", "a 'b'", NULL, 0);
    check("WorkflowId='it''s'", "it's", NULL, 0);
    check("WorkflowId=''", "", NULL, 0);
    check("WorkflowType='T' and\tWorkflowId='a'", "a", "T", 0);
    check("ExecutionStatus='Running'", NULL, NULL, WORKFLOW_EXECUTION_STATUS_RUNNING);
    check(" ExecutionStatus = 'TimedOut' AND WorkflowType = 'T' AND WorkflowId = 'a' ", "a", "T",
          WORKFLOW_EXECUTION_STATUS_TIMED_OUT);
    check("WorkflowType='\xc3\xa9 AND'AND WorkflowId='a'", "a", "\xc3\xa9 AND", 0);
}

static void refuses_the_rest_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *query, *reason;
    } cases[] = {
        {"WorkflowId", "column 11: expected \"=\""},
        {"WorkflowId > 'a'", "column 12: expected \"=\""},
        {"WorkflowId = a", "column 14: expected a value in quotes"},
        {"WorkflowId = 'a", "a quote is not closed"},
        {"WorkflowId = 'a' OR WorkflowId = 'b'", "column 18: expected AND"},
        {"WorkflowId = 'a' ANDWorkflowId = 'b'", "column 18: expected AND"},
        {"WorkflowId = 'a' AND", "expected a condition after AND"},
        {"WorkflowId = 'a' AND WorkflowId = 'b'", "WorkflowId is given twice"},
        {"workflowid = 'a'", "cannot search by \"workflowid\""},
        {"WorkflowTyp = 'a'", "did you mean WorkflowType"},
        {"StartTime = 'a'", "known: WorkflowId, WorkflowType, ExecutionStatus"},
        {"ExecutionStatus = 'running'", "\"running\" is no ExecutionStatus"},
        {"= 'a'", "column 1: expected WorkflowId"},
        {"(WorkflowId = 'a')", "column 1: expected WorkflowId"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct arena arena;
        arena_init(&arena, ARENA_NO_LIMIT);
        struct store_filter filter = {.status = 5};
        struct error err = {0};
        assert_int_equal(visibility_query_parse(cases[i].query, &arena, &filter, &err),
                         ERR_INVALID);
        if (strstr(err.text, cases[i].reason) == NULL)
            fail_msg("%s: %s", cases[i].query, err.text);
        assert_int_equal(filter.status, 5);
        assert_null(filter.workflow_id);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(understands_its_language),
        cmocka_unit_test(refuses_the_rest_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
