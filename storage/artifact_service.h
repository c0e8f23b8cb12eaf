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

#include "common/error.h"
#include "storage/artifact_store.h"
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

/* Its methods, for the server. */
struct storage_service artifact_service_table(struct artifact_service *service);

#endif
