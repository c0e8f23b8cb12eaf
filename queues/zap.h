/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zap: answers libzmq's question, which CURVE keys may connect (ZAP,
 * https://rfc.zeromq.org/spec/27).
 *
 * The keys are looked up in their folder at every handshake: adding a file admits a client,
 * removing it refuses the client's next connection, at once and without a reload.
 *
 * Threading: the thread of the endpoint, which polls `socket` and calls zap_answer.
 */
#ifndef ARGOSY_QUEUES_ZAP_H
#define ARGOSY_QUEUES_ZAP_H

#include <stdint.h>

#include "common/error.h"

#define ZAP_DOMAIN "argosy"

struct zap {
    void *socket;
    char *keys_dir; /* owned */
    uint64_t keys_refused;
};

/* Serves the authentication of zmq_context; before any socket is bound. ERR_CONFIG when the folder
 * cannot be read, ERR_IO. */
int zap_open(struct zap *zap, void *zmq_context, const char *keys_dir, struct error *err);
void zap_close(struct zap *zap);

/* Answers all questions that wait; does not block. */
void zap_answer(struct zap *zap);

#endif
