/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_index: the activities index_chunks and commit_document (ingest_activity.h). Chunks are
 * read as a stream, each with the vector that the plan gives it, and uploaded some at a time. The
 * upload is named by the run: what was sent before a worker died is not sent again.
 */
#include "workflows/ingest/ingest_activity.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/arena.h"
#include "workflows/artifact_reference.h"
#include "workflows/ingest/chunk_file.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/shipped.h"

_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "vectors are read as they are stored");

/* Chunks of one call: 384 KiB of vectors of 384 numbers, and as much text. */
#define UPLOAD_CHUNKS 256
/* Their texts, metadata and vectors: fewer chunks where they are large. */
#define UPLOAD_SIZE ((size_t)1024 * 1024)
/* With the last one, and what an arena wastes. */
#define UPLOAD_SIZE_MAX                                                                            \
    (2 * UPLOAD_SIZE + VECTOR_TEXT_SIZE_MAX + VECTOR_METADATA_SIZE_MAX + 4 * VECTOR_DIMENSION_MAX)

/* The artifacts of vectors, of which one is open. */
struct vector_files {
    struct storage_client *storage;
    const json_t *references; /* borrowed list */
    uint32_t batch_size;      /* vectors of each but the last */
    uint32_t dimension;
    size_t open; /* which */
    int fd;      /* -1: none */
};

struct indexing {
    struct argosy_activity *activity;
    struct storage_client *storage;
    struct vector_upload_options options;
    struct vector_files vectors;
    struct chunk_reader *reader;
    FILE *plan;

    struct arena arena; /* of the chunks below */
    struct vector_chunk chunks[UPLOAD_CHUNKS];
    size_t count;
    size_t size;   /* bytes of their texts, metadata and vectors */
    uint32_t sent; /* chunks that storage has */
};

/* ---- vectors ---- */

static void vector_files_close(struct vector_files *files)
{
    if (files->fd >= 0)
        close(files->fd);
    files->fd = -1;
}

static int vector_file_open(struct vector_files *files, size_t index, struct error *err)
{
    if (files->fd >= 0 && files->open == index)
        return 0;
    vector_files_close(files);
    struct artifact artifact;
    int code = artifact_reference_read(json_array_get(files->references, index), &artifact, err);
    if (code != 0)
        return error_prefix(err, "vectors %zu", index);
    uint64_t size;
    files->open = index;
    return artifact_open(files->storage, artifact.id, NULL, NULL, &files->fd, &size, err);
}

/* Vector number `number` into ret_vector. */
static int vector_read(struct vector_files *files, uint32_t number, float *ret_vector,
                       struct error *err)
{
    int code = vector_file_open(files, number / files->batch_size, err);
    if (code != 0)
        return code;
    size_t size = files->dimension * sizeof(float);
    ssize_t count =
        pread(files->fd, ret_vector, size, (off_t)((number % files->batch_size) * (uint64_t)size));
    if (count < 0)
        return error_set_errno(err, ERR_IO, errno, "could not read the vectors");
    if ((size_t)count != size)
        return error_set(err, ERR_INVALID, "vector %u is missing: an artifact has too few", number);
    return 0;
}

/* ---- chunks ---- */

static int chunks_send(struct indexing *indexing, struct error *err)
{
    if (indexing->count == 0)
        return 0;
    int code = vectors_upload(indexing->storage, &indexing->options, indexing->chunks,
                              indexing->count, err);
    if (code != 0)
        return code;
    indexing->sent = indexing->chunks[indexing->count - 1].ordinal + 1;
    indexing->count = 0;
    indexing->size = 0;
    arena_reset(&indexing->arena);
    return 0;
}

static int chunk_add(struct indexing *indexing, const struct chunk_line *line, int32_t place,
                     struct error *err)
{
    struct vector_chunk *chunk = &indexing->chunks[indexing->count];
    struct arena *arena = &indexing->arena;
    size_t vector_size = place < 0 ? 0 : indexing->options.dimension * sizeof(float);
    float *vector = place < 0 ? NULL : arena_alloc(arena, vector_size);
    *chunk = (struct vector_chunk){
        .ordinal = line->ordinal,
        .text = arena_strndup(arena, line->text, line->text_size),
        .text_size = line->text_size,
        .metadata = arena_strdup(arena, line->metadata),
        .vector = vector,
    };
    memcpy(chunk->hash, line->hash, sizeof chunk->hash);
    if (chunk->text == NULL || chunk->metadata == NULL || (place >= 0 && vector == NULL))
        return error_set(err, ERR_MEMORY, "out of memory");
    indexing->count++;
    indexing->size += line->text_size + strlen(line->metadata) + vector_size;
    return place < 0 ? 0 : vector_read(&indexing->vectors, (uint32_t)place, vector, err);
}

/* {"sent": chunks, "attempt": n}: where the same attempt, lost with its worker, goes on. */
static void indexing_beat(struct indexing *indexing)
{
    struct argosy_payload details;
    if (argosy_payload_pack(argosy_activity_arena(indexing->activity), &details, NULL, "{s:I, s:i}",
                            "sent", (json_int_t)indexing->sent, "attempt",
                            (int)argosy_activity_info(indexing->activity)->attempt) == 0)
        argosy_activity_heartbeat(indexing->activity, &details);
}

/* A failed attempt may have failed because storage lost what was sent: the next one begins anew. */
static uint32_t indexing_resume(const struct indexing *indexing)
{
    const struct argosy_payload *details = argosy_activity_last_heartbeat(indexing->activity);
    if (argosy_payload_is_null(details))
        return 0;
    json_t *value = json_loadb(details->data, details->size, 0, NULL);
    json_int_t sent = 0;
    int attempt = 0;
    bool is_ours = json_unpack(value, "{s:I, s:i}", "sent", &sent, "attempt", &attempt) == 0 &&
                   attempt == argosy_activity_info(indexing->activity)->attempt && sent >= 0 &&
                   sent <= INGEST_CHUNKS_MAX;
    json_decref(value);
    return is_ours ? (uint32_t)sent : 0;
}

static int line_index(struct indexing *indexing, const struct chunk_line *line, struct error *err)
{
    uint32_t stored;
    if (fread(&stored, sizeof stored, 1, indexing->plan) != 1)
        return error_set(err, ERR_INVALID, "the plan says nothing of chunk %u", line->ordinal);
    if (line->ordinal < indexing->sent)
        return 0;
    int code = chunk_add(indexing, line, (int32_t)le32toh(stored), err);
    if (code != 0 || (indexing->count < UPLOAD_CHUNKS && indexing->size < UPLOAD_SIZE))
        return code;
    code = chunks_send(indexing, err);
    if (code == 0)
        indexing_beat(indexing);
    return code;
}

/* ERR_CANCELED, and ERR_CLOSED when draining, which hands the rest to another worker. */
static int chunks_index(struct indexing *indexing, uint32_t *ret_count, struct error *err)
{
    struct chunk_line line;
    for (;;) {
        int code = chunk_reader_next(indexing->reader, &line, err);
        if (code != 0)
            return code;
        if (line.text == NULL)
            break;
        code = line_index(indexing, &line, err);
        if (code != 0)
            return code;
        if (argosy_activity_is_canceled(indexing->activity))
            return error_set(err, ERR_CANCELED, "canceled");
        if (argosy_activity_is_draining(indexing->activity))
            return error_set(err, ERR_CLOSED, "the worker is shutting down");
    }
    *ret_count = line.ordinal;
    return chunks_send(indexing, err);
}

/* ---- activities ---- */

/* What both activities say of the upload; strings are borrowed from input. */
static int options_read(const json_t *input, const struct argosy_activity *activity,
                        struct vector_upload_options *ret_options, struct error *err)
{
    const char *collection, *document, *model;
    int dimension;
    if (json_unpack((json_t *)input, "{s:s, s:s, s:s, s:i}", "collection", &collection,
                    "document_id", &document, "model", &model, "dimension", &dimension) != 0 ||
        dimension < 1 || dimension > VECTOR_DIMENSION_MAX)
        return error_set(
            err, ERR_INVALID,
            "\"collection\", \"document_id\", \"model\" or \"dimension\" is missing or wrong");
    *ret_options = (struct vector_upload_options){
        .collection = collection,
        .document = document,
        .upload = argosy_activity_info(activity)->run_id,
        .model = model,
        .dimension = (uint32_t)dimension,
    };
    return 0;
}

static int file_open(struct storage_client *storage, const json_t *reference, int *ret_fd,
                     struct error *err)
{
    struct artifact artifact;
    uint64_t size;
    int code = artifact_reference_read(reference, &artifact, err);
    return code == 0 ? artifact_open(storage, artifact.id, NULL, NULL, ret_fd, &size, err) : code;
}

static int files_open(struct indexing *indexing, const json_t *input, struct error *err)
{
    int fd;
    int batch_size;
    json_t *vectors;
    if (json_unpack((json_t *)input, "{s:i, s:o}", "batch_size", &batch_size, "vectors",
                    &vectors) != 0 ||
        batch_size < 1 || !json_is_array(vectors))
        return error_set(err, ERR_INVALID, "\"batch_size\" or \"vectors\" is missing or wrong");
    indexing->vectors = (struct vector_files){
        .storage = indexing->storage,
        .references = vectors,
        .batch_size = (uint32_t)batch_size,
        .dimension = indexing->options.dimension,
        .fd = -1,
    };
    int code = file_open(indexing->storage, json_object_get(input, "chunks"), &fd, err);
    if (code == 0)
        code = chunk_reader_open(fd, &indexing->reader, err);
    if (code == 0)
        code = file_open(indexing->storage, json_object_get(input, "plan"), &fd, err);
    if (code != 0)
        return code;
    indexing->plan = fdopen(fd, "r");
    if (indexing->plan == NULL) {
        close(fd);
        return error_set(err, ERR_MEMORY, "out of memory");
    }
    return 0;
}

static int indexing_run(struct indexing *indexing, const json_t *input, uint32_t *ret_count,
                        struct error *err)
{
    int code = options_read(input, indexing->activity, &indexing->options, err);
    if (code == 0)
        code = files_open(indexing, input, err);
    if (code != 0)
        return code;
    indexing->sent = indexing_resume(indexing);
    return chunks_index(indexing, ret_count, err);
}

int index_chunks(struct argosy_activity *activity, void *user_data,
                 struct argosy_payload *ret_result, struct argosy_error *err)
{
    const struct shipped_context *context = user_data;
    struct argosy_arena *arena = argosy_activity_arena(activity);
    json_t *input;
    int code = json_payload_read_object(argosy_activity_input(activity), arena, &input, err);
    if (code != 0)
        return code;
    struct indexing *indexing = calloc(1, sizeof *indexing);
    struct error why = {0};
    uint32_t count = 0;
    if (indexing == NULL) {
        json_decref(input);
        return argosy_error_set(err, ARGOSY_ERR_MEMORY, "out of memory");
    }
    indexing->activity = activity;
    indexing->storage = context->storage;
    indexing->vectors.fd = -1;
    arena_init(&indexing->arena, UPLOAD_SIZE_MAX);
    code = indexing_run(indexing, input, &count, &why);
    if (code == 0)
        code = json_payload_make(json_pack("{s:I}", "chunks", (json_int_t)count), arena, ret_result,
                                 err);
    else if (code == ERR_CLOSED && argosy_activity_is_draining(activity))
        code = ARGOSY_ACTIVITY_RELEASED;
    else
        code = failure_from(arena, FAILURE_COLLECTION, &why, err);
    if (indexing->plan != NULL)
        fclose(indexing->plan);
    chunk_reader_close(indexing->reader);
    vector_files_close(&indexing->vectors);
    arena_fini(&indexing->arena);
    free(indexing);
    json_decref(input);
    return code;
}

static int commit_run(struct storage_client *storage, const json_t *input,
                      const struct argosy_activity *activity, struct error *err)
{
    struct vector_upload_options options;
    int code = options_read(input, activity, &options, err);
    if (code != 0)
        return code;
    json_int_t count = json_integer_value(json_object_get(input, "chunks"));
    if (count < 1 || count > INGEST_CHUNKS_MAX)
        return error_set(err, ERR_INVALID, "\"chunks\" is missing or wrong");
    const json_t *metadata = json_object_get(input, "metadata");
    char *text = json_is_object(metadata) ? json_dumps(metadata, JSON_COMPACT) : NULL;
    code = vectors_commit(storage, &options, (uint32_t)count, text, err);
    free(text);
    return code;
}

int commit_document(struct argosy_activity *activity, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    const struct shipped_context *context = user_data;
    struct argosy_arena *arena = argosy_activity_arena(activity);
    json_t *input;
    int code = json_payload_read_object(argosy_activity_input(activity), arena, &input, err);
    if (code != 0)
        return code;
    struct error why = {0};
    code = commit_run(context->storage, input, activity, &why) == 0
               ? 0
               : failure_from(arena, FAILURE_COLLECTION, &why, err);
    json_decref(input);
    *ret_result = argosy_payload_null();
    return code;
}
