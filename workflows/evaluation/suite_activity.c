/* SPDX-License-Identifier: Apache-2.0 */
/*
 * suite_activity: validate_suite and store_suite; see evaluate.h.
 *
 * Both read the suite's file from its beginning: they may run in different processes on different
 * nodes. The same suite gives the same file of texts, so that a second attempt stores nothing new.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workflows/artifact_reference.h"
#include "workflows/evaluation/evaluate.h"
#include "workflows/evaluation/suite.h"
#include "workflows/failure.h"
#include "workflows/json_payload.h"
#include "workflows/scratch_file.h"
#include "workflows/shipped.h"

/* Problems that a failure's text names; its details hold the report. */
#define PROBLEMS_NAMED 3u

/* Opens the suite of a request and reads it; the caller destroys *ret_suite. */
static int request_suite(struct argosy_activity *activity, const struct shipped_context *context,
                         suite_text_fn *on_text, void *arg, struct suite **ret_suite,
                         struct error *err)
{
    struct evaluate_request request;
    int fd;
    uint64_t size;
    int code = evaluate_request_read(argosy_activity_input(activity),
                                     argosy_activity_arena(activity), &request, err);
    if (code == 0)
        code = artifact_open(context->storage, request.cases.id, NULL, NULL, &fd, &size, err);
    if (code != 0)
        return code;
    code = suite_read(fd, on_text, arg, ret_suite, err);
    close(fd);
    return code;
}

/* ---- validate_suite ---- */

/* What the request says of the suite must be true of it. */
static int request_check(struct argosy_activity *activity, const struct suite *suite,
                         struct error *err)
{
    struct metric_list metrics = suite->metrics;
    json_t *request;
    int code = json_payload_read(argosy_activity_input(activity), &request, err);
    if (code != 0)
        return code;
    const char *name = json_string_value(json_object_get(request, "suite"));
    if (strcmp(name, suite->name) != 0)
        code = error_set(err, ERR_INVALID, "the suite is called \"%s\", not \"%s\"", suite->name,
                         name);
    else
        code = evaluate_request_limit(request, &metrics, err);
    json_decref(request);
    return code;
}

static int unfit_fail(const struct suite *suite, const struct argosy_payload *details,
                      struct argosy_arena *arena, struct argosy_error *err)
{
    struct buffer text = {0};
    buffer_printf(&text, "the suite has %llu errors", (unsigned long long)suite->error_count);
    for (size_t i = 0; i < suite->problem_count && i < PROBLEMS_NAMED; i++) {
        buffer_append_text(&text, i == 0 ? ": " : "; ");
        if (suite->problems[i].line > 0)
            buffer_printf(&text, "line %llu: ", (unsigned long long)suite->problems[i].line);
        buffer_append_text(&text, suite->problems[i].text);
    }
    int code = argosy_failure_raise(arena,
                                    &(struct argosy_failure_options){.type = FAILURE_EVAL_SUITE,
                                                                     .message = buffer_text(&text),
                                                                     .non_retryable = true,
                                                                     .details = {details, 1}},
                                    err);
    buffer_fini(&text);
    return code;
}

int validate_suite(struct argosy_activity *activity, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct argosy_arena *arena = argosy_activity_arena(activity);
    struct suite *suite = NULL;
    struct argosy_payload report;
    struct error why;
    int code = request_suite(activity, user_data, NULL, NULL, &suite, &why);
    if (code == 0)
        code = json_payload_write(suite_report_json(suite), arena, &report, &why);
    if (code == 0 && suite->error_count == 0)
        code = request_check(activity, suite, &why);
    if (code != 0)
        code = failure_from(arena, FAILURE_INVALID_INPUT, &why, err);
    else if (suite->error_count > 0)
        code = unfit_fail(suite, &report, arena, err);
    else
        *ret_result = report;
    suite_destroy(suite);
    return code;
}

/* ---- store_suite ---- */

/* Texts on their way into a file. */
struct text_file {
    FILE *file;
    json_t *parts;
    uint64_t offset; /* bytes written */
    uint64_t count;  /* texts written */
};

static int part_begin(struct text_file *file, struct error *err)
{
    json_t *part = json_pack("[I, I, I]", (json_int_t)file->offset, (json_int_t)0,
                             (json_int_t)file->count + 1);
    return json_array_append_new(file->parts, part) == 0
               ? 0
               : error_set(err, ERR_MEMORY, "out of memory");
}

static int text_write(void *arg, const char *text, size_t size, struct error *err)
{
    struct text_file *file = arg;
    int code = file->count % EVALUATE_PART == 0 ? part_begin(file, err) : 0;
    if (code != 0)
        return code;
    json_t *string = json_stringn(text, size);
    char *line = json_dumps(string, JSON_ENCODE_ANY);
    json_decref(string);
    if (line == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int length = fprintf(file->file, "%s\n", line);
    free(line);
    if (length < 0)
        return error_set(err, ERR_IO, "could not write a temporary file");
    json_t *last = json_array_get(file->parts, json_array_size(file->parts) - 1);
    json_t *count = json_array_get(last, 1);
    json_integer_set(count, json_integer_value(count) + 1);
    file->offset += (uint64_t)length;
    file->count++;
    return 0;
}

static int suite_store(struct argosy_activity *activity, const struct shipped_context *context,
                       struct text_file *file, struct argosy_payload *ret_result, struct error *err)
{
    struct suite *suite = NULL;
    struct artifact texts;
    int code = request_suite(activity, context, text_write, file, &suite, err);
    if (code == 0 && suite->error_count > 0)
        code = error_set(err, ERR_INVALID, "the suite is not fit: validate_suite says why");
    if (code == 0)
        code = scratch_file_put(file->file, context->storage, activity, &texts, err);
    if (code == 0)
        code = json_payload_write(json_pack("{s:s, s:o, s:I, s:O}", "type",
                                            suite_type_name(suite->type), "texts",
                                            artifact_reference_create(&texts), "count",
                                            (json_int_t)file->count, "parts", file->parts),
                                  argosy_activity_arena(activity), ret_result, err);
    suite_destroy(suite);
    return code;
}

int store_suite(struct argosy_activity *activity, void *user_data,
                struct argosy_payload *ret_result, struct argosy_error *err)
{
    const struct shipped_context *context = user_data;
    struct text_file file = {.parts = json_array()};
    struct error why;
    int code = file.parts == NULL ? error_set(&why, ERR_MEMORY, "out of memory")
                                  : scratch_file_open(context->config, &file.file, &why);
    if (code == 0)
        code = suite_store(activity, context, &file, ret_result, &why);
    if (file.file != NULL)
        fclose(file.file);
    json_decref(file.parts);
    return code == 0
               ? 0
               : failure_from(argosy_activity_arena(activity), FAILURE_INVALID_INPUT, &why, err);
}
