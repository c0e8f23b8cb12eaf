/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_line: how the measurements of argosy-bench read their options: long ones alone, a value
 * or none, nothing beside them.
 *
 * Threading: one thread.
 */
#ifndef ARGOSY_BENCH_COMMAND_LINE_H
#define ARGOSY_BENCH_COMMAND_LINE_H

#include <getopt.h>
#include <stdbool.h>

#include "common/error.h"

/* In a table of options: the value of --help. */
#define COMMAND_LINE_HELP 1

/* Takes one option; 0, or ERR_INVALID. */
typedef int command_line_take(void *context, int option, const char *value, struct error *err);

struct command_line {
    const char *help;
    const struct option *options; /* ends with a row of zeros */
    command_line_take *take;
    void *context;
};

/* Reads argv[1] and on. --help prints the help and sets *ret_help: nothing is to be measured.
 * ERR_INVALID. */
int command_line_read(const struct command_line *line, int argc, char **argv, bool *ret_help,
                      struct error *err);

/* A whole number of low to high; name is the option's. ret_end: NULL, or where what follows it is
 * left. ERR_INVALID. */
int command_line_number(const char *name, const char *text, const char **ret_end, long low,
                        long high, long *ret_number, struct error *err);

/* One of two words; *ret_second tells which. ERR_INVALID. */
int command_line_word(const char *name, const char *text, const char *first, const char *second,
                      bool *ret_second, struct error *err);

#endif
