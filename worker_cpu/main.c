/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argosy-worker-cpu: runs workflow tasks and CPU activities of one group of the fleet's config
 * (docs/spec/04-supervision.md).
 *
 *     argosy-worker-cpu --config FILE [--group NAME] [--index N]
 *
 * It registers the shipped workflows and CPU activities and the group's plug-ins, then serves the
 * group's queues until SIGTERM or SIGINT: it takes no more tasks, lets activities finish within the
 * group's grace period, hands the rest back and exits with EXIT_OK. What restarting cannot mend (a
 * wrong config, a plug-in that does not load) is EXIT_BAD_CONFIG.
 *
 * Threading: the main thread runs the worker's loop and workflow code; the SDK owns the threads
 * that run activities. The signal handler only calls argosy_worker_stop.
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
#include "workflows/shipped.h"

/* Of the grace period, so that heartbeats and releases still leave before the supervisor kills. */
#define DRAIN_SHARE_PERCENT 80

struct arguments {
    const char *config;
    const char *group; /* NULL: the config's first cpu group */
    const char *index; /* which of the group's processes; only for logs */
};

/* Read by the signal handler. */
static struct argosy_worker *serving;
static int64_t drain_ms;

static void usage(FILE *out)
{
    fputs("usage: argosy-worker-cpu --config FILE [--group NAME] [--index N]\n\n"
          "Runs the workflows and CPU activities of one worker group; the supervisor starts it.\n\n"
          "example: argosy-worker-cpu --config .argosy/fleet.effective.yaml --group cpu\n",
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
    if (name == NULL) {
        for (size_t i = 0; i < config->group_count; i++)
            if (config->groups[i].kind == FLEET_GROUP_CPU) {
                *ret_group = &config->groups[i];
                return 0;
            }
        return error_set(err, ERR_CONFIG, "%s: no group of kind cpu", config->source);
    }
    const struct fleet_group *group = fleet_config_group(config, name);
    if (group == NULL)
        return error_set(err, ERR_CONFIG, "%s: no group \"%s\"", config->source, name);
    if (group->kind != FLEET_GROUP_CPU)
        return error_set(err, ERR_CONFIG, "%s: group \"%s\" is of kind %s, not cpu", config->source,
                         name, fleet_group_kind_name(group->kind));
    *ret_group = group;
    return 0;
}

/* The shipped types, then the plug-ins' own. */
static int registry_fill(struct argosy_registry *registry, const struct fleet_group *group,
                         struct error *err)
{
    struct argosy_error why = {0};
    int code = shipped_register(registry, &why);
    if (code != 0)
        return error_set(err, code, "cannot register the shipped workflows: %s", why.text);
    for (size_t i = 0; i < group->plugin_count; i++) {
        code = argosy_registry_load_plugin(registry, group->plugins[i], &why);
        if (code != 0)
            return error_set(err, ERR_CONFIG, "group \"%s\": cannot load plug-in %s: %s",
                             group->name, group->plugins[i], why.text);
        log_info("plugin.loaded", "file=%s", group->plugins[i]);
    }
    return 0;
}

static void worker_ready(void *user_data)
{
    struct child *child = user_data;
    log_info("worker.ready", "pid=%d identity=%s", (int)getpid(), child->identity);
    child_ready(child);
}

static void worker_turned(void *user_data)
{
    child_progress(user_data);
}

static void worker_reported(void *user_data, const char *text)
{
    (void)user_data;
    char quoted[1024];
    log_warn("worker.reported", "text=%s", log_quote(text, quoted, sizeof(quoted)));
}

static int worker_create(const struct fleet_config *config, const struct fleet_group *group,
                         struct child *child, const struct argosy_registry *registry,
                         struct argosy_worker **ret_worker, struct error *err)
{
    struct fleet_endpoint endpoint;
    int code = fleet_config_endpoint(config, &endpoint, err);
    if (code != 0)
        return code;
    struct argosy_worker_queue *queues = calloc(group->queue_count, sizeof(*queues));
    if (queues == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < group->queue_count; i++)
        queues[i] = (struct argosy_worker_queue){.name = group->queues[i].name,
                                                 .slots = group->queues[i].slots};
    struct argosy_error why = {0};
    code = argosy_worker_create(
        &(struct argosy_worker_options){
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
            .on_turn = worker_turned,
            .on_log = worker_reported,
        },
        registry, ret_worker, &why);
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

/* Serves until told to stop. 0 or a negative code. */
static int serve(const struct arguments *arguments, const struct fleet_config *config,
                 struct error *err)
{
    const struct fleet_group *group;
    int code = group_choose(config, arguments->group, &group, err);
    if (code != 0)
        return code;
    struct child child;
    code = child_init(&child, group->name, err);
    if (code != 0)
        return code;

    struct argosy_worker *worker = NULL;
    struct argosy_registry *registry = argosy_registry_create();
    if (registry == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    code = registry_fill(registry, group, err);
    if (code == 0)
        code = worker_create(config, group, &child, registry, &worker, err);
    if (code == 0) {
        serving = worker;
        drain_ms = (int64_t)group->grace_ms * DRAIN_SHARE_PERCENT / 100;
        signals_set(stop_on_signal);
        log_info("worker.started", "pid=%d group=%s index=%s", (int)getpid(), group->name,
                 arguments->index);
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

static int exit_status(int code)
{
    switch (code) {
    case 0:
        return EXIT_OK;
    case ERR_CLOSED: /* child_init: the supervisor is gone */
        return EXIT_PARENT_DIED;
    case ERR_MEMORY:
    case ERR_INTERNAL:
        return EXIT_INTERNAL;
    default: /* what waiting and restarting cannot mend */
        return EXIT_BAD_CONFIG;
    }
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    int status = arguments_parse(argc, argv, &arguments);
    if (status >= 0)
        return status;
    struct fleet_config *config = NULL;
    struct error err = {0};
    log_open("worker-cpu", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    int code = fleet_config_load(arguments.config, &config, &err);
    if (code == 0) {
        log_open("worker-cpu", config->log_level, config->log_format);
        code = serve(&arguments, config, &err);
    }
    if (code != 0) {
        char quoted[2 * ERROR_TEXT_MAX];
        log_error("worker.failed", "code=%s text=%s", error_name(code),
                  log_quote(err.text, quoted, sizeof(quoted)));
    }
    fleet_config_destroy(config);
    return exit_status(code);
}
