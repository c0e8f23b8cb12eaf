/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoint: the server's side of the transport (docs/spec/01-wire.md, sections 2, 4, 5).
 *
 * One ROUTER socket, bound to any number of ipc and tcp addresses. It owns framing, sessions and
 * leases; what requests mean it does not know. The loop of its owner:
 *
 *     endpoint_wait(endpoint, timeout_ms, wake_fd, &batch, err);   all that is ready, in order
 *     for each event: ... endpoint_reply(...)                      queues
 *     endpoint_flush(endpoint);                                    one message per session
 *
 * Sessions. A session begins with a valid Hello, which is handed on as a request with the new
 * session's id; any message renews its lease. It ends, with one ENDPOINT_SESSION_LOST event, when
 * the lease runs out, when a send cannot be delivered, or when a Hello of the same connection or
 * the same instance_id replaces it. A request without a session is answered here with
 * ENVELOPE_NO_SESSION; Ping, unknown methods, other protocol versions and oversized replies are
 * answered here too. Frames that are no frames are dropped and counted.
 *
 * Delivery. ROUTER_MANDATORY is on and sends never wait: a peer that is gone, or that has left
 * ENDPOINT_SEND_QUEUE messages unread, has lost its session. Nothing is dropped silently.
 *
 * Access. ipc: the socket's folder is made with mode 0700 where it is missing, refused where group
 * or others may write it; the socket itself has mode 0600. tcp: CURVE with a list of authorized
 * client keys, read again when the folder changes; without a server key only where `insecure` is
 * set and the address is a loopback one.
 *
 * Threading: one owner thread for all calls. libzmq runs one I/O thread of its own.
 */
#ifndef ARGOSY_QUEUES_ENDPOINT_H
#define ARGOSY_QUEUES_ENDPOINT_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/method.h"
#include "common/error.h"

/* Unread messages of one session. Every credit is at most one message, and 65,536 is more than the
 * slots of any one process. */
#define ENDPOINT_SEND_QUEUE 65536

#define ENDPOINT_LEASE_MS_DEFAULT 10000

struct endpoint;

struct endpoint_config {
    const char *const *addresses; /* "ipc:///run/argosy/engine.sock", "tcp://127.0.0.1:7233"; a
                                     port of 0 takes a free one */
    size_t address_count;
    const char *server_key_file;     /* CURVE key pair for tcp (queues/curve_key.h), or NULL */
    const char *authorized_keys_dir; /* one file per client that may connect by tcp */
    bool insecure;                   /* tcp without CURVE, on loopback addresses only */
    const int *listen_fds; /* sockets that listen already; each must be at one of the addresses */
    size_t listen_fd_count;
    int64_t lease_ms; /* 0: ENDPOINT_LEASE_MS_DEFAULT */
};

/* Binds all addresses. Everything in config is borrowed for the call, but for the listening
 * sockets, which are taken on success. ERR_CONFIG for an address, a socket or a key that cannot be
 * used, ERR_PERMISSION for a folder open to others, ERR_EXISTS where another process serves the
 * address, ERR_IO. */
int endpoint_open(const struct endpoint_config *config, struct endpoint **ret_endpoint,
                  struct error *err);

/* Closes the sockets at once: replies not yet on their way are dropped. NULL is fine. */
void endpoint_close(struct endpoint *endpoint);

/* The address that was bound, with its port, as clients connect to it. Borrowed. */
const char *endpoint_address(const struct endpoint *endpoint, size_t index);

int64_t endpoint_lease_ms(const struct endpoint *endpoint);

enum endpoint_event_kind {
    ENDPOINT_REQUEST,
    ENDPOINT_SESSION_LOST,
};

struct endpoint_event {
    enum endpoint_event_kind kind;
    uint64_t session; /* never 0, never reused while the endpoint lives */

    /* ENDPOINT_REQUEST */
    uint64_t correlation_id;
    const struct method_row *method;
    uint64_t deadline_ns; /* clock_monotonic_ns; UINT64_MAX is none */
    const uint8_t *body;  /* encoded message of method->request, not yet checked */
    size_t body_size;

    /* ENDPOINT_SESSION_LOST */
    uint64_t replaced_by; /* the session of the same instance whose Hello is the next event and
                             names the tasks that are still worked on; 0 when there is none */
    const char *reason;   /* "lease expired", "undeliverable", "replaced" */
};

struct endpoint_batch {
    const struct endpoint_event *events; /* in the order they came */
    size_t count;
    bool woken; /* wake_fd is readable */
};

/* Waits until a message, a lost session or a readable wake_fd (-1: none) is there, at most
 * timeout_ms (-1: for ever; 0: not at all), and takes what is ready. The batch and all it points to
 * is borrowed until the next call. A batch is bounded; what is over comes with the next call at
 * once. wake_fd is not read here. ERR_IO only. */
int endpoint_wait(struct endpoint *endpoint, int timeout_ms, int wake_fd,
                  struct endpoint_batch *ret_batch, struct error *err);

/* Queue a reply until endpoint_flush; the body is copied. `more` keeps the request open. A session
 * that is gone takes no reply: 0 is returned, its loss event says the rest. ERR_LIMIT when the
 * message is over LIMIT_MESSAGE_SIZE, ERR_MEMORY: nothing is queued then, and the caller owes
 * another reply. endpoint_reply encodes message; endpoint_reply_bytes takes its encoding. */
int endpoint_reply(struct endpoint *endpoint, uint64_t session, uint64_t correlation_id, bool more,
                   const ProtobufCMessage *message, struct error *err);
int endpoint_reply_bytes(struct endpoint *endpoint, uint64_t session, uint64_t correlation_id,
                         bool more, const uint8_t *body, size_t size, struct error *err);

/* Queues an error whose ErrorReply is encoded already (the engine encodes replies long before they
 * may leave); ends the request. Errors as endpoint_reply_bytes. */
int endpoint_reply_error_bytes(struct endpoint *endpoint, uint64_t session, uint64_t correlation_id,
                               int grpc_status, const uint8_t *body, size_t size,
                               struct error *err);

/* Queues an error, which ends the request: reason->code becomes the gRPC status, reason->text the
 * message; detail is one of api/proto/error_detail.proto, or NULL. Cannot fail: what does not fit
 * is left out. */
void endpoint_reply_error(struct endpoint *endpoint, uint64_t session, uint64_t correlation_id,
                          const struct error *reason, const ProtobufCMessage *detail);

/* Sends what is queued, one ZeroMQ message per session (more where LIMIT_FRAME_SIZE demands it). */
void endpoint_flush(struct endpoint *endpoint);

/* What a session said of itself. Strings are borrowed until the next endpoint call. */
struct endpoint_session {
    uint64_t id;
    const char *identity;
    const char *instance_id;
    const char *node;
    int64_t pid;
    uint64_t heard_ns; /* last message */
};

/* False when there is no such session (any more). */
bool endpoint_session_get(const struct endpoint *endpoint, uint64_t session,
                          struct endpoint_session *ret_session);

/* The session of a process by node and pid, and by instance_id too unless that is NULL or empty; 0
 * when there is none. */
uint64_t endpoint_session_find(const struct endpoint *endpoint, const char *node, int64_t pid,
                               const char *instance_id);

/* Ends a session that is known to be dead. No event follows: the caller knows. Replies queued for
 * it are dropped. Should it be alive after all, its next request gets ENVELOPE_NO_SESSION. */
void endpoint_session_kill(struct endpoint *endpoint, uint64_t session);

struct endpoint_stats {
    uint64_t sessions;
    uint64_t messages_received;
    uint64_t messages_sent;
    uint64_t requests;
    uint64_t frames_dropped; /* no frames of this protocol */
    uint64_t keys_refused;   /* CURVE handshakes with a key that is not authorized */
    uint64_t sessions_lost;
};

void endpoint_stats_get(const struct endpoint *endpoint, struct endpoint_stats *ret_stats);

#endif
