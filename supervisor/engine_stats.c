/* SPDX-License-Identifier: Apache-2.0 */
/* engine_stats: see engine_stats.h. */
#include "supervisor/engine_stats.h"

#include "api/codec.h"
#include "common/limits.h"

void engine_stats_init(struct engine_stats *stats, struct connection *connection,
                       void (*on_answer)(void *context), void *context)
{
    *stats = (struct engine_stats){
        .connection = connection, .on_answer = on_answer, .context = context};
    arena_init(&stats->arena, LIMIT_DECODED_SIZE);
}

void engine_stats_fini(struct engine_stats *stats)
{
    arena_fini(&stats->arena);
}

static void conclude(struct engine_stats *stats, const ProtobufCMessage *message)
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
    struct engine_stats *stats = context;
    ProtobufCMessage *message = NULL;
    arena_reset(&stats->arena);
    /* The message has texts and numbers only: nothing of it lies in the reply. */
    if (connection_reply_decode(reply, &stats->arena, &message, NULL) != 0)
        message = NULL;
    conclude(stats, message);
}

bool engine_stats_ask(struct engine_stats *stats)
{
    uint64_t now_ns = clock_monotonic_ns();
    if (stats->known_ns != 0 && now_ns < stats->known_ns + ENGINE_STATS_FRESH_NS)
        return true;
    if (stats->is_asked)
        return false;
    Api__GetEngineStatsRequest message = API__GET_ENGINE_STATS_REQUEST__INIT;
    struct connection_request request = {
        .message = &message.base,
        .method = METHOD_GET_ENGINE_STATS,
        .timeout_ms = ENGINE_STATS_TIMEOUT_MS,
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
