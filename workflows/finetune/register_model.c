/* SPDX-License-Identifier: Apache-2.0 */
/*
 * register_model: the last step of FineTuneWorkflow; see fine_tune.h.
 *
 * The registration is named by the run, so that a second attempt gives the version of the first.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "workflows/artifact_reference.h"
#include "workflows/failure.h"
#include "workflows/finetune/fine_tune.h"
#include "workflows/json_payload.h"
#include "workflows/shipped.h"

/* What the steps before have given; owns the values. */
struct registration {
    struct fine_tune_request request;
    const struct argosy_activity_info *info;
    json_t *request_json, *stored, *trained, *evaluated;
    struct artifact head, description;
    char *metadata; /* owns */
};

static void registration_fini(struct registration *registration)
{
    json_decref(registration->request_json);
    json_decref(registration->stored);
    json_decref(registration->trained);
    json_decref(registration->evaluated);
    free(registration->metadata);
}

/* registration_fini frees, also after a failure. */
static int registration_read(struct argosy_activity *activity, struct registration *registration,
                             struct error *err)
{
    *registration = (struct registration){.info = argosy_activity_info(activity)};
    struct argosy_payloads inputs = argosy_activity_inputs(activity);
    if (inputs.count != 4)
        return error_set(err, ERR_INVALID, "register_model takes 4 arguments, not %zu",
                         inputs.count);
    int code = fine_tune_request_read(&inputs.items[0], argosy_activity_arena(activity),
                                      &registration->request, err);
    if (code == 0)
        code = json_payload_read(&inputs.items[0], &registration->request_json, err);
    if (code == 0)
        code = json_payload_read(&inputs.items[1], &registration->stored, err);
    if (code == 0)
        code = json_payload_read(&inputs.items[2], &registration->trained, err);
    if (code == 0)
        code = json_payload_read(&inputs.items[3], &registration->evaluated, err);
    if (code == 0)
        code = artifact_reference_read(json_object_get(registration->trained, "head"),
                                       &registration->head, err);
    return code;
}

/* head.json: what a server must know beside the weights (storage/model_registry.h). */
static int description_put(struct registration *registration, struct storage_client *storage,
                           const char *owner, struct error *err)
{
    const json_t *trained = registration->trained;
    json_t *description = json_pack("{s:s, s:O, s:O, s:O}", "base", registration->request.base,
                                    "labels", json_object_get(registration->stored, "labels"),
                                    "pooling", json_object_get(trained, "pooling"), "normalize",
                                    json_object_get(trained, "normalize"));
    char *text = description != NULL ? json_dumps(description, JSON_INDENT(1)) : NULL;
    json_decref(description);
    if (text == NULL)
        return error_set(err, ERR_INVALID, "the arguments lack labels, pooling or normalize");
    int code =
        artifact_put_bytes(storage, text, strlen(text), owner, &registration->description, err);
    free(text);
    return code;
}

static int metadata_write(struct registration *registration, struct error *err)
{
    json_t *training = training_options_json(&registration->request.training);
    json_t *metadata = json_pack(
        "{s:s, s:s, s:s, s:O, s:O, s:O, s:O, s:o}", "job_id", registration->request.job_id,
        "workflow_id", registration->info->workflow_id, "run_id", registration->info->run_id,
        "dataset", json_object_get(registration->request_json, "dataset"), "parts",
        json_object_get(registration->stored, "parts"), "trained", registration->trained, "metrics",
        registration->evaluated, "training", training);
    registration->metadata = metadata != NULL ? json_dumps(metadata, JSON_COMPACT) : NULL;
    json_decref(metadata);
    if (registration->metadata == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

static json_t *result_make(const struct registration *registration, uint32_t version)
{
    const struct fine_tune_request *request = &registration->request;
    char model[MODEL_NAME_MAX + 16];
    snprintf(model, sizeof model, "%s@%u", request->name, version);
    return json_pack(
        "{s:s, s:s, s:I, s:O, s:O, s:o, s:O, s:O, s:o}", "model", model, "name", request->name,
        "version", (json_int_t)version, "labels", json_object_get(registration->stored, "labels"),
        "metrics", registration->evaluated, "head", artifact_reference_create(&registration->head),
        "trained", registration->trained, "dataset",
        json_object_get(registration->request_json, "dataset"), "training",
        training_options_json(&request->training));
}

static int model_add(struct registration *registration, struct storage_client *storage,
                     struct argosy_arena *arena, uint32_t *ret_version, struct error *err)
{
    const char *owner = argosy_arena_printf(arena, "workflow:%s", registration->info->workflow_id);
    const char *act = argosy_arena_printf(arena, "%s/%s", registration->info->workflow_id,
                                          registration->info->run_id);
    if (owner == NULL || act == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = description_put(registration, storage, owner, err);
    if (code == 0)
        code = metadata_write(registration, err);
    if (code != 0)
        return code;
    const struct model_file files[] = {{"head.json", registration->description},
                                       {"head.safetensors", registration->head}};
    const struct registered_model model = {
        .name = registration->request.name,
        .kind = FINE_TUNE_HEAD_KIND,
        .base = registration->request.base,
        .metadata = registration->metadata,
        .files = files,
        .file_count = 2,
    };
    return model_register(storage, &model, act, ret_version, err);
}

int register_model(struct argosy_activity *activity, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    const struct shipped_context *context = user_data;
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct registration registration;
    struct error why;
    uint32_t version;
    int code = registration_read(activity, &registration, &why);
    if (code == 0)
        code = model_add(&registration, context->storage, arena, &version, &why);
    if (code == 0)
        code = json_payload_write(result_make(&registration, version), arena, ret_result, &why);
    registration_fini(&registration);
    return code == 0 ? 0 : failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
}
