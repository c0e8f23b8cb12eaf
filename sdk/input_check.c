/* SPDX-License-Identifier: Apache-2.0 */
/* input_check: see input_check.h. A path is a chain of steps on the stack, from the value up to the
 * whole input; the recursion is as deep as the schema, which the config's reader bounds. */
#include "sdk/input_check.h"

#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/buffer.h"
#include "common/limits.h"
#include "common/nearest.h"
#include "common/utf8.h"

/* Most bytes of a name or value that an error shows, most values that it lists. */
#define SHOWN_SIZE_MAX   64
#define SHOWN_VALUES_MAX 8

/* Most names that the search for the nearest one looks at. */
#define NEAREST_MAX 256

/* ---- parsing ---- */

/* The deepest nesting of text, as far as brackets outside of strings tell; what is malformed in
 * other ways is the parser's to refuse. */
static size_t depth_of(const char *text, size_t size)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;
    for (size_t i = 0; i < size; i++) {
        if (in_string && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            in_string = !in_string;
        else if (!in_string && (text[i] == '[' || text[i] == '{'))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!in_string && (text[i] == ']' || text[i] == '}') && depth > 0)
            depth--;
    }
    return deepest;
}

int input_parse(const char *text, size_t size, json_t **ret_value, struct error *err)
{
    if (size > LIMIT_PAYLOAD_SIZE)
        return error_set(err, ERR_INVALID, "the input has %zu bytes, more than the limit of %zu",
                         size, (size_t)LIMIT_PAYLOAD_SIZE);
    if (depth_of(text, size) > INPUT_DEPTH_MAX)
        return error_set(err, ERR_INVALID, "the input is nested deeper than %d levels",
                         INPUT_DEPTH_MAX);
    json_error_t at;
    json_t *value =
        json_loadb(text, size, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &at);
    if (value == NULL)
        return error_set(err, ERR_INVALID, "the input is not JSON: line %d, column %d: %s", at.line,
                         at.column, at.text);
    *ret_value = value;
    return 0;
}

/* ---- errors ---- */

struct step {
    const struct step *up; /* NULL: the whole input */
    const char *name;      /* of a member; NULL: an element */
    size_t index;
};

static bool is_identifier(const char *name)
{
    if (!isalpha((unsigned char)name[0]) && name[0] != '_')
        return false;
    for (const char *at = name; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && *at != '_' && *at != '-')
            return false;
    }
    return strlen(name) <= SHOWN_SIZE_MAX;
}

/* text (UTF-8) in quotes, cut, with control characters as \u00XX. */
static void append_quoted(const char *text, size_t size, struct buffer *out)
{
    size_t at = 0;
    buffer_append_byte(out, '"');
    while (at < size && at < SHOWN_SIZE_MAX) {
        uint32_t point;
        size_t length = utf8_decode(text + at, size - at, &point);
        if (length == 0)
            break;
        if (point < 0x20 || (point >= 0x7F && point < 0xA0))
            buffer_printf(out, "\\u%04x", (unsigned)point);
        else if (point == '"' || point == '\\')
            buffer_printf(out, "\\%c", (int)point);
        else
            buffer_append(out, text + at, length);
        at += length;
    }
    buffer_append_text(out, at < size ? "...\"" : "\"");
}

static void append_path(const struct step *step, struct buffer *out)
{
    if (step == NULL) {
        buffer_append_byte(out, '$');
        return;
    }
    append_path(step->up, out);
    if (step->name == NULL) {
        buffer_printf(out, "[%zu]", step->index);
    } else if (is_identifier(step->name)) {
        buffer_printf(out, ".%s", step->name);
    } else {
        buffer_append_byte(out, '[');
        append_quoted(step->name, strlen(step->name), out);
        buffer_append_byte(out, ']');
    }
}

/* Starts the text of an error with the path. */
static struct buffer wrong(const struct step *step)
{
    struct buffer text = {0};
    append_path(step, &text);
    buffer_append_text(&text, ": ");
    return text;
}

/* Ends it; text is freed. */
static int refuse(struct buffer *text, struct error *err)
{
    int code = error_set(err, ERR_INVALID, "%s", buffer_text(text));
    buffer_fini(text);
    return code;
}

static void append_nearest(const char *name, const char *const *names, size_t count,
                           struct buffer *out)
{
    const char *near = nearest_name(name, names, count);
    if (near != NULL)
        buffer_printf(out, " (did you mean \"%s\"?)", near);
}

/* ---- types and values ---- */

static unsigned type_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_NULL:
        return INPUT_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return INPUT_BOOLEAN;
    case JSON_INTEGER:
        return INPUT_INTEGER | INPUT_NUMBER;
    case JSON_REAL:
        return json_real_value(value) == floor(json_real_value(value))
                   ? INPUT_INTEGER | INPUT_NUMBER
                   : INPUT_NUMBER;
    case JSON_STRING:
        return INPUT_STRING;
    case JSON_ARRAY:
        return INPUT_ARRAY;
    case JSON_OBJECT:
        break;
    }
    return INPUT_OBJECT;
}

/* What people call it: whole numbers are numbers to them. */
static const char *type_name(const json_t *value)
{
    unsigned type = type_of(value);
    return input_type_name((type & INPUT_NUMBER) != 0 ? INPUT_NUMBER : type);
}

static long double number_of(const json_t *value)
{
    return json_is_integer(value) ? (long double)json_integer_value(value)
                                  : (long double)json_real_value(value);
}

static bool is_equal(const struct input_value *allowed, const json_t *value)
{
    switch (allowed->type) {
    case INPUT_STRING:
        return json_is_string(value) && json_string_length(value) == strlen(allowed->text) &&
               memcmp(json_string_value(value), allowed->text, strlen(allowed->text)) == 0;
    case INPUT_NUMBER:
        return json_is_number(value) && number_of(value) == allowed->number;
    case INPUT_BOOLEAN:
        return json_is_boolean(value) && json_is_true(value) == allowed->is_true;
    default:
        return json_is_null(value);
    }
}

static int check_values(const struct input_schema *schema, const json_t *value,
                        const struct step *step, struct error *err)
{
    const char *names[NEAREST_MAX];
    size_t count = 0;
    for (size_t i = 0; i < schema->value_count; i++) {
        if (is_equal(&schema->values[i], value))
            return 0;
        if (schema->values[i].type == INPUT_STRING && count < NEAREST_MAX)
            names[count++] = schema->values[i].text;
    }
    struct buffer text = wrong(step);
    if (json_is_string(value))
        append_quoted(json_string_value(value), json_string_length(value), &text);
    else
        buffer_printf(&text, "this %s", type_name(value));
    buffer_append_text(&text, schema->value_count == 1 ? " is not " : " is none of ");
    for (size_t i = 0; i < schema->value_count && i < SHOWN_VALUES_MAX; i++) {
        buffer_append_text(&text, i > 0 ? ", " : "");
        if (schema->values[i].type == INPUT_STRING)
            append_quoted(schema->values[i].text, strlen(schema->values[i].text), &text);
        else
            buffer_append_text(&text, schema->values[i].text);
    }
    buffer_append_text(&text, schema->value_count > SHOWN_VALUES_MAX ? ", ..." : "");
    if (json_is_string(value))
        append_nearest(json_string_value(value), names, count, &text);
    return refuse(&text, err);
}

static int check_number(const struct input_schema *schema, const json_t *value,
                        const struct step *step, struct error *err)
{
    const long double number = number_of(value);
    const struct {
        bool is_broken;
        const char *words;
        long double bound;
    } bounds[] = {
        {number < schema->minimum, "at least", schema->minimum},
        {number > schema->maximum, "at most", schema->maximum},
        {number <= schema->exclusive_minimum, "above", schema->exclusive_minimum},
        {number >= schema->exclusive_maximum, "below", schema->exclusive_maximum},
    };
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
        if (!bounds[i].is_broken)
            continue;
        struct buffer text = wrong(step);
        buffer_printf(&text, "%.15Lg must be %s %.15Lg", number, bounds[i].words, bounds[i].bound);
        return refuse(&text, err);
    }
    return 0;
}

static int check_size(size_t size, size_t min, size_t max, const char *unit,
                      const struct step *step, struct error *err)
{
    if (size >= min && size <= max)
        return 0;
    struct buffer text = wrong(step);
    buffer_printf(&text, "has %zu %s%s, must have at %s %zu", size, unit, size == 1 ? "" : "s",
                  size < min ? "least" : "most", size < min ? min : max);
    return refuse(&text, err);
}

static size_t count_points(const json_t *string)
{
    const char *text = json_string_value(string);
    size_t count = 0;
    for (size_t i = 0; i < json_string_length(string); i++)
        count += ((unsigned char)text[i] & 0xC0) != 0x80;
    return count;
}

/* ---- lists and objects ---- */

static int check(const struct input_schema *schema, const json_t *value, const struct step *step,
                 struct error *err);

static int check_array(const struct input_schema *schema, const json_t *value,
                       const struct step *step, struct error *err)
{
    int code =
        check_size(json_array_size(value), schema->items_min, schema->items_max, "item", step, err);
    if (schema->items == NULL)
        return code;
    struct step item = {.up = step};
    for (; item.index < json_array_size(value) && code == 0; item.index++)
        code = check(schema->items, json_array_get(value, item.index), &item, err);
    return code;
}

static int refuse_missing(const char *name, const struct step *step, struct error *err)
{
    struct buffer text = wrong(step);
    buffer_printf(&text, "member \"%s\" is missing", name);
    return refuse(&text, err);
}

static int refuse_unknown(const struct input_schema *schema, const struct step *step,
                          struct error *err)
{
    const char *names[NEAREST_MAX];
    size_t count = 0;
    for (; count < schema->property_count && count < NEAREST_MAX; count++)
        names[count] = schema->properties[count].name;
    struct buffer text = wrong(step);
    buffer_append_text(&text, "unknown member");
    append_nearest(step->name, names, count, &text);
    return refuse(&text, err);
}

/* Members that no property describes. */
static int check_additional(const struct input_schema *schema, json_t *value,
                            const struct step *step, struct error *err)
{
    const char *name;
    json_t *member;
    json_object_foreach(value, name, member)
    {
        const struct step at = {.up = step, .name = name};
        if (input_schema_property(schema, name) != NULL)
            continue;
        if (schema->refuses_additional)
            return refuse_unknown(schema, &at, err);
        int code = check(schema->additional, member, &at, err);
        if (code != 0)
            return code;
    }
    return 0;
}

static int check_object(const struct input_schema *schema, const json_t *value,
                        const struct step *step, struct error *err)
{
    size_t found = 0;
    for (size_t i = 0; i < schema->property_count; i++) {
        const struct input_property *property = &schema->properties[i];
        const struct step at = {.up = step, .name = property->name};
        const json_t *member = json_object_get(value, property->name);
        found += member != NULL;
        int code = member != NULL ? check(property->schema, member, &at, err) : 0;
        if (code != 0)
            return code;
    }
    bool has_rule = schema->refuses_additional || schema->additional != NULL;
    if (has_rule && found < json_object_size(value)) {
        /* jansson's iteration takes no const; nothing is changed. */
        int code = check_additional(schema, (json_t *)(uintptr_t)value, step, err);
        if (code != 0)
            return code;
    }
    /* Last: a misspelt name is better told as unknown than as missing. */
    for (size_t i = 0; i < schema->property_count; i++) {
        const struct input_property *property = &schema->properties[i];
        if (property->is_required && json_object_get(value, property->name) == NULL)
            return refuse_missing(property->name, step, err);
    }
    return 0;
}

static int check(const struct input_schema *schema, const json_t *value, const struct step *step,
                 struct error *err)
{
    if (schema->types != 0 && (schema->types & type_of(value)) == 0) {
        char types[64];
        struct buffer text = wrong(step);
        buffer_printf(&text, "expected %s, got %s",
                      input_types_text(schema->types, types, sizeof types), type_name(value));
        return refuse(&text, err);
    }
    int code = schema->values != NULL ? check_values(schema, value, step, err) : 0;
    if (code != 0)
        return code;
    switch (json_typeof(value)) {
    case JSON_INTEGER:
    case JSON_REAL:
        return check_number(schema, value, step, err);
    case JSON_STRING:
        return check_size(count_points(value), schema->length_min, schema->length_max, "character",
                          step, err);
    case JSON_ARRAY:
        return check_array(schema, value, step, err);
    case JSON_OBJECT:
        return check_object(schema, value, step, err);
    default:
        return 0;
    }
}

int input_check(const struct input_schema *schema, const json_t *value, struct error *err)
{
    return check(schema, value, NULL, err);
}
