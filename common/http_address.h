/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_address: where HTTP is served: "127.0.0.1:9464", "[::1]:9464", "0.0.0.0:9464", or "none".
 * Hosts are numeric: what a name resolves to would decide who can reach the port.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_COMMON_HTTP_ADDRESS_H
#define ARGOSY_COMMON_HTTP_ADDRESS_H

#include <stdbool.h>
#include <sys/socket.h>

#define HTTP_ADDRESS_NONE "none"

/* "[ffff:...:ffff]:65535" and more. */
#define HTTP_ADDRESS_TEXT_MAX 64

bool http_address_is_none(const char *text);

/* False for what is no address. Port 0 is one: the system chooses. */
bool http_address_parse(const char *text, struct sockaddr_storage *ret_address,
                        socklen_t *ret_length);

/* The address that a socket is bound to, as text into out, which is returned. */
const char *http_address_format(int fd, char out[HTTP_ADDRESS_TEXT_MAX]);

#endif
