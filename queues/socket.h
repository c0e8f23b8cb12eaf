/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket: what every user of a ZeroMQ socket here needs: options, and ZeroMQ's errors as ours.
 * Threading: as the socket's.
 */
#ifndef ARGOSY_QUEUES_SOCKET_H
#define ARGOSY_QUEUES_SOCKET_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#include "common/error.h"

/* ERR_IO with "what: reason" from errno. */
static inline int socket_fail(struct error *err, const char *what)
{
    return error_set(err, ERR_IO, "%s: %s", what, zmq_strerror(errno));
}

static inline bool socket_set_bytes(void *socket, int option, const void *data, size_t size)
{
    return zmq_setsockopt(socket, option, data, size) == 0;
}

static inline bool socket_set_int(void *socket, int option, int value)
{
    return socket_set_bytes(socket, option, &value, sizeof value);
}

#endif
