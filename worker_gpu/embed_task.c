/* SPDX-License-Identifier: Apache-2.0 */
/* embed_task: see embed_task.h. */
#include "worker_gpu/embed_task.h"

#include <stdlib.h>
#include <string.h>

#include "common/arena.h"
#include "common/assert.h"
#include "common/base64.h"
#include "worker_gpu/model_name.h"
#include "worker_gpu/vector_text.h"

/* A JSON number of a vector takes 12 characters or so; never fewer than this on average. Refusing
 * by it before the work spares only work that was certainly in vain. */
#define JSON_NUMBER_MIN 8

static int parse_format(const json_t *format, bool *ret_is_binary, struct error *err)
{
    const char *name = json_string_value(format);
    bool is_binary = name != NULL && strcmp(name, "binary") == 0;
    if (format != NULL && !is_binary && (name == NULL || strcmp(name, "json") != 0))
        return error_set(err, ERR_INVALID, "\"format\" must be \"json\" or \"binary\"");
    *ret_is_binary = is_binary;
    return 0;
}

static const json_t *list_of(const json_t *input)
{
    return json_is_object(input) ? json_object_get(input, "texts") : input;
}

static int take_input(struct embed_task *task, struct error *err)
{
    const json_t *texts = list_of(task->input);
    int code = 0;
    if (json_is_object(task->input))
        code = parse_format(json_object_get(task->input, "format"), &task->is_binary, err);
    if (code != 0)
        return code;
    if (!json_is_array(texts))
        return error_set(err, ERR_INVALID,
                         "the input must be a list of texts, or an object with "
                         "\"texts\"");
    for (size_t i = 0; i < json_array_size(texts); i++) {
        if (!json_is_string(json_array_get(texts, i)))
            return error_set(err, ERR_INVALID, "text %zu of the input is no string", i);
    }
    return model_name_take(task->input, &task->model, err);
}

static int check_result_size(const struct embed_task *task, size_t texts, struct error *err)
{
    size_t number = task->is_binary ? sizeof(float) : JSON_NUMBER_MIN;
    size_t texts_max = LIMIT_PAYLOAD_SIZE / (number * task->width);
    if (texts > texts_max)
        return error_set(err, ERR_LIMIT,
                         "the vectors of %zu texts do not fit one result (at most "
                         "%zu as %s): send fewer at once%s",
                         texts, texts_max, task->is_binary ? "binary" : "JSON",
                         task->is_binary ? "" : ", or ask for the format \"binary\"");
    return 0;
}

static int tokenise(struct embed_task *task, const struct model *model, struct error *err)
{
    const json_t *texts = list_of(task->input);
    uint32_t longest = model->config.max_seq_length;
    size_t room = 0;
    for (uint32_t i = 0; i < task->texts; i++) {
        /* A byte gives at most one token; [CLS] and [SEP] are two more. */
        size_t most = json_string_length(json_array_get(texts, i)) + 2;
        room += most < longest ? most : longest;
    }
    task->ids = malloc((room + 1) * sizeof *task->ids);
    task->cu_seqlens = malloc((task->texts + 1) * sizeof *task->cu_seqlens);
    task->vectors = malloc((task->texts + 1) * (size_t)task->width * sizeof *task->vectors);
    if (task->ids == NULL || task->cu_seqlens == NULL || task->vectors == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    uint32_t used = 0;
    task->cu_seqlens[0] = 0;
    for (uint32_t i = 0; i < task->texts; i++) {
        const json_t *text = json_array_get(texts, i);
        size_t size = json_string_length(text);
        uint32_t capacity = size + 2 < longest ? (uint32_t)size + 2 : longest;
        used += tokenizer_encode(model->tokenizer, json_string_value(text), size, task->ids + used,
                                 capacity);
        task->cu_seqlens[i + 1] = used;
    }
    return 0;
}

int embed_task_init(struct embed_task *task, const char *json, size_t size, struct error *err)
{
    *task = (struct embed_task){0};
    json_error_t where;
    task->input = json_loadb(json, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
    if (task->input == NULL)
        return error_set(err, ERR_INVALID, "the input is no JSON: %s at byte %d", where.text,
                         where.position);
    int code = take_input(task, err);
    if (code != 0)
        embed_task_fini(task);
    return code;
}

int embed_task_tokenise(struct embed_task *task, const struct model *model, struct error *err)
{
    task->width = model->config.hidden_size;
    size_t texts = json_array_size(list_of(task->input));
    int code = check_result_size(task, texts, err);
    if (code != 0)
        return code;
    task->texts = (uint32_t)texts;
    code = tokenise(task, model, err);
    json_decref(task->input);
    task->input = NULL;
    return code;
}

void embed_task_fini(struct embed_task *task)
{
    json_decref(task->input);
    free(task->model);
    free(task->ids);
    free(task->cu_seqlens);
    free(task->vectors);
    *task = (struct embed_task){0};
}

/* Whether text is the base64 of exactly size bytes, which are then in out. */
static bool decode_vectors(const json_t *text, void *out, size_t size)
{
    struct arena arena;
    uint8_t *data;
    size_t data_size;
    arena_init(&arena, ARENA_NO_LIMIT);
    bool is_right = base64_decode(&arena, json_string_value(text), json_string_length(text), &data,
                                  &data_size) == BASE64_OK &&
                    data_size == size;
    if (is_right)
        memcpy(out, data, size);
    arena_fini(&arena);
    return is_right;
}

static uint32_t resume_from(struct embed_task *task, const json_t *details, const char *model_name)
{
    const char *model = json_string_value(json_object_get(details, "model"));
    const json_t *vectors = json_object_get(details, "vectors");
    json_int_t done = json_integer_value(json_object_get(details, "done"));
    json_int_t width = json_integer_value(json_object_get(details, "width"));
    if (model == NULL || strcmp(model, model_name) != 0 || width != (json_int_t)task->width ||
        done < 1 || done > (json_int_t)task->texts || !json_is_string(vectors))
        return 0;
    size_t wanted = (size_t)done * task->width * sizeof *task->vectors;
    return decode_vectors(vectors, task->vectors, wanted) ? (uint32_t)done : 0;
}

uint32_t embed_task_resume(struct embed_task *task, const char *details, size_t size,
                           const char *model_name)
{
    ASSERT(task->done == 0);
    json_t *parsed = json_loadb(details, size, 0, NULL);
    if (parsed == NULL)
        return 0;
    task->done = resume_from(task, parsed, model_name);
    json_decref(parsed);
    return task->done;
}

void embed_task_add(struct embed_task *task, uint32_t count, const float *vectors)
{
    ASSERT(count <= task->texts - task->done);
    memcpy(task->vectors + (size_t)task->done * task->width, vectors,
           (size_t)count * task->width * sizeof *vectors);
    task->done += count;
}

void embed_task_details(const struct embed_task *task, const char *model_name, struct buffer *out)
{
    size_t vector_size = task->width * sizeof *task->vectors;
    size_t kept = EMBED_DETAILS_MAX / 4 * 3 / vector_size;
    if (kept > task->done)
        kept = task->done;
    /* A model's name has letters, digits and "-_.": nothing to escape (model_store.h). */
    buffer_printf(out, "{\"done\":%zu,\"total\":%u,\"width\":%u,\"model\":\"%s\",\"vectors\":\"",
                  kept, task->texts, task->width, model_name);
    struct arena arena;
    arena_init(&arena, ARENA_NO_LIMIT);
    const char *text = base64_encode(&arena, (const uint8_t *)task->vectors, kept * vector_size);
    buffer_append_text(out, text != NULL ? text : "");
    out->failed |= text == NULL;
    arena_fini(&arena);
    buffer_append_text(out, "\"}");
}

int embed_task_result(const struct embed_task *task, struct buffer *out, struct error *err)
{
    ASSERT(task->done == task->texts);
    size_t begin = out->size;
    int code = 0;
    if (task->is_binary)
        buffer_append(out, task->vectors, (size_t)task->texts * task->width * sizeof(float));
    else
        code = vectors_append_json(out, task->vectors, task->texts, task->width, err);
    if (code != 0)
        return code;
    if (out->failed)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (out->size - begin > LIMIT_PAYLOAD_SIZE)
        return error_set(err, ERR_LIMIT,
                         "the result has %zu bytes, above the limit of %zu: send "
                         "fewer texts at once, or ask for the format \"binary\"",
                         out->size - begin, LIMIT_PAYLOAD_SIZE);
    return 0;
}
