/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_reading: whole contents are read and compared with their names, in shares of bounded
 * time. A content that takes longer is left in the middle, with what was made of it so far; the
 * next share of it goes on there. At most READINGS_LEFT_MAX are left at once: one more forgets the
 * one left longest ago, which then begins again.
 *
 * Threading: any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_ARTIFACT_READING_H
#define ARGOSY_STORAGE_ARTIFACT_READING_H

#include "storage/artifacts/artifact_store.h"

#define READINGS_LEFT_MAX 8

struct artifact_readings;

/* What a content that was read to its end turned out to be. */
struct artifact_verdict {
    bool is_good; /* its digest is its name */
    uint64_t size;
};

/* store is borrowed. ERR_MEMORY. */
int artifact_readings_create(struct artifact_store *store, struct artifact_readings **ret_readings,
                             struct error *err);

/* NULL is fine. */
void artifact_readings_destroy(struct artifact_readings *readings);

/* Reads until the end of the content: 1 and a verdict; or until end_ns (clock_monotonic_ns), one
 * part at least: 0. *bytes grows by what was read. ERR_NOT_FOUND, ERR_STORAGE: the store's;
 * ERR_MEMORY. */
int artifact_readings_go_on(struct artifact_readings *readings, const struct digest *digest,
                            uint64_t end_ns, uint64_t *bytes, struct artifact_verdict *ret_verdict,
                            struct error *err);

#endif
