/* SPDX-License-Identifier: Apache-2.0 */
/* vector_service: see vector_service.h. */
#include "storage/vectors/vector_service.h"

#include <string.h>

#include "api/messages.h"
#include "common/limits.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "vectors are sent as they lie");

/* Entries of a page: a page of hashes has 1 MiB, one of collections of the longest names 0.6. */
#define HASHES_MAX      32768
#define COLLECTIONS_MAX 1000

/* Texts and metadata of a reply: what a message holds beside VECTOR_NEIGHBOURS_MAX neighbours
 * without them, each at most 300 bytes. */
#define CONTENT_SIZE (3 * LIMIT_MIB)

_Static_assert(VECTOR_NEIGHBOURS_MAX *(VECTOR_NAME_MAX + 45) + CONTENT_SIZE < LIMIT_MESSAGE_SIZE,
               "a reply is a message");
_Static_assert(VECTOR_TEXT_SIZE_MAX + 2 * VECTOR_METADATA_SIZE_MAX < CONTENT_SIZE,
               "a page of contents holds one");

static int fail_memory(struct error *err)
{
    return error_set(err, ERR_LIMIT, "the reply does not fit");
}

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* What the message's vector is; NULL where it is absent. Bytes may lie anywhere in the message, so
 * they are copied to where floats may be. */
static int read_vector(const ProtobufCBinaryData *bytes, uint32_t dimension, struct arena *arena,
                       const float **ret_vector, struct error *err)
{
    if (dimension == 0 || dimension > VECTOR_DIMENSION_MAX ||
        bytes->len != dimension * sizeof(float))
        return error_set(err, ERR_INVALID, "the vector has %zu bytes, not 4 for each of %u values",
                         bytes->len, dimension);
    const float *vector = arena_memdup(arena, bytes->data, bytes->len);
    if (vector == NULL)
        return error_set(err, ERR_LIMIT, "too many vectors in a message");
    *ret_vector = vector;
    return 0;
}

static int read_upload(const Api__VectorUpload *upload, struct vector_upload_options *ret_options,
                       struct error *err)
{
    if (upload == NULL)
        return error_set(err, ERR_INVALID, "the upload is missing");
    *ret_options = (struct vector_upload_options){.collection = upload->collection,
                                                  .document = upload->document,
                                                  .upload = upload->upload,
                                                  .model = upload->model,
                                                  .dimension = upload->dimension};
    return 0;
}

/* ---- documents ---- */

static int handle_hashes(void *context, const struct storage_request *request,
                         ProtobufCMessage **ret_response, struct error *err)
{
    const Api__ListVectorHashesRequest *message =
        (const Api__ListVectorHashesRequest *)request->message;
    if (message->has_after && message->after.len != VECTOR_HASH_SIZE)
        return error_set(err, ERR_INVALID, "a hash has %d bytes, not %zu", VECTOR_HASH_SIZE,
                         message->after.len);
    size_t limit = message->page_size;
    if (limit == 0 || limit > HASHES_MAX)
        limit = HASHES_MAX;
    const uint8_t(*hashes)[VECTOR_HASH_SIZE];
    size_t count;
    Api__ListVectorHashesResponse *response = arena_alloc(request->arena, sizeof *response);
    if (response == NULL)
        return fail_memory(err);
    int code = vector_store_hashes(context, message->collection, message->document,
                                   message->has_after ? message->after.data : NULL, limit,
                                   request->arena, &hashes, &count, err);
    if (code != 0)
        return code;
    api__list_vector_hashes_response__init(response);
    response->has_hashes = true;
    response->hashes =
        (ProtobufCBinaryData){.data = (uint8_t *)hashes, .len = count * VECTOR_HASH_SIZE};
    *ret_response = &response->base;
    return 0;
}

static int read_chunk(const Api__VectorChunk *chunk, uint32_t dimension, struct arena *arena,
                      struct vector_chunk *ret_chunk, struct error *err)
{
    const char *text = text_or_empty(chunk->text);
    if (!chunk->has_hash || chunk->hash.len != VECTOR_HASH_SIZE)
        return error_set(err, ERR_INVALID, "chunk %u: its hash has not %d bytes", chunk->ordinal,
                         VECTOR_HASH_SIZE);
    *ret_chunk = (struct vector_chunk){.ordinal = chunk->ordinal,
                                       .text = text,
                                       .text_size = strlen(text),
                                       .metadata = chunk->metadata};
    memcpy(ret_chunk->hash, chunk->hash.data, VECTOR_HASH_SIZE);
    if (!chunk->has_vector)
        return 0;
    int code = read_vector(&chunk->vector, dimension, arena, &ret_chunk->vector, err);
    return code == 0 ? 0 : error_prefix(err, "chunk %u", chunk->ordinal);
}

static int handle_upload(void *context, const struct storage_request *request,
                         ProtobufCMessage **ret_response, struct error *err)
{
    static Api__UploadVectorsResponse response = API__UPLOAD_VECTORS_RESPONSE__INIT;
    const Api__UploadVectorsRequest *message = (const Api__UploadVectorsRequest *)request->message;
    struct vector_upload_options options;
    struct vector_chunk *chunks = arena_calloc(request->arena, message->n_chunks, sizeof *chunks);
    if (chunks == NULL)
        return error_set(err, ERR_LIMIT, "too many chunks in a message");
    int code = read_upload(message->upload, &options, err);
    for (size_t i = 0; code == 0 && i < message->n_chunks; i++)
        code = read_chunk(message->chunks[i], options.dimension, request->arena, &chunks[i], err);
    if (code == 0)
        code = vector_store_upload(context, &options, chunks, message->n_chunks, err);
    *ret_response = &response.base;
    return code;
}

static int handle_commit(void *context, const struct storage_request *request,
                         ProtobufCMessage **ret_response, struct error *err)
{
    static Api__CommitVectorsResponse response = API__COMMIT_VECTORS_RESPONSE__INIT;
    const Api__CommitVectorsRequest *message = (const Api__CommitVectorsRequest *)request->message;
    struct vector_upload_options options;
    int code = read_upload(message->upload, &options, err);
    if (code == 0)
        code = vector_store_commit(context, &options, message->chunk_count, message->metadata, err);
    *ret_response = &response.base;
    return code;
}

/* ---- searching ---- */

/* with_place: what says where the neighbour is, too. */
static Api__VectorNeighbour *write_hit(const struct vector_hit *hit, bool with_place,
                                       struct arena *arena)
{
    Api__VectorNeighbour *neighbour = arena_alloc(arena, sizeof *neighbour);
    if (neighbour == NULL)
        return NULL;
    api__vector_neighbour__init(neighbour);
    neighbour->has_chunk_key = true;
    neighbour->chunk_key = hit->chunk_key;
    neighbour->text = hit->text;
    neighbour->metadata = hit->metadata;
    if (with_place) {
        neighbour->document = hit->document;
        neighbour->has_ordinal = true;
        neighbour->ordinal = hit->ordinal;
        neighbour->has_score = true;
        neighbour->score = hit->score;
    }
    return neighbour;
}

static int write_hits(const struct vector_hit *hits, size_t count, bool with_place,
                      struct arena *arena, Api__VectorNeighbour ***ret_neighbours,
                      struct error *err)
{
    Api__VectorNeighbour **neighbours = arena_calloc(arena, count, sizeof(Api__VectorNeighbour *));
    if (neighbours == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        neighbours[i] = write_hit(&hits[i], with_place, arena);
        if (neighbours[i] == NULL)
            return fail_memory(err);
    }
    *ret_neighbours = neighbours;
    return 0;
}

static int handle_search(void *context, const struct storage_request *request,
                         ProtobufCMessage **ret_response, struct error *err)
{
    const Api__SearchVectorsRequest *message = (const Api__SearchVectorsRequest *)request->message;
    uint32_t dimension = (uint32_t)(message->vector.len / sizeof(float));
    struct vector_query query = {.collection = message->collection,
                                 .model = message->model,
                                 .dimension = dimension,
                                 .neighbour_count = message->neighbour_count,
                                 .filter = message->filter};
    struct vector_hit *hits;
    size_t count;
    Api__SearchVectorsResponse *response = arena_alloc(request->arena, sizeof *response);
    if (response == NULL)
        return fail_memory(err);
    api__search_vectors_response__init(response);
    int code = read_vector(&message->vector, dimension, request->arena, &query.vector, err);
    if (code == 0)
        code =
            vector_store_search(context, &query, CONTENT_SIZE, request->arena, &hits, &count, err);
    if (code == 0)
        code = write_hits(hits, count, true, request->arena, &response->neighbours, err);
    if (code != 0)
        return code;
    response->n_neighbours = count;
    *ret_response = &response->base;
    return 0;
}

static int handle_contents(void *context, const struct storage_request *request,
                           ProtobufCMessage **ret_response, struct error *err)
{
    const Api__GetVectorContentsRequest *message =
        (const Api__GetVectorContentsRequest *)request->message;
    size_t count = message->n_chunk_keys, filled = 0;
    if (count == 0 || count > VECTOR_NEIGHBOURS_MAX)
        return error_set(err, ERR_INVALID, "%zu chunk keys, not 1 to %d", count,
                         VECTOR_NEIGHBOURS_MAX);
    struct vector_hit *hits = arena_calloc(request->arena, count, sizeof *hits);
    Api__GetVectorContentsResponse *response = arena_alloc(request->arena, sizeof *response);
    if (hits == NULL || response == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < count; i++)
        hits[i].chunk_key = message->chunk_keys[i];
    api__get_vector_contents_response__init(response);
    int code =
        vector_store_contents(context, hits, count, CONTENT_SIZE, request->arena, &filled, err);
    if (code == 0)
        code = write_hits(hits, filled, false, request->arena, &response->contents, err);
    if (code != 0)
        return code;
    response->n_contents = filled;
    *ret_response = &response->base;
    return 0;
}

/* ---- collections ---- */

static Api__VectorCollection *write_collection(const struct vector_collection *collection,
                                               struct arena *arena)
{
    Api__VectorCollection *message = arena_alloc(arena, sizeof *message);
    if (message == NULL)
        return NULL;
    api__vector_collection__init(message);
    message->name = collection->name;
    message->model = collection->model;
    message->has_dimension = true;
    message->dimension = collection->dimension;
    message->has_document_count = true;
    message->document_count = collection->document_count;
    message->has_chunk_count = true;
    message->chunk_count = collection->chunk_count;
    message->has_streamed = true;
    message->streamed = collection->is_streamed;
    return message;
}

static int handle_collections(void *context, const struct storage_request *request,
                              ProtobufCMessage **ret_response, struct error *err)
{
    const Api__ListVectorCollectionsRequest *message =
        (const Api__ListVectorCollectionsRequest *)request->message;
    size_t limit = message->page_size;
    if (limit == 0 || limit > COLLECTIONS_MAX)
        limit = COLLECTIONS_MAX;
    struct vector_collection *collections;
    size_t count;
    int code = vector_store_collections(context, text_or_empty(message->after), limit,
                                        request->arena, &collections, &count, err);
    if (code != 0)
        return code;
    Api__ListVectorCollectionsResponse *response = arena_alloc(request->arena, sizeof *response);
    Api__VectorCollection **list =
        arena_calloc(request->arena, count, sizeof(Api__VectorCollection *));
    if (response == NULL || list == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        list[i] = write_collection(&collections[i], request->arena);
        if (list[i] == NULL)
            return fail_memory(err);
    }
    api__list_vector_collections_response__init(response);
    response->collections = list;
    response->n_collections = count;
    *ret_response = &response->base;
    return 0;
}

static int handle_delete(void *context, const struct storage_request *request,
                         ProtobufCMessage **ret_response, struct error *err)
{
    static Api__DeleteVectorCollectionResponse response =
        API__DELETE_VECTOR_COLLECTION_RESPONSE__INIT;
    const Api__DeleteVectorCollectionRequest *message =
        (const Api__DeleteVectorCollectionRequest *)request->message;
    *ret_response = &response.base;
    return vector_store_collection_delete(context, message->collection, err);
}

static const struct storage_handler handlers[] = {
    {METHOD_LIST_VECTOR_HASHES, handle_hashes},
    {METHOD_UPLOAD_VECTORS, handle_upload},
    {METHOD_COMMIT_VECTORS, handle_commit},
    {METHOD_SEARCH_VECTORS, handle_search},
    {METHOD_GET_VECTOR_CONTENTS, handle_contents},
    {METHOD_LIST_VECTOR_COLLECTIONS, handle_collections},
    {METHOD_DELETE_VECTOR_COLLECTION, handle_delete},
};

struct storage_service vector_service_table(struct vector_store *store)
{
    return (struct storage_service){.handlers = handlers,
                                    .handler_count = sizeof handlers / sizeof handlers[0],
                                    .context = store};
}
