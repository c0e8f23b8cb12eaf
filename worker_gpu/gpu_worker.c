/* SPDX-License-Identifier: Apache-2.0 */
/* gpu_worker: see gpu_worker.h. */
#include "worker_gpu/gpu_worker.h"

#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "models/model_config.h"
#include "models/model_store.h"
#include "worker_gpu/activities.h"
#include "worker_gpu/compute_device.h"
#include "worker_gpu/served_models.h"

/* A CPU gains nothing from larger batches, and between batches it looks at who waits: 2,048 tokens
 * are about a tenth of a second. */
#define BATCH_TOKENS_CPU 2048u

/* Tasks that may wait; slots bound them well below this. */
#define JOBS_MAX 4096u

#define POOL_THREADS_MAX 8u

struct gpu_worker {
    struct device *device;
    struct served_models *models;
    uint32_t batch_tokens;
    char scratch_dir[PATH_MAX];
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

/* A batch holds at least the longest text of the group's own model. */
static int decide_batch(const struct fleet_config *config, const struct fleet_group *group,
                        struct gpu_worker *worker, struct error *err)
{
    char path[MODEL_PATH_MAX];
    struct model_config model;
    int code = model_store_path(config->models_dir, group->model, path, err);
    if (code == 0)
        code = model_config_load(path, &model, err);
    if (code == ERR_NOT_FOUND)
        error_prefix(err, "there is no model %s (argosy model fetch %s brings it)", group->model,
                     group->model);
    if (code != 0)
        return code;
    uint32_t tokens = (uint32_t)group->batch_tokens;
    if (device_info(worker->device)->kind != DEVICE_CUDA)
        tokens = smaller(tokens, BATCH_TOKENS_CPU);
    worker->batch_tokens = larger(tokens, model.max_seq_length);
    model_config_fini(&model);
    return 0;
}

/* Half the cores this process may run on: the rest computes, or feeds the device. */
static uint32_t pool_threads(void)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores) != 0)
        return 1;
    return smaller(larger((uint32_t)CPU_COUNT(&cores) / 2, 1), POOL_THREADS_MAX);
}

static int open_models(const struct fleet_config *config, const struct fleet_group *group,
                       struct storage_client *storage, struct gpu_worker *worker, struct error *err)
{
    struct base_model_options options = {
        .models_dir = config->models_dir,
        .device = worker->device,
        .batch_tokens = worker->batch_tokens,
        .labels = group->labels,
        .label_count = group->label_count,
        .temperature = group->temperature,
    };
    return served_models_create(&options, group->model, storage, &worker->models, err);
}

static int open_activities(const struct fleet_config *config, const struct fleet_group *group,
                           struct storage_client *storage, const struct gpu_worker_hooks *hooks,
                           struct gpu_worker *worker, struct error *err)
{
    if ((size_t)snprintf(worker->scratch_dir, sizeof worker->scratch_dir, "%s/scratch",
                         config->data_dir) >= sizeof worker->scratch_dir)
        return error_set(err, ERR_INVALID, "the data folder's path is too long");
    struct gpu_activities_options options = {
        .models = worker->models,
        .storage = storage,
        .scratch_dir = worker->scratch_dir,
        .batch = {.tokens_max = worker->batch_tokens,
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
                    struct storage_client *storage, const struct gpu_worker_hooks *hooks,
                    struct gpu_worker **ret_worker, struct error *ret_reason, struct error *err)
{
    struct gpu_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    struct compute_device_options wanted = {group->device, group->precision, group->tuning_file};
    int code = compute_device_open(&wanted, &worker->device, ret_reason, err);
    if (code == 0)
        code = decide_batch(config, group, worker, err);
    if (code == 0)
        code = open_models(config, group, storage, worker, err);
    if (code == 0)
        code = open_activities(config, group, storage, hooks, worker, err);
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
    served_models_destroy(worker->models);
    if (worker->device != NULL)
        device_close(worker->device);
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

uint32_t gpu_worker_graphs(const struct gpu_worker *worker)
{
    return encoder_graph_count(served_models_own(worker->models)->encoder);
}

const char *gpu_worker_labelling(const struct gpu_worker *worker)
{
    return served_models_own(worker->models)->zero_shot != NULL ? "zero-shot" : "classifier";
}
