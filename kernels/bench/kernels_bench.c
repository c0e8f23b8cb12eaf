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

static const struct encoder_shape shapes[] = {
    {"MiniLM, BGE small", 384, 12, 1536},
    {"BERT base, BGE base, DistilBERT", 768, 12, 3072},
    {"BERT large, BGE large", 1024, 16, 4096},
};

/* What is being written. */
struct output {
    const struct roof *roof;
    const struct encoder_shape *shape;
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
           "\"flops\": %.0f,\n     \"share_of_memory\": %.4f, \"share_of_arithmetic\": %.4f}",
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
    uint32_t tokens = operations_tokens(device);

    if (output->is_json)
        printf("{\"device\": \"%s\", \"precision\": \"%s\", \"threads\": %u, \"products\": \"%s\", "
               "\"tokens\": %u,\n"
               " \"roof\": {\"flops_per_s\": %.0f, \"flops_of\": \"%s\", \"bytes_per_s\": %.0f, "
               "\"bytes_of\": \"%s\"},\n \"operations\": [",
               info->name, precision, info->threads, info->gemm, tokens, roof->flops_per_s,
               roof->flops_of, roof->bytes_per_s, roof->bytes_of);
    else
        printf("device %s, %s, %u %s, products: %s\n"
               "roof   %.1f GFLOP/s (%s), %.1f GB/s (%s)\n"
               "batch  %u tokens, in texts of 128 unless said otherwise\n",
               info->name, precision, info->threads,
               info->kind == DEVICE_CUDA ? "multiprocessors" : "threads", info->gemm,
               roof->flops_per_s / 1e9, roof->flops_of, roof->bytes_per_s / 1e9, roof->bytes_of,
               tokens);
}

static void print_shape(const struct encoder_shape *shape)
{
    printf("\n%s: width %u, %u heads of %u, inner %u\n"
           "%-22s %9s %9s %8s %9s %8s %6s %9s %6s\n",
           shape->name, shape->width, shape->heads, shape->width / shape->heads, shape->inner,
           "operation", "best us", "median us", "MB", "MFLOP", "GB/s", "roof", "GFLOP/s", "roof");
}

static int measure(const char *name, struct device *device, const struct bench_arguments *arguments)
{
    struct roof roof;

    fprintf(stderr, "%s: measuring the roof\n", name);
    int r = roof_measure(device, arguments->seconds, &roof);
    if (r < 0)
        return r;
    struct output output = {.roof = &roof, .is_json = arguments->is_json};
    print_head(device, &output);
    for (size_t i = 0; r == 0 && i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        fprintf(stderr, "%s: measuring %s\n", name, shapes[i].name);
        output.shape = &shapes[i];
        if (!output.is_json)
            print_shape(&shapes[i]);
        r = operations_measure(device, &shapes[i], arguments->seconds, report, &output);
    }
    if (output.is_json)
        printf("\n ]}\n");
    return r;
}

/* 0 to go on, or the exit status of a wrong command line, which has been said. */
static int parse(const char *name, int argc, char **argv, struct bench_arguments *arguments,
                 bool *ret_help)
{
    static const struct option options[] = {
        BENCH_LONG_OPTIONS, {"help", no_argument, NULL, BENCH_OPTION_FREE}, {NULL, 0, NULL, 0}};
    char message[160];
    int option;

    optind = 0; /* a fresh scan: another command line may have been read before */
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        if (option == '?' || option == ':') {
            fprintf(stderr, "%s: %s %s (see --help)\n", name,
                    option == '?' ? "unknown option" : "missing value after", argv[optind - 1]);
            return STATUS_USAGE;
        }
        if (option == BENCH_OPTION_FREE) {
            *ret_help = true;
            return 0;
        }
        if (!bench_arguments_take(arguments, option, optarg, message, sizeof(message))) {
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
    struct bench_arguments arguments = {.device = {.kind = DEVICE_CPU}, .seconds = 0.5};
    struct device *device;
    char message[256] = "";
    bool wants_help = false;
    int status = parse(name, argc, argv, &arguments, &wants_help);

    if (status != 0)
        return status;
    if (wants_help) {
        printf(help, name);
        return 0;
    }
    int r = device_open(&arguments.device, &device, message, sizeof(message));
    if (r < 0) {
        fprintf(stderr, "%s: could not open the device: %s\n", name,
                message[0] ? message : kernel_status_text(r));
        return STATUS_FAILED;
    }
    r = measure(name, device, &arguments);
    if (r < 0)
        fprintf(stderr, "%s: could not measure: %s %s\n", name, kernel_status_text(r),
                device_error_text(device));
    device_close(device);
    return r < 0 ? STATUS_FAILED : 0;
}
