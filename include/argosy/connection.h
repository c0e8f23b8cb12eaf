/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connection: how a client or a worker finds its engine. A zeroed struct means: the environment's
 * ARGOSY_ENDPOINT, else the engine of data_dir, else of ./.argosy.
 */
#ifndef ARGOSY_CONNECTION_H
#define ARGOSY_CONNECTION_H

struct argosy_codecs;

struct argosy_connection_options {
    /* "ipc:///path/engine.sock" or "tcp://host:port"; NULL: $ARGOSY_ENDPOINT, else data_dir. */
    const char *endpoint;
    /* Folder whose engine.sock is used when there is no endpoint; NULL: $ARGOSY_DATA_DIR, else
     * "./.argosy". */
    const char *data_dir;
    /* Namespace of all calls; NULL: "default". */
    const char *name_space;
    /* How histories name this process; NULL: "pid@host". */
    const char *identity;
    /* What a supervisor named this process start and its node; NULL: random, the host's name. */
    const char *instance_id;
    const char *node;
    /* CURVE key files for tcp: the engine's public key, and this program's own key pair. Both or
     * neither; NULL: $ARGOSY_SERVER_KEY_FILE, $ARGOSY_CLIENT_KEY_FILE, else none. */
    const char *server_key_file;
    const char *client_key_file;
    /* What payloads go through (codec.h); borrowed: it must outlive the client or worker. NULL:
     * nothing. */
    const struct argosy_codecs *codecs;
};

#endif
