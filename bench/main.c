/* SPDX-License-Identifier: Apache-2.0 */
/* argosy-bench: measurements of this machine. Exit codes: common/exit_code.h. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bench/codec_timing.h"
#include "bench/pipeline.h"
#include "bench/pipeline_worker.h"
#include "bench/sdk_worker.h"
#include "bench/vectors.h"
#include "common/exit_code.h"

static const char help[] =
    "Usage: argosy-bench pipeline [OPTIONS]\n"
    "       argosy-bench codec\n"
    "       argosy-bench vectors --config FILE --input FILE --queries FILE --dimension N\n"
    "\n"
    "codec measures what encoding and decoding a message takes, in nanoseconds.\n"
    "\n"
    "vectors fills a collection of a running storage process with the vectors of a file of\n"
    "little-endian floats and searches for those of another; bench/compare-vectors runs it beside\n"
    "NumPy and sqlite-vec.\n"
    "\n"
    "pipeline measures workflows of three sequential activities of 100 bytes: engine, worker and "
    "client as\n"
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
    "\n"
    "  --config FILE       vectors: the storage process's config\n"
    "  --input FILE        vectors: what is put into the collection\n"
    "  --queries FILE      vectors: what is searched for\n"
    "  --dimension N       vectors: values of each; default: 384\n"
    "  --neighbours N      vectors: wanted by each search; default: 10\n"
    "  --help\n"
    "\n"
    "Example: argosy-bench pipeline --concurrency 1,64,256 --output json\n"
    "\n"
    "Exit status: 0 measured, 64 wrong command line, 70 a process or a workflow failed.\n";

enum option_key {
    OPTION_CONCURRENCY = 256,
    OPTION_COUNT,
    OPTION_BARE,
    OPTION_WORKERS,
    OPTION_STORE,
    OPTION_DIR,
    OPTION_OUTPUT,
    OPTION_HELP,
    OPTION_ADDRESS,
    OPTION_TASK_QUEUE,
    OPTION_READY_FD,
    OPTION_CONFIG,
    OPTION_INPUT,
    OPTION_QUERIES,
    OPTION_DIMENSION,
    OPTION_NEIGHBOURS,
};

static const struct option long_options[] = {
    {"concurrency", required_argument, NULL, OPTION_CONCURRENCY},
    {"count", required_argument, NULL, OPTION_COUNT},
    {"bare", no_argument, NULL, OPTION_BARE},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"store", required_argument, NULL, OPTION_STORE},
    {"dir", required_argument, NULL, OPTION_DIR},
    {"output", required_argument, NULL, OPTION_OUTPUT},
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"input", required_argument, NULL, OPTION_INPUT},
    {"queries", required_argument, NULL, OPTION_QUERIES},
    {"dimension", required_argument, NULL, OPTION_DIMENSION},
    {"neighbours", required_argument, NULL, OPTION_NEIGHBOURS},
    {"help", no_argument, NULL, OPTION_HELP},
    /* of pipeline-worker and sdk-worker, which the measurement starts itself */
    {"address", required_argument, NULL, OPTION_ADDRESS},
    {"task-queue", required_argument, NULL, OPTION_TASK_QUEUE},
    {"ready-fd", required_argument, NULL, OPTION_READY_FD},
    {NULL, 0, NULL, 0},
};

/* The command line. */
struct arguments {
    struct pipeline_options pipeline;
    struct pipeline_worker_config worker;
    struct vectors_options vectors;
    bool help;
};

static int parse_number(const char *text, const char **ret_end, long low, long high,
                        const char *name, long *ret_number, struct error *err)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    bool is_whole = ret_end != NULL || *end == '\0';
    if (errno != 0 || end == text || !is_whole || number < low || number > high)
        return error_set(err, ERR_INVALID, "%s: \"%s\" is not a number from %ld to %ld", name, text,
                         low, high);
    if (ret_end != NULL)
        *ret_end = end;
    *ret_number = number;
    return 0;
}

static int parse_levels(struct pipeline_options *options, const char *text, struct error *err)
{
    options->level_count = 0;
    for (;;) {
        long number = 0;
        int code = parse_number(text, &text, 1, 20000, "--concurrency", &number, err);
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

/* One of two words; *ret_second tells which. */
static int parse_word(const char *name, const char *first, const char *second, bool *ret_second,
                      struct error *err)
{
    if (strcmp(optarg, first) != 0 && strcmp(optarg, second) != 0)
        return error_set(err, ERR_INVALID, "%s: \"%s\" is neither %s nor %s", name, optarg, first,
                         second);
    *ret_second = strcmp(optarg, second) == 0;
    return 0;
}

static int parse_option(struct arguments *arguments, int key, struct error *err)
{
    struct pipeline_options *pipeline = &arguments->pipeline;
    long number = 0;
    int code = 0;
    switch (key) {
    case OPTION_CONCURRENCY:
        return parse_levels(pipeline, optarg, err);
    case OPTION_COUNT:
        code = parse_number(optarg, NULL, 1, 100000000, "--count", &number, err);
        pipeline->count = (size_t)number;
        return code;
    case OPTION_BARE:
        pipeline->is_bare = true;
        return 0;
    case OPTION_WORKERS:
        code = parse_number(optarg, NULL, 1, 64, "--workers", &number, err);
        pipeline->workers = (int)number;
        return code;
    case OPTION_STORE:
        return parse_word("--store", "sqlite", "memory", &pipeline->is_memory, err);
    case OPTION_DIR:
        pipeline->folder = optarg;
        return 0;
    case OPTION_OUTPUT:
        return parse_word("--output", "text", "json", &pipeline->is_json, err);
    case OPTION_CONFIG:
        arguments->vectors.config = optarg;
        return 0;
    case OPTION_INPUT:
        arguments->vectors.input = optarg;
        return 0;
    case OPTION_QUERIES:
        arguments->vectors.queries = optarg;
        return 0;
    case OPTION_DIMENSION:
        code = parse_number(optarg, NULL, 1, 4096, "--dimension", &number, err);
        arguments->vectors.dimension = (uint32_t)number;
        return code;
    case OPTION_NEIGHBOURS:
        code = parse_number(optarg, NULL, 1, 1000, "--neighbours", &number, err);
        arguments->vectors.neighbours = (uint32_t)number;
        return code;
    case OPTION_ADDRESS:
        arguments->worker.address = optarg;
        return 0;
    case OPTION_TASK_QUEUE:
        arguments->worker.task_queue = optarg;
        return 0;
    case OPTION_READY_FD:
        code = parse_number(optarg, NULL, 0, 1000000, "--ready-fd", &number, err);
        arguments->worker.ready_fd = (int)number;
        return code;
    default:
        arguments->help = true;
        return 0;
    }
}

static int parse(struct arguments *arguments, int argc, char **argv, struct error *err)
{
    opterr = 0;
    int key;
    while ((key = getopt_long(argc, argv, ":", long_options, NULL)) != -1) {
        if (key == '?' || key == ':')
            return error_set(err, ERR_INVALID, "%s %s (see --help)",
                             key == '?' ? "unknown option" : "missing value after",
                             argv[optind - 1]);
        int code = parse_option(arguments, key, err);
        if (code != 0)
            return code;
    }
    return 0;
}

/* Enough that slots never bound the measurement: more than the most in flight at once by default.
 */
#define SLOTS 512

/* A worker until SIGTERM. */
static int work(struct pipeline_worker_config *config,
                int (*run_worker)(const struct pipeline_worker_config *, struct error *),
                struct error *err)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    config->workflow_slots = SLOTS;
    config->activity_slots = SLOTS;
    config->stop_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (config->stop_fd < 0)
        return error_set_errno(err, ERR_IO, errno, "could not take signals");
    int code = run_worker(config, err);
    close(config->stop_fd);
    return code;
}

static int run(int argc, char **argv, struct error *err)
{
    struct arguments arguments = {
        .pipeline = {.concurrency = {1, 256}, .level_count = 2, .workers = 1, .folder = "."},
        .worker = {.ready_fd = -1},
        .vectors = {.dimension = 384, .neighbours = 10}};
    int code = parse(&arguments, argc, argv, err);
    if (code != 0)
        return code;
    const char *command = optind < argc ? argv[optind] : "";
    if (arguments.help || command[0] == '\0') {
        fputs(help, stdout);
        return 0;
    }
    if (optind + 1 < argc)
        return error_set(err, ERR_INVALID, "unexpected argument \"%s\"", argv[optind + 1]);
    if (strcmp(command, "pipeline") == 0)
        return pipeline_measure(&arguments.pipeline, err);
    if (strcmp(command, "codec") == 0)
        return codec_timing_measure(err);
    const struct vectors_options *vectors = &arguments.vectors;
    if (strcmp(command, "vectors") == 0) {
        if (vectors->config == NULL || vectors->input == NULL || vectors->queries == NULL)
            return error_set(err, ERR_INVALID, "--config, --input and --queries are needed");
        return vectors_measure(vectors, err);
    }
    bool is_worker = arguments.worker.address != NULL && arguments.worker.task_queue != NULL;
    if (strcmp(command, "pipeline-worker") == 0 && is_worker)
        return work(&arguments.worker, pipeline_worker_run, err);
    if (strcmp(command, "sdk-worker") == 0 && is_worker)
        return work(&arguments.worker, sdk_worker_run, err);
    return error_set(err, ERR_INVALID, "unknown measurement \"%s\" (see --help)", command);
}

int main(int argc, char **argv)
{
    struct error err = {0};
    int code = run(argc, argv, &err);
    if (code != 0)
        fprintf(stderr, "argosy-bench: %s\n", err.text);
    return code == 0 ? EXIT_OK : code == ERR_INVALID ? EXIT_USAGE : EXIT_INTERNAL;
}
