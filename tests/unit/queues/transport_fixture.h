/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport_fixture: an endpoint and connections in one thread, each given its turn by
 * fixture_pump, so that a test decides who runs and who stands still. The server side keeps what
 * came (requests, lost sessions) in order; Hello is answered by itself.
 */
#ifndef ARGOSY_TESTS_TRANSPORT_FIXTURE_H
#define ARGOSY_TESTS_TRANSPORT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "queues/connection.h"
#include "queues/endpoint.h"

#define FIXTURE_EVENTS_MAX 8192
#define FIXTURE_CLIENTS    4

struct fixture_event {
    enum endpoint_event_kind kind;
    uint64_t session;
    uint64_t correlation_id;
    enum method method; /* requests */
    size_t body_size;
    uint64_t replaced_by; /* losses */
    const char *reason;
};

struct fixture_client {
    struct connection *connection;
    int sessions;
    int sessions_lost;
    bool engine_changed;
    char lost_reason[ERROR_TEXT_MAX];
    int replies;
    int finals;
    int last_status;
    char last_text[ERROR_TEXT_MAX];
    size_t last_size;
};

struct fixture {
    char folder[64];
    char address[128]; /* of the ipc socket in folder */
    struct endpoint *endpoint;
    const char *engine_instance_id;
    struct fixture_event events[FIXTURE_EVENTS_MAX];
    size_t event_count;
    struct fixture_client clients[FIXTURE_CLIENTS];
};

int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Opens the ipc endpoint with this lease; fails the test where it cannot. */
void fixture_listen(struct fixture *fixture, int64_t lease_ms);

/* Opens clients[index] at address (NULL: the fixture's own) and gives it the config's keys. */
void fixture_connect(struct fixture *fixture, int index, const struct connection_config *config);

/* A turn for the endpoint, then for every client. */
void fixture_pump_server(struct fixture *fixture);
void fixture_pump(struct fixture *fixture);

/* Pumps until condition holds; fails the test after ten seconds. */
#define FIXTURE_PUMP_UNTIL(fixture, condition)                                                     \
    do {                                                                                           \
        uint64_t fixture_limit = fixture_deadline();                                               \
        while (!(condition)) {                                                                     \
            fixture_pump(fixture);                                                                 \
            fixture_check_deadline(fixture_limit, #condition, __LINE__);                           \
        }                                                                                          \
    } while (0)

uint64_t fixture_deadline(void);
void fixture_check_deadline(uint64_t deadline, const char *condition, int line);

/* Submits a request of clients[index]; replies are counted in the client. */
uint64_t fixture_submit(struct fixture *fixture, int index, enum method method,
                        const ProtobufCMessage *message, uint32_t timeout_ms);

/* Requests of a method that came so far, the last of them, and lost sessions. */
size_t fixture_count(const struct fixture *fixture, enum method method);
const struct fixture_event *fixture_last(const struct fixture *fixture, enum method method);
size_t fixture_lost_count(const struct fixture *fixture);
const struct fixture_event *fixture_last_loss(const struct fixture *fixture);

#endif
