/* SPDX-License-Identifier: Apache-2.0 */
/*
 * option: the one command line parser of the program.
 *
 * A command declares its options as tables that end in a row without a name; tables are shared
 * (the connection's options, the output's). Accepted: --name VALUE, --name=VALUE, -n VALUE,
 * -nVALUE, flags without a value, options and arguments mixed, "--" before arguments that begin
 * with a dash.
 * "-" alone is an argument. The last of a repeated option counts, unless its kind is OPTION_LIST.
 * Values are checked here, so that a command that runs has only well-formed ones.
 *
 * Threading: none; one parse per process.
 */
#ifndef ARGOSY_CLI_OPTION_H
#define ARGOSY_CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum option_kind {
    OPTION_FLAG,     /* takes no value */
    OPTION_TEXT,     /* any non-empty text */
    OPTION_LIST,     /* any text; each one given counts */
    OPTION_NUMBER,   /* a whole number from 0 to 2^31 - 1 */
    OPTION_DURATION, /* "250ms", "30s", "1h30m" */
    OPTION_CHOICE,   /* one of the words in choices */
};

struct option {
    const char *name;           /* "workflow-id" */
    const char *alias;          /* another long name, or NULL */
    char letter;                /* 'w', or 0 */
    enum option_kind kind;      /* */
    const char *value;          /* what help calls the value; NULL for flags */
    const char *help;           /* one sentence without period */
    const char *const *choices; /* OPTION_CHOICE: ends in NULL */
};

#define OPTION_SETS_MAX 5

/* The tables a command uses; unused places are NULL. */
struct option_sets {
    const struct option *sets[OPTION_SETS_MAX];
};

struct option_value {
    const struct option *option;
    const char *text; /* borrowed from argv; "" for flags */
    int64_t number;   /* OPTION_NUMBER: the number; OPTION_DURATION: milliseconds */
};

/* What a command line said. Texts are borrowed from argv. */
struct parsed {
    const struct option_sets *sets;
    struct option_value *values; /* in the order given; owned */
    size_t value_count;
    const char **arguments; /* what is no option; owned */
    size_t argument_count;
};

/* Parses words (count of them, after the command's name). ERR_INVALID names the wrong option and
 * the nearest known one. parsed_fini frees the result. */
int option_parse(const struct option_sets *sets, const char *const *words, size_t count,
                 struct parsed *ret_parsed, struct error *err);
void parsed_fini(struct parsed *parsed);

/* By the option's name, which the command must have declared. parsed_text: the last value or NULL.
 * parsed_number, parsed_duration_ms: the last value, or fallback when not given. parsed_next walks
 * the values of a list: start with *cursor = 0; NULL at the end. */
bool parsed_has(const struct parsed *parsed, const char *name);
const char *parsed_text(const struct parsed *parsed, const char *name);
int64_t parsed_number(const struct parsed *parsed, const char *name, int64_t fallback);
int64_t parsed_duration_ms(const struct parsed *parsed, const char *name, int64_t fallback);
const char *parsed_next(const struct parsed *parsed, const char *name, size_t *cursor);

/* "1h30m", "250ms", "1.5s" as milliseconds: numbers with units d, h, m, s or ms, from 0 to 100
 * years. ERR_INVALID. */
int duration_parse(const char *text, int64_t *ret_ms, struct error *err);

#endif
