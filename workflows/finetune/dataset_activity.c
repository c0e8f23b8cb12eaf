/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dataset_activity: validate_dataset and store_dataset; see fine_tune.h.
 *
 * Both read the dataset's artifacts again from their beginning: they may run in different processes
 * on different nodes. What is stored are the parts that training and evaluation read, JSONL of
 * {"text": clean text, "label"}, in chunks whose byte offsets are known. The same request gives the
 * same files, so that a second attempt stores nothing new.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "workflows/artifact_reference.h"
#include "workflows/finetune/dataset.h"
#include "workflows/failure.h"
#include "workflows/finetune/fine_tune.h"
#include "workflows/json_payload.h"
#include "workflows/scratch_file.h"
#include "workflows/shipped.h"

/* Problems that a failure's text names; its details hold the report. */
#define PROBLEMS_NAMED 3u

/* The dataset of a request, opened. */
struct request_dataset {
    struct fine_tune_request request;
    struct dataset_source sources[2];
    uint32_t source_count;
    struct dataset *dataset;
};

static const char *const part_names[DATASET_PARTS] = {[DATASET_TRAIN] = "train",
                                                      [DATASET_VALIDATION] = "validation",
                                                      [DATASET_HELD_OUT] = "held_out"};

/* ---- reading ---- */

static int source_open(struct storage_client *storage, const struct artifact *artifact,
                       const char *name, struct request_dataset *opened, struct error *err)
{
    int fd;
    uint64_t size;
    int code = artifact_open(storage, artifact->id, NULL, NULL, &fd, &size, err);
    if (code != 0)
        return error_prefix(err, "%s", name);
    opened->sources[opened->source_count++] = (struct dataset_source){fd, name};
    return 0;
}

static void dataset_close(struct request_dataset *opened)
{
    dataset_destroy(opened->dataset);
    for (uint32_t i = 0; i < opened->source_count; i++)
        close(opened->sources[i].fd);
}

/* dataset_close frees, also after a failure. */
static int dataset_open(struct argosy_activity *activity, const struct shipped_context *context,
                        struct request_dataset *opened, struct error *err)
{
    struct storage_client *storage = context->storage;
    *opened = (struct request_dataset){0};
    struct fine_tune_request *request = &opened->request;
    int code = fine_tune_request_read(argosy_activity_input(activity),
                                      argosy_activity_arena(activity), request, err);
    if (code == 0)
        code = source_open(storage, &request->train, request->has_held_out ? "train" : "dataset",
                           opened, err);
    if (code == 0 && request->has_held_out)
        code = source_open(storage, &request->held_out, "held_out", opened, err);
    if (code == 0)
        code = dataset_read(opened->sources, opened->source_count, &opened->dataset, err);
    return code;
}

/* ---- validate_dataset ---- */

static int unfit_fail(const struct dataset_report *report, const struct argosy_payload *details,
                      struct argosy_arena *arena, struct argosy_error *err)
{
    struct buffer text = {0};
    buffer_printf(&text, "the dataset has %llu errors",
                  (unsigned long long)report->totals[DATASET_ERROR]);
    for (uint32_t i = 0; i < report->problem_counts[DATASET_ERROR] && i < PROBLEMS_NAMED; i++) {
        const struct dataset_problem *problem = &report->problems[DATASET_ERROR][i];
        buffer_printf(&text, "%s%s", i == 0 ? ": " : "; ", report->files[problem->source].name);
        if (problem->line > 0)
            buffer_printf(&text, ":%llu", (unsigned long long)problem->line);
        buffer_printf(&text, ": %s", problem->text);
    }
    int code = argosy_failure_raise(arena,
                                    &(struct argosy_failure_options){.type = "InvalidDataset",
                                                                     .message = buffer_text(&text),
                                                                     .non_retryable = true,
                                                                     .details = {details, 1}},
                                    err);
    buffer_fini(&text);
    return code;
}

int validate_dataset(struct argosy_activity *activity, void *user_data,
                     struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct request_dataset opened;
    struct argosy_payload report;
    struct error why;
    int code = dataset_open(activity, user_data, &opened, &why);
    if (code == 0)
        code = json_payload_write(dataset_report_json(dataset_report(opened.dataset)), arena,
                                  &report, &why);
    if (code != 0)
        code = failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
    else if (!dataset_is_fit(opened.dataset))
        code = unfit_fail(dataset_report(opened.dataset), &report, arena, err);
    else
        *ret_result = report;
    dataset_close(&opened);
    return code;
}

/* ---- store_dataset ---- */

/* A part on its way into a file. */
struct part_file {
    FILE *file;
    json_t *chunks;
    uint64_t offset; /* bytes written */
    uint64_t count;  /* examples written */
};

static int chunk_begin(struct part_file *part, struct error *err)
{
    json_t *chunk = json_pack("[I, I]", (json_int_t)part->offset, (json_int_t)0);
    if (json_array_append_new(part->chunks, chunk) != 0)
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

static void chunk_count(struct part_file *part)
{
    json_t *last = json_array_get(part->chunks, json_array_size(part->chunks) - 1);
    json_t *count = json_array_get(last, 1);
    json_integer_set(count, json_integer_value(count) + 1);
}

static int example_write(void *arg, const char *text, size_t text_size, const char *label,
                         struct error *err)
{
    struct part_file *part = arg;
    if (part->count % FINE_TUNE_CHUNK == 0) {
        int code = chunk_begin(part, err);
        if (code != 0)
            return code;
    }
    json_t *example = json_pack("{s:s%, s:s}", "text", text, text_size, "label", label);
    char *line = json_dumps(example, JSON_COMPACT);
    json_decref(example);
    int length = line != NULL ? fprintf(part->file, "%s\n", line) : 0;
    free(line);
    if (line == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (length < 0)
        return error_set(err, ERR_IO, "could not write a temporary file");
    part->offset += (uint64_t)length;
    part->count++;
    chunk_count(part);
    return 0;
}

static int part_put(struct part_file *part, struct storage_client *storage,
                    const struct argosy_activity *activity, json_t **ret_json, struct error *err)
{
    struct artifact artifact;
    int code = scratch_file_put(part->file, storage, activity, &artifact, err);
    if (code != 0)
        return code;
    json_t *json = json_pack("{s:o, s:I, s:O}", "examples", artifact_reference_create(&artifact),
                             "count", (json_int_t)part->count, "chunks", part->chunks);
    if (json == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    *ret_json = json;
    return 0;
}

static int part_store(struct dataset *dataset, enum dataset_part which,
                      const struct shipped_context *context, const struct argosy_activity *activity,
                      json_t *parts, struct error *err)
{
    struct part_file part = {.chunks = json_array()};
    json_t *json;
    int code = part.chunks == NULL ? error_set(err, ERR_MEMORY, "out of memory")
                                   : scratch_file_open(context->config, &part.file, err);
    if (code == 0)
        code = dataset_part_walk(dataset, which, example_write, &part, err);
    if (code == 0)
        code = part_put(&part, context->storage, activity, &json, err);
    if (code == 0 && json_object_set_new(parts, part_names[which], json) != 0)
        code = error_set(err, ERR_MEMORY, "out of memory");
    json_decref(part.chunks);
    if (part.file != NULL)
        fclose(part.file);
    return code;
}

static json_t *label_names(const struct dataset_report *report)
{
    json_t *names = json_array();
    for (uint32_t i = 0; i < report->label_count; i++)
        json_array_append_new(names, json_string(report->labels[i].name));
    return names;
}

static int parts_store(const struct request_dataset *opened, const struct shipped_context *context,
                       const struct argosy_activity *activity, json_t *parts, struct error *err)
{
    const struct training_options *training = &opened->request.training;
    struct dataset_split_options split = {.held_out_share = training->held_out_share,
                                          .validation_share = training->validation_share,
                                          .seed = (uint64_t)training->seed};
    if (!dataset_is_fit(opened->dataset))
        return error_set(err, ERR_INVALID, "the dataset is not fit: validate_dataset says why");
    int code = dataset_split(opened->dataset, &split, err);
    for (int part = 0; code == 0 && part < DATASET_PARTS; part++)
        code = part_store(opened->dataset, part, context, activity, parts, err);
    return code;
}

int store_dataset(struct argosy_activity *activity, void *user_data,
                  struct argosy_payload *ret_result, struct argosy_error *err)
{
    const struct shipped_context *context = user_data;
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct request_dataset opened;
    struct error why;
    json_t *parts = json_object();
    int code = dataset_open(activity, context, &opened, &why);
    if (code == 0 && parts == NULL)
        code = error_set(&why, ERR_MEMORY, "out of memory");
    if (code == 0)
        code = parts_store(&opened, context, activity, parts, &why);
    if (code == 0)
        code = json_payload_write(json_pack("{s:o, s:O}", "labels",
                                            label_names(dataset_report(opened.dataset)), "parts",
                                            parts),
                                  arena, ret_result, &why);
    json_decref(parts);
    dataset_close(&opened);
    return code == 0 ? 0 : failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
}
