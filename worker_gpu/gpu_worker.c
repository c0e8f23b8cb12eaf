/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_worker: see gpu_worker.h. */
#include "worker_gpu/gpu_worker.h"

#include <sched.h>
#include <stdlib.h>

#include "common/clock.h"
#include "models/model.h"
#include "models/model_store.h"
#include "worker_gpu/activities.h"
#include "worker_gpu/compute_device.h"
#include "worker_gpu/encoder.h"
#include "worker_gpu/zero_shot.h"

/* Tokens of one step of the encoder. CPU: speeds of 256 to 8,192 differ by less than 5%, and 512
 * take 7 MB. CUDA: the widest activations (1,536 fp16 a token) of 8,192 are 25 MB and stay in the
 * 50 MB of an H100's cache. */
#define STEP_TOKENS_CPU  512u
#define STEP_TOKENS_CUDA 8192u

/* A CPU gains nothing from larger batches, and between batches it looks at who waits: 2,048 tokens
 * are about a tenth of a second. */
#define BATCH_TOKENS_CPU 2048u

/* Tasks that may wait; slots bound them well below this. */
#define JOBS_MAX 4096u

#define POOL_THREADS_MAX 8u

struct gpu_worker {
    struct device *device;
    struct model *model;
    struct encoder *encoder;
    struct zero_shot *zero_shot; /* NULL: the model has classes */
    struct gpu_activities *activities;
};

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static bool is_cuda(const struct gpu_worker *worker)
{
    return device_info(worker->device)->kind == DEVICE_CUDA;
}

static uint32_t batch_tokens(const struct gpu_worker *worker, const struct fleet_group *group)
{
    uint32_t tokens = (uint32_t)group->batch_tokens;
    if (!is_cuda(worker))
        tokens = smaller(tokens, BATCH_TOKENS_CPU);
    return larger(tokens, worker->model->config.max_seq_length);
}

/* Half the cores this process may run on: the rest computes, or feeds the device. */
static uint32_t pool_threads(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;
    return smaller(larger((uint32_t)CPU_COUNT(&cores) / 2, 1), POOL_THREADS_MAX);
}

static int open_model(const struct fleet_config *config, const struct fleet_group *group,
                      struct gpu_worker *worker, struct error *err)
{
    char path[MODEL_PATH_MAX];
    int code = model_store_path(config->models_dir, group->model, path, err);
    if (code == 0)
        code = model_open(path, &worker->model, err);
    if (code == ERR_NOT_FOUND)
        error_prefix(err, "there is no model %s (argosy model fetch %s brings it)", group->model,
                     group->model);
    return code;
}

/* One full batch of texts of the longest length on CUDA, where the first run of each size costs;
 * one such text on a CPU. */
static int warm_up(struct gpu_worker *worker, const struct fleet_group *group, struct error *err)
{
    uint32_t length = worker->model->config.max_seq_length;
    uint32_t texts = is_cuda(worker) ? batch_tokens(worker, group) / length : 1;
    size_t classes = encoder_class_count(worker->encoder);
    int32_t *ids = calloc((size_t)texts * length, sizeof *ids);
    uint32_t *cu_seqlens = calloc(texts + 1, sizeof *cu_seqlens);
    float *vectors = calloc((size_t)texts * encoder_width(worker->encoder), sizeof *vectors);
    float *probabilities = calloc(texts * classes + 1, sizeof *probabilities);
    int code;
    if (ids == NULL || cu_seqlens == NULL || vectors == NULL || probabilities == NULL) {
        code = error_set(err, ERR_MEMORY, "out of memory");
    } else {
        for (uint32_t i = 0; i <= texts; i++)
            cu_seqlens[i] = i * length;
        struct token_source source = {
            .ids = ids, .cu_seqlens = cu_seqlens, .tokens = texts * length, .texts = texts};
        code =
            encoder_run(worker->encoder, &source, vectors, classes > 0 ? probabilities : NULL, err);
    }
    free(ids);
    free(cu_seqlens);
    free(vectors);
    free(probabilities);
    return code;
}

static int open_encoder(const struct fleet_group *group, struct gpu_worker *worker,
                        struct error *err)
{
    uint32_t step = is_cuda(worker) ? STEP_TOKENS_CUDA : STEP_TOKENS_CPU;
    step = larger(smaller(step, batch_tokens(worker, group)), worker->model->config.max_seq_length);
    int code = encoder_create(worker->device, worker->model, step, &worker->encoder, err);
    model_drop_weights(worker->model);
    if (code == 0)
        code = warm_up(worker, group, err);
    if (code == 0 && encoder_class_count(worker->encoder) == 0)
        code = zero_shot_create(worker->encoder, worker->model, group->labels, group->label_count,
                                group->temperature, &worker->zero_shot, err);
    return code;
}

static int open_activities(const struct fleet_group *group, const struct gpu_worker_hooks *hooks,
                           struct gpu_worker *worker, struct error *err)
{
    struct gpu_activities_options options = {
        .model = worker->model,
        .model_name = group->model,
        .encoder = worker->encoder,
        .zero_shot = worker->zero_shot,
        .batch = {.tokens_max = batch_tokens(worker, group),
                  .jobs_max = JOBS_MAX,
                  .delay_ns = (uint64_t)group->batch_delay_us * NS_PER_US},
        .pool_threads = pool_threads(),
        .arg = hooks->arg,
        .on_turn = hooks->on_turn,
        .on_device_failed = hooks->on_device_failed,
    };
    return gpu_activities_create(&options, &worker->activities, err);
}

int gpu_worker_open(const struct fleet_config *config, const struct fleet_group *group,
                    const struct gpu_worker_hooks *hooks, struct gpu_worker **ret_worker,
                    struct error *ret_reason, struct error *err)
{
    struct gpu_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = open_model(config, group, worker, err);
    if (code == 0)
        code = compute_device_open(group->device, &worker->device, ret_reason, err);
    if (code == 0)
        code = open_encoder(group, worker, err);
    if (code == 0)
        code = open_activities(group, hooks, worker, err);
    if (code != 0) {
        gpu_worker_close(worker);
        return code;
    }
    *ret_worker = worker;
    return 0;
}

void gpu_worker_close(struct gpu_worker *worker)
{
    if (worker == NULL)
        return;
    gpu_activities_destroy(worker->activities);
    zero_shot_destroy(worker->zero_shot);
    encoder_destroy(worker->encoder);
    if (worker->device != NULL)
        device_close(worker->device);
    model_close(worker->model);
    free(worker);
}

int gpu_worker_register(struct gpu_worker *worker, struct argosy_registry *registry,
                        struct error *err)
{
    return gpu_activities_register(worker->activities, registry, err);
}

const struct device_info *gpu_worker_device(const struct gpu_worker *worker)
{
    return device_info(worker->device);
}

const char *gpu_worker_labelling(const struct gpu_worker *worker)
{
    return worker->zero_shot != NULL ? "zero-shot" : "classifier";
}
