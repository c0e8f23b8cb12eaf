/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_activity: the CPU steps of DocumentIngestWorkflow, in order. Each takes one JSON object
 * and gives one; REF is a reference to an artifact (artifact_reference.h).
 *
 *     load_and_chunk      the workflow's input (ingest_request.h)
 *       -> {"chunks": REF, "count", "bytes", "model", "dimension"}
 *         chunks: chunk_file.h; bytes: of the source; model: the one that was meant
 *
 *     select_new_chunks   {"document_id", "collection", "chunks": REF, "batch_size"}
 *       -> {"new", "unchanged", "texts": REF, "plan": REF, "batches": [{"offset", "count"} ...]}
 *         texts: the lines of chunks whose vectors the document does not have, each text once (new
 *         of them; no "texts" where new is 0); batches: where in it, batch_size texts each;
 *         unchanged: chunks whose vectors it has; plan: a little-endian int32 for each chunk, the
 *         number of its text, or -1 for a vector that the document has
 *
 *     index_chunks        {"document_id", "collection", "model", "dimension", "chunks": REF,
 *                          "plan": REF, "batch_size", "vectors": [REF ...]}
 *       -> {"chunks"}     uploads the chunks under the run's id; nothing is visible yet
 *
 *     commit_document     {"document_id", "collection", "model", "dimension", "chunks",
 *                          "metadata"}
 *       -> null           makes the upload the document, in one transaction
 *
 * All can be repeated: what they write is named by its content or by the run. Failures that are not
 * tried again have one of the types below. user_data is a struct shipped_context.
 *
 * Threading: any thread; several at once.
 */
#ifndef ARGOSY_WORKFLOWS_INGEST_ACTIVITY_H
#define ARGOSY_WORKFLOWS_INGEST_ACTIVITY_H

#include <argosy/activity.h>

#include "common/error.h"
#include "storage/artifact.h"

#define ACTIVITY_LOAD_AND_CHUNK    "load_and_chunk"
#define ACTIVITY_SELECT_NEW_CHUNKS "select_new_chunks"
#define ACTIVITY_INDEX_CHUNKS      "index_chunks"
#define ACTIVITY_COMMIT_DOCUMENT   "commit_document"

#define FAILURE_EMPTY_DOCUMENT       "EmptyDocument"       /* no text in it */
#define FAILURE_INVALID_DOCUMENT     "InvalidDocument"     /* damaged, or not what it says it is */
#define FAILURE_UNSUPPORTED_DOCUMENT "UnsupportedDocument" /* a type or encoding we cannot read */
#define FAILURE_INVALID_MODEL        "InvalidModel"        /* not on the node, or damaged */
#define FAILURE_ARTIFACT             "ArtifactUnusable"  /* gone from storage, or not as expected */
#define FAILURE_COLLECTION           "CollectionRefused" /* holds vectors of another model ... */

/* A document of more chunks is to be cut by its owner. DOCUMENT_SIZE_MAX of text in chunks of 254
 * tokens are about 1,100,000. */
#define INGEST_CHUNKS_MAX 4000000

/* Bytes of memory that a step takes beside its model's tokenizer, whatever the document's size:
 * a line of chunks as text, as JSON and as it is written (3 * CHUNK_LINE_SIZE_MAX = 1.5 MiB), an
 * upload with its message, twice over while it is encoded (3 * 1.2 MiB), two pieces of an artifact
 * on their way (2 MiB), pieces of 64 KiB between them. */
#define INGEST_STEP_MEMORY_MAX 8388608
/* And for each chunk: select_new_chunks numbers the hashes in a table that is a quarter to a half
 * full (32 bytes twice to thrice, 4 bytes up to four times), and has those of the document as it
 * was beside it (32 bytes). A document of 100 MB, some 100,000 chunks, takes 8 MiB and 15 MiB. */
#define INGEST_CHUNK_MEMORY_MAX 152

argosy_activity_function load_and_chunk;
argosy_activity_function select_new_chunks;
argosy_activity_function index_chunks;
argosy_activity_function commit_document;

#endif
