/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint: see endpoint.h. The order of one endpoint_wait: flush what is queued, wait, take
 * messages, answer what is answered here, then look for leases that ran out: only when all that
 * waited has been read, so that a stall of this process is not taken for silence of the others.
 */
#include "queues/endpoint.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "api/codec.h"
#include "api/messages.h"
#include "common/arena.h"
#include "common/assert.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/limits.h"
#include "common/utf8.h"
#include "queues/envelope.h"
#include "queues/router.h"
#include "queues/session_table.h"
#include "queues/socket.h"

/* A batch: enough to share one commit among a busy fleet, little enough to answer soon. */
#define BATCH_MESSAGES_MAX 1024
#define BATCH_BYTES_MAX    (32 * LIMIT_MIB)

/* A Hello may name every task that its process holds: tokens of some 100 bytes, 65,536 of them. */
#define HELLO_MEMORY_MAX (8 * LIMIT_MIB)

struct endpoint {
    /* configuration */
    int64_t lease_ms;
    struct router router;
    /* state */
    struct session_table sessions;
    struct endpoint_stats stats;
    struct buffer stray;           /* replies to a connection that has no session */
    struct endpoint_event *losses; /* found between two waits */
    size_t loss_count;
    size_t loss_capacity;
    /* the batch that the owner has */
    zmq_msg_t messages[BATCH_MESSAGES_MAX];
    size_t message_count;
    struct endpoint_event *events;
    size_t event_count;
    size_t event_capacity;
};

static void add_event(struct endpoint_event **events, size_t *count, size_t *capacity,
                      const struct endpoint_event *event)
{
    if (*count == *capacity) {
        *capacity = *capacity > 0 ? 2 * *capacity : 64;
        *events = realloc(*events, *capacity * sizeof **events);
        if (*events == NULL)
            abort();
    }
    (*events)[(*count)++] = *event;
}

/* --- opening and closing --- */

int endpoint_open(const struct endpoint_config *config, struct endpoint **ret_endpoint,
                  struct error *err)
{
    struct endpoint *endpoint = calloc(1, sizeof *endpoint);
    if (endpoint == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    endpoint->lease_ms = config->lease_ms > 0 ? config->lease_ms : ENDPOINT_LEASE_MS_DEFAULT;
    int rc = router_open(&endpoint->router, config, err);
    if (rc != 0) {
        free(endpoint);
        return rc;
    }
    *ret_endpoint = endpoint;
    return 0;
}

static void release_batch(struct endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->message_count; i++)
        zmq_msg_close(&endpoint->messages[i]);
    endpoint->message_count = 0;
    endpoint->event_count = 0;
}

void endpoint_close(struct endpoint *endpoint)
{
    if (endpoint == NULL)
        return;
    release_batch(endpoint);
    router_close(&endpoint->router);
    session_table_fini(&endpoint->sessions);
    buffer_fini(&endpoint->stray);
    free(endpoint->losses);
    free(endpoint->events);
    free(endpoint);
}

const char *endpoint_address(const struct endpoint *endpoint, size_t index)
{
    ASSERT(index < endpoint->router.address_count);
    return endpoint->router.addresses[index];
}

int64_t endpoint_lease_ms(const struct endpoint *endpoint)
{
    return endpoint->lease_ms;
}

/* --- sending --- */

/* False when it cannot be delivered. */
static bool send_frame(struct endpoint *endpoint, const void *routing_id, size_t routing_id_size,
                       const void *data, size_t size)
{
    bool sent = router_send(&endpoint->router, routing_id, routing_id_size, data, size);
    endpoint->stats.messages_sent += sent;
    return sent;
}

static void lose_session(struct endpoint *endpoint, struct session *session, uint64_t replaced_by,
                         const char *reason)
{
    struct endpoint_event event = {.kind = ENDPOINT_SESSION_LOST,
                                   .session = session->id,
                                   .replaced_by = replaced_by,
                                   .reason = reason};
    add_event(&endpoint->losses, &endpoint->loss_count, &endpoint->loss_capacity, &event);
    endpoint->stats.sessions_lost++;
    session_table_remove(&endpoint->sessions, session);
}

/* The losses found so far take their place in the batch. */
static void report_losses(struct endpoint *endpoint)
{
    for (size_t i = 0; i < endpoint->loss_count; i++)
        add_event(&endpoint->events, &endpoint->event_count, &endpoint->event_capacity,
                  &endpoint->losses[i]);
    endpoint->loss_count = 0;
}

void endpoint_flush(struct endpoint *endpoint)
{
    struct session *session, *next;
    DL_FOREACH_SAFE2(endpoint->sessions.waiting, session, next, waiting_next)
    {
        if (send_frame(endpoint, session->routing_id, session->routing_id_size,
                       session->replies.data, session->replies.size))
            session_table_sent(&endpoint->sessions, session);
        else
            lose_session(endpoint, session, 0, "undeliverable");
    }
}

/* A reply was appended at start. When the frame is full with it, what stood before goes first. */
static void reply_added(struct endpoint *endpoint, struct session *session, size_t start)
{
    struct buffer *frame = &session->replies;
    if (frame->size > LIMIT_FRAME_SIZE || session->reply_count == ENVELOPE_COUNT_MAX) {
        if (!send_frame(endpoint, session->routing_id, session->routing_id_size, frame->data,
                        start)) {
            lose_session(endpoint, session, 0, "undeliverable");
            return;
        }
        memmove(frame->data, frame->data + start, frame->size - start);
        frame->size -= start;
        session->reply_count = 1;
        return;
    }
    session_table_replied(&endpoint->sessions, session);
}

static struct envelope reply_head(uint64_t correlation_id, bool more)
{
    return (struct envelope){.kind = ENVELOPE_REPLY,
                             .correlation_id = correlation_id,
                             .flags = more ? ENVELOPE_MORE : 0};
}

int endpoint_reply(struct endpoint *endpoint, uint64_t session_id, uint64_t correlation_id,
                   bool more, const ProtobufCMessage *message, struct error *err)
{
    struct session *session = session_table_find(&endpoint->sessions, session_id);
    if (session == NULL)
        return 0;
    struct envelope head = reply_head(correlation_id, more);
    size_t start = session->replies.size;
    int rc = envelope_append_message(&session->replies, &head, message, err);
    if (rc == 0)
        reply_added(endpoint, session, start);
    return rc;
}

/* Queues an encoded body under this head. */
static int reply_bytes(struct endpoint *endpoint, uint64_t session_id, struct envelope *head,
                       const uint8_t *body, size_t size, struct error *err)
{
    struct session *session = session_table_find(&endpoint->sessions, session_id);
    if (session == NULL)
        return 0;
    head->body = body;
    head->body_size = size;
    size_t start = session->replies.size;
    int rc = envelope_append(&session->replies, head, err);
    if (rc == 0)
        reply_added(endpoint, session, start);
    return rc;
}

int endpoint_reply_bytes(struct endpoint *endpoint, uint64_t session_id, uint64_t correlation_id,
                         bool more, const uint8_t *body, size_t size, struct error *err)
{
    struct envelope head = reply_head(correlation_id, more);
    return reply_bytes(endpoint, session_id, &head, body, size, err);
}

int endpoint_reply_error_bytes(struct endpoint *endpoint, uint64_t session_id,
                               uint64_t correlation_id, int grpc_status, const uint8_t *body,
                               size_t size, struct error *err)
{
    ASSERT(grpc_status > 0);
    struct envelope head = reply_head(correlation_id, false);
    head.status = (uint32_t)grpc_status;
    return reply_bytes(endpoint, session_id, &head, body, size, err);
}

/* Appends an error reply; without its detail where that does not fit, with "?" for what is not
 * UTF-8 in the text (a text cut at its size limit may end inside a character). */
static bool append_error(struct buffer *frame, uint64_t correlation_id, enum envelope_flag flags,
                         const struct error *reason, const ProtobufCMessage *detail)
{
    char text[ERROR_TEXT_MAX];
    snprintf(text, sizeof text, "%s", reason->text);
    if (!utf8_is_valid(text, strlen(text))) {
        for (char *at = text; *at != '\0'; at++)
            *at = (*at & 0x80) != 0 ? '?' : *at;
    }
    Api__ErrorReply body = API__ERROR_REPLY__INIT;
    body.message = text;
    struct buffer encoded = {0};
    if (detail != NULL && codec_encode(detail, &encoded, NULL) == 0) {
        body.detail_type = detail->descriptor->short_name;
        body.has_detail = 1;
        body.detail = (ProtobufCBinaryData){.len = encoded.size, .data = encoded.data};
    }
    struct envelope head = {.kind = ENVELOPE_REPLY,
                            .correlation_id = correlation_id,
                            .status = (uint32_t)error_grpc_status(reason->code),
                            .flags = flags};
    bool appended = envelope_append_message(frame, &head, &body.base, NULL) == 0;
    buffer_fini(&encoded);
    return appended;
}

void endpoint_reply_error(struct endpoint *endpoint, uint64_t session_id, uint64_t correlation_id,
                          const struct error *reason, const ProtobufCMessage *detail)
{
    ASSERT(reason->code < 0);
    struct session *session = session_table_find(&endpoint->sessions, session_id);
    if (session == NULL)
        return;
    size_t start = session->replies.size;
    if (append_error(&session->replies, correlation_id, 0, reason, detail) ||
        append_error(&session->replies, correlation_id, 0, reason, NULL))
        reply_added(endpoint, session, start);
}

/* --- receiving --- */

/* Where a frame came from. */
struct origin {
    const void *routing_id;
    size_t routing_id_size;
    struct session *session; /* NULL: none (yet) */
    uint64_t now_ns;
};

/* Answers with an error whether or not there is a session. */
static void refuse(struct endpoint *endpoint, const struct origin *origin, uint64_t correlation_id,
                   enum envelope_flag flags, const struct error *reason)
{
    if (origin->session != NULL)
        endpoint_reply_error(endpoint, origin->session->id, correlation_id, reason, NULL);
    else
        append_error(&endpoint->stray, correlation_id, flags, reason, NULL);
}

static int check_hello(const struct endpoint *endpoint, const Api__HelloRequest *hello,
                       struct error *err)
{
    if (hello->protocol_version < WIRE_VERSION)
        return error_set(err, ERR_UNSUPPORTED, "protocol version %d is not spoken here, %d is",
                         hello->protocol_version, WIRE_VERSION);
    if (hello->instance_id == NULL || hello->instance_id[0] == '\0')
        return error_set(err, ERR_INVALID, "hello without an instance_id");
    const char *const texts[] = {hello->instance_id, hello->identity, hello->node};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (texts[i] != NULL && strlen(texts[i]) > LIMIT_ID_LENGTH)
            return error_set(err, ERR_INVALID, "hello with a name over %d bytes", LIMIT_ID_LENGTH);
    }
    if (session_table_count(&endpoint->sessions) >= SESSIONS_MAX)
        return error_set(err, ERR_LIMIT, "%d sessions are open already", SESSIONS_MAX);
    return 0;
}

/* A Hello ends the session of its process instance, which lives on in the new one, and that of its
 * connection, should another instance have had it. */
static void lose_replaced(struct endpoint *endpoint, const struct origin *origin,
                          const char *instance_id)
{
    struct session *same = session_table_find_instance(&endpoint->sessions, instance_id);
    if (origin->session != NULL && origin->session != same)
        lose_session(endpoint, origin->session, 0, "replaced");
    if (same != NULL)
        lose_session(endpoint, same, session_table_next_id(&endpoint->sessions), "replaced");
    report_losses(endpoint);
}

/* A new session for the origin, or an answer that says why not. True when there is one. */
static bool begin_session(struct endpoint *endpoint, struct origin *origin,
                          const struct envelope *request)
{
    struct arena arena;
    arena_init(&arena, HELLO_MEMORY_MAX);
    struct error err = {0};
    ProtobufCMessage *message;
    const Api__HelloRequest *hello = NULL;
    int rc = codec_decode(&api__hello_request__descriptor, request->body, request->body_size,
                          &arena, &message, &err);
    if (rc == 0) {
        hello = (const Api__HelloRequest *)message;
        rc = check_hello(endpoint, hello, &err);
    }
    if (rc == 0) {
        lose_replaced(endpoint, origin, hello->instance_id);
        origin->session = session_table_add(&endpoint->sessions, origin->routing_id,
                                            origin->routing_id_size, hello, origin->now_ns);
    } else {
        refuse(endpoint, origin, request->correlation_id, 0, &err);
    }
    arena_fini(&arena);
    return rc == 0;
}

static uint64_t deadline_of(const struct envelope *request, uint64_t now_ns)
{
    return request->timeout_ms > 0 ? now_ns + request->timeout_ms * NS_PER_MS : UINT64_MAX;
}

static void hand_on(struct endpoint *endpoint, const struct origin *origin,
                    const struct method_row *method, const struct envelope *request)
{
    struct endpoint_event event = {.kind = ENDPOINT_REQUEST,
                                   .session = origin->session->id,
                                   .correlation_id = request->correlation_id,
                                   .method = method,
                                   .deadline_ns = deadline_of(request, origin->now_ns),
                                   .body = request->body,
                                   .body_size = request->body_size};
    add_event(&endpoint->events, &endpoint->event_count, &endpoint->event_capacity, &event);
    endpoint->stats.requests++;
}

static void handle_request(struct endpoint *endpoint, struct origin *origin,
                           const struct envelope *request)
{
    struct error err = {0};
    const struct method_row *method =
        request->method <= INT32_MAX ? method_get((int)request->method) : NULL;
    if (request->version != WIRE_VERSION) {
        error_set(&err, ERR_UNSUPPORTED, "protocol version %u is not spoken here, %d is",
                  request->version, WIRE_VERSION);
        refuse(endpoint, origin, request->correlation_id, 0, &err);
    } else if (method != NULL && method->method == METHOD_HELLO) {
        if (begin_session(endpoint, origin, request))
            hand_on(endpoint, origin, method, request);
    } else if (origin->session == NULL) {
        error_set(&err, ERR_STATE, "no session: say Hello first");
        refuse(endpoint, origin, request->correlation_id, ENVELOPE_NO_SESSION, &err);
    } else if (method == NULL) {
        error_set(&err, ERR_UNSUPPORTED, "unknown method %u", request->method);
        refuse(endpoint, origin, request->correlation_id, 0, &err);
    } else if (method->method == METHOD_PING) {
        const Api__PingResponse pong = API__PING_RESPONSE__INIT;
        endpoint_reply(endpoint, origin->session->id, request->correlation_id, false, &pong.base,
                       NULL);
    } else {
        hand_on(endpoint, origin, method, request);
    }
}

static void handle_frame(struct endpoint *endpoint, struct origin *origin, const uint8_t *data,
                         size_t size)
{
    struct envelope_reader reader;
    struct envelope envelope;
    envelope_reader_init(&reader, data, size);
    int rc;
    bool is_sound = size > 0;
    while ((rc = envelope_next(&reader, &envelope, NULL)) == 1) {
        if (envelope.kind == ENVELOPE_REQUEST)
            handle_request(endpoint, origin, &envelope);
        else
            is_sound = false;
        /* A reply that could not be delivered has ended the session. */
        if (endpoint->loss_count > 0)
            origin->session = session_table_find_routing_id(&endpoint->sessions, origin->routing_id,
                                                            origin->routing_id_size);
    }
    if (rc < 0 || !is_sound)
        endpoint->stats.frames_dropped++;
    if (endpoint->stray.size > 0) {
        send_frame(endpoint, origin->routing_id, origin->routing_id_size, endpoint->stray.data,
                   endpoint->stray.size);
        buffer_fini(&endpoint->stray);
    }
}

/* Takes one whole ZeroMQ message: a routing id and one part. 1: taken, 0: none waits. */
static int take_message(struct endpoint *endpoint, size_t *bytes, struct error *err)
{
    zmq_msg_t routing_id;
    zmq_msg_init(&routing_id);
    if (zmq_msg_recv(&routing_id, endpoint->router.socket, ZMQ_DONTWAIT) < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : socket_fail(err, "could not receive");
    zmq_msg_t *part = &endpoint->messages[endpoint->message_count++];
    zmq_msg_init(part);
    bool has_part = zmq_msg_more(&routing_id) != 0;
    size_t part_count = 0;
    for (bool more = has_part; more; part_count++)
        more = zmq_msg_recv(part, endpoint->router.socket, 0) >= 0 && zmq_msg_more(part) != 0;
    endpoint->stats.messages_received++;
    *bytes += zmq_msg_size(part);
    struct origin origin = {.routing_id = zmq_msg_data(&routing_id),
                            .routing_id_size = zmq_msg_size(&routing_id),
                            .now_ns = clock_monotonic_ns()};
    origin.session = session_table_find_routing_id(&endpoint->sessions, origin.routing_id,
                                                   origin.routing_id_size);
    if (origin.session != NULL)
        session_table_heard(&endpoint->sessions, origin.session, origin.now_ns);
    if (part_count == 1)
        handle_frame(endpoint, &origin, zmq_msg_data(part), zmq_msg_size(part));
    else
        endpoint->stats.frames_dropped++;
    zmq_msg_close(&routing_id);
    return 1;
}

/* Takes messages until none waits (ret_all) or the batch is full. */
static int take_messages(struct endpoint *endpoint, bool *ret_all, struct error *err)
{
    size_t bytes = 0;
    while (endpoint->message_count < BATCH_MESSAGES_MAX && bytes < BATCH_BYTES_MAX) {
        int rc = take_message(endpoint, &bytes, err);
        if (rc < 0)
            return rc;
        if (rc == 0) {
            *ret_all = true;
            return 0;
        }
    }
    *ret_all = false;
    return 0;
}

static void expire_leases(struct endpoint *endpoint, uint64_t now_ns)
{
    uint64_t lease_ns = (uint64_t)endpoint->lease_ms * NS_PER_MS;
    struct session *session;
    while ((session = session_table_oldest(&endpoint->sessions)) != NULL &&
           now_ns - session->heard_ns > lease_ns)
        lose_session(endpoint, session, 0, "lease expired");
}

/* Milliseconds to wait: the caller's bound, or the next lease that may run out. */
static int poll_timeout(const struct endpoint *endpoint, int timeout_ms)
{
    if (endpoint->loss_count > 0)
        return 0;
    const struct session *session = session_table_oldest(&endpoint->sessions);
    if (session == NULL)
        return timeout_ms;
    int64_t silent_ms = (int64_t)((clock_monotonic_ns() - session->heard_ns) / NS_PER_MS);
    int64_t left_ms = endpoint->lease_ms - silent_ms + 1;
    if (left_ms < 0)
        left_ms = 0;
    return timeout_ms >= 0 && timeout_ms < left_ms ? timeout_ms : (int)left_ms;
}

int endpoint_wait(struct endpoint *endpoint, int timeout_ms, int wake_fd,
                  struct endpoint_batch *ret_batch, struct error *err)
{
    endpoint_flush(endpoint);
    release_batch(endpoint);
    zmq_pollitem_t items[3] = {{.socket = endpoint->router.socket, .events = ZMQ_POLLIN}};
    int count = 1;
    if (endpoint->router.zap.socket != NULL)
        items[count++] =
            (zmq_pollitem_t){.socket = endpoint->router.zap.socket, .events = ZMQ_POLLIN};
    zmq_pollitem_t *wake = NULL;
    if (wake_fd >= 0) {
        wake = &items[count++];
        *wake = (zmq_pollitem_t){.fd = wake_fd, .events = ZMQ_POLLIN};
    }
    if (zmq_poll(items, count, poll_timeout(endpoint, timeout_ms)) < 0 && errno != EINTR)
        return socket_fail(err, "could not wait for messages");
    if (endpoint->router.zap.socket != NULL)
        zap_answer(&endpoint->router.zap);
    bool all = false;
    int rc = take_messages(endpoint, &all, err);
    if (rc != 0)
        return rc;
    endpoint_flush(endpoint); /* what was answered here */
    if (all)
        expire_leases(endpoint, clock_monotonic_ns());
    report_losses(endpoint);
    *ret_batch = (struct endpoint_batch){.events = endpoint->events,
                                         .count = endpoint->event_count,
                                         .woken = wake != NULL && wake->revents != 0};
    return 0;
}

/* --- sessions --- */

bool endpoint_session_get(const struct endpoint *endpoint, uint64_t session_id,
                          struct endpoint_session *ret_session)
{
    const struct session *session = session_table_find(&endpoint->sessions, session_id);
    if (session == NULL)
        return false;
    *ret_session = (struct endpoint_session){.id = session->id,
                                             .identity = session->identity,
                                             .instance_id = session->instance_id,
                                             .node = session->node,
                                             .pid = session->pid,
                                             .heard_ns = session->heard_ns};
    return true;
}

uint64_t endpoint_session_find(const struct endpoint *endpoint, const char *node, int64_t pid,
                               const char *instance_id)
{
    const struct session *session =
        session_table_find_process(&endpoint->sessions, node, pid, instance_id);
    return session != NULL ? session->id : 0;
}

void endpoint_session_kill(struct endpoint *endpoint, uint64_t session_id)
{
    struct session *session = session_table_find(&endpoint->sessions, session_id);
    if (session == NULL)
        return;
    endpoint->stats.sessions_lost++;
    session_table_remove(&endpoint->sessions, session);
}

void endpoint_stats_get(const struct endpoint *endpoint, struct endpoint_stats *ret_stats)
{
    *ret_stats = endpoint->stats;
    ret_stats->sessions = session_table_count(&endpoint->sessions);
    ret_stats->keys_refused = endpoint->router.zap.keys_refused;
}
