/* SPDX-License-Identifier: Apache-2.0 */
/* vectors_command: the options of `vectors`; see commands.h. */
#include "bench/command_line.h"
#include "bench/commands.h"
#include "bench/vectors.h"

static const char help[] =
    "Usage: argosy-bench vectors --config FILE --input FILE --queries FILE [OPTIONS]\n"
    "\n"
    "Fills a collection of a running storage process with the vectors of a file of little-endian\n"
    "floats and searches for those of another; bench/compare-vectors runs it beside NumPy and\n"
    "sqlite-vec.\n"
    "\n"
    "  --config FILE       the storage process's config\n"
    "  --input FILE        what is put into the collection\n"
    "  --queries FILE      what is searched for\n"
    "  --dimension N       values of each vector; default: 384\n"
    "  --neighbours N      wanted by each search; default: 10\n"
    "  --help\n"
    "\n"
    "Example: argosy-bench vectors --config fleet.yaml --input rows.f32 --queries queries.f32\n";

enum {
    OPTION_CONFIG = 256,
    OPTION_INPUT,
    OPTION_QUERIES,
    OPTION_DIMENSION,
    OPTION_NEIGHBOURS,
};

static int take(void *context, int option, const char *value, struct error *err)
{
    struct vectors_options *options = context;
    long number = 0;
    int code = 0;
    switch (option) {
    case OPTION_CONFIG:
        options->config = value;
        return 0;
    case OPTION_INPUT:
        options->input = value;
        return 0;
    case OPTION_QUERIES:
        options->queries = value;
        return 0;
    case OPTION_DIMENSION:
        code = command_line_number("--dimension", value, NULL, 1, 4096, &number, err);
        options->dimension = (uint32_t)number;
        return code;
    default:
        code = command_line_number("--neighbours", value, NULL, 1, 1000, &number, err);
        options->neighbours = (uint32_t)number;
        return code;
    }
}

int vectors_command(int argc, char **argv, struct error *err)
{
    static const struct option names[] = {
        {"config", required_argument, NULL, OPTION_CONFIG},
        {"input", required_argument, NULL, OPTION_INPUT},
        {"queries", required_argument, NULL, OPTION_QUERIES},
        {"dimension", required_argument, NULL, OPTION_DIMENSION},
        {"neighbours", required_argument, NULL, OPTION_NEIGHBOURS},
        {"help", no_argument, NULL, COMMAND_LINE_HELP},
        {NULL, 0, NULL, 0},
    };
    struct vectors_options options = {.dimension = 384, .neighbours = 10};
    const struct command_line line = {help, names, take, &options};
    bool is_help = false;
    int code = command_line_read(&line, argc, argv, &is_help, err);
    if (code != 0 || is_help)
        return code;
    if (options.config == NULL || options.input == NULL || options.queries == NULL)
        return error_set(err, ERR_INVALID, "--config, --input and --queries are needed");
    return vectors_measure(&options, err);
}
