/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server: the shell around the deterministic core: sockets, the store, time.
 *
 *      endpoint_wait                                     commit thread
 *     ─────────────► requests ─► core ─► turn being filled ─submit─► turn being committed
 *                                  │                                      │ durable
 *                                  └─► early replies (workflow tasks)     └─► held replies leave
 *
 * All requests that are ready go through the core as one batch, into the turn being filled. While
 * the commit thread makes the turn before it durable (one transaction, one flush), the server goes
 * on with the next batch; so under load many batches share a commit. Replies leave when their
 * writes, and all before them, are durable, in order. A commit that fails ends the server: it is
 * started again and recovers from the store.
 *
 * While a single run is moving, a turn that has sent its workflow task is held back for a moment:
 * what the worker answers at once is then committed with what it was based on, in one flush.
 *
 * Threading: one thread for all calls but server_open's return; a commit thread and the store's
 * upkeep thread inside.
 */
#ifndef ARGOSY_ENGINE_SERVER_H
#define ARGOSY_ENGINE_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "engine/core.h"
#include "queues/endpoint.h"

struct server;

struct server_config {
    struct endpoint_config endpoint;
    const char *store_path; /* NULL: a memory store */
    int64_t reclaim_us;     /* after a restart sessions may claim their tasks for this long */
    int64_t commit_hold_us; /* a commit waits this long for a workflow task's answer; 0: never */
    const struct core_queue_limit *queue_limits;
    size_t queue_limit_count;
    bool skips_time; /* time jumps over what is only waiting (core_skip_utc_us): for tests */
    int stop_fd;     /* server_run returns when it is readable */
    /* Called when reload_fd is readable, and takes that. NULL: reload_fd is not looked at; nor is
     * it when it is -1. */
    void (*on_reload)(void *context, struct server *server);
    int reload_fd;
    /* Called after each turn of the loop, which then turns at least every CHILD_IDLE_TURN_MS. May
     * be NULL. */
    void (*on_turn)(void *context);
    void *context;
};

/* Opens the store, recovers every open run, binds the addresses. Everything in config is borrowed
 * for the call. ERR_STORAGE, ERR_CORRUPT, ERR_UNSUPPORTED (a newer store), and endpoint_open's. */
int server_open(const struct server_config *config, struct server **ret_server, struct error *err);

/* Accepts NULL. */
void server_close(struct server *server);

/* Serves until stop_fd is readable; then what was taken is committed and answered, and 0 returned.
 * ERR_STORAGE or ERR_CORRUPT: the store failed; nothing that was not durable was told to anyone. */
int server_run(struct server *server, struct error *err);

/* The configuration's bounds of queues are these now. From on_reload alone. */
void server_reconfigure_queues(struct server *server, const struct core_queue_limit *limits,
                               size_t count);

/* The address that was bound, as clients connect to it. Borrowed. */
const char *server_address(const struct server *server, size_t index);

/* Runs that were open when the server started. */
size_t server_recovered_runs(const struct server *server);

#endif
