/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command: the tree of commands as tables, and what every command shares: finding one by its words,
 * help, the options that all have, how an error becomes an exit status.
 *
 * A command is a row: words, help texts, option tables and a function. Rows without a function are
 * groups ("workflow"), whose help lists their commands. Results go to standard output, as text for
 * people or with --output json as one JSON document; errors, progress and hints go to standard
 * error.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_COMMAND_H
#define ARGOSY_CLI_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "cli/option.h"
#include "common/error.h"
#include "common/exit_code.h"

struct command;

/* One use of a command. */
struct invocation {
    const struct command *command;
    struct parsed parsed;
    bool json; /* --output json */
};

/* Returns an exit status (enum exit_code) with everything said, or a negative error code with err
 * set, which main reports and turns into a status. */
typedef int command_run(const struct invocation *invocation, struct error *err);

struct command {
    const char *name;      /* "workflow start" */
    const char *summary;   /* one line, no period */
    const char *arguments; /* as in usage: "[TEXT...]"; "" for none */
    size_t arguments_max;
    const char *about;   /* a paragraph of help, lines of at most 90 columns; may be NULL */
    const char *example; /* lines of commands */
    struct option_sets options;
    command_run *run; /* NULL: a group */
};

/* Every row, NULL at the end; rows of a group stand together behind it. */
extern const struct command *const command_table[];

/* --output and --help, of every command. */
extern const struct option common_options[];

/* The command that words (count of them) begin with, longest first, and how many words its name
 * took. ERR_INVALID names what is unknown and the nearest command. No words: ERR_INVALID. */
int command_find(const char *const *words, size_t count, const struct command **ret_command,
                 size_t *ret_taken, struct error *err);

/* Help of one command or group; command NULL: of the program. */
void command_help(const struct command *command, FILE *out);

/* Runs the program's command line and returns its exit status. */
int command_main(int argc, const char *const *argv);

/* The exit status that stands for an error code (docs/spec/05-exit-codes.md). */
int command_exit_status(int code);

/* Says on standard error that the command line is wrong and where help is; returns EXIT_USAGE. */
int command_usage(const struct invocation *invocation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
