/* SPDX-License-Identifier: Apache-2.0 */
/* command: see command.h. */
#include "cli/command.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "common/nearest.h"

#define NAMES_MAX 64

static const char *const output_choices[] = {"text", "json", NULL};

const struct option common_options[] = {
    {"output", NULL, 'o', OPTION_CHOICE, "text|json", "how results are printed (text)",
     output_choices},
    {"help", NULL, 'h', OPTION_FLAG, NULL, "this help", NULL},
    {0},
};

/* The first word of a command's name, for groups. */
static size_t group_length(const struct command *command)
{
    return strcspn(command->name, " ");
}

static const struct command *command_named(const char *const *words, size_t count)
{
    char name[64];
    int length = count == 1 ? snprintf(name, sizeof(name), "%s", words[0])
                            : snprintf(name, sizeof(name), "%s %s", words[0], words[1]);
    if (length < 0 || (size_t)length >= sizeof(name))
        return NULL;
    for (size_t i = 0; command_table[i] != NULL; i++)
        if (strcmp(command_table[i]->name, name) == 0)
            return command_table[i];
    return NULL;
}

static int unknown_command(const struct command *group, const char *word, struct error *err)
{
    const char *names[NAMES_MAX];
    size_t count = 0;
    for (size_t i = 0; command_table[i] != NULL && count < NAMES_MAX; i++) {
        const char *name = command_table[i]->name;
        size_t length = group_length(command_table[i]);
        if (group == NULL && name[length] == '\0')
            names[count++] = name;
        else if (group != NULL && name[length] == ' ' && strlen(group->name) == length &&
                 strncmp(name, group->name, length) == 0)
            names[count++] = name + length + 1;
    }
    const char *space = group != NULL ? " " : "";
    const char *before = group != NULL ? group->name : "";
    const char *nearest = nearest_name(word, names, count);
    if (nearest != NULL)
        return error_set(err, ERR_INVALID, "unknown command \"%s%s%s\"; did you mean \"%s%s%s\"?",
                         before, space, word, before, space, nearest);
    return error_set(err, ERR_INVALID, "unknown command \"%s%s%s\"", before, space, word);
}

int command_find(const char *const *words, size_t count, const struct command **ret_command,
                 size_t *ret_taken, struct error *err)
{
    if (count == 0)
        return error_set(err, ERR_INVALID, "a command is missing");
    const struct command *command = command_named(words, 1);
    if (command == NULL)
        return unknown_command(NULL, words[0], err);
    size_t taken = 1;
    if (command->run == NULL && count > 1 && words[1][0] != '-') {
        const struct command *group = command;
        command = command_named(words, 2);
        if (command == NULL)
            return unknown_command(group, words[1], err);
        taken = 2;
    }
    *ret_command = command;
    *ret_taken = taken;
    return 0;
}

static void options_help(const struct option *option, FILE *out)
{
    for (; option->name != NULL; option++) {
        char names[96];
        const char *value = option->value != NULL ? option->value : "";
        int length = option->letter != 0 ? snprintf(names, sizeof(names), "-%c, ", option->letter)
                                         : snprintf(names, sizeof(names), "    ");
        length += snprintf(names + length, sizeof(names) - (size_t)length, "--%s", option->name);
        if (option->alias != NULL)
            length +=
                snprintf(names + length, sizeof(names) - (size_t)length, ", --%s", option->alias);
        if (value[0] != '\0')
            snprintf(names + length, sizeof(names) - (size_t)length, " %s", value);
        if (strlen(names) <= 32)
            fprintf(out, "  %-32s  %s\n", names, option->help);
        else
            fprintf(out, "  %s\n  %-32s  %s\n", names, "", option->help);
    }
}

/* The commands of a group; of the program when group is NULL. */
static void list_help(const struct command *group, FILE *out)
{
    for (size_t i = 0; command_table[i] != NULL; i++) {
        const struct command *command = command_table[i];
        size_t length = group_length(command);
        bool listed = group == NULL ? command->name[length] == '\0'
                                    : command->name[length] == ' ' &&
                                          strncmp(command->name, group->name, length) == 0;
        if (listed)
            fprintf(out, "  %-16s  %s\n",
                    group == NULL ? command->name : command->name + length + 1, command->summary);
    }
}

static void example_help(const char *example, FILE *out)
{
    fputs("\nexamples:\n", out);
    while (*example != '\0') {
        size_t length = strcspn(example, "\n");
        fprintf(out, "  %.*s\n", (int)length, example);
        example += length + (example[length] == '\n');
    }
}

void command_help(const struct command *command, FILE *out)
{
    if (command == NULL) {
        fputs("argosy: durable workflows on CPU and GPU workers\n\n"
              "usage: argosy COMMAND [OPTIONS]\n\ncommands:\n",
              out);
        list_help(NULL, out);
        example_help("argosy dev\n"
                     "argosy workflow execute --type PrepareAndInferWorkflow "
                     "--input '\"  Hello  world  \"'\n"
                     "argosy help workflow start",
                     out);
        return;
    }
    fprintf(out, "%s\n\nusage: argosy %s%s%s%s\n", command->summary, command->name,
            command->arguments[0] != '\0' ? " " : "", command->arguments,
            command->run == NULL ? " COMMAND" : " [OPTIONS]");
    if (command->about != NULL)
        fprintf(out, "\n%s\n", command->about);
    if (command->run == NULL) {
        fputs("\ncommands:\n", out);
        list_help(command, out);
    } else {
        fputs("\noptions:\n", out);
        for (size_t i = 0; i < OPTION_SETS_MAX && command->options.sets[i] != NULL; i++)
            options_help(command->options.sets[i], out);
    }
    example_help(command->example, out);
}

int command_exit_status(int code)
{
    switch (code) {
    case 0:
        return EXIT_OK;
    case ERR_INVALID:
    case ERR_RANGE:
    case ERR_CORRUPT:
        return EXIT_BAD_INPUT;
    case ERR_NOT_FOUND:
        return EXIT_NOT_FOUND;
    case ERR_EXISTS:
        return EXIT_ALREADY_EXISTS;
    case ERR_UNAVAILABLE:
    case ERR_CLOSED:
        return EXIT_UNAVAILABLE;
    case ERR_TIMEOUT:
    case ERR_LIMIT:
        return EXIT_TIMEOUT;
    case ERR_CONFIG:
    case ERR_UNAUTHENTICATED:
        return EXIT_BAD_CONFIG;
    case ERR_STORAGE:
        return EXIT_STORAGE;
    case ERR_INTERNAL:
    case ERR_MEMORY:
    case ERR_PROTOCOL:
        return EXIT_INTERNAL;
    default:
        return EXIT_FAILED;
    }
}

/* "argosy NAME" as the beginning of a message; command may be NULL. */
static void name_print(const struct command *command)
{
    fprintf(stderr, "argosy%s%s: ", command != NULL ? " " : "",
            command != NULL ? command->name : "");
}

static void help_hint_print(const struct command *command)
{
    fprintf(stderr, "see: argosy%s%s --help\n", command != NULL ? " " : "",
            command != NULL ? command->name : "");
}

int command_usage(const struct invocation *invocation, const char *format, ...)
{
    va_list arguments;
    name_print(invocation->command);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    help_hint_print(invocation->command);
    return EXIT_USAGE;
}

static void error_report(const struct invocation *invocation, int code, const struct error *err)
{
    const char *text = err->text[0] != '\0' ? err->text : error_text(code);
    if (!invocation->json) {
        name_print(invocation->command);
        fprintf(stderr, "%s\n", text);
        return;
    }
    json_t *report =
        json_pack("{s:{s:s, s:s}}", "error", "code", error_name(code), "message", text);
    char *line = report != NULL ? json_dumps(report, JSON_COMPACT) : NULL;
    fprintf(stderr, "%s\n", line != NULL ? line : text);
    free(line);
    json_decref(report);
}

/* Whether help is asked for anywhere before "--". */
static bool wants_help(const char *const *words, size_t count)
{
    for (size_t i = 0; i < count && strcmp(words[i], "--") != 0; i++)
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
            return true;
    return false;
}

static int command_invoke(const struct command *command, const char *const *words, size_t count)
{
    struct invocation invocation = {.command = command};
    struct error err = {0};
    if (option_parse(&command->options, words, count, &invocation.parsed, &err) != 0)
        return command_usage(&invocation, "%s", err.text);

    const char *output = parsed_text(&invocation.parsed, "output");
    invocation.json = output != NULL && strcmp(output, "json") == 0;
    int status;
    if (invocation.parsed.argument_count > command->arguments_max) {
        status = command_usage(&invocation, "unexpected argument \"%s\"",
                               invocation.parsed.arguments[command->arguments_max]);
    } else {
        status = command->run(&invocation, &err);
        if (status < 0) {
            error_report(&invocation, status, &err);
            status = command_exit_status(status);
        }
        if (fflush(stdout) != 0 || ferror(stdout)) {
            perror("argosy: cannot write to standard output");
            status = EXIT_FAILED;
        }
    }
    parsed_fini(&invocation.parsed);
    return status;
}

int command_main(int argc, const char *const *argv)
{
    const char *const *words = argv + 1;
    size_t count = argc > 1 ? (size_t)argc - 1 : 0;
    bool help = false;
    static const char *const version_words[] = {"version"};
    if (count > 0 && strcmp(words[0], "--version") == 0) {
        words = version_words;
        count = 1;
    }
    if (count > 0 && (strcmp(words[0], "help") == 0 || strcmp(words[0], "--help") == 0 ||
                      strcmp(words[0], "-h") == 0)) {
        help = true;
        words++;
        count--;
    }
    if (count == 0) {
        command_help(NULL, help ? stdout : stderr);
        return help ? EXIT_OK : EXIT_USAGE;
    }
    const struct command *command = NULL;
    size_t taken = 0;
    struct error err = {0};
    if (command_find(words, count, &command, &taken, &err) != 0) {
        fprintf(stderr, "argosy: %s\nsee: argosy --help\n", err.text);
        return EXIT_USAGE;
    }
    if (help || wants_help(words + taken, count - taken)) {
        command_help(command, stdout);
        return EXIT_OK;
    }
    if (command->run == NULL) {
        fprintf(stderr, "argosy %s: a command is missing\n\n", command->name);
        command_help(command, stderr);
        return EXIT_USAGE;
    }
    return command_invoke(command, words + taken, count - taken);
}
