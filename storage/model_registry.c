/* SPDX-License-Identifier: Apache-2.0 */
/* model_registry: storage/model_registry.h over calls to the storage process. */
#include "storage/model_registry.h"

#include <string.h>

#include "api/messages.h"
#include "common/limits.h"
#include "storage/digest.h"
#include "storage/model_reference.h"
#include "storage/storage_call.h"

#define CALL_ARENA_SIZE (16 * LIMIT_MIB)

static int fail_memory(struct error *err)
{
    return error_set(err, ERR_MEMORY, "no memory for a model");
}

/* ---- registering ---- */

static Api__RegisteredModelFile **make_files(const struct registered_model *model,
                                             struct arena *arena)
{
    Api__RegisteredModelFile **files = arena_calloc(arena, model->file_count, sizeof *files);
    for (size_t i = 0; files != NULL && i < model->file_count; i++) {
        files[i] = arena_alloc(arena, sizeof *files[i]);
        if (files[i] == NULL)
            return NULL;
        api__registered_model_file__init(files[i]);
        files[i]->name = model->files[i].name;
        files[i]->artifact_id = model->files[i].artifact.id;
        files[i]->has_size = true;
        files[i]->size = model->files[i].artifact.size;
    }
    return files;
}

static int call_register(struct storage_client *client, const struct registered_model *model,
                         const char *registration, struct arena *arena, uint32_t *ret_version,
                         struct error *err)
{
    Api__RegisteredModel message = API__REGISTERED_MODEL__INIT;
    message.name = model->name;
    message.kind = model->kind;
    message.base_model = model->base;
    message.metadata = model->metadata;
    message.files = make_files(model, arena);
    message.n_files = model->file_count;
    if (message.files == NULL)
        return fail_memory(err);
    Api__RegisterModelRequest request = API__REGISTER_MODEL_REQUEST__INIT;
    request.model = &message;
    request.registration = registration;
    ProtobufCMessage *response;
    int code = storage_call(client, METHOD_REGISTER_MODEL, &request.base, arena, &response, err);
    if (code == 0)
        *ret_version = ((const Api__RegisterModelResponse *)response)->version;
    return code;
}

int model_register(struct storage_client *client, const struct registered_model *model,
                   const char *registration, uint32_t *ret_version, struct error *err)
{
    struct arena arena;
    arena_init(&arena, CALL_ARENA_SIZE);
    int code = call_register(client, model, registration, &arena, ret_version, err);
    arena_fini(&arena);
    return code;
}

/* ---- reading ---- */

/* The model that storage described; its texts are the message's, which is in arena, too. */
static int take_model(const Api__RegisteredModel *message, struct arena *arena,
                      struct registered_model *ret_model, struct error *err)
{
    if (message == NULL || message->name == NULL)
        return error_set(err, ERR_PROTOCOL, "storage described a model without a name");
    struct model_file *files = arena_calloc(arena, message->n_files, sizeof *files);
    if (files == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < message->n_files; i++) {
        const Api__RegisteredModelFile *file = message->files[i];
        int code = artifact_id_check(file->artifact_id, err);
        if (code != 0)
            return code;
        if (file->name == NULL)
            return error_set(err, ERR_PROTOCOL, "storage described a file without a name");
        files[i].name = file->name;
        strcpy(files[i].artifact.id, file->artifact_id);
        files[i].artifact.size = file->size;
    }
    *ret_model = (struct registered_model){
        .name = message->name,
        .version = message->version,
        .kind = message->kind != NULL ? message->kind : "",
        .base = message->base_model != NULL ? message->base_model : "",
        .metadata = message->metadata != NULL ? message->metadata : "{}",
        .files = files,
        .file_count = message->n_files,
        .registered_utc_us = message->registered_utc_us,
    };
    return 0;
}

int model_get(struct storage_client *client, const char *name, struct arena *arena,
              const struct registered_model **ret_model, struct error *err)
{
    Api__GetModelRequest request = API__GET_MODEL_REQUEST__INIT;
    request.name = name;
    struct model_reference reference;
    struct registered_model *model = arena_alloc(arena, sizeof *model);
    ProtobufCMessage *response;
    if (model == NULL)
        return fail_memory(err);
    int code = model_reference_parse(name, &reference, err);
    if (code == 0)
        code = storage_call(client, METHOD_GET_MODEL, &request.base, arena, &response, err);
    if (code == 0)
        code = take_model(((const Api__GetModelResponse *)response)->model, arena, model, err);
    if (code == 0)
        *ret_model = model;
    return code;
}

/* All models so far, which grow by a page. */
struct model_pages {
    struct registered_model *models;
    size_t count;
    size_t capacity;
};

static int add_page(struct model_pages *pages, const Api__ListModelsResponse *response,
                    struct arena *arena, struct error *err)
{
    if (pages->count + response->n_models > pages->capacity) {
        size_t capacity = 2 * (pages->count + response->n_models);
        struct registered_model *grown = arena_calloc(arena, capacity, sizeof *grown);
        if (grown == NULL)
            return fail_memory(err);
        if (pages->count > 0)
            memcpy(grown, pages->models, pages->count * sizeof *grown);
        pages->models = grown;
        pages->capacity = capacity;
    }
    int code = 0;
    for (size_t i = 0; code == 0 && i < response->n_models; i++)
        code = take_model(response->models[i], arena, &pages->models[pages->count++], err);
    return code;
}

int model_list(struct storage_client *client, struct arena *arena,
               const struct registered_model **ret_models, size_t *ret_count, struct error *err)
{
    struct model_pages pages = {0};
    for (;;) {
        Api__ListModelsRequest request = API__LIST_MODELS_REQUEST__INIT;
        if (pages.count > 0) {
            request.after_name = pages.models[pages.count - 1].name;
            request.has_after_version = true;
            request.after_version = pages.models[pages.count - 1].version;
        }
        ProtobufCMessage *message;
        int code = storage_call(client, METHOD_LIST_MODELS, &request.base, arena, &message, err);
        if (code != 0)
            return code;
        const Api__ListModelsResponse *response = (const Api__ListModelsResponse *)message;
        if (response->n_models == 0)
            break;
        code = add_page(&pages, response, arena, err);
        if (code != 0)
            return code;
    }
    *ret_models = pages.models;
    *ret_count = pages.count;
    return 0;
}

int model_unregister(struct storage_client *client, const char *name, uint32_t version,
                     struct error *err)
{
    Api__UnregisterModelRequest request = API__UNREGISTER_MODEL_REQUEST__INIT;
    request.name = name;
    request.has_version = true;
    request.version = version;
    struct arena arena;
    ProtobufCMessage *response;
    arena_init(&arena, CALL_ARENA_SIZE);
    int code = storage_call(client, METHOD_UNREGISTER_MODEL, &request.base, &arena, &response, err);
    arena_fini(&arena);
    return code;
}
