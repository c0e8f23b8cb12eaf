/* SPDX-License-Identifier: Apache-2.0 */
/* input_schema: see input_schema.h. One function per kind of keyword, chosen by a table; the depth
 * of the recursion is that of the YAML tree, which is bounded. */
#include "common/input_schema.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/nearest.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Longest name of a property: it is a part of error texts and of the printed config. */
#define NAME_SIZE_MAX 128

/* Most names that the search for the nearest one looks at. */
#define NEAREST_MAX 256

struct compiler {
    struct arena *arena;
    struct error *err;
};

static int compile(struct compiler *compiler, const struct yaml_node *node,
                   const struct input_schema **ret_schema);

static int fail_memory(struct compiler *compiler, const struct yaml_node *node)
{
    return error_set(compiler->err, ERR_MEMORY, "%s: out of memory", node->source->name);
}

/* --- types ------------------------------------------------------------------------------------ */

static const char *const type_words[INPUT_TYPE_COUNT] = {
    "null", "boolean", "integer", "number", "string", "array", "object",
};

const char *input_type_name(unsigned types)
{
    for (size_t i = 0; i < INPUT_TYPE_COUNT; i++) {
        if ((types & (1u << i)) != 0)
            return type_words[i];
    }
    return "any";
}

const char *input_types_text(unsigned types, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < INPUT_TYPE_COUNT && length < size; i++) {
        if ((types & (1u << i)) != 0)
            length += (size_t)snprintf(out + length, size - length, "%s%s",
                                       length > 0 ? " or " : "", type_words[i]);
    }
    return out;
}

static int add_type(struct compiler *compiler, const struct yaml_node *node, unsigned *types)
{
    if (node->kind != YAML_TEXT)
        return yaml_fail(node, compiler->err, "expected the name of a type");
    const char *word = node->is_null ? "null" : node->text;
    for (size_t i = 0; i < INPUT_TYPE_COUNT; i++) {
        if (strcmp(word, type_words[i]) == 0) {
            *types |= 1u << i;
            return 0;
        }
    }
    const char *near = nearest_name(word, type_words, INPUT_TYPE_COUNT);
    return yaml_fail(node, compiler->err, "\"%.64s\" is no type%s%s%s", word,
                     near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                     near != NULL ? "\"?)" : "");
}

static int read_type(struct compiler *compiler, const struct yaml_node *node,
                     struct input_schema *schema)
{
    if (node->kind != YAML_LIST)
        return add_type(compiler, node, &schema->types);
    int code = node->first != NULL ? 0 : yaml_fail(node, compiler->err, "must not be empty");
    for (const struct yaml_node *at = node->first; at != NULL && code == 0; at = at->next)
        code = add_type(compiler, at, &schema->types);
    return code;
}

/* --- values ----------------------------------------------------------------------------------- */

/* Numbers as JSON's readers see them: whole ones exactly, others as the nearest double. */
static int read_number(struct compiler *compiler, const struct yaml_node *node,
                       long double *ret_number)
{
    enum yaml_scalar scalar = YAML_SCALAR_TEXT;
    if (node->kind == YAML_TEXT && !node->is_null)
        scalar = yaml_scalar(node);
    errno = 0;
    if (scalar == YAML_SCALAR_INTEGER)
        *ret_number = (long double)strtoll(node->text, NULL, 10);
    else if (scalar == YAML_SCALAR_REAL)
        *ret_number = (long double)strtod(node->text, NULL);
    else
        return yaml_fail(node, compiler->err, "expected a number");
    if (errno == ERANGE && (scalar == YAML_SCALAR_INTEGER || isinf(*ret_number)))
        return yaml_fail(node, compiler->err, "%.64s is out of range", node->text);
    return 0;
}

static int read_value(struct compiler *compiler, const struct yaml_node *node,
                      struct input_value *value)
{
    if (node->kind != YAML_TEXT)
        return yaml_fail(node, compiler->err,
                         "expected a text, a number, true, false or null: lists and maps are not "
                         "compared");
    value->text = node->text;
    if (node->is_null) {
        *value = (struct input_value){.type = INPUT_NULL, .text = "null"};
        return 0;
    }
    switch (yaml_scalar(node)) {
    case YAML_SCALAR_TEXT:
        value->type = INPUT_STRING;
        return 0;
    case YAML_SCALAR_BOOL:
        value->type = INPUT_BOOLEAN;
        value->is_true = node->text[0] == 't';
        return 0;
    default:
        value->type = INPUT_NUMBER;
        return read_number(compiler, node, &value->number);
    }
}

static int read_enum(struct compiler *compiler, const struct yaml_node *node,
                     struct input_schema *schema)
{
    if (node->kind != YAML_LIST || node->first == NULL)
        return yaml_fail(node, compiler->err, "expected a list of values");
    size_t count = 0;
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next)
        count++;
    struct input_value *values = arena_calloc(compiler->arena, count, sizeof *values);
    if (values == NULL)
        return fail_memory(compiler, node);
    int code = 0;
    size_t i = 0;
    for (const struct yaml_node *at = node->first; at != NULL && code == 0; at = at->next)
        code = read_value(compiler, at, &values[i++]);
    schema->values = values;
    schema->value_count = count;
    return code;
}

static int read_const(struct compiler *compiler, const struct yaml_node *node,
                      struct input_schema *schema)
{
    if (yaml_get(node->parent, "enum") != NULL)
        return yaml_fail(node, compiler->err, "one of enum and const is enough");
    struct input_value *value = arena_calloc(compiler->arena, 1, sizeof *value);
    if (value == NULL)
        return fail_memory(compiler, node);
    schema->values = value;
    schema->value_count = 1;
    return read_value(compiler, node, value);
}

/* --- bounds ----------------------------------------------------------------------------------- */

static int read_size(struct compiler *compiler, const struct yaml_node *node, size_t *ret_size)
{
    long double number;
    int code = read_number(compiler, node, &number);
    if (code != 0)
        return code;
    if (number < 0 || number > INT32_MAX || number != (long double)(int64_t)number)
        return yaml_fail(node, compiler->err, "expected a whole number from 0 to %d", INT32_MAX);
    *ret_size = (size_t)number;
    return 0;
}

#define READER(name, read, field)                                                                  \
    static int read_##name(struct compiler *compiler, const struct yaml_node *node,                \
                           struct input_schema *schema)                                            \
    {                                                                                              \
        return read(compiler, node, &schema->field);                                               \
    }
READER(minimum, read_number, minimum)
READER(maximum, read_number, maximum)
READER(exclusive_minimum, read_number, exclusive_minimum)
READER(exclusive_maximum, read_number, exclusive_maximum)
READER(min_length, read_size, length_min)
READER(max_length, read_size, length_max)
READER(min_items, read_size, items_min)
READER(max_items, read_size, items_max)
READER(items, compile, items)

/* --- objects ---------------------------------------------------------------------------------- */

static int read_properties(struct compiler *compiler, const struct yaml_node *node,
                           struct input_schema *schema)
{
    if (node->kind != YAML_MAP)
        return yaml_fail(node, compiler->err, "expected a map of schemas");
    size_t count = 0;
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next)
        count++;
    schema->properties = arena_calloc(compiler->arena, count, sizeof schema->properties[0]);
    if (schema->properties == NULL)
        return fail_memory(compiler, node);
    schema->property_count = count;
    struct input_property *property = schema->properties;
    int code = 0;
    for (const struct yaml_node *at = node->first; at != NULL && code == 0; at = at->next) {
        if (strlen(at->key) > NAME_SIZE_MAX)
            return yaml_fail(node, compiler->err, "a name is longer than %d bytes", NAME_SIZE_MAX);
        property->name = at->key;
        code = compile(compiler, at, &property->schema);
        property++;
    }
    return code;
}

const struct input_property *input_schema_property(const struct input_schema *schema,
                                                   const char *name)
{
    for (size_t i = 0; i < schema->property_count; i++) {
        if (strcmp(schema->properties[i].name, name) == 0)
            return &schema->properties[i];
    }
    return NULL;
}

/* Stands behind properties in the table, so they are there. */
static int read_required(struct compiler *compiler, const struct yaml_node *node,
                         struct input_schema *schema)
{
    if (node->kind != YAML_LIST)
        return yaml_fail(node, compiler->err, "expected a list of names");
    for (const struct yaml_node *at = node->first; at != NULL; at = at->next) {
        if (at->kind != YAML_TEXT || at->is_null)
            return yaml_fail(at, compiler->err, "expected a name");
        struct input_property *property = NULL;
        const char *names[NEAREST_MAX];
        size_t count = 0;
        for (size_t i = 0; i < schema->property_count && property == NULL; i++) {
            if (strcmp(schema->properties[i].name, at->text) == 0)
                property = &schema->properties[i];
            else if (count < NEAREST_MAX)
                names[count++] = schema->properties[i].name;
        }
        if (property == NULL) {
            const char *near = nearest_name(at->text, names, count);
            return yaml_fail(at, compiler->err, "\"%.64s\" is not in properties%s%s%s", at->text,
                             near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                             near != NULL ? "\"?)" : "");
        }
        property->is_required = true;
    }
    return 0;
}

static int read_additional(struct compiler *compiler, const struct yaml_node *node,
                           struct input_schema *schema)
{
    if (node->kind == YAML_MAP)
        return compile(compiler, node, &schema->additional);
    if (node->kind != YAML_TEXT || node->is_null || yaml_scalar(node) != YAML_SCALAR_BOOL)
        return yaml_fail(node, compiler->err, "expected true, false or a schema");
    schema->refuses_additional = node->text[0] == 'f';
    return 0;
}

static int read_description(struct compiler *compiler, const struct yaml_node *node,
                            struct input_schema *schema)
{
    (void)schema;
    return node->kind == YAML_TEXT && !node->is_null
               ? 0
               : yaml_fail(node, compiler->err, "expected a text");
}

/* --- the table -------------------------------------------------------------------------------- */

#define NUMBERS (INPUT_INTEGER | INPUT_NUMBER)
#define ALL     ((1u << INPUT_TYPE_COUNT) - 1)

static const struct keyword {
    const char *name;
    unsigned types; /* that it says something about */
    int (*read)(struct compiler *compiler, const struct yaml_node *node,
                struct input_schema *schema);
} keywords[] = {
    {"type", ALL, read_type},
    {"description", ALL, read_description},
    {"enum", ALL, read_enum},
    {"const", ALL, read_const},
    {"minimum", NUMBERS, read_minimum},
    {"maximum", NUMBERS, read_maximum},
    {"exclusiveMinimum", NUMBERS, read_exclusive_minimum},
    {"exclusiveMaximum", NUMBERS, read_exclusive_maximum},
    {"minLength", INPUT_STRING, read_min_length},
    {"maxLength", INPUT_STRING, read_max_length},
    {"minItems", INPUT_ARRAY, read_min_items},
    {"maxItems", INPUT_ARRAY, read_max_items},
    {"items", INPUT_ARRAY, read_items},
    {"properties", INPUT_OBJECT, read_properties},
    {"required", INPUT_OBJECT, read_required},
    {"additionalProperties", INPUT_OBJECT, read_additional},
};

static int check_keywords(struct compiler *compiler, const struct yaml_node *map)
{
    const char *names[COUNT(keywords)];
    for (size_t i = 0; i < COUNT(keywords); i++)
        names[i] = keywords[i].name;
    for (const struct yaml_node *at = map->first; at != NULL; at = at->next) {
        bool is_known = false;
        for (size_t i = 0; i < COUNT(keywords) && !is_known; i++)
            is_known = strcmp(at->key, names[i]) == 0;
        if (is_known)
            continue;
        const char *near = nearest_name(at->key, names, COUNT(keywords));
        return yaml_fail(at, compiler->err, "unknown keyword%s%s%s",
                         near != NULL ? " (did you mean \"" : "", near != NULL ? near : "",
                         near != NULL ? "\"?)" : "");
    }
    return 0;
}

static int check_bounds(struct compiler *compiler, const struct yaml_node *map,
                        const struct input_schema *schema)
{
    if (schema->minimum > schema->maximum || schema->exclusive_minimum >= schema->maximum ||
        schema->minimum >= schema->exclusive_maximum ||
        schema->exclusive_minimum >= schema->exclusive_maximum)
        return yaml_fail(map, compiler->err, "no number is within these bounds");
    if (schema->length_min > schema->length_max)
        return yaml_fail(map, compiler->err, "minLength is above maxLength");
    if (schema->items_min > schema->items_max)
        return yaml_fail(map, compiler->err, "minItems is above maxItems");
    return 0;
}

static int compile(struct compiler *compiler, const struct yaml_node *node,
                   const struct input_schema **ret_schema)
{
    if (node->kind != YAML_MAP)
        return yaml_fail(node, compiler->err, "expected a schema: a map of keywords");
    int code = check_keywords(compiler, node);
    if (code != 0)
        return code;
    struct input_schema *schema = arena_alloc(compiler->arena, sizeof *schema);
    if (schema == NULL)
        return fail_memory(compiler, node);
    *schema = (struct input_schema){
        .minimum = -HUGE_VALL,
        .maximum = HUGE_VALL,
        .exclusive_minimum = -HUGE_VALL,
        .exclusive_maximum = HUGE_VALL,
        .length_max = SIZE_MAX,
        .items_max = SIZE_MAX,
    };
    for (size_t i = 0; i < COUNT(keywords) && code == 0; i++) {
        const struct yaml_node *at = yaml_get(node, keywords[i].name);
        if (at == NULL)
            continue;
        if (schema->types != 0 && (schema->types & keywords[i].types) == 0)
            return yaml_fail(at, compiler->err, "says nothing about the type %s",
                             input_type_name(schema->types));
        code = keywords[i].read(compiler, at, schema);
    }
    if (code == 0)
        code = check_bounds(compiler, node, schema);
    if (code == 0)
        *ret_schema = schema;
    return code;
}

int input_schema_compile(const struct yaml_node *node, struct arena *arena,
                         const struct input_schema **ret_schema, struct error *err)
{
    struct compiler compiler = {.arena = arena, .err = err};
    return compile(&compiler, node, ret_schema);
}
