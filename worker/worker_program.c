/* SPDX-License-Identifier: Apache-2.0 */
/* worker_program: see worker_program.h. */
#include "worker/worker_program.h"

#include <argosy/codec.h>
#include <argosy/worker.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/exit_code.h"
#include "common/log.h"

/* Of the grace period, so that heartbeats and releases still leave before the supervisor kills. */
#define DRAIN_SHARE_PERCENT 80

struct arguments {
    const char *config;
    const char *group; /* NULL: the config's first group of the program's kind */
    const char *index;
};

/* Read by the signal handler. */
static struct argosy_worker *serving;
static _Atomic int64_t drain_ms;

/* A process, and what it serves with. */
struct service {
    struct worker_process process;
    int reload_fd;
    struct argosy_worker *worker;
};

/* ---- command line ---- */

static void usage(const struct worker_program *program, FILE *out)
{
    fprintf(out,
            "usage: argosy-%s --config FILE [--group NAME] [--index N]\n\n"
            "%s The supervisor starts it.\n\n"
            "example: argosy-%s --config .argosy/" FLEET_EFFECTIVE " --group %s\n",
            program->name, program->summary, program->name, fleet_group_kind_name(program->kind));
}

/* Returns an exit status, or -1 to go on. */
static int arguments_parse(const struct worker_program *program, int argc, char **argv,
                           struct arguments *ret_arguments)
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
            usage(program, stdout);
            return EXIT_OK;
        default:
            usage(program, stderr);
            return EXIT_USAGE;
        }
    }
    if (arguments.config == NULL || optind != argc) {
        usage(program, stderr);
        return EXIT_USAGE;
    }
    *ret_arguments = arguments;
    return -1;
}

static int group_choose(const struct fleet_config *config, enum fleet_group_kind kind,
                        const char *name, const struct fleet_group **ret_group, struct error *err)
{
    const char *kind_name = fleet_group_kind_name(kind);
    const struct fleet_group *group = NULL;
    for (size_t i = 0; name == NULL && group == NULL && i < config->group_count; i++) {
        if (config->groups[i].kind == kind)
            group = &config->groups[i];
    }
    if (name == NULL && group == NULL)
        return error_set(err, ERR_CONFIG, "%s: no group of kind %s", config->source, kind_name);
    if (name != NULL)
        group = fleet_config_group(config, name);
    if (group == NULL)
        return error_set(err, ERR_CONFIG, "%s: no group \"%s\"", config->source, name);
    if (group->kind != kind)
        return error_set(err, ERR_CONFIG, "%s: group \"%s\" is of kind %s, not %s", config->source,
                         name, fleet_group_kind_name(group->kind), kind_name);
    *ret_group = group;
    return 0;
}

/* ---- what the worker tells; user_data is the service ---- */

static void worker_ready(void *user_data)
{
    const struct service *service = user_data;
    struct child *child = service->process.child;
    log_info("worker.ready", "pid=%d identity=%s", (int)getpid(), child->identity);
    child_ready(child);
    worker_progress_begin(service->process.progress);
}

static void worker_turned(void *user_data)
{
    const struct service *service = user_data;
    worker_progress_turned(service->process.progress, WORKER_LOOP_TASKS);
}

static void worker_logged(void *user_data, const struct argosy_log_record *record)
{
    (void)user_data;
    bool is_code = record->level == ARGOSY_LOG_INFO;
    log_write_run(is_code ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
                  is_code ? "workflow.logged" : "worker.reported", record->workflow_type,
                  record->workflow_id, record->run_id, record->text);
}

/* ---- reloading ---- */

static void drain_time_set(const struct fleet_group *group)
{
    drain_ms = (int64_t)group->grace_ms * DRAIN_SHARE_PERCENT / 100;
}

static bool is_served(const struct fleet_group *group, const char *queue)
{
    for (size_t i = 0; i < group->queue_count; i++) {
        if (strcmp(group->queues[i].name, queue) == 0)
            return group->activities;
    }
    return false;
}

static int slots_take(const struct service *service, const struct fleet_group *group,
                      struct error *err)
{
    for (size_t i = 0; i < group->queue_count; i++) {
        const struct fleet_group_queue *queue = &group->queues[i];
        if (!is_served(service->process.group, queue->name))
            continue;
        struct argosy_error why = {0};
        int code = argosy_worker_set_slots(service->worker, queue->name, queue->slots, &why);
        if (code != 0)
            return error_set(err, code, "queue \"%s\": %s", queue->name, why.text);
    }
    return 0;
}

/* Takes over what can be taken over without a restart. With an error in the config all stays. */
static void worker_reload(void *user_data)
{
    const struct service *service = user_data;
    const struct fleet_group *group = service->process.group;
    struct fleet_config *config = NULL;
    struct error err = {0};
    if (!child_reload_take(service->reload_fd))
        return;
    int code = fleet_config_load(service->process.config->source, &config, &err);
    if (code == 0)
        code = group_choose(config, group->kind, group->name, &group, &err);
    if (code == 0)
        code = slots_take(service, group, &err);
    if (code == 0) {
        drain_time_set(group);
        log_set_level(config->log_level);
        log_info("worker.reloaded", "pid=%d group=%s", (int)getpid(), group->name);
    } else {
        char quoted[2 * ERROR_TEXT_MAX];
        log_error("worker.reload_failed", "code=%s reason=%s", error_name(code),
                  log_quote(err.text, quoted, sizeof quoted));
    }
    fleet_config_destroy(config);
}

/* ---- serving ---- */

/* The program's own types, then the plug-ins'. */
static int registry_fill(const struct worker_program *program, void *context,
                         const struct fleet_group *group, struct argosy_registry *registry,
                         struct error *err)
{
    int code = program->register_types(context, registry, err);
    for (size_t i = 0; code == 0 && i < group->plugin_count; i++) {
        struct argosy_error why = {0};
        if (argosy_registry_load_plugin(registry, group->plugins[i], &why) != 0)
            return error_set(err, ERR_CONFIG, "group \"%s\": cannot load plug-in %s: %s",
                             group->name, group->plugins[i], why.text);
        log_info("plugin.loaded", "file=%s", group->plugins[i]);
    }
    return code;
}

static int codecs_load(const struct fleet_config *config, struct argosy_codecs **ret_codecs,
                       struct error *err)
{
    struct argosy_error why = {0};
    int code = argosy_codecs_load(config->source, ret_codecs, &why);
    if (code != 0)
        return error_set(err, code, "codecs: %s", why.text);
    for (size_t i = 0; i < config->codec_count; i++)
        log_info("codec.loaded", "name=%s", config->codecs[i].name);
    return 0;
}

static int worker_create(struct service *service, const struct argosy_registry *registry,
                         const struct argosy_codecs *codecs, struct error *err)
{
    const struct worker_process *process = &service->process;
    const struct fleet_group *group = process->group;
    struct child *child = process->child;
    struct fleet_endpoint endpoint;
    int code = fleet_config_endpoint(process->config, &endpoint, err);
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
                       .client_key_file = endpoint.client_key_file,
                       .codecs = codecs},
        .queues = queues,
        .queue_count = group->queue_count,
        .without_workflows = !group->workflows,
        .without_activities = !group->activities,
        .user_data = service,
        .on_ready = worker_ready,
        .on_turn = worker_turned,
        .on_watch = worker_reload,
        .watch_fd = service->reload_fd,
        .on_log = worker_logged,
    };
    struct argosy_error why = {0};
    code = argosy_worker_create(&options, registry, &service->worker, &why);
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

/* Says that it has started when it may be told to end: who reads that may do so. */
static int worker_run(struct argosy_worker *worker, const struct worker_process *process,
                      struct error *err)
{
    serving = worker;
    drain_time_set(process->group);
    signals_set(stop_on_signal);
    log_info("worker.started", "pid=%d group=%s index=%s", (int)getpid(), process->group->name,
             process->index);
    struct argosy_error why = {0};
    int code = argosy_worker_run(worker, &why);
    signals_set(SIG_IGN);
    if (code != 0)
        return error_set(err, code, "%s", why.text);
    log_info("worker.stopped", "pid=%d", (int)getpid());
    return 0;
}

/* Serves with what is open until told to stop. */
static int serve(const struct worker_program *program, void *context, struct service *service,
                 struct error *err)
{
    const struct worker_process *process = &service->process;
    struct argosy_codecs *codecs = NULL;
    struct argosy_registry *registry = argosy_registry_create();
    if (registry == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    int code = registry_fill(program, context, process->group, registry, err);
    if (code == 0)
        code = codecs_load(process->config, &codecs, err);
    if (code == 0)
        code = worker_create(service, registry, codecs, err);
    if (code == 0)
        code = worker_run(service->worker, process, err);
    argosy_worker_destroy(service->worker);
    argosy_codecs_destroy(codecs);
    argosy_registry_destroy(registry);
    return code;
}

/* ---- the process ---- */

static int exit_status(int code)
{
    switch (code) {
    case 0:
        return EXIT_OK;
    case ERR_CLOSED: /* child_init: the supervisor is gone */
        return EXIT_PARENT_DIED;
    case ERR_DEVICE:
        return EXIT_GPU_POISONED;
    case ERR_UNSUPPORTED:
        return EXIT_DEVICE_UNUSABLE;
    default:
        break;
    }
    enum disposition disposition = error_disposition(code);
    bool may_mend = disposition == DISPOSITION_RETRY || disposition == DISPOSITION_RESTART;
    return may_mend ? EXIT_INTERNAL : EXIT_BAD_CONFIG;
}

static int open_and_serve(const struct worker_program *program, void *context,
                          struct service *service, struct error *err)
{
    int code = program->open != NULL ? program->open(context, &service->process, err) : 0;
    if (code != 0)
        return code;
    code = serve(program, context, service, err);
    if (program->close != NULL)
        program->close(context);
    return code;
}

static int run(const struct worker_program *program, void *context,
               const struct arguments *arguments, const struct fleet_config *config, int reload_fd,
               struct error *err)
{
    struct child child;
    struct service service = {
        .process = {.config = config, .child = &child, .index = arguments->index},
        .reload_fd = reload_fd};
    struct worker_process *process = &service.process;
    int code = group_choose(config, program->kind, arguments->group, &process->group, err);
    if (code == 0)
        code = child_init(&child, process->group->name, err);
    if (code == 0)
        code = storage_client_open(config, child.identity, &process->storage, err);
    if (code != 0)
        return code;
    struct worker_progress progress;
    worker_progress_init(&progress, &child, program->computes);
    process->progress = &progress;
    code = open_and_serve(program, context, &service, err);
    worker_progress_fini(&progress);
    storage_client_close(process->storage);
    return code;
}

/* From before the config is read for the first time, so that no change of it is missed. */
static int load_and_run(const struct worker_program *program, void *context,
                        const struct arguments *arguments, struct error *err)
{
    struct fleet_config *config = NULL;
    int reload_fd = child_reload_fd(err);
    if (reload_fd < 0)
        return reload_fd;
    int code = fleet_config_load(arguments->config, &config, err) == 0 ? 0 : ERR_CONFIG;
    if (code == 0) {
        log_open(program->name, config->log_level, config->log_format);
        code = run(program, context, arguments, config, reload_fd, err);
    }
    fleet_config_destroy(config);
    close(reload_fd);
    return code;
}

int worker_program_main(const struct worker_program *program, void *context, int argc, char **argv)
{
    struct arguments arguments;
    int status = arguments_parse(program, argc, argv, &arguments);
    if (status >= 0)
        return status;
    struct error err = {0};
    log_open(program->name, LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    int code = load_and_run(program, context, &arguments, &err);
    if (code != 0) {
        char quoted[2 * ERROR_TEXT_MAX];
        log_error("worker.failed", "code=%s text=%s", error_name(err.code),
                  log_quote(err.text, quoted, sizeof quoted));
    }
    return exit_status(code);
}
