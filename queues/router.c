/* SPDX-License-Identifier: Apache-2.0 */
/* router: see router.h. */
#include "queues/router.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zmq.h>

#include "common/limits.h"
#include "queues/address.h"
#include "queues/curve_key.h"
#include "queues/listen_socket.h"
#include "queues/socket.h"

/* A tcp peer that has vanished without a word, with its node or its cable, is found out by the
 * system, and closed: two leases after its last sign of life nobody speaks for it any more, and its
 * descriptor and what waits for it would stay for good. Unlike pings of libzmq this costs an idle
 * engine no wake-up. */
static bool set_keepalive(void *socket, int64_t lease_ms)
{
    int lease_s = lease_ms < 3000 ? 3 : (int)(lease_ms / 1000);
    return socket_set_int(socket, ZMQ_TCP_KEEPALIVE, 1) &&
           socket_set_int(socket, ZMQ_TCP_KEEPALIVE_IDLE, lease_s) &&
           socket_set_int(socket, ZMQ_TCP_KEEPALIVE_INTVL, lease_s / 3) &&
           socket_set_int(socket, ZMQ_TCP_KEEPALIVE_CNT, 3) &&
           socket_set_int(socket, ZMQ_TCP_MAXRT, 2 * lease_s * 1000);
}

static int open_socket(struct router *router, const struct endpoint_config *config,
                       struct error *err)
{
    router->context = zmq_ctx_new();
    if (router->context == NULL)
        return socket_fail(err, "could not start ZeroMQ");
    router->socket = zmq_socket(router->context, ZMQ_ROUTER);
    if (router->socket == NULL)
        return socket_fail(err, "could not create a socket");
    int64_t message_max = LIMIT_FRAME_SIZE;
    int64_t lease_ms = config->lease_ms > 0 ? config->lease_ms : ENDPOINT_LEASE_MS_DEFAULT;
    if (!socket_set_int(router->socket, ZMQ_ROUTER_MANDATORY, 1) ||
        !socket_set_int(router->socket, ZMQ_SNDHWM, ENDPOINT_SEND_QUEUE) ||
        !socket_set_int(router->socket, ZMQ_LINGER, 0) ||
        !set_keepalive(router->socket, lease_ms) ||
        !socket_set_bytes(router->socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max))
        return socket_fail(err, "could not set up a socket");
    return 0;
}

/* CURVE for the tcp addresses that are bound after this. */
static int open_curve(struct router *router, const struct endpoint_config *config,
                      struct error *err)
{
    if (config->authorized_keys_dir == NULL)
        return error_set(err, ERR_CONFIG,
                         "a server key needs a folder of authorized client keys beside it");
    struct curve_key key;
    int rc = curve_key_read_pair(config->server_key_file, &key, err);
    if (rc != 0)
        return rc;
    rc = zap_open(&router->zap, router->context, config->authorized_keys_dir, err);
    if (rc == 0 &&
        (!socket_set_int(router->socket, ZMQ_CURVE_SERVER, 1) ||
         !socket_set_bytes(router->socket, ZMQ_ZAP_DOMAIN, ZAP_DOMAIN, strlen(ZAP_DOMAIN)) ||
         !socket_set_bytes(router->socket, ZMQ_CURVE_SECRETKEY, key.secret_key,
                           CURVE_KEY_TEXT_SIZE)))
        rc = socket_fail(err, "could not set up CURVE");
    explicit_bzero(&key, sizeof key);
    return rc;
}

/* The socket that listens at the address already; -1: there is none. */
static int find_listening(const struct endpoint_config *config, const char *text,
                          const struct address *address)
{
    for (size_t i = 0; i < config->listen_fd_count; i++) {
        if (listen_socket_is_at(config->listen_fds[i], text, address))
            return config->listen_fds[i];
    }
    return -1;
}

/* A socket at no address would take connections that nobody answers. */
static int check_listening(const struct endpoint_config *config, struct error *err)
{
    for (size_t i = 0; i < config->listen_fd_count; i++) {
        char text[LISTEN_SOCKET_TEXT_MAX];
        bool is_known = false;
        for (size_t k = 0; !is_known && k < config->address_count; k++) {
            struct address address;
            is_known = address_parse(config->addresses[k], &address, NULL) == 0 &&
                       listen_socket_is_at(config->listen_fds[i], config->addresses[k], &address);
        }
        listen_socket_format(config->listen_fds[i], text);
        if (!is_known)
            return error_set(err, ERR_CONFIG,
                             "the socket that was passed listens at %s, which is none of the "
                             "configured addresses",
                             text);
    }
    return 0;
}

/* Binds, or takes the socket fd that is bound already (-1: none), and remembers the address as
 * clients connect to it. */
static int bind_address(struct router *router, const char *text, int fd, struct error *err)
{
    if (!socket_set_int(router->socket, ZMQ_USE_FD, fd))
        return socket_fail(err, "could not set up a socket");
    if (zmq_bind(router->socket, text) != 0)
        return error_set(err, errno == EADDRINUSE ? ERR_EXISTS : ERR_IO,
                         "could not listen at %s: %s", text, zmq_strerror(errno));
    char bound[512];
    size_t size = sizeof bound;
    if (zmq_getsockopt(router->socket, ZMQ_LAST_ENDPOINT, bound, &size) != 0)
        return socket_fail(err, "could not name an address");
    char *copy = strdup(bound);
    if (copy == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    router->addresses[router->address_count++] = copy;
    return 0;
}

static int bind_ipc(struct router *router, const char *text, const struct address *address, int fd,
                    struct error *err)
{
    int rc = fd >= 0 ? address_check_socket(address, err) : address_prepare_ipc(address, err);
    if (rc != 0)
        return rc;
    mode_t mask = umask(0177); /* the socket is ours alone from its first moment */
    rc = bind_address(router, text, fd, err);
    umask(mask);
    return rc;
}

static int bind_tcp(struct router *router, const char *text, const struct address *address, int fd,
                    const struct endpoint_config *config, struct error *err)
{
    if (config->server_key_file == NULL && !config->insecure)
        return error_set(err, ERR_CONFIG,
                         "address \"%s\" needs a server key, or insecure: true on a loopback "
                         "address",
                         text);
    if (config->server_key_file == NULL && !address->is_loopback)
        return error_set(err, ERR_CONFIG,
                         "address \"%s\" is no loopback address: insecure is not allowed there",
                         text);
    if (config->server_key_file != NULL && router->zap.socket == NULL) {
        int rc = open_curve(router, config, err);
        if (rc != 0)
            return rc;
    }
    if (address->is_ipv6 && !socket_set_int(router->socket, ZMQ_IPV6, 1))
        return socket_fail(err, "could not set up IPv6");
    return bind_address(router, text, fd, err);
}

/* ipc addresses first: what is set for CURVE holds for all that is bound after it. */
static int bind_all(struct router *router, const struct endpoint_config *config, struct error *err)
{
    if (config->address_count == 0)
        return error_set(err, ERR_CONFIG, "no address to listen at");
    router->addresses = calloc(config->address_count, sizeof *router->addresses);
    if (router->addresses == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (int tcp = 0; tcp < 2; tcp++) {
        for (size_t i = 0; i < config->address_count; i++) {
            const char *text = config->addresses[i];
            struct address address;
            int rc = address_parse(text, &address, err);
            if (rc != 0)
                return rc;
            if (address.is_tcp != (tcp == 1))
                continue;
            int fd = find_listening(config, text, &address);
            rc = address.is_tcp ? bind_tcp(router, text, &address, fd, config, err)
                                : bind_ipc(router, text, &address, fd, err);
            if (rc != 0)
                return rc;
        }
    }
    return 0;
}

int router_open(struct router *router, const struct endpoint_config *config, struct error *err)
{
    *router = (struct router){0};
    int rc = check_listening(config, err);
    if (rc == 0)
        rc = open_socket(router, config, err);
    if (rc == 0)
        rc = bind_all(router, config, err);
    if (rc != 0)
        router_close(router);
    return rc;
}

void router_close(struct router *router)
{
    /* Before zap: without somebody who answers, libzmq would admit every key. */
    if (router->socket != NULL)
        zmq_close(router->socket);
    zap_close(&router->zap);
    if (router->context != NULL)
        zmq_ctx_term(router->context);
    for (size_t i = 0; i < router->address_count; i++)
        free(router->addresses[i]);
    free(router->addresses);
    *router = (struct router){0};
}

bool router_send(struct router *router, const void *routing_id, size_t routing_id_size,
                 const void *data, size_t size)
{
    return zmq_send(router->socket, routing_id, routing_id_size, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0 &&
           zmq_send(router->socket, data, size, ZMQ_DONTWAIT) >= 0;
}
