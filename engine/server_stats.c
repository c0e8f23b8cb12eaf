/* SPDX-License-Identifier: Apache-2.0 */
/* server_stats: see server_stats.h. */
#include "engine/server_stats.h"

#include <stdbool.h>

#include "common/time_unit.h"

#define BOUND_COUNT (SERVER_STATS_BUCKETS - 1)

/* A flush of an NVMe disk with power-loss protection takes some 50 us, of one without some 1 ms,
 * of a network volume some 5 to 10 ms; what is above a second is a disk in trouble. */
static const int64_t bounds_us[BOUND_COUNT] = {100,  250,   500,   1000,   2500,
                                               5000, 10000, 50000, 250000, 1000000};

void server_stats_request(struct server_stats *stats, enum method method)
{
    stats->requests[method]++;
}

void server_stats_commit_began(struct server_stats *stats, uint64_t now_ns)
{
    stats->commit_began_ns = now_ns;
}

void server_stats_commit_done(struct server_stats *stats, uint64_t now_ns)
{
    int64_t took_us = (int64_t)((now_ns - stats->commit_began_ns) / NS_PER_US);
    size_t bucket = 0;
    while (bucket < BOUND_COUNT && took_us > bounds_us[bucket])
        bucket++;
    stats->commits[bucket]++;
    stats->commit_sum_us += (uint64_t)took_us;
}

static int fill_requests(const struct server_stats *stats, Api__GetEngineStatsResponse *response,
                         struct arena *arena)
{
    response->requests = arena_calloc(arena, SERVER_STATS_METHODS, sizeof(void *));
    Api__MethodCount *rows = arena_calloc(arena, SERVER_STATS_METHODS, sizeof *rows);
    if (response->requests == NULL || rows == NULL)
        return ERR_LIMIT;
    for (int method = 0; method < SERVER_STATS_METHODS; method++) {
        const struct method_row *row = method_get(method);
        if (stats->requests[method] == 0 || row == NULL)
            continue;
        Api__MethodCount *count = &rows[response->n_requests];
        api__method_count__init(count);
        count->method = row->name;
        count->has_count = true;
        count->count = (int64_t)stats->requests[method];
        response->requests[response->n_requests++] = count;
    }
    return 0;
}

int server_stats_fill(const struct server_stats *stats, Api__GetEngineStatsResponse *response,
                      struct arena *arena, struct error *err)
{
    response->commit_bounds_us = arena_memdup(arena, bounds_us, sizeof bounds_us);
    response->commit_counts = arena_memdup(arena, stats->commits, sizeof stats->commits);
    if (response->commit_bounds_us == NULL || response->commit_counts == NULL ||
        fill_requests(stats, response, arena) != 0)
        return error_set(err, ERR_LIMIT, "the engine's figures do not fit");
    response->n_commit_bounds_us = BOUND_COUNT;
    response->n_commit_counts = SERVER_STATS_BUCKETS;
    response->has_commits_total = response->has_commit_sum_us = true;
    response->commit_sum_us = (int64_t)stats->commit_sum_us;
    for (size_t i = 0; i < SERVER_STATS_BUCKETS; i++)
        response->commits_total += (int64_t)stats->commits[i];
    return 0;
}
