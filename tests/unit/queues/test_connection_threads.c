/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_connection_threads: a connection used by many threads, with a loop of its own and with the
 * opener's; the server answers on a thread of its own. Prints the round trip.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "api/codec.h"
#include "common/clock.h"
#include "queues/connection.h"
#include "queues/endpoint.h"

#define CALL_TIMEOUT_MS 30000

/* A server that answers DescribeNamespace with the namespace it was asked for. */
struct server {
    char folder[64];
    char address[128];
    struct endpoint *endpoint;
    pthread_t thread;
    int stop_fd;
};

static void answer(struct server *server, const struct endpoint_event *event, struct arena *arena)
{
    if (event->kind != ENDPOINT_REQUEST)
        return;
    if (event->method->method == METHOD_HELLO) {
        Api__HelloResponse hello = API__HELLO_RESPONSE__INIT;
        hello.engine_instance_id = "engine";
        endpoint_reply(server->endpoint, event->session, event->correlation_id, false, &hello.base,
                       NULL);
        return;
    }
    ProtobufCMessage *message;
    if (event->method->method != METHOD_DESCRIBE_NAMESPACE ||
        codec_decode(event->method->request, event->body, event->body_size, arena, &message,
                     NULL) != 0)
        abort();
    const Api__DescribeNamespaceRequest *request = (const Api__DescribeNamespaceRequest *)message;
    if (strcmp(request->namespace_, "missing") == 0) {
        struct error err = {0};
        Api__NamespaceNotFoundFailure detail = API__NAMESPACE_NOT_FOUND_FAILURE__INIT;
        detail.namespace_ = request->namespace_;
        error_set(&err, ERR_NOT_FOUND, "namespace \"%s\" does not exist", request->namespace_);
        endpoint_reply_error(server->endpoint, event->session, event->correlation_id, &err,
                             &detail.base);
        return;
    }
    Api__NamespaceInfo info = API__NAMESPACE_INFO__INIT;
    info.name = request->namespace_;
    Api__DescribeNamespaceResponse response = API__DESCRIBE_NAMESPACE_RESPONSE__INIT;
    response.namespace_info = &info;
    endpoint_reply(server->endpoint, event->session, event->correlation_id, false, &response.base,
                   NULL);
}

static void *serve(void *argument)
{
    struct server *server = argument;
    struct endpoint_batch batch = {0};
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    while (!batch.woken) {
        if (endpoint_wait(server->endpoint, -1, server->stop_fd, &batch, NULL) != 0)
            abort();
        for (size_t i = 0; i < batch.count; i++)
            answer(server, &batch.events[i], &arena);
        endpoint_flush(server->endpoint);
        arena_reset(&arena);
    }
    arena_fini(&arena);
    return NULL;
}

static int setup(void **state)
{
    struct server *server = calloc(1, sizeof *server);
    strcpy(server->folder, "/tmp/argosy-test-XXXXXX");
    if (mkdtemp(server->folder) == NULL)
        return -1;
    snprintf(server->address, sizeof server->address, "ipc://%s/engine.sock", server->folder);
    struct endpoint_config config = {.addresses = (const char *const[]){server->address},
                                     .address_count = 1};
    server->stop_fd = eventfd(0, EFD_CLOEXEC);
    *state = server;
    return endpoint_open(&config, &server->endpoint, NULL) == 0
               ? pthread_create(&server->thread, NULL, serve, server)
               : -1;
}

static int teardown(void **state)
{
    struct server *server = *state;
    eventfd_write(server->stop_fd, 1);
    pthread_join(server->thread, NULL);
    endpoint_close(server->endpoint);
    close(server->stop_fd);
    unlink(server->address + strlen("ipc://"));
    rmdir(server->folder);
    free(server);
    return 0;
}

static struct connection *open_connection(const struct server *server, bool own_thread)
{
    struct connection_config config = {.address = server->address, .own_thread = own_thread};
    struct connection *connection;
    struct error err = {0};
    if (connection_open(&config, &connection, &err) != 0)
        fail_msg("%s", err.text);
    if (connection_wait_session(connection, CALL_TIMEOUT_MS, &err) != 0)
        fail_msg("%s", err.text);
    return connection;
}

/* Calls with a name of its own; 0 when the answer names it. */
static int call(struct connection *connection, const char *name, struct arena *arena)
{
    Api__DescribeNamespaceRequest request = API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    request.namespace_ = name;
    ProtobufCMessage *message;
    struct error err = {0};
    int rc = connection_call(connection, METHOD_DESCRIBE_NAMESPACE, &request.base, CALL_TIMEOUT_MS,
                             arena, &message, NULL, &err);
    if (rc != 0)
        return rc;
    const Api__DescribeNamespaceResponse *response =
        (const Api__DescribeNamespaceResponse *)message;
    return strcmp(response->namespace_info->name, name) == 0 ? 0 : -1;
}

struct caller {
    struct connection *connection;
    int number;
    int failures;
};

static void *call_often(void *argument)
{
    struct caller *caller = argument;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    for (int i = 0; i < 200; i++) {
        char name[32];
        snprintf(name, sizeof name, "%d-%d", caller->number, i);
        caller->failures += call(caller->connection, name, &arena) != 0;
        arena_reset(&arena);
    }
    arena_fini(&arena);
    return NULL;
}

static void test_calls_from_many_threads(void **state)
{
    struct connection *connection = open_connection(*state, true);
    enum { THREADS = 4 };
    struct caller callers[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.connection = connection, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, call_often, &callers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(callers[i].failures, 0);
    }
    connection_close(connection);
}

static void test_call_on_the_owner_thread(void **state)
{
    struct connection *connection = open_connection(*state, false);
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    const int count = 2000;
    uint64_t start = clock_monotonic_ns();
    for (int i = 0; i < count; i++) {
        assert_int_equal(call(connection, "default", &arena), 0);
        arena_reset(&arena);
    }
    print_message("%.1f us per round trip\n",
                  (double)(clock_monotonic_ns() - start) / 1000 / count);
    Api__DescribeNamespaceRequest request = API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    request.namespace_ = "missing";
    ProtobufCMessage *message = NULL;
    ProtobufCMessage *detail = NULL;
    struct error err = {0};
    assert_int_equal(connection_call(connection, METHOD_DESCRIBE_NAMESPACE, &request.base,
                                     CALL_TIMEOUT_MS, &arena, &message, &detail, &err),
                     ERR_NOT_FOUND);
    assert_string_equal(err.text, "namespace \"missing\" does not exist");
    assert_non_null(detail);
    assert_ptr_equal(detail->descriptor, &api__namespace_not_found_failure__descriptor);
    assert_string_equal(((Api__NamespaceNotFoundFailure *)detail)->namespace_, "missing");
    assert_null(message);
    arena_fini(&arena);
    connection_close(connection);
}

/* One request after the other, each submitted by the callback of the one before. */
struct chain {
    struct connection *connection;
    int left;
    int open;
};

static void submit_next(struct chain *chain);

static void chain_replied(void *context, const struct connection_reply *reply)
{
    struct chain *chain = context;
    assert_int_equal(reply->status, 0);
    chain->open--;
    submit_next(chain);
}

static void submit_next(struct chain *chain)
{
    if (chain->left == 0)
        return;
    chain->left--;
    chain->open++;
    Api__DescribeNamespaceRequest request = API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    request.namespace_ = "default";
    struct connection_request full = {.message = &request.base,
                                      .method = METHOD_DESCRIBE_NAMESPACE,
                                      .timeout_ms = CALL_TIMEOUT_MS,
                                      .on_reply = chain_replied,
                                      .context = chain};
    assert_int_equal(connection_submit(chain->connection, &full, NULL, NULL), 0);
}

static void test_callbacks_submit(void **state)
{
    const int count = 50000;
    struct chain chain = {.connection = open_connection(*state, false), .left = count};
    uint64_t start = clock_monotonic_ns();
    for (int i = 0; i < 256; i++)
        submit_next(&chain);
    while (chain.open > 0)
        assert_int_equal(connection_run(chain.connection, -1, -1, NULL, NULL), 0);
    print_message("%.2f us per request, 256 in flight\n",
                  (double)(clock_monotonic_ns() - start) / 1000 / count);
    connection_close(chain.connection);
}

static void ignore_reply(void *context, const struct connection_reply *reply)
{
    (void)reply;
    (*(int *)context)++;
}

static void test_pending_is_bounded(void **state)
{
    struct connection_config config = {.address = "ipc:///tmp/argosy-nobody-listens-here"};
    struct connection *connection;
    (void)state;
    int ended = 0;
    assert_int_equal(connection_open(&config, &connection, NULL), 0);
    struct connection_request request = {
        .message = &(Api__PingRequest)API__PING_REQUEST__INIT.base,
        .method = METHOD_PING,
        .timeout_ms = CALL_TIMEOUT_MS,
        .on_reply = ignore_reply,
        .context = &ended,
    };
    for (int i = 0; i < CONNECTION_PENDING_MAX; i++)
        assert_int_equal(connection_submit(connection, &request, NULL, NULL), 0);
    assert_int_equal(connection_submit(connection, &request, NULL, NULL), ERR_LIMIT);
    connection_close(connection);
    assert_int_equal(ended, CONNECTION_PENDING_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_calls_from_many_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_call_on_the_owner_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(test_callbacks_submit, setup, teardown),
        cmocka_unit_test(test_pending_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
