/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_cache: the artifacts that a node has fetched, one file each, named by digest, in
 * <data_dir>/cache/artifacts (docs/spec/06-storage.md, section "Cache").
 *
 * All processes of the node share the folder. A file appears whole (a draft, renamed) and is
 * read-only; its modification time is when it was last used. When the files' sizes pass the bound,
 * those used longest ago lose their names until a sixteenth of it is free; whoever has one open
 * goes on reading it. A process looks at the folder again when it has published a sixteenth, so
 * that many small files cost nothing each: with n processes the bound can be passed by n
 * sixteenths. Nothing is flushed: what a crash of the machine damages is found by the check and
 * fetched again. A process checks a file's content when it opens it for the first time.
 *
 * Threading: any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_ARTIFACT_CACHE_H
#define ARGOSY_STORAGE_ARTIFACT_CACHE_H

#include <limits.h>
#include <stdint.h>

#include "common/error.h"
#include "storage/digest.h"

struct artifact_cache;

/* Makes nothing yet: the folder is made with the first draft. ERR_MEMORY. */
int artifact_cache_create(const char *folder, uint64_t size_max, struct artifact_cache **ret_cache,
                          struct error *err);

/* NULL is fine. */
void artifact_cache_destroy(struct artifact_cache *cache);

/* Opens a cached artifact for reading at *ret_fd, which the caller owns, and sets its size.
 * ERR_NOT_FOUND without a text where there is none; a damaged one is removed and is none. ERR_IO,
 * ERR_MEMORY. */
int artifact_cache_find(struct artifact_cache *cache, const struct digest *digest, int *ret_fd,
                        uint64_t *ret_size, struct error *err);

/* A file in the making, for reading and writing. */
struct artifact_draft {
    int fd;
    char path[PATH_MAX];
};

/* ERR_IO, ERR_LIMIT where the disk is full. */
int artifact_cache_begin(struct artifact_cache *cache, struct artifact_draft *ret_draft,
                         struct error *err);

/* Gives a draft whose content the caller has checked its name, makes room, and leaves the caller
 * its fd. Somebody else may have been faster: all the same. ERR_IO, ERR_LIMIT: as
 * artifact_cache_abandon. */
int artifact_cache_publish(struct artifact_cache *cache, struct artifact_draft *draft,
                           const struct digest *digest, struct error *err);

/* Removes a draft and closes its fd. */
void artifact_cache_abandon(struct artifact_draft *draft);

#endif
