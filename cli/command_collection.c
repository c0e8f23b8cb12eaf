/* SPDX-License-Identifier: Apache-2.0 */
/* command_collection: `argosy collection list`, `show` and `delete`: what the storage process keeps
 * vectors of. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/storage_session.h"
#include "common/nearest.h"
#include "storage/vectors.h"

/* Storage and what its answers live in. */
struct collection_session {
    struct storage_session storage;
    struct arena arena;
};

static int session_begin(const struct invocation *invocation, struct collection_session *session,
                         struct error *err)
{
    *session = (struct collection_session){0};
    arena_init(&session->arena, ARENA_NO_LIMIT);
    return storage_session_open(invocation, &session->storage, err);
}

static void session_end(struct collection_session *session)
{
    storage_session_close(&session->storage);
    arena_fini(&session->arena);
}

/* Is it read from the disk by every search? */
static const char *streamed(const struct vector_collection *collection)
{
    return collection->is_streamed ? "yes (over storage.memory_mb)" : "no";
}

static json_t *collection_json(const struct vector_collection *collection)
{
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:b}", "name", collection->name, "model",
                     collection->model, "dimension", (json_int_t)collection->dimension, "documents",
                     (json_int_t)collection->document_count, "chunks",
                     (json_int_t)collection->chunk_count, "streamed", collection->is_streamed);
}

/* ---- list ---- */

static int list_json(const struct vector_collection *collections, size_t count, struct error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, collection_json(&collections[i]));
    return output_json(json_pack("{s:o}", "collections", list), err);
}

static int list_print(const struct vector_collection *collections, size_t count, struct error *err)
{
    if (count == 0) {
        puts("no collections");
        return 0;
    }
    struct table table;
    table_init(&table, (const char *const[]){"NAME", "MODEL", "DIMENSION", "DOCUMENTS", "CHUNKS",
                                             "STREAMED", NULL});
    for (size_t i = 0; i < count; i++) {
        const struct vector_collection *collection = &collections[i];
        char dimension[16], documents[24], chunks[24];
        struct buffer name = {0}, model = {0};
        output_safe(collection->name, strlen(collection->name), &name);
        output_safe(collection->model, strlen(collection->model), &model);
        snprintf(dimension, sizeof dimension, "%" PRIu32, collection->dimension);
        snprintf(documents, sizeof documents, "%" PRIu64, collection->document_count);
        snprintf(chunks, sizeof chunks, "%" PRIu64, collection->chunk_count);
        table_add(&table, buffer_text(&name), buffer_text(&model), dimension, documents, chunks,
                  streamed(collection));
        buffer_fini(&name);
        buffer_fini(&model);
    }
    int code = table_print(&table, stdout, err);
    table_fini(&table);
    return code;
}

static int collection_list(const struct invocation *invocation, struct error *err)
{
    struct collection_session session;
    const struct vector_collection *collections;
    size_t count;
    int code = session_begin(invocation, &session, err);
    if (code == 0)
        code =
            vectors_collections(session.storage.client, &session.arena, &collections, &count, err);
    if (code == 0)
        code = invocation->json ? list_json(collections, count, err)
                                : list_print(collections, count, err);
    session_end(&session);
    return code;
}

/* ---- show ---- */

static int find(struct collection_session *session, const char *name,
                const struct vector_collection **ret_collection, struct error *err)
{
    const struct vector_collection *collections;
    size_t count;
    int code =
        vectors_collections(session->storage.client, &session->arena, &collections, &count, err);
    if (code != 0)
        return code;
    const char **names = arena_calloc(&session->arena, count, sizeof(const char *));
    if (names == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        names[i] = collections[i].name;
        if (strcmp(names[i], name) == 0) {
            *ret_collection = &collections[i];
            return 0;
        }
    }
    const char *nearest = nearest_name(name, names, count);
    return error_set(err, ERR_NOT_FOUND, "no collection \"%s\"%s%s%s", name,
                     nearest != NULL ? " (did you mean \"" : "", nearest != NULL ? nearest : "",
                     nearest != NULL ? "\"?)" : "");
}

static void show_print(const struct vector_collection *collection)
{
    struct buffer name = {0}, model = {0};
    output_safe(collection->name, strlen(collection->name), &name);
    output_safe(collection->model, strlen(collection->model), &model);
    printf("name         %s\n", buffer_text(&name));
    printf("model        %s\n", buffer_text(&model));
    printf("dimension    %" PRIu32 "\n", collection->dimension);
    printf("documents    %" PRIu64 "\n", collection->document_count);
    printf("chunks       %" PRIu64 "\n", collection->chunk_count);
    printf("streamed     %s\n", streamed(collection));
    buffer_fini(&name);
    buffer_fini(&model);
}

static int collection_show(const struct invocation *invocation, struct error *err)
{
    struct collection_session session;
    const struct vector_collection *collection;
    if (invocation->parsed.argument_count == 0)
        return command_usage(invocation, "the collection's name is missing");
    int code = session_begin(invocation, &session, err);
    if (code == 0)
        code = find(&session, invocation->parsed.arguments[0], &collection, err);
    if (code == 0 && invocation->json)
        code = output_json(collection_json(collection), err);
    else if (code == 0)
        show_print(collection);
    session_end(&session);
    return code;
}

/* ---- delete ---- */

static int collection_delete(const struct invocation *invocation, struct error *err)
{
    struct collection_session session;
    if (invocation->parsed.argument_count == 0)
        return command_usage(invocation, "the collection's name is missing");
    const char *name = invocation->parsed.arguments[0];
    int code = session_begin(invocation, &session, err);
    if (code == 0)
        code = vectors_collection_delete(session.storage.client, name, err);
    if (code == 0 && invocation->json)
        code = output_json(json_pack("{s:s, s:b}", "name", name, "deleted", 1), err);
    else if (code == 0)
        printf("deleted collection %s\n", name);
    session_end(&session);
    return code;
}

const struct command command_collection_list = {
    .name = "collection list",
    .summary = "collections of vectors and their sizes",
    .arguments = "",
    .example = "argosy collection list",
    .options = {{session_options, common_options}},
    .run = collection_list,
};

const struct command command_collection_show = {
    .name = "collection show",
    .summary = "one collection",
    .arguments = "NAME",
    .arguments_max = 1,
    .example = "argosy collection show papers --output json",
    .options = {{session_options, common_options}},
    .run = collection_show,
};

const struct command command_collection_delete = {
    .name = "collection delete",
    .summary = "remove a collection with all its documents",
    .arguments = "NAME",
    .arguments_max = 1,
    .example = "argosy collection delete papers",
    .options = {{session_options, common_options}},
    .run = collection_delete,
};
