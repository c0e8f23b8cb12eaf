/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argosy-worker-gpu: runs the GPU activities of one group of the fleet's config
 * (docs/spec/04-supervision.md).
 *
 *     argosy-worker-gpu --config FILE [--group NAME] [--index N]
 *
 * It opens the group's device and model, warms up, registers run_inference and compute_embeddings
 * and the group's plug-ins, then serves the group's queues until SIGTERM or SIGINT: it takes no
 * more tasks, finishes what it can within the group's grace period, hands the rest back with their
 * checkpoints and exits with EXIT_OK. Where the CPU computes, the log says so.
 *
 * A device that fails while it serves ends the process at once with EXIT_GPU_POISONED: nothing of
 * that CUDA context is touched again, and the engine counts the tasks it held as lost.
 *
 * Threading: the main thread runs the worker's loop; the compute thread tells progress; the signal
 * handler only calls argosy_worker_stop.
 */
#include <argosy/worker.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/child.h"
#include "common/exit_code.h"
#include "common/fleet_config.h"
#include "common/log.h"
#include "worker_gpu/gpu_worker.h"

/* Of the grace period, so that heartbeats and releases still leave before the supervisor kills. */
#define DRAIN_SHARE_PERCENT 80

struct arguments {
    const char *config;
    const char *group; /* NULL: the config's first gpu group */
    const char *index; /* which of the group's processes; only for logs */
};

/* Read by the signal handler. */
static struct argosy_worker *serving;
static int64_t drain_ms;

static void usage(FILE *out)
{
    fputs("usage: argosy-worker-gpu --config FILE [--group NAME] [--index N]\n\n"
          "Runs the GPU activities of one worker group; the supervisor starts it.\n\n"
          "example: argosy-worker-gpu --config .argosy/fleet.effective.yaml --group gpu\n",
          out);
}

/* Returns an exit status, or -1 to go on. */
static int arguments_parse(int argc, char **argv, struct arguments *ret_arguments)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"group", required_argument, NULL, 'g'},
        {"index", required_argument, NULL, 'i'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct arguments arguments = {.index = "0"};
    int option;
    while ((option = getopt_long(argc, argv, "c:h", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            arguments.config = optarg;
            break;
        case 'g':
            arguments.group = optarg;
            break;
        case 'i':
            arguments.index = optarg;
            break;
        case 'h':
            usage(stdout);
            return EXIT_OK;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    if (arguments.config == NULL || optind != argc) {
        usage(stderr);
        return EXIT_USAGE;
    }
    *ret_arguments = arguments;
    return -1;
}

static int group_choose(const struct fleet_config *config, const char *name,
                        const struct fleet_group **ret_group, struct error *err)
{
    const struct fleet_group *group = NULL;
    if (name != NULL) {
        group = fleet_config_group(config, name);
    } else {
        for (size_t i = 0; i < config->group_count && group == NULL; i++)
            if (config->groups[i].kind == FLEET_GROUP_GPU)
                group = &config->groups[i];
    }
    if (group == NULL)
        return error_set(err, ERR_CONFIG, "%s: no group \"%s\"", config->source,
                         name != NULL ? name : "of kind gpu");
    if (group->kind != FLEET_GROUP_GPU)
        return error_set(err, ERR_CONFIG, "%s: group \"%s\" is of kind %s, not gpu", config->source,
                         group->name, fleet_group_kind_name(group->kind));
    *ret_group = group;
    return 0;
}

/* ---- what the worker tells ---- */

static void worker_ready(void *user_data)
{
    struct child *child = user_data;
    log_info("worker.ready", "pid=%d", (int)getpid());
    child_ready(child);
}

static void worker_reported(void *user_data, const char *text)
{
    (void)user_data;
    char quoted[1024];
    log_warn("worker.reported", "text=%s", log_quote(text, quoted, sizeof quoted));
}

static void compute_turned(void *arg)
{
    child_progress(arg);
}

static void device_failed(void *arg, const struct error *err)
{
    (void)arg;
    char quoted[2 * ERROR_TEXT_MAX];
    log_error("device.failed", "text=%s", log_quote(err->text, quoted, sizeof quoted));
    _exit(EXIT_GPU_POISONED);
}

static void log_started(const struct gpu_worker *gpu, const struct fleet_group *group,
                        const char *index, const struct error *fallback)
{
    const struct device_info *info = gpu_worker_device(gpu);
    char name[256], gemm[128], reason[2 * ERROR_TEXT_MAX];
    if (fallback->text[0] != '\0')
        log_warn("device.fell_back", "device=cpu reason=%s",
                 log_quote(fallback->text, reason, sizeof reason));
    log_info("worker.started",
             "pid=%d group=%s index=%s device=%s name=%s uuid=%s threads=%u precision=%s gemm=%s "
             "model=%s labelling=%s",
             (int)getpid(), group->name, index, info->kind == DEVICE_CUDA ? "cuda" : "cpu",
             log_quote(info->name, name, sizeof name), info->uuid[0] != '\0' ? info->uuid : "none",
             info->threads, info->precision == DEVICE_FP16 ? "fp16" : "fp32",
             log_quote(info->gemm, gemm, sizeof gemm), group->model, gpu_worker_labelling(gpu));
}

/* ---- serving ---- */

static int registry_fill(struct argosy_registry *registry, struct gpu_worker *gpu,
                         const struct fleet_group *group, struct error *err)
{
    int code = gpu_worker_register(gpu, registry, err);
    for (size_t i = 0; code == 0 && i < group->plugin_count; i++) {
        struct argosy_error why = {0};
        if (argosy_registry_load_plugin(registry, group->plugins[i], &why) != 0)
            code = error_set(err, ERR_CONFIG, "group \"%s\": cannot load plug-in %s: %s",
                             group->name, group->plugins[i], why.text);
        else
            log_info("plugin.loaded", "file=%s", group->plugins[i]);
    }
    return code;
}

static int worker_create(const struct fleet_config *config, const struct fleet_group *group,
                         struct child *child, const struct argosy_registry *registry,
                         struct argosy_worker **ret_worker, struct error *err)
{
    struct fleet_endpoint endpoint;
    int code = fleet_config_endpoint(config, &endpoint, err);
    if (code != 0)
        return code;
    struct argosy_worker_queue *queues = calloc(group->queue_count, sizeof *queues);
    if (queues == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < group->queue_count; i++)
        queues[i] = (struct argosy_worker_queue){.name = group->queues[i].name,
                                                 .slots = group->queues[i].slots};
    struct argosy_worker_options options = {
        .connection = {.endpoint = endpoint.address,
                       .identity = child->identity,
                       .instance_id = child->instance_id,
                       .node = child->node,
                       .server_key_file = endpoint.server_public_key_file,
                       .client_key_file = endpoint.client_key_file},
        .queues = queues,
        .queue_count = group->queue_count,
        .without_workflows = !group->workflows,
        .without_activities = !group->activities,
        .user_data = child,
        .on_ready = worker_ready,
        .on_log = worker_reported,
    };
    struct argosy_error why = {0};
    code = argosy_worker_create(&options, registry, ret_worker, &why);
    free(queues);
    return code == 0 ? 0 : error_set(err, code, "group \"%s\": %s", group->name, why.text);
}

static void stop_on_signal(int signal_number)
{
    (void)signal_number;
    argosy_worker_stop(serving, drain_ms);
}

/* What SIGTERM and SIGINT do from here on: stop_on_signal, or SIG_IGN while there is no worker. */
static void signals_set(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    ASSERT(sigaction(SIGTERM, &action, NULL) == 0 && sigaction(SIGINT, &action, NULL) == 0);
}

/* Serves with what is open until told to stop. */
static int serve(const struct fleet_config *config, const struct fleet_group *group,
                 struct child *child, struct gpu_worker *gpu, struct error *err)
{
    struct argosy_worker *worker = NULL;
    struct argosy_registry *registry = argosy_registry_create();
    if (registry == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = registry_fill(registry, gpu, group, err);
    if (code == 0)
        code = worker_create(config, group, child, registry, &worker, err);
    if (code == 0) {
        serving = worker;
        drain_ms = (int64_t)group->grace_ms * DRAIN_SHARE_PERCENT / 100;
        signals_set(stop_on_signal);
        struct argosy_error why = {0};
        code = argosy_worker_run(worker, &why);
        signals_set(SIG_IGN);
        if (code != 0)
            error_set(err, code, "%s", why.text);
        else
            log_info("worker.stopped", "pid=%d", (int)getpid());
    }
    argosy_worker_destroy(worker);
    argosy_registry_destroy(registry);
    return code;
}

/* ---- exit statuses ---- */

/* What opening the device or the model failed with. A model that is missing or damaged does not
 * mend itself: like a wrong config, it is not tried again. */
static int open_status(int code)
{
    switch (code) {
    case ERR_NOT_FOUND:
    case ERR_CORRUPT:
    case ERR_INVALID:
        return EXIT_BAD_CONFIG;
    case ERR_UNSUPPORTED:
        return EXIT_DEVICE_UNUSABLE;
    case ERR_DEVICE:
        return EXIT_GPU_POISONED;
    default:
        return EXIT_INTERNAL;
    }
}

static int serve_status(int code)
{
    switch (code) {
    case 0:
        return EXIT_OK;
    case ERR_MEMORY:
    case ERR_INTERNAL:
        return EXIT_INTERNAL;
    default: /* what waiting and restarting cannot mend */
        return EXIT_BAD_CONFIG;
    }
}

static int run(const struct arguments *arguments, const struct fleet_config *config,
               struct error *err)
{
    const struct fleet_group *group;
    struct child child;
    if (group_choose(config, arguments->group, &group, err) != 0)
        return EXIT_BAD_CONFIG;
    int code = child_init(&child, group->name, err);
    if (code != 0)
        return code == ERR_CLOSED ? EXIT_PARENT_DIED : EXIT_USAGE;
    struct gpu_worker *gpu;
    struct error fallback;
    struct gpu_worker_hooks hooks = {&child, compute_turned, device_failed};
    code = gpu_worker_open(config, group, &hooks, &gpu, &fallback, err);
    if (code != 0)
        return open_status(code);
    log_started(gpu, group, arguments->index, &fallback);
    code = serve(config, group, &child, gpu, err);
    gpu_worker_close(gpu);
    return serve_status(code);
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    int status = arguments_parse(argc, argv, &arguments);
    if (status >= 0)
        return status;
    struct fleet_config *config = NULL;
    struct error err = {0};
    log_open("worker-gpu", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    if (fleet_config_load(arguments.config, &config, &err) == 0) {
        log_open("worker-gpu", config->log_level, config->log_format);
        status = run(&arguments, config, &err);
    } else {
        status = EXIT_BAD_CONFIG;
    }
    if (status != EXIT_OK) {
        char quoted[2 * ERROR_TEXT_MAX];
        log_error("worker.failed", "code=%s text=%s", error_name(err.code),
                  log_quote(err.text, quoted, sizeof quoted));
    }
    fleet_config_destroy(config);
    return status;
}
