/* SPDX-License-Identifier: Apache-2.0 */
/* command_line: see command_line.h. */
#include "bench/command_line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int command_line_read(const struct command_line *line, int argc, char **argv, bool *ret_help,
                      struct error *err)
{
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", line->options, NULL)) != -1) {
        if (option == '?' || option == ':')
            return error_set(err, ERR_INVALID, "%s %s (see --help)",
                             option == '?' ? "unknown option" : "missing value after",
                             argv[optind - 1]);
        if (option == COMMAND_LINE_HELP) {
            fputs(line->help, stdout);
            *ret_help = true;
            return 0;
        }
        int code = line->take(line->context, option, optarg, err);
        if (code != 0)
            return code;
    }
    return optind == argc ? 0
                          : error_set(err, ERR_INVALID, "unexpected argument \"%s\" (see --help)",
                                      argv[optind]);
}

int command_line_number(const char *name, const char *text, const char **ret_end, long low,
                        long high, long *ret_number, struct error *err)
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

int command_line_word(const char *name, const char *text, const char *first, const char *second,
                      bool *ret_second, struct error *err)
{
    if (strcmp(text, first) != 0 && strcmp(text, second) != 0)
        return error_set(err, ERR_INVALID, "%s: \"%s\" is neither %s nor %s", name, text, first,
                         second);
    *ret_second = strcmp(text, second) == 0;
    return 0;
}
