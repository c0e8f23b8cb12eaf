/* SPDX-License-Identifier: Apache-2.0 */
/* fine_tune_request: reading the request of a FineTuneWorkflow; see fine_tune.h. */
#include <string.h>

#include "common/fleet_config.h"
#include "workflows/artifact_reference.h"
#include "workflows/finetune/fine_tune.h"
#include "workflows/json_members.h"
#include "workflows/json_payload.h"

static const char *const members[] = {"job_id", "name", "dataset", "base", "training"};

enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

/* A string of 1 to most characters, copied to arena; fallback (may be NULL) where it is missing. */
static int text_read(const json_t *object, const char *member, const char *fallback, size_t most,
                     struct argosy_arena *arena, const char **ret_text, struct error *err)
{
    const json_t *value = json_object_get(object, member);
    if (value == NULL && fallback != NULL) {
        *ret_text = fallback;
        return 0;
    }
    if (value == NULL)
        return error_set(err, ERR_INVALID, "\"%s\" is missing", member);
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) > most)
        return error_set(err, ERR_INVALID, "\"%s\" must be a string of 1 to %zu bytes", member,
                         most);
    const char *text = argosy_arena_printf(arena, "%s", json_string_value(value));
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_text = text;
    return 0;
}

static int name_check(const char *member, const char *name, struct error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "0123456789._-";
    if (name[strspn(name, allowed)] != '\0' || name[0] == '.')
        return error_set(err, ERR_INVALID,
                         "\"%s\" may have letters, digits, \".\", \"_\" and \"-\" only", member);
    return 0;
}

static int dataset_refer(const json_t *dataset, struct fine_tune_request *request,
                         struct error *err)
{
    if (json_object_get(dataset, "train") == NULL) {
        int code = artifact_reference_read(dataset, &request->train, err);
        return code == 0 ? 0 : error_prefix(err, "\"dataset\"");
    }
    if (json_object_size(dataset) != 2 || json_object_get(dataset, "held_out") == NULL)
        return error_set(err, ERR_INVALID,
                         "\"dataset\" must be an artifact, or an object of "
                         "\"train\" and \"held_out\"");
    request->has_held_out = true;
    int code = artifact_reference_read(json_object_get(dataset, "train"), &request->train, err);
    if (code != 0)
        return error_prefix(err, "\"dataset\": \"train\"");
    code = artifact_reference_read(json_object_get(dataset, "held_out"), &request->held_out, err);
    return code == 0 ? 0 : error_prefix(err, "\"dataset\": \"held_out\"");
}

static int request_take(const json_t *object, struct argosy_arena *arena,
                        struct fine_tune_request *request, struct error *err)
{
    if (!json_is_object(object))
        return error_set(err, ERR_INVALID, "the input must be an object");
    int code = json_members_check(object, members, MEMBER_COUNT, err);
    if (code == 0)
        code =
            text_read(object, "job_id", NULL, FINE_TUNE_JOB_ID_MAX, arena, &request->job_id, err);
    if (code == 0)
        code = text_read(object, "name", NULL, MODEL_NAME_MAX, arena, &request->name, err);
    if (code == 0)
        code = text_read(object, "base", FLEET_MODEL_DEFAULT, MODEL_NAME_MAX, arena, &request->base,
                         err);
    if (code == 0)
        code = name_check("name", request->name, err);
    if (code == 0)
        code = name_check("base", request->base, err);
    if (code == 0)
        code = dataset_refer(json_object_get(object, "dataset"), request, err);
    if (code == 0)
        code = training_options_read(json_object_get(object, "training"), &request->training, err);
    return code;
}

int fine_tune_request_read(const struct argosy_payload *input, struct argosy_arena *arena,
                           struct fine_tune_request *ret_request, struct error *err)
{
    struct fine_tune_request request = {0};
    json_t *object;
    int code = json_payload_read(input, &object, err);
    if (code != 0)
        return code;
    code = request_take(object, arena, &request, err);
    json_decref(object);
    if (code == 0)
        *ret_request = request;
    return code;
}
