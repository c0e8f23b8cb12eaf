/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outbox: see outbox.h. The three lists are plain growing arrays that keep their memory between
 * batches; what they point to lives in the arena.
 */
#include "engine/outbox.h"

#include <stdlib.h>

#include "common/assert.h"

/* A batch of 256 requests is the usual large one; lists start at a size that serves small ones. */
#define CAPACITY_MIN ((size_t)32)

/* Makes room for one more element. A core that runs out of memory aborts: it recovers from the log.
 */
static void *grow(void *items, size_t count, size_t *capacity, size_t item_size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity != 0 ? *capacity * 2 : CAPACITY_MIN;
    void *grown = reallocarray(items, *capacity, item_size);
    ASSERT(grown != NULL);
    return grown;
}

void outbox_init(struct outbox *outbox)
{
    *outbox = (struct outbox){0};
    arena_init(&outbox->arena, ARENA_NO_LIMIT);
}

void outbox_fini(struct outbox *outbox)
{
    arena_fini(&outbox->arena);
    free(outbox->writes);
    free(outbox->replies);
    free(outbox->kills);
    *outbox = (struct outbox){0};
}

void outbox_reset(struct outbox *outbox, uint64_t sequence)
{
    arena_reset(&outbox->arena);
    outbox->sequence = sequence;
    outbox->write_count = 0;
    outbox->reply_count = 0;
    outbox->kill_count = 0;
}

void outbox_write(struct outbox *outbox, const struct store_write *write)
{
    outbox->writes =
        grow(outbox->writes, outbox->write_count, &outbox->write_capacity, sizeof *outbox->writes);
    outbox->writes[outbox->write_count++] = *write;
}

void outbox_reply(struct outbox *outbox, const struct outbox_reply *reply)
{
    outbox->replies = grow(outbox->replies, outbox->reply_count, &outbox->reply_capacity,
                           sizeof *outbox->replies);
    outbox->replies[outbox->reply_count++] = *reply;
}

void outbox_kill(struct outbox *outbox, uint64_t session, const char *reason)
{
    outbox->kills =
        grow(outbox->kills, outbox->kill_count, &outbox->kill_capacity, sizeof *outbox->kills);
    const char *copy = arena_strdup(&outbox->arena, reason);
    ASSERT(copy != NULL);
    outbox->kills[outbox->kill_count++] = (struct outbox_kill){.session = session, .reason = copy};
}
