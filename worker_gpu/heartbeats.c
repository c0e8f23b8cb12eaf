/* SPDX-License-Identifier: Apache-2.0 */
/* heartbeats: see heartbeats.h. */
#include "worker_gpu/heartbeats.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/assert.h"
#include "common/clock.h"
#include "common/hash.h"

/* How often a task hands its checkpoint to the SDK, which sends it on much more rarely: a
 * checkpoint of half a megabyte costs about a millisecond to write. */
#define HEARTBEAT_NS (500 * NS_PER_MS)

struct heartbeats {
    pthread_mutex_t mutex;
    struct heartbeat *list;
    struct buffer details; /* of the compute thread */
};

int heartbeats_create(struct heartbeats **ret_heartbeats, struct error *err)
{
    struct heartbeats *heartbeats = calloc(1, sizeof *heartbeats);
    if (heartbeats == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    pthread_mutex_init(&heartbeats->mutex, NULL);
    *ret_heartbeats = heartbeats;
    return 0;
}

void heartbeats_destroy(struct heartbeats *heartbeats)
{
    if (heartbeats == NULL)
        return;
    ASSERT(heartbeats->list == NULL);
    buffer_fini(&heartbeats->details);
    pthread_mutex_destroy(&heartbeats->mutex);
    free(heartbeats);
}

void heartbeats_add(struct heartbeats *heartbeats, struct heartbeat *heartbeat)
{
    heartbeat->sent_ns = clock_monotonic_ns();
    pthread_mutex_lock(&heartbeats->mutex);
    DL_APPEND(heartbeats->list, heartbeat);
    pthread_mutex_unlock(&heartbeats->mutex);
}

void heartbeats_remove(struct heartbeats *heartbeats, struct heartbeat *heartbeat)
{
    pthread_mutex_lock(&heartbeats->mutex);
    DL_DELETE(heartbeats->list, heartbeat);
    pthread_mutex_unlock(&heartbeats->mutex);
}

void heartbeat_send(struct heartbeat *heartbeat, struct buffer *details)
{
    if (!heartbeat->has_news) {
        argosy_activity_heartbeat(heartbeat->activity, NULL);
        return;
    }
    heartbeat->has_news = false;
    heartbeat->has_checkpoint = true;
    buffer_clear(details);
    heartbeat->write_details(heartbeat, details);
    if (details->failed) /* no memory for a checkpoint: the one before stays */
        return;
    struct argosy_payload payload = {
        .encoding = ARGOSY_ENCODING_JSON, .data = details->data, .size = details->size};
    argosy_activity_heartbeat(heartbeat->activity, &payload);
}

void heartbeats_turn(struct heartbeats *heartbeats)
{
    uint64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&heartbeats->mutex);
    struct heartbeat *heartbeat;
    DL_FOREACH (heartbeats->list, heartbeat) {
        bool is_first = heartbeat->has_news && !heartbeat->has_checkpoint;
        if (is_first || now_ns - heartbeat->sent_ns >= HEARTBEAT_NS) {
            heartbeat->sent_ns = now_ns;
            heartbeat_send(heartbeat, &heartbeats->details);
        }
    }
    pthread_mutex_unlock(&heartbeats->mutex);
}
