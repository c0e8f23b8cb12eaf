/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage_session: one command's way to the storage process. Where it is says the config that the
 * command line points at, as with the engine (session.h). Threading: one thread.
 */
#ifndef ARGOSY_CLI_STORAGE_SESSION_H
#define ARGOSY_CLI_STORAGE_SESSION_H

#include "cli/command.h"
#include "storage/storage_client.h"

struct storage_session {
    struct fleet_config *config;
    struct storage_client *client;
};

/* Waits for a storage process that is just starting, STORAGE_WAIT_MS at most: ERR_UNAVAILABLE with
 * what to try. ERR_CONFIG where no config is found. storage_session_close frees. */
#define STORAGE_WAIT_MS 5000
int storage_session_open(const struct invocation *invocation, struct storage_session *ret_session,
                         struct error *err);

/* Accepts a zeroed struct. */
void storage_session_close(struct storage_session *session);

#endif
