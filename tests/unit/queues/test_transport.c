/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_transport: endpoint and connection against each other over real ipc sockets: sessions,
 * leases, loss, delivery, and what a peer may send that is none of ours.
 */
#include "tests/unit/queues/transport_fixture.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "api/codec.h"
#include "common/clock.h"
#include "common/limits.h"
#include "queues/envelope.h"

static const Api__GetSystemInfoRequest info_request = API__GET_SYSTEM_INFO_REQUEST__INIT;

static void reply_info(struct fixture *fixture, const struct fixture_event *event, bool more)
{
    Api__GetSystemInfoResponse response = API__GET_SYSTEM_INFO_RESPONSE__INIT;
    response.server_version = "test";
    assert_int_equal(endpoint_reply(fixture->endpoint, event->session, event->correlation_id, more,
                                    &response.base, NULL),
                     0);
    endpoint_flush(fixture->endpoint);
}

static void start(struct fixture *fixture, int64_t lease_ms)
{
    fixture_listen(fixture, lease_ms);
    fixture_connect(fixture, 0, NULL);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions == 1);
}

static void test_hello_names_the_process(void **state)
{
    struct fixture *fixture = *state;
    fixture_listen(fixture, 0);
    struct connection_config config = {
        .identity = "7@host#gpu", .instance_id = "instance-a", .node = "node-a"};
    fixture_connect(fixture, 0, &config);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions == 1);
    const struct fixture_event *hello = fixture_last(fixture, METHOD_HELLO);
    assert_int_not_equal(hello->session, 0);
    struct endpoint_session session;
    assert_true(endpoint_session_get(fixture->endpoint, hello->session, &session));
    assert_string_equal(session.identity, "7@host#gpu");
    assert_string_equal(session.instance_id, "instance-a");
    assert_string_equal(session.node, "node-a");
    assert_int_equal(session.pid, getpid());
    assert_int_equal(endpoint_session_find(fixture->endpoint, "node-a", getpid(), NULL),
                     hello->session);
    assert_int_equal(endpoint_session_find(fixture->endpoint, "node-a", getpid(), "instance-a"),
                     hello->session);
    assert_int_equal(endpoint_session_find(fixture->endpoint, "node-a", getpid(), "instance-b"), 0);
    assert_int_equal(endpoint_session_find(fixture->endpoint, "node-b", getpid(), NULL), 0);
    assert_false(endpoint_session_get(fixture->endpoint, hello->session + 1, &session));
}

static void test_request_and_reply(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 5000);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
    reply_info(fixture, fixture_last(fixture, METHOD_GET_SYSTEM_INFO), false);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].replies == 1);
    assert_int_equal(fixture->clients[0].last_status, 0);
    assert_int_equal(fixture->clients[0].last_size, 7); /* {1: "test"} */
}

static void test_error_with_detail(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 5000);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
    const struct fixture_event *event = fixture_last(fixture, METHOD_GET_SYSTEM_INFO);
    struct error err = {0};
    error_set(&err, ERR_EXISTS, "is running, \xc3"); /* a text cut inside a character */
    Api__WorkflowExecutionAlreadyStartedFailure detail =
        API__WORKFLOW_EXECUTION_ALREADY_STARTED_FAILURE__INIT;
    detail.run_id = "run-1";
    endpoint_reply_error(fixture->endpoint, event->session, event->correlation_id, &err,
                         &detail.base);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].replies == 1);
    assert_int_equal(fixture->clients[0].last_status, 6);
    assert_string_equal(fixture->clients[0].last_text, "is running, ?");
}

static void test_standing_request(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    uint64_t id = fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 0);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
    const struct fixture_event *event = fixture_last(fixture, METHOD_GET_SYSTEM_INFO);
    assert_int_equal(event->correlation_id, id);
    for (int i = 0; i < 3; i++)
        reply_info(fixture, event, true);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].replies == 3);
    assert_int_equal(fixture->clients[0].finals, 0);
    assert_int_equal(connection_cancel(fixture->clients[0].connection, id, NULL), 0);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_CANCEL) == 1);
    reply_info(fixture, event, false);
    reply_info(fixture, event, false); /* nobody waits for it any more */
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].finals == 1);
    fixture_pump(fixture);
    assert_int_equal(fixture->clients[0].replies, 4);
}

static void test_many_in_flight(void **state)
{
    enum { COUNT = 4096, BODY = 8192 };
    struct fixture *fixture = *state;
    start(fixture, 0);
    char *text = calloc(1, BODY + 1);
    memset(text, 'x', BODY);
    Api__DescribeNamespaceRequest request = API__DESCRIBE_NAMESPACE_REQUEST__INIT;
    request.namespace_ = text;
    for (int i = 0; i < COUNT; i++)
        fixture_submit(fixture, 0, METHOD_DESCRIBE_NAMESPACE, &request.base, 30000);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_DESCRIBE_NAMESPACE) == COUNT);
    for (size_t i = 0; i < fixture->event_count; i++) {
        if (fixture->events[i].method != METHOD_DESCRIBE_NAMESPACE)
            continue;
        assert_true(fixture->events[i].body_size > BODY);
        assert_int_equal(endpoint_reply_bytes(fixture->endpoint, fixture->events[i].session,
                                              fixture->events[i].correlation_id, false,
                                              (const uint8_t *)"\x80", 1, NULL),
                         0);
    }
    struct endpoint_stats before, after;
    endpoint_stats_get(fixture->endpoint, &before);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].finals == COUNT);
    endpoint_stats_get(fixture->endpoint, &after);
    assert_int_equal(after.messages_sent - before.messages_sent, 1); /* all replies in one */
    assert_true(before.messages_received < 16);
    free(text);
}

static void test_large_replies_are_split(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    for (int i = 0; i < 5; i++)
        fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 30000);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 5);
    uint8_t *body = calloc(1, LIMIT_MESSAGE_SIZE + 1);
    struct error err = {0};
    for (size_t i = 1; i < fixture->event_count; i++) {
        const struct fixture_event *event = &fixture->events[i];
        assert_int_equal(endpoint_reply_bytes(fixture->endpoint, event->session,
                                              event->correlation_id, false, body,
                                              LIMIT_MESSAGE_SIZE + 1, &err),
                         ERR_LIMIT);
        assert_int_equal(endpoint_reply_bytes(fixture->endpoint, event->session,
                                              event->correlation_id, false, body,
                                              LIMIT_MESSAGE_SIZE, &err),
                         0);
    }
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].finals == 5);
    assert_int_equal(fixture->clients[0].last_size, LIMIT_MESSAGE_SIZE);
    assert_int_equal(fixture->clients[0].sessions_lost, 0);
    free(body);
}

static void test_pings_keep_the_lease(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 2000);
    uint64_t end = clock_monotonic_ns() + 4500 * NS_PER_MS;
    while (clock_monotonic_ns() < end)
        fixture_pump(fixture);
    assert_int_equal(fixture_lost_count(fixture), 0);
    assert_int_equal(fixture->clients[0].sessions, 1);
    assert_int_equal(fixture->clients[0].sessions_lost, 0);
}

static void test_lease_runs_out(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 1000);
    uint64_t first = fixture_last(fixture, METHOD_HELLO)->session;
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 0);
    fixture_submit(fixture, 0, METHOD_DESCRIBE_NAMESPACE,
                   &(Api__DescribeNamespaceRequest)API__DESCRIBE_NAMESPACE_REQUEST__INIT.base,
                   30000);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_DESCRIBE_NAMESPACE) == 1);
    uint64_t limit = fixture_deadline();
    while (fixture_lost_count(fixture) == 0) { /* the client stands still */
        fixture_pump_server(fixture);
        fixture_check_deadline(limit, "lease runs out", __LINE__);
    }
    const struct fixture_event *loss = fixture_last_loss(fixture);
    assert_int_equal(loss->session, first);
    assert_int_equal(loss->replaced_by, 0);
    assert_string_equal(loss->reason, "lease expired");

    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions == 2);
    assert_int_equal(fixture->clients[0].finals, 1); /* the standing request */
    assert_int_equal(fixture->clients[0].last_status, 14);
    assert_true(fixture_last(fixture, METHOD_HELLO)->session > first);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_DESCRIBE_NAMESPACE) == 2);
    assert_int_equal(fixture_count(fixture, METHOD_GET_SYSTEM_INFO), 1);
}

static void test_silent_engine(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 1000);
    uint64_t limit = fixture_deadline();
    while (fixture->clients[0].sessions_lost == 0) { /* the server stands still */
        assert_int_equal(connection_run(fixture->clients[0].connection, 10, -1, NULL, NULL), 0);
        fixture_check_deadline(limit, "silence is noticed", __LINE__);
    }
    assert_non_null(strstr(fixture->clients[0].lost_reason, "nothing was heard"));
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions == 2);
    /* The old session is gone, whatever the server saw first when it woke: the new Hello of the
     * same instance, the end of the lease, or the closed socket it was answering. */
    const struct fixture_event *loss = fixture_last_loss(fixture);
    const char *reason = loss->reason;
    uint64_t replaced_by =
        strcmp(reason, "replaced") == 0 ? fixture_last(fixture, METHOD_HELLO)->session : 0;
    assert_int_equal(loss->replaced_by, replaced_by);
    if (strcmp(reason, "replaced") != 0 && strcmp(reason, "lease expired") != 0)
        assert_string_equal(reason, "undeliverable");
}

static void test_undeliverable(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 60000);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 0);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
    struct fixture_event event = *fixture_last(fixture, METHOD_GET_SYSTEM_INFO);
    connection_close(fixture->clients[0].connection);
    fixture->clients[0].connection = NULL;
    uint64_t limit = fixture_deadline();
    while (fixture_lost_count(fixture) == 0) {
        reply_info(fixture, &event, true);
        fixture_pump_server(fixture);
        fixture_check_deadline(limit, "loss is noticed", __LINE__);
    }
    assert_string_equal(fixture_last_loss(fixture)->reason, "undeliverable");
    assert_int_equal(fixture_last_loss(fixture)->session, event.session);
    reply_info(fixture, &event, false); /* to a session that is gone: no error, no event */
    fixture_pump_server(fixture);
    assert_int_equal(fixture_lost_count(fixture), 1);
}

static void test_same_instance_replaces(void **state)
{
    struct fixture *fixture = *state;
    fixture_listen(fixture, 0);
    struct connection_config config = {.instance_id = "twin"};
    fixture_connect(fixture, 0, &config);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions == 1);
    uint64_t first = fixture_last(fixture, METHOD_HELLO)->session;
    fixture_connect(fixture, 1, &config);
    uint64_t limit = fixture_deadline();
    while (fixture_count(fixture, METHOD_HELLO) == 1) {
        fixture_pump_server(fixture);
        connection_run(fixture->clients[1].connection, 1, -1, NULL, NULL);
        fixture_check_deadline(limit, "second hello", __LINE__);
    }
    size_t last = fixture->event_count - 1;
    assert_int_equal(fixture->events[last].method, METHOD_HELLO);
    const struct fixture_event *loss = &fixture->events[last - 1];
    assert_int_equal(loss->kind, ENDPOINT_SESSION_LOST);
    assert_int_equal(loss->session, first);
    assert_int_equal(loss->replaced_by, fixture->events[last].session);
    assert_string_equal(loss->reason, "replaced");
}

static void test_killed_session(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    endpoint_session_kill(fixture->endpoint, fixture_last(fixture, METHOD_HELLO)->session);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 30000);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
    assert_int_equal(fixture_lost_count(fixture), 0); /* no event for the kill */
    assert_int_equal(fixture->clients[0].sessions, 2);
    assert_int_equal(fixture->clients[0].finals, 0); /* not refused: sent again */
    assert_non_null(strstr(fixture->clients[0].lost_reason, "has ended the session"));
}

static void test_engine_restarts(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 30000);
    fixture_submit(
        fixture, 0, METHOD_POLL_ACTIVITY_TASK_QUEUE,
        &(Api__PollActivityTaskQueueRequest)API__POLL_ACTIVITY_TASK_QUEUE_REQUEST__INIT.base, 0);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
    endpoint_close(fixture->endpoint);
    fixture->endpoint = NULL;
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].sessions_lost == 1);
    assert_int_equal(fixture->clients[0].finals, 1);
    fixture->engine_instance_id = "engine-2";
    fixture_listen(fixture, 0);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 2);
    assert_int_equal(fixture_count(fixture, METHOD_POLL_ACTIVITY_TASK_QUEUE), 1);
    assert_true(fixture->clients[0].engine_changed);
    reply_info(fixture, fixture_last(fixture, METHOD_GET_SYSTEM_INFO), false);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].finals == 2);
    assert_int_equal(fixture->clients[0].last_status, 0);
}

static void test_deadlines(void **state)
{
    struct fixture *fixture = *state;
    fixture_connect(fixture, 0, NULL);
    struct fixture_client *client = &fixture->clients[0];
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 50);
    FIXTURE_PUMP_UNTIL(fixture, client->finals == 1);
    assert_int_equal(client->last_status, 14); /* nobody there: unavailable, and why */
    assert_non_null(strstr(client->last_text, fixture->address));
    struct error err = {0};
    assert_int_equal(connection_wait_session(client->connection, 20, &err), ERR_TIMEOUT);

    fixture_listen(fixture, 0);
    FIXTURE_PUMP_UNTIL(fixture, client->sessions == 1);
    assert_int_equal(connection_wait_session(client->connection, 1, &err), 0);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 50);
    FIXTURE_PUMP_UNTIL(fixture, client->finals == 2);
    assert_int_equal(client->last_status, 4);
    assert_string_equal(client->last_text, "no reply within 50 ms");
    /* It may still be on its way, and the one before was never sent. */
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) > 0);
    assert_int_equal(fixture_count(fixture, METHOD_GET_SYSTEM_INFO), 1);
}

static void test_deadline_reaches_the_server(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    uint64_t before = clock_monotonic_ns();
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 5000);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 0);
    struct endpoint_batch batch = {0};
    uint64_t limit = fixture_deadline();
    while (batch.count == 0) {
        connection_run(fixture->clients[0].connection, 1, -1, NULL, NULL);
        assert_int_equal(endpoint_wait(fixture->endpoint, 1, -1, &batch, NULL), 0);
        fixture_check_deadline(limit, "requests come", __LINE__);
    }
    assert_int_equal(batch.count, 2); /* they travelled together */
    assert_true(batch.events[0].deadline_ns > before + 4000 * NS_PER_MS);
    assert_true(batch.events[0].deadline_ns < clock_monotonic_ns() + 5000 * NS_PER_MS);
    assert_true(batch.events[1].deadline_ns == UINT64_MAX);
}

static void test_close_sends_what_was_submitted(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 5000);
    connection_close(fixture->clients[0].connection);
    fixture->clients[0].connection = NULL;
    assert_int_equal(fixture->clients[0].finals, 1);
    assert_int_equal(fixture->clients[0].last_status, 14);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
}

static void test_wake(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    int fd = eventfd(1, EFD_CLOEXEC);
    struct endpoint_batch batch = {0};
    uint64_t limit = fixture_deadline();
    while (!batch.woken) {
        assert_int_equal(endpoint_wait(fixture->endpoint, -1, fd, &batch, NULL), 0);
        fixture_check_deadline(limit, "endpoint is woken", __LINE__);
    }
    bool ready = false;
    while (!ready) {
        assert_int_equal(connection_run(fixture->clients[0].connection, -1, fd, &ready, NULL), 0);
        fixture_check_deadline(limit, "connection is woken", __LINE__);
    }
    close(fd);
}

/* --- peers that are none of ours --- */

struct raw {
    void *context;
    void *socket;
};

static struct raw raw_open(const struct fixture *fixture)
{
    struct raw raw = {.context = zmq_ctx_new()};
    raw.socket = zmq_socket(raw.context, ZMQ_DEALER);
    int none = 0; /* no limit either: the test's thread must not wait for its own server */
    zmq_setsockopt(raw.socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(raw.socket, ZMQ_SNDHWM, &none, sizeof none);
    assert_int_equal(zmq_connect(raw.socket, fixture->address), 0);
    return raw;
}

static void raw_close(struct raw *raw)
{
    zmq_close(raw->socket);
    zmq_ctx_term(raw->context);
}

/* The next reply's envelope; the frame must hold one. */
static struct envelope raw_receive(struct fixture *fixture, struct raw *raw, uint8_t data[1024])
{
    uint64_t limit = fixture_deadline();
    int size;
    while ((size = zmq_recv(raw->socket, data, 1024, ZMQ_DONTWAIT)) < 0) {
        fixture_pump_server(fixture);
        fixture_check_deadline(limit, "a reply comes", __LINE__);
    }
    struct envelope_reader reader;
    struct envelope envelope;
    envelope_reader_init(&reader, data, (size_t)size);
    assert_int_equal(envelope_next(&reader, &envelope, NULL), 1);
    assert_int_equal(envelope.kind, ENVELOPE_REPLY);
    assert_int_equal(reader.offset, size);
    return envelope;
}

static struct endpoint_stats stats_of(const struct fixture *fixture)
{
    struct endpoint_stats stats;
    endpoint_stats_get(fixture->endpoint, &stats);
    return stats;
}

static void test_garbage_is_dropped(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    struct raw raw = raw_open(fixture);
    unsigned seed = 5;
    const uint64_t count = 3000; /* more than one batch */
    for (uint64_t i = 0; i < count; i++) {
        uint8_t garbage[64];
        size_t size = i % 64;
        for (size_t j = 0; j < size; j++)
            garbage[j] = (uint8_t)(rand_r(&seed) >> 4);
        garbage[0] = 0xc1; /* never msgpack */
        int more = i % 3 == 0 ? ZMQ_SNDMORE : 0;
        assert_true(zmq_send(raw.socket, garbage, size, more) >= 0);
        if (more != 0)
            assert_true(zmq_send(raw.socket, garbage, size, 0) >= 0);
    }
    FIXTURE_PUMP_UNTIL(fixture, stats_of(fixture).frames_dropped == count);
    raw_close(&raw);
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 5000);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
    assert_int_equal(fixture->clients[0].sessions, 1);
}

static void raw_send(struct raw *raw, uint32_t method, uint64_t id, const void *body, size_t size)
{
    struct envelope envelope = {.kind = ENVELOPE_REQUEST,
                                .correlation_id = id,
                                .method = method,
                                .timeout_ms = 1000,
                                .body = body,
                                .body_size = size};
    struct buffer frame = {0};
    assert_int_equal(envelope_append(&frame, &envelope, NULL), 0);
    assert_true(zmq_send(raw->socket, frame.data, frame.size, 0) >= 0);
    buffer_fini(&frame);
}

static void test_refusals_are_answered(void **state)
{
    struct fixture *fixture = *state;
    fixture_listen(fixture, 0);
    struct raw raw = raw_open(fixture);
    uint8_t data[1024];
    struct envelope reply;

    raw_send(&raw, METHOD_PING, 1, "\x80", 1);
    reply = raw_receive(fixture, &raw, data);
    assert_int_equal(reply.correlation_id, 1);
    assert_int_equal(reply.status, 9);
    assert_int_equal(reply.flags, ENVELOPE_NO_SESSION);

    static const struct {
        const char *body;
        size_t size;
        uint32_t status;
    } hellos[] = {
        {"\xc1", 1, 3},              /* no msgpack */
        {"\x81\x01\x01", 3, 3},      /* no instance id */
        {"\x81\x03\xa1\x69", 4, 12}, /* version 0 */
    };
    for (size_t i = 0; i < sizeof hellos / sizeof hellos[0]; i++) {
        raw_send(&raw, METHOD_HELLO, 10 + i, hellos[i].body, hellos[i].size);
        reply = raw_receive(fixture, &raw, data);
        assert_int_equal(reply.correlation_id, 10 + i);
        assert_int_equal(reply.status, hellos[i].status);
    }
    assert_int_equal(fixture->event_count, 0);

    raw_send(&raw, METHOD_HELLO, 20, "\x82\x01\x01\x03\xa1\x69", 6);
    reply = raw_receive(fixture, &raw, data);
    assert_int_equal(reply.status, 0);
    assert_int_equal(fixture->event_count, 1);

    raw_send(&raw, 999, 21, "", 0);
    assert_int_equal(raw_receive(fixture, &raw, data).status, 12);
    raw_send(&raw, UINT32_MAX, 22, "", 0);
    assert_int_equal(raw_receive(fixture, &raw, data).status, 12);
    raw_send(&raw, METHOD_PING, 23, "\x80", 1);
    assert_int_equal(raw_receive(fixture, &raw, data).status, 0);
    static const uint8_t version_2[] = {0x96, 0x02, 0x01, 0x18, 0xc0, 0xc0, 0xc0};
    zmq_send(raw.socket, version_2, sizeof version_2, 0);
    reply = raw_receive(fixture, &raw, data);
    assert_int_equal(reply.correlation_id, 24);
    assert_int_equal(reply.status, 12);
    assert_int_equal(fixture->event_count, 1);

    /* Hello again on the same connection: a new session replaces the old one; of another instance,
       nothing lives on in it */
    raw_send(&raw, METHOD_HELLO, 25, "\x82\x01\x01\x03\xa1\x69", 6);
    assert_int_equal(raw_receive(fixture, &raw, data).status, 0);
    assert_int_equal(fixture->event_count, 3);
    assert_int_equal(fixture->events[1].session, fixture->events[0].session);
    assert_int_equal(fixture->events[1].replaced_by, fixture->events[2].session);
    raw_send(&raw, METHOD_HELLO, 26, "\x82\x01\x01\x03\xa1\x6a", 6);
    assert_int_equal(raw_receive(fixture, &raw, data).status, 0);
    assert_int_equal(fixture->event_count, 5);
    assert_int_equal(fixture->events[3].session, fixture->events[2].session);
    assert_int_equal(fixture->events[3].replaced_by, 0);
    assert_int_equal(stats_of(fixture).sessions, 1);
    raw_close(&raw);
}

/* A peer that leaves its replies unread fills its queue, and loses its session: the server neither
 * waits for it nor drops a reply silently. */
static void test_peer_that_does_not_read(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 600000);
    struct raw raw = {.context = zmq_ctx_new()};
    raw.socket = zmq_socket(raw.context, ZMQ_DEALER);
    int one = 1, none = 0;
    zmq_setsockopt(raw.socket, ZMQ_RCVHWM, &one, sizeof one);
    zmq_setsockopt(raw.socket, ZMQ_LINGER, &none, sizeof none);
    assert_int_equal(zmq_connect(raw.socket, fixture->address), 0);
    raw_send(&raw, METHOD_HELLO, 1, "\x82\x01\x01\x03\xa1\x69", 6);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_HELLO) == 2);
    struct fixture_event hello = *fixture_last(fixture, METHOD_HELLO);
    const uint64_t before = stats_of(fixture).messages_sent;
    for (int i = 0; i < 4 * ENDPOINT_SEND_QUEUE && stats_of(fixture).sessions_lost == 0; i++)
        reply_info(fixture, &hello, true);
    assert_true(stats_of(fixture).messages_sent - before > ENDPOINT_SEND_QUEUE / 2);
    fixture_pump_server(fixture);
    assert_int_equal(fixture_last_loss(fixture)->session, hello.session);
    assert_string_equal(fixture_last_loss(fixture)->reason, "undeliverable");
    /* others are served as before */
    fixture_submit(fixture, 0, METHOD_GET_SYSTEM_INFO, &info_request.base, 30000);
    FIXTURE_PUMP_UNTIL(fixture, fixture_count(fixture, METHOD_GET_SYSTEM_INFO) == 1);
    reply_info(fixture, fixture_last(fixture, METHOD_GET_SYSTEM_INFO), false);
    FIXTURE_PUMP_UNTIL(fixture, fixture->clients[0].finals == 1);
    raw_close(&raw);
}

/* --- access --- */

static int try_listen(const char *address, bool insecure, struct error *err)
{
    struct endpoint_config config = {
        .addresses = &address, .address_count = 1, .insecure = insecure};
    struct endpoint *endpoint = NULL;
    int rc = endpoint_open(&config, &endpoint, err);
    endpoint_close(endpoint);
    return rc;
}

static void test_ipc_is_guarded(void **state)
{
    struct fixture *fixture = *state;
    struct error err = {0};
    char path[256];
    char address[300];
    snprintf(path, sizeof path, "%s/new/engine.sock", fixture->folder);
    snprintf(address, sizeof address, "ipc://%s", path);
    struct endpoint_config config = {.addresses = (const char *const[]){address},
                                     .address_count = 1};
    struct endpoint *endpoint;
    assert_int_equal(endpoint_open(&config, &endpoint, &err), 0);
    assert_string_equal(endpoint_address(endpoint, 0), address);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(try_listen(address, false, &err), ERR_EXISTS);
    endpoint_close(endpoint);
    assert_int_equal(try_listen(address, false, &err), 0);

    snprintf(path, sizeof path, "%s/new", fixture->folder);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(chmod(path, 0770), 0);
    assert_int_equal(try_listen(address, false, &err), ERR_PERMISSION);
    assert_non_null(strstr(err.text, path));
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *address;
        bool insecure;
        int code;
    } cases[] = {
        {"tcp://127.0.0.1:0", true, 0},
        {"tcp://127.0.0.1:0", false, ERR_CONFIG},
        {"tcp://0.0.0.0:0", true, ERR_CONFIG},
        {"tcp://*:0", true, ERR_CONFIG},
        {"tcp://128.0.0.1:0", true, ERR_CONFIG},
        {"tcp://127.0.0.1.example.org:0", true, ERR_CONFIG},
        {"tcp://127.0.0.1", true, ERR_CONFIG},
        {"tcp://127.0.0.1:65536", true, ERR_CONFIG},
        {"tcp://:7233", true, ERR_CONFIG},
        {"ipc://", true, ERR_CONFIG},
        {"ipc://@abstract", true, ERR_CONFIG},
        {"inproc://x", true, ERR_CONFIG},
        {"", true, ERR_CONFIG},
        {"ipc:///tmp/"
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678"
         "90123456789012345678901234567890",
         true, ERR_CONFIG},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error err = {0};
        int rc = try_listen(cases[i].address, cases[i].insecure, &err);
        if (rc != cases[i].code)
            fail_msg("\"%s\": %d \"%s\", wanted %d", cases[i].address, rc, err.text, cases[i].code);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_hello_names_the_process),
        TEST(test_request_and_reply),
        TEST(test_error_with_detail),
        TEST(test_standing_request),
        TEST(test_many_in_flight),
        TEST(test_large_replies_are_split),
        TEST(test_pings_keep_the_lease),
        TEST(test_lease_runs_out),
        TEST(test_silent_engine),
        TEST(test_undeliverable),
        TEST(test_same_instance_replaces),
        TEST(test_killed_session),
        TEST(test_engine_restarts),
        TEST(test_deadlines),
        TEST(test_deadline_reaches_the_server),
        TEST(test_close_sends_what_was_submitted),
        TEST(test_wake),
        TEST(test_garbage_is_dropped),
        TEST(test_refusals_are_answered),
        TEST(test_peer_that_does_not_read),
        TEST(test_ipc_is_guarded),
        TEST(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
