/* SPDX-License-Identifier: Apache-2.0 */
/* vectors: storage/vectors.h over calls to the storage process. */
#include "storage/vectors.h"

#include <stdlib.h>
#include <string.h>

#include "api/messages.h"
#include "common/limits.h"
#include "storage/storage_call.h"

/* One request's chunks: by their sizes, with room for what the encoding adds to each. */
#define REQUEST_SIZE   (2 * LIMIT_MIB)
#define REQUEST_CHUNKS 4096
#define CHUNK_OVERHEAD 64

/* A request and its reply. */
#define CALL_ARENA_SIZE (2 * LIMIT_DECODED_SIZE)

/* Pages asked for; storage may give less. */
#define HASHES_PAGE      32768
#define COLLECTIONS_PAGE 1000

/* Searches done again because a document was replaced between its neighbours and their texts. */
#define SEARCH_TRIES 5

_Static_assert(VECTOR_TEXT_SIZE_MAX + VECTOR_METADATA_SIZE_MAX +
                       VECTOR_DIMENSION_MAX * sizeof(float) + VECTOR_HASH_SIZE + CHUNK_OVERHEAD <
                   REQUEST_SIZE,
               "a request holds any chunk");

static int fail_memory(struct error *err)
{
    return error_set(err, ERR_MEMORY, "no memory for a request to storage");
}

static int fail_reply(const char *what, struct error *err)
{
    return error_set(err, ERR_PROTOCOL, "storage's reply is malformed: %s", what);
}

static const char *text_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

/* ---- hashes ---- */

/* All pages, one behind the other, in a buffer; pages while they are full. */
static int fetch_hashes(struct storage_client *client, const char *collection, const char *document,
                        struct buffer *out, struct error *err)
{
    Api__ListVectorHashesRequest request = API__LIST_VECTOR_HASHES_REQUEST__INIT;
    request.collection = collection;
    request.document = document;
    request.has_page_size = true;
    request.page_size = HASHES_PAGE;
    struct arena arena;
    arena_init(&arena, CALL_ARENA_SIZE);
    int code = 0;
    for (bool is_full = true; code == 0 && is_full;) {
        ProtobufCMessage *reply;
        uint8_t after[VECTOR_HASH_SIZE];
        if (out->size > 0) {
            memcpy(after, out->data + out->size - VECTOR_HASH_SIZE, sizeof after);
            request.has_after = true;
            request.after = (ProtobufCBinaryData){.data = after, .len = sizeof after};
        }
        arena_reset(&arena);
        code = storage_call(client, METHOD_LIST_VECTOR_HASHES, &request.base, &arena, &reply, err);
        if (code != 0)
            break;
        const Api__ListVectorHashesResponse *page = (const Api__ListVectorHashesResponse *)reply;
        size_t count = page->hashes.len / VECTOR_HASH_SIZE;
        if (page->hashes.len % VECTOR_HASH_SIZE != 0 || count > HASHES_PAGE)
            code = fail_reply("hashes", err);
        else if (out->size + page->hashes.len > (size_t)VECTOR_CHUNKS_MAX * VECTOR_HASH_SIZE)
            code = fail_reply("more hashes than a document has chunks", err);
        else
            buffer_append(out, page->hashes.data, page->hashes.len);
        is_full = count == HASHES_PAGE;
    }
    arena_fini(&arena);
    return code == 0 && out->failed ? fail_memory(err) : code;
}

int vectors_document_hashes(struct storage_client *client, const char *collection,
                            const char *document, struct arena *arena,
                            const uint8_t (**ret_hashes)[VECTOR_HASH_SIZE], size_t *ret_count,
                            struct error *err)
{
    struct buffer all = {0};
    int code = fetch_hashes(client, collection, document, &all, err);
    void *hashes =
        code == 0 ? arena_memdup(arena, all.size > 0 ? all.data : (uint8_t *)"", all.size) : NULL;
    size_t count = all.size / VECTOR_HASH_SIZE;
    buffer_fini(&all);
    if (code != 0)
        return code;
    if (hashes == NULL)
        return error_set(err, ERR_LIMIT, "no room for %zu hashes", count);
    *ret_hashes = hashes;
    *ret_count = count;
    return 0;
}

/* ---- uploads ---- */

static Api__VectorUpload write_upload(const struct vector_upload_options *options)
{
    Api__VectorUpload upload = API__VECTOR_UPLOAD__INIT;
    upload.collection = options->collection;
    upload.document = options->document;
    upload.upload = options->upload;
    upload.model = options->model;
    upload.has_dimension = true;
    upload.dimension = options->dimension;
    return upload;
}

/* The chunk as a message in arena; NULL where that is full. */
static Api__VectorChunk *write_chunk(const struct vector_chunk *chunk, uint32_t dimension,
                                     struct arena *arena)
{
    Api__VectorChunk *message = arena_alloc(arena, sizeof *message);
    char *text = arena_strndup(arena, chunk->text, chunk->text_size);
    if (message == NULL || text == NULL)
        return NULL;
    api__vector_chunk__init(message);
    message->has_ordinal = true;
    message->ordinal = chunk->ordinal;
    message->has_hash = true;
    message->hash =
        (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)chunk->hash, .len = VECTOR_HASH_SIZE};
    message->text = text;
    message->metadata = chunk->metadata;
    if (chunk->vector != NULL) {
        message->has_vector = true;
        message->vector = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)chunk->vector,
                                                .len = dimension * sizeof(float)};
    }
    return message;
}

/* What storage would refuse for reasons that the message cannot carry or the splitting assumes. */
static int check_chunk(const struct vector_chunk *chunk, struct error *err)
{
    if (chunk->text_size > VECTOR_TEXT_SIZE_MAX)
        return error_set(err, ERR_INVALID, "chunk %u: text of %zu bytes, more than %d",
                         chunk->ordinal, chunk->text_size, VECTOR_TEXT_SIZE_MAX);
    if (memchr(chunk->text, '\0', chunk->text_size) != NULL)
        return error_set(err, ERR_INVALID, "chunk %u: text is not UTF-8 without NUL",
                         chunk->ordinal);
    if (chunk->metadata != NULL && strlen(chunk->metadata) > VECTOR_METADATA_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "chunk %u: metadata of %zu bytes, more than %d",
                         chunk->ordinal, strlen(chunk->metadata), VECTOR_METADATA_SIZE_MAX);
    return 0;
}

static size_t chunk_size(const struct vector_chunk *chunk, uint32_t dimension)
{
    return CHUNK_OVERHEAD + VECTOR_HASH_SIZE + chunk->text_size +
           (chunk->metadata != NULL ? strlen(chunk->metadata) : 0) +
           (chunk->vector != NULL ? dimension * sizeof(float) : 0);
}

/* Sends the first chunks, as many as one request holds. */
static int send_some(struct storage_client *client, const struct vector_upload_options *options,
                     const struct vector_chunk *chunks, size_t count, struct arena *arena,
                     size_t *ret_sent, struct error *err)
{
    Api__VectorUpload upload = write_upload(options);
    Api__UploadVectorsRequest request = API__UPLOAD_VECTORS_REQUEST__INIT;
    Api__VectorChunk *messages[REQUEST_CHUNKS];
    ProtobufCMessage *reply;
    size_t sent = 0, size = 0;
    for (; sent < count && sent < REQUEST_CHUNKS; sent++) {
        int code = check_chunk(&chunks[sent], err);
        if (code != 0)
            return code;
        size += chunk_size(&chunks[sent], options->dimension);
        if (sent > 0 && size > REQUEST_SIZE)
            break;
        messages[sent] = write_chunk(&chunks[sent], options->dimension, arena);
        if (messages[sent] == NULL)
            return fail_memory(err);
    }
    request.upload = &upload;
    request.chunks = messages;
    request.n_chunks = sent;
    int code = storage_call(client, METHOD_UPLOAD_VECTORS, &request.base, arena, &reply, err);
    if (code == 0)
        *ret_sent = sent;
    return code;
}

static int check_dimension(const struct vector_upload_options *options, struct error *err)
{
    if (options->dimension == 0 || options->dimension > VECTOR_DIMENSION_MAX)
        return error_set(err, ERR_INVALID, "the dimension is %u, not 1 to %d", options->dimension,
                         VECTOR_DIMENSION_MAX);
    return 0;
}

int vectors_upload(struct storage_client *client, const struct vector_upload_options *options,
                   const struct vector_chunk *chunks, size_t count, struct error *err)
{
    struct arena arena;
    arena_init(&arena, CALL_ARENA_SIZE);
    int code = check_dimension(options, err);
    for (size_t done = 0, sent = 0; code == 0 && done < count; done += sent) {
        arena_reset(&arena);
        code = send_some(client, options, chunks + done, count - done, &arena, &sent, err);
    }
    arena_fini(&arena);
    return code;
}

int vectors_commit(struct storage_client *client, const struct vector_upload_options *options,
                   uint32_t chunk_count, const char *metadata, struct error *err)
{
    Api__VectorUpload upload = write_upload(options);
    Api__CommitVectorsRequest request = API__COMMIT_VECTORS_REQUEST__INIT;
    ProtobufCMessage *reply;
    request.upload = &upload;
    request.has_chunk_count = true;
    request.chunk_count = chunk_count;
    request.metadata = metadata;
    struct arena arena;
    arena_init(&arena, CALL_ARENA_SIZE);
    int code = storage_call(client, METHOD_COMMIT_VECTORS, &request.base, &arena, &reply, err);
    arena_fini(&arena);
    return code;
}

/* ---- searching ---- */

/* A search's neighbours with what fetches the rest of them. */
struct found {
    struct vector_neighbour *neighbours; /* in the caller's arena */
    int64_t *chunk_keys;
    size_t count;
    size_t filled; /* those that have their text */
};

static int copy_content(const Api__VectorNeighbour *message, struct arena *arena,
                        struct vector_neighbour *neighbour, struct error *err)
{
    neighbour->text = arena_strdup(arena, message->text);
    neighbour->metadata = arena_strdup(arena, text_or_empty(message->metadata));
    return neighbour->text != NULL && neighbour->metadata != NULL
               ? 0
               : error_set(err, ERR_LIMIT, "no room for the neighbours");
}

static int read_neighbours(const Api__SearchVectorsResponse *reply, struct arena *arena,
                           struct arena *scratch, struct found *ret_found, struct error *err)
{
    struct found found = {.count = reply->n_neighbours};
    found.neighbours = arena_calloc(arena, found.count, sizeof *found.neighbours);
    found.chunk_keys = arena_calloc(scratch, found.count, sizeof *found.chunk_keys);
    if (found.neighbours == NULL || found.chunk_keys == NULL)
        return error_set(err, ERR_LIMIT, "no room for the neighbours");
    int code = 0;
    for (size_t i = 0; code == 0 && i < found.count; i++) {
        const Api__VectorNeighbour *message = reply->neighbours[i];
        struct vector_neighbour *neighbour = &found.neighbours[i];
        neighbour->document = arena_strdup(arena, text_or_empty(message->document));
        neighbour->ordinal = message->ordinal;
        neighbour->score = message->score;
        found.chunk_keys[i] = message->chunk_key;
        if (neighbour->document == NULL)
            code = error_set(err, ERR_LIMIT, "no room for the neighbours");
        /* Texts come for the first ones, without a gap. */
        if (code == 0 && message->text != NULL && found.filled == i) {
            code = copy_content(message, arena, neighbour, err);
            found.filled++;
        }
    }
    if (code == 0)
        *ret_found = found;
    return code;
}

/* The next texts, as many as a reply holds. */
static int fetch_contents(struct storage_client *client, struct found *found, struct arena *arena,
                          struct error *err)
{
    Api__GetVectorContentsRequest request = API__GET_VECTOR_CONTENTS_REQUEST__INIT;
    ProtobufCMessage *message;
    request.chunk_keys = found->chunk_keys + found->filled;
    request.n_chunk_keys = found->count - found->filled;
    struct arena call;
    arena_init(&call, CALL_ARENA_SIZE);
    int code =
        storage_call(client, METHOD_GET_VECTOR_CONTENTS, &request.base, &call, &message, err);
    const Api__GetVectorContentsResponse *reply = (const Api__GetVectorContentsResponse *)message;
    if (code == 0 && (reply->n_contents == 0 || reply->n_contents > request.n_chunk_keys))
        code = fail_reply("contents", err);
    for (size_t i = 0; code == 0 && i < reply->n_contents; i++) {
        const Api__VectorNeighbour *content = reply->contents[i];
        if (content->chunk_key != found->chunk_keys[found->filled] || content->text == NULL)
            code = fail_reply("contents", err);
        else
            code = copy_content(content, arena, &found->neighbours[found->filled++], err);
    }
    arena_fini(&call);
    return code;
}

static int search_once(struct storage_client *client, const Api__SearchVectorsRequest *request,
                       struct arena *arena, struct found *ret_found, struct error *err)
{
    struct arena call;
    ProtobufCMessage *reply;
    struct found found = {0};
    arena_init(&call, CALL_ARENA_SIZE);
    int code = storage_call(client, METHOD_SEARCH_VECTORS, &request->base, &call, &reply, err);
    if (code == 0)
        code =
            read_neighbours((const Api__SearchVectorsResponse *)reply, arena, &call, &found, err);
    while (code == 0 && found.filled < found.count)
        code = fetch_contents(client, &found, arena, err);
    arena_fini(&call);
    if (code == 0)
        *ret_found = found;
    return code;
}

int vectors_search(struct storage_client *client, const struct vector_query *query,
                   struct arena *arena, const struct vector_neighbour **ret_neighbours,
                   size_t *ret_count, struct error *err)
{
    Api__SearchVectorsRequest request = API__SEARCH_VECTORS_REQUEST__INIT;
    struct found found = {0};
    request.collection = query->collection;
    request.model = query->model;
    request.has_vector = true;
    request.vector = (ProtobufCBinaryData){.data = (uint8_t *)(uintptr_t)query->vector,
                                           .len = query->dimension * sizeof(float)};
    request.has_neighbour_count = true;
    request.neighbour_count = query->neighbour_count;
    request.filter = query->filter;
    int code = ERR_ABORTED;
    for (int i = 0; code == ERR_ABORTED && i < SEARCH_TRIES; i++)
        code = search_once(client, &request, arena, &found, err);
    if (code != 0)
        return code;
    *ret_neighbours = found.neighbours;
    *ret_count = found.count;
    return 0;
}

/* ---- collections ---- */

/* Collections so far. */
struct listing {
    struct vector_collection *collections;
    size_t count, capacity;
};

static int add_collection(struct listing *listing, const Api__VectorCollection *message,
                          struct arena *arena, struct error *err)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity > 0 ? 2 * listing->capacity : 16;
        struct vector_collection *collections =
            realloc(listing->collections, capacity * sizeof *collections);
        if (collections == NULL)
            return fail_memory(err);
        listing->collections = collections;
        listing->capacity = capacity;
    }
    struct vector_collection *collection = &listing->collections[listing->count++];
    *collection =
        (struct vector_collection){.name = arena_strdup(arena, text_or_empty(message->name)),
                                   .model = arena_strdup(arena, text_or_empty(message->model)),
                                   .dimension = message->dimension,
                                   .document_count = message->document_count,
                                   .chunk_count = message->chunk_count,
                                   .is_streamed = message->streamed};
    return collection->name != NULL && collection->model != NULL
               ? 0
               : error_set(err, ERR_LIMIT, "no room for the collections");
}

static int list_page(struct storage_client *client, struct listing *listing, struct arena *arena,
                     bool *ret_more, struct error *err)
{
    Api__ListVectorCollectionsRequest request = API__LIST_VECTOR_COLLECTIONS_REQUEST__INIT;
    ProtobufCMessage *message;
    if (listing->count > 0)
        request.after = listing->collections[listing->count - 1].name;
    request.has_page_size = true;
    request.page_size = COLLECTIONS_PAGE;
    struct arena call;
    arena_init(&call, CALL_ARENA_SIZE);
    int code =
        storage_call(client, METHOD_LIST_VECTOR_COLLECTIONS, &request.base, &call, &message, err);
    const Api__ListVectorCollectionsResponse *reply =
        (const Api__ListVectorCollectionsResponse *)message;
    for (size_t i = 0; code == 0 && i < reply->n_collections; i++)
        code = add_collection(listing, reply->collections[i], arena, err);
    if (code == 0)
        *ret_more = reply->n_collections == COLLECTIONS_PAGE;
    arena_fini(&call);
    return code;
}

int vectors_collections(struct storage_client *client, struct arena *arena,
                        const struct vector_collection **ret_collections, size_t *ret_count,
                        struct error *err)
{
    struct listing listing = {0};
    struct vector_collection *copy = NULL;
    int code = 0;
    for (bool more = true; code == 0 && more;)
        code = list_page(client, &listing, arena, &more, err);
    if (code == 0) {
        copy = arena_alloc(arena, listing.count * sizeof *copy);
        if (copy == NULL)
            code = error_set(err, ERR_LIMIT, "no room for the collections");
        else if (listing.count > 0)
            memcpy(copy, listing.collections, listing.count * sizeof *copy);
    }
    free(listing.collections);
    if (code != 0)
        return code;
    *ret_collections = copy;
    *ret_count = listing.count;
    return 0;
}

int vectors_collection_delete(struct storage_client *client, const char *collection,
                              struct error *err)
{
    Api__DeleteVectorCollectionRequest request = API__DELETE_VECTOR_COLLECTION_REQUEST__INIT;
    ProtobufCMessage *reply;
    request.collection = collection;
    struct arena arena;
    arena_init(&arena, CALL_ARENA_SIZE);
    int code =
        storage_call(client, METHOD_DELETE_VECTOR_COLLECTION, &request.base, &arena, &reply, err);
    arena_fini(&arena);
    return code;
}
