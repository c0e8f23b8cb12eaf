/* SPDX-License-Identifier: Apache-2.0 */
/*
 * digest_table: numbers digests (SHA-256) in the order in which they first come: which chunks of a
 * document are known, which are new, which are equal. 40 bytes a digest.
 *
 * Digests are their own hash: a table is filled with digests that were computed here, or come from
 * our own store, not with numbers of somebody's choice.
 *
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_WORKFLOWS_DIGEST_TABLE_H
#define ARGOSY_WORKFLOWS_DIGEST_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

#define DIGEST_SIZE 32

/* Zero-initialised is empty. */
struct digest_table {
    uint8_t (*digests)[DIGEST_SIZE]; /* by number; owned */
    uint32_t count;
    uint32_t *slots;   /* number + 1, 0 for free; owned */
    size_t slot_count; /* a power of two, at least twice count */
};

void digest_table_fini(struct digest_table *table);

/* The digest's number: the one it has, or the next one. ERR_MEMORY. */
int digest_table_add(struct digest_table *table, const uint8_t digest[DIGEST_SIZE],
                     uint32_t *ret_number, struct error *err);

#endif
