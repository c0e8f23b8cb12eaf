/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection: see connection.h. One turn of the loop sends, waits, receives, and looks at what is
 * due: deadlines, pings, silence.
 *
 *     PAUSED ──► CONNECTING ──handshake──► GREETING ──Hello answered──► READY
 *       ▲            │ refused                │ refused, closed, silent    │ closed, silent,
 *       └────────────┴────────────────────────┴────────────────────────────┘ no session
 *
 * What threads share stands under `mutex`, or in the request table under its own; all else is the
 * owner's.
 */
#include "queues/connection.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include "api/codec.h"
#include "common/assert.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/uuid.h"
#include "queues/dealer.h"
#include "queues/envelope.h"
#include "queues/request_table.h"

/* Before Hello is answered, the engine's lease is not known. */
#define LEASE_NS_DEFAULT (10 * NS_PER_S)
/* Pings per lease: two may be lost or late. */
#define PINGS_PER_LEASE 3
/* Between two attempts after a refusal, and after a connection that ended before its session:
 * doubled each time, so that a fleet with a wrong key is no load. */
#define PAUSE_NS     (250 * NS_PER_MS)
#define PAUSE_NS_MAX (4 * NS_PER_S)
/* Messages of one turn, so that deadlines and submissions get their turn under load. */
#define TURN_MESSAGES_MAX 256
#define CANCEL_TIMEOUT_MS 10000
/* The tokens that Hello names: as HELLO_MEMORY_MAX of the endpoint. */
#define HELLO_MEMORY_MAX (8 * LIMIT_MIB)

enum state { STATE_PAUSED, STATE_CONNECTING, STATE_GREETING, STATE_READY };

struct connection {
    /* configuration */
    struct connection_config config; /* strings owned */
    /* owner */
    pthread_t owner;
    enum state state;
    struct dealer dealer;
    struct buffer frame; /* requests on their way out */
    size_t frame_count;
    uint64_t hello_id;
    char *engine_instance_id;
    uint64_t lease_ns;
    uint64_t heard_ns;
    uint64_t sent_ns;
    uint64_t pinged_ns;
    uint64_t pause_ns; /* the next pause */
    uint64_t retry_ns; /* its end */
    bool send_failed;  /* the connection must be given up when the turn comes to it */
    bool in_callback;
    /* shared by all threads */
    struct request_table requests;
    int wake_fd;
    uint64_t last_id; /* atomic */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* ready, closing, or a call done */
    bool ready;
    bool closing;
    struct error reason; /* why there is no session */
};

static bool is_owner(const struct connection *connection)
{
    return pthread_equal(connection->owner, pthread_self()) != 0;
}

static uint64_t next_id(struct connection *connection)
{
    return __atomic_add_fetch(&connection->last_id, 1, __ATOMIC_RELAXED);
}

static void set_ready(struct connection *connection, bool ready, const struct error *reason)
{
    pthread_mutex_lock(&connection->mutex);
    connection->ready = ready;
    if (reason != NULL)
        connection->reason = *reason;
    pthread_cond_broadcast(&connection->changed);
    pthread_mutex_unlock(&connection->mutex);
}

/* --- replies --- */

static void deliver(struct connection *connection, struct request *request, int status, bool more,
                    const uint8_t *body, size_t body_size)
{
    struct connection_reply reply = {.method = request->method,
                                     .correlation_id = request->correlation_id,
                                     .status = status,
                                     .more = more,
                                     .body = body,
                                     .body_size = body_size};
    if (!more)
        request_table_remove(&connection->requests, request);
    if (request->on_reply != NULL) {
        connection->in_callback = true;
        request->on_reply(request->context, &reply);
        connection->in_callback = false;
    }
    if (!more)
        request_free(request);
}

/* Ends a request from this side. */
static void deliver_error(struct connection *connection, struct request *request,
                          const struct error *reason)
{
    Api__ErrorReply error = API__ERROR_REPLY__INIT;
    error.message = reason->text;
    struct buffer body = {0};
    codec_encode(&error.base, &body, NULL); /* an empty body is an error without a text */
    deliver(connection, request, error_grpc_status(reason->code), false, body.data, body.size);
    buffer_fini(&body);
}

/* --- sending --- */

static void flush_frame(struct connection *connection)
{
    if (connection->frame_count == 0)
        return;
    if (!dealer_send(&connection->dealer, connection->frame.data, connection->frame.size))
        connection->send_failed = true;
    buffer_clear(&connection->frame);
    connection->frame_count = 0;
    connection->sent_ns = clock_monotonic_ns();
}

static void append(struct connection *connection, const struct envelope *envelope)
{
    size_t size = envelope->body_size + ENVELOPE_HEAD_MAX;
    if (connection->frame_count == ENVELOPE_COUNT_MAX ||
        connection->frame.size + size > LIMIT_FRAME_SIZE)
        flush_frame(connection);
    if (envelope_append(&connection->frame, envelope, NULL) == 0)
        connection->frame_count++;
}

static void append_request(struct connection *connection, const struct request *request)
{
    struct envelope envelope = {.kind = ENVELOPE_REQUEST,
                                .correlation_id = request->correlation_id,
                                .method = (uint32_t)request->method->method,
                                .body = request->body.data,
                                .body_size = request->body.size};
    if (request->timeout_ms > 0) {
        int64_t left_ns = request->deadline.key - (int64_t)clock_monotonic_ns();
        envelope.timeout_ms =
            left_ns > (int64_t)NS_PER_MS ? (uint32_t)(left_ns / (int64_t)NS_PER_MS) : 1;
    }
    append(connection, &envelope);
}

/* Takes over what threads have submitted. */
static void take_submitted(struct connection *connection)
{
    struct request *taken = request_table_take(&connection->requests);
    struct request *request;
    DL_FOREACH (taken, request) {
        if (connection->state == STATE_READY)
            append_request(connection, request);
    }
}

static void send_submitted(struct connection *connection)
{
    take_submitted(connection);
    flush_frame(connection);
}

/* --- the session --- */

/* When the next attempt is made. */
enum retry { RETRY_AT_ONCE, RETRY_LATER };

static uint64_t next_pause_ns(struct connection *connection)
{
    uint64_t pause_ns = connection->pause_ns;
    connection->pause_ns = 2 * pause_ns < PAUSE_NS_MAX ? 2 * pause_ns : PAUSE_NS_MAX;
    return pause_ns;
}

/* The connection is over, and its session with it. */
static void lose(struct connection *connection, const struct error *reason, enum retry retry)
{
    bool was_ready = connection->state == STATE_READY;
    dealer_disconnect(&connection->dealer, 0);
    buffer_clear(&connection->frame);
    connection->frame_count = 0;
    connection->send_failed = false;
    connection->state = STATE_PAUSED;
    connection->retry_ns =
        clock_monotonic_ns() + (retry == RETRY_LATER ? next_pause_ns(connection) : 0);
    set_ready(connection, false, reason);
    if (!was_ready)
        return;
    struct error ended = *reason;
    ended.code = ERR_UNAVAILABLE;
    struct request *request, *next;
    HASH_ITER (hh, connection->requests.pending, request, next) {
        if (request->timeout_ms == 0)
            deliver_error(connection, request, &ended);
    }
    if (connection->config.on_session_lost != NULL) {
        connection->in_callback = true;
        connection->config.on_session_lost(connection->config.context, reason->text);
        connection->in_callback = false;
    }
}

static void lose_text(struct connection *connection, const char *text, enum retry retry)
{
    struct error reason = {0};
    error_set(&reason, ERR_UNAVAILABLE, "%s at %s", text, connection->dealer.address);
    lose(connection, &reason, retry);
}

static void start_connecting(struct connection *connection)
{
    struct error err = {0};
    if (dealer_connect(&connection->dealer, &err) == 0)
        connection->state = STATE_CONNECTING;
    else
        lose(connection, &err, RETRY_LATER);
}

static void send_hello(struct connection *connection)
{
    struct arena arena;
    arena_init(&arena, HELLO_MEMORY_MAX);
    Api__HelloRequest hello = API__HELLO_REQUEST__INIT;
    hello.has_protocol_version = 1;
    hello.protocol_version = WIRE_VERSION;
    hello.identity = connection->config.identity;
    hello.instance_id = connection->config.instance_id;
    hello.node = connection->config.node;
    hello.has_pid = 1;
    hello.pid = getpid();
    if (connection->config.on_hello != NULL)
        connection->config.on_hello(connection->config.context, &arena, &hello);
    connection->state = STATE_GREETING;
    connection->hello_id = next_id(connection);
    connection->heard_ns = clock_monotonic_ns();
    struct envelope envelope = {
        .kind = ENVELOPE_REQUEST, .correlation_id = connection->hello_id, .method = METHOD_HELLO};
    struct error err = {0};
    if (envelope_append_message(&connection->frame, &envelope, &hello.base, &err) == 0) {
        connection->frame_count++;
        flush_frame(connection);
    } else {
        lose(connection, &err, RETRY_LATER);
    }
    arena_fini(&arena);
}

/* Is this another start of the engine than the one known before? Remembers it. */
static bool note_engine(struct connection *connection, const char *engine_instance_id)
{
    const char *now = engine_instance_id != NULL ? engine_instance_id : "";
    const char *before = connection->engine_instance_id;
    if (before != NULL && strcmp(before, now) == 0)
        return false;
    bool changed = before != NULL;
    free(connection->engine_instance_id);
    connection->engine_instance_id = strdup(now);
    return changed;
}

static void begin_session(struct connection *connection, const Api__HelloResponse *hello)
{
    bool engine_changed = note_engine(connection, hello->engine_instance_id);
    connection->lease_ns =
        hello->lease_ms > 0 ? (uint64_t)hello->lease_ms * NS_PER_MS : LEASE_NS_DEFAULT;
    connection->state = STATE_READY;
    connection->pause_ns = PAUSE_NS;
    connection->pinged_ns = connection->heard_ns;
    set_ready(connection, true, NULL);
    /* Completions go before the polls that on_session will issue. */
    struct request *request, *next;
    HASH_ITER (hh, connection->requests.pending, request, next)
        append_request(connection, request);
    if (connection->config.on_session != NULL) {
        connection->in_callback = true;
        connection->config.on_session(connection->config.context, hello, engine_changed);
        connection->in_callback = false;
    }
}

static void hello_answered(struct connection *connection, const struct envelope *envelope)
{
    struct arena arena;
    arena_init(&arena, HELLO_MEMORY_MAX);
    struct connection_reply reply = {.method = method_get(METHOD_HELLO),
                                     .status = (int)envelope->status,
                                     .body = envelope->body,
                                     .body_size = envelope->body_size};
    ProtobufCMessage *hello;
    struct error err = {0};
    if (connection_reply_decode(&reply, &arena, &hello, &err) == 0) {
        begin_session(connection, (const Api__HelloResponse *)hello);
    } else {
        error_prefix(&err, "the engine refused Hello");
        lose(connection, &err, RETRY_LATER);
    }
    arena_fini(&arena);
}

/* --- receiving --- */

/* One reply; false when the frame must not be read on because its connection is gone. */
static bool handle_reply(struct connection *connection, const struct envelope *envelope)
{
    if (envelope->version != WIRE_VERSION || envelope->kind != ENVELOPE_REPLY) {
        lose_text(connection, "the peer speaks another protocol", RETRY_LATER);
        return false;
    }
    if (connection->state == STATE_GREETING) {
        if (envelope->correlation_id == connection->hello_id)
            hello_answered(connection, envelope);
        return connection->state == STATE_READY;
    }
    if ((envelope->flags & ENVELOPE_NO_SESSION) != 0) {
        lose_text(connection, "the engine has ended the session", RETRY_AT_ONCE);
        return false;
    }
    struct request *request = request_table_find(&connection->requests, envelope->correlation_id);
    if (request != NULL) /* else: a ping's, or one that met its deadline here */
        deliver(connection, request, (int)envelope->status, (envelope->flags & ENVELOPE_MORE) != 0,
                envelope->body, envelope->body_size);
    return true;
}

static void handle_frame(struct connection *connection, const uint8_t *data, size_t size)
{
    struct envelope_reader reader;
    envelope_reader_init(&reader, data, size);
    struct envelope envelope;
    int rc;
    while ((rc = envelope_next(&reader, &envelope, NULL)) == 1) {
        if (!handle_reply(connection, &envelope))
            return;
    }
    if (rc < 0)
        lose_text(connection, "the engine sent a malformed frame", RETRY_LATER);
}

static void receive(struct connection *connection)
{
    for (int i = 0; i < TURN_MESSAGES_MAX && connection->dealer.socket != NULL; i++) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        bool received = zmq_msg_recv(&message, connection->dealer.socket, ZMQ_DONTWAIT) >= 0;
        if (received) {
            connection->heard_ns = clock_monotonic_ns();
            handle_frame(connection, zmq_msg_data(&message), zmq_msg_size(&message));
        }
        zmq_msg_close(&message);
        if (!received)
            return;
    }
}

static void handle_refusal(struct connection *connection)
{
    struct error reason = {0};
    error_set(&reason, ERR_UNAUTHENTICATED, "the engine at %s refused the handshake: %s",
              connection->dealer.address,
              connection->dealer.has_curve ? "a key does not fit" : "it may want CURVE keys");
    lose(connection, &reason, RETRY_LATER);
}

static void handle_events(struct connection *connection)
{
    while (connection->dealer.monitor != NULL) {
        switch (dealer_event_next(&connection->dealer)) {
        case DEALER_NOTHING:
            return;
        case DEALER_CONNECTED:
            if (connection->state == STATE_CONNECTING)
                send_hello(connection);
            break;
        case DEALER_RETRYING: {
            struct error reason = {0};
            error_set(&reason, ERR_UNAVAILABLE, "nobody answers at %s", connection->dealer.address);
            set_ready(connection, false, &reason);
            break;
        }
        case DEALER_CLOSED:
            lose_text(connection, "the connection was closed",
                      connection->state == STATE_READY ? RETRY_AT_ONCE : RETRY_LATER);
            break;
        case DEALER_REFUSED:
            handle_refusal(connection);
            break;
        }
    }
}

/* --- what is due --- */

static void end_overdue(struct connection *connection, uint64_t now_ns)
{
    struct request *request;
    while ((request = request_table_first_due(&connection->requests)) != NULL &&
           request->deadline.key <= (int64_t)now_ns) {
        struct error reason = {0};
        if (connection->state == STATE_READY) {
            error_set(&reason, ERR_TIMEOUT, "no reply within %u ms", request->timeout_ms);
        } else {
            pthread_mutex_lock(&connection->mutex);
            reason = connection->reason;
            pthread_mutex_unlock(&connection->mutex);
        }
        deliver_error(connection, request, &reason);
    }
}

static uint64_t ping_due_ns(const struct connection *connection)
{
    uint64_t quiet_ns =
        connection->heard_ns < connection->sent_ns ? connection->heard_ns : connection->sent_ns;
    uint64_t last_ns = quiet_ns > connection->pinged_ns ? quiet_ns : connection->pinged_ns;
    return last_ns + connection->lease_ns / PINGS_PER_LEASE;
}

static void ping(struct connection *connection, uint64_t now_ns)
{
    struct envelope envelope = {.kind = ENVELOPE_REQUEST,
                                .correlation_id = next_id(connection),
                                .method = METHOD_PING,
                                .timeout_ms = (uint32_t)(connection->lease_ns / NS_PER_MS)};
    const Api__PingRequest body = API__PING_REQUEST__INIT;
    if (envelope_append_message(&connection->frame, &envelope, &body.base, NULL) == 0)
        connection->frame_count++;
    connection->pinged_ns = now_ns;
}

static void look_after_session(struct connection *connection, uint64_t now_ns)
{
    if (connection->state == STATE_PAUSED && now_ns >= connection->retry_ns)
        start_connecting(connection);
    if (connection->state < STATE_GREETING)
        return;
    if (connection->send_failed)
        lose_text(connection, "could not send", RETRY_LATER);
    else if (now_ns > connection->heard_ns + connection->lease_ns)
        lose_text(connection, "nothing was heard from the engine", RETRY_AT_ONCE);
    else if (connection->state == STATE_READY && now_ns >= ping_due_ns(connection))
        ping(connection, now_ns);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Milliseconds to wait, rounded up: the caller's bound or what is due next. */
static int wait_ms(const struct connection *connection, int timeout_ms)
{
    uint64_t due_ns = UINT64_MAX;
    const struct request *request = request_table_first_due(&connection->requests);
    if (request != NULL)
        due_ns = (uint64_t)request->deadline.key;
    if (connection->state == STATE_PAUSED)
        due_ns = earlier(due_ns, connection->retry_ns);
    if (connection->state >= STATE_GREETING)
        due_ns = earlier(due_ns, connection->heard_ns + connection->lease_ns + 1);
    if (connection->state == STATE_READY)
        due_ns = earlier(due_ns, ping_due_ns(connection));
    if (due_ns == UINT64_MAX)
        return timeout_ms;
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t left_ms = due_ns > now_ns ? (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS : 0;
    if (timeout_ms >= 0 && (uint64_t)timeout_ms < left_ms)
        return timeout_ms;
    return left_ms < INT32_MAX ? (int)left_ms : INT32_MAX;
}

/* --- the loop --- */

static int wait_for_something(struct connection *connection, int timeout_ms, int fd,
                              bool *ret_fd_ready, struct error *err)
{
    zmq_pollitem_t items[4] = {{.fd = connection->wake_fd, .events = ZMQ_POLLIN}};
    int count = 1;
    zmq_pollitem_t *owner_item = NULL;
    if (fd >= 0) {
        owner_item = &items[count++];
        *owner_item = (zmq_pollitem_t){.fd = fd, .events = ZMQ_POLLIN};
    }
    if (connection->dealer.socket != NULL) {
        items[count++] =
            (zmq_pollitem_t){.socket = connection->dealer.socket, .events = ZMQ_POLLIN};
        items[count++] =
            (zmq_pollitem_t){.socket = connection->dealer.monitor, .events = ZMQ_POLLIN};
    }
    if (zmq_poll(items, count, wait_ms(connection, timeout_ms)) < 0 && errno != EINTR)
        return error_set(err, ERR_IO, "could not wait for messages: %s", zmq_strerror(errno));
    if (items[0].revents != 0) {
        eventfd_t wakes;
        eventfd_read(connection->wake_fd, &wakes);
    }
    *ret_fd_ready = owner_item != NULL && owner_item->revents != 0;
    return 0;
}

static int turn(struct connection *connection, int timeout_ms, int fd, bool *ret_fd_ready,
                struct error *err)
{
    send_submitted(connection);
    int rc = wait_for_something(connection, timeout_ms, fd, ret_fd_ready, err);
    if (rc != 0)
        return rc;
    /* Replies first: what arrived before the connection was closed still counts. */
    receive(connection);
    handle_events(connection);
    uint64_t now_ns = clock_monotonic_ns();
    look_after_session(connection, now_ns);
    end_overdue(connection, now_ns);
    send_submitted(connection);
    return 0;
}

int connection_run(struct connection *connection, int timeout_ms, int fd, bool *ret_fd_ready,
                   struct error *err)
{
    ASSERT(!connection->config.own_thread && is_owner(connection) && !connection->in_callback);
    bool fd_ready = false;
    int rc = turn(connection, timeout_ms, fd, &fd_ready, err);
    if (rc == 0 && ret_fd_ready != NULL)
        *ret_fd_ready = fd_ready;
    return rc;
}

static bool is_closing(struct connection *connection)
{
    pthread_mutex_lock(&connection->mutex);
    bool closing = connection->closing;
    pthread_mutex_unlock(&connection->mutex);
    return closing;
}

/* The owner's part of closing: nothing is submitted any more. */
static void finish(struct connection *connection)
{
    request_table_close(&connection->requests);
    send_submitted(connection);
    dealer_disconnect(&connection->dealer,
                      connection->state == STATE_READY ? CONNECTION_LINGER_MS : 0);
    connection->state = STATE_PAUSED;
    struct error reason = {0};
    error_set(&reason, ERR_UNAVAILABLE, "the connection is closed");
    set_ready(connection, false, &reason);
    struct request *request, *next;
    HASH_ITER (hh, connection->requests.pending, request, next)
        deliver_error(connection, request, &reason);
}

static void *run_thread(void *argument)
{
    struct connection *connection = argument;
    pthread_mutex_lock(&connection->mutex); /* start_thread has set owner now */
    pthread_mutex_unlock(&connection->mutex);
    bool fd_ready;
    while (!is_closing(connection) && turn(connection, -1, -1, &fd_ready, NULL) == 0)
        ;
    finish(connection);
    return NULL;
}

/* --- opening and closing --- */

static char *copy_or(const char *text, const char *otherwise)
{
    return strdup(text != NULL ? text : otherwise);
}

static bool copy_config(struct connection *connection, const struct connection_config *config)
{
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    char identity[300];
    snprintf(identity, sizeof identity, "%d@%s", (int)getpid(), host);
    char instance_id[UUID_TEXT_SIZE];
    uuid_create(instance_id);
    connection->config = *config;
    connection->config.address = NULL; /* the dealer has them */
    connection->config.server_key_file = NULL;
    connection->config.client_key_file = NULL;
    connection->config.identity = copy_or(config->identity, identity);
    connection->config.instance_id = copy_or(config->instance_id, instance_id);
    connection->config.node = copy_or(config->node, host);
    return connection->config.identity != NULL && connection->config.instance_id != NULL &&
           connection->config.node != NULL;
}

static void destroy(struct connection *connection)
{
    dealer_close(&connection->dealer);
    if (connection->wake_fd >= 0)
        close(connection->wake_fd);
    pthread_mutex_destroy(&connection->mutex);
    pthread_cond_destroy(&connection->changed);
    request_table_fini(&connection->requests);
    buffer_fini(&connection->frame);
    free((char *)connection->config.identity);
    free((char *)connection->config.instance_id);
    free((char *)connection->config.node);
    free(connection->engine_instance_id);
    free(connection);
}

/* The thread takes no signals: they are the program's. */
static int start_thread(struct connection *connection, struct error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_mutex_lock(&connection->mutex); /* the thread waits until owner is set */
    int rc = pthread_create(&connection->owner, NULL, run_thread, connection);
    pthread_mutex_unlock(&connection->mutex);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return rc == 0 ? 0 : error_set_errno(err, ERR_LIMIT, rc, "could not start a thread");
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

int connection_open(const struct connection_config *config, struct connection **ret_connection,
                    struct error *err)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    request_table_init(&connection->requests);
    pthread_mutex_init(&connection->mutex, NULL);
    init_condition(&connection->changed);
    connection->owner = pthread_self();
    connection->lease_ns = LEASE_NS_DEFAULT;
    connection->pause_ns = PAUSE_NS;
    connection->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    error_set(&connection->reason, ERR_UNAVAILABLE, "not connected to %s yet", config->address);
    int rc = 0;
    if (connection->wake_fd < 0)
        rc = error_set_errno(err, ERR_IO, errno, "could not create an event descriptor");
    else if (!copy_config(connection, config))
        rc = error_set(err, ERR_MEMORY, "out of memory");
    if (rc == 0)
        rc = dealer_open(&connection->dealer, config->address, config->server_key_file,
                         config->client_key_file, err);
    if (rc == 0 && config->own_thread)
        rc = start_thread(connection, err);
    if (rc != 0) {
        destroy(connection);
        return rc;
    }
    *ret_connection = connection;
    return 0;
}

void connection_close(struct connection *connection)
{
    if (connection == NULL)
        return;
    if (connection->config.own_thread) {
        pthread_mutex_lock(&connection->mutex);
        connection->closing = true;
        pthread_mutex_unlock(&connection->mutex);
        eventfd_write(connection->wake_fd, 1);
        pthread_join(connection->owner, NULL);
    } else {
        ASSERT(is_owner(connection) && !connection->in_callback);
        finish(connection);
    }
    destroy(connection);
}

/* --- submitting --- */

int connection_submit(struct connection *connection, const struct connection_request *request,
                      uint64_t *ret_correlation_id, struct error *err)
{
    uint64_t id = next_id(connection);
    bool first;
    int rc = request_table_submit(&connection->requests, request, id, &first, err);
    if (rc != 0)
        return rc;
    if (first && !is_owner(connection))
        eventfd_write(connection->wake_fd, 1);
    if (ret_correlation_id != NULL)
        *ret_correlation_id = id;
    return 0;
}

int connection_cancel(struct connection *connection, uint64_t correlation_id, struct error *err)
{
    Api__CancelRequest cancel = API__CANCEL_REQUEST__INIT;
    cancel.has_correlation_id = 1;
    cancel.correlation_id = correlation_id;
    struct connection_request request = {
        .message = &cancel.base, .method = METHOD_CANCEL, .timeout_ms = CANCEL_TIMEOUT_MS};
    return connection_submit(connection, &request, NULL, err);
}

/* --- waiting --- */

/* One connection_call: lives on the caller's stack until it is done. */
struct call {
    struct connection *connection;
    struct arena *arena;
    struct connection_reply reply; /* body in arena; NULL where memory ended */
    bool done;
};

static void call_replied(void *context, const struct connection_reply *reply)
{
    struct call *call = context;
    if (reply->more)
        return;
    call->reply = *reply;
    call->reply.body = arena_memdup(call->arena, reply->body, reply->body_size);
    pthread_mutex_lock(&call->connection->mutex);
    call->done = true;
    pthread_cond_broadcast(&call->connection->changed);
    pthread_mutex_unlock(&call->connection->mutex);
}

static int wait_for_call(struct connection *connection, struct call *call, struct error *err)
{
    if (is_owner(connection)) {
        ASSERT(!connection->in_callback);
        int rc = 0;
        while (rc == 0 && !call->done)
            rc = connection_run(connection, -1, -1, NULL, err);
        ASSERT(rc == 0 || call->done); /* a call must not outlive its stack frame */
        return rc;
    }
    pthread_mutex_lock(&connection->mutex);
    while (!call->done)
        pthread_cond_wait(&connection->changed, &connection->mutex);
    pthread_mutex_unlock(&connection->mutex);
    return 0;
}

int connection_call(struct connection *connection, enum method method,
                    const ProtobufCMessage *message, uint32_t timeout_ms, struct arena *arena,
                    ProtobufCMessage **ret_response, ProtobufCMessage **ret_detail,
                    struct error *err)
{
    ASSERT(timeout_ms > 0);
    struct call call = {.connection = connection, .arena = arena};
    struct connection_request request = {.message = message,
                                         .method = method,
                                         .timeout_ms = timeout_ms,
                                         .on_reply = call_replied,
                                         .context = &call};
    if (ret_detail != NULL)
        *ret_detail = NULL;
    int rc = connection_submit(connection, &request, NULL, err);
    if (rc == 0)
        rc = wait_for_call(connection, &call, err);
    if (rc != 0)
        return rc;
    if (call.reply.body == NULL)
        return error_set(err, ERR_LIMIT, "the reply takes too much memory");
    rc = connection_reply_decode(&call.reply, arena, ret_response, err);
    if (rc != 0 && ret_detail != NULL)
        *ret_detail = connection_reply_detail(&call.reply, NULL, arena);
    return rc;
}

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
}

int connection_wait_session(struct connection *connection, uint32_t timeout_ms, struct error *err)
{
    uint64_t deadline_ns = clock_monotonic_ns() + timeout_ms * NS_PER_MS;
    struct timespec deadline = timespec_of(deadline_ns);
    int rc = 0;
    if (is_owner(connection)) {
        for (uint64_t now_ns; rc == 0 && connection->state != STATE_READY &&
                              (now_ns = clock_monotonic_ns()) < deadline_ns;)
            rc = connection_run(connection, (int)((deadline_ns - now_ns) / NS_PER_MS) + 1, -1, NULL,
                                err);
    }
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&connection->mutex);
    int waited = 0;
    while (!is_owner(connection) && !connection->ready && !connection->closing && waited == 0)
        waited = pthread_cond_timedwait(&connection->changed, &connection->mutex, &deadline);
    if (!connection->ready && timeout_ms == 0)
        rc = error_set(err, ERR_TIMEOUT, "no session: %s", connection->reason.text);
    else if (!connection->ready)
        rc = error_set(err, ERR_TIMEOUT, "no session within %u ms: %s", timeout_ms,
                       connection->reason.text);
    pthread_mutex_unlock(&connection->mutex);
    return rc;
}
