/* SPDX-License-Identifier: Apache-2.0 */
/* link_stats: see link_stats.h. */
#include "supervisor/link/link_stats.h"

#include "api/codec.h"
#include "common/limits.h"

_Static_assert(LINK_STATS_FRESH_NS + LINK_STATS_TIMEOUT_MS * NS_PER_MS <= NS_PER_S,
               "figures are true within a second");

void link_stats_init(struct link_stats *stats, struct connection *connection,
                     void (*on_answer)(void *context), void *context)
{
    *stats =
        (struct link_stats){.connection = connection, .on_answer = on_answer, .context = context};
    arena_init(&stats->arena, LIMIT_DECODED_SIZE);
}

void link_stats_fini(struct link_stats *stats)
{
    arena_fini(&stats->arena);
}

static void conclude(struct link_stats *stats, const ProtobufCMessage *message)
{
    stats->is_asked = false;
    stats->known_ns = clock_monotonic_ns();
    stats->response = NULL;
    if (message != NULL)
        stats->response = (Api__GetEngineStatsResponse *)(uintptr_t)message;
    stats->on_answer(stats->context);
}

static void take_reply(void *context, const struct connection_reply *reply)
{
    struct link_stats *stats = context;
    ProtobufCMessage *message = NULL;
    arena_reset(&stats->arena);
    /* The message has texts and numbers only: nothing of it lies in the reply. */
    if (connection_reply_decode(reply, &stats->arena, &message, NULL) != 0)
        message = NULL;
    conclude(stats, message);
}

bool link_stats_ask(struct link_stats *stats)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (stats->known_ns != 0 && now_ns < stats->known_ns + LINK_STATS_FRESH_NS)
        return true;
    if (stats->is_asked)
        return false;
    Api__GetEngineStatsRequest message = API__GET_ENGINE_STATS_REQUEST__INIT;
    struct connection_request request = {
        .message = &message.base,
        .method = METHOD_GET_ENGINE_STATS,
        .timeout_ms = LINK_STATS_TIMEOUT_MS,
        .on_reply = take_reply,
        .context = stats,
    };
    stats->is_asked = true;
    if (connection_submit(stats->connection, &request, NULL, NULL) == 0)
        return false;
    stats->is_asked = false;
    stats->known_ns = now_ns;
    stats->response = NULL;
    return true;
}
