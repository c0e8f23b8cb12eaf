/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeat: an activity's heartbeats, throttled (activity.h). */
#include "common/clock.h"
#include "common/hash.h"
#include "common/limits.h"
#include "sdk/activity.h"
#include "sdk/payload.h"

/* A heartbeat that is not answered by then is not worth waiting for: the next one follows. */
#define HEARTBEAT_TIMEOUT_MS 10000

static void on_answer(void *context, const struct connection_reply *reply)
{
    struct argosy_activity *activity = context;
    struct activity_host *host = activity->host;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    ProtobufCMessage *message;
    int code = connection_reply_decode(reply, &arena, &message, NULL);
    if (code == ERR_NOT_FOUND ||
        (code == 0 && ((Api__RecordActivityTaskHeartbeatResponse *)message)->cancel_requested))
        atomic_store(&activity->is_canceled, true);
    arena_fini(&arena);
    pthread_mutex_lock(&host->mutex);
    activity->is_sending = false;
    pthread_mutex_unlock(&host->mutex);
    activity_unref(activity);
}

void activity_send_heartbeat(struct argosy_activity *activity, uint64_t now_ns)
{
    struct activity_host *host = activity->host;
    if (activity->is_unsent)
        host->unsent_count--;
    activity->is_unsent = false;
    activity->next_heartbeat_ns = now_ns + activity->heartbeat_interval_ns;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    Api__RecordActivityTaskHeartbeatRequest message =
        API__RECORD_ACTIVITY_TASK_HEARTBEAT_REQUEST__INIT;
    message.has_task_token = 1;
    message.task_token = activity->token;
    if (activity->details.encoding != NULL)
        message.details = payload_message(&activity->details, &arena);
    message.identity = host->identity;
    message.namespace_ = host->name_space;
    const ProtobufCMessage *encoded = &message.base;
    struct error reason;
    if (payload_codec_encode(host->codecs, &message.base, &arena, &encoded, &reason) < 0) {
        activity_report(activity, "could not send the heartbeat details", &reason);
        message.details = NULL;
    }
    struct connection_request request = {
        .message = encoded,
        .method = METHOD_RECORD_ACTIVITY_TASK_HEARTBEAT,
        .timeout_ms = HEARTBEAT_TIMEOUT_MS,
        .on_reply = on_answer,
        .context = activity,
    };
    activity_ref(activity);
    activity->is_sending = true;
    if (connection_submit(host->connection, &request, NULL, NULL) < 0) {
        activity->is_sending = false;
        activity_unref(activity);
    }
    arena_fini(&arena);
}

/* Details over the limit, or that memory does not suffice for, leave the older ones in place. */
static void keep_details(struct argosy_activity *activity, const struct argosy_payload *details)
{
    if (details == NULL || details->encoding == NULL || details->size > LIMIT_PAYLOAD_SIZE)
        return;
    struct arena arena;
    struct argosy_payload copy;
    arena_init(&arena, ARENA_NO_LIMIT);
    if (!payload_copy(details, &arena, &copy)) {
        arena_fini(&arena);
        return;
    }
    arena_fini(&activity->details_arena);
    activity->details_arena = arena;
    activity->details = copy;
}

void argosy_activity_heartbeat(struct argosy_activity *activity,
                               const struct argosy_payload *details)
{
    struct activity_host *host = activity->host;
    uint64_t now_ns = clock_monotonic_ns();
    bool must_wake = false;
    pthread_mutex_lock(&host->mutex);
    if (activity->machine.state == ACTIVITY_RUNNING) {
        keep_details(activity, details);
        if (!activity->is_sending && now_ns >= activity->next_heartbeat_ns) {
            activity_send_heartbeat(activity, now_ns);
        } else if (!activity->is_unsent) {
            activity->is_unsent = true;
            host->unsent_count++;
            must_wake = true;
        }
    }
    pthread_mutex_unlock(&host->mutex);
    if (must_wake)
        host->on_wake(host->context);
}

uint64_t activity_host_turn(struct activity_host *host, uint64_t now_ns)
{
    uint64_t next_ns = UINT64_MAX;
    pthread_mutex_lock(&host->mutex);
    struct argosy_activity *activity;
    if (host->unsent_count > 0) {
        DL_FOREACH (host->held, activity) {
            if (!activity->is_unsent)
                continue;
            if (now_ns >= activity->next_heartbeat_ns && !activity->is_sending)
                activity_send_heartbeat(activity, now_ns);
            else if (activity->next_heartbeat_ns > now_ns && activity->next_heartbeat_ns < next_ns)
                next_ns = activity->next_heartbeat_ns;
        }
    }
    pthread_mutex_unlock(&host->mutex);
    return next_ns;
}
