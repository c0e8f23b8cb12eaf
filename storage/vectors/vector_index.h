/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_index: the documents of one collection in memory, as segments, and the first pass of a
 * search over them on several cores.
 *
 * Threading: searches at the same time are fine; a change excludes everything else (the store holds
 * a lock).
 */
#ifndef ARGOSY_STORAGE_VECTOR_INDEX_H
#define ARGOSY_STORAGE_VECTOR_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "storage/vectors/vector_segment.h"

struct vector_index;

/* One document on its way into an index. */
struct vector_document;

/* ERR_MEMORY. */
int vector_index_create(uint32_t dimension, struct vector_index **ret_index, struct error *err);
/* NULL is fine. */
void vector_index_destroy(struct vector_index *index);

/* A document without chunks; chunk_count of them will be appended, the first has first_key.
 * metadata is canonical or NULL. The caller owns it until vector_index_put. */
int vector_document_create(const char *name, const char *metadata, uint32_t dimension,
                           int64_t first_key, uint32_t chunk_count,
                           struct vector_document **ret_document, struct error *err);
/* NULL is fine. */
void vector_document_destroy(struct vector_document *document);
int vector_document_append(struct vector_document *document, const float *vector,
                           const char *metadata, struct error *err);

/* Takes a complete document, in place of the one of its name. ERR_MEMORY: the index is as before
 * and the document still the caller's. */
int vector_index_put(struct vector_index *index, struct vector_document *document,
                     struct error *err);
/* Drops the document of that name, if it is there. */
void vector_index_remove(struct vector_index *index, const char *name);

/* Memory it takes. */
size_t vector_index_bytes(const struct vector_index *index);
/* About what a collection will take, metadata aside. */
size_t vector_index_estimate(uint32_t dimension, uint64_t document_count, uint64_t chunk_count);

/* Scans all segments on up to thread_count threads; adds what may be among the best to collector.
 * ERR_MEMORY. */
int vector_index_scan(const struct vector_index *index, const struct vector_scan *scan,
                      unsigned thread_count, struct vector_collector *collector, struct error *err);

#endif
