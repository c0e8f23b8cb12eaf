/* SPDX-License-Identifier: Apache-2.0 */
/* embed_artifact: see embed_artifact.h. */
#include "worker_gpu/embed_artifact.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "models/text_lines.h"
#include "worker_gpu/artifact_task.h"
#include "worker_gpu/batch_call.h"
#include "worker_gpu/failure.h"
#include "worker_gpu/gpu_context.h"
#include "worker_gpu/vector_file.h"

#define WINDOWS 2

/* Texts of a window: their vectors take 1.5 MiB for MiniLM. Tokens: two batches, so that with two
 * windows the batcher always has a batch of them ready. */
#define WINDOW_TEXTS_MAX 1024u
#define WINDOW_BATCHES   2u

/* A checkpoint is due after so long, and before its segment has grown larger than that: it is read
 * into memory. A heartbeat leaves the process every 0.8 heartbeat timeouts at most, so more of them
 * would only fill storage. */
#define CHECKPOINT_NS        (5 * NS_PER_S)
#define CHECKPOINT_BYTES_MAX ((uint64_t)32 << 20)

/* Texts on their way through the batcher. */
struct window {
    struct batch_call call;
    int32_t *ids;
    uint32_t *cu_seqlens; /* [WINDOW_TEXTS_MAX + 1] */
    float *vectors;       /* [WINDOW_TEXTS_MAX, width] */
    uint32_t texts;
    uint32_t truncated;
    uint64_t end_offset; /* of the line behind the last text */
    uint64_t end_line;
};

struct embedding {
    /* identity */
    const struct gpu_context *context;
    struct argosy_activity *activity;
    char owner[ARTIFACT_OWNER_MAX + 1];
    struct heartbeat heartbeat;

    /* the task */
    struct artifact_task task;
    struct served_model served;
    uint32_t width;
    uint64_t resumed; /* texts that were done before this dispatch */

    /* work */
    int texts_fd; /* -1: none */
    struct text_lines *lines;
    uint64_t read; /* texts */
    uint32_t window_tokens;
    struct window windows[WINDOWS];
    struct vector_file file;
    uint64_t checkpoint_ns;

    const char *failure_type; /* of a failure that a retry would not mend */
};

/* ---- checkpoints ---- */

static void send_details(struct embedding *embedding)
{
    struct buffer details = {0};
    artifact_task_details(&embedding->task, embedding->served.base->name, embedding->width,
                          &details);
    struct argosy_payload payload = {
        .encoding = ARGOSY_ENCODING_JSON, .data = details.data, .size = details.size};
    if (!details.failed) /* no memory for a checkpoint: the one before stays */
        argosy_activity_heartbeat(embedding->activity, &payload);
    buffer_fini(&details);
}

/* A checkpoint that cannot be made costs time if the task is lost, not the task. */
static void checkpoint(struct embedding *embedding)
{
    struct artifact_task *task = &embedding->task;
    struct artifact segment;
    struct error err;
    embedding->checkpoint_ns = clock_monotonic_ns();
    if (task->done == task->saved)
        return;
    uint64_t begin = task->saved * embedding->width * sizeof(float);
    int code = vector_file_put_from(&embedding->file, begin, embedding->context->storage,
                                    embedding->owner, &segment, &err);
    if (code == 0)
        code = artifact_task_save(task, &segment, &err);
    if (code == 0) {
        send_details(embedding);
        return;
    }
    char quoted[2 * ERROR_TEXT_MAX];
    log_warn("checkpoint.failed", "texts_done=%" PRIu64 " text=%s", task->done,
             log_quote(err.text, quoted, sizeof quoted));
}

static bool is_checkpoint_due(const struct embedding *embedding)
{
    uint64_t unsaved = embedding->task.done - embedding->task.saved;
    return clock_monotonic_ns() - embedding->checkpoint_ns >= CHECKPOINT_NS ||
           unsaved * embedding->width * sizeof(float) >= CHECKPOINT_BYTES_MAX;
}

/* Fetches the vectors of an earlier dispatch; where they are gone, all is done again. */
static int resume(struct embedding *embedding, struct error *err)
{
    struct artifact_task *task = &embedding->task;
    const struct argosy_payload *details = argosy_activity_last_heartbeat(embedding->activity);
    if (details->encoding == NULL || strcmp(details->encoding, ARGOSY_ENCODING_JSON) != 0 ||
        !artifact_task_resume(task, details->data, details->size, embedding->served.base->name,
                              embedding->width))
        return 0;
    int code = 0;
    for (size_t i = 0; code == 0 && i < task->segment_count; i++)
        code = vector_file_append_artifact(&embedding->file, embedding->context->storage,
                                           &task->segments[i], err);
    if (code == ERR_NOT_FOUND || code == ERR_CORRUPT) {
        artifact_task_restart(task);
        return vector_file_clear(&embedding->file, err);
    }
    return code;
}

/* ---- windows ---- */

static int window_open(struct embedding *embedding, struct window *window, struct error *err)
{
    window->ids = malloc(embedding->window_tokens * sizeof *window->ids);
    window->cu_seqlens = malloc((WINDOW_TEXTS_MAX + 1) * sizeof *window->cu_seqlens);
    window->vectors = malloc((size_t)WINDOW_TEXTS_MAX * embedding->width * sizeof(float));
    if (window->ids == NULL || window->cu_seqlens == NULL || window->vectors == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    return 0;
}

static void window_close(struct window *window)
{
    batch_call_wait(&window->call, NULL);
    batch_call_fini(&window->call);
    free(window->ids);
    free(window->cu_seqlens);
    free(window->vectors);
}

/* Appends a text's tokens; the window has room for one more than the model reads, which tells
 * whether the text was cut. */
static void window_add(struct embedding *embedding, struct window *window,
                       const struct text_line *line)
{
    const struct model *model = embedding->served.base->model;
    uint32_t longest = model->config.max_seq_length;
    uint32_t begin = window->cu_seqlens[window->texts];
    int32_t *ids = window->ids + begin;
    uint32_t tokens = tokenizer_encode(model->tokenizer, line->text, line->size, ids, longest + 1);
    if (tokens > longest) {
        ids[longest - 1] = ids[longest]; /* [SEP] ends a text that is cut, too */
        tokens = longest;
        window->truncated++;
    }
    window->texts++;
    window->cu_seqlens[window->texts] = begin + tokens;
    window->end_offset = line->end_offset;
    window->end_line = line->number + 1;
}

static int read_text(struct embedding *embedding, struct text_line *ret_line, struct error *err)
{
    const struct artifact_task *task = &embedding->task;
    struct text_line line = {0};
    int code = text_lines_next(embedding->lines, &line, err);
    if (code == 0 && line.text == NULL)
        code =
            error_set(err, ERR_INVALID, "the artifact ends after %" PRIu64 " of %" PRIu64 " texts",
                      embedding->read, task->count);
    if (code == ERR_INVALID)
        embedding->failure_type = FAILURE_INVALID_INPUT;
    *ret_line = line;
    return code;
}

/* Reads the next texts into a window and hands it to the batcher; none are left: nothing. */
static int window_begin(struct embedding *embedding, struct window *window, struct error *err)
{
    const struct argosy_activity_info *info = argosy_activity_info(embedding->activity);
    const struct base_model *base = embedding->served.base;
    uint32_t room = embedding->window_tokens - base->model->config.max_seq_length - 1;
    window->texts = window->truncated = 0;
    window->cu_seqlens[0] = 0;
    while (embedding->read < embedding->task.count && window->texts < WINDOW_TEXTS_MAX &&
           window->cu_seqlens[window->texts] <= room) {
        struct text_line line;
        int code = read_text(embedding, &line, err);
        if (code != 0)
            return code;
        window_add(embedding, window, &line);
        embedding->read++;
    }
    if (window->texts == 0)
        return 0;
    window->call.vectors = window->vectors;
    window->call.job = (struct batch_job){.ids = window->ids,
                                          .cu_seqlens = window->cu_seqlens,
                                          .texts = window->texts,
                                          .encoder = base->encoder,
                                          .priority = info->priority,
                                          .is_isolated = info->loss_count > 0};
    return batch_call_submit(&window->call, embedding->context->batcher, err);
}

/* Waits for a window's vectors and keeps them. */
static int window_end(struct embedding *embedding, struct window *window, struct error *err)
{
    int code = batch_call_wait(&window->call, err);
    if (code == 0)
        code = vector_file_append(&embedding->file, window->vectors,
                                  (size_t)window->texts * embedding->width * sizeof(float), err);
    if (code != 0)
        return code;
    embedding->task.done += window->texts;
    embedding->task.truncated += window->truncated;
    embedding->task.next_offset = window->end_offset;
    embedding->task.next_line = window->end_line;
    return 0;
}

/* ---- the activity ---- */

static int read_input(struct embedding *embedding, struct error *err)
{
    const struct argosy_payload *input = argosy_activity_input(embedding->activity);
    int code = input->encoding == NULL || strcmp(input->encoding, ARGOSY_ENCODING_JSON) != 0
                   ? error_set(err, ERR_INVALID, "the input is not " ARGOSY_ENCODING_JSON)
                   : artifact_task_init(&embedding->task, input->data, input->size, err);
    if (code == ERR_INVALID)
        embedding->failure_type = FAILURE_INVALID_INPUT;
    return code;
}

static int take_model(struct embedding *embedding, struct error *err)
{
    const struct gpu_context *context = embedding->context;
    int code = served_models_take(context->models, embedding->task.model, &embedding->served, err);
    if (code == ERR_DEVICE)
        context->on_device_failed(context->arg, err);
    if (code != 0) {
        embedding->failure_type = failure_of_model(code);
        return code;
    }
    embedding->width = embedding->served.base->model->config.hidden_size;
    embedding->window_tokens = WINDOW_BATCHES * context->batch_tokens + 1;
    return 0;
}

static int open_texts(struct embedding *embedding, struct error *err)
{
    const struct artifact_task *task = &embedding->task;
    uint64_t size;
    int code = artifact_open(embedding->context->storage, task->texts.id, NULL, NULL,
                             &embedding->texts_fd, &size, err);
    if (code == 0)
        code = text_lines_create(embedding->texts_fd, task->next_offset, task->next_line,
                                 &embedding->lines, err);
    if (code == ERR_NOT_FOUND || code == ERR_INVALID)
        embedding->failure_type = FAILURE_INVALID_INPUT;
    return code;
}

static int prepare(struct embedding *embedding, struct error *err)
{
    const struct gpu_context *context = embedding->context;
    int code = read_input(embedding, err);
    if (code == 0)
        code = take_model(embedding, err);
    if (code == 0)
        code = vector_file_open(&embedding->file, context->scratch_dir, err);
    if (code == 0)
        code = resume(embedding, err);
    if (code == 0)
        code = open_texts(embedding, err);
    for (int i = 0; code == 0 && i < WINDOWS; i++)
        code = window_open(embedding, &embedding->windows[i], err);
    embedding->read = embedding->resumed = embedding->task.done;
    embedding->checkpoint_ns = clock_monotonic_ns();
    return code;
}

/* ARGOSY_ACTIVITY_RELEASED when the worker drains: with a checkpoint, and no window under way. */
static int compute(struct embedding *embedding, struct error *err)
{
    int code = 0;
    for (int i = 0; code == 0 && i < WINDOWS; i++)
        code = window_begin(embedding, &embedding->windows[i], err);
    for (int turn = 0; code == 0 && embedding->task.done < embedding->task.count; turn++) {
        struct window *window = &embedding->windows[turn % WINDOWS];
        bool is_draining = argosy_activity_is_draining(embedding->activity);
        code = window_end(embedding, window, err);
        if (code == 0 && (is_draining || is_checkpoint_due(embedding)))
            checkpoint(embedding);
        if (code == 0 && is_draining && embedding->task.done < embedding->task.count)
            return ARGOSY_ACTIVITY_RELEASED;
        if (code == 0)
            code = window_begin(embedding, window, err);
    }
    return code;
}

static void log_done(const struct embedding *embedding)
{
    const struct argosy_activity_info *info = argosy_activity_info(embedding->activity);
    char workflow_id[2 * LIMIT_ID_LENGTH];
    log_info("artifact.embedded",
             "workflow_id=%s activity_id=%s attempt=%d loss=%d texts=%" PRIu64 " resumed=%" PRIu64,
             log_quote(info->workflow_id, workflow_id, sizeof workflow_id), info->activity_id,
             (int)info->attempt, (int)info->loss_count, embedding->task.count, embedding->resumed);
}

static int finish(struct embedding *embedding, struct argosy_payload *ret_result, struct error *err)
{
    struct artifact vectors;
    struct buffer out = {0};
    int code = vector_file_put(&embedding->file, embedding->context->storage, embedding->owner,
                               &vectors, err);
    if (code != 0)
        return code;
    artifact_task_result(&embedding->task, &vectors, embedding->served.base->name, embedding->width,
                         &out);
    char *text = out.failed
                     ? NULL
                     : argosy_arena_alloc(argosy_activity_arena(embedding->activity), out.size);
    if (text != NULL) {
        memcpy(text, out.data, out.size);
        *ret_result = (struct argosy_payload){
            .encoding = ARGOSY_ENCODING_JSON, .data = text, .size = out.size};
        log_done(embedding);
    } else {
        code = error_set(err, ERR_MEMORY, "out of memory");
    }
    buffer_fini(&out);
    return code;
}

static void embedding_fini(struct embedding *embedding)
{
    for (int i = 0; i < WINDOWS; i++)
        window_close(&embedding->windows[i]);
    text_lines_destroy(embedding->lines);
    if (embedding->texts_fd >= 0)
        close(embedding->texts_fd);
    vector_file_close(&embedding->file);
    served_models_give(embedding->context->models, &embedding->served);
    artifact_task_fini(&embedding->task);
}

int embed_artifact(struct argosy_activity *activity, void *user_data,
                   struct argosy_payload *ret_result, struct argosy_error *err)
{
    struct embedding embedding = {.context = user_data,
                                  .activity = activity,
                                  .heartbeat = {.activity = activity},
                                  .texts_fd = -1,
                                  .file = {.fd = -1}};
    struct error why = {0};
    snprintf(embedding.owner, sizeof embedding.owner, "workflow:%s",
             argosy_activity_info(activity)->workflow_id);
    for (int i = 0; i < WINDOWS; i++)
        batch_call_init(&embedding.windows[i].call, activity);
    heartbeats_add(embedding.context->heartbeats, &embedding.heartbeat);
    int code = prepare(&embedding, &why);
    if (code == 0)
        code = compute(&embedding, &why);
    if (code == 0)
        code = finish(&embedding, ret_result, &why);
    heartbeats_remove(embedding.context->heartbeats, &embedding.heartbeat);
    embedding_fini(&embedding);
    if (code == 0 || code == ARGOSY_ACTIVITY_RELEASED)
        return code;
    return failure_set(activity, embedding.failure_type, &why, err);
}
