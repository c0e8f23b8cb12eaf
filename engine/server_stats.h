/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_stats: what the shell counts: requests by method, and commits with how long they took.
 * Threading: the server's thread.
 */
#ifndef ARGOSY_ENGINE_SERVER_STATS_H
#define ARGOSY_ENGINE_SERVER_STATS_H

#include <stdint.h>

#include "api/messages.h"
#include "api/method.h"
#include "common/arena.h"
#include "common/error.h"

/* Above the highest method number. */
#define SERVER_STATS_METHODS 256
/* Bounds of the commits' times, and one more for what is above them. */
#define SERVER_STATS_BUCKETS 11

struct server_stats {
    uint64_t requests[SERVER_STATS_METHODS];
    uint64_t commits[SERVER_STATS_BUCKETS];
    uint64_t commit_sum_us;
    uint64_t commit_began_ns;
};

void server_stats_request(struct server_stats *stats, enum method method);

/* A commit was handed to the store; it is durable. */
void server_stats_commit_began(struct server_stats *stats, uint64_t now_ns);
void server_stats_commit_done(struct server_stats *stats, uint64_t now_ns);

/* Adds them to the core's answer; lists in arena. ERR_LIMIT when it is full. */
int server_stats_fill(const struct server_stats *stats, Api__GetEngineStatsResponse *response,
                      struct arena *arena, struct error *err);

#endif
