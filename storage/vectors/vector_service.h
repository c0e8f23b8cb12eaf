/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_service: the storage process's side of storage/vectors.h: messages to calls of a
 * vector_store and back. Bytes of vectors are little-endian floats on the wire as in memory: the
 * processors we run on are.
 *
 * Threading: handlers run on any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_VECTOR_SERVICE_H
#define ARGOSY_STORAGE_VECTOR_SERVICE_H

#include "storage/server.h"
#include "storage/vectors/vector_store.h"

/* Its methods, for the server; store is borrowed for as long. */
struct storage_service vector_service_table(struct vector_store *store);

#endif
