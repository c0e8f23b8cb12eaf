/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the loop of the storage process: requests come in by the endpoint, a few threads carry
 * them out, replies leave in whatever order they are done.
 *
 *     endpoint_wait ──► jobs ──► threads ──► done ──► endpoint_reply
 *
 * A service answers some methods (api/method.h, from 200 on) by a table of handlers; the server
 * knows nothing of what they do. The loop itself never touches a disk, so that sessions are kept
 * while all threads wait for one. It stops reading the socket while more than
 * STORAGE_QUEUED_BYTES_MAX wait for a thread: what is over waits at the clients.
 *
 * Threading: one thread for all calls here; handlers run on the server's threads, several at once,
 * and guard what they share.
 */
#ifndef ARGOSY_STORAGE_SERVER_H
#define ARGOSY_STORAGE_SERVER_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "api/method.h"
#include "common/arena.h"
#include "common/error.h"
#include "queues/endpoint.h"

/* Half of them may wait for the disk while the others search. */
#define STORAGE_THREADS 8

/* Sixteen of the largest requests. */
#define STORAGE_QUEUED_BYTES_MAX ((size_t)64 * 1024 * 1024)

/* What a handler is given. All of it is borrowed for the call. */
struct storage_request {
    const ProtobufCMessage *message; /* of the method's request type */
    struct arena *arena;             /* for the response; at most LIMIT_DECODED_SIZE */
    uint64_t deadline_ns;            /* clock_monotonic_ns; nobody waits for the reply after it */
};

/* Sets *ret_response to a message of the method's response type, in the request's arena or
 * constant; or fails, and the caller gets the code and text. What was acknowledged is durable. */
typedef int storage_handler_fn(void *context, const struct storage_request *request,
                               ProtobufCMessage **ret_response, struct error *err);

struct storage_handler {
    enum method method;
    storage_handler_fn *handle;
};

struct storage_service {
    const struct storage_handler *handlers;
    size_t handler_count;
    void *context; /* for the handlers */
};

struct storage_server_config {
    struct endpoint_config endpoint;
    const struct storage_service *services; /* borrowed for the server's life */
    size_t service_count;
    int stop_fd;                    /* storage_server_run returns when it is readable */
    void (*on_turn)(void *context); /* after each turn of the loop, once a second at least */
    void *context;
};

struct storage_server;

/* Binds the addresses and starts the threads. No two handlers may have the same method. Errors as
 * endpoint_open's, ERR_MEMORY. */
int storage_server_open(const struct storage_server_config *config,
                        struct storage_server **ret_server, struct error *err);

/* Ends the threads, after the requests they work on. NULL is fine. */
void storage_server_close(struct storage_server *server);

/* Serves until stop_fd is readable; what was taken by then is carried out and answered. ERR_IO. */
int storage_server_run(struct storage_server *server, struct error *err);

/* The address that was bound, as clients connect to it. Borrowed. */
const char *storage_server_address(const struct storage_server *server, size_t index);

#endif
