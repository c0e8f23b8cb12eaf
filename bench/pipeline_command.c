/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline_command: the options of `pipeline` and of the workers that it starts; see commands.h. */
#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bench/command_line.h"
#include "bench/commands.h"
#include "bench/pipeline.h"
#include "bench/pipeline_worker.h"
#include "bench/sdk_worker.h"

static const char help[] =
    "Usage: argosy-bench pipeline [OPTIONS]\n"
    "\n"
    "Measures workflows of three sequential activities of 100 bytes: engine, worker and client as\n"
    "processes of this machine, every commit flushed to disk. Prints workflows/s and latency\n"
    "beside what the machine can do by itself.\n"
    "\n"
    "  --concurrency LIST  workflows in flight, one measurement each; default: 1,256\n"
    "  --count N           workflows per measurement; default: 3,000 one at a time, else 40,000\n"
    "  --bare              worker and client on bare connections, without the SDK\n"
    "  --workers N         worker processes; default: 1\n"
    "  --store KIND        sqlite (default) or memory\n"
    "  --dir DIR           where the store's folder is made; default: .\n"
    "  --output FORMAT     text (default) or json\n"
    "  --help\n"
    "\n"
    "Example: argosy-bench pipeline --concurrency 1,64,256 --output json\n";

enum {
    OPTION_CONCURRENCY = 256,
    OPTION_COUNT,
    OPTION_BARE,
    OPTION_WORKERS,
    OPTION_STORE,
    OPTION_DIR,
    OPTION_OUTPUT,
    OPTION_ADDRESS,
    OPTION_TASK_QUEUE,
    OPTION_READY_FD,
};

static int parse_levels(struct pipeline_options *options, const char *text, struct error *err)
{
    options->level_count = 0;
    for (;;) {
        long number = 0;
        int code = command_line_number("--concurrency", text, &text, 1, 20000, &number, err);
        if (code != 0)
            return code;
        if (options->level_count == PIPELINE_LEVEL_MAX)
            return error_set(err, ERR_INVALID, "--concurrency: more than %d values",
                             PIPELINE_LEVEL_MAX);
        options->concurrency[options->level_count++] = (size_t)number;
        if (*text == '\0')
            return 0;
        if (*text++ != ',')
            return error_set(err, ERR_INVALID, "--concurrency: expected numbers and commas");
    }
}

static int take(void *context, int option, const char *value, struct error *err)
{
    struct pipeline_options *options = context;
    long number = 0;
    int code = 0;
    switch (option) {
    case OPTION_CONCURRENCY:
        return parse_levels(options, value, err);
    case OPTION_COUNT:
        code = command_line_number("--count", value, NULL, 1, 100000000, &number, err);
        options->count = (size_t)number;
        return code;
    case OPTION_BARE:
        options->is_bare = true;
        return 0;
    case OPTION_WORKERS:
        code = command_line_number("--workers", value, NULL, 1, 64, &number, err);
        options->workers = (int)number;
        return code;
    case OPTION_STORE:
        return command_line_word("--store", value, "sqlite", "memory", &options->is_memory, err);
    case OPTION_DIR:
        options->folder = value;
        return 0;
    default:
        return command_line_word("--output", value, "text", "json", &options->is_json, err);
    }
}

int pipeline_command(int argc, char **argv, struct error *err)
{
    static const struct option names[] = {
        {"concurrency", required_argument, NULL, OPTION_CONCURRENCY},
        {"count", required_argument, NULL, OPTION_COUNT},
        {"bare", no_argument, NULL, OPTION_BARE},
        {"workers", required_argument, NULL, OPTION_WORKERS},
        {"store", required_argument, NULL, OPTION_STORE},
        {"dir", required_argument, NULL, OPTION_DIR},
        {"output", required_argument, NULL, OPTION_OUTPUT},
        {"help", no_argument, NULL, COMMAND_LINE_HELP},
        {NULL, 0, NULL, 0},
    };
    struct pipeline_options options = {
        .concurrency = {1, 256}, .level_count = 2, .workers = 1, .folder = "."};
    const struct command_line line = {help, names, take, &options};
    bool is_help = false;
    int code = command_line_read(&line, argc, argv, &is_help, err);
    return code != 0 || is_help ? code : pipeline_measure(&options, err);
}

/* ---- workers ---- */

static int take_of_worker(void *context, int option, const char *value, struct error *err)
{
    struct pipeline_worker_config *config = context;
    long number = 0;
    int code = 0;
    switch (option) {
    case OPTION_ADDRESS:
        config->address = value;
        return 0;
    case OPTION_TASK_QUEUE:
        config->task_queue = value;
        return 0;
    default:
        code = command_line_number("--ready-fd", value, NULL, 0, 1000000, &number, err);
        config->ready_fd = (int)number;
        return code;
    }
}

/* Enough that slots never bound the measurement: more than the most in flight at once by default.
 */
#define SLOTS 512

/* A worker until SIGTERM. */
static int work(int argc, char **argv,
                int (*run_worker)(const struct pipeline_worker_config *, struct error *),
                struct error *err)
{
    static const struct option names[] = {
        {"address", required_argument, NULL, OPTION_ADDRESS},
        {"task-queue", required_argument, NULL, OPTION_TASK_QUEUE},
        {"ready-fd", required_argument, NULL, OPTION_READY_FD},
        {"help", no_argument, NULL, COMMAND_LINE_HELP},
        {NULL, 0, NULL, 0},
    };
    struct pipeline_worker_config config = {
        .ready_fd = -1, .workflow_slots = SLOTS, .activity_slots = SLOTS};
    const struct command_line line = {help, names, take_of_worker, &config};
    bool is_help = false;
    int code = command_line_read(&line, argc, argv, &is_help, err);
    if (code != 0 || is_help)
        return code;
    if (config.address == NULL || config.task_queue == NULL)
        return error_set(err, ERR_INVALID, "--address and --task-queue are needed");
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    config.stop_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (config.stop_fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not take signals");
    code = run_worker(&config, err);
    close(config.stop_fd);
    return code;
}

int pipeline_worker_command(int argc, char **argv, struct error *err)
{
    return work(argc, argv, pipeline_worker_run, err);
}

int sdk_worker_command(int argc, char **argv, struct error *err)
{
    return work(argc, argv, sdk_worker_run, err);
}
