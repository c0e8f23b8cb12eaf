/* SPDX-License-Identifier: Apache-2.0 */
/*
 * model_service: the storage process's side of storage/model_registry.h: checks what callers say
 * and keeps it in the catalog.
 *
 * Threading: handlers run on any thread.
 */
#ifndef ARGOSY_STORAGE_MODEL_SERVICE_H
#define ARGOSY_STORAGE_MODEL_SERVICE_H

#include "storage/catalog.h"
#include "storage/server.h"

/* Bounds of one model beside MODEL_FILES_MAX; what is over is ERR_INVALID. */
#define MODEL_METADATA_SIZE_MAX ((size_t)256 * 1024)
#define MODEL_TEXT_MAX          255 /* a kind, a file's name, a registration */

/* Its methods, for the server; the catalog is borrowed. */
struct storage_service model_service_table(struct catalog *catalog);

#endif
