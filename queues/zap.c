/* SPDX-License-Identifier: Apache-2.0 */
/* zap: see zap.h. */
#include "queues/zap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "queues/curve_key.h"
#include "queues/socket.h"

#define ZAP_ADDRESS "inproc://zeromq.zap.01"
#define ZAP_VERSION "1.0"
#define KEY_BYTES   32

/* The parts of a question, in their order. */
enum part {
    PART_VERSION,
    PART_REQUEST_ID,
    PART_DOMAIN,
    PART_ADDRESS,
    PART_IDENTITY,
    PART_MECHANISM,
    PART_KEY,
    PART_COUNT,
};

int zap_open(struct zap *zap, void *zmq_context, const char *keys_dir, struct error *err)
{
    bool authorized;
    int rc = curve_key_is_authorized(keys_dir, "", &authorized, err);
    if (rc != 0)
        return rc;
    *zap = (struct zap){.socket = zmq_socket(zmq_context, ZMQ_REP), .keys_dir = strdup(keys_dir)};
    if (zap->socket != NULL && zap->keys_dir != NULL &&
        socket_set_int(zap->socket, ZMQ_LINGER, 0) && zmq_bind(zap->socket, ZAP_ADDRESS) == 0)
        return 0;
    rc = socket_fail(err, "could not serve authentication");
    zap_close(zap);
    return rc;
}

void zap_close(struct zap *zap)
{
    if (zap->socket != NULL)
        zmq_close(zap->socket);
    free(zap->keys_dir);
    *zap = (struct zap){0};
}

static bool part_is(zmq_msg_t *part, const char *text)
{
    size_t size = strlen(text);
    return zmq_msg_size(part) == size && memcmp(zmq_msg_data(part), text, size) == 0;
}

static bool may_connect(const struct zap *zap, zmq_msg_t parts[PART_COUNT])
{
    char key[CURVE_KEY_TEXT_SIZE];
    bool authorized;
    return part_is(&parts[PART_VERSION], ZAP_VERSION) && part_is(&parts[PART_DOMAIN], ZAP_DOMAIN) &&
           part_is(&parts[PART_MECHANISM], "CURVE") &&
           zmq_msg_size(&parts[PART_KEY]) == KEY_BYTES &&
           zmq_z85_encode(key, zmq_msg_data(&parts[PART_KEY]), KEY_BYTES) != NULL &&
           curve_key_is_authorized(zap->keys_dir, key, &authorized, NULL) == 0 && authorized;
}

/* Takes a whole question. False when there is none. Parts that a question should not have are
 * dropped, those it lacks are empty. */
static bool take_question(struct zap *zap, zmq_msg_t parts[PART_COUNT])
{
    for (int i = 0; i < PART_COUNT; i++)
        zmq_msg_init(&parts[i]);
    if (zmq_msg_recv(&parts[0], zap->socket, ZMQ_DONTWAIT) < 0)
        return false;
    bool more = zmq_msg_more(&parts[0]) != 0;
    zmq_msg_t extra;
    zmq_msg_init(&extra);
    for (int i = 1; more; i++) {
        zmq_msg_t *part = i < PART_COUNT ? &parts[i] : &extra;
        more = zmq_msg_recv(part, zap->socket, 0) >= 0 && zmq_msg_more(part) != 0;
    }
    zmq_msg_close(&extra);
    return true;
}

static void send_text(struct zap *zap, const char *text, int flags)
{
    zmq_send(zap->socket, text, strlen(text), flags);
}

void zap_answer(struct zap *zap)
{
    zmq_msg_t parts[PART_COUNT];
    while (take_question(zap, parts)) {
        bool admitted = may_connect(zap, parts);
        zap->keys_refused += !admitted;
        send_text(zap, ZAP_VERSION, ZMQ_SNDMORE);
        zmq_send(zap->socket, zmq_msg_data(&parts[PART_REQUEST_ID]),
                 zmq_msg_size(&parts[PART_REQUEST_ID]), ZMQ_SNDMORE);
        send_text(zap, admitted ? "200" : "400", ZMQ_SNDMORE);
        send_text(zap, admitted ? "ok" : "key is not authorized", ZMQ_SNDMORE);
        send_text(zap, "", ZMQ_SNDMORE); /* user id */
        send_text(zap, "", 0);           /* metadata */
        for (int i = 0; i < PART_COUNT; i++)
            zmq_msg_close(&parts[i]);
    }
    for (int i = 0; i < PART_COUNT; i++)
        zmq_msg_close(&parts[i]);
}
