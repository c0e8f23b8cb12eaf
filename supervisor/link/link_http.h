/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_http: the HTTP of a node: /livez, /startupz, /readyz, /metrics, /v1/scale and /v1/fleet
 * (docs/operations.md). It is read-only and has no authentication: who may ask is decided by the
 * address it listens at.
 *
 * Bounded: LINK_HTTP_CONNECTIONS at once, LINK_HTTP_IDLE_S without progress, GET and HEAD without a
 * body, nothing else. Requests for the engine's figures wait for them (link_stats.h) without
 * holding up others.
 *
 * Threading: the link's loop only. libmicrohttpd runs inside of it, without threads of its own.
 */
#ifndef ARGOSY_SUPERVISOR_LINK_HTTP_H
#define ARGOSY_SUPERVISOR_LINK_HTTP_H

#include <stdbool.h>

#include "common/error.h"
#include "supervisor/link/link_stats.h"
#include "supervisor/status_page.h"

#define LINK_HTTP_CONNECTIONS 64
#define LINK_HTTP_IDLE_S      10

struct link_http;

/* All borrowed, but the socket. */
struct link_http_config {
    int listen_fd;       /* taken over on success */
    const char *node;    /* its name */
    const char *address; /* where it listens, as text */
    struct status_reader *status;
    struct link_stats *stats;
    bool is_engine_here; /* its figures are this node's to tell */
    /* Why there is no session with the engine; NULL when there is one. */
    const char *(*engine_reason)(void *context);
    void *context;
};

/* ERR_IO. */
int link_http_open(const struct link_http_config *config, struct link_http **ret_http,
                   struct error *err);

/* Accepts NULL. */
void link_http_close(struct link_http *http);

/* Readable when link_http_turn has something to do. */
int link_http_fd(const struct link_http *http);

/* Does what there is to do; returns how long the loop may wait for the next turn, -1 for ever. */
int link_http_turn(struct link_http *http);

/* The engine's figures are known: answers who waits for them. */
void link_http_answer(struct link_http *http);

#endif
