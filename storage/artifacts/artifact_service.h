/* SPDX-License-Identifier: Apache-2.0 */
/*
 * artifact_service: the storage process's side of storage/artifact.h: contents (artifact_store.h)
 * and what is known of them (artifact_catalog.h), kept in step.
 *
 * A content that nobody knows of is one whose put was not acknowledged, or whose catalog was lost:
 * at the start it is entered without an owner. One that is known and not there is damage, which
 * verification names.
 *
 * Threading: handlers run on any thread; calls for the same digest wait for each other.
 */
#ifndef ARGOSY_STORAGE_ARTIFACT_SERVICE_H
#define ARGOSY_STORAGE_ARTIFACT_SERVICE_H

#include "api/messages.h"
#include "common/error.h"
#include "storage/artifacts/artifact_catalog.h"
#include "storage/artifacts/artifact_store.h"
#include "storage/catalog.h"
#include "storage/server.h"

/* Most bytes of content in one request or reply: a quarter of a message, a few milliseconds. */
#define ARTIFACT_PART_SIZE ((size_t)1024 * 1024)

struct artifact_service;

/* Enters what the store has and the catalog does not. Both are borrowed for the service's life.
 * ERR_STORAGE, ERR_CORRUPT, ERR_MEMORY. */
int artifact_service_open(struct artifact_store *store, struct catalog *catalog,
                          struct artifact_service **ret_service, struct error *err);

/* NULL is fine. */
void artifact_service_close(struct artifact_service *service);

/* Removes an artifact, knowledge and content, unless its owners changed since revision (see
 * artifact_catalog.h): *ret_removed. ERR_STORAGE. */
int artifact_service_remove(struct artifact_service *service, const struct digest *digest,
                            int64_t revision, bool *ret_removed, struct error *err);

/* An artifact as a message that borrows it, in arena; NULL when that is exhausted. */
Api__ArtifactInfo *artifact_service_info(const struct catalog_artifact *artifact,
                                         struct arena *arena);

/* Where a page begins: the digest after which it does, in *digest, or NULL for the start, which is
 * what an absent or empty text means. ERR_INVALID. */
int artifact_service_after(const char *text, struct digest *digest, const struct digest **ret_after,
                           struct error *err);

/* Its methods, for the server. */
struct storage_service artifact_service_table(struct artifact_service *service);

#endif
