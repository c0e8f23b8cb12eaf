/* SPDX-License-Identifier: Apache-2.0 */
/* artifact_task: see artifact_task.h. */
#include "worker_gpu/artifact_task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/assert.h"
#include "worker_gpu/model_name.h"
#include "workflows/artifact_reference.h"

/* ---- reading ---- */

static int read_number(const json_t *input, const char *key, uint64_t missing, uint64_t min,
                       uint64_t max, uint64_t *ret_number, struct error *err)
{
    const json_t *value = json_object_get(input, key);
    json_int_t number = json_integer_value(value);
    if (value == NULL) {
        *ret_number = missing;
    } else if (!json_is_integer(value) || number < 0 || (uint64_t)number > max) {
        return error_set(err, ERR_INVALID, "\"%s\" must be a number from %" PRIu64 " to %" PRIu64,
                         key, min, max);
    } else {
        *ret_number = (uint64_t)number;
    }
    if (*ret_number < min)
        return error_set(err, ERR_INVALID, "\"%s\" must be a number from %" PRIu64 " to %" PRIu64,
                         key, min, max);
    return 0;
}

static int read_input(struct artifact_task *task, const json_t *input, struct error *err)
{
    if (!json_is_object(input))
        return error_set(err, ERR_INVALID, "the input must be an object with \"texts\"");
    int code = artifact_reference_read(json_object_get(input, "texts"), &task->texts, err);
    if (code != 0)
        error_prefix(err, "\"texts\" of the input");
    if (code == 0)
        code = read_number(input, "offset", 0, 0, INT64_MAX, &task->offset, err);
    if (code == 0)
        code = read_number(input, "count", 0, 1, ARTIFACT_TASK_TEXTS_MAX, &task->count, err);
    if (code == 0)
        code = read_number(input, "line", 1, 1, INT64_MAX / 2, &task->line, err);
    if (code != 0)
        return code;
    const json_t *format = json_object_get(input, "format");
    const char *name = json_string_value(format);
    if (format != NULL && (name == NULL || strcmp(name, "f32") != 0))
        return error_set(err, ERR_INVALID, "\"format\" must be \"f32\"");
    return model_name_take(input, &task->model, err);
}

int artifact_task_init(struct artifact_task *task, const char *json, size_t size, struct error *err)
{
    *task = (struct artifact_task){0};
    json_error_t where;
    json_t *input = json_loadb(json, size, 0, &where);
    if (input == NULL)
        return error_set(err, ERR_INVALID, "the input is no JSON: %s at byte %d", where.text,
                         where.position);
    int code = read_input(task, input, err);
    json_decref(input);
    if (code != 0) {
        artifact_task_fini(task);
        return code;
    }
    artifact_task_restart(task);
    return 0;
}

void artifact_task_fini(struct artifact_task *task)
{
    free(task->model);
    free(task->segments);
    *task = (struct artifact_task){0};
}

void artifact_task_restart(struct artifact_task *task)
{
    free(task->segments);
    task->segments = NULL;
    task->segment_count = 0;
    task->saved = task->done = task->truncated = 0;
    task->next_offset = task->offset;
    task->next_line = task->line;
}

/* ---- resuming ---- */

static bool read_segments(const json_t *list, uint64_t bytes, struct artifact_task *task)
{
    size_t count = json_array_size(list);
    if (count == 0 || count > ARTIFACT_TASK_SEGMENTS_MAX)
        return false;
    task->segments = calloc(count, sizeof *task->segments);
    uint64_t sum = 0;
    for (size_t i = 0; task->segments != NULL && i < count; i++) {
        struct artifact *segment = &task->segments[i];
        if (artifact_reference_read(json_array_get(list, i), segment, NULL) != 0 ||
            segment->size > bytes)
            return false;
        sum += segment->size;
    }
    task->segment_count = count;
    return task->segments != NULL && sum == bytes;
}

static bool read_progress(const json_t *details, uint32_t dimension, struct artifact_task *task)
{
    uint64_t wrote_dimension;
    if (read_number(details, "dimension", 0, 1, UINT32_MAX, &wrote_dimension, NULL) != 0 ||
        wrote_dimension != dimension ||
        read_number(details, "done", 0, 1, task->count, &task->done, NULL) != 0 ||
        read_number(details, "truncated", 0, 0, task->done, &task->truncated, NULL) != 0 ||
        read_number(details, "offset", 0, task->offset, INT64_MAX, &task->next_offset, NULL) != 0 ||
        read_number(details, "line", 0, task->line, INT64_MAX, &task->next_line, NULL) != 0)
        return false;
    task->saved = task->done;
    return read_segments(json_object_get(details, "segments"),
                         task->done * dimension * sizeof(float), task);
}

static bool is_same_text(const json_t *value, const char *text)
{
    const char *is = json_string_value(value);
    return is != NULL && strcmp(is, text) == 0;
}

bool artifact_task_resume(struct artifact_task *task, const char *details, size_t size,
                          const char *model_name, uint32_t dimension)
{
    ASSERT(task->done == 0);
    json_t *parsed = json_loadb(details, size, 0, NULL);
    bool is_right = is_same_text(json_object_get(parsed, "model"), model_name) &&
                    is_same_text(json_object_get(parsed, "texts"), task->texts.id) &&
                    read_progress(parsed, dimension, task);
    json_decref(parsed);
    if (!is_right)
        artifact_task_restart(task);
    return is_right;
}

int artifact_task_save(struct artifact_task *task, const struct artifact *segment,
                       struct error *err)
{
    if (task->segment_count == ARTIFACT_TASK_SEGMENTS_MAX)
        return error_set(err, ERR_LIMIT, "a checkpoint has at most %u segments",
                         ARTIFACT_TASK_SEGMENTS_MAX);
    size_t size = (task->segment_count + 1) * sizeof *task->segments;
    struct artifact *segments = realloc(task->segments, size);
    if (segments == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    segments[task->segment_count++] = *segment;
    task->segments = segments;
    task->saved = task->done;
    return 0;
}

/* ---- writing ---- */

static void write_artifact(const struct artifact *artifact, struct buffer *out)
{
    buffer_printf(out, "{\"artifact\":\"%s\",\"size\":%" PRIu64 "}", artifact->id, artifact->size);
}

void artifact_task_details(const struct artifact_task *task, const char *model_name,
                           uint32_t dimension, struct buffer *out)
{
    ASSERT(task->saved == task->done);
    buffer_printf(out,
                  "{\"done\":%" PRIu64 ",\"total\":%" PRIu64
                  ",\"texts\":\"%s\",\"model\":\"%s\",\"dimension\":%" PRIu32
                  ",\"truncated\":%" PRIu64 ",\"offset\":%" PRIu64 ",\"line\":%" PRIu64
                  ",\"segments\":[",
                  task->done, task->count, task->texts.id, model_name, dimension, task->truncated,
                  task->next_offset, task->next_line);
    for (size_t i = 0; i < task->segment_count; i++) {
        if (i > 0)
            buffer_append_byte(out, ',');
        write_artifact(&task->segments[i], out);
    }
    buffer_append_text(out, "]}");
}

void artifact_task_result(const struct artifact_task *task, const struct artifact *vectors,
                          const char *model_name, uint32_t dimension, struct buffer *out)
{
    ASSERT(task->done == task->count);
    buffer_append_text(out, "{\"vectors\":");
    write_artifact(vectors, out);
    buffer_printf(out,
                  ",\"count\":%" PRIu64 ",\"dimension\":%" PRIu32 ",\"truncated\":%" PRIu64
                  ",\"model\":\"%s\"}",
                  task->count, dimension, task->truncated, model_name);
}
