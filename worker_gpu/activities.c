/* SPDX-License-Identifier: Apache-2.0 */
/* activities: see activities.h. */
#include "worker_gpu/activities.h"

#include <argosy/activity.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/hash.h"
#include "common/limits.h"
#include "common/log.h"
#include "worker_gpu/batcher.h"
#include "worker_gpu/embed_task.h"
#include "worker_gpu/infer_task.h"
#include "worker_gpu/thread_pool.h"

/* How often a task hands its checkpoint to the SDK, which sends it on much more rarely: a
 * checkpoint of half a megabyte costs about a millisecond to write. */
#define HEARTBEAT_NS (500 * NS_PER_MS)

enum task_kind { TASK_INFER, TASK_EMBED };

struct gpu_task {
    /* identity */
    struct gpu_activities *activities;
    struct argosy_activity *activity;
    enum task_kind kind;

    /* work */
    struct infer_task infer;
    struct embed_task embed;
    struct batch_job batch_job;
    const char *label; /* what was inferred */
    float score;

    /* outcome */
    int code;
    struct error err;
    bool is_input_wrong;

    /* heartbeats */
    uint64_t heartbeat_ns; /* when it last had one */
    bool has_advanced;     /* since then, and is not at its end */
    bool has_checkpoint;   /* one was handed on */

    /* links */
    struct pool_job pool_job;
    struct gpu_task *prev, *next; /* of gpu_activities.open */
};

struct gpu_activities {
    struct gpu_activities_options options;
    struct thread_pool *pool;
    struct batcher *batcher;
    /* Tasks that heartbeats are sent for. The SDK is called with the mutex held, so it must not be
     * taken where the SDK calls us. */
    pthread_mutex_t mutex;
    struct gpu_task *open;
    struct buffer details; /* of the compute thread */
};

#define TASK_OF(pointer, member)                                                                   \
    ((struct gpu_task *)(void *)((char *)(pointer)-offsetof(struct gpu_task, member)))

/* ---- heartbeats ---- */

static void heartbeat(struct gpu_task *task, struct buffer *details)
{
    if (!task->has_advanced) {
        argosy_activity_heartbeat(task->activity, NULL);
        return;
    }
    task->has_advanced = false;
    task->has_checkpoint = true;
    buffer_clear(details);
    embed_task_details(&task->embed, task->activities->options.model_name, details);
    if (details->failed) /* no memory for a checkpoint: the one before stays */
        return;
    struct argosy_payload payload = {
        .encoding = ARGOSY_ENCODING_JSON, .data = details->data, .size = details->size};
    argosy_activity_heartbeat(task->activity, &payload);
}

static void heartbeat_all(struct gpu_activities *activities)
{
    uint64_t now_ns = clock_monotonic_ns();
    pthread_mutex_lock(&activities->mutex);
    struct gpu_task *task;
    DL_FOREACH (activities->open, task) {
        bool is_first = task->has_advanced && !task->has_checkpoint;
        if (is_first || now_ns - task->heartbeat_ns >= HEARTBEAT_NS) {
            task->heartbeat_ns = now_ns;
            heartbeat(task, &activities->details);
        }
    }
    pthread_mutex_unlock(&activities->mutex);
}

static void task_open(struct gpu_task *task)
{
    struct gpu_activities *activities = task->activities;
    task->heartbeat_ns = clock_monotonic_ns();
    pthread_mutex_lock(&activities->mutex);
    DL_APPEND(activities->open, task);
    pthread_mutex_unlock(&activities->mutex);
}

static void task_close(struct gpu_task *task)
{
    struct gpu_activities *activities = task->activities;
    pthread_mutex_lock(&activities->mutex);
    DL_DELETE(activities->open, task);
    pthread_mutex_unlock(&activities->mutex);
}

/* ---- answered ---- */

static void answer_result(struct gpu_task *task)
{
    struct buffer out = {0};
    int code = task->kind == TASK_EMBED
                   ? embed_task_result(&task->embed, &out, &task->err)
                   : infer_task_result(&task->infer, task->label, task->score, &out, &task->err);
    if (code == 0) {
        bool is_binary = task->kind == TASK_EMBED && task->embed.is_binary;
        struct argosy_payload payload = {
            .encoding = is_binary ? ARGOSY_ENCODING_BINARY : ARGOSY_ENCODING_JSON,
            .data = out.data,
            .size = out.size,
        };
        argosy_activity_complete(task->activity, &payload);
    } else {
        task->code = code;
        task->is_input_wrong = code == ERR_LIMIT; /* the same texts give the same size again */
    }
    buffer_fini(&out);
}

static void answer_failure(struct gpu_task *task)
{
    struct argosy_error err = {0};
    if (task->is_input_wrong)
        argosy_failure_raise(argosy_activity_arena(task->activity),
                             &(struct argosy_failure_options){.type = "InvalidInput",
                                                              .message = task->err.text,
                                                              .non_retryable = true},
                             &err);
    else
        argosy_error_set(&err, task->code, "%s", task->err.text);
    argosy_activity_fail(task->activity, &err);
}

/* The task goes: back to the engine with its newest checkpoint, or closed as canceled. */
static void answer_unwanted(struct gpu_task *task)
{
    if (!argosy_activity_is_draining(task->activity)) {
        argosy_activity_cancel(task->activity);
        return;
    }
    struct buffer details = {0};
    heartbeat(task, &details);
    buffer_fini(&details);
    argosy_activity_release(task->activity);
}

static void task_destroy(struct gpu_task *task)
{
    infer_task_fini(&task->infer);
    embed_task_fini(&task->embed);
    free(task);
}

static void answer(struct gpu_task *task)
{
    task_close(task);
    if (task->code == 0)
        answer_result(task);
    if (task->code == ERR_CANCELED)
        answer_unwanted(task);
    else if (task->code != 0)
        answer_failure(task);
    task_destroy(task);
}

static void answer_job(struct pool_job *job)
{
    answer(TASK_OF(job, pool_job));
}

/* ---- computed: on the batcher's thread ---- */

static bool is_wanted(void *arg, const struct batch_job *job)
{
    (void)arg;
    return !argosy_activity_is_canceled(TASK_OF(job, batch_job)->activity);
}

static void classify(struct gpu_task *task, const float *vector, const float *probabilities)
{
    const struct gpu_activities_options *options = &task->activities->options;
    if (probabilities == NULL) {
        task->label = zero_shot_classify(options->zero_shot, vector, &task->score);
        return;
    }
    uint32_t best = 0;
    for (uint32_t i = 1; i < options->model->config.label_count; i++) {
        if (probabilities[i] > probabilities[best])
            best = i;
    }
    task->label = options->model->config.labels[best];
    task->score = probabilities[best];
}

static void on_results(void *arg, struct batch_job *job, uint32_t first_text, uint32_t count,
                       const float *vectors, const float *probabilities)
{
    (void)arg;
    struct gpu_task *task = TASK_OF(job, batch_job);
    if (task->kind == TASK_INFER) {
        classify(task, vectors, probabilities);
        return;
    }
    ASSERT(first_text == task->embed.done);
    embed_task_add(&task->embed, count, vectors);
    task->has_advanced = task->embed.done < task->embed.texts;
}

static void on_end(void *arg, struct batch_job *job, int code, const struct error *err)
{
    struct gpu_activities *activities = arg;
    struct gpu_task *task = TASK_OF(job, batch_job);
    task->code = code;
    if (err != NULL)
        task->err = *err;
    task->pool_job.run = answer_job;
    thread_pool_submit(activities->pool, &task->pool_job);
}

static void on_turn(void *arg)
{
    struct gpu_activities *activities = arg;
    heartbeat_all(activities);
    activities->options.on_turn(activities->options.arg);
}

static void on_device_failed(void *arg, const struct error *err)
{
    struct gpu_activities *activities = arg;
    activities->options.on_device_failed(activities->options.arg, err);
}

/* ---- read: on a pool thread ---- */

static void log_resumed(const struct gpu_task *task)
{
    const struct argosy_activity_info *info = argosy_activity_info(task->activity);
    char workflow_id[2 * LIMIT_ID_LENGTH];
    log_info("activity.resumed", "type=%s workflow_id=%s attempt=%d loss=%d texts_done=%u texts=%u",
             info->activity_type, log_quote(info->workflow_id, workflow_id, sizeof workflow_id),
             (int)info->attempt, (int)info->loss_count, task->embed.done, task->embed.texts);
}

static int read_embed(struct gpu_task *task, const struct argosy_payload *input)
{
    const struct gpu_activities_options *options = &task->activities->options;
    int code = embed_task_init(&task->embed, input->data, input->size, options->model, &task->err);
    if (code != 0)
        return code;
    const struct argosy_payload *details = argosy_activity_last_heartbeat(task->activity);
    if (details->encoding != NULL && strcmp(details->encoding, ARGOSY_ENCODING_JSON) == 0)
        embed_task_resume(&task->embed, details->data, details->size, options->model_name);
    if (task->embed.done > 0)
        log_resumed(task);
    task->batch_job.ids = task->embed.ids;
    task->batch_job.cu_seqlens = task->embed.cu_seqlens;
    task->batch_job.texts = task->embed.texts;
    task->batch_job.next_text = task->embed.done;
    return 0;
}

static int read_infer(struct gpu_task *task, const struct argosy_payload *input)
{
    int code = infer_task_init(&task->infer, input->data, input->size,
                               task->activities->options.model, &task->err);
    task->batch_job.ids = task->infer.ids;
    task->batch_job.cu_seqlens = task->infer.cu_seqlens;
    task->batch_job.texts = 1;
    return code;
}

static int read_input(struct gpu_task *task)
{
    const struct argosy_payload *input = argosy_activity_input(task->activity);
    if (input->encoding == NULL || strcmp(input->encoding, ARGOSY_ENCODING_JSON) != 0)
        return error_set(&task->err, ERR_INVALID, "the input is %s, not " ARGOSY_ENCODING_JSON,
                         input->encoding != NULL ? input->encoding : "absent");
    return task->kind == TASK_EMBED ? read_embed(task, input) : read_infer(task, input);
}

/* Whether the batcher has the task now; else it is to be answered. */
static bool read_and_submit(struct gpu_task *task)
{
    task->code = read_input(task);
    task->is_input_wrong = task->code == ERR_INVALID || task->code == ERR_LIMIT;
    if (task->code != 0 || task->batch_job.next_text == task->batch_job.texts)
        return false;
    task->batch_job.is_isolated = argosy_activity_info(task->activity)->loss_count > 0;
    /* Once submitted, the task is the compute thread's: it may be answered and gone already. */
    struct error err;
    int code = batcher_submit(task->activities->batcher, &task->batch_job, &err);
    if (code == 0)
        return true;
    task->code = code;
    task->err = err;
    return false;
}

static void read_job(struct pool_job *job)
{
    struct gpu_task *task = TASK_OF(job, pool_job);
    struct batcher *batcher = task->activities->batcher;
    task_open(task);
    if (!read_and_submit(task))
        answer(task);
    batcher_expect(batcher, -1); /* the task may be gone by now */
}

/* ---- taken: on the worker's loop ---- */

static void take(struct argosy_activity *activity, struct gpu_activities *activities,
                 enum task_kind kind)
{
    struct gpu_task *task = calloc(1, sizeof *task);
    if (task == NULL) {
        struct argosy_error err;
        argosy_error_set(&err, ARGOSY_ERR_MEMORY, "out of memory");
        argosy_activity_fail(activity, &err);
        return;
    }
    task->activities = activities;
    task->activity = activity;
    task->kind = kind;
    task->pool_job.run = read_job;
    batcher_expect(activities->batcher, 1);
    thread_pool_submit(activities->pool, &task->pool_job);
}

static void run_inference(struct argosy_activity *activity, void *user_data)
{
    take(activity, user_data, TASK_INFER);
}

static void compute_embeddings(struct argosy_activity *activity, void *user_data)
{
    take(activity, user_data, TASK_EMBED);
}

int gpu_activities_register(struct gpu_activities *activities, struct argosy_registry *registry,
                            struct error *err)
{
    struct argosy_error why = {0};
    int code = argosy_registry_add_async_activity(registry, ACTIVITY_RUN_INFERENCE, run_inference,
                                                  activities, &why);
    if (code == 0)
        code = argosy_registry_add_async_activity(registry, ACTIVITY_COMPUTE_EMBEDDINGS,
                                                  compute_embeddings, activities, &why);
    return code == 0 ? 0 : error_set(err, code, "could not register activities: %s", why.text);
}

/* ---- making and freeing ---- */

int gpu_activities_create(const struct gpu_activities_options *options,
                          struct gpu_activities **ret_activities, struct error *err)
{
    ASSERT(options->zero_shot != NULL || options->model->config.label_count > 0);
    struct gpu_activities *activities = calloc(1, sizeof *activities);
    if (activities == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    activities->options = *options;
    pthread_mutex_init(&activities->mutex, NULL);
    struct batcher_callbacks callbacks = {
        .arg = activities,
        .is_wanted = is_wanted,
        .on_results = on_results,
        .on_end = on_end,
        .on_turn = on_turn,
        .on_device_failed = on_device_failed,
    };
    int code = thread_pool_create(options->pool_threads, &activities->pool, err);
    if (code == 0)
        code = batcher_create(options->encoder, &options->batch, &callbacks, &activities->batcher,
                              err);
    if (code != 0) {
        gpu_activities_destroy(activities);
        return code;
    }
    *ret_activities = activities;
    return 0;
}

void gpu_activities_destroy(struct gpu_activities *activities)
{
    if (activities == NULL)
        return;
    /* The pool first: a thread of it may still be about to tell the batcher that a task came. With
     * every task answered the batcher has nothing more for the pool. */
    thread_pool_destroy(activities->pool);
    batcher_destroy(activities->batcher);
    ASSERT(activities->open == NULL);
    buffer_fini(&activities->details);
    pthread_mutex_destroy(&activities->mutex);
    free(activities);
}
