/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_service: the addresses of a process that others connect to, the engine or storage: the part
 * of their config sections that is the same. For fleet_config.c.
 *
 * Threading: no state; what is made lives in the loader's arena.
 */
#ifndef ARGOSY_COMMON_FLEET_SERVICE_H
#define ARGOSY_COMMON_FLEET_SERVICE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/fleet_config.h"
#include "common/yaml_tree.h"

/* A section as fleet_service_finish sees it: what was bound, and where the rest goes. */
struct fleet_service {
    const char *section; /* "engine": the section, and the name of its socket's file */
    const char *noun;    /* "an engine" */
    const char *const **listen;
    size_t *listen_count;
    const char **address;
    const char *endpoint;
    bool insecure;
    bool has_server_keys; /* CURVE files of the listening side, of the connecting side */
    bool has_client_keys;
};

/* Fills in the default listener ("ipc": <data_dir>/<section>.sock), checks every address, and
 * chooses the one that this config's processes connect to: endpoint, else the first ipc listener,
 * else the first tcp one with a port; NULL where there is none. ERR_CONFIG with the key's place. */
int fleet_service_finish(const struct fleet_service *service, const char *data_dir,
                         const struct yaml_node *root, struct arena *arena, struct error *err);

/* How clients reach address; the key files count for tcp. ERR_CONFIG where address is NULL. */
int fleet_service_endpoint(const struct fleet_config *config, const char *section,
                           const char *address, const char *server_public_key_file,
                           const char *client_key_file, struct fleet_endpoint *ret_endpoint,
                           struct error *err);

/* The node of <section>.<key>, or the nearest one above it that exists, for error messages. */
const struct yaml_node *fleet_service_node(const struct yaml_node *root, const char *section,
                                           const char *key);

#endif
