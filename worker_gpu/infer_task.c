/* SPDX-License-Identifier: Apache-2.0 */
/* infer_task: see infer_task.h. */
#include "worker_gpu/infer_task.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/limits.h"
#include "worker_gpu/model_name.h"

/* Digits of a score: fp32 has hardly more. */
#define SCORE_DIGITS 7

static int take_input(struct infer_task *task, const json_t *input, struct error *err)
{
    const json_t *text = json_is_object(input) ? json_object_get(input, "text") : input;
    if (!json_is_string(text))
        return error_set(err, ERR_INVALID, "the input must be a text, or an object with \"text\"");
    size_t size = json_string_length(text);
    task->text = malloc(size + 1);
    if (task->text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    memcpy(task->text, json_string_value(text), size + 1);
    task->text_size = size;
    return model_name_take(input, &task->model, err);
}

int infer_task_init(struct infer_task *task, const char *json, size_t size, struct error *err)
{
    *task = (struct infer_task){0};
    json_error_t where;
    json_t *input = json_loadb(json, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &where);
    if (input == NULL)
        return error_set(err, ERR_INVALID, "the input is no JSON: %s at byte %d", where.text,
                         where.position);
    int code = take_input(task, input, err);
    json_decref(input);
    if (code != 0)
        infer_task_fini(task);
    return code;
}

int infer_task_tokenise(struct infer_task *task, const struct model *model, struct error *err)
{
    size_t size = task->text_size;
    uint32_t longest = model->config.max_seq_length;
    uint32_t capacity = size + 2 < longest ? (uint32_t)size + 2 : longest;
    task->ids = malloc(capacity * sizeof *task->ids);
    if (task->ids == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    task->cu_seqlens[1] = tokenizer_encode(model->tokenizer, task->text, size, task->ids, capacity);
    return 0;
}

void infer_task_fini(struct infer_task *task)
{
    free(task->text);
    free(task->model);
    free(task->ids);
    *task = (struct infer_task){0};
}

int infer_task_result(const struct infer_task *task, const char *model, const char *label,
                      float score, struct buffer *out, struct error *err)
{
    if (!isfinite(score))
        return error_set(err, ERR_INTERNAL, "the score is not finite");
    json_t *result =
        json_pack("{s:s%, s:s, s:f, s:s*}", "input", task->text, task->text_size, "label", label,
                  "score", (double)score, "model", task->model != NULL ? model : NULL);
    char *text = json_dumps(result, JSON_COMPACT | JSON_REAL_PRECISION(SCORE_DIGITS));
    json_decref(result);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    size_t size = strlen(text);
    buffer_append(out, text, size);
    free(text);
    if (out->failed)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (size > LIMIT_PAYLOAD_SIZE)
        return error_set(err, ERR_LIMIT, "the result has %zu bytes, above the limit of %zu", size,
                         LIMIT_PAYLOAD_SIZE);
    return 0;
}
