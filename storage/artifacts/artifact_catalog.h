/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_catalog: which artifacts there are, who owns them, and since when nobody does
 * (docs/spec/06-storage.md, section "Owners").
 *
 * Each change of an artifact's owners counts its revision up: a collector that has asked around
 * removes it only if nobody came meanwhile.
 *
 * Errors: ERR_STORAGE, ERR_CORRUPT, ERR_MEMORY, ERR_LIMIT where the disk is full. Threading: any
 * thread.
 */
#ifndef ARGOSY_STORAGE_ARTIFACT_CATALOG_H
#define ARGOSY_STORAGE_ARTIFACT_CATALOG_H

#include "common/arena.h"
#include "storage/catalog.h"
#include "storage/digest.h"

/* Owners of one artifact; one more is refused with ERR_LIMIT. */
#define ARTIFACT_OWNERS_MAX 10000

struct catalog_artifact {
    struct digest digest;
    uint64_t size;
    int64_t created_utc_us;
    int64_t unowned_utc_us; /* 0: owned when last looked at, or never looked at */
    int64_t revision;
    const char **owners; /* those that were asked for */
    size_t owner_count;
};

/* Adds the artifact where it is not there, and owner unless NULL. */
int artifact_catalog_add(struct catalog *catalog, const struct digest *digest, uint64_t size,
                         const char *owner, struct error *err);

int artifact_catalog_has(struct catalog *catalog, const struct digest *digest, bool *ret_has,
                         struct error *err);

/* Adds an owner to one that is there: ERR_NOT_FOUND. */
int artifact_catalog_keep(struct catalog *catalog, const struct digest *digest, const char *owner,
                          struct error *err);

/* 0 also where there is no such owner or artifact. */
int artifact_catalog_release(struct catalog *catalog, const struct digest *digest,
                             const char *owner, struct error *err);

/* Up to count artifacts behind after (NULL: from the first), by digest, each with up to owners_max
 * of its owners, in arena. */
int artifact_catalog_list(struct catalog *catalog, const struct digest *after, size_t count,
                          size_t owners_max, struct arena *arena,
                          struct catalog_artifact **ret_artifacts, size_t *ret_count,
                          struct error *err);

/* Notes since when nobody owns it (0: somebody does), unless it was changed since revision. */
int artifact_catalog_set_unowned(struct catalog *catalog, const struct digest *digest,
                                 int64_t revision, int64_t unowned_utc_us, struct error *err);

/* Removes it, unless it was changed since revision: *ret_removed. */
int artifact_catalog_remove(struct catalog *catalog, const struct digest *digest, int64_t revision,
                            bool *ret_removed, struct error *err);

#endif
