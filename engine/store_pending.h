/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_pending: committed runs that the index file does not know yet, by the hash of their id.
 *
 * An array in commit order (rising run keys) and an open-addressing table over it. Entries are
 * added one by one and removed from the front, a batch at a time, once the index file has them.
 * With linear probing entries of one hash are met in the order they were added.
 *
 * Threading: its user's lock.
 */
#ifndef ARGOSY_ENGINE_STORE_PENDING_H
#define ARGOSY_ENGINE_STORE_PENDING_H

#include <stddef.h>
#include <stdint.h>

struct store_pending_run {
    uint64_t hash;
    int64_t run_key;
};

struct store_pending {
    struct store_pending_run *runs;
    size_t count, capacity;
    uint32_t *slots;   /* position in runs, plus one; 0: empty */
    size_t slot_count; /* a power of two, more than 2 * count */
};

void store_pending_fini(struct store_pending *pending);

/* The hash by which (namespace, workflow id) is known in memory and in the index file: FNV-1a. It
 * never changes: files hold it. */
uint64_t store_id_hash(const char *namespace_name, const char *workflow_id);

void store_pending_add(struct store_pending *pending, uint64_t hash, int64_t run_key);

/* Forgets the count oldest entries. */
void store_pending_remove(struct store_pending *pending, size_t count);

/* The run keys with this hash, oldest first, at most limit of them written to keys; returns how
 * many there are. */
size_t store_pending_find(const struct store_pending *pending, uint64_t hash, int64_t *keys,
                          size_t limit);

#endif
