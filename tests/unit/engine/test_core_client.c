/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients may ask: starting (ids, policies, repeated requests), signals, histories, queries,
 * descriptions (docs/spec/02-history.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "api/codec.h"
#include "engine/message.h"
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

static void finish(struct fixture *f)
{
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 0));
    script_respond(f, 2, task, script_complete(f, "r"));
}

/* --- starting
 * -------------------------------------------------------------------------------------- */

static void test_already_started(void **state)
{
    struct fixture *f = *state;
    const char *run_id = script_start(f, "one");
    uint64_t correlation =
        fixture_send(f, 1, METHOD_START_WORKFLOW_EXECUTION, script_start_request(f, "one"));
    struct fixture_reply *reply = fixture_take(f, 1, correlation);
    assert_int_equal(reply->grpc_status, 6);
    const Api__ErrorReply *error = (const Api__ErrorReply *)reply->body;
    assert_string_equal(error->detail_type, "WorkflowExecutionAlreadyStartedFailure");
    ProtobufCMessage *detail;
    assert_int_equal(codec_decode(&api__workflow_execution_already_started_failure__descriptor,
                                  error->detail.data, error->detail.len, &f->arena, &detail, NULL),
                     0);
    assert_string_equal(((Api__WorkflowExecutionAlreadyStartedFailure *)detail)->run_id, run_id);
}

/* Whether a second start of an id is refused, uses the open run, or makes a new one. */
static void test_policies(void **state)
{
    struct fixture *f = *state;
    enum { NEW, SAME, REFUSED };
    const struct {
        bool closes; /* the first run completes before */
        Api__WorkflowIdConflictPolicy conflict;
        Api__WorkflowIdReusePolicy reuse;
        int expected;
    } rows[] = {
        {false, WORKFLOW_ID_CONFLICT_POLICY_UNSPECIFIED, 0, REFUSED},
        {false, WORKFLOW_ID_CONFLICT_POLICY_FAIL, 0, REFUSED},
        {false, WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, 0, SAME},
        {false, WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING, 0, NEW},
        {false, 0, WORKFLOW_ID_REUSE_POLICY_TERMINATE_IF_RUNNING, NEW},
        {true, 0, WORKFLOW_ID_REUSE_POLICY_UNSPECIFIED, NEW},
        {true, 0, WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, NEW},
        {true, 0, WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY, REFUSED},
        {true, 0, WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, REFUSED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *id = arena_printf(&f->arena, "policy-%zu", i);
        const char *run_id = script_start(f, id);
        if (rows[i].closes)
            finish(f);
        Api__StartWorkflowExecutionRequest *again = script_start_request(f, id);
        again->has_workflow_id_conflict_policy = again->has_workflow_id_reuse_policy = true;
        again->workflow_id_conflict_policy = rows[i].conflict;
        again->workflow_id_reuse_policy = rows[i].reuse;
        if (rows[i].expected == REFUSED) {
            fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, again, 6, run_id);
        } else {
            Api__StartWorkflowExecutionResponse *response =
                fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, again);
            assert_int_equal(strcmp(response->run_id, run_id) == 0, rows[i].expected == SAME);
            assert_int_equal(response->started, rows[i].expected == NEW);
        }
        if (!rows[i].closes)
            finish(f);
        else if (rows[i].expected == NEW)
            finish(f);
    }
}

/* A failed run's id may be used again where a completed one's may not. */
static void test_reuse_after_failure(void **state)
{
    struct fixture *f = *state;
    script_start(f, "failed");
    Api__TerminateWorkflowExecutionRequest terminate =
        API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    terminate.namespace_ = "default";
    terminate.workflow_execution = script_execution(f, "failed");
    fixture_ok(f, 1, METHOD_TERMINATE_WORKFLOW_EXECUTION, &terminate);
    Api__StartWorkflowExecutionRequest *again = script_start_request(f, "failed");
    again->has_workflow_id_reuse_policy = true;
    again->workflow_id_reuse_policy = WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY;
    fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, again);
}

/* The same request finds the same run: open, closed, and after a restart. */
static void test_repeated_start(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = script_start_request(f, "repeat");
    start->request_id = "r1";
    Api__StartWorkflowExecutionResponse *response =
        fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    const char *run_id = response->run_id;
    response = fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    assert_string_equal(response->run_id, run_id);
    assert_true(response->started);
    finish(f);
    response = fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    assert_string_equal(response->run_id, run_id);
    fixture_restart(f);
    response = fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    assert_string_equal(response->run_id, run_id);
    assert_int_equal(f->log_count, 1);
}

/* A repeated start is recognised even when a newer run of its id is open: it must not end that run.
 */
static void test_repeated_start_behind_another(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *first = script_start_request(f, "repeat");
    first->request_id = "r1";
    first->has_workflow_id_conflict_policy = true;
    first->workflow_id_conflict_policy = WORKFLOW_ID_CONFLICT_POLICY_TERMINATE_EXISTING;
    Api__StartWorkflowExecutionResponse *response =
        fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, first);
    const char *run_id = response->run_id;
    finish(f);
    const char *second_id = script_start(f, "repeat");
    response = fixture_ok(f, 1, METHOD_START_WORKFLOW_EXECUTION, first);
    assert_string_equal(response->run_id, run_id);
    assert_string_not_equal(run_id, second_id);
    assert_int_equal(f->log_count, 2);
    assert_false(f->logs[1].closed);
}

/* A damaged log of the run before: one answer, an error, and nothing is started. */
static void test_start_over_damaged_log(void **state)
{
    struct fixture *f = *state;
    script_start(f, "damaged");
    finish(f);
    f->logs[0].blobs[0].size -= 1;
    f->loses_writes = true; /* the fixture would read the log, too */
    Api__StartWorkflowExecutionRequest *start = script_start_request(f, "damaged");
    start->has_workflow_id_reuse_policy = true;
    start->workflow_id_reuse_policy = WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE;
    uint64_t correlation = fixture_send(f, 1, METHOD_START_WORKFLOW_EXECUTION, start);
    assert_int_equal(f->outbox.write_count, 0);
    assert_int_equal(fixture_take(f, 1, correlation)->grpc_status, 15);
    assert_null(fixture_find(f, 1, correlation));
}

static void test_start_refused(void **state)
{
    struct fixture *f = *state;
    Api__StartWorkflowExecutionRequest *start = script_start_request(f, "");
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, 3, "workflow id is not set");
    start = script_start_request(f, "x");
    start->workflow_type = NULL;
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, 3, "workflow type is not set");
    start = script_start_request(f, "x");
    start->task_queue = NULL;
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, 3, "task queue is not set");
    start = script_start_request(f, "x");
    start->namespace_ = "elsewhere";
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, 5, "namespace elsewhere");
    start = script_start_request(f, "x");
    start->namespace_ = NULL;
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, 3, "namespace is not set");
    start = script_start_request(f, "x");
    start->cron_schedule = "* * * * *";
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, 12, "cron");
    char *big = arena_alloc(&f->arena, LIMIT_PAYLOAD_SIZE + 1);
    memset(big, 'x', LIMIT_PAYLOAD_SIZE);
    big[LIMIT_PAYLOAD_SIZE] = '\0';
    start = script_start_request(f, "x");
    start->input = script_payloads(f, big);
    fixture_refused(f, 1, METHOD_START_WORKFLOW_EXECUTION, start, 3, "input has ");
    assert_int_equal(f->log_count, 0);
}

/* --- signals
 * --------------------------------------------------------------------------------------- */

static void test_repeated_signal(void **state)
{
    struct fixture *f = *state;
    script_start(f, "signals");
    Api__SignalWorkflowExecutionRequest signal = API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    signal.namespace_ = "default";
    signal.workflow_execution = script_execution(f, "signals");
    signal.signal_name = "s";
    signal.request_id = "r1";
    fixture_ok(f, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, &signal);
    fixture_restart(f);
    fixture_ok(f, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, &signal);
    signal.request_id = "r2";
    fixture_ok(f, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, &signal);
    assert_non_null(strstr(fixture_history(f, "signals"), "4 WORKFLOW_EXECUTION_SIGNALED"));
    assert_null(strstr(fixture_history(f, "signals"), "5 WORKFLOW_EXECUTION_SIGNALED"));
    signal.workflow_execution = script_execution(f, "nobody");
    fixture_refused(f, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, &signal, 5, "no open workflow");
}

static void test_signal_with_start(void **state)
{
    struct fixture *f = *state;
    Api__SignalWithStartWorkflowExecutionRequest both =
        API__SIGNAL_WITH_START_WORKFLOW_EXECUTION_REQUEST__INIT;
    const Api__StartWorkflowExecutionRequest *start = script_start_request(f, "both");
    both.namespace_ = start->namespace_;
    both.workflow_id = start->workflow_id;
    both.workflow_type = start->workflow_type;
    both.task_queue = start->task_queue;
    both.input = start->input;
    both.signal_name = "s1";
    Api__SignalWithStartWorkflowExecutionResponse *response =
        fixture_ok(f, 1, METHOD_SIGNAL_WITH_START_WORKFLOW_EXECUTION, &both);
    assert_true(response->started);
    both.signal_name = "s2";
    response = fixture_ok(f, 1, METHOD_SIGNAL_WITH_START_WORKFLOW_EXECUTION, &both);
    assert_false(response->started);
    assert_string_equal(fixture_history(f, "both"),
                        "1 WORKFLOW_EXECUTION_STARTED type=Flow queue=wq input=in\n"
                        "2 WORKFLOW_EXECUTION_SIGNALED name=s1\n"
                        "3 WORKFLOW_TASK_SCHEDULED queue=wq attempt=1\n"
                        "4 WORKFLOW_EXECUTION_SIGNALED name=s2\n");
}

/* The signal that came with a delayed start waits with it; one that comes later ends the delay. */
static void test_signal_with_delayed_start(void **state)
{
    struct fixture *f = *state;
    Api__SignalWithStartWorkflowExecutionRequest both =
        API__SIGNAL_WITH_START_WORKFLOW_EXECUTION_REQUEST__INIT;
    const Api__StartWorkflowExecutionRequest *start = script_start_request(f, "late");
    both.namespace_ = start->namespace_;
    both.workflow_id = start->workflow_id;
    both.workflow_type = start->workflow_type;
    both.task_queue = start->task_queue;
    both.workflow_start_delay = script_duration(f, 30 * S);
    both.signal_name = "s1";
    fixture_ok(f, 1, METHOD_SIGNAL_WITH_START_WORKFLOW_EXECUTION, &both);
    fixture_restart(f); /* the delay survives */
    uint64_t poll = script_poll_workflow(f, 2, 1);
    fixture_advance(f, 30 * S - 1);
    script_no_task(f, 2, poll);
    fixture_advance(f, 1);
    workflow_task_message *task = script_workflow_task(f, 2, poll);
    assert_int_equal(task->started_event_id, 4);
    script_respond(f, 2, task, script_complete(f, "r"));
    both.workflow_id = "sooner";
    fixture_ok(f, 1, METHOD_SIGNAL_WITH_START_WORKFLOW_EXECUTION, &both);
    script_no_task(f, 2, poll);
    script_signal(f, "sooner", "s2");
    assert_int_equal(script_workflow_task(f, 2, poll)->started_event_id, 5);
}

/* Whatever makes a history too long, it ends there: signals to a run without a worker, too. */
static void test_history_limit(void **state)
{
    struct fixture *f = *state;
    script_start(f, "large");
    char *big = arena_alloc(&f->arena, LIMIT_PAYLOAD_SIZE);
    memset(big, 'x', LIMIT_PAYLOAD_SIZE - 100);
    big[LIMIT_PAYLOAD_SIZE - 100] = '\0';
    Api__SignalWorkflowExecutionRequest signal = API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    signal.namespace_ = "default";
    signal.workflow_execution = script_execution(f, "large");
    signal.signal_name = "s";
    signal.input = script_payloads(f, big);
    f->loses_writes = true; /* reading the log back after every call would take long */
    for (size_t i = 0; i < LIMIT_HISTORY_SIZE / LIMIT_PAYLOAD_SIZE; i++)
        fixture_ok(f, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, &signal);
    assert_false(f->outbox.writes[0].closed);
    fixture_ok(f, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, &signal);
    assert_true(f->outbox.writes[0].closed);
    assert_int_equal(f->outbox.writes[0].run.status, WORKFLOW_EXECUTION_STATUS_TERMINATED);
    fixture_refused(f, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, &signal, 5, "already completed");
}

/* Too many events behind a task that does not end: it is failed, and they get their place. */
static void test_many_buffered(void **state)
{
    struct fixture *f = *state;
    script_start(f, "many");
    script_workflow_task(f, 2, script_poll_workflow(f, 2, 0));
    f->checks_later = true;
    for (int i = 0; i < LIMIT_BUFFERED_EVENTS - 1; i++)
        script_signal(f, "many", "s");
    assert_null(strstr(fixture_history(f, "many"), "WORKFLOW_TASK_FAILED"));
    f->checks_later = false;
    script_signal(f, "many", "s");
    const char *history = fixture_history(f, "many");
    assert_non_null(strstr(history, "4 WORKFLOW_TASK_FAILED scheduled=2 started=3 cause=17"));
    assert_non_null(strstr(history, "5 WORKFLOW_EXECUTION_SIGNALED"));
}

/* Few that are large are too many, too. */
static void test_large_buffered(void **state)
{
    struct fixture *f = *state;
    script_start(f, "bulky");
    script_workflow_task(f, 2, script_poll_workflow(f, 2, 0));
    char *big = arena_alloc(&f->arena, LIMIT_MIB);
    memset(big, 'x', LIMIT_MIB - 1);
    big[LIMIT_MIB - 1] = '\0';
    Api__SignalWorkflowExecutionRequest signal = API__SIGNAL_WORKFLOW_EXECUTION_REQUEST__INIT;
    signal.namespace_ = "default";
    signal.workflow_execution = script_execution(f, "bulky");
    signal.signal_name = "s";
    signal.input = script_payloads(f, big);
    f->checks_later = true;
    for (size_t i = 0; i < LIMIT_BUFFERED_SIZE / LIMIT_MIB; i++)
        fixture_ok(f, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, &signal);
    assert_null(strstr(fixture_history(f, "bulky"), "WORKFLOW_TASK_FAILED"));
    f->checks_later = false;
    fixture_ok(f, 1, METHOD_SIGNAL_WORKFLOW_EXECUTION, &signal);
    assert_non_null(strstr(fixture_history(f, "bulky"),
                           "4 WORKFLOW_TASK_FAILED scheduled=2 started=3 cause=17"));
}

/* --- histories
 * --------------------------------------------------------------------------------------- */

static Api__GetWorkflowExecutionHistoryRequest *history_request(struct fixture *f, const char *id)
{
    Api__GetWorkflowExecutionHistoryRequest *get =
        message_new(&f->arena, &api__get_workflow_execution_history_request__descriptor);
    get->namespace_ = "default";
    get->execution = script_execution(f, id);
    get->has_wait_new_event = get->has_history_event_filter_type = true;
    get->has_maximum_page_size = true;
    return get;
}

static void test_history_pages(void **state)
{
    struct fixture *f = *state;
    script_start(f, "pages");
    finish(f); /* five events, read back from the log */
    Api__GetWorkflowExecutionHistoryRequest *get = history_request(f, "pages");
    get->maximum_page_size = 2;
    int64_t next = 1;
    for (int page = 0; page < 3; page++) {
        Api__GetWorkflowExecutionHistoryResponse *response =
            fixture_ok(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, get);
        assert_int_equal(response->history->n_events, page < 2 ? 2 : 1);
        for (size_t i = 0; i < response->history->n_events; i++)
            assert_int_equal(response->history->events[i]->event_id, next++);
        assert_int_equal(response->next_page_token.len > 0, page < 2);
        get->has_next_page_token = true;
        get->next_page_token = response->next_page_token;
    }
    static uint8_t garbage[] = "garbage";
    get->next_page_token = (ProtobufCBinaryData){.len = sizeof garbage, .data = garbage};
    fixture_refused(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, get, 3, "page token");
    fixture_refused(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, history_request(f, "nobody"), 5,
                    "not found");
}

static void test_history_waits(void **state)
{
    struct fixture *f = *state;
    script_start(f, "wait");
    Api__GetWorkflowExecutionHistoryRequest *get = history_request(f, "wait");
    get->wait_new_event = true;
    Api__GetWorkflowExecutionHistoryResponse *response =
        fixture_ok(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, get);
    assert_int_equal(response->history->n_events, 2);
    get->has_next_page_token = true;
    get->next_page_token = response->next_page_token;
    uint64_t waiting = fixture_send(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, get);
    assert_null(fixture_find(f, 1, waiting));
    fixture_advance(f, 20 * S); /* nothing happens: an empty page, and ask again */
    response = (Api__GetWorkflowExecutionHistoryResponse *)fixture_take(f, 1, waiting)->body;
    assert_int_equal(response->history->n_events, 0);
    get->next_page_token = response->next_page_token;
    waiting = fixture_send(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, get);
    script_signal(f, "wait", "s");
    response = (Api__GetWorkflowExecutionHistoryResponse *)fixture_take(f, 1, waiting)->body;
    assert_int_equal(response->history->n_events, 1);
    assert_int_equal(response->history->events[0]->event_id, 3);
}

static void test_close_event(void **state)
{
    struct fixture *f = *state;
    script_start(f, "close");
    Api__GetWorkflowExecutionHistoryRequest *get = history_request(f, "close");
    get->history_event_filter_type = HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT;
    Api__GetWorkflowExecutionHistoryResponse *response =
        fixture_ok(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, get);
    assert_int_equal(response->history->n_events, 0);
    assert_int_equal(response->next_page_token.len, 0);
    get->wait_new_event = true;
    uint64_t waiting = fixture_send(f, 1, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, get);
    script_signal(f, "close", "s");
    assert_null(fixture_find(f, 1, waiting));
    finish(f);
    response = (Api__GetWorkflowExecutionHistoryResponse *)fixture_take(f, 1, waiting)->body;
    assert_int_equal(response->history->n_events, 1);
    assert_int_equal(response->history->events[0]->event_type,
                     EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED);
    assert_int_equal(response->next_page_token.len, 0);
}

/* --- queries
 * ----------------------------------------------------------------------------------------- */

static uint64_t ask(struct fixture *f, const char *id)
{
    static Api__WorkflowQuery question;
    api__workflow_query__init(&question);
    question.query_type = "state";
    Api__QueryWorkflowRequest request = API__QUERY_WORKFLOW_REQUEST__INIT;
    request.namespace_ = "default";
    request.execution = script_execution(f, id);
    request.query = &question;
    return fixture_send(f, 1, METHOD_QUERY_WORKFLOW, &request);
}

static const char *answer_of(struct fixture *f, uint64_t query)
{
    struct fixture_reply *reply = fixture_take(f, 1, query);
    assert_int_equal(reply->grpc_status, 0);
    const Api__Payload *payload =
        ((const Api__QueryWorkflowResponse *)reply->body)->query_result->payloads[0];
    return arena_strndup(&f->arena, (const char *)payload->data.data, payload->data.len);
}

static Api__RespondQueryTaskCompletedRequest *
answer(struct fixture *f, const workflow_task_message *task, const char *text)
{
    Api__RespondQueryTaskCompletedRequest *request =
        message_new(&f->arena, &api__respond_query_task_completed_request__descriptor);
    request->namespace_ = "default";
    request->has_task_token = true;
    request->task_token = task->task_token;
    request->has_completed_type = true;
    request->completed_type = QUERY_RESULT_TYPE_ANSWERED;
    request->query_result = script_payloads(f, text);
    return request;
}

/* Nothing pending: a task of its own, on a closed run too; no trace in the history. */
static void test_direct_query(void **state)
{
    struct fixture *f = *state;
    script_start(f, "ask");
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 0)),
                   script_timer(f, "t", 100 * S));
    uint64_t query = ask(f, "ask");
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 0));
    assert_string_equal(task->query->query_type, "state");
    assert_int_equal(task->history->n_events, 5);
    fixture_ok(f, 2, METHOD_RESPOND_QUERY_TASK_COMPLETED, answer(f, task, "42"));
    assert_string_equal(answer_of(f, query), "42");
    fixture_refused(f, 2, METHOD_RESPOND_QUERY_TASK_COMPLETED, answer(f, task, "43"), 5,
                    "query task not found");
    fixture_advance(f, 100 * S);
    finish(f);
    query = ask(f, "ask");
    task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 0));
    Api__RespondQueryTaskCompletedRequest *failed = answer(f, task, "");
    failed->completed_type = QUERY_RESULT_TYPE_FAILED;
    failed->error_message = "unknown query";
    fixture_ok(f, 2, METHOD_RESPOND_QUERY_TASK_COMPLETED, failed);
    struct fixture_reply *reply = fixture_take(f, 1, query);
    assert_int_equal(reply->grpc_status, 3);
    assert_string_equal(((Api__ErrorReply *)reply->body)->detail_type, "QueryFailedFailure");
}

/* A pending workflow task carries the query, so that the answer includes what the task brings. */
static void test_attached_query(void **state)
{
    struct fixture *f = *state;
    script_start(f, "with");
    uint64_t query = ask(f, "with");
    workflow_task_message *task = script_workflow_task(f, 2, script_poll_workflow(f, 2, 0));
    assert_int_equal(task->n_queries, 1);
    Api__RespondWorkflowTaskCompletedRequest *completion =
        script_completion(f, task, (Api__Command *const[4]){script_timer(f, "t", S)});
    Api__WorkflowQueryResult result = API__WORKFLOW_QUERY_RESULT__INIT;
    result.has_result_type = true;
    result.result_type = QUERY_RESULT_TYPE_ANSWERED;
    result.answer = script_payloads(f, "7");
    Api__RespondWorkflowTaskCompletedRequest__QueryResultsEntry entry =
        API__RESPOND_WORKFLOW_TASK_COMPLETED_REQUEST__QUERY_RESULTS_ENTRY__INIT;
    entry.key = task->queries[0]->key;
    entry.value = &result;
    Api__RespondWorkflowTaskCompletedRequest__QueryResultsEntry *entries[1] = {&entry};
    completion->n_query_results = 1;
    completion->query_results = entries;
    fixture_ok(f, 2, METHOD_RESPOND_WORKFLOW_TASK_COMPLETED, completion);
    assert_string_equal(answer_of(f, query), "7");
}

static void test_query_without_worker(void **state)
{
    struct fixture *f = *state;
    script_start(f, "alone");
    uint64_t query = ask(f, "alone");
    fixture_advance(f, 60 * S);
    assert_int_equal(fixture_take(f, 1, query)->grpc_status, 4);
}

/* --- descriptions
 * -------------------------------------------------------------------------------------- */

static void test_describe(void **state)
{
    struct fixture *f = *state;
    script_start(f, "look");
    script_respond(f, 2, script_workflow_task(f, 2, script_poll_workflow(f, 2, 0)),
                   script_schedule(f, "a"));
    script_heartbeat(f, 3, script_activity_task(f, 3, script_poll_activity(f, 3, 1)), "50%");
    Api__DescribeWorkflowExecutionRequest describe = API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    describe.namespace_ = "default";
    describe.execution = script_execution(f, "look");
    Api__DescribeWorkflowExecutionResponse *response =
        fixture_ok(f, 1, METHOD_DESCRIBE_WORKFLOW_EXECUTION, &describe);
    assert_int_equal(response->workflow_execution_info->status, WORKFLOW_EXECUTION_STATUS_RUNNING);
    assert_int_equal(response->workflow_execution_info->history_length, 5);
    assert_int_equal(response->n_pending_activities, 1);
    assert_int_equal(response->pending_activities[0]->state, PENDING_ACTIVITY_STATE_STARTED);
    assert_string_equal(response->pending_activities[0]->last_worker_identity, "w3");
    assert_non_null(response->pending_activities[0]->heartbeat_details);
    Api__DescribeTaskQueueRequest queue = API__DESCRIBE_TASK_QUEUE_REQUEST__INIT;
    queue.namespace_ = "default";
    queue.task_queue = script_queue(f, "aq", TASK_QUEUE_KIND_NORMAL);
    queue.has_task_queue_type = true;
    queue.task_queue_type = TASK_QUEUE_TYPE_ACTIVITY;
    Api__DescribeTaskQueueResponse *stats = fixture_ok(f, 1, METHOD_DESCRIBE_TASK_QUEUE, &queue);
    assert_int_equal(stats->in_flight, 1);
    assert_int_equal(stats->n_pollers, 1);
    assert_int_equal(stats->pollers[0]->slots_used, 1);
}

static void test_system(void **state)
{
    struct fixture *f = *state;
    Api__GetSystemInfoRequest info = API__GET_SYSTEM_INFO_REQUEST__INIT;
    Api__GetSystemInfoResponse *system = fixture_ok(f, 1, METHOD_GET_SYSTEM_INFO, &info);
    assert_true(system->capabilities->sdk_metadata);
    Api__DescribeNamespaceRequest describe = API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    describe.namespace_ = "default";
    Api__DescribeNamespaceResponse *namespace =
        fixture_ok(f, 1, METHOD_DESCRIBE_NAMESPACE, &describe);
    assert_string_equal(namespace->namespace_info->name, "default");
    describe.namespace_ = "none";
    fixture_refused(f, 1, METHOD_DESCRIBE_NAMESPACE, &describe, 5, "namespace none");
    Api__ListWorkflowExecutionsRequest list = API__LIST_WORKFLOW_EXECUTIONS_REQUEST__INIT;
    list.namespace_ = "default";
    fixture_refused(f, 1, METHOD_LIST_WORKFLOW_EXECUTIONS, &list, 12, "not supported");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_already_started),
        TEST(test_policies),
        TEST(test_reuse_after_failure),
        TEST(test_repeated_start),
        TEST(test_repeated_start_behind_another),
        TEST(test_start_over_damaged_log),
        TEST(test_signal_with_delayed_start),
        TEST(test_history_limit),
        TEST(test_start_refused),
        TEST(test_repeated_signal),
        TEST(test_signal_with_start),
        TEST(test_many_buffered),
        TEST(test_large_buffered),
        TEST(test_history_pages),
        TEST(test_history_waits),
        TEST(test_close_event),
        TEST(test_direct_query),
        TEST(test_attached_query),
        TEST(test_query_without_worker),
        TEST(test_describe),
        TEST(test_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
