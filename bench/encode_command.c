/* SPDX-License-Identifier: Apache-2.0 */
/* encode_command: the options of `encode`; see commands.h. */
#include "bench/command_line.h"
#include "bench/commands.h"
#include "bench/encode.h"

static const char help[] =
    "Usage: argosy-bench encode --model MODEL [OPTIONS]\n"
    "\n"
    "Times forward passes of a model, as a GPU worker runs them: batches of texts of one length.\n"
    "\n"
    "  --model MODEL       a model's folder (with a \"/\"), its name in ARGOSY_MODEL_DIR, or\n"
    "                      shape:NAME for random weights: minilm-l6, minilm-l12, bge-small,\n"
    "                      bge-base, bge-large, bert-base, bert-large, distilbert\n"
    "  --lengths LIST      tokens of a text, one measurement each; default: 16,128,256\n"
    "  --texts N           of a batch; default: 64\n" BENCH_OPTIONS_HELP
    "  --seconds S         for each length; default: 3\n"
    "  --step-tokens N     tokens computed at once; default: as a worker, by the device's cache\n"
    "  --vectors FILE      write the vectors of the last length: little-endian floats\n"
    "  --help\n"
    "\n"
    "Example: argosy-bench encode --model shape:bert-base --lengths 128 --output json\n";

enum {
    OPTION_MODEL = BENCH_OPTION_FREE,
    OPTION_LENGTHS,
    OPTION_TEXTS,
    OPTION_STEP_TOKENS,
    OPTION_VECTORS,
};

static int take(void *context, int option, const char *value, struct error *err)
{
    struct encode_options *options = context;
    char message[200];
    long number = 0;
    int code = 0;
    switch (option) {
    case OPTION_MODEL:
        options->model = value;
        return 0;
    case OPTION_LENGTHS:
        return encode_lengths_parse(value, options, err);
    case OPTION_TEXTS:
        code = command_line_number("--texts", value, NULL, 1, ENCODE_TOKENS_MAX, &number, err);
        options->texts = (uint32_t)number;
        return code;
    case OPTION_STEP_TOKENS:
        code =
            command_line_number("--step-tokens", value, NULL, 1, ENCODE_TOKENS_MAX, &number, err);
        options->step_tokens = (uint32_t)number;
        return code;
    case OPTION_VECTORS:
        options->vectors = value;
        return 0;
    default:
        return bench_arguments_take(&options->common, option, value, message, sizeof message)
                   ? 0
                   : error_set(err, ERR_INVALID, "%s", message);
    }
}

int encode_command(int argc, char **argv, struct error *err)
{
    static const struct option names[] = {
        {"model", required_argument, NULL, OPTION_MODEL},
        {"lengths", required_argument, NULL, OPTION_LENGTHS},
        {"texts", required_argument, NULL, OPTION_TEXTS},
        {"step-tokens", required_argument, NULL, OPTION_STEP_TOKENS},
        {"vectors", required_argument, NULL, OPTION_VECTORS},
        BENCH_LONG_OPTIONS,
        {"help", no_argument, NULL, COMMAND_LINE_HELP},
        {NULL, 0, NULL, 0},
    };
    struct encode_options options = {.lengths = {16, 128, 256},
                                     .length_count = 3,
                                     .texts = 64,
                                     .common = {.device = {.kind = DEVICE_CPU}, .seconds = 3}};
    const struct command_line line = {help, names, take, &options};
    bool is_help = false;
    int code = command_line_read(&line, argc, argv, &is_help, err);
    if (code != 0 || is_help)
        return code;
    if (options.model == NULL)
        return error_set(err, ERR_INVALID, "--model is needed");
    return encode_measure(&options, err);
}
