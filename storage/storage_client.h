/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage_client: a process's way to the storage process (docs/spec/06-storage.md): one connection,
 * and a cache of artifacts that all processes of the node share.
 *
 * What can be asked: artifacts (storage/artifact.h), vectors (storage/vectors.h), registered models
 * (storage/model_registry.h). Calls wait for their answer, and for a storage process that is just
 * restarting, at most STORAGE_CALL_TIMEOUT_MS each: ERR_UNAVAILABLE or ERR_TIMEOUT, to be tried
 * again. Repeating a call that may have been carried out is safe: all of them are idempotent.
 *
 * Threading: any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_STORAGE_CLIENT_H
#define ARGOSY_STORAGE_STORAGE_CLIENT_H

#include <stdint.h>

#include "common/error.h"
#include "common/fleet_config.h"

#define STORAGE_CALL_TIMEOUT_MS 30000

struct storage_client;

/* Where storage is comes from config (section "storage"), which is borrowed for the client's life;
 * identity is "pid@host#group" or NULL. Connects with the first call: a config without storage is
 * fine until then, and ERR_CONFIG of that call. ERR_MEMORY. The caller owns *ret_client. */
int storage_client_open(const struct fleet_config *config, const char *identity,
                        struct storage_client **ret_client, struct error *err);

/* Waits until the storage process answers, at most timeout_ms: what a program does whose user
 * should not wait for each call's time. ERR_CONFIG; ERR_UNAVAILABLE or ERR_TIMEOUT with the reason.
 */
int storage_client_wait(struct storage_client *client, uint32_t timeout_ms, struct error *err);

/* No other thread may use the client any more. NULL is fine. */
void storage_client_close(struct storage_client *client);

#endif
