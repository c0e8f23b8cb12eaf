/* SPDX-License-Identifier: Apache-2.0 */
/* classify_artifact: see classify_artifact.h. */
#include "worker_gpu/classify_artifact.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "models/text_lines.h"
#include "worker_gpu/artifact_task.h"
#include "worker_gpu/batch_call.h"
#include "worker_gpu/failure.h"
#include "worker_gpu/gpu_context.h"
#include "workflows/artifact_reference.h"
#include "workflows/json_payload.h"

/* Texts given to the batcher at once: enough for a batch. */
#define WINDOW_TEXTS 256u

/* Digits of a score: fp32 has hardly more. */
#define SCORE_DIGITS 7

struct classifying {
    /* identity */
    const struct gpu_context *context;
    struct argosy_activity *activity;
    char owner[ARTIFACT_OWNER_MAX + 1];
    struct heartbeat heartbeat;

    /* the task */
    struct artifact_task task;
    struct served_model served;
    int texts_fd; /* -1: none */
    struct text_lines *lines;

    /* a window's texts and what became of them */
    struct batch_call call;
    int32_t *ids;         /* [WINDOW_TEXTS, the model's longest] */
    uint32_t *cu_seqlens; /* [WINDOW_TEXTS + 1] */
    float *vectors;       /* [WINDOW_TEXTS, width] */
    float *probabilities; /* [WINDOW_TEXTS, classes] */

    struct buffer labels;
    const char *failure_type; /* of a failure that a retry would not mend */
};

static int invalid(struct classifying *classifying, int code)
{
    if (code == ERR_INVALID || code == ERR_NOT_FOUND)
        classifying->failure_type = FAILURE_INVALID_INPUT;
    return code;
}

/* ---- reading ---- */

static int read_input(struct classifying *classifying, struct error *err)
{
    const struct argosy_payload *input = argosy_activity_input(classifying->activity);
    if (input->encoding == NULL || strcmp(input->encoding, ARGOSY_ENCODING_JSON) != 0)
        return error_set(err, ERR_INVALID, "the input is not " ARGOSY_ENCODING_JSON);
    int code = artifact_task_init(&classifying->task, input->data, input->size, err);
    if (code == 0 && classifying->task.count > CLASSIFY_TEXTS_MAX)
        code =
            error_set(err, ERR_INVALID, "\"count\" is above the limit of %u", CLASSIFY_TEXTS_MAX);
    return code;
}

static int open_texts(struct classifying *classifying, struct error *err)
{
    const struct artifact_task *task = &classifying->task;
    uint64_t size;
    int code = artifact_open(classifying->context->storage, task->texts.id, NULL, NULL,
                             &classifying->texts_fd, &size, err);
    return code == 0 ? text_lines_create(classifying->texts_fd, task->offset, task->line,
                                         &classifying->lines, err)
                     : code;
}

static int take_model(struct classifying *classifying, struct error *err)
{
    const struct gpu_context *context = classifying->context;
    int code =
        served_models_take(context->models, classifying->task.model, &classifying->served, err);
    if (code == ERR_DEVICE)
        context->on_device_failed(context->arg, err);
    if (code != 0)
        classifying->failure_type = failure_of_model(code);
    return code;
}

static int take_room(struct classifying *classifying, struct error *err)
{
    const struct base_model *base = classifying->served.base;
    size_t longest = base->model->config.max_seq_length;
    size_t classes = encoder_class_count(base->encoder);
    classifying->ids = malloc(WINDOW_TEXTS * longest * sizeof *classifying->ids);
    classifying->cu_seqlens = malloc((WINDOW_TEXTS + 1) * sizeof *classifying->cu_seqlens);
    classifying->vectors =
        malloc(WINDOW_TEXTS * encoder_width(base->encoder) * sizeof *classifying->vectors);
    classifying->probabilities =
        malloc((WINDOW_TEXTS * classes + 1) * sizeof *classifying->probabilities);
    return classifying->ids == NULL || classifying->cu_seqlens == NULL ||
                   classifying->vectors == NULL || classifying->probabilities == NULL
               ? error_set(err, ERR_MEMORY, "out of memory")
               : 0;
}

static int prepare(struct classifying *classifying, struct error *err)
{
    int code = invalid(classifying, read_input(classifying, err));
    if (code == 0)
        code = invalid(classifying, open_texts(classifying, err));
    if (code == 0)
        code = take_model(classifying, err);
    if (code == 0)
        code = take_room(classifying, err);
    return code;
}

/* ---- windows ---- */

/* The next texts as tokens, at most count; *ret_texts of them. */
static int window_read(struct classifying *classifying, uint64_t count, uint32_t *ret_texts,
                       struct error *err)
{
    const struct model *model = classifying->served.base->model;
    uint32_t texts = 0;
    classifying->cu_seqlens[0] = 0;
    while (texts < count && texts < WINDOW_TEXTS) {
        struct text_line line;
        int code = text_lines_next(classifying->lines, &line, err);
        if (code == 0 && line.text == NULL)
            code = error_set(err, ERR_INVALID, "the artifact has fewer than %" PRIu64 " texts",
                             classifying->task.count);
        if (code != 0)
            return invalid(classifying, code);
        uint32_t begin = classifying->cu_seqlens[texts++];
        classifying->cu_seqlens[texts] =
            begin + tokenizer_encode(model->tokenizer, line.text, line.size,
                                     classifying->ids + begin, model->config.max_seq_length);
    }
    *ret_texts = texts;
    return 0;
}

static int window_compute(struct classifying *classifying, uint32_t texts, struct error *err)
{
    const struct argosy_activity_info *info = argosy_activity_info(classifying->activity);
    classifying->call.vectors = classifying->vectors;
    classifying->call.probabilities = classifying->probabilities;
    classifying->call.job = (struct batch_job){.ids = classifying->ids,
                                               .cu_seqlens = classifying->cu_seqlens,
                                               .texts = texts,
                                               .encoder = classifying->served.base->encoder,
                                               .priority = info->priority,
                                               .is_isolated = info->loss_count > 0};
    int code = batch_call_submit(&classifying->call, classifying->context->batcher, err);
    return code == 0 ? batch_call_wait(&classifying->call, err) : code;
}

static int label_write(struct classifying *classifying, const char *label, float score,
                       struct error *err)
{
    if (!isfinite(score))
        return error_set(err, ERR_INTERNAL, "the score is not finite");
    json_t *line = json_pack("{s:s, s:f}", "label", label, "score", (double)score);
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(SCORE_DIGITS));
    json_decref(line);
    if (text == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    buffer_append_text(&classifying->labels, text);
    buffer_append_byte(&classifying->labels, '\n');
    free(text);
    return 0;
}

static int window_label(struct classifying *classifying, uint32_t texts, struct error *err)
{
    const struct base_model *base = classifying->served.base;
    size_t width = encoder_width(base->encoder), classes = encoder_class_count(base->encoder);
    int code = 0;
    for (uint32_t i = 0; code == 0 && i < texts; i++) {
        const char *label;
        float score;
        served_model_classify(&classifying->served, classifying->vectors + i * width,
                              classifying->probabilities + i * classes, &label, &score);
        code = label_write(classifying, label, score, err);
    }
    return code;
}

/* ARGOSY_ACTIVITY_RELEASED when the worker drains. */
static int compute(struct classifying *classifying, struct error *err)
{
    uint64_t left = classifying->task.count;
    while (left > 0) {
        uint32_t texts;
        if (argosy_activity_is_draining(classifying->activity))
            return ARGOSY_ACTIVITY_RELEASED;
        int code = window_read(classifying, left, &texts, err);
        if (code == 0)
            code = window_compute(classifying, texts, err);
        if (code == 0)
            code = window_label(classifying, texts, err);
        if (code != 0)
            return code;
        left -= texts;
    }
    return 0;
}

/* ---- the activity ---- */

static int finish(struct classifying *classifying, struct argosy_payload *ret_result,
                  struct error *err)
{
    struct artifact labels;
    if (classifying->labels.failed)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = artifact_put_bytes(classifying->context->storage, classifying->labels.data,
                                  classifying->labels.size, classifying->owner, &labels, err);
    if (code != 0)
        return code;
    return json_payload_write(json_pack("{s:o, s:I, s:s}", "labels",
                                        artifact_reference_create(&labels), "count",
                                        (json_int_t)classifying->task.count, "model",
                                        served_model_name(&classifying->served)),
                              argosy_activity_arena(classifying->activity), ret_result, err);
}

static void classifying_fini(struct classifying *classifying)
{
    batch_call_fini(&classifying->call);
    free(classifying->ids);
    free(classifying->cu_seqlens);
    free(classifying->vectors);
    free(classifying->probabilities);
    buffer_fini(&classifying->labels);
    text_lines_destroy(classifying->lines);
    if (classifying->texts_fd >= 0)
        close(classifying->texts_fd);
    served_models_give(classifying->context->models, &classifying->served);
    artifact_task_fini(&classifying->task);
}

int classify_artifact(struct argosy_activity *activity, void *user_data,
                      struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct classifying classifying = {.context = user_data,
                                      .activity = activity,
                                      .heartbeat = {.activity = activity},
                                      .texts_fd = -1};
    struct error why = {0};
    snprintf(classifying.owner, sizeof classifying.owner, "workflow:%s",
             argosy_activity_info(activity)->workflow_id);
    batch_call_init(&classifying.call, activity);
    heartbeats_add(classifying.context->heartbeats, &classifying.heartbeat);
    int code = prepare(&classifying, &why);
    if (code == 0)
        code = compute(&classifying, &why);
    if (code == 0)
        code = finish(&classifying, ret_result, &why);
    heartbeats_remove(classifying.context->heartbeats, &classifying.heartbeat);
    classifying_fini(&classifying);
    if (code == 0 || code == ARGOSY_ACTIVITY_RELEASED)
        return code;
    return failure_set(activity, classifying.failure_type, &why, err);
}
