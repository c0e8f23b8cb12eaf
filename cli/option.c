/* SPDX-License-Identifier: Apache-2.0 */
/* option: see option.h. */
#include "cli/option.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/nearest.h"

#define DURATION_MS_MAX (INT64_C(100) * 366 * 24 * 3600 * 1000)

/* Calls for every declared option; `option` is the row. */
#define FOR_EACH_OPTION(sets_, option)                                                             \
    for (size_t set_ = 0; set_ < OPTION_SETS_MAX; set_++)                                          \
        for (const struct option *option = (sets_)->sets[set_];                                    \
             option != NULL && option->name != NULL; option++)

static const struct option *option_find(const struct option_sets *sets, const char *name,
                                        size_t length)
{
    FOR_EACH_OPTION(sets, option)
    {
        if (strlen(option->name) == length && strncmp(option->name, name, length) == 0)
            return option;
        if (option->alias != NULL && strlen(option->alias) == length &&
            strncmp(option->alias, name, length) == 0)
            return option;
    }
    return NULL;
}

static const struct option *option_find_letter(const struct option_sets *sets, char letter)
{
    FOR_EACH_OPTION(sets, option)
    if (option->letter == letter)
        return option;
    return NULL;
}

static int unknown_option(const struct option_sets *sets, const char *name, size_t length,
                          struct error *err)
{
    const char *known[128];
    size_t count = 0;
    FOR_EACH_OPTION(sets, option)
    {
        ASSERT(count + 2 <= sizeof(known) / sizeof(known[0]));
        known[count++] = option->name;
        if (option->alias != NULL)
            known[count++] = option->alias;
    }
    char given[64];
    if (length >= sizeof(given))
        length = sizeof(given) - 1;
    memcpy(given, name, length);
    given[length] = '\0';
    const char *nearest = nearest_name(given, known, count);
    if (nearest != NULL)
        return error_set(err, ERR_INVALID, "unknown option --%s; did you mean --%s?", given,
                         nearest);
    return error_set(err, ERR_INVALID, "unknown option --%s", given);
}

int duration_parse(const char *text, int64_t *ret_ms, struct error *err)
{
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
    int64_t total = 0;
    const char *at = text;
    do {
        int64_t whole = 0, fraction = 0, scale = 1;
        if (!isdigit((unsigned char)*at))
            goto malformed;
        for (; isdigit((unsigned char)*at); at++) {
            whole = whole * 10 + (*at - '0');
            if (whole > DURATION_MS_MAX)
                goto malformed;
        }
        if (*at == '.') {
            if (!isdigit((unsigned char)*++at))
                goto malformed;
            for (; isdigit((unsigned char)*at); at++)
                if (scale < 1000000) {
                    fraction = fraction * 10 + (*at - '0');
                    scale *= 10;
                }
        }
        size_t u = 0, count = sizeof(units) / sizeof(units[0]);
        while (u < count && strncmp(at, units[u].unit, strlen(units[u].unit)) != 0)
            u++;
        if (u == count || whole > DURATION_MS_MAX / units[u].ms)
            goto malformed;
        at += strlen(units[u].unit);
        total += whole * units[u].ms + fraction * units[u].ms / scale;
        if (total > DURATION_MS_MAX)
            goto malformed;
    } while (*at != '\0');
    *ret_ms = total;
    return 0;

malformed:
    return error_set(err, ERR_INVALID, "\"%s\" is not a duration such as 30s, 1h30m or 250ms",
                     text);
}

static int number_parse(const char *text, int64_t *ret_number, struct error *err)
{
    char *end;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || number > INT32_MAX)
        return error_set(err, ERR_INVALID, "\"%s\" is not a whole number from 0 to %d", text,
                         INT32_MAX);
    *ret_number = number;
    return 0;
}

static int choice_check(const struct option *option, const char *text, struct error *err)
{
    size_t count = 0;
    for (; option->choices[count] != NULL; count++)
        if (strcmp(option->choices[count], text) == 0)
            return 0;
    const char *nearest = nearest_name(text, option->choices, count);
    if (nearest != NULL)
        return error_set(err, ERR_INVALID, "no such choice as \"%s\"; did you mean \"%s\"?", text,
                         nearest);
    return error_set(err, ERR_INVALID, "\"%s\" is not one of %s", text, option->value);
}

static int value_check(struct option_value *value, struct error *err)
{
    switch (value->option->kind) {
    case OPTION_FLAG:
    case OPTION_LIST:
        return 0;
    case OPTION_TEXT:
        return value->text[0] != '\0' ? 0 : error_set(err, ERR_INVALID, "the value is empty");
    case OPTION_NUMBER:
        return number_parse(value->text, &value->number, err);
    case OPTION_DURATION:
        return duration_parse(value->text, &value->number, err);
    case OPTION_CHOICE:
        return choice_check(value->option, value->text, err);
    }
    UNREACHABLE();
}

/* Takes the option at words[*index], and its value from the same or the next word. */
static int option_take(const struct option_sets *sets, const char *const *words, size_t count,
                       size_t *index, struct parsed *parsed, struct error *err)
{
    const char *word = words[*index];
    const struct option *option;
    const char *text = NULL;
    if (word[1] == '-') {
        const char *name = word + 2;
        size_t length = strcspn(name, "=");
        option = option_find(sets, name, length);
        if (option == NULL)
            return unknown_option(sets, name, length, err);
        if (name[length] == '=')
            text = name + length + 1;
    } else {
        option = option_find_letter(sets, word[1]);
        if (option == NULL)
            return error_set(err, ERR_INVALID, "unknown option -%c", word[1]);
        if (word[2] != '\0')
            text = word + 2;
    }
    if (option->kind == OPTION_FLAG) {
        if (text != NULL)
            return error_set(err, ERR_INVALID, "--%s takes no value", option->name);
        text = "";
    } else if (text == NULL) {
        if (*index + 1 == count)
            return error_set(err, ERR_INVALID, "--%s needs a value: %s", option->name,
                             option->value);
        text = words[++*index];
    }
    struct option_value *value = &parsed->values[parsed->value_count];
    *value = (struct option_value){.option = option, .text = text};
    int code = value_check(value, err);
    if (code != 0) {
        error_prefix(err, "--%s", option->name);
        return code;
    }
    parsed->value_count++;
    return 0;
}

int option_parse(const struct option_sets *sets, const char *const *words, size_t count,
                 struct parsed *ret_parsed, struct error *err)
{
    struct parsed parsed = {
        .sets = sets,
        .values = calloc(count + 1, sizeof(*parsed.values)),
        .arguments = calloc(count + 1, sizeof(*parsed.arguments)),
    };
    int code = 0;
    if (parsed.values == NULL || parsed.arguments == NULL)
        code = error_set(err, ERR_MEMORY, "out of memory");
    bool options_end = false;
    for (size_t i = 0; i < count && code == 0; i++) {
        if (!options_end && strcmp(words[i], "--") == 0)
            options_end = true;
        else if (options_end || words[i][0] != '-' || words[i][1] == '\0')
            parsed.arguments[parsed.argument_count++] = words[i];
        else
            code = option_take(sets, words, count, &i, &parsed, err);
    }
    if (code != 0) {
        parsed_fini(&parsed);
        return code;
    }
    *ret_parsed = parsed;
    return 0;
}

void parsed_fini(struct parsed *parsed)
{
    free(parsed->values);
    free(parsed->arguments);
    *parsed = (struct parsed){0};
}

/* The last value of an option; NULL when it was not given. */
static const struct option_value *parsed_value(const struct parsed *parsed, const char *name)
{
    const struct option *option = option_find(parsed->sets, name, strlen(name));
    ASSERT(option != NULL);
    for (size_t i = parsed->value_count; i > 0; i--)
        if (parsed->values[i - 1].option == option)
            return &parsed->values[i - 1];
    return NULL;
}

bool parsed_has(const struct parsed *parsed, const char *name)
{
    return parsed_value(parsed, name) != NULL;
}

const char *parsed_text(const struct parsed *parsed, const char *name)
{
    const struct option_value *value = parsed_value(parsed, name);
    return value != NULL ? value->text : NULL;
}

int64_t parsed_number(const struct parsed *parsed, const char *name, int64_t fallback)
{
    const struct option_value *value = parsed_value(parsed, name);
    ASSERT(value == NULL || value->option->kind == OPTION_NUMBER);
    return value != NULL ? value->number : fallback;
}

int64_t parsed_duration_ms(const struct parsed *parsed, const char *name, int64_t fallback)
{
    const struct option_value *value = parsed_value(parsed, name);
    ASSERT(value == NULL || value->option->kind == OPTION_DURATION);
    return value != NULL ? value->number : fallback;
}

const char *parsed_next(const struct parsed *parsed, const char *name, size_t *cursor)
{
    const struct option *option = option_find(parsed->sets, name, strlen(name));
    ASSERT(option != NULL && option->kind == OPTION_LIST);
    while (*cursor < parsed->value_count) {
        const struct option_value *value = &parsed->values[(*cursor)++];
        if (value->option == option)
            return value->text;
    }
    return NULL;
}
