/* SPDX-License-Identifier: Apache-2.0 */
/* evaluate_request: reading the request of an EvalWorkflow; see evaluate.h. */
#include <string.h>

#include "workflows/artifact_reference.h"
#include "workflows/evaluation/evaluate.h"
#include "workflows/evaluation/suite.h"
#include "workflows/json_members.h"
#include "workflows/json_payload.h"

static const char *const members[] = {"suite",    "model",   "cases",
                                      "baseline", "minimum", "maximum_drop"};

enum { MEMBER_COUNT = sizeof members / sizeof members[0] };

static int text_read(const json_t *object, const char *member, struct argosy_arena *arena,
                     const char **ret_text, struct error *err)
{
    const json_t *value = json_object_get(object, member);
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) > EVALUATE_MODEL_MAX)
        return error_set(err, ERR_INVALID, "\"%s\" must be a string of 1 to %d bytes", member,
                         EVALUATE_MODEL_MAX);
    const char *text = argosy_arena_printf(arena, "%s", json_string_value(value));
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_text = text;
    return 0;
}

static int reference_read(const json_t *value, const char *member, struct artifact *ret_artifact,
                          struct error *err)
{
    int code = artifact_reference_read(value, ret_artifact, err);
    return code == 0 ? 0 : error_prefix(err, "\"%s\"", member);
}

static int baseline_read(const json_t *baseline, struct argosy_arena *arena,
                         struct evaluate_request *request, struct error *err)
{
    const json_t *report = json_object_get(baseline, "report");
    const json_t *model = json_object_get(baseline, "model");
    if (baseline == NULL)
        return 0;
    if (json_object_size(baseline) != 1 || (report == NULL && model == NULL))
        return error_set(err, ERR_INVALID,
                         "\"baseline\" must be {\"model\": NAME} or {\"report\": artifact}");
    if (model != NULL)
        return text_read(baseline, "model", arena, &request->baseline_model, err);
    request->has_baseline_report = true;
    return reference_read(report, "report", &request->baseline_report, err);
}

static int request_take(const json_t *json, struct argosy_arena *arena,
                        struct evaluate_request *request, struct error *err)
{
    if (!json_is_object(json))
        return error_set(err, ERR_INVALID, "the input must be an object");
    int code = json_members_check(json, members, MEMBER_COUNT, err);
    if (code == 0)
        code = text_read(json, "suite", arena, &request->suite, err);
    if (code == 0)
        code = suite_name_check("suite", request->suite, err);
    if (code == 0)
        code = text_read(json, "model", arena, &request->model, err);
    if (code == 0)
        code = reference_read(json_object_get(json, "cases"), "cases", &request->cases, err);
    if (code == 0)
        code = baseline_read(json_object_get(json, "baseline"), arena, request, err);
    return code;
}

int evaluate_request_read(const struct argosy_payload *input, struct argosy_arena *arena,
                          struct evaluate_request *ret_request, struct error *err)
{
    struct evaluate_request request = {0};
    json_t *json;
    int code = json_payload_read(input, &json, err);
    if (code != 0)
        return code;
    code = request_take(json, arena, &request, err);
    json_decref(json);
    if (code == 0)
        *ret_request = request;
    return code;
}

int evaluate_request_limit(const json_t *request, struct metric_list *metrics, struct error *err)
{
    int code = metric_list_limit(metrics, true, json_object_get(request, "minimum"), err);
    return code == 0
               ? metric_list_limit(metrics, false, json_object_get(request, "maximum_drop"), err)
               : code;
}
