/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_socket: the listening socket of a node's HTTP. The supervisor opens it before it starts
 * anything, so that a port that is taken is an error at the start, and passes it to each link
 * (ARGOSY_HTTP_FD): a link that dies takes neither the port nor waiting connections with it.
 */
#ifndef ARGOSY_SUPERVISOR_HTTP_SOCKET_H
#define ARGOSY_SUPERVISOR_HTTP_SOCKET_H

#include "common/error.h"

#define HTTP_ENV_FD "ARGOSY_HTTP_FD"

/* Listens at an address of common/http_address.h; *ret_fd is -1 for "none". The descriptor is
 * non-blocking and close-on-exec. ERR_CONFIG when the address cannot be had. */
int http_socket_open(const char *listen_at, int *ret_fd, struct error *err);

#endif
