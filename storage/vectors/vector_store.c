/* SPDX-License-Identifier: Apache-2.0 */
/* vector_store: what both stores share: checking and normalising what comes in. */
#include "storage/vectors/vector_store.h"

#include <stdlib.h>
#include <string.h>

#include "common/nearest.h"
#include "common/utf8.h"
#include "storage/vectors/vector_store_ops.h"

int vector_store_open(const struct vector_store_options *options, struct vector_store **ret_store,
                      struct error *err)
{
    if (strcmp(options->address, "sqlite") == 0)
        return vector_store_sqlite_open(options, ret_store, err);
    return vector_store_postgres_open(options, ret_store, err);
}

void vector_store_close(struct vector_store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

static int check_name(const char *what, const char *name, struct error *err)
{
    size_t size = name != NULL ? strlen(name) : 0;
    if (size == 0 || size > VECTOR_NAME_MAX)
        return error_set(err, ERR_INVALID, "the %s's name has %zu bytes, not 1 to %d", what, size,
                         VECTOR_NAME_MAX);
    if (!utf8_is_valid(name, size))
        return error_set(err, ERR_INVALID, "the %s's name is not UTF-8", what);
    return 0;
}

static int check_dimension(uint32_t dimension, struct error *err)
{
    if (dimension == 0 || dimension > VECTOR_DIMENSION_MAX)
        return error_set(err, ERR_INVALID, "the dimension is %u, not 1 to %d", dimension,
                         VECTOR_DIMENSION_MAX);
    return 0;
}

static int check_options(const struct vector_upload_options *options, struct error *err)
{
    int code = check_name("collection", options->collection, err);
    if (code == 0)
        code = check_name("document", options->document, err);
    if (code == 0)
        code = check_name("upload", options->upload, err);
    if (code == 0)
        code = check_name("model", options->model, err);
    return code == 0 ? check_dimension(options->dimension, err) : code;
}

int vector_store_hashes(struct vector_store *store, const char *collection, const char *document,
                        const uint8_t *after, size_t limit, struct arena *arena,
                        const uint8_t (**ret_hashes)[VECTOR_HASH_SIZE], size_t *ret_count,
                        struct error *err)
{
    int code = check_name("collection", collection, err);
    if (code == 0)
        code = check_name("document", document, err);
    return code == 0 ? store->ops->hashes(store, collection, document, after, limit, arena,
                                          ret_hashes, ret_count, err)
                     : code;
}

/* A checked copy of chunk: metadata canonical, vector normalised, both in arena. */
static int check_chunk(const struct vector_chunk *chunk, uint32_t dimension, struct arena *arena,
                       struct vector_chunk *ret_chunk, struct error *err)
{
    if (chunk->ordinal >= VECTOR_CHUNKS_MAX)
        return error_set(err, ERR_INVALID, "ordinal %u is over the largest, %u", chunk->ordinal,
                         VECTOR_CHUNKS_MAX - 1);
    if (chunk->text_size > VECTOR_TEXT_SIZE_MAX)
        return error_set(err, ERR_INVALID, "text of %zu bytes, more than %d", chunk->text_size,
                         VECTOR_TEXT_SIZE_MAX);
    if (!utf8_is_valid(chunk->text, chunk->text_size) ||
        memchr(chunk->text, '\0', chunk->text_size) != NULL)
        return error_set(err, ERR_INVALID, "text is not UTF-8 without NUL");
    struct vector_chunk checked = *chunk;
    int code = vector_metadata_read(chunk->metadata, arena, &checked.metadata, err);
    if (code != 0 || chunk->vector == NULL) {
        if (code == 0)
            *ret_chunk = checked;
        return code;
    }
    float *vector = arena_alloc(arena, dimension * sizeof(float));
    if (vector == NULL)
        return error_set(err, ERR_LIMIT, "too many vectors at once");
    code = vector_normalise(chunk->vector, dimension, vector, err);
    checked.vector = vector;
    if (code == 0)
        *ret_chunk = checked;
    return code;
}

int vector_store_upload(struct vector_store *store, const struct vector_upload_options *options,
                        const struct vector_chunk *chunks, size_t count, struct error *err)
{
    int code = check_options(options, err);
    if (code != 0)
        return code;
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    struct vector_chunk *checked = arena_calloc(&arena, count, sizeof *checked);
    if (checked == NULL)
        code = error_set(err, ERR_MEMORY, "no memory for an upload");
    for (size_t i = 0; code == 0 && i < count; i++) {
        code = check_chunk(&chunks[i], options->dimension, &arena, &checked[i], err);
        if (code != 0)
            error_prefix(err, "chunk %u of \"%s\"", chunks[i].ordinal, options->document);
    }
    if (code == 0)
        code = store->ops->upload(store, options, checked, count, err);
    arena_fini(&arena);
    return code;
}

int vector_store_commit(struct vector_store *store, const struct vector_upload_options *options,
                        uint32_t chunk_count, const char *metadata, struct error *err)
{
    int code = check_options(options, err);
    if (code != 0)
        return code;
    if (chunk_count > VECTOR_CHUNKS_MAX)
        return error_set(err, ERR_INVALID, "%u chunks, more than %u", chunk_count,
                         VECTOR_CHUNKS_MAX);
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    const char *canonical;
    code = vector_metadata_read(metadata, &arena, &canonical, err);
    if (code == 0)
        code = store->ops->commit(store, options, chunk_count, canonical, err);
    arena_fini(&arena);
    return code;
}

static int check_query(const struct vector_query *query, struct error *err)
{
    int code = check_name("collection", query->collection, err);
    if (code == 0)
        code = check_name("model", query->model, err);
    if (code == 0)
        code = check_dimension(query->dimension, err);
    if (code == 0 &&
        (query->neighbour_count == 0 || query->neighbour_count > VECTOR_NEIGHBOURS_MAX))
        code = error_set(err, ERR_INVALID, "%u neighbours, not 1 to %d", query->neighbour_count,
                         VECTOR_NEIGHBOURS_MAX);
    return code;
}

int vector_store_search(struct vector_store *store, const struct vector_query *query,
                        size_t content_size, struct arena *arena, struct vector_hit **ret_hits,
                        size_t *ret_count, struct error *err)
{
    int code = check_query(query, err);
    if (code != 0)
        return code;
    struct arena own;
    arena_init(&own, ARENA_NO_LIMIT);
    float *vector = arena_calloc(&own, VECTOR_STRIDE(query->dimension), sizeof(float));
    const struct vector_filter *filter = NULL;
    if (vector == NULL)
        code = error_set(err, ERR_MEMORY, "no memory for a search");
    if (code == 0)
        code = vector_normalise(query->vector, query->dimension, vector, err);
    if (code == 0 && query->filter != NULL)
        code = vector_filter_parse(query->filter, &own, &filter, err);
    const struct vector_store_query checked = {.collection = query->collection,
                                               .model = query->model,
                                               .vector = vector,
                                               .dimension = query->dimension,
                                               .neighbour_count = query->neighbour_count,
                                               .filter = filter};
    if (code == 0)
        code = store->ops->search(store, &checked, content_size, arena, ret_hits, ret_count, err);
    arena_fini(&own);
    return code;
}

int vector_store_contents(struct vector_store *store, struct vector_hit *hits, size_t count,
                          size_t content_size, struct arena *arena, size_t *ret_filled,
                          struct error *err)
{
    return store->ops->contents(store, hits, count, content_size, arena, ret_filled, err);
}

int vector_store_collections(struct vector_store *store, const char *after, size_t limit,
                             struct arena *arena, struct vector_collection **ret_collections,
                             size_t *ret_count, struct error *err)
{
    return store->ops->collections(store, after, limit, arena, ret_collections, ret_count, err);
}

int vector_store_collection_delete(struct vector_store *store, const char *collection,
                                   struct error *err)
{
    int code = check_name("collection", collection, err);
    return code == 0 ? store->ops->collection_delete(store, collection, err) : code;
}

int vector_store_fail_model(const char *collection, const char *has, const char *wanted,
                            struct error *err)
{
    return error_set(err, ERR_INVALID,
                     "collection \"%s\" holds vectors of model \"%s\", not of \"%s\"", collection,
                     has, wanted);
}

int vector_store_fail_dimension(const char *collection, uint32_t has, uint32_t wanted,
                                struct error *err)
{
    return error_set(err, ERR_INVALID, "collection \"%s\" has dimension %u, not %u", collection,
                     has, wanted);
}

int vector_store_fail_collection(const char *collection, const char *const *names, size_t count,
                                 struct error *err)
{
    const char *nearest = nearest_name(collection, names, count);
    return error_set(err, ERR_NOT_FOUND, "no collection \"%s\"%s%s%s", collection,
                     nearest != NULL ? " (did you mean \"" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "\"?)" : "");
}

int vector_store_fail_ordinals(const char *upload, uint64_t staged, uint32_t wanted,
                               struct error *err)
{
    return error_set(err, ERR_STATE,
                     "upload \"%s\" has %llu chunks, which are not the %u of the commit, 0 to %u",
                     upload, (unsigned long long)staged, wanted, wanted - 1);
}

int vector_store_fail_committed(const char *upload, struct error *err)
{
    return error_set(err, ERR_STATE,
                     "upload \"%s\" is committed, with other chunks: a new replacement needs a "
                     "new name",
                     upload);
}

int vector_store_fail_hash(uint32_t ordinal, const char *document, struct error *err)
{
    return error_set(err, ERR_NOT_FOUND,
                     "chunk %u has no vector, and document \"%s\" has no chunk of its hash",
                     ordinal, document);
}

int vector_hit_compare(const void *a, const void *b)
{
    const struct vector_hit *left = a, *right = b;
    if (left->score != right->score)
        return left->score > right->score ? -1 : 1;
    int order = strcmp(left->document, right->document);
    if (order != 0)
        return order;
    return (left->ordinal > right->ordinal) - (left->ordinal < right->ordinal);
}
