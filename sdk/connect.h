/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect: what struct argosy_connection_options means: defaults, the environment, and the words
 * that queues/connection.h wants.
 */
#ifndef ARGOSY_SDK_CONNECT_H
#define ARGOSY_SDK_CONNECT_H

#include <argosy/connection.h>

#include "common/arena.h"
#include "common/error.h"
#include "queues/connection.h"

#define DEFAULT_NAMESPACE "default"

struct connect_options {
    const char *address;
    const char *name_space;
    const char *identity;
    const char *instance_id; /* NULL: the connection makes one */
    const char *node;        /* NULL: the host's name */
    const char *server_key_file;
    const char *client_key_file;
    const struct argosy_codecs *codecs; /* may be NULL */
};

/* Fills in what options leave out; strings live in arena. ERR_INVALID for half a pair of keys,
 * ERR_MEMORY. */
int connect_resolve(const struct argosy_connection_options *options, struct arena *arena,
                    struct connect_options *ret_options, struct error *err);

/* The part of a connection's config that options decide; the caller sets threads and callbacks. */
struct connection_config connect_config(const struct connect_options *options);

#endif
