/* SPDX-License-Identifier: Apache-2.0 */
/*
 * supervisor_main: the program argosy-supervisor: reads the configuration and the machine, prints
 * the placement plan, and runs the fleet.
 *
 * One supervisor to a data folder: it holds <data_dir>/supervisor.lock while it lives. Its children
 * get the effective configuration, written to <data_dir>/fleet.effective.yaml.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/exit_code.h"
#include "common/fleet_config.h"
#include "common/http_address.h"
#include "common/log.h"
#include "supervisor/link/http_socket.h"
#include "supervisor/handover.h"
#include "supervisor/supervisor.h"

static const char help[] =
    "usage: argosy-supervisor --config FILE | --dev [options]\n"
    "\n"
    "Runs the processes of one node: the engine, its link, and CPU and GPU workers, each pinned\n"
    "to its cores. Restarts what dies. SIGTERM drains and ends; a second one kills.\n"
    "\n"
    "  --config FILE      the node's configuration\n"
    "  --dev              run with the defaults, without a configuration file\n"
    "  --data-dir DIR     dev: where data, sockets and models live (default .argosy)\n"
    "  --model NAME       dev: the model of the GPU workers (default all-MiniLM-L6-v2)\n"
    "  --device DEVICE    dev: auto, cuda or cpu (default auto)\n"
    "  --cpu-workers N    dev: CPU worker processes (default: one per two processors, at least 2)\n"
    "  --log-format NAME  logfmt or json; json also leaves out what is printed for people\n"
    "  --dry-run          print the placement plan and exit\n"
    "  --programs DIR     where the fleet's programs are (default: beside this one)\n"
    "  --help             this text\n"
    "\n"
    "example: argosy-supervisor --dev --data-dir /tmp/argosy --cpu-workers 4\n";

struct options {
    struct plan_source source;
    bool is_dev;
    bool is_dry_run;
    bool is_takeover_check; /* asked by a supervisor that wants to be replaced by this program */
    const char *program_dir;
};

enum option_key {
    OPTION_CONFIG = 'c',
    OPTION_HELP = 'h',
    OPTION_DEV = 256,
    OPTION_DATA_DIR,
    OPTION_MODEL,
    OPTION_DEVICE,
    OPTION_CPU_WORKERS,
    OPTION_LOG_FORMAT,
    OPTION_DRY_RUN,
    OPTION_PROGRAMS,
    OPTION_CHECK_TAKEOVER,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"dev", no_argument, NULL, OPTION_DEV},
    {"data-dir", required_argument, NULL, OPTION_DATA_DIR},
    {"model", required_argument, NULL, OPTION_MODEL},
    {"device", required_argument, NULL, OPTION_DEVICE},
    {"cpu-workers", required_argument, NULL, OPTION_CPU_WORKERS},
    {"log-format", required_argument, NULL, OPTION_LOG_FORMAT},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"programs", required_argument, NULL, OPTION_PROGRAMS},
    {"check-takeover", no_argument, NULL, OPTION_CHECK_TAKEOVER},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int fail_usage(const char *text)
{
    fprintf(stderr, "argosy-supervisor: %s (--help tells more)\n", text);
    return EXIT_USAGE;
}

static bool parse_device(const char *text, enum fleet_device *ret_device)
{
    for (int device = FLEET_DEVICE_AUTO; device <= FLEET_DEVICE_CPU; device++) {
        if (strcmp(text, fleet_device_name((enum fleet_device)device)) == 0) {
            *ret_device = (enum fleet_device)device;
            return true;
        }
    }
    return false;
}

static bool parse_count(const char *text, int most, int *ret_count)
{
    char *end;
    long count = strtol(text, &end, 10);
    if (end == text || *end != '\0' || count < 1 || count > most)
        return false;
    *ret_count = (int)count;
    return true;
}

/* Returns EXIT_OK to go on, -1 when the help was asked for, or an exit code. */
static int parse_options(int argc, char **argv, struct options *options)
{
    int key;
    opterr = 0;
    while ((key = getopt_long(argc, argv, "c:h", long_options, NULL)) >= 0) {
        switch (key) {
        case OPTION_CONFIG:
            options->source.config_path = optarg;
            break;
        case OPTION_DEV:
            options->is_dev = true;
            break;
        case OPTION_DATA_DIR:
            options->source.dev.data_dir = optarg;
            break;
        case OPTION_MODEL:
            options->source.dev.model = optarg;
            break;
        case OPTION_DEVICE:
            if (!parse_device(optarg, &options->source.dev.device))
                return fail_usage("--device takes auto, cuda or cpu");
            break;
        case OPTION_CPU_WORKERS:
            if (!parse_count(optarg, 1024, &options->source.dev.cpu_workers))
                return fail_usage("--cpu-workers takes a number from 1 to 1024");
            break;
        case OPTION_LOG_FORMAT:
            if (log_format_parse(optarg, &options->source.log_format) != 0)
                return fail_usage("--log-format takes logfmt or json");
            options->source.has_log_format = true;
            break;
        case OPTION_DRY_RUN:
            options->is_dry_run = true;
            break;
        case OPTION_PROGRAMS:
            options->program_dir = optarg;
            break;
        case OPTION_CHECK_TAKEOVER:
            options->is_takeover_check = true;
            break;
        case OPTION_HELP:
            return -1;
        default:
            return fail_usage("unknown option, or one without its value");
        }
    }
    if (optind < argc)
        return fail_usage("takes options only");
    if (!options->is_takeover_check && options->is_dev == (options->source.config_path != NULL))
        return fail_usage("needs either --config or --dev");
    return EXIT_OK;
}

/* What to tell the shell about a failure before anything ran. */
static int fail(const struct error *err)
{
    fprintf(stderr, "argosy-supervisor: %s\n", err->text);
    switch (err->code) {
    case ERR_CONFIG:
    case ERR_INVALID:
        return EXIT_BAD_CONFIG;
    case ERR_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case ERR_EXISTS:
        return EXIT_ALREADY_EXISTS;
    default:
        return EXIT_INTERNAL;
    }
}

/* The folder this program lies in. */
static int find_program_dir(char *out, struct error *err)
{
    ssize_t length = readlink("/proc/self/exe", out, PATH_MAX - 1);
    if (length < 0)
        return error_set_errno(err, ERR_IO, errno, "cannot find this program's folder");
    out[length] = '\0';
    dirname(out); /* cuts in place: the path is absolute */
    return 0;
}

static int create_folders(const char *path, struct error *err)
{
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part)
        return error_set(err, ERR_CONFIG, "data_dir: path too long");
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char saved = *at;
        *at = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return error_set_errno(err, ERR_CONFIG, errno, "cannot create %s", part);
        *at = saved;
        if (saved == '\0')
            return 0;
    }
}

/* Takes the data folder's lock, which the kernel frees when this process is gone. */
static int lock_data_dir(const struct fleet_config *config, int *ret_fd, struct error *err)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/supervisor.lock", config->data_dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_set_errno(err, ERR_CONFIG, errno, "cannot open %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) { /* held until exit */
        /* Who it is, for `argosy fleet report`. */
        bool is_written = ftruncate(fd, 0) == 0 && dprintf(fd, "%d\n", (int)getpid()) > 0;
        *ret_fd = fd;
        return is_written ? 0 : error_set_errno(err, ERR_IO, errno, "cannot write %s", path);
    }
    int code = errno == EWOULDBLOCK ? error_set(err, ERR_EXISTS, "another fleet already runs in %s",
                                                config->data_dir)
                                    : error_set_errno(err, ERR_IO, errno, "cannot lock %s", path);
    close(fd);
    return code;
}

/* A dry run is for nothing else; a fleet does not wait for somebody who does not read. */
static void print_plan(const struct fleet_config *config, const struct placement *placement,
                       bool is_dry_run)
{
    struct buffer text = {0};
    buffer_printf(&text, "node      %s, configuration: %s\n", config->node, config->source);
    placement_print(placement, &text);
    if (is_dry_run)
        fputs(buffer_text(&text), stdout);
    else
        log_say(buffer_text(&text));
    buffer_fini(&text);
}

static void announce_http(const struct fleet_config *config, int http_fd)
{
    char address[HTTP_ADDRESS_TEXT_MAX];
    http_address_format(http_fd, address);
    log_info("http.listening", "address=%s", address);
    if (config->log_format == LOG_FORMAT_JSON)
        return;
    char text[HTTP_ADDRESS_TEXT_MAX + 32];
    snprintf(text, sizeof text, "http      http://%s/metrics\n", address);
    log_say(text);
}

/* What a supervisor that is replaced in place already has. */
static int take_over(const struct handover *handover, int *ret_lock_fd, int *ret_http_fd)
{
    *ret_lock_fd = handover_lock_fd(handover);
    *ret_http_fd = handover_http_fd(handover);
    fcntl(*ret_lock_fd, F_SETFD, FD_CLOEXEC);
    if (*ret_http_fd >= 0)
        fcntl(*ret_http_fd, F_SETFD, FD_CLOEXEC);
    return 0;
}

static int open_node(const struct fleet_config *config, const struct service_manager *manager,
                     int *ret_lock_fd, int *ret_http_fd, struct error *err)
{
    int code = create_folders(config->data_dir, err);
    if (code == 0)
        code = lock_data_dir(config, ret_lock_fd, err);
    if (code == 0 && manager->http_fd >= 0)
        *ret_http_fd = manager->http_fd;
    else if (code == 0)
        code = http_socket_open(config->http.listen, ret_http_fd, err);
    return code;
}

static int run_fleet(const struct options *options, struct plan *plan,
                     const struct handover *handover, char **arguments, struct error *err)
{
    char program_dir[PATH_MAX];
    char effective[PATH_MAX];
    int http_fd = -1;
    int lock_fd = -1;
    struct service_manager manager;
    int code = service_manager_open(&manager, err);
    if (code == 0 && manager.engine_fd_count > 0 && plan->config->engine.listen_count == 0)
        code =
            error_set(err, ERR_CONFIG,
                      "the service manager has a socket \"engine\", but the engine runs elsewhere");
    if (code == 0)
        code = handover != NULL ? take_over(handover, &lock_fd, &http_fd)
                                : open_node(plan->config, &manager, &lock_fd, &http_fd, err);
    if (code == 0)
        code = plan_write_effective(plan, effective, err);
    if (code == 0 && options->program_dir == NULL)
        code = find_program_dir(program_dir, err);
    if (code != 0)
        return fail(err);
    struct process_setting setting = {
        .program_dir = options->program_dir != NULL ? options->program_dir : program_dir,
        .config_path = effective,
        .http_fd = http_fd,
        .manager = &manager,
        .status_fd = -1, /* the supervisor's own, as the rest */
        .arguments = (const char *const *)arguments,
        .lock_fd = lock_fd,
    };
    if (http_fd >= 0 && handover == NULL)
        announce_http(plan->config, http_fd);
    int exit_code = supervisor_run(&options->source, plan, &setting, handover, err);
    service_manager_close(&manager);
    return err->code != 0 ? fail(err) : exit_code;
}

/* The plan of the configuration in force, whatever the file says by now. */
static int plan_takeover(const struct handover *handover, struct plan_source *source,
                         struct plan *ret_plan, struct error *err)
{
    struct plan_source effective = {.config_path = handover_config_path(handover)};
    int code = plan_create(&effective, NULL, ret_plan, err);
    if (code == 0)
        handover_scale(handover, source, ret_plan);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    int exit_code = parse_options(argc, argv, &options);
    if (exit_code < 0) {
        fputs(help, stdout);
        return EXIT_OK;
    }
    if (exit_code != EXIT_OK)
        return exit_code;

    struct error err = {0};
    struct plan plan;
    struct handover *handover;
    int code = handover_read(&handover, &err);
    if (code == 0)
        code = handover != NULL ? plan_takeover(handover, &options.source, &plan, &err)
                                : plan_create(&options.source, NULL, &plan, &err);
    if (code != 0)
        return fail(&err);
    log_open("supervisor", plan.config->log_level, plan.config->log_format);
    bool is_run = !options.is_dry_run && !options.is_takeover_check;
    if (options.is_dry_run ||
        (is_run && handover == NULL && plan.config->log_format != LOG_FORMAT_JSON))
        print_plan(plan.config, &plan.placement, options.is_dry_run);
    exit_code = is_run ? run_fleet(&options, &plan, handover, argv, &err) : EXIT_OK;
    handover_destroy(handover);
    plan_destroy(&plan);
    return exit_code;
}
