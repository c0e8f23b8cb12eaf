/* SPDX-License-Identifier: Apache-2.0 */
/*
 * argosy-engine: runs the server until SIGTERM. Exit codes: common/exit_code.h; a store that fails
 * is EXIT_STORAGE, with the reason in the last log record.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/child.h"
#include "common/exit_code.h"
#include "common/log.h"
#include "engine/options.h"
#include "engine/server.h"

static int exit_code_for(int code)
{
    switch (code) {
    case 0:
        return EXIT_OK;
    case ERR_INVALID:
        return EXIT_USAGE;
    case ERR_CONFIG:
    case ERR_NOT_FOUND:
    case ERR_PERMISSION:
        return EXIT_BAD_CONFIG;
    case ERR_STORAGE:
    case ERR_CORRUPT:
    case ERR_UNSUPPORTED:
        return EXIT_STORAGE;
    case ERR_CLOSED:
        return EXIT_PARENT_DIED;
    default:
        return EXIT_INTERNAL;
    }
}

static void log_started(const struct options *options, const struct server *server)
{
    char quoted[512];
    for (size_t i = 0; i < options->server.endpoint.address_count; i++)
        log_info("engine.bound", "address=%s",
                 log_quote(server_address(server, i), quoted, sizeof quoted));
    const char *store = options->server.store_path;
    log_info("engine.started", "pid=%d store=%s runs_recovered=%zu", (int)getpid(),
             log_quote(store != NULL ? store : "memory", quoted, sizeof quoted),
             server_recovered_runs(server));
}

/* What whoever started the engine waits for: the addresses, where asked for, and the word. */
static void tell_ready(struct child *child, const struct options *options,
                       const struct server *server)
{
    if (options->ready_fd >= 0) {
        for (size_t i = 0; i < options->server.endpoint.address_count; i++)
            dprintf(options->ready_fd, "address %s\n", server_address(server, i));
        child->ready_fd = options->ready_fd;
    }
    child_ready(child);
    child_progress(child); /* from here on silence is a hang */
}

/* What the server calls back with. */
struct program {
    struct options *options;
    struct child *child;
};

static void turned(void *context)
{
    const struct program *program = context;
    child_progress(program->child);
}

/* Reads the bounds of queues and the log level from the config again. All stays as it was when that
 * fails. */
static void reload(void *context, struct server *server)
{
    const struct program *program = context;
    const struct options *options = program->options;
    char quoted[ERROR_TEXT_MAX + 64];
    struct error err = {0};
    struct fleet_config *config = NULL;
    struct core_queue_limit *limits = NULL;
    child_reload_take(options->server.reload_fd);
    int code = fleet_config_load(options->config_path, &config, &err);
    if (code == 0)
        code = options_queue_limits(config, &limits, &err);
    if (code == 0) {
        server_reconfigure_queues(server, limits, config->queue_count);
        if (options->log_level == options->config->log_level) /* no --log-level goes before it */
            log_set_level(config->log_level);
        log_info("engine.reloaded", "queues=%zu", config->queue_count);
    } else {
        log_error("engine.reload_failed", "code=%s reason=%s", error_name(code),
                  log_quote(err.text, quoted, sizeof quoted));
    }
    free(limits);
    fleet_config_destroy(config);
}

static int serve(struct options *options, struct child *child, struct error *err)
{
    struct server *server = NULL;
    struct program program = {options, child};
    options->server.endpoint.listen_fds = child->listen_fds;
    options->server.endpoint.listen_fd_count = child->listen_fd_count;
    options->server.on_reload = reload;
    options->server.on_turn = turned;
    options->server.context = &program;
    options->server.stop_fd = child_signal_fd(err);
    if (options->server.stop_fd < 0)
        return options->server.stop_fd;
    int code = server_open(&options->server, &server, err);
    if (code == 0) {
        log_started(options, server);
        tell_ready(child, options, server);
        code = server_run(server, err);
        server_close(server);
    }
    close(options->server.stop_fd);
    return code;
}

int main(int argc, char **argv)
{
    struct options options;
    struct child child;
    struct error err = {0};
    log_open("engine", LOG_LEVEL_INFO, LOG_FORMAT_LOGFMT);
    /* A write that is refused is an error of that write, with its reason. */
    signal(SIGXFSZ, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    int code = options_read(&options, argc, argv, &err);
    if (code == 0 && (options.help || options.version)) {
        fputs(options.help ? options_help : "argosy-engine " ARGOSY_VERSION "\n", stdout);
        options_fini(&options);
        return EXIT_OK;
    }
    if (code == 0) {
        log_open("engine", options.log_level, options.log_format);
        code = child_init(&child, "engine", &err);
    }
    if (code == 0)
        code = serve(&options, &child, &err);
    if (code == 0) {
        log_info("engine.stopped", "pid=%d", (int)getpid());
    } else {
        char quoted[ERROR_TEXT_MAX + 64];
        log_error("engine.failed", "code=%s reason=%s", error_name(code),
                  log_quote(err.text, quoted, sizeof quoted));
    }
    options_fini(&options);
    return exit_code_for(code);
}
