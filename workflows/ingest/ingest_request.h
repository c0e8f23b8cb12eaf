/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_request: the input of DocumentIngestWorkflow, checked.
 *
 *     {"document_id": "docs/guide.md", "collection": "docs",
 *      "source": {"artifact": "sha256:...", "size": 8153, "name": "guide.md", "type": "markdown"},
 *      "metadata": {"lang": "en"}, "model": "all-MiniLM-L6-v2",
 *      "chunk_tokens": 254, "chunk_overlap": 31}
 *
 * Needed: document_id, collection, source with artifact and size. name and type tell what the
 * source is (document_text.h); metadata is of the document, scalars by name, at most
 * VECTOR_METADATA_SIZE_MAX bytes; the names "document_id", "offset" and "section" are taken by its
 * chunks. The source is an artifact and not a path, so that every node can load it, and so that
 * whoever may start workflows cannot read the nodes' files.
 *
 * Threading: none; a request lives in the arena it was read into.
 */
#ifndef ARGOSY_WORKFLOWS_INGEST_REQUEST_H
#define ARGOSY_WORKFLOWS_INGEST_REQUEST_H

#include <argosy/payload.h>
#include <stdint.h>

#include "storage/artifact.h"

struct ingest_request {
    const char *document_id;
    const char *collection;
    struct artifact source;
    const char *name;      /* of the source; NULL: not said */
    const char *type;      /* NULL: by name and content */
    const char *metadata;  /* JSON object; NULL: none */
    const char *model;     /* NULL: the fleet's */
    int64_t chunk_tokens;  /* 0: as many as the model reads */
    int64_t chunk_overlap; /* -1: an eighth of chunk_tokens */
};

/* Fails with FAILURE_INVALID_INPUT (failure.h), naming the member. */
int ingest_request_read(const struct argosy_payload *input, struct argosy_arena *arena,
                        struct ingest_request *ret_request, struct argosy_error *err);

/* "sha256:" and 64 hexadecimal digits, NUL. */
#define INGEST_DIGEST_SIZE 72

/* The SHA-256 of the input's bytes: whoever started a run, or was told that one is open already,
 * sees by it whether that run did what was asked. */
void ingest_request_digest(const struct argosy_payload *input, char ret_digest[INGEST_DIGEST_SIZE]);

#endif
