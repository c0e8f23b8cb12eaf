/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listen_socket: listening sockets that were open before this process was: a service manager's,
 * passed on by the supervisor (docs/spec/04-supervision.md, section "Service manager"). Each stands
 * for the address that it is bound to; who connects while its process restarts waits in it.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_QUEUES_LISTEN_SOCKET_H
#define ARGOSY_QUEUES_LISTEN_SOCKET_H

#include <stdbool.h>

#include "queues/address.h"

/* Whether the socket is bound to that address: the same path, or the same port of the same numeric
 * host ("*" is every host, localhost 127.0.0.1). */
bool listen_socket_is_at(int fd, const char *text, const struct address *address);

/* What it is bound to, for people: "tcp://127.0.0.1:7233". */
#define LISTEN_SOCKET_TEXT_MAX 128
void listen_socket_format(int fd, char out[LISTEN_SOCKET_TEXT_MAX]);

#endif
