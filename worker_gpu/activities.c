/* SPDX-License-Identifier: Apache-2.0 */
/* activities: see activities.h. */
#include "worker_gpu/activities.h"

#include <argosy/activity.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/buffer.h"
#include "common/limits.h"
#include "common/log.h"
#include "worker_gpu/classify_artifact.h"
#include "worker_gpu/embed_artifact.h"
#include "worker_gpu/embed_task.h"
#include "worker_gpu/failure.h"
#include "worker_gpu/gpu_context.h"
#include "worker_gpu/infer_task.h"
#include "worker_gpu/thread_pool.h"

/* Models that may be on their way at once without one holding up another. */
#define LOADER_THREADS 4u

enum task_kind { TASK_INFER, TASK_EMBED };

struct gpu_task {
    /* identity */
    struct gpu_activities *activities;
    struct argosy_activity *activity;
    enum task_kind kind;

    /* work */
    struct infer_task infer;
    struct embed_task embed;
    struct served_model served;
    struct batch_job batch_job;
    const char *label; /* what was inferred; borrowed from served */
    float score;

    /* outcome */
    int code;
    struct error err;
    const char *failure_type; /* of a failure that a retry would not mend; else NULL */

    /* links */
    struct heartbeat heartbeat;
    struct pool_job pool_job;
};

struct gpu_activities {
    struct gpu_activities_options options;
    struct thread_pool *pool;   /* reads and answers: never waits */
    struct thread_pool *loader; /* waits for models that are not at hand */
    struct gpu_context context; /* owns its batcher and heartbeats */
};

#define TASK_OF(pointer, member)                                                                   \
    ((struct gpu_task *)(void *)((char *)(pointer)-offsetof(struct gpu_task, member)))

static void write_details(struct heartbeat *heartbeat, struct buffer *out)
{
    const struct gpu_task *task = TASK_OF(heartbeat, heartbeat);
    embed_task_details(&task->embed, task->served.base->name, out);
}

/* ---- answered ---- */

static void answer_result(struct gpu_task *task)
{
    struct buffer out = {0};
    int code = task->kind == TASK_EMBED
                   ? embed_task_result(&task->embed, &out, &task->err)
                   : infer_task_result(&task->infer, served_model_name(&task->served), task->label,
                                       task->score, &out, &task->err);
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
        /* The same texts give the same size again. */
        task->failure_type = code == ERR_LIMIT ? FAILURE_INVALID_INPUT : NULL;
    }
    buffer_fini(&out);
}

static void answer_failure(struct gpu_task *task)
{
    struct argosy_error err = {0};
    task->err.code = task->code;
    failure_set(task->activity, task->failure_type, &task->err, &err);
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
    heartbeat_send(&task->heartbeat, &details);
    buffer_fini(&details);
    argosy_activity_release(task->activity);
}

static void task_destroy(struct gpu_task *task)
{
    served_models_give(task->activities->context.models, &task->served);
    infer_task_fini(&task->infer);
    embed_task_fini(&task->embed);
    free(task);
}

static void answer(struct gpu_task *task)
{
    heartbeats_remove(task->activities->context.heartbeats, &task->heartbeat);
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

static bool is_wanted(const struct batch_job *job)
{
    return !argosy_activity_is_canceled(TASK_OF(job, batch_job)->activity);
}

static void on_results(struct batch_job *job, uint32_t first_text, uint32_t count,
                       const float *vectors, const float *probabilities)
{
    struct gpu_task *task = TASK_OF(job, batch_job);
    if (task->kind == TASK_INFER) {
        served_model_classify(&task->served, vectors, probabilities, &task->label, &task->score);
        return;
    }
    ASSERT(first_text == task->embed.done);
    embed_task_add(&task->embed, count, vectors);
    task->heartbeat.has_news = task->embed.done < task->embed.texts;
}

static void on_end(struct batch_job *job, int code, const struct error *err)
{
    struct gpu_task *task = TASK_OF(job, batch_job);
    task->code = code;
    if (err != NULL)
        task->err = *err;
    task->pool_job.run = answer_job;
    thread_pool_submit(task->activities->pool, &task->pool_job);
}

static const struct batch_job_functions job_functions = {is_wanted, on_results, on_end};

static void on_turn(void *arg)
{
    struct gpu_activities *activities = arg;
    heartbeats_turn(activities->context.heartbeats);
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

static int read_input(struct gpu_task *task)
{
    const struct argosy_payload *input = argosy_activity_input(task->activity);
    if (input->encoding == NULL || strcmp(input->encoding, ARGOSY_ENCODING_JSON) != 0)
        return error_set(&task->err, ERR_INVALID, "the input is %s, not " ARGOSY_ENCODING_JSON,
                         input->encoding != NULL ? input->encoding : "absent");
    return task->kind == TASK_EMBED
               ? embed_task_init(&task->embed, input->data, input->size, &task->err)
               : infer_task_init(&task->infer, input->data, input->size, &task->err);
}

static const char *model_name(const struct gpu_task *task)
{
    return task->kind == TASK_EMBED ? task->embed.model : task->infer.model;
}

static int tokenise_embed(struct gpu_task *task)
{
    const struct base_model *base = task->served.base;
    int code = embed_task_tokenise(&task->embed, base->model, &task->err);
    if (code != 0)
        return code;
    const struct argosy_payload *details = argosy_activity_last_heartbeat(task->activity);
    if (details->encoding != NULL && strcmp(details->encoding, ARGOSY_ENCODING_JSON) == 0)
        embed_task_resume(&task->embed, details->data, details->size, base->name);
    if (task->embed.done > 0)
        log_resumed(task);
    task->batch_job.ids = task->embed.ids;
    task->batch_job.cu_seqlens = task->embed.cu_seqlens;
    task->batch_job.texts = task->embed.texts;
    task->batch_job.next_text = task->embed.done;
    return 0;
}

static int tokenise_infer(struct gpu_task *task)
{
    int code = infer_task_tokenise(&task->infer, task->served.base->model, &task->err);
    task->batch_job.ids = task->infer.ids;
    task->batch_job.cu_seqlens = task->infer.cu_seqlens;
    task->batch_job.texts = 1;
    return code;
}

/* Makes the task, whose model is known now, tokens and gives it to the batcher; else answers it. */
static void submit(struct gpu_task *task)
{
    const struct argosy_activity_info *info = argosy_activity_info(task->activity);
    task->code = task->kind == TASK_EMBED ? tokenise_embed(task) : tokenise_infer(task);
    if (task->code == ERR_LIMIT)
        task->failure_type = FAILURE_INVALID_INPUT;
    if (task->code != 0 || task->batch_job.next_text == task->batch_job.texts) {
        answer(task);
        return;
    }
    task->batch_job.encoder = task->served.base->encoder;
    task->batch_job.priority = info->priority;
    task->batch_job.is_isolated = info->loss_count > 0;
    task->batch_job.functions = &job_functions;
    /* Once submitted, the task is the compute thread's: it may be answered and gone already. */
    struct error err;
    int code = batcher_submit(task->activities->context.batcher, &task->batch_job, &err);
    if (code == 0)
        return;
    task->code = code;
    task->err = err;
    answer(task);
}

static void load_job(struct pool_job *job)
{
    struct gpu_task *task = TASK_OF(job, pool_job);
    struct gpu_activities *activities = task->activities;
    task->code =
        served_models_take(activities->context.models, model_name(task), &task->served, &task->err);
    if (task->code == ERR_DEVICE)
        activities->options.on_device_failed(activities->options.arg, &task->err);
    if (task->code == 0) {
        submit(task);
    } else {
        task->failure_type = failure_of_model(task->code);
        answer(task);
    }
}

static void read_task(struct gpu_task *task)
{
    struct gpu_activities *activities = task->activities;
    task->code = read_input(task);
    if (task->code != 0) {
        task->failure_type = task->code == ERR_INVALID ? FAILURE_INVALID_INPUT : NULL;
        answer(task);
    } else if (served_models_find(activities->context.models, model_name(task), &task->served)) {
        submit(task);
    } else {
        task->pool_job.run = load_job;
        thread_pool_submit(activities->loader, &task->pool_job);
    }
}

static void read_job(struct pool_job *job)
{
    struct gpu_task *task = TASK_OF(job, pool_job);
    struct batcher *batcher = task->activities->context.batcher;
    heartbeats_add(task->activities->context.heartbeats, &task->heartbeat);
    read_task(task);
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
    task->heartbeat.activity = activity;
    task->heartbeat.write_details = write_details;
    task->pool_job.run = read_job;
    task->pool_job.is_urgent = argosy_activity_info(activity)->priority == BATCH_PRIORITY_FIRST;
    batcher_expect(activities->context.batcher, 1);
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
    int code = argosy_registry_add_activity(registry, ACTIVITY_EMBED_ARTIFACT, embed_artifact,
                                            &activities->context, &why);
    if (code == 0)
        code = argosy_registry_add_activity(registry, ACTIVITY_CLASSIFY_ARTIFACT, classify_artifact,
                                            &activities->context, &why);
    if (code == 0)
        code = argosy_registry_add_async_activity(registry, ACTIVITY_RUN_INFERENCE, run_inference,
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
    struct gpu_activities *activities = calloc(1, sizeof *activities);
    if (activities == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    activities->options = *options;
    activities->context = (struct gpu_context){
        .models = options->models,
        .storage = options->storage,
        .scratch_dir = options->scratch_dir,
        .batch_tokens = options->batch.tokens_max,
        .on_device_failed = options->on_device_failed,
        .arg = options->arg,
    };
    struct batcher_callbacks callbacks = {activities, on_turn, on_device_failed};
    int code = heartbeats_create(&activities->context.heartbeats, err);
    if (code == 0)
        code = thread_pool_create(options->pool_threads, &activities->pool, err);
    if (code == 0)
        code = thread_pool_create(LOADER_THREADS, &activities->loader, err);
    if (code == 0)
        code = batcher_create(&options->batch, &callbacks, &activities->context.batcher, err);
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
    /* The pools first: a thread of theirs may still be about to tell the batcher that a task came.
     * With every task answered the batcher has nothing more for them. */
    thread_pool_destroy(activities->pool);
    thread_pool_destroy(activities->loader);
    batcher_destroy(activities->context.batcher);
    heartbeats_destroy(activities->context.heartbeats);
    free(activities);
}
