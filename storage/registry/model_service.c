/* SPDX-License-Identifier: Apache-2.0 */
/* model_service: see model_service.h. */
#include "storage/registry/model_service.h"

#include <jansson.h>
#include <string.h>

#include "api/messages.h"
#include "common/nearest.h"
#include "common/utf8.h"
#include "storage/digest.h"
#include "storage/registry/model_catalog.h"
#include "storage/model_reference.h"

/* Models of one page: with the largest metadata they fill half a message. */
#define PAGE_SIZE_MAX 8

/* Names that are looked through for the one that was meant. */
#define NAMES_MAX 4096

static int fail_memory(struct error *err)
{
    return error_set(err, ERR_MEMORY, "no memory for a reply");
}

/* ---- checking ---- */

/* A text of 1 to MODEL_TEXT_MAX bytes without control characters. */
static int check_text(const char *text, const char *what, struct error *err)
{
    size_t length = text != NULL ? strlen(text) : 0;
    bool is_right = length > 0 && length <= MODEL_TEXT_MAX && utf8_is_valid(text, length);
    for (size_t i = 0; is_right && i < length; i++)
        is_right = (unsigned char)text[i] >= 0x20 && text[i] != 0x7f;
    return is_right ? 0
                    : error_set(err, ERR_INVALID,
                                "a model's %s has 1 to %d bytes and no control characters", what,
                                MODEL_TEXT_MAX);
}

static int check_metadata(const char *text, struct error *err)
{
    if (strlen(text) > MODEL_METADATA_SIZE_MAX)
        return error_set(err, ERR_INVALID, "a model's metadata has more than %zu bytes",
                         MODEL_METADATA_SIZE_MAX);
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    bool is_object = json_is_object(value);
    json_decref(value);
    return is_object ? 0 : error_set(err, ERR_INVALID, "a model's metadata is no JSON object");
}

/* A file's name stands in paths that callers make of it. */
static int check_file_name(const char *name, struct error *err)
{
    int code = check_text(name, "file", err);
    if (code == 0 && (name[0] == '.' || strchr(name, '/') != NULL))
        return error_set(err, ERR_INVALID, "\"%.100s\" is no name of a model's file", name);
    return code;
}

static int take_files(const Api__RegisteredModel *message, struct arena *arena,
                      struct registered_model *model, struct error *err)
{
    if (message->n_files == 0 || message->n_files > MODEL_FILES_MAX)
        return error_set(err, ERR_INVALID, "a model has 1 to %d files", MODEL_FILES_MAX);
    struct model_file *files = arena_calloc(arena, message->n_files, sizeof *files);
    if (files == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < message->n_files; i++) {
        const Api__RegisteredModelFile *file = message->files[i];
        int code = check_file_name(file->name, err);
        if (code == 0)
            code = artifact_id_check(file->artifact_id, err);
        for (size_t j = 0; code == 0 && j < i; j++) {
            if (strcmp(files[j].name, file->name) == 0)
                code = error_set(err, ERR_INVALID, "a model has two files \"%s\"", file->name);
        }
        if (code != 0)
            return code;
        files[i].name = file->name;
        strcpy(files[i].artifact.id, file->artifact_id);
        files[i].artifact.size = file->size;
    }
    model->files = files;
    model->file_count = message->n_files;
    return 0;
}

/* The model that a message describes, borrowed from it. */
static int take_model(const Api__RegisteredModel *message, struct arena *arena,
                      struct registered_model *ret_model, struct error *err)
{
    if (message == NULL)
        return error_set(err, ERR_INVALID, "the request names no model");
    struct registered_model model = {
        .name = message->name,
        .kind = message->kind,
        .base = message->base_model != NULL ? message->base_model : "",
        .metadata = message->metadata != NULL ? message->metadata : "{}",
    };
    int code = model_name_check(model.name, err);
    if (code == 0)
        code = check_text(model.kind, "kind", err);
    if (code == 0 && model.base[0] != '\0')
        code = check_text(model.base, "base", err);
    if (code == 0)
        code = check_metadata(model.metadata, err);
    if (code == 0)
        code = take_files(message, arena, &model, err);
    if (code == 0)
        *ret_model = model;
    return code;
}

/* ---- replies ---- */

static Api__RegisteredModelFile *make_file(const struct model_file *file, struct arena *arena)
{
    Api__RegisteredModelFile *message = arena_alloc(arena, sizeof *message);
    if (message == NULL)
        return NULL;
    api__registered_model_file__init(message);
    message->name = file->name;
    message->artifact_id = file->artifact.id;
    message->has_size = true;
    message->size = file->artifact.size;
    return message;
}

static Api__RegisteredModel *make_model(const struct registered_model *model, struct arena *arena)
{
    Api__RegisteredModel *message = arena_alloc(arena, sizeof *message);
    Api__RegisteredModelFile **files = arena_calloc(arena, model->file_count, sizeof *files);
    if (message == NULL || files == NULL)
        return NULL;
    for (size_t i = 0; i < model->file_count; i++) {
        files[i] = make_file(&model->files[i], arena);
        if (files[i] == NULL)
            return NULL;
    }
    api__registered_model__init(message);
    message->name = model->name;
    message->has_version = true;
    message->version = model->version;
    message->kind = model->kind;
    message->base_model = model->base;
    message->metadata = model->metadata;
    message->files = files;
    message->n_files = model->file_count;
    message->has_registered_utc_us = true;
    message->registered_utc_us = model->registered_utc_us;
    return message;
}

/* ---- handlers ---- */

static int handle_register(void *context, const struct storage_request *request,
                           ProtobufCMessage **ret_response, struct error *err)
{
    const Api__RegisterModelRequest *message = (const Api__RegisterModelRequest *)request->message;
    struct registered_model model;
    uint32_t version = 0;
    Api__RegisterModelResponse *response = arena_alloc(request->arena, sizeof *response);
    if (response == NULL)
        return fail_memory(err);
    int code = take_model(message->model, request->arena, &model, err);
    if (code == 0)
        code = check_text(message->registration, "registration", err);
    if (code == 0)
        code = model_catalog_add(context, &model, message->registration, &version, err);
    if (code != 0)
        return code;
    api__register_model_response__init(response);
    response->has_version = true;
    response->version = version;
    *ret_response = &response->base;
    return 0;
}

/* ERR_NOT_FOUND with the nearest name. */
static int fail_not_found(struct catalog *catalog, const struct model_reference *reference,
                          struct arena *arena, struct error *err)
{
    const char **names = arena_calloc(arena, NAMES_MAX, sizeof *names);
    size_t count = 0;
    if (names == NULL)
        return fail_memory(err);
    int code = model_catalog_names(catalog, NAMES_MAX, arena, names, &count, err);
    if (code != 0)
        return code;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], reference->name) == 0)
            return error_set(err, ERR_NOT_FOUND, "model %s has no version %u", reference->name,
                             reference->version);
    }
    const char *nearest = nearest_name(reference->name, names, count);
    if (nearest != NULL)
        return error_set(err, ERR_NOT_FOUND, "no model %s is registered (did you mean \"%s\"?)",
                         reference->name, nearest);
    return error_set(err, ERR_NOT_FOUND, "no model %s is registered", reference->name);
}

static int handle_get(void *context, const struct storage_request *request,
                      ProtobufCMessage **ret_response, struct error *err)
{
    const Api__GetModelRequest *message = (const Api__GetModelRequest *)request->message;
    struct model_reference reference;
    struct registered_model *model = arena_alloc(request->arena, sizeof *model);
    Api__GetModelResponse *response = arena_alloc(request->arena, sizeof *response);
    if (model == NULL || response == NULL)
        return fail_memory(err);
    int code = model_reference_parse(message->name, &reference, err);
    if (code != 0)
        return code;
    code =
        model_catalog_get(context, reference.name, reference.version, request->arena, model, err);
    if (code == ERR_NOT_FOUND)
        return fail_not_found(context, &reference, request->arena, err);
    if (code != 0)
        return code;
    api__get_model_response__init(response);
    response->model = make_model(model, request->arena);
    if (response->model == NULL)
        return fail_memory(err);
    *ret_response = &response->base;
    return 0;
}

static int handle_list(void *context, const struct storage_request *request,
                       ProtobufCMessage **ret_response, struct error *err)
{
    const Api__ListModelsRequest *message = (const Api__ListModelsRequest *)request->message;
    struct registered_model *models;
    size_t count;
    size_t wanted = message->page_size > 0 && message->page_size < PAGE_SIZE_MAX
                        ? message->page_size
                        : PAGE_SIZE_MAX;
    int code =
        model_catalog_list(context, message->after_name != NULL ? message->after_name : "",
                           message->after_version, wanted, request->arena, &models, &count, err);
    if (code != 0)
        return code;
    Api__ListModelsResponse *response = arena_alloc(request->arena, sizeof *response);
    Api__RegisteredModel **messages = arena_calloc(request->arena, count, sizeof *messages);
    if (response == NULL || messages == NULL)
        return fail_memory(err);
    for (size_t i = 0; i < count; i++) {
        messages[i] = make_model(&models[i], request->arena);
        if (messages[i] == NULL)
            return fail_memory(err);
    }
    api__list_models_response__init(response);
    response->models = messages;
    response->n_models = count;
    *ret_response = &response->base;
    return 0;
}

static int handle_unregister(void *context, const struct storage_request *request,
                             ProtobufCMessage **ret_response, struct error *err)
{
    static Api__UnregisterModelResponse response = API__UNREGISTER_MODEL_RESPONSE__INIT;
    const Api__UnregisterModelRequest *message =
        (const Api__UnregisterModelRequest *)request->message;
    struct model_reference reference = {.version = message->version};
    bool is_known = false;
    int code = model_name_check(message->name, err);
    if (code == 0)
        code = model_catalog_remove(context, message->name, message->version, &is_known, err);
    if (code == 0 && !is_known) {
        strcpy(reference.name, message->name);
        code = fail_not_found(context, &reference, request->arena, err);
    }
    *ret_response = &response.base;
    return code;
}

struct storage_service model_service_table(struct catalog *catalog)
{
    static const struct storage_handler handlers[] = {
        {METHOD_REGISTER_MODEL, handle_register},
        {METHOD_GET_MODEL, handle_get},
        {METHOD_LIST_MODELS, handle_list},
        {METHOD_UNREGISTER_MODEL, handle_unregister},
    };
    return (struct storage_service){.handlers = handlers,
                                    .handler_count = sizeof handlers / sizeof handlers[0],
                                    .context = catalog};
}
