/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service_manager: what systemd, or whoever speaks its protocol, gives the supervisor and is told
 * by it (docs/spec/04-supervision.md, section "Service manager").
 *
 *   - NOTIFY_SOCKET: READY=1, RELOADING=1, STOPPING=1, STATUS= and, for the watchdog, WATCHDOG=1
 *     go there, each at once or not at all: nothing here waits.
 *   - LISTEN_FDS: listening sockets by name: "http" is the node's HTTP, "engine" (up to
 *     SERVICE_ENGINE_SOCKETS_MAX of them) are addresses of the engine. They stay open while an
 *     engine or a link is replaced, so that who connects meanwhile waits instead of failing.
 *
 * The variables are taken out of the environment: children inherit neither them nor the sockets.
 * Threading: the supervisor's loop. Time is handed in.
 */
#ifndef ARGOSY_SUPERVISOR_SERVICE_MANAGER_H
#define ARGOSY_SUPERVISOR_SERVICE_MANAGER_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/error.h"

#define SERVICE_ENGINE_SOCKETS_MAX 4
#define SERVICE_VARIABLE_COUNT     6
#define SERVICE_STATUS_MAX         128

struct service_manager {
    /* sockets that it gave; owned */
    int http_fd; /* -1: none */
    int engine_fds[SERVICE_ENGINE_SOCKETS_MAX];
    size_t engine_fd_count;

    /* what it is told by */
    int fd; /* -1: nobody listens */
    struct sockaddr_un address;
    socklen_t address_size;
    uint64_t interval_ns; /* of the watchdog's pings; 0: none are wanted */
    uint64_t pinged_ns;
    char status[SERVICE_STATUS_MAX]; /* as last told */

    char *variables[SERVICE_VARIABLE_COUNT]; /* as found; owned */
};

/* Takes over what the environment says; without any of it, every call here does nothing.
 * ERR_CONFIG for a socket whose name means nothing to us, or that is none to accept from. */
int service_manager_open(struct service_manager *manager, struct error *err);

/* Puts the environment back as it was found, with the sockets to be inherited: for the program that
 * replaces this one in place. ERR_MEMORY. */
int service_manager_hand_on(const struct service_manager *manager, struct error *err);

/* Undoes that: the other program did not start. */
void service_manager_take_back(const struct service_manager *manager);

void service_manager_close(struct service_manager *manager);

/* The fleet runs; also ends what service_manager_reloading began. */
void service_manager_ready(struct service_manager *manager);

/* The configuration is being read again. */
void service_manager_reloading(struct service_manager *manager, uint64_t now_ns);

void service_manager_stopping(struct service_manager *manager);

/* One line for whoever asks how it is; told when it has changed. */
void service_manager_status(struct service_manager *manager, const char *text);

/* The loop turned: pings the watchdog when that is due. Returns when to turn again at the latest,
 * UINT64_MAX without a watchdog. */
uint64_t service_manager_turn(struct service_manager *manager, uint64_t now_ns);

#endif
