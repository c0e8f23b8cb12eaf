/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dealer: the DEALER socket of a connection and the monitor that tells what becomes of it. Part of
 * connection.
 *
 * Each dealer_connect makes a fresh socket with a new random routing id: what a lost connection
 * left in its queues is gone with it, and the server can tell the new connection from the old one.
 * Until the first handshake libzmq itself keeps trying, from DEALER_RETRY_MS up to
 * DEALER_RETRY_MS_MAX apart.
 *
 * Threading: as connection's owner.
 */
#ifndef ARGOSY_QUEUES_DEALER_H
#define ARGOSY_QUEUES_DEALER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "queues/curve_key.h"

/* A restarted engine is back in well under a second: workers should be, too. */
#define DEALER_RETRY_MS     20
#define DEALER_RETRY_MS_MAX 1000
/* A network that swallows what is sent: the system would ask again after 1, 2, 4 ... 32 s. With a
 * fresh attempt after so long it asks 1 s and 3 s after the first time, over and over. */
#define DEALER_CONNECT_MS 4000
/* From the connection to the session's keys; libzmq itself would wait for 30 s. */
#define DEALER_HANDSHAKE_MS 5000

struct dealer {
    char *address;
    bool is_ipv6;
    bool has_curve;
    char server_key[CURVE_KEY_TEXT_SIZE];
    struct curve_key client_key;
    void *context;
    void *socket; /* NULL between two connections */
    void *monitor;
    unsigned generation; /* names the monitor of each socket */
};

/* Checks the address and reads the keys (both files or none). ERR_CONFIG and the like, ERR_IO. */
int dealer_open(struct dealer *dealer, const char *address, const char *server_key_file,
                const char *client_key_file, struct error *err);
void dealer_close(struct dealer *dealer);

/* Begins to connect; the outcome is an event. There must be no socket. */
int dealer_connect(struct dealer *dealer, struct error *err);

/* Closes the socket; what is on its way out has linger_ms to leave. */
void dealer_disconnect(struct dealer *dealer, int linger_ms);

enum dealer_event {
    DEALER_NOTHING,
    DEALER_CONNECTED,
    DEALER_RETRYING, /* nobody is there yet */
    DEALER_CLOSED,   /* the connection is gone */
    DEALER_REFUSED,  /* the handshake failed: keys or protocol do not fit */
};

/* The next event; does not wait. */
enum dealer_event dealer_event_next(struct dealer *dealer);

/* Hands one frame to the socket; false when it takes none. Never waits. */
bool dealer_send(struct dealer *dealer, const void *data, size_t size);

#endif
