/* SPDX-License-Identifier: Apache-2.0 */
/* argosy-bench: measurements of this machine. Exit codes: common/exit_code.h. */
#include <stdio.h>
#include <string.h>

#include "bench/codec_timing.h"
#include "bench/command_line.h"
#include "bench/commands.h"
#include "common/exit_code.h"
#include "kernels/bench/kernels_bench.h"

static const char help[] =
    "Usage: argosy-bench COMMAND [OPTIONS]\n"
    "\n"
    "  pipeline  workflows/s and latency of three sequential activities, every commit flushed\n"
    "  codec     what encoding and decoding a message takes, in nanoseconds\n"
    "  vectors   filling a collection of a storage process, and searching in it\n"
    "  encode    forward passes of a model on a device: tokens/s and texts/s\n"
    "  kernels   each operation of a device beside the device's own limits\n"
    "\n"
    "argosy-bench COMMAND --help has each one's options.\n"
    "\n"
    "Exit status: 0 measured, 64 wrong command line, 66 no such model, 70 it failed.\n";

int codec_command(int argc, char **argv, struct error *err)
{
    static const struct option names[] = {{"help", no_argument, NULL, COMMAND_LINE_HELP},
                                          {NULL, 0, NULL, 0}};
    const struct command_line line = {
        "Usage: argosy-bench codec\n\nMeasures what encoding and decoding a message takes, in "
        "nanoseconds.\n",
        names, NULL, NULL};
    bool is_help = false;
    int code = command_line_read(&line, argc, argv, &is_help, err);
    return code != 0 || is_help ? code : codec_timing_measure(err);
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv, struct error *err);
} commands[] = {
    {"pipeline", pipeline_command},
    {"codec", codec_command},
    {"vectors", vectors_command},
    {"encode", encode_command},
    {"pipeline-worker", pipeline_worker_command},
    {"sdk-worker", sdk_worker_command},
};

static int run(int argc, char **argv, struct error *err)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(argv[0], commands[i].name) == 0)
            return commands[i].run(argc, argv, err);
    }
    return error_set(err, ERR_INVALID, "unknown measurement \"%s\" (see --help)", argv[0]);
}

static int exit_code_of(int code)
{
    switch (code) {
    case 0:
        return EXIT_OK;
    case ERR_INVALID:
        return EXIT_USAGE;
    case ERR_NOT_FOUND:
        return EXIT_NOT_FOUND;
    default:
        return EXIT_INTERNAL;
    }
}

int main(int argc, char **argv)
{
    struct error err = {0};
    if (argc < 2 || strcmp(argv[1], "--help") == 0) {
        fputs(help, argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_OK;
    }
    /* The kernels stand alone, with their own program of this measurement. */
    if (strcmp(argv[1], "kernels") == 0)
        return kernels_bench_run("argosy-bench kernels", argc - 1, argv + 1);
    int code = run(argc - 1, argv + 1, &err);
    if (code != 0)
        fprintf(stderr, "argosy-bench: %s\n", err.text);
    return exit_code_of(code);
}
