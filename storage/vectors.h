/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vectors: collections of documents, their chunks of text and the chunks' vectors, with exact
 * nearest neighbours (docs/spec/06-storage.md, section "Vectors").
 *
 * A collection has one dimension, set by its first document, and one model name. A document is
 * replaced as a whole: its chunks are sent in any number of calls under one upload and become
 * visible, in place of the ones before, in one transaction at the commit. Chunks that have not
 * changed (same hash in the document) may come without vector: the stored one is kept.
 * Scores are cosines; vectors are normalised when they are stored. Texts are UTF-8 without NUL;
 * metadata comes back with its keys sorted.
 *
 * An upload's name stands for one replacement of one document. Storage remembers it for a week
 * after its last use: an upload that was never committed is dropped then.
 *
 * Threading: any thread, several at once.
 */
#ifndef ARGOSY_STORAGE_VECTORS_H
#define ARGOSY_STORAGE_VECTORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "storage/storage_client.h"

#define VECTOR_DIMENSION_MAX     4096
#define VECTOR_TEXT_SIZE_MAX     (64 * 1024)
#define VECTOR_METADATA_SIZE_MAX (8 * 1024) /* of a chunk, of a document */
#define VECTOR_FILTER_SIZE_MAX   (16 * 1024)
#define VECTOR_CHUNKS_MAX        (1u << 24) /* of a document */
#define VECTOR_NAME_MAX          255 /* bytes of a collection's, document's, upload's, model's name */
#define VECTOR_NEIGHBOURS_MAX    1000 /* k */
#define VECTOR_HASH_SIZE         32   /* SHA-256 of what the vector was made of */

struct vector_chunk {
    uint32_t ordinal;               /* place in the document, from 0; unique in it */
    uint8_t hash[VECTOR_HASH_SIZE]; /* of model and text */
    const char *text;               /* UTF-8 */
    size_t text_size;
    const char *metadata; /* a JSON object of strings, numbers and booleans, or NULL */
    const float *vector;  /* dimension values; NULL: the document has this hash */
};

/* The hashes of the document's chunks as they are now, unique, in arena; count 0 where there is no
 * such document or collection. */
int vectors_document_hashes(struct storage_client *client, const char *collection,
                            const char *document, struct arena *arena,
                            const uint8_t (**ret_hashes)[VECTOR_HASH_SIZE], size_t *ret_count,
                            struct error *err);

struct vector_upload_options {
    const char *collection;
    const char *document;
    const char *upload; /* names this replacement; the same name again resumes it */
    const char *model;  /* ERR_INVALID where the collection holds vectors of another */
    uint32_t dimension; /* ERR_INVALID where the collection has another */
};

/* Adds chunks to an upload; a chunk with an ordinal sent before replaces that one. ERR_NOT_FOUND: a
 * chunk without a vector whose hash the document does not have. ERR_INVALID: a vector that is zero
 * or not finite, a text that is not UTF-8. To an upload that is committed already, sending its own
 * chunks again is 0 and changes nothing, others are ERR_STATE. Any count; split by size here. */
int vectors_upload(struct storage_client *client, const struct vector_upload_options *options,
                   const struct vector_chunk *chunks, size_t count, struct error *err);

/* Makes the upload the document, in one transaction: ordinals must be 0 to chunk_count - 1, without
 * a hole, else ERR_STATE. A second commit of the same upload is 0 again. chunk_count 0 removes
 * the document. metadata: of the document, a JSON object of scalars which filters see too, or NULL.
 */
int vectors_commit(struct storage_client *client, const struct vector_upload_options *options,
                   uint32_t chunk_count, const char *metadata, struct error *err);

struct vector_query {
    const char *collection;
    const char *model; /* must be the collection's: ERR_INVALID */
    const float *vector;
    uint32_t dimension;
    uint32_t neighbour_count; /* k, 1 to VECTOR_NEIGHBOURS_MAX */
    /* A JSON object, or NULL: {"lang": "en", "year": {"gte": 2020}, "tag": {"in": ["a", "b"]}}: all
     * must hold, of the chunk's metadata or else the document's; "document_id" is the document.
     * Operators: eq, gt, gte, lt, lte, in; numbers compare as doubles, texts by their bytes. */
    const char *filter;
};

struct vector_neighbour {
    const char *document;
    uint32_t ordinal;
    double score; /* cosine */
    const char *text;
    const char *metadata; /* JSON: document's and chunk's together */
};

/* The nearest chunks, best first; equal scores by document and ordinal. In arena. ERR_NOT_FOUND: no
 * such collection (names the nearest), ERR_INVALID for a malformed filter, with its place. */
int vectors_search(struct storage_client *client, const struct vector_query *query,
                   struct arena *arena, const struct vector_neighbour **ret_neighbours,
                   size_t *ret_count, struct error *err);

struct vector_collection {
    const char *name;
    const char *model;
    uint32_t dimension;
    uint64_t document_count;
    uint64_t chunk_count;
    bool is_streamed; /* does not fit in storage.memory_mb: every search reads it from the disk */
};

/* All collections, by name; in arena. */
int vectors_collections(struct storage_client *client, struct arena *arena,
                        const struct vector_collection **ret_collections, size_t *ret_count,
                        struct error *err);

/* Removes a collection with all it holds: ERR_NOT_FOUND. */
int vectors_collection_delete(struct storage_client *client, const char *collection,
                              struct error *err);

#endif
