/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argosy-worker-gpu: runs the GPU activities of one group of the fleet's config, run_inference,
 * compute_embeddings, embed_artifact and those of the group's plug-ins
 * (docs/spec/04-supervision.md; worker/).
 *
 * It opens the group's device and model and warms up before it serves. Where the CPU computes, its
 * log says so. A device that fails while it serves ends the process at once with EXIT_GPU_POISONED:
 * nothing of that CUDA context is touched again, and the engine counts the tasks it held as lost.
 *
 * Threading: beside the SDK's threads, a pool reads and answers tasks and one thread computes. That
 * one and the SDK's loop prove progress to the supervisor together (worker/worker_progress.h).
 */
#include <stdio.h>
#include <unistd.h>

#include "common/exit_code.h"
#include "common/log.h"
#include "worker/worker_program.h"
#include "worker_gpu/gpu_worker.h"
#include "worker_gpu/trainer/training_activities.h"

/* What is open, from open_worker to close_worker. */
struct context {
    struct gpu_worker *gpu;
    struct training_context training;
};

static void compute_turned(void *arg)
{
    worker_progress_turned(arg, WORKER_LOOP_COMPUTE);
}

static void device_failed(void *arg, const struct error *err)
{
    (void)arg;
    char quoted[2 * ERROR_TEXT_MAX];
    log_error("device.failed", "text=%s", log_quote(err->text, quoted, sizeof quoted));
    _exit(EXIT_GPU_POISONED);
}

static void log_opened(const struct gpu_worker *gpu, const struct fleet_group *group,
                       const struct error *fallback)
{
    static const char *const precisions[] = {
        [DEVICE_FP32] = "fp32", [DEVICE_FP16] = "fp16", [DEVICE_BF16] = "bf16"};
    const struct device_info *info = gpu_worker_device(gpu);
    char name[256], gemm[128], reason[2 * ERROR_TEXT_MAX];
    if (fallback->text[0] != '\0')
        log_warn("device.fell_back", "device=cpu reason=%s",
                 log_quote(fallback->text, reason, sizeof reason));
    log_info("device.opened",
             "device=%s name=%s uuid=%s threads=%u precision=%s gemm=%s graphs=%u model=%s "
             "labelling=%s",
             info->kind == DEVICE_CUDA ? "cuda" : "cpu", log_quote(info->name, name, sizeof name),
             info->uuid[0] != '\0' ? info->uuid : "none", info->threads,
             precisions[info->precision], log_quote(info->gemm, gemm, sizeof gemm),
             gpu_worker_graphs(gpu), group->model, gpu_worker_labelling(gpu));
}

static int open_worker(void *arg, const struct worker_process *process, struct error *err)
{
    struct context *context = arg;
    context->training = (struct training_context){.storage = process->storage,
                                                  .models_dir = process->config->models_dir};
    struct gpu_worker_hooks hooks = {process->progress, compute_turned, device_failed};
    struct error fallback;
    int code = gpu_worker_open(process->config, process->group, process->storage, &hooks,
                               &context->gpu, &fallback, err);
    if (code == 0)
        log_opened(context->gpu, process->group, &fallback);
    return code;
}

static int register_types(void *arg, struct argosy_registry *registry, struct error *err)
{
    struct context *context = arg;
    int code = gpu_worker_register(context->gpu, registry, err);
    return code == 0 ? training_activities_register(&context->training, registry, err) : code;
}

static void close_worker(void *arg)
{
    struct context *context = arg;
    gpu_worker_close(context->gpu);
}

int main(int argc, char **argv)
{
    static const struct worker_program program = {
        .name = "worker-gpu",
        .summary = "Runs the GPU activities of one worker group.",
        .kind = FLEET_GROUP_GPU,
        .computes = true,
        .open = open_worker,
        .register_types = register_types,
        .close = close_worker,
    };
    struct context context = {0};
    return worker_program_main(&program, &context, argc, argv);
}
