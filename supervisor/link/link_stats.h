/* SPDX-License-Identifier: Apache-2.0 */
/*
 * link_stats: the engine's figures (method GetEngineStats) as the link last got them. They are
 * asked for when somebody wants them and the last ones are older than LINK_STATS_FRESH_NS; an
 * idle link asks nothing. An engine that does not answer in time is not up, and has no figures: an
 * old number is never told as a new one.
 *
 * Threading: the link's loop only.
 */
#ifndef ARGOSY_SUPERVISOR_LINK_STATS_H
#define ARGOSY_SUPERVISOR_LINK_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "api/messages.h"
#include "common/arena.h"
#include "common/clock.h"
#include "queues/connection.h"

/* Together with the time a request may take: no answer is older than a second. */
#define LINK_STATS_FRESH_NS   (400 * NS_PER_MS)
#define LINK_STATS_TIMEOUT_MS 600

struct link_stats {
    struct connection *connection;    /* borrowed */
    void (*on_answer)(void *context); /* what was asked for is known */
    void *context;
    bool is_asked;
    uint64_t known_ns;                     /* when the answer came; 0: none yet */
    Api__GetEngineStatsResponse *response; /* NULL: the engine is not up */
    struct arena arena;
};

/* In place; is_asked requests must have ended (connection_close) before link_stats_fini. */
void link_stats_init(struct link_stats *stats, struct connection *connection,
                     void (*on_answer)(void *context), void *context);
void link_stats_fini(struct link_stats *stats);

/* True when the figures are fresh; else on_answer is called when they are known. */
bool link_stats_ask(struct link_stats *stats);

#endif
