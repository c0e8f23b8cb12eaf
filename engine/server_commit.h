/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_commit: the commit thread. It takes one batch of writes at a time, makes them durable and
 * says so on a descriptor, while the server's thread fills the next batch.
 *
 * Threading: all calls from the server's thread. The writes are borrowed until server_commit_done
 * has told of them.
 */
#ifndef ARGOSY_ENGINE_SERVER_COMMIT_H
#define ARGOSY_ENGINE_SERVER_COMMIT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "engine/store.h"

struct server_commit;

/* Starts the thread; the store is borrowed. ERR_IO, ERR_MEMORY. */
int server_commit_start(struct store *store, struct server_commit **ret_commit, struct error *err);

/* Finishes the batch under way and ends the thread. Accepts NULL. */
void server_commit_stop(struct server_commit *commit);

/* Hands over a batch; none may be under way. */
void server_commit_submit(struct server_commit *commit, const struct store_write *writes,
                          size_t count);

/* Whether the batch handed over is durable by now: 1, 0 if it is still under way, or what the store
 * failed with. With wait it never returns 0. */
int server_commit_done(struct server_commit *commit, bool wait, struct error *err);

/* Readable when server_commit_done has something to tell. */
int server_commit_fd(const struct server_commit *commit);

#endif
