/* SPDX-License-Identifier: Apache-2.0 */
/* search_activity: see search_activity.h. */
#include "workflows/search/search_activity.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/nearest.h"
#include "storage/vectors.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/shipped.h"

/* k texts of the largest size with their metadata; the result is bounded by a payload anyway. */
#define ANSWER_SIZE_MAX      ((size_t)VECTOR_NEIGHBOURS_MAX * 2 * VECTOR_TEXT_SIZE_MAX)
#define COLLECTIONS_SIZE_MAX ((size_t)64 << 20)

/* ---- find_collection ---- */

static int collection_missing(const char *name, const struct vector_collection *collections,
                              size_t count, struct error *err)
{
    const char **names = calloc(count + 1, sizeof *names);
    if (names == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        names[i] = collections[i].name;
    const char *nearest = nearest_name(name, names, count);
    int code = error_set(err, ERR_NOT_FOUND, "there is no collection \"%s\"%s%s%s", name,
                         nearest != NULL ? "; did you mean \"" : "", nearest != NULL ? nearest : "",
                         nearest != NULL ? "\"?" : "");
    free(names);
    return code;
}

static int collection_find(struct storage_client *storage, const json_t *input, json_t **ret_result,
                           struct error *err)
{
    const char *name = json_string_value(json_object_get(input, "collection"));
    if (name == NULL)
        return error_set(err, ERR_INVALID, "\"collection\" is missing");
    struct arena arena;
    arena_init(&arena, COLLECTIONS_SIZE_MAX);
    const struct vector_collection *collections;
    size_t count, i = 0;
    int code = vectors_collections(storage, &arena, &collections, &count, err);
    if (code == 0) {
        while (i < count && strcmp(collections[i].name, name) != 0)
            i++;
        if (i == count)
            code = collection_missing(name, collections, count, err);
        else
            *ret_result = json_pack("{s:s, s:I}", "model", collections[i].model, "dimension",
                                    (json_int_t)collections[i].dimension);
    }
    arena_fini(&arena);
    return code;
}

/* ---- search_vectors ---- */

static json_t *neighbour_json(const struct vector_neighbour *neighbour)
{
    return json_pack("{s:s, s:I, s:f, s:s, s:o}", "document_id", neighbour->document, "ordinal",
                     (json_int_t)neighbour->ordinal, "score", neighbour->score, "text",
                     neighbour->text, "metadata",
                     neighbour->metadata != NULL ? json_loads(neighbour->metadata, 0, NULL)
                                                 : json_object());
}

/* What is asked: from a JSON object and a vector. Strings are borrowed, the filter is the caller's
 * to free. */
static int query_read(const json_t *input, const struct argosy_payload *vector,
                      struct vector_query *ret_query, char **ret_filter, struct error *err)
{
    const char *collection, *model;
    json_t *filter = NULL;
    int k;
    if (json_unpack((json_t *)input, "{s:s, s:s, s:i, s?o}", "collection", &collection, "model",
                    &model, "k", &k, "filter", &filter) != 0 ||
        k < 1 || k > VECTOR_NEIGHBOURS_MAX)
        return error_set(err, ERR_INVALID,
                         "\"collection\", \"model\" or \"k\" is missing or wrong");
    if (vector->size == 0 || vector->size % sizeof(float) != 0 ||
        vector->size / sizeof(float) > VECTOR_DIMENSION_MAX)
        return error_set(err, ERR_INVALID, "the question's vector has %zu bytes", vector->size);
    char *text = NULL;
    if (filter != NULL && !json_is_null(filter)) {
        text = json_dumps(filter, JSON_COMPACT | JSON_ENCODE_ANY);
        if (text == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
    }
    *ret_filter = text;
    *ret_query = (struct vector_query){
        .collection = collection,
        .model = model,
        .dimension = (uint32_t)(vector->size / sizeof(float)),
        .neighbour_count = (uint32_t)k,
        .filter = text,
    };
    return 0;
}

static int neighbours_find(struct storage_client *storage, const json_t *input,
                           const struct argosy_payload *vector, json_t **ret_result,
                           struct error *err)
{
    struct vector_query query;
    char *filter;
    int code = query_read(input, vector, &query, &filter, err);
    if (code != 0)
        return code;
    struct arena arena;
    arena_init(&arena, ANSWER_SIZE_MAX);
    float *values = arena_memdup(&arena, vector->data, vector->size); /* aligned */
    const struct vector_neighbour *neighbours;
    size_t count = 0;
    query.vector = values;
    code = values == NULL ? error_set(err, ERR_MEMORY, "out of memory")
                          : vectors_search(storage, &query, &arena, &neighbours, &count, err);
    if (code == 0) {
        *ret_result = json_array();
        for (size_t i = 0; i < count; i++)
            json_array_append_new(*ret_result, neighbour_json(&neighbours[i]));
    }
    arena_fini(&arena);
    free(filter);
    return code;
}

/* ---- activities ---- */

static int answer(struct argosy_activity *activity, int code, json_t *result,
                  const struct error *why, struct argosy_payload *ret_result,
                  struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(activity);
    if (code != 0)
        return failure_from(arena, FAILURE_SEARCH_REFUSED, why, err);
    code = json_payload_make(result, arena, ret_result, err);
    return code == ARGOSY_ERR_LIMIT
               ? failure_final(arena, FAILURE_SEARCH_REFUSED, err,
                               "the answer is larger than a result may be: ask for a smaller k")
               : code;
}

int find_collection(struct argosy_activity *activity, void *user_data,
                    struct argosy_payload *ret_result, struct argosy_error *err)
{
    const struct shipped_context *context = user_data;
    json_t *input, *result = NULL;
    int code = json_payload_read_object(argosy_activity_input(activity),
                                        argosy_activity_arena(activity), &input, err);
    if (code != 0)
        return code;
    struct error why = {0};
    code = collection_find(context->storage, input, &result, &why);
    json_decref(input);
    return answer(activity, code, result, &why, ret_result, err);
}

int search_vectors(struct argosy_activity *activity, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    const struct shipped_context *context = user_data;
    struct argosy_payloads inputs = argosy_activity_inputs(activity);
    json_t *input, *result = NULL;
    int code = json_payload_read_object(argosy_activity_input(activity),
                                        argosy_activity_arena(activity), &input, err);
    if (code != 0)
        return code;
    struct error why = {0};
    code = inputs.count == 2
               ? neighbours_find(context->storage, input, &inputs.items[1], &result, &why)
               : error_set(&why, ERR_INVALID, "the question's vector is missing");
    json_decref(input);
    return answer(activity, code, result, &why, ret_result, err);
}
