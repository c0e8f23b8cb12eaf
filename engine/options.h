/* SPDX-License-Identifier: Apache-2.0 */
/*
 * options: how argosy-engine was asked to run: by a supervisor with the fleet's config file, or by
 * hand with options, which go over the file where both say something.
 *
 * Threading: the main thread.
 */
#ifndef ARGOSY_ENGINE_OPTIONS_H
#define ARGOSY_ENGINE_OPTIONS_H

#include <stdbool.h>

#include "common/error.h"
#include "common/fleet_config.h"
#include "engine/server.h"

/* Listening addresses on the command line. */
#define OPTIONS_LISTEN_MAX 16

struct options {
    bool help, version;
    int ready_fd; /* -1: not given */
    /* What the server is to be; strings belong to the options. */
    struct server_config server;
    enum log_level log_level;
    enum log_format log_format;

    /* owned */
    struct fleet_config *config;
    char *store_path;
    const char *config_path; /* NULL: none was named */
    struct core_queue_limit *queue_limits;
    const char *listen[OPTIONS_LISTEN_MAX];
};

/* Reads the command line and the config it names; makes the data folder where the store needs it.
 * ERR_INVALID for a wrong command line; ERR_NOT_FOUND, ERR_CONFIG, ERR_STORAGE. options_fini frees
 * what was read, after a failure too. */
int options_read(struct options *options, int argc, char **argv, struct error *err);
void options_fini(struct options *options);

/* The bounds of queues as a config says them, for the caller to free; names stay the config's.
 * ERR_MEMORY. */
int options_queue_limits(const struct fleet_config *config, struct core_queue_limit **ret_limits,
                         struct error *err);

extern const char options_help[];

#endif
