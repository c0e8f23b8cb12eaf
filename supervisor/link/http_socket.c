/* SPDX-License-Identifier: Apache-2.0 */
/* http_socket: see http_socket.h. */
#include "supervisor/link/http_socket.h"

#include <errno.h>
#include <unistd.h>

#include "common/http_address.h"

/* Connections that wait for a link: a scrape and the probes of a few seconds. */
#define BACKLOG 64

static int bind_and_listen(int fd, const struct sockaddr_storage *address, socklen_t length)
{
    const int on = 1;
    /* A port whose last connections linger is free to us. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, (const struct sockaddr *)address, length) != 0)
        return -1;
    return listen(fd, BACKLOG);
}

int http_socket_open(const char *listen_at, int *ret_fd, struct error *err)
{
    struct sockaddr_storage address;
    socklen_t length;
    if (http_address_is_none(listen_at)) {
        *ret_fd = -1;
        return 0;
    }
    if (!http_address_parse(listen_at, &address, &length))
        return error_set(err, ERR_CONFIG, "http.listen: \"%.64s\" is no address", listen_at);
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind_and_listen(fd, &address, length) != 0) {
        int reason = errno;
        if (fd >= 0)
            close(fd);
        return error_set_errno(err, ERR_CONFIG, reason,
                               "http.listen: cannot serve at %s (set another address, or none)",
                               listen_at);
    }
    *ret_fd = fd;
    return 0;
}
