/* SPDX-License-Identifier: Apache-2.0 */
/* pipeline: see pipeline.h. */
#include "bench/pipeline.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/machine_limits.h"
#include "bench/pipeline_client.h"
#include "bench/process.h"
#include "bench/sdk_client.h"
#include "common/clock.h"

#define TASK_QUEUE "bench-queue"
#define WORKER_MAX 64

/* A measurement takes some seconds at 4,000 workflows/s, and one at a time at 2 ms each. */
#define COUNT_ONE  ((size_t)3000)
#define COUNT_MANY ((size_t)40000)
/* Before each measurement: caches, buffers, the first pages of files. */
#define WARM_UP_COUNT ((size_t)500)

struct bench {
    const struct pipeline_options *options;
    char folder[256];
    char address[320];
    struct process engine;
    struct process workers[WORKER_MAX];
};

struct result {
    size_t concurrency, count;
    double per_s, p50_us, p99_us;
    double engine_us, workers_us, client_us; /* CPU per workflow */
    uint64_t engine_bytes;
};

static int make_folder(struct bench *bench, struct error *err)
{
    snprintf(bench->folder, sizeof bench->folder, "%s/argosy-bench-XXXXXX", bench->options->folder);
    if (mkdtemp(bench->folder) == NULL)
        return error_set_errno(err, ERR_IO, errno, "could not make a folder in %s",
                               bench->options->folder);
    /* An address is the whole path: a relative folder would be another one for each process. */
    char *absolute = realpath(bench->folder, NULL);
    if (absolute == NULL || strlen(absolute) + 32 > sizeof bench->folder)
        return error_set(err, ERR_IO, "the path of %s is too long", bench->folder);
    snprintf(bench->folder, sizeof bench->folder, "%s", absolute);
    free(absolute);
    snprintf(bench->address, sizeof bench->address, "ipc://%s/engine.sock", bench->folder);
    return 0;
}

static int start_processes(struct bench *bench, struct error *err)
{
    char engine[512], worker[512];
    int code = process_path("argosy-engine", engine, sizeof engine, err);
    if (code == 0)
        code = process_path("argosy-bench", worker, sizeof worker, err);
    if (code != 0)
        return code;
    const char *const engine_arguments[] = {engine,
                                            "--store",
                                            bench->options->is_memory ? "memory" : "sqlite",
                                            "--data-dir",
                                            bench->folder,
                                            "--listen",
                                            bench->address,
                                            "--log-level",
                                            "warn",
                                            NULL};
    const char *const worker_arguments[] = {worker,
                                            bench->options->is_bare ? "pipeline-worker"
                                                                    : "sdk-worker",
                                            "--address",
                                            bench->address,
                                            "--task-queue",
                                            TASK_QUEUE,
                                            NULL};
    code = process_start(&bench->engine, engine_arguments, err);
    for (int i = 0; code == 0 && i < bench->options->workers; i++)
        code = process_start(&bench->workers[i], worker_arguments, err);
    return code;
}

static uint64_t workers_cpu_us(const struct bench *bench)
{
    uint64_t sum = 0;
    for (int i = 0; i < bench->options->workers; i++)
        sum += process_usage_get(bench->workers[i].pid).cpu_us;
    return sum;
}

static int run_client(struct bench *bench, const char *prefix, size_t concurrency, size_t count,
                      struct pipeline_client_report *ret_report, struct error *err)
{
    const struct pipeline_client_config config = {.address = bench->address,
                                                  .task_queue = TASK_QUEUE,
                                                  .id_prefix = prefix,
                                                  .count = count,
                                                  .concurrency =
                                                      concurrency < count ? concurrency : count};
    return bench->options->is_bare ? pipeline_client_run(&config, ret_report, err)
                                   : sdk_client_run(&config, ret_report, err);
}

static int measure_level(struct bench *bench, size_t level, struct result *ret_result,
                         struct error *err)
{
    size_t concurrency = bench->options->concurrency[level];
    size_t count = bench->options->count;
    if (count == 0)
        count = concurrency == 1 ? COUNT_ONE : COUNT_MANY;
    char prefix[64];
    struct pipeline_client_report report;
    snprintf(prefix, sizeof prefix, "warm-%zu", level);
    int code = run_client(bench, prefix, concurrency, WARM_UP_COUNT, &report, err);
    if (code != 0)
        return code;
    free(report.latencies_ns);

    struct process_usage engine_before = process_usage_get(bench->engine.pid);
    struct process_usage client_before = process_usage_get(0);
    uint64_t workers_before = workers_cpu_us(bench);
    snprintf(prefix, sizeof prefix, "bench-%zu", level);
    code = run_client(bench, prefix, concurrency, count, &report, err);
    if (code != 0)
        return code;
    struct process_usage engine = process_usage_get(bench->engine.pid);
    double each = (double)count;
    *ret_result = (struct result){
        .concurrency = concurrency,
        .count = count,
        .per_s = each * (double)NS_PER_S / (double)report.wall_ns,
        .p50_us = (double)percentile(report.latencies_ns, count, 0.50) / 1000,
        .p99_us = (double)percentile(report.latencies_ns, count, 0.99) / 1000,
        .engine_us = (double)(engine.cpu_us - engine_before.cpu_us) / each,
        .workers_us = (double)(workers_cpu_us(bench) - workers_before) / each,
        .client_us = (double)(process_usage_get(0).cpu_us - client_before.cpu_us) / each,
        .engine_bytes = engine.memory_bytes,
    };
    free(report.latencies_ns);
    return 0;
}

static void print_text(const struct pipeline_options *options, const struct machine_limits *limits,
                       const struct result *results)
{
    printf("pipeline: 3 sequential activities of 100 bytes; store %s; %s; %d worker process%s; %ld "
           "cores\n\n",
           options->is_memory ? "memory" : "sqlite, flushed",
           options->is_bare ? "bare connections" : "SDK", options->workers,
           options->workers == 1 ? "" : "es", sysconf(_SC_NPROCESSORS_ONLN));
    printf("in flight  workflows  workflows/s    p50 us    p99 us   engine  workers   client  "
           "(CPU us each)\n");
    for (size_t i = 0; i < options->level_count; i++) {
        const struct result *result = &results[i];
        printf("%9zu  %9zu  %11.0f  %8.0f  %8.0f  %7.0f  %7.0f  %7.0f\n", result->concurrency,
               result->count, result->per_s, result->p50_us, result->p99_us, result->engine_us,
               result->workers_us, result->client_us);
    }
    printf("\nthis machine: %.0f flushes/s (append of 8 KiB, fdatasync), %.0f ZeroMQ round trips/s "
           "(ipc, 100 bytes)\n",
           limits->flushes_per_s, limits->round_trips_per_s);
}

static void print_json(const struct pipeline_options *options, const struct machine_limits *limits,
                       const struct result *results)
{
    printf("{\"bench\": \"pipeline\", \"store\": \"%s\", \"sdk\": %s, \"workers\": %d, \"cores\": "
           "%ld, "
           "\"machine\": {\"flushes_per_s\": %.0f, \"zeromq_round_trips_per_s\": %.0f}, "
           "\"results\": [",
           options->is_memory ? "memory" : "sqlite", options->is_bare ? "false" : "true",
           options->workers, sysconf(_SC_NPROCESSORS_ONLN), limits->flushes_per_s,
           limits->round_trips_per_s);
    for (size_t i = 0; i < options->level_count; i++) {
        const struct result *result = &results[i];
        printf("%s{\"concurrency\": %zu, \"workflows\": %zu, \"workflows_per_s\": %.1f, "
               "\"p50_us\": %.1f, \"p99_us\": %.1f, \"engine_cpu_us\": %.1f, "
               "\"workers_cpu_us\": %.1f, \"client_cpu_us\": %.1f, \"engine_memory_bytes\": %llu}",
               i == 0 ? "" : ", ", result->concurrency, result->count, result->per_s,
               result->p50_us, result->p99_us, result->engine_us, result->workers_us,
               result->client_us, (unsigned long long)result->engine_bytes);
    }
    printf("]}\n");
}

int pipeline_measure(const struct pipeline_options *options, struct error *err)
{
    struct bench bench = {.options = options};
    struct machine_limits limits;
    struct result results[PIPELINE_LEVEL_MAX];
    int code = make_folder(&bench, err);
    if (code != 0)
        return code;
    code = machine_limits_measure(bench.folder, &limits, err);
    if (code == 0)
        code = start_processes(&bench, err);
    for (size_t i = 0; code == 0 && i < options->level_count; i++)
        code = measure_level(&bench, i, &results[i], err);
    for (int i = 0; i < options->workers; i++)
        process_stop(&bench.workers[i], SIGTERM, NULL);
    process_stop(&bench.engine, SIGTERM, NULL);
    process_remove_folder(bench.folder);
    if (code == 0 && options->is_json)
        print_json(options, &limits, results);
    else if (code == 0)
        print_text(options, &limits, results);
    return code;
}
