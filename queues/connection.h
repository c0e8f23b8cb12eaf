/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection: the client's side of the transport (docs/spec/01-wire.md, sections 2, 4, 6).
 *
 * A connection keeps itself connected. It says Hello first, pings in quiet times, and when the peer
 * closes, stays silent for the length of the lease or answers that it knows no session, it starts
 * over on a fresh socket under a new random routing id. Requests of all threads that are ready
 * together travel in one message. What becomes of a request when the session is lost:
 *   - with a deadline: it is sent again in the next session until its deadline. The engine makes
 *     that safe: requests that change something carry a request id or a task token;
 *   - without one (timeout_ms 0: standing polls): it ends with status UNAVAILABLE, and on_session
 *     tells when to issue it again. (One that is submitted while there is no session waits for the
 *     next.)
 * A request that meets its deadline ends with status DEADLINE_EXCEEDED, or with UNAVAILABLE or
 * UNAUTHENTICATED and the reason where there was no session at that time. Every request gets
 * exactly one final reply.
 *
 * Threading: one owner thread runs the loop and gets all callbacks: the thread that opened the
 * connection, by connection_run, or a thread of the connection's own (config.own_thread).
 * connection_submit, connection_cancel and connection_call may be called from any thread; callbacks
 * may submit, but not call. connection_close: by the owner, or by anyone for own_thread, once no
 * other thread uses the connection.
 */
#ifndef ARGOSY_QUEUES_CONNECTION_H
#define ARGOSY_QUEUES_CONNECTION_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/messages.h"
#include "api/method.h"
#include "common/arena.h"
#include "common/error.h"

/* Requests that may wait for their reply; one more is refused with ERR_LIMIT. */
#define CONNECTION_PENDING_MAX 65536

struct connection;

struct connection_config {
    const char *address;         /* "ipc:///run/argosy/engine.sock", "tcp://engine:7233" */
    const char *server_key_file; /* tcp with CURVE: the server's public key, and this process's */
    const char *client_key_file; /* key pair (queues/curve_key.h). Both NULL: no CURVE */
    bool own_thread;

    /* What Hello says. */
    const char *identity;    /* "pid@host#group"; NULL: "pid@host" */
    const char *instance_id; /* NULL: a new uuid */
    const char *node;        /* NULL: the host's name */

    /* Called on the owner thread; each may be NULL. */
    void *context;
    /* Before every Hello: set hello->held_task_tokens; what it points to may live in arena. */
    void (*on_hello)(void *context, struct arena *arena, Api__HelloRequest *hello);
    /* A session has begun: issue standing polls. hello names the held tasks that were lost; is
     * borrowed for the call. engine_changed: another start of the engine than before. */
    void (*on_session)(void *context, const Api__HelloResponse *hello, bool engine_changed);
    /* The session is over; all requests without a deadline have ended. reason is borrowed. */
    void (*on_session_lost)(void *context, const char *reason);
};

/* Strings in config are copied. Does not wait for the engine to be there. ERR_CONFIG for an address
 * or key that cannot be used, ERR_IO, ERR_MEMORY. */
int connection_open(const struct connection_config *config, struct connection **ret_connection,
                    struct error *err);

/* Ends all requests with status UNAVAILABLE ("closed") and frees the connection. Requests already
 * handed to the socket have CONNECTION_LINGER_MS to leave. NULL is fine. */
#define CONNECTION_LINGER_MS 200
void connection_close(struct connection *connection);

/* One turn of the loop: sends what was submitted, waits at most timeout_ms (-1: for ever) for a
 * reply, a submission or fd (-1: none) to be readable, and calls back. fd is not read here;
 * ret_fd_ready (may be NULL) tells of it. Owner thread only, not with own_thread. ERR_IO only. */
int connection_run(struct connection *connection, int timeout_ms, int fd, bool *ret_fd_ready,
                   struct error *err);

struct connection_reply {
    const struct method_row *method;
    uint64_t correlation_id;
    int status;          /* gRPC status code; 0 is OK */
    bool more;           /* this was not the final reply */
    const uint8_t *body; /* method->response, or ErrorReply where status is not 0; borrowed */
    size_t body_size;
};

/* Called on the owner thread, once for each reply. The reply is borrowed for the call. */
typedef void connection_reply_fn(void *context, const struct connection_reply *reply);

struct connection_request {
    const ProtobufCMessage *message; /* of the method's request type; encoded before the return */
    enum method method;
    uint32_t timeout_ms; /* 0: no deadline, ends with the session at the latest */
    connection_reply_fn *on_reply;
    void *context;
};

/* Any thread. Hands the request to the loop; ret_correlation_id (may be NULL) is its name for
 * connection_cancel. ERR_LIMIT for a message over LIMIT_MESSAGE_SIZE or too many pending requests,
 * ERR_MEMORY; on_reply is not called then. */
int connection_submit(struct connection *connection, const struct connection_request *request,
                      uint64_t *ret_correlation_id, struct error *err);

/* Any thread. Asks the engine to end a pending request early; it is answered with status CANCELED,
 * unless its reply is already on its way. */
int connection_cancel(struct connection *connection, uint64_t correlation_id, struct error *err);

/* The reply as a message in arena, or the error it carries: its code by the gRPC status, its text
 * from the engine. The decoded message's bytes fields point into the reply's body. */
int connection_reply_decode(const struct connection_reply *reply, struct arena *arena,
                            ProtobufCMessage **ret_message, struct error *err);

/* The typed detail of an error reply (api/proto/error_detail.proto) when it is of the type asked
 * for, or of any known type where descriptor is NULL; NULL otherwise. Lives in arena; its bytes
 * fields point into the reply's body. */
ProtobufCMessage *connection_reply_detail(const struct connection_reply *reply,
                                          const ProtobufCMessageDescriptor *descriptor,
                                          struct arena *arena);

/* Sends a request and waits for its reply: on the owner thread by running the loop (callbacks of
 * other requests are called meanwhile), on other threads by waiting for the owner. timeout_ms is
 * not 0. The reply, bytes included, is decoded in arena. On failure ret_detail (may be NULL, else
 * set to NULL or a message in arena) is the typed detail of the error. */
int connection_call(struct connection *connection, enum method method,
                    const ProtobufCMessage *message, uint32_t timeout_ms, struct arena *arena,
                    ProtobufCMessage **ret_response, ProtobufCMessage **ret_detail,
                    struct error *err);

/* Waits until a session is there, at most timeout_ms: what a program does before it calls itself
 * ready. Where connection_call may be called. ERR_TIMEOUT with the reason it is not. */
int connection_wait_session(struct connection *connection, uint32_t timeout_ms, struct error *err);

#endif
