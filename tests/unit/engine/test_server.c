/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole engine in one process: server, core and store behind a socket, a connection in front.
 * What is tested is the shell's part: answers come when what they tell of is durable, not before;
 * what was answered is there after a restart; a disk that fails ends the server.
 */
#include "tests/unit/engine/store_fixture.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/messages.h"
#include "engine/server.h"
#include "queues/connection.h"
#include "tests/unit/engine/fault_vfs.h"

#define TIMEOUT_MS 30000

struct engine {
    char folder[64], path[96], address[96];
    const char *addresses[1];
    int stop_fd;
    struct server *server;
    pthread_t thread;
    int run_code; /* of server_run; after the thread was joined */
    struct error run_error;
    struct connection *connection;
    struct arena arena;
};

static void *run_server(void *arg)
{
    struct engine *engine = arg;
    engine->run_code = server_run(engine->server, &engine->run_error);
    return NULL;
}

static void start(struct engine *engine, bool is_memory)
{
    struct error err = {0};
    engine->addresses[0] = engine->address;
    engine->stop_fd = eventfd(0, EFD_CLOEXEC);
    const struct server_config config = {
        .endpoint = {.addresses = engine->addresses, .address_count = 1},
        .store_path = is_memory ? NULL : engine->path,
        .reclaim_us = 1000000,
        .stop_fd = engine->stop_fd};
    if (server_open(&config, &engine->server, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(pthread_create(&engine->thread, NULL, run_server, engine), 0);
    const struct connection_config connection = {.address = server_address(engine->server, 0)};
    if (connection_open(&connection, &engine->connection, &err) != 0)
        fail_msg("%s", err.text);
}

static void stop(struct engine *engine)
{
    uint64_t one = 1;
    connection_close(engine->connection);
    assert_int_equal(write(engine->stop_fd, &one, sizeof one), sizeof one);
    pthread_join(engine->thread, NULL);
    server_close(engine->server);
    close(engine->stop_fd);
}

static void set_up(struct engine *engine, bool is_memory)
{
    *engine = (struct engine){0};
    arena_init(&engine->arena, ARENA_NO_LIMIT);
    folder_create(engine->folder);
    snprintf(engine->path, sizeof engine->path, "%s/engine.db", engine->folder);
    snprintf(engine->address, sizeof engine->address, "ipc://%s/engine.sock", engine->folder);
    start(engine, is_memory);
}

static void tear_down(struct engine *engine)
{
    stop(engine);
    arena_fini(&engine->arena);
    folder_remove(engine->folder);
}

static int call(struct engine *engine, enum method method, const ProtobufCMessage *message,
                ProtobufCMessage **ret_reply, ProtobufCMessage **ret_detail)
{
    return connection_call(engine->connection, method, message, TIMEOUT_MS, &engine->arena,
                           ret_reply, ret_detail, NULL);
}

struct start_request {
    Api__StartWorkflowExecutionRequest body;
    Api__WorkflowType type;
    Api__TaskQueue task_queue;
};

static const ProtobufCMessage *start_request(struct start_request *request, const char *id)
{
    api__start_workflow_execution_request__init(&request->body);
    api__workflow_type__init(&request->type);
    api__task_queue__init(&request->task_queue);
    request->type.name = "T";
    request->task_queue.name = "q";
    request->body.namespace_ = "default";
    request->body.workflow_id = id;
    request->body.workflow_type = &request->type;
    request->body.task_queue = &request->task_queue;
    return &request->body.base;
}

static void start_workflow(struct engine *engine, const char *id)
{
    struct start_request request;
    ProtobufCMessage *reply;
    assert_int_equal(
        call(engine, METHOD_START_WORKFLOW_EXECUTION, start_request(&request, id), &reply, NULL),
        0);
}

static int64_t count_workflows(struct engine *engine, const char *query)
{
    Api__CountWorkflowExecutionsRequest request = API__COUNT_WORKFLOW_EXECUTIONS_REQUEST__INIT;
    ProtobufCMessage *reply;
    request.namespace_ = "default";
    request.query = query;
    assert_int_equal(call(engine, METHOD_COUNT_WORKFLOW_EXECUTIONS, &request.base, &reply, NULL),
                     0);
    return ((Api__CountWorkflowExecutionsResponse *)reply)->count;
}

static void terminate(struct engine *engine, const char *id)
{
    Api__TerminateWorkflowExecutionRequest request =
        API__TERMINATE_WORKFLOW_EXECUTION_REQUEST__INIT;
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    ProtobufCMessage *reply;
    execution.workflow_id = id;
    request.namespace_ = "default";
    request.workflow_execution = &execution;
    assert_int_equal(call(engine, METHOD_TERMINATE_WORKFLOW_EXECUTION, &request.base, &reply, NULL),
                     0);
}

/* The number of events of the latest run of this id, open or read back from the store. */
static size_t history_length(struct engine *engine, const char *id)
{
    Api__GetWorkflowExecutionHistoryRequest request =
        API__GET_WORKFLOW_EXECUTION_HISTORY_REQUEST__INIT;
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    ProtobufCMessage *reply;
    execution.workflow_id = id;
    request.namespace_ = "default";
    request.execution = &execution;
    assert_int_equal(
        call(engine, METHOD_GET_WORKFLOW_EXECUTION_HISTORY, &request.base, &reply, NULL), 0);
    return ((Api__GetWorkflowExecutionHistoryResponse *)reply)->history->n_events;
}

static void serve_and_refuse(void **state)
{
    (void)state;
    struct engine engine;
    struct start_request request;
    ProtobufCMessage *reply, *detail;
    set_up(&engine, true);
    start_workflow(&engine, "a");
    assert_int_equal(count_workflows(&engine, "WorkflowId='a' AND ExecutionStatus='Running'"), 1);
    assert_int_equal(call(&engine, METHOD_START_WORKFLOW_EXECUTION, start_request(&request, "a"),
                          &reply, &detail),
                     ERR_EXISTS);
    assert_non_null(detail);
    assert_ptr_equal(detail->descriptor,
                     &api__workflow_execution_already_started_failure__descriptor);
    assert_int_equal(
        call(&engine, METHOD_START_WORKFLOW_EXECUTION, start_request(&request, ""), &reply, NULL),
        ERR_INVALID);
    terminate(&engine, "a");
    assert_int_equal(count_workflows(&engine, "ExecutionStatus='Terminated'"), 1);
    assert_int_equal(count_workflows(&engine, "ExecutionStatus='Running'"), 0);
    tear_down(&engine);
    assert_int_equal(engine.run_code, 0);
}

static void what_was_answered_is_there_after_a_restart(void **state)
{
    (void)state;
    struct engine engine;
    set_up(&engine, false);
    start_workflow(&engine, "open");
    start_workflow(&engine, "closed");
    terminate(&engine, "closed");
    assert_int_equal(history_length(&engine, "closed"), 3);
    stop(&engine);
    start(&engine, false);
    assert_int_equal(server_recovered_runs(engine.server), 1);
    assert_int_equal(count_workflows(&engine, NULL), 2);
    assert_int_equal(history_length(&engine, "open"), 2);
    assert_int_equal(history_length(&engine, "closed"), 3);
    /* The id of a closed run may be used again; both are there then. */
    start_workflow(&engine, "closed");
    assert_int_equal(count_workflows(&engine, "WorkflowId='closed'"), 2);
    tear_down(&engine);
}

struct waiting_start {
    atomic_bool is_answered;
    int status;
};

static void on_started(void *context, const struct connection_reply *reply)
{
    struct waiting_start *waiting = context;
    waiting->status = reply->status;
    atomic_store(&waiting->is_answered, true);
}

static void submit_start(struct engine *engine, const char *id, struct waiting_start *waiting)
{
    struct start_request request;
    *waiting = (struct waiting_start){0};
    assert_int_equal(
        connection_submit(engine->connection,
                          &(struct connection_request){.message = start_request(&request, id),
                                                       .method = METHOD_START_WORKFLOW_EXECUTION,
                                                       .timeout_ms = TIMEOUT_MS,
                                                       .on_reply = on_started,
                                                       .context = waiting},
                          NULL, NULL),
        0);
}

/* While the disk is held no answer to a start comes, and none to what was asked of the core after
 * it; when it is released all of them come. Listing what is durable needs no commit: its answer
 * proves that the server is alive and has had time for the others. */
static void answers_wait_for_the_disk(void **state)
{
    (void)state;
    struct engine engine;
    struct waiting_start first, second;
    set_up(&engine, false);
    start_workflow(&engine, "before");
    fault_vfs_hold();
    submit_start(&engine, "first", &first);
    assert_int_equal(count_workflows(&engine, NULL), 1);
    fault_vfs_wait_held();
    submit_start(&engine, "second", &second);
    for (int i = 0; i < 20; i++)
        assert_int_equal(count_workflows(&engine, NULL), 1);
    assert_false(atomic_load(&first.is_answered));
    assert_false(atomic_load(&second.is_answered));
    fault_vfs_release();
    while (!atomic_load(&first.is_answered) || !atomic_load(&second.is_answered))
        assert_int_equal(connection_run(engine.connection, TIMEOUT_MS, -1, NULL, NULL), 0);
    assert_int_equal(first.status, 0);
    assert_int_equal(second.status, 0);
    assert_int_equal(count_workflows(&engine, NULL), 3);
    tear_down(&engine);
}

/* What was taken before the stop is committed and answered. */
static void stopping_finishes_what_was_taken(void **state)
{
    (void)state;
    struct engine engine;
    struct waiting_start waiting;
    set_up(&engine, false);
    start_workflow(&engine, "before");
    fault_vfs_hold();
    submit_start(&engine, "last", &waiting);
    assert_int_equal(count_workflows(&engine, NULL), 1);
    fault_vfs_wait_held();
    uint64_t one = 1;
    assert_int_equal(write(engine.stop_fd, &one, sizeof one), sizeof one);
    fault_vfs_release();
    while (!atomic_load(&waiting.is_answered))
        assert_int_equal(connection_run(engine.connection, TIMEOUT_MS, -1, NULL, NULL), 0);
    assert_int_equal(waiting.status, 0);
    stop(&engine);
    assert_int_equal(engine.run_code, 0);
    start(&engine, false);
    assert_int_equal(server_recovered_runs(engine.server), 2);
    tear_down(&engine);
}

static void a_disk_that_fails_ends_the_server(void **state)
{
    (void)state;
    struct engine engine;
    struct waiting_start waiting;
    set_up(&engine, false);
    start_workflow(&engine, "before");
    fault_vfs_arm(FAULT_IO, 1);
    submit_start(&engine, "lost", &waiting);
    assert_int_equal(connection_run(engine.connection, 0, -1, NULL, NULL), 0);
    pthread_join(engine.thread, NULL);
    assert_int_equal(engine.run_code, ERR_STORAGE);
    assert_string_not_equal(engine.run_error.text, "");
    fault_vfs_arm(FAULT_NONE, 0);
    server_close(engine.server);
    connection_close(engine.connection);
    close(engine.stop_fd);
    /* The answer, if any, is that there is none. */
    assert_true(!atomic_load(&waiting.is_answered) || waiting.status != 0);
    start(&engine, false);
    start_workflow(&engine, "after");
    assert_int_equal(count_workflows(&engine, "WorkflowId='before'"), 1);
    tear_down(&engine);
}

static void note_turn(void *context)
{
    const int *turn_fd = context;
    eventfd_write(*turn_fd, 1);
}

/* Nobody is there, nothing is due: its loop turns all the same, so that who watches it sees that it
 * does. */
static void an_idle_server_turns(void **state)
{
    (void)state;
    struct engine engine = {0};
    struct error err = {0};
    int turn_fd = eventfd(0, EFD_CLOEXEC);
    folder_create(engine.folder);
    snprintf(engine.address, sizeof engine.address, "ipc://%s/engine.sock", engine.folder);
    engine.addresses[0] = engine.address;
    engine.stop_fd = eventfd(0, EFD_CLOEXEC);
    const struct server_config config = {
        .endpoint = {.addresses = engine.addresses, .address_count = 1},
        .stop_fd = engine.stop_fd,
        .on_turn = note_turn,
        .context = &turn_fd};
    assert_int_equal(server_open(&config, &engine.server, &err), 0);
    assert_int_equal(pthread_create(&engine.thread, NULL, run_server, &engine), 0);
    for (int i = 0; i < 3; i++) {
        struct pollfd poll_fd = {.fd = turn_fd, .events = POLLIN};
        eventfd_t count;
        assert_int_equal(poll(&poll_fd, 1, TIMEOUT_MS), 1);
        eventfd_read(turn_fd, &count);
    }
    eventfd_write(engine.stop_fd, 1);
    pthread_join(engine.thread, NULL);
    server_close(engine.server);
    close(engine.stop_fd);
    close(turn_fd);
    folder_remove(engine.folder);
}

int main(void)
{
    fault_vfs_install();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serve_and_refuse),
        cmocka_unit_test(what_was_answered_is_there_after_a_restart),
        cmocka_unit_test(answers_wait_for_the_disk),
        cmocka_unit_test(stopping_finishes_what_was_taken),
        cmocka_unit_test(an_idle_server_turns),
        cmocka_unit_test(a_disk_that_fails_ends_the_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
