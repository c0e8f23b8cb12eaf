/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arguments: the options that every measurement on a device has, for getopt_long.
 *
 *   --device cpu|cuda  --precision fp32|fp16|bf16  --threads N  --tuning-file FILE  --seconds S
 *   --output text|json
 */
#ifndef KERNELS_BENCH_ARGUMENTS_H
#define KERNELS_BENCH_ARGUMENTS_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

#include "kernels/device.h"

struct bench_arguments {
    struct device_options device;
    double seconds; /* of each measurement */
    bool is_json;
};

enum bench_option {
    BENCH_OPTION_DEVICE = 256,
    BENCH_OPTION_PRECISION,
    BENCH_OPTION_THREADS,
    BENCH_OPTION_SECONDS,
    BENCH_OPTION_TUNING_FILE,
    BENCH_OPTION_OUTPUT,
    BENCH_OPTION_FREE, /* the first value for a caller's own options */
};

/* Rows of a table of struct option. */
#define BENCH_LONG_OPTIONS                                                                         \
    {"device", required_argument, NULL, BENCH_OPTION_DEVICE},                                      \
        {"precision", required_argument, NULL, BENCH_OPTION_PRECISION},                            \
        {"threads", required_argument, NULL, BENCH_OPTION_THREADS},                                \
        {"seconds", required_argument, NULL, BENCH_OPTION_SECONDS},                                \
        {"tuning-file", required_argument, NULL, BENCH_OPTION_TUNING_FILE},                        \
    {                                                                                              \
        "output", required_argument, NULL, BENCH_OPTION_OUTPUT                                     \
    }

/* What their help says; the caller says what --seconds is when nothing is given. */
#define BENCH_OPTIONS_HELP                                                                         \
    "  --device cpu|cuda   default: cpu\n"                                                         \
    "  --precision P       fp32 (default), fp16 (cuda), bf16 (cuda; cpu with AVX-512 BF16)\n"      \
    "  --threads N         cpu: threads; default: one per core this process may run on\n"          \
    "  --tuning-file FILE  cuda: who multiplies each shape, measured where the file has it not\n"  \
    "  --output FORMAT     text (default) or json\n"

/* Takes one option of the above. False with a message (no period, no newline) for a wrong value. */
bool bench_arguments_take(struct bench_arguments *arguments, int option, const char *value,
                          char *message, size_t message_size);

/* A whole number from low to high, and nothing behind it but what *ret_end is left at; ret_end
 * NULL: nothing. */
bool bench_number(const char *text, const char **ret_end, uint32_t low, uint32_t high,
                  uint32_t *ret_number);

/* "fp32", "fp16", "bf16". */
const char *bench_precision_name(enum device_precision precision);

#endif
