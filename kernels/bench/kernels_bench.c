/* SPDX-License-Identifier: Apache-2.0 */
/* kernels_bench: see kernels_bench.h. */
#include "kernels/bench/kernels_bench.h"

#include <stdio.h>

#include "kernels/bench/arguments.h"
#include "kernels/bench/operations.h"
#include "kernels/bench/roof.h"

#define STATUS_USAGE  64 /* as sysexits, and as the project's programs */
#define STATUS_FAILED 70

static const char help[] =
    "Usage: %s [OPTIONS]\n"
    "\n"
    "Times each operation of an encoder at the shapes of three models, and says which share of "
    "the\n"
    "device's own limits that is: arithmetic, and moving memory, measured in the same run. Bytes\n"
    "are the least that an operation must move; what is still in a cache goes faster than memory.\n"
    "\n" BENCH_OPTIONS_HELP "  --seconds S         for each operation; default: 0.5\n"
    "  --help\n"
    "\n"
    "Exit status: 0 measured, 64 wrong command line, 70 no such device here, or it failed.\n";

/* A worker's batch on the CPU; four waves of an H200's multiprocessors on CUDA. */
#define CPU_TOKENS  2048u
#define CUDA_TOKENS 16384u
#define TOKENS_MAX  (1u << 17)

struct options {
    struct bench_arguments common;
    uint32_t tokens; /* 0: by device */
    bool is_help;
};

enum { OPTION_TOKENS = BENCH_OPTION_FREE, OPTION_HELP };

static const struct encoder_shape shapes[] = {
    {"MiniLM, BGE small", 384, 12, 1536},
    {"BERT base, BGE base, DistilBERT", 768, 12, 3072},
    {"BERT large, BGE large", 1024, 16, 4096},
};

/* What is being written. */
struct output {
    const struct roof *roof;
    const struct encoder_shape *shape;
    uint32_t tokens;
    bool is_json;
    bool has_rows;
};

static void print_row(const struct output *output, const struct operation_figures *figures)
{
    double best = figures->timing.best_s;
    double bytes = figures->bytes / best, flops = figures->flops / best;

    printf("%-22s %9.1f %9.1f %8.2f %9.1f %8.1f %5.0f%% %9.1f %5.0f%%\n", figures->name, best * 1e6,
           figures->timing.median_s * 1e6, figures->bytes / 1e6, figures->flops / 1e6, bytes / 1e9,
           100 * bytes / output->roof->bytes_per_s, flops / 1e9,
           100 * flops / output->roof->flops_per_s);
}

static void print_object(const struct output *output, const struct operation_figures *figures)
{
    double best = figures->timing.best_s;

    printf("%s\n    {\"model\": \"%s\", \"width\": %u, \"heads\": %u, \"inner\": %u, "
           "\"operation\": \"%s\",\n     \"best_s\": %.9f, \"median_s\": %.9f, \"bytes\": %.0f, "
           "\"flops\": %.0f,\n     \"share_of_memory\": %.9f, \"share_of_arithmetic\": %.9f}",
           output->has_rows ? "," : "", output->shape->name, output->shape->width,
           output->shape->heads, output->shape->inner, figures->name, best,
           figures->timing.median_s, figures->bytes, figures->flops,
           figures->bytes / best / output->roof->bytes_per_s,
           figures->flops / best / output->roof->flops_per_s);
}

static void report(void *context, const struct operation_figures *figures)
{
    struct output *output = context;

    if (output->is_json)
        print_object(output, figures);
    else
        print_row(output, figures);
    output->has_rows = true;
    fflush(stdout);
}

static void print_head(const struct device *device, const struct output *output)
{
    const struct device_info *info = device_info(device);
    const struct roof *roof = output->roof;
    const char *precision = bench_precision_name(info->precision);

    if (output->is_json)
        printf("{\"device\": \"%s\", \"precision\": \"%s\", \"threads\": %u, \"products\": \"%s\", "
               "\"tokens\": %u,\n"
               " \"roof\": {\"flops_per_s\": %.0f, \"flops_of\": \"%s\", \"bytes_per_s\": %.0f, "
               "\"bytes_of\": \"%s\"},\n \"operations\": [",
               info->name, precision, info->threads, info->gemm, output->tokens, roof->flops_per_s,
               roof->flops_of, roof->bytes_per_s, roof->bytes_of);
    else
        printf("device %s, %s, %u %s, products: %s\n"
               "roof   %.1f GFLOP/s (%s), %.1f GB/s (%s)\n"
               "batch  %u tokens, in texts of 128 unless said otherwise\n",
               info->name, precision, info->threads,
               info->kind == DEVICE_CUDA ? "multiprocessors" : "threads", info->gemm,
               roof->flops_per_s / 1e9, roof->flops_of, roof->bytes_per_s / 1e9, roof->bytes_of,
               output->tokens);
}

static void print_shape(const struct encoder_shape *shape)
{
    printf("\n%s: width %u, %u heads of %u, inner %u\n"
           "%-22s %9s %9s %8s %9s %8s %6s %9s %6s\n",
           shape->name, shape->width, shape->heads, shape->width / shape->heads, shape->inner,
           "operation", "best us", "median us", "MB", "MFLOP", "GB/s", "roof", "GFLOP/s", "roof");
}

static int measure(const char *name, struct device *device, const struct options *options)
{
    bool is_cuda = device_info(device)->kind == DEVICE_CUDA;
    double seconds = options->common.seconds;
    struct roof roof;
    struct output output = {.roof = &roof,
                            .tokens = options->tokens != 0 ? options->tokens
                                      : is_cuda            ? CUDA_TOKENS
                                                           : CPU_TOKENS,
                            .is_json = options->common.is_json};

    fprintf(stderr, "%s: measuring the roof\n", name);
    int r = roof_measure(device, seconds, &roof);
    if (r < 0)
        return r;
    print_head(device, &output);
    for (size_t i = 0; r == 0 && i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        fprintf(stderr, "%s: measuring %s\n", name, shapes[i].name);
        output.shape = &shapes[i];
        if (!output.is_json)
            print_shape(&shapes[i]);
        r = operations_measure(device, &shapes[i], output.tokens, seconds, report, &output);
    }
    if (output.is_json)
        printf("\n ]}\n");
    return r;
}

static bool take_tokens(const char *text, uint32_t *ret_tokens, char *message, size_t message_size)
{
    uint32_t tokens;

    if (!bench_number(text, NULL, OPERATIONS_TOKENS, TOKENS_MAX, &tokens) ||
        tokens % OPERATIONS_TOKENS != 0) {
        snprintf(message, message_size, "--tokens: \"%.40s\" is no multiple of %u from %u to %u",
                 text, OPERATIONS_TOKENS, OPERATIONS_TOKENS, TOKENS_MAX);
        return false;
    }
    *ret_tokens = tokens;
    return true;
}

/* 0 to go on, or the exit status of a wrong command line, which has been said. */
static int parse(const char *name, int argc, char **argv, struct options *options)
{
    static const struct option names[] = {BENCH_LONG_OPTIONS,
                                          {"tokens", required_argument, NULL, OPTION_TOKENS},
                                          {"help", no_argument, NULL, OPTION_HELP},
                                          {NULL, 0, NULL, 0}};
    char message[160];
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", names, NULL)) != -1) {
        if (option == '?' || option == ':') {
            fprintf(stderr, "%s: %s %s (see --help)\n", name,
                    option == '?' ? "unknown option" : "missing value after", argv[optind - 1]);
            return STATUS_USAGE;
        }
        if (option == OPTION_HELP) {
            options->is_help = true;
            return 0;
        }
        bool is_taken =
            option == OPTION_TOKENS
                ? take_tokens(optarg, &options->tokens, message, sizeof(message))
                : bench_arguments_take(&options->common, option, optarg, message, sizeof(message));
        if (!is_taken) {
            fprintf(stderr, "%s: %s\n", name, message);
            return STATUS_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "%s: unexpected argument \"%s\" (see --help)\n", name, argv[optind]);
        return STATUS_USAGE;
    }
    return 0;
}

int kernels_bench_run(const char *name, int argc, char **argv)
{
    struct options options = {.common = {.device = {.kind = DEVICE_CPU}, .seconds = 0.5}};
    struct device *device;
    char message[256] = "";
    int status = parse(name, argc, argv, &options);

    if (status != 0)
        return status;
    if (options.is_help) {
        printf(help, name);
        return 0;
    }
    int r = device_open(&options.common.device, &device, message, sizeof(message));
    if (r < 0) {
        fprintf(stderr, "%s: could not open the device: %s\n", name,
                message[0] ? message : kernel_status_text(r));
        return STATUS_FAILED;
    }
    r = measure(name, device, &options);
    if (r < 0)
        fprintf(stderr, "%s: could not measure: %s %s\n", name, kernel_status_text(r),
                device_error_text(device));
    device_close(device);
    return r < 0 ? STATUS_FAILED : 0;
}
