/* SPDX-License-Identifier: Apache-2.0 */
/* digest_table: see digest_table.h. Open addressing, at most half full. */
#include "workflows/ingest/digest_table.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN ((size_t)1024)

void digest_table_fini(struct digest_table *table)
{
    free(table->digests);
    free(table->slots);
    *table = (struct digest_table){0};
}

/* The slot that holds the digest, or the free one where it belongs. */
static size_t slot_find(const struct digest_table *table, const uint8_t *digest)
{
    uint64_t hash;
    memcpy(&hash, digest, sizeof hash);
    size_t mask = table->slot_count - 1;
    size_t slot = (size_t)hash & mask;
    while (table->slots[slot] != 0 &&
           memcmp(table->digests[table->slots[slot] - 1], digest, DIGEST_SIZE) != 0)
        slot = (slot + 1) & mask;
    return slot;
}

static int table_grow(struct digest_table *table, struct error *err)
{
    size_t slot_count = table->slot_count == 0 ? SLOTS_MIN : table->slot_count * 2;
    void *digests = realloc(table->digests, slot_count / 2 * DIGEST_SIZE);
    if (digests != NULL)
        table->digests = digests;
    uint32_t *slots = digests != NULL ? calloc(slot_count, sizeof *slots) : NULL;
    if (slots == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    free(table->slots);
    table->slots = slots;
    table->slot_count = slot_count;
    for (uint32_t number = 0; number < table->count; number++)
        table->slots[slot_find(table, table->digests[number])] = number + 1;
    return 0;
}

int digest_table_add(struct digest_table *table, const uint8_t digest[DIGEST_SIZE],
                     uint32_t *ret_number, struct error *err)
{
    if (table->count >= table->slot_count / 2) {
        int code = table_grow(table, err);
        if (code != 0)
            return code;
    }
    size_t slot = slot_find(table, digest);
    if (table->slots[slot] == 0) {
        memcpy(table->digests[table->count], digest, DIGEST_SIZE);
        table->slots[slot] = ++table->count;
    }
    *ret_number = table->slots[slot] - 1;
    return 0;
}
