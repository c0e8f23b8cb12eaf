/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed_file: the workflow; see embed_file.h.
 *
 * What it knows of its parts is in its arena: JSON values are heap memory, which a run that is
 * dropped from memory while it waits would lose.
 */
#include "workflows/embed/embed_file.h"

#include <inttypes.h>
#include <string.h>

#include "common/fleet_config.h"
#include "workflows/artifact_reference.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/shipped.h"

/* Behind whatever is asked interactively. */
#define BULK_PRIORITY 4

static const struct argosy_retry_policy storage_retry = {
    .initial_interval_ms = 1000,
    .backoff_coefficient = 2,
    .maximum_interval_ms = 30000,
    .maximum_attempts = 8,
};

static const struct argosy_retry_policy gpu_retry = {
    .initial_interval_ms = 2000,
    .backoff_coefficient = 2,
    .maximum_interval_ms = 30000,
    .maximum_attempts = 8,
};

struct part {
    int64_t offset;
    int64_t line;
    int64_t count;
    struct artifact vectors;
};

struct embed_run {
    /* identity */
    struct argosy_workflow *workflow;
    struct argosy_arena *arena;

    /* the request */
    struct artifact input;
    const char *format;
    const char *model; /* NULL: the GPU group's own */
    int64_t part_texts;
    int64_t parallel;

    /* progress */
    const char *stage;
    int64_t count; /* of texts; 0 while it is not known */
    int64_t done;
    struct part *parts;
    size_t part_count;

    /* outcome */
    int64_t dimension; /* 0 until the first part is there */
    int64_t truncated;
    const char *used_model;
    struct artifact output;
};

static int progress(struct argosy_workflow *workflow, const struct argosy_payloads *input,
                    void *user_data, struct argosy_payload *ret_answer, struct argosy_error *err)
{
    const struct embed_run *run = user_data;
    (void)input;
    return argosy_payload_pack(argosy_workflow_arena(workflow), ret_answer, err,
                               "{s:s, s:I, s:I, s:s}", "stage", run->stage, "done",
                               (json_int_t)run->done, "total", (json_int_t)run->count, "unit",
                               "texts");
}

/* ---- reading ---- */

static int read_number(const json_t *request, const char *key, int64_t missing, int64_t max,
                       int64_t *ret_number, struct error *err)
{
    const json_t *value = json_object_get(request, key);
    json_int_t number = value != NULL ? json_integer_value(value) : missing;
    if (number < 1 || number > max)
        return error_set(err, ERR_INVALID, "\"%s\" must be a number from 1 to %" PRId64, key, max);
    *ret_number = number;
    return 0;
}

static int read_text(struct embed_run *run, const json_t *value, const char *key,
                     const char **ret_text, struct error *err)
{
    if (value == NULL || json_is_null(value))
        return 0;
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        strlen(json_string_value(value)) != json_string_length(value))
        return error_set(err, ERR_INVALID, "\"%s\" must be a text", key);
    *ret_text = argosy_arena_printf(run->arena, "%s", json_string_value(value));
    return *ret_text != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
}

static int read_request(struct embed_run *run, const json_t *request, struct error *err)
{
    run->format = "npy";
    int code = json_is_object(request)
                   ? artifact_reference_read(json_object_get(request, "input"), &run->input, err)
                   : error_set(err, ERR_INVALID, "the input must be an object");
    if (code == 0)
        code = read_text(run, json_object_get(request, "format"), "format", &run->format, err);
    if (code == 0 && strcmp(run->format, "npy") != 0 && strcmp(run->format, "safetensors") != 0)
        code = error_set(err, ERR_INVALID, "\"format\" must be \"npy\" or \"safetensors\"");
    if (code == 0)
        code = read_text(run, json_object_get(request, "model"), "model", &run->model, err);
    if (code == 0)
        code = read_number(request, "part_texts", EMBED_PART_TEXTS, EMBED_PART_TEXTS_MAX,
                           &run->part_texts, err);
    if (code == 0)
        code = read_number(request, "parallel", EMBED_PARALLEL, EMBED_PARALLEL_MAX, &run->parallel,
                           err);
    return code;
}

static int read_plan(struct embed_run *run, const json_t *plan, struct error *err)
{
    const json_t *parts = json_object_get(plan, "parts");
    size_t count = json_array_size(parts);
    run->count = json_integer_value(json_object_get(plan, "count"));
    if (count < 1 || count > EMBED_PARTS_MAX || run->count < 1)
        return error_set(err, ERR_PROTOCOL, "the plan is not one");
    run->parts = argosy_workflow_alloc(run->workflow, count * sizeof *run->parts);
    run->part_count = count;
    for (size_t i = 0; i < count; i++) {
        const json_t *part = json_array_get(parts, i);
        run->parts[i] = (struct part){.offset = json_integer_value(json_object_get(part, "offset")),
                                      .line = json_integer_value(json_object_get(part, "line")),
                                      .count = json_integer_value(json_object_get(part, "count"))};
    }
    return 0;
}

/* Vectors of one dimension fit one file. */
static int read_part(struct embed_run *run, struct part *part, const json_t *result,
                     struct error *err)
{
    int64_t dimension = json_integer_value(json_object_get(result, "dimension"));
    int code = artifact_reference_read(json_object_get(result, "vectors"), &part->vectors, err);
    if (code != 0)
        return code;
    if (run->dimension != 0 && dimension != run->dimension)
        return error_set(err, ERR_INVALID,
                         "the GPU workers serve different models: vectors of %" PRId64
                         " and of %" PRId64 " numbers",
                         run->dimension, dimension);
    run->dimension = dimension;
    run->truncated += json_integer_value(json_object_get(result, "truncated"));
    run->done += part->count;
    return run->used_model != NULL
               ? 0
               : read_text(run, json_object_get(result, "model"), "model", &run->used_model, err);
}

/* ---- steps ---- */

/* What `read` makes of a payload; its errors are the run's. */
static int result_read(struct embed_run *run, const struct argosy_payload *payload,
                       int read(struct embed_run *run, const json_t *json, struct error *err),
                       struct argosy_error *err)
{
    struct error why = {0};
    json_t *json;
    int code = json_payload_read(payload, &json, &why);
    if (code == 0) {
        code = read(run, json, &why);
        json_decref(json);
    }
    return code == 0 ? 0 : failure_from(run->arena, FAILURE_INVALID_INPUT, &why, err);
}

static int storage_step(struct embed_run *run, const char *type, const struct argosy_payload *input,
                        struct argosy_payload *ret_result, struct argosy_error *err)
{
    return argosy_activity_execute(run->workflow,
                                   &(struct argosy_activity_options){
                                       .type = type,
                                       .task_queue = FLEET_QUEUE_STORAGE,
                                       .input = {input, 1},
                                       .start_to_close_timeout_ms = 3600000,
                                       .heartbeat_timeout_ms = 120000,
                                       .retry_policy = storage_retry,
                                   },
                                   ret_result, err);
}

static int plan(struct embed_run *run, struct argosy_error *err)
{
    struct argosy_payload input, result;
    run->stage = "plan";
    int code =
        json_payload_make(json_pack("{s:o, s:I}", "input", artifact_reference_create(&run->input),
                                    "part_texts", (json_int_t)run->part_texts),
                          run->arena, &input, err);
    if (code == 0)
        code = storage_step(run, ACTIVITY_PLAN_TEXTS, &input, &result, err);
    return code == 0 ? result_read(run, &result, read_plan, err) : code;
}

static int part_start(struct embed_run *run, const struct part *part,
                      struct argosy_future **ret_future, struct argosy_error *err)
{
    struct argosy_payload input;
    int code = json_payload_make(
        json_pack("{s:o, s:I, s:I, s:I, s:s*}", "texts", artifact_reference_create(&run->input),
                  "offset", (json_int_t)part->offset, "count", (json_int_t)part->count, "line",
                  (json_int_t)part->line, "model", run->model),
        run->arena, &input, err);
    if (code != 0)
        return code;
    *ret_future = argosy_activity_start(run->workflow, &(struct argosy_activity_options){
                                                           .type = ACTIVITY_EMBED_ARTIFACT,
                                                           .task_queue = FLEET_QUEUE_GPU,
                                                           .input = {&input, 1},
                                                           .start_to_close_timeout_ms = 6 * 3600000,
                                                           .heartbeat_timeout_ms = 15000,
                                                           .retry_policy = gpu_retry,
                                                           .priority = BULK_PRIORITY,
                                                       });
    return 0;
}

static int part_end(struct embed_run *run, struct part *part, struct argosy_future *future,
                    struct argosy_error *err)
{
    struct argosy_payload payload;
    struct error why = {0};
    json_t *result;
    int code = argosy_await(future, &payload, err);
    if (code != 0)
        return code;
    code = json_payload_read(&payload, &result, &why);
    if (code == 0) {
        code = read_part(run, part, result, &why);
        json_decref(result);
    }
    return code == 0 ? 0 : failure_from(run->arena, FAILURE_INVALID_INPUT, &why, err);
}

/* Parts under way, in the order they were started but for the places of those that ended. */
struct under_way {
    struct argosy_future *futures[EMBED_PARALLEL_MAX];
    struct part *parts[EMBED_PARALLEL_MAX];
    size_t count;
};

static int embed(struct embed_run *run, struct argosy_error *err)
{
    struct under_way *under_way = argosy_workflow_alloc(run->workflow, sizeof *under_way);
    size_t next = 0;
    under_way->count = 0;
    run->stage = "embed";
    while (next < run->part_count || under_way->count > 0) {
        size_t index;
        int code = 0;
        while (code == 0 && next < run->part_count && under_way->count < (size_t)run->parallel) {
            under_way->parts[under_way->count] = &run->parts[next++];
            code = part_start(run, under_way->parts[under_way->count],
                              &under_way->futures[under_way->count], err);
            under_way->count++;
        }
        if (code == 0)
            code = argosy_await_any(under_way->futures, under_way->count, &index, err);
        if (code == 0)
            code = part_end(run, under_way->parts[index], under_way->futures[index], err);
        if (code != 0)
            return code;
        under_way->count--;
        under_way->futures[index] = under_way->futures[under_way->count];
        under_way->parts[index] = under_way->parts[under_way->count];
    }
    return 0;
}

static json_t *parts_json(const struct embed_run *run)
{
    json_t *list = json_array();
    for (size_t i = 0; i < run->part_count; i++) {
        json_t *part = artifact_reference_create(&run->parts[i].vectors);
        json_object_set_new(part, "count", json_integer(run->parts[i].count));
        if (json_array_append_new(list, part) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int read_output(struct embed_run *run, const json_t *result, struct error *err)
{
    return artifact_reference_read(json_object_get(result, "output"), &run->output, err);
}

static int assemble(struct embed_run *run, struct argosy_error *err)
{
    struct argosy_payload input, result;
    run->stage = "assemble";
    int code = json_payload_make(json_pack("{s:s, s:I, s:o}", "format", run->format, "dimension",
                                           (json_int_t)run->dimension, "parts", parts_json(run)),
                                 run->arena, &input, err);
    if (code == 0)
        code = storage_step(run, ACTIVITY_ASSEMBLE_VECTORS, &input, &result, err);
    return code == 0 ? result_read(run, &result, read_output, err) : code;
}

int embed_file(struct argosy_workflow *workflow, void *user_data, struct argosy_payload *ret_result,
               struct argosy_error *err)
{
    (void)user_data;
    struct embed_run *run = argosy_workflow_alloc(workflow, sizeof *run);
    *run = (struct embed_run){
        .workflow = workflow, .arena = argosy_workflow_arena(workflow), .stage = "plan"};
    argosy_query_handle(workflow, "progress", progress, run);
    int code = result_read(run, argosy_workflow_input(workflow), read_request, err);
    if (code == 0)
        code = plan(run, err);
    if (code == 0)
        code = embed(run, err);
    if (code == 0)
        code = assemble(run, err);
    if (code != 0)
        return code;
    return json_payload_make(json_pack("{s:o, s:o, s:s, s:I, s:I, s:I, s:s}", "output",
                                       artifact_reference_create(&run->output), "input",
                                       artifact_reference_create(&run->input), "format",
                                       run->format, "count", (json_int_t)run->count, "dimension",
                                       (json_int_t)run->dimension, "truncated",
                                       (json_int_t)run->truncated, "model", run->used_model),
                             run->arena, ret_result, err);
}
