/* SPDX-License-Identifier: Apache-2.0 */
/* store_pending: see store_pending.h. */
#include "engine/store_pending.h"

#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

#define CAPACITY_MIN ((size_t)1024)

void store_pending_fini(struct store_pending *pending)
{
    free(pending->runs);
    free(pending->slots);
    *pending = (struct store_pending){0};
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    /* The terminator takes part, so that ("ab", "c") is not ("a", "bc"). */
    do {
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    } while (*text++ != '\0');
    return hash;
}

uint64_t store_id_hash(const char *namespace_name, const char *workflow_id)
{
    return hash_text(hash_text(UINT64_C(0xcbf29ce484222325), namespace_name), workflow_id);
}

static void fill_slot(struct store_pending *pending, size_t position)
{
    size_t mask = pending->slot_count - 1;
    size_t slot = pending->runs[position].hash & mask;
    while (pending->slots[slot] != 0)
        slot = (slot + 1) & mask;
    pending->slots[slot] = (uint32_t)position + 1;
}

static void fill_slots(struct store_pending *pending)
{
    memset(pending->slots, 0, pending->slot_count * sizeof *pending->slots);
    for (size_t i = 0; i < pending->count; i++)
        fill_slot(pending, i);
}

void store_pending_add(struct store_pending *pending, uint64_t hash, int64_t run_key)
{
    if (pending->count == pending->capacity) {
        pending->capacity = pending->capacity != 0 ? pending->capacity * 2 : CAPACITY_MIN;
        ASSERT(pending->capacity < UINT32_MAX);
        pending->runs = reallocarray(pending->runs, pending->capacity, sizeof *pending->runs);
        pending->slot_count = pending->capacity * 4;
        free(pending->slots);
        pending->slots = calloc(pending->slot_count, sizeof *pending->slots);
        ASSERT(pending->runs != NULL && pending->slots != NULL);
        fill_slots(pending);
    }
    pending->runs[pending->count] = (struct store_pending_run){.hash = hash, .run_key = run_key};
    fill_slot(pending, pending->count++);
}

void store_pending_remove(struct store_pending *pending, size_t count)
{
    ASSERT(count <= pending->count);
    if (count == 0)
        return;
    pending->count -= count;
    memmove(pending->runs, pending->runs + count, pending->count * sizeof *pending->runs);
    fill_slots(pending);
}

size_t store_pending_find(const struct store_pending *pending, uint64_t hash, int64_t *keys,
                          size_t limit)
{
    size_t found = 0;
    if (pending->count == 0)
        return 0;
    size_t mask = pending->slot_count - 1;
    for (size_t slot = hash & mask; pending->slots[slot] != 0; slot = (slot + 1) & mask) {
        const struct store_pending_run *run = &pending->runs[pending->slots[slot] - 1];
        if (run->hash != hash)
            continue;
        if (found < limit)
            keys[found] = run->run_key;
        found++;
    }
    return found;
}
