/* SPDX-License-Identifier: Apache-2.0 */
/* options: see options.h. */
#include "engine/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/assert.h"
#include "common/child.h"
#include "common/clock.h"

const char options_help[] =
    "Usage: argosy-engine [OPTIONS]\n"
    "\n"
    "Keeps workflows: their histories on disk, their timers, their task queues. Usually started\n"
    "by a supervisor (argosy dev, argosy up); by hand it needs no configuration.\n"
    "\n"
    "  --config FILE       the fleet's configuration; the options below go over it\n"
    "  --store KIND        sqlite (default: <data-dir>/engine.db) or memory (lost at exit)\n"
    "  --data-dir DIR      default: .argosy\n"
    "  --listen ADDRESS    ipc:///path or tcp://host:port (port 0: a free one); repeatable;\n"
    "                      default: ipc://<data-dir>/engine.sock\n"
    "  --insecure          allow a tcp address without keys, on loopback only\n"
    "  --skip-time         for tests of workflows: time jumps over what is only waiting (memory\n"
    "                      store only)\n"
    "  --ready-fd N        write one line \"address ...\" per address and then \"ready\" to this\n"
    "                      descriptor once serving\n"
    "  --log-level LEVEL   debug, info (default), warn, error\n"
    "  --log-format FORMAT logfmt (default) or json\n"
    "  --version, --help\n"
    "\n"
    "SIGHUP: the bounds of queues and the log level are read from the config again.\n"
    "\n"
    "Example: argosy-engine --store memory --listen tcp://127.0.0.1:7233 --insecure\n"
    "\n"
    "Exit status: 0 stopped by SIGTERM, 64 wrong command line, 70 internal error, 74 the store\n"
    "failed, 78 bad configuration, 82 the supervisor is gone.\n";

enum option_key {
    OPTION_CONFIG = 256,
    OPTION_STORE,
    OPTION_DATA_DIR,
    OPTION_LISTEN,
    OPTION_INSECURE,
    OPTION_SKIP_TIME,
    OPTION_READY_FD,
    OPTION_LOG_LEVEL,
    OPTION_LOG_FORMAT,
    OPTION_VERSION,
    OPTION_HELP,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"store", required_argument, NULL, OPTION_STORE},
    {"data-dir", required_argument, NULL, OPTION_DATA_DIR},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"insecure", no_argument, NULL, OPTION_INSECURE},
    {"skip-time", no_argument, NULL, OPTION_SKIP_TIME},
    {"ready-fd", required_argument, NULL, OPTION_READY_FD},
    {"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"version", no_argument, NULL, OPTION_VERSION},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

/* The command line as it was written. */
struct arguments {
    const char *config, *store, *data_dir, *log_level, *log_format;
    size_t listen_count;
    bool insecure;
};

static int parse_descriptor(const char *text, int *ret_fd, struct error *err)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || number < 0 || number > INT32_MAX)
        return error_set(err, ERR_INVALID, "--ready-fd: \"%s\" is no descriptor", text);
    *ret_fd = (int)number;
    return 0;
}

static int parse_argument(struct options *options, struct arguments *arguments, int key,
                          struct error *err)
{
    switch (key) {
    case OPTION_CONFIG:
        arguments->config = optarg;
        return 0;
    case OPTION_STORE:
        arguments->store = optarg;
        return 0;
    case OPTION_DATA_DIR:
        arguments->data_dir = optarg;
        return 0;
    case OPTION_LISTEN:
        if (arguments->listen_count == OPTIONS_LISTEN_MAX)
            return error_set(err, ERR_INVALID, "--listen: more than %d addresses",
                             OPTIONS_LISTEN_MAX);
        options->listen[arguments->listen_count++] = optarg;
        return 0;
    case OPTION_INSECURE:
        arguments->insecure = true;
        return 0;
    case OPTION_SKIP_TIME:
        options->server.skips_time = true;
        return 0;
    case OPTION_READY_FD:
        return parse_descriptor(optarg, &options->ready_fd, err);
    case OPTION_LOG_LEVEL:
        arguments->log_level = optarg;
        return 0;
    case OPTION_LOG_FORMAT:
        arguments->log_format = optarg;
        return 0;
    case OPTION_VERSION:
        options->version = true;
        return 0;
    case OPTION_HELP:
        options->help = true;
        return 0;
    default:
        UNREACHABLE();
    }
}

static int parse_command_line(struct options *options, struct arguments *arguments, int argc,
                              char **argv, struct error *err)
{
    opterr = 0;
    optind = 1;
    int key;
    while ((key = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (key == '?' || key == ':')
            return error_set(err, ERR_INVALID, "%s %s (see --help)",
                             key == '?' ? "unknown option" : "missing value after",
                             argv[optind - 1]);
        int code = parse_argument(options, arguments, key, err);
        if (code != 0)
            return code;
    }
    if (optind < argc)
        return error_set(err, ERR_INVALID, "unexpected argument \"%s\" (see --help)", argv[optind]);
    return 0;
}

/* A file can be read again: calls to do so are taken from before the first time on. */
static int load_config(struct options *options, const struct arguments *arguments,
                       struct error *err)
{
    options->config_path = arguments->config;
    if (arguments->config != NULL) {
        options->server.reload_fd = child_reload_fd(err);
        return options->server.reload_fd < 0
                   ? options->server.reload_fd
                   : fleet_config_load(arguments->config, &options->config, err);
    }
    struct hardware hardware;
    hardware_detect("", &hardware);
    const struct fleet_dev_options dev = {.data_dir = arguments->data_dir};
    return fleet_config_default(&dev, &hardware, &options->config, err);
}

/* Makes a folder and those above it, for their owner alone. */
static int make_folder(const char *path, struct error *err)
{
    char *copy = strdup(path);
    if (copy == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a path");
    int code = 0;
    for (char *at = copy + 1; code == 0; at++) {
        char end = *at;
        if (end != '/' && end != '\0')
            continue;
        *at = '\0';
        if (mkdir(copy, 0700) != 0 && errno != EEXIST)
            code = error_set_errno(err, ERR_STORAGE, errno, "could not make folder %s", copy);
        *at = end;
        if (end == '\0')
            break;
    }
    free(copy);
    return code;
}

static int set_store(struct options *options, const struct arguments *arguments, struct error *err)
{
    enum fleet_store kind = options->config->engine.store;
    if (arguments->store != NULL && strcmp(arguments->store, "memory") == 0)
        kind = FLEET_STORE_MEMORY;
    else if (arguments->store != NULL && strcmp(arguments->store, "sqlite") == 0)
        kind = FLEET_STORE_SQLITE;
    else if (arguments->store != NULL)
        return error_set(err, ERR_INVALID, "--store: \"%s\" is neither sqlite nor memory",
                         arguments->store);
    if (kind == FLEET_STORE_MEMORY)
        return 0;
    if (options->server.skips_time)
        return error_set(err, ERR_INVALID,
                         "--skip-time needs --store memory: what a file keeps "
                         "must not be from the future");
    const char *data_dir =
        arguments->data_dir != NULL ? arguments->data_dir : options->config->data_dir;
    int code = make_folder(data_dir, err);
    if (code != 0)
        return code;
    if (asprintf(&options->store_path, "%s/engine.db", data_dir) < 0) {
        options->store_path = NULL;
        return error_set(err, ERR_MEMORY, "no memory for a path");
    }
    options->server.store_path = options->store_path;
    return 0;
}

int options_queue_limits(const struct fleet_config *config, struct core_queue_limit **ret_limits,
                         struct error *err)
{
    struct core_queue_limit *limits = calloc(config->queue_count + 1, sizeof *limits);
    if (limits == NULL)
        return error_set(err, ERR_MEMORY, "no memory for queue bounds");
    for (size_t i = 0; i < config->queue_count; i++)
        limits[i] = (struct core_queue_limit){.queue = config->queues[i].name,
                                              .max_in_flight = config->queues[i].max_in_flight};
    *ret_limits = limits;
    return 0;
}

static int set_queue_limits(struct options *options, struct error *err)
{
    int code = options_queue_limits(options->config, &options->queue_limits, err);
    options->server.queue_limits = options->queue_limits;
    options->server.queue_limit_count = options->config->queue_count;
    return code;
}

static int set_logging(struct options *options, const struct arguments *arguments,
                       struct error *err)
{
    options->log_level = options->config->log_level;
    options->log_format = options->config->log_format;
    if (arguments->log_level != NULL &&
        log_level_parse(arguments->log_level, &options->log_level) != 0)
        return error_set(err, ERR_INVALID, "--log-level: \"%s\" is no level", arguments->log_level);
    if (arguments->log_format != NULL &&
        log_format_parse(arguments->log_format, &options->log_format) != 0)
        return error_set(err, ERR_INVALID, "--log-format: \"%s\" is no format",
                         arguments->log_format);
    return 0;
}

static void set_endpoint(struct options *options, const struct arguments *arguments)
{
    const struct fleet_engine *engine = &options->config->engine;
    bool has_listen = arguments->listen_count > 0;
    options->server.endpoint = (struct endpoint_config){
        .addresses = has_listen ? options->listen : engine->listen,
        .address_count = has_listen ? arguments->listen_count : engine->listen_count,
        .server_key_file = engine->server_key_file,
        .authorized_keys_dir = engine->authorized_keys_dir,
        .insecure = arguments->insecure || engine->insecure,
        .lease_ms = engine->lease_ms};
    options->server.reclaim_us = engine->reclaim_ms * US_PER_MS;
    options->server.commit_hold_us = engine->commit_hold_us;
}

int options_read(struct options *options, int argc, char **argv, struct error *err)
{
    struct arguments arguments = {0};
    *options = (struct options){.ready_fd = -1, .server = {.reload_fd = -1}};
    int code = parse_command_line(options, &arguments, argc, argv, err);
    if (code != 0 || options->help || options->version)
        return code;
    code = load_config(options, &arguments, err);
    if (code != 0)
        return code;
    set_endpoint(options, &arguments);
    if (options->server.endpoint.address_count == 0)
        return error_set(err, ERR_CONFIG, "%s: the engine runs elsewhere (engine.endpoint is set)",
                         options->config->source);
    code = set_logging(options, &arguments, err);
    if (code == 0)
        code = set_queue_limits(options, err);
    if (code == 0)
        code = set_store(options, &arguments, err);
    return code;
}

void options_fini(struct options *options)
{
    if (options->server.reload_fd >= 0)
        close(options->server.reload_fd);
    free(options->store_path);
    free(options->queue_limits);
    fleet_config_destroy(options->config);
}
