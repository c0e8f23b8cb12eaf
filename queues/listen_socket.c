/* SPDX-License-Identifier: Apache-2.0 */
/* listen_socket: see listen_socket.h. */
#include "queues/listen_socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Of any family that we listen at. */
union name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

static bool read_name(int fd, union name *ret_name)
{
    socklen_t size = sizeof *ret_name;
    memset(ret_name, 0, sizeof *ret_name); /* a path need not end within */
    return getsockname(fd, &ret_name->any, &size) == 0;
}

/* The host without brackets, and what follows the last colon. */
static bool split(const char *text, char host[INET6_ADDRSTRLEN], unsigned long *ret_port)
{
    const char *start = text + strlen("tcp://");
    const char *colon = strrchr(start, ':');
    size_t length = colon != NULL ? (size_t)(colon - start) : 0;
    bool is_bracketed = length > 1 && start[0] == '[' && colon[-1] == ']';
    start += is_bracketed;
    length -= is_bracketed ? 2 : 0;
    if (length == 0 || length >= INET6_ADDRSTRLEN)
        return false;
    memcpy(host, start, length);
    host[length] = '\0';
    *ret_port = strtoul(colon + 1, NULL, 10);
    return true;
}

static bool is_host_ipv4(const struct sockaddr_in *name, const char *host)
{
    struct in_addr wanted;
    if (strcmp(host, "*") == 0)
        return name->sin_addr.s_addr == htonl(INADDR_ANY);
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    return inet_pton(AF_INET, numeric, &wanted) == 1 && name->sin_addr.s_addr == wanted.s_addr;
}

static bool is_host_ipv6(const struct sockaddr_in6 *name, const char *host)
{
    struct in6_addr wanted = in6addr_any;
    if (strcmp(host, "*") != 0 && inet_pton(AF_INET6, host, &wanted) != 1)
        return false;
    return memcmp(&name->sin6_addr, &wanted, sizeof wanted) == 0;
}

bool listen_socket_is_at(int fd, const char *text, const struct address *address)
{
    union name name;
    char host[INET6_ADDRSTRLEN];
    unsigned long port;
    if (!read_name(fd, &name))
        return false;
    if (!address->is_tcp)
        return name.any.sa_family == AF_UNIX &&
               strncmp(name.un.sun_path, address->path, sizeof name.un.sun_path) == 0;
    if (!split(text, host, &port))
        return false;
    if (name.any.sa_family == AF_INET)
        return port == ntohs(name.in.sin_port) && is_host_ipv4(&name.in, host);
    return name.any.sa_family == AF_INET6 && port == ntohs(name.in6.sin6_port) &&
           is_host_ipv6(&name.in6, host);
}

void listen_socket_format(int fd, char out[LISTEN_SOCKET_TEXT_MAX])
{
    union name name;
    char host[INET6_ADDRSTRLEN] = "";
    if (!read_name(fd, &name)) {
        snprintf(out, LISTEN_SOCKET_TEXT_MAX, "descriptor %d", fd);
    } else if (name.any.sa_family == AF_UNIX) {
        snprintf(out, LISTEN_SOCKET_TEXT_MAX, "ipc://%.107s", name.un.sun_path);
    } else if (name.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &name.in.sin_addr, host, sizeof host);
        snprintf(out, LISTEN_SOCKET_TEXT_MAX, "tcp://%s:%u", host, ntohs(name.in.sin_port));
    } else {
        inet_ntop(AF_INET6, &name.in6.sin6_addr, host, sizeof host);
        snprintf(out, LISTEN_SOCKET_TEXT_MAX, "tcp://[%s]:%u", host, ntohs(name.in6.sin6_port));
    }
}
