/* SPDX-License-Identifier: Apache-2.0 */
/* arguments: see arguments.h. */
#include "kernels/bench/arguments.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS_MAX 3600.0

/* A word that an option takes, and the value it stands for. */
struct word {
    const char *text;
    int value;
};

static const struct word devices[] = {{"cpu", DEVICE_CPU}, {"cuda", DEVICE_CUDA}, {NULL, 0}};
static const struct word precisions[] = {
    {"fp32", DEVICE_FP32}, {"fp16", DEVICE_FP16}, {"bf16", DEVICE_BF16}, {NULL, 0}};
static const struct word outputs[] = {{"text", false}, {"json", true}, {NULL, 0}};

static bool take_word(const char *option, const struct word *words, const char *text,
                      int *ret_value, char *message, size_t message_size)
{
    for (const struct word *word = words; word->text; word++)
        if (strcmp(word->text, text) == 0) {
            *ret_value = word->value;
            return true;
        }
    int length = snprintf(message, message_size, "%s: \"%.40s\" is none of", option, text);
    for (const struct word *word = words; word->text && length < (int)message_size; word++)
        length += snprintf(message + length, message_size - (size_t)length, "%s %s",
                           word == words ? "" : ",", word->text);
    return false;
}

bool bench_number(const char *text, const char **ret_end, uint32_t low, uint32_t high,
                  uint32_t *ret_number)
{
    char *end;

    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (errno || end == text || text[0] < '0' || text[0] > '9' || number < low || number > high ||
        (!ret_end && *end))
        return false;
    if (ret_end)
        *ret_end = end;
    *ret_number = (uint32_t)number;
    return true;
}

static bool take_threads(const char *text, uint32_t *ret_threads, char *message,
                         size_t message_size)
{
    if (bench_number(text, NULL, 1, DEVICE_THREADS_MAX, ret_threads))
        return true;
    snprintf(message, message_size, "--threads: \"%.40s\" is not a number from 1 to %u", text,
             DEVICE_THREADS_MAX);
    return false;
}

static bool take_seconds(const char *text, double *ret_seconds, char *message, size_t message_size)
{
    char *end;
    double seconds = strtod(text, &end);

    if (end == text || *end || !(seconds > 0 && seconds <= SECONDS_MAX)) {
        snprintf(message, message_size, "--seconds: \"%.40s\" is not a time above 0, at most %.0f",
                 text, SECONDS_MAX);
        return false;
    }
    *ret_seconds = seconds;
    return true;
}

bool bench_arguments_take(struct bench_arguments *arguments, int option, const char *value,
                          char *message, size_t message_size)
{
    int number = 0;

    switch (option) {
    case BENCH_OPTION_DEVICE:
        if (!take_word("--device", devices, value, &number, message, message_size))
            return false;
        arguments->device.kind = (enum device_kind)number;
        return true;
    case BENCH_OPTION_PRECISION:
        if (!take_word("--precision", precisions, value, &number, message, message_size))
            return false;
        arguments->device.precision = (enum device_precision)number;
        return true;
    case BENCH_OPTION_OUTPUT:
        if (!take_word("--output", outputs, value, &number, message, message_size))
            return false;
        arguments->is_json = number;
        return true;
    case BENCH_OPTION_TUNING_FILE:
        arguments->device.tuning_file = value;
        return true;
    case BENCH_OPTION_THREADS:
        return take_threads(value, &arguments->device.threads, message, message_size);
    default:
        return take_seconds(value, &arguments->seconds, message, message_size);
    }
}

const char *bench_precision_name(enum device_precision precision)
{
    for (const struct word *word = precisions; word->text; word++)
        if (word->value == (int)precision)
            return word->text;
    return "?";
}
