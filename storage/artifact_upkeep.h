/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_upkeep: what people who run storage ask of it: which artifacts there are, whether they
 * are sound, and that what nobody owns goes (docs/spec/06-storage.md, sections "Verification" and
 * "Collection"). Putting and getting is artifact.h.
 *
 * Each function goes through all artifacts, call after call of about a second, and tells as it
 * goes. Errors are those of a call to storage (storage_client.h); a negative code of the caller's
 * function ends the walk and is its result. What functions are given is borrowed until they return.
 *
 * Threading: any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_ARTIFACT_UPKEEP_H
#define ARGOSY_STORAGE_ARTIFACT_UPKEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/artifact.h"

/* An artifact that storage has. */
struct artifact_entry {
    const char *id;
    uint64_t size;
    int64_t created_utc_us;
    int64_t unowned_utc_us;    /* since when nobody owns it; 0: somebody does, or was not asked */
    const char *const *owners; /* the first sixteen */
    size_t owner_count;
};

typedef int artifact_entry_fn(void *context, const struct artifact_entry *entry, struct error *err);

/* All artifacts, by id. */
int artifact_list(struct storage_client *client, artifact_entry_fn *fn, void *context,
                  struct error *err);

/* What a verification calls: on_damage for each damaged artifact, on_progress with what was read so
 * far, total 0; either may be NULL. */
struct artifact_verify_options {
    int (*on_damage)(void *context, const char *id, const char *reason, struct error *err);
    artifact_progress_fn *on_progress;
    void *context; /* of on_damage */
    void *progress_context;
};

/* Reads every content and compares it with its name; *ret_count were read. */
int artifact_verify(struct storage_client *client, const struct artifact_verify_options *options,
                    uint64_t *ret_count, struct error *err);

struct artifact_collection {
    uint64_t examined_count;
    uint64_t undecided_count; /* stay because the engine could not be asked about a workflow */
};

typedef int artifact_collected_fn(void *context, const struct artifact_entry *entry,
                                  const char *reason, struct error *err);

/* Removes what nobody has owned for storage.artifact_keep_hours; is_dry_run: says what would go. fn
 * is told of each. */
int artifact_collect(struct storage_client *client, bool is_dry_run, artifact_collected_fn *fn,
                     void *context, struct artifact_collection *ret_collection, struct error *err);

#endif
