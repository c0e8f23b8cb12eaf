/* SPDX-License-Identifier: Apache-2.0 */
/* transport_fixture: see transport_fixture.h. */
#include "tests/unit/queues/transport_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

int fixture_setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    strcpy(fixture->folder, "/tmp/argosy-test-XXXXXX");
    if (mkdtemp(fixture->folder) == NULL)
        return -1;
    snprintf(fixture->address, sizeof fixture->address, "ipc://%s/engine.sock", fixture->folder);
    fixture->engine_instance_id = "engine-1";
    *state = fixture;
    return 0;
}

static void remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            remove_folder(path);
        else
            unlink(path);
    }
    if (dir != NULL)
        closedir(dir);
    rmdir(folder);
}

int fixture_teardown(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < FIXTURE_CLIENTS; i++)
        connection_close(fixture->clients[i].connection);
    endpoint_close(fixture->endpoint);
    remove_folder(fixture->folder);
    free(fixture);
    return 0;
}

void fixture_listen(struct fixture *fixture, int64_t lease_ms)
{
    const char *addresses[] = {fixture->address};
    struct endpoint_config config = {
        .addresses = addresses, .address_count = 1, .lease_ms = lease_ms};
    struct error err = {0};
    if (endpoint_open(&config, &fixture->endpoint, &err) != 0)
        fail_msg("%s", err.text);
}

static void on_session(void *context, const Api__HelloResponse *hello, bool engine_changed)
{
    struct fixture_client *client = context;
    assert_non_null(hello->engine_instance_id);
    client->sessions++;
    client->engine_changed = engine_changed;
}

static void on_session_lost(void *context, const char *reason)
{
    struct fixture_client *client = context;
    client->sessions_lost++;
    snprintf(client->lost_reason, sizeof client->lost_reason, "%s", reason);
}

void fixture_connect(struct fixture *fixture, int index, const struct connection_config *config)
{
    struct connection_config full = config != NULL ? *config : (struct connection_config){0};
    if (full.address == NULL)
        full.address = fixture->address;
    full.context = &fixture->clients[index];
    full.on_session = on_session;
    full.on_session_lost = on_session_lost;
    struct error err = {0};
    if (connection_open(&full, &fixture->clients[index].connection, &err) != 0)
        fail_msg("%s", err.text);
}

static void answer_hello(struct fixture *fixture, const struct endpoint_event *event)
{
    Api__HelloResponse hello = API__HELLO_RESPONSE__INIT;
    hello.has_protocol_version = 1;
    hello.protocol_version = 1;
    hello.engine_instance_id = fixture->engine_instance_id;
    hello.has_lease_ms = 1;
    hello.lease_ms = endpoint_lease_ms(fixture->endpoint);
    assert_int_equal(endpoint_reply(fixture->endpoint, event->session, event->correlation_id, false,
                                    &hello.base, NULL),
                     0);
}

void fixture_pump_server(struct fixture *fixture)
{
    struct endpoint_batch batch;
    struct error err = {0};
    if (endpoint_wait(fixture->endpoint, 1, -1, &batch, &err) != 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < batch.count; i++) {
        const struct endpoint_event *event = &batch.events[i];
        bool is_request = event->kind == ENDPOINT_REQUEST;
        assert_true(fixture->event_count < FIXTURE_EVENTS_MAX);
        fixture->events[fixture->event_count++] =
            (struct fixture_event){.kind = event->kind,
                                   .session = event->session,
                                   .correlation_id = event->correlation_id,
                                   .method = is_request ? event->method->method : 0,
                                   .body_size = event->body_size,
                                   .replaced_by = event->replaced_by,
                                   .reason = event->reason};
        if (is_request && event->method->method == METHOD_HELLO)
            answer_hello(fixture, event);
    }
    endpoint_flush(fixture->endpoint);
}

void fixture_pump(struct fixture *fixture)
{
    if (fixture->endpoint != NULL)
        fixture_pump_server(fixture);
    for (int i = 0; i < FIXTURE_CLIENTS; i++) {
        struct error err = {0};
        if (fixture->clients[i].connection != NULL &&
            connection_run(fixture->clients[i].connection, 1, -1, NULL, &err) != 0)
            fail_msg("%s", err.text);
    }
}

uint64_t fixture_deadline(void)
{
    return clock_monotonic_ns() + 10 * NS_PER_S;
}

void fixture_check_deadline(uint64_t deadline, const char *condition, int line)
{
    if (clock_monotonic_ns() > deadline)
        fail_msg("line %d: %s did not come true in time", line, condition);
}

static void count_reply(void *context, const struct connection_reply *reply)
{
    struct fixture_client *client = context;
    client->replies++;
    client->finals += !reply->more;
    client->last_status = reply->status;
    client->last_size = reply->body_size;
    client->last_text[0] = '\0';
    if (reply->status == 0)
        return;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    ProtobufCMessage *message;
    struct error err = {0};
    assert_true(connection_reply_decode(reply, &arena, &message, &err) < 0);
    assert_int_equal(error_grpc_status(err.code), reply->status);
    snprintf(client->last_text, sizeof client->last_text, "%s", err.text);
    arena_fini(&arena);
}

uint64_t fixture_submit(struct fixture *fixture, int index, enum method method,
                        const ProtobufCMessage *message, uint32_t timeout_ms)
{
    struct fixture_client *client = &fixture->clients[index];
    struct connection_request request = {.message = message,
                                         .method = method,
                                         .timeout_ms = timeout_ms,
                                         .on_reply = count_reply,
                                         .context = client};
    uint64_t id = 0;
    struct error err = {0};
    if (connection_submit(client->connection, &request, &id, &err) != 0)
        fail_msg("%s", err.text);
    return id;
}

size_t fixture_count(const struct fixture *fixture, enum method method)
{
    size_t count = 0;
    for (size_t i = 0; i < fixture->event_count; i++)
        count += fixture->events[i].kind == ENDPOINT_REQUEST && fixture->events[i].method == method;
    return count;
}

const struct fixture_event *fixture_last(const struct fixture *fixture, enum method method)
{
    for (size_t i = fixture->event_count; i-- > 0;) {
        if (fixture->events[i].kind == ENDPOINT_REQUEST && fixture->events[i].method == method)
            return &fixture->events[i];
    }
    fail_msg("no request of method %d came", (int)method);
    return NULL;
}

size_t fixture_lost_count(const struct fixture *fixture)
{
    size_t count = 0;
    for (size_t i = 0; i < fixture->event_count; i++)
        count += fixture->events[i].kind == ENDPOINT_SESSION_LOST;
    return count;
}

const struct fixture_event *fixture_last_loss(const struct fixture *fixture)
{
    for (size_t i = fixture->event_count; i-- > 0;) {
        if (fixture->events[i].kind == ENDPOINT_SESSION_LOST)
            return &fixture->events[i];
    }
    fail_msg("no session was lost");
    return NULL;
}
