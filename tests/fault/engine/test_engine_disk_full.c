/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine on a disk that has no more room (a limit on the size of its files): it stops with the
 * status that says so instead of going on without a log, and everything it had acknowledged is
 * there when it is started again with room.
 */
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/pipeline_message.h"
#include "bench/process.h"
#include "common/exit_code.h"
#include "queues/connection.h"

/* Room for the empty store and some hundred starts. */
#define FILE_SIZE_MAX ((rlim_t)(1024 * 1024))
#define STARTS_MAX    100000
#define TIMEOUT_MS    20000

struct fault {
    char folder[64], address[96], engine_path[512];
    struct process engine;
    struct connection *connection;
    struct arena arena;
};

static void start_engine(struct fault *fault)
{
    struct error err = {0};
    const char *const arguments[] = {fault->engine_path, "--data-dir",   fault->folder,
                                     "--listen",         fault->address, NULL};
    if (process_start(&fault->engine, arguments, &err) != 0)
        fail_msg("%s", err.text);
}

static void start_engine_without_room(struct fault *fault)
{
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = FILE_SIZE_MAX;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    start_engine(fault);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
}

static int start_workflow(struct fault *fault, int number, uint32_t timeout_ms)
{
    Api__WorkflowType type = API__WORKFLOW_TYPE__INIT;
    Api__StartWorkflowExecutionRequest request = API__START_WORKFLOW_EXECUTION_REQUEST__INIT;
    ProtobufCMessage *reply;
    arena_reset(&fault->arena);
    type.name = "T";
    request.namespace_ = "default";
    request.workflow_id = arena_printf(&fault->arena, "full-%d", number);
    request.workflow_type = &type;
    request.task_queue = task_queue_new(&fault->arena, "q", TASK_QUEUE_KIND_NORMAL, NULL);
    request.input = payloads_new(&fault->arena, "some input");
    request.request_id = request.workflow_id;
    return connection_call(fault->connection, METHOD_START_WORKFLOW_EXECUTION, &request.base,
                           timeout_ms, &fault->arena, &reply, NULL, NULL);
}

static void check_running(struct fault *fault, int number)
{
    Api__WorkflowExecution execution = API__WORKFLOW_EXECUTION__INIT;
    Api__DescribeWorkflowExecutionRequest request = API__DESCRIBE_WORKFLOW_EXECUTION_REQUEST__INIT;
    ProtobufCMessage *reply;
    arena_reset(&fault->arena);
    execution.workflow_id = arena_printf(&fault->arena, "full-%d", number);
    request.namespace_ = "default";
    request.execution = &execution;
    struct error err = {0};
    if (connection_call(fault->connection, METHOD_DESCRIBE_WORKFLOW_EXECUTION, &request.base,
                        TIMEOUT_MS, &fault->arena, &reply, NULL, &err) != 0)
        fail_msg("%s: %s", execution.workflow_id, err.text);
}

static void set_up(struct fault *fault)
{
    const char *bin = getenv("ARGOSY_BIN_DIR");
    assert_non_null(bin);
    snprintf(fault->engine_path, sizeof fault->engine_path, "%s/argosy-engine", bin);
    snprintf(fault->folder, sizeof fault->folder, "/tmp/argosy-fault-XXXXXX");
    assert_non_null(mkdtemp(fault->folder));
    snprintf(fault->address, sizeof fault->address, "ipc://%s/engine.sock", fault->folder);
    arena_init(&fault->arena, ARENA_NO_LIMIT);
    const struct connection_config connection = {.address = fault->address};
    assert_int_equal(connection_open(&connection, &fault->connection, NULL), 0);
}

static void tear_down(struct fault *fault)
{
    connection_close(fault->connection);
    process_stop(&fault->engine, SIGKILL, NULL);
    process_remove_folder(fault->folder);
    arena_fini(&fault->arena);
}

static void a_full_disk_stops_the_engine_and_loses_nothing(void **state)
{
    (void)state;
    struct fault fault = {0};
    set_up(&fault);
    start_engine_without_room(&fault);
    int acknowledged = 0;
    /* The last call meets an engine that is gone: it gives up soon. */
    while (acknowledged < STARTS_MAX && start_workflow(&fault, acknowledged, 3000) == 0)
        acknowledged++;
    assert_in_range(acknowledged, 10, STARTS_MAX - 1);
    int status;
    process_stop(&fault.engine, 0, &status);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_STORAGE);

    start_engine(&fault);
    for (int i = 0; i < acknowledged; i++)
        check_running(&fault, i);
    assert_int_equal(start_workflow(&fault, acknowledged + 1, TIMEOUT_MS), 0);
    tear_down(&fault);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_stops_the_engine_and_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
