/* SPDX-License-Identifier: Apache-2.0 */
/* dealer: see dealer.h. */
#include "queues/dealer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zmq.h>

#include "common/assert.h"
#include "common/limits.h"
#include "queues/address.h"
#include "queues/socket.h"

#define ROUTING_ID_SIZE 16

#define MONITORED                                                                                  \
    (ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED |          \
     ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |                  \
     ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

static int read_keys(struct dealer *dealer, const char *server_key_file,
                     const char *client_key_file, struct error *err)
{
    if (server_key_file == NULL && client_key_file == NULL)
        return 0;
    if (server_key_file == NULL || client_key_file == NULL)
        return error_set(err, ERR_CONFIG,
                         "CURVE needs both the server's public key file and a client key file");
    struct curve_key server;
    int rc = curve_key_read(server_key_file, &server, err);
    if (rc != 0)
        return rc;
    memcpy(dealer->server_key, server.public_key, sizeof dealer->server_key);
    dealer->has_curve = true;
    return curve_key_read_pair(client_key_file, &dealer->client_key, err);
}

int dealer_open(struct dealer *dealer, const char *address, const char *server_key_file,
                const char *client_key_file, struct error *err)
{
    *dealer = (struct dealer){0};
    struct address parsed;
    int rc = address_parse(address, &parsed, err);
    if (rc == 0)
        rc = read_keys(dealer, server_key_file, client_key_file, err);
    if (rc != 0)
        return rc;
    dealer->is_ipv6 = parsed.is_ipv6;
    dealer->address = strdup(address);
    dealer->context = zmq_ctx_new();
    if (dealer->address == NULL || dealer->context == NULL) {
        dealer_close(dealer);
        return socket_fail(err, "could not start ZeroMQ");
    }
    return 0;
}

void dealer_close(struct dealer *dealer)
{
    ASSERT(dealer->socket == NULL);
    if (dealer->context != NULL)
        zmq_ctx_term(dealer->context);
    free(dealer->address);
    explicit_bzero(dealer, sizeof *dealer);
}

static bool set_routing_id(void *socket)
{
    uint8_t id[ROUTING_ID_SIZE];
    if (getrandom(id, sizeof id, 0) != (ssize_t)sizeof id)
        return false;
    id[0] |= 0x80; /* ids that begin with 0 are libzmq's own */
    return socket_set_bytes(socket, ZMQ_ROUTING_ID, id, sizeof id);
}

static bool set_curve(const struct dealer *dealer, void *socket)
{
    return !dealer->has_curve ||
           (socket_set_bytes(socket, ZMQ_CURVE_SERVERKEY, dealer->server_key,
                             CURVE_KEY_TEXT_SIZE) &&
            socket_set_bytes(socket, ZMQ_CURVE_PUBLICKEY, dealer->client_key.public_key,
                             CURVE_KEY_TEXT_SIZE) &&
            socket_set_bytes(socket, ZMQ_CURVE_SECRETKEY, dealer->client_key.secret_key,
                             CURVE_KEY_TEXT_SIZE));
}

/* No high-water mark: what may be in flight is bounded by connection (CONNECTION_PENDING_MAX). */
static bool set_options(const struct dealer *dealer, void *socket)
{
    int64_t message_max = LIMIT_FRAME_SIZE;
    return socket_set_int(socket, ZMQ_LINGER, 0) && socket_set_int(socket, ZMQ_SNDHWM, 0) &&
           socket_set_int(socket, ZMQ_RCVHWM, 0) &&
           socket_set_int(socket, ZMQ_IPV6, dealer->is_ipv6) &&
           socket_set_int(socket, ZMQ_RECONNECT_IVL, DEALER_RETRY_MS) &&
           socket_set_int(socket, ZMQ_RECONNECT_IVL_MAX, DEALER_RETRY_MS_MAX) &&
           socket_set_int(socket, ZMQ_CONNECT_TIMEOUT, DEALER_CONNECT_MS) &&
           socket_set_int(socket, ZMQ_HANDSHAKE_IVL, DEALER_HANDSHAKE_MS) &&
           socket_set_bytes(socket, ZMQ_MAXMSGSIZE, &message_max, sizeof message_max) &&
           set_routing_id(socket) && set_curve(dealer, socket);
}

static bool open_monitor(struct dealer *dealer)
{
    char name[64];
    snprintf(name, sizeof name, "inproc://dealer-monitor-%u", ++dealer->generation);
    dealer->monitor = zmq_socket(dealer->context, ZMQ_PAIR);
    return dealer->monitor != NULL && socket_set_int(dealer->monitor, ZMQ_LINGER, 0) &&
           zmq_socket_monitor(dealer->socket, name, MONITORED) == 0 &&
           zmq_connect(dealer->monitor, name) == 0;
}

int dealer_connect(struct dealer *dealer, struct error *err)
{
    ASSERT(dealer->socket == NULL);
    dealer->socket = zmq_socket(dealer->context, ZMQ_DEALER);
    if (dealer->socket != NULL && set_options(dealer, dealer->socket) && open_monitor(dealer) &&
        zmq_connect(dealer->socket, dealer->address) == 0)
        return 0;
    int rc =
        error_set(err, ERR_IO, "could not connect to %s: %s", dealer->address, zmq_strerror(errno));
    dealer_disconnect(dealer, 0);
    return rc;
}

void dealer_disconnect(struct dealer *dealer, int linger_ms)
{
    if (dealer->socket != NULL) {
        zmq_socket_monitor(dealer->socket, NULL, 0);
        socket_set_int(dealer->socket, ZMQ_LINGER, linger_ms);
        zmq_close(dealer->socket);
    }
    if (dealer->monitor != NULL)
        zmq_close(dealer->monitor);
    dealer->socket = NULL;
    dealer->monitor = NULL;
}

/* An event is two parts: its number and value (16 and 32 bits), and the address. False when there
 * is none. */
static bool receive_event(struct dealer *dealer, uint16_t *ret_event)
{
    uint8_t head[6];
    int size = zmq_recv(dealer->monitor, head, sizeof head, ZMQ_DONTWAIT);
    if (size < 0)
        return false;
    zmq_recv(dealer->monitor, NULL, 0, 0);
    memcpy(ret_event, head, sizeof *ret_event);
    return true;
}

enum dealer_event dealer_event_next(struct dealer *dealer)
{
    uint16_t event;
    while (receive_event(dealer, &event)) {
        switch (event) {
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
            return DEALER_CONNECTED;
        case ZMQ_EVENT_CONNECT_RETRIED:
            return DEALER_RETRYING;
        case ZMQ_EVENT_DISCONNECTED:
            return DEALER_CLOSED;
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
            return DEALER_REFUSED;
        default: /* the monitor's own end */
            break;
        }
    }
    return DEALER_NOTHING;
}

bool dealer_send(struct dealer *dealer, const void *data, size_t size)
{
    return zmq_send(dealer->socket, data, size, ZMQ_DONTWAIT) >= 0;
}
