/* SPDX-License-Identifier: Apache-2.0 */
/* vector_filter: see vector_filter.h. */
#include "storage/vectors/vector_filter.h"

#include <string.h>

#include "common/nearest.h"
#include "storage/vectors.h"

/* In the order of enum vector_operator. */
static const char *const operator_names[] = {"eq", "gt", "gte", "lt", "lte", "in"};

#define OPERATOR_COUNT (sizeof operator_names / sizeof operator_names[0])

/* A filter being parsed. */
struct parser {
    struct arena *arena;
    struct vector_filter *filter;
    struct error *err;
};

static int fail_memory(struct parser *parser)
{
    return error_set(parser->err, ERR_LIMIT, "filter: no room for it");
}

/* A copy of the scalar in the arena. */
static int read_value(struct parser *parser, const char *place, const json_t *json,
                      struct vector_value *ret_value)
{
    struct vector_value value;
    if (!vector_value_read(json, &value))
        return error_set(parser->err, ERR_INVALID, "%s: must be a string, a number, true or false",
                         place);
    if (value.type == VECTOR_VALUE_TEXT) {
        value.text = arena_strndup(parser->arena, value.text, value.size);
        if (value.text == NULL)
            return fail_memory(parser);
    }
    *ret_value = value;
    return 0;
}

static int read_list(struct parser *parser, const char *place, const json_t *json,
                     struct vector_condition *condition)
{
    size_t count = json_array_size(json);
    if (!json_is_array(json) || count == 0)
        return error_set(parser->err, ERR_INVALID, "%s: must be a list of at least one value",
                         place);
    if (count > VECTOR_FILTER_VALUES_MAX)
        return error_set(parser->err, ERR_LIMIT, "%s: has %zu values, more than %d", place, count,
                         VECTOR_FILTER_VALUES_MAX);
    struct vector_value *values = arena_calloc(parser->arena, count, sizeof *values);
    if (values == NULL)
        return fail_memory(parser);
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = read_value(parser, place, json_array_get(json, i), &values[i]);
    condition->values = values;
    condition->value_count = count;
    return code;
}

static int read_single(struct parser *parser, const char *place, const json_t *json,
                       struct vector_condition *condition)
{
    struct vector_value *value = arena_calloc(parser->arena, 1, sizeof *value);
    if (value == NULL)
        return fail_memory(parser);
    int code = read_value(parser, place, json, value);
    if (code == 0 && value->type == VECTOR_VALUE_BOOLEAN && condition->op != VECTOR_OPERATOR_EQ)
        code = error_set(parser->err, ERR_INVALID, "%s: true and false have no order", place);
    condition->values = value;
    condition->value_count = 1;
    return code;
}

static int add_condition(struct parser *parser, const char *name, enum vector_operator op,
                         const char *place, const json_t *json)
{
    struct vector_filter *filter = parser->filter;
    if (filter->count == VECTOR_FILTER_CONDITIONS_MAX)
        return error_set(parser->err, ERR_LIMIT, "filter: more than %d conditions",
                         VECTOR_FILTER_CONDITIONS_MAX);
    struct vector_condition condition = {.name = arena_strdup(parser->arena, name),
                                         .name_size = strlen(name),
                                         .is_document = strcmp(name, VECTOR_FILTER_DOCUMENT) == 0,
                                         .op = op};
    if (condition.name == NULL)
        return fail_memory(parser);
    int code = op == VECTOR_OPERATOR_IN ? read_list(parser, place, json, &condition)
                                        : read_single(parser, place, json, &condition);
    if (code == 0)
        filter->conditions[filter->count++] = condition;
    return code;
}

static int find_operator(struct parser *parser, const char *name, const char *word,
                         enum vector_operator *ret_operator)
{
    for (size_t i = 0; i < OPERATOR_COUNT; i++) {
        if (strcmp(word, operator_names[i]) == 0) {
            *ret_operator = (enum vector_operator)i;
            return 0;
        }
    }
    const char *nearest = nearest_name(word, operator_names, OPERATOR_COUNT);
    return error_set(parser->err, ERR_INVALID, "filter.%s: unknown operator \"%s\" (%s%s)", name,
                     word, nearest != NULL ? "did you mean " : "known: eq, gt, gte, lt, lte, in",
                     nearest != NULL ? nearest : "");
}

static int read_operators(struct parser *parser, const char *name, json_t *object)
{
    if (json_object_size(object) == 0)
        return error_set(parser->err, ERR_INVALID, "filter.%s: has no operator", name);
    const char *word;
    json_t *json;
    int code = 0;
    json_object_foreach(object, word, json)
    {
        enum vector_operator op;
        char place[VECTOR_NAME_MAX + 32];
        code = find_operator(parser, name, word, &op);
        if (code != 0)
            break;
        snprintf(place, sizeof place, "filter.%s.%s", name, word);
        code = add_condition(parser, name, op, place, json);
        if (code != 0)
            break;
    }
    return code;
}

static int read_member(struct parser *parser, const char *name, json_t *json)
{
    size_t size = strlen(name);
    if (size == 0 || size > VECTOR_NAME_MAX)
        return error_set(parser->err, ERR_INVALID, "filter: a name has %zu bytes, not 1 to %d",
                         size, VECTOR_NAME_MAX);
    if (json_is_object(json))
        return read_operators(parser, name, json);
    char place[VECTOR_NAME_MAX + 32];
    snprintf(place, sizeof place, "filter.%s", name);
    return add_condition(parser, name, VECTOR_OPERATOR_EQ, place, json);
}

int vector_filter_parse(const char *text, struct arena *arena,
                        const struct vector_filter **ret_filter, struct error *err)
{
    if (strlen(text) > VECTOR_FILTER_SIZE_MAX)
        return error_set(err, ERR_LIMIT, "filter: has %zu bytes, more than %d", strlen(text),
                         VECTOR_FILTER_SIZE_MAX);
    json_error_t json_error;
    json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &json_error);
    if (object == NULL)
        return error_set(err, ERR_INVALID, "filter: line %d, column %d: %s", json_error.line,
                         json_error.column, json_error.text);
    struct parser parser = {arena, arena_calloc(arena, 1, sizeof *parser.filter), err};
    int code = 0;
    if (!json_is_object(object))
        code = error_set(err, ERR_INVALID, "filter: must be a JSON object");
    else if (parser.filter == NULL)
        code = fail_memory(&parser);
    const char *name;
    json_t *json;
    if (code == 0) {
        json_object_foreach(object, name, json)
        {
            code = read_member(&parser, name, json);
            if (code != 0)
                break;
        }
    }
    json_decref(object);
    if (code == 0)
        *ret_filter = parser.filter;
    return code;
}

static int compare_texts(const struct vector_value *a, const struct vector_value *b)
{
    int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
    return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

static bool is_in_order(const struct vector_value *value, enum vector_operator op,
                        const struct vector_value *bound)
{
    if (value->type != bound->type)
        return false;
    int order = value->type == VECTOR_VALUE_TEXT ? compare_texts(value, bound)
                : value->type == VECTOR_VALUE_BOOLEAN
                    ? value->is_true - bound->is_true
                    : (value->number > bound->number) - (value->number < bound->number);
    switch (op) {
    case VECTOR_OPERATOR_GT:
        return order > 0;
    case VECTOR_OPERATOR_GTE:
        return order >= 0;
    case VECTOR_OPERATOR_LT:
        return order < 0;
    case VECTOR_OPERATOR_LTE:
        return order <= 0;
    case VECTOR_OPERATOR_EQ:
    case VECTOR_OPERATOR_IN:
        return order == 0;
    }
    return false;
}

static bool condition_holds(const struct vector_condition *condition, const char *document,
                            struct vector_packed document_metadata,
                            struct vector_packed chunk_metadata)
{
    struct vector_value value = {
        .type = VECTOR_VALUE_TEXT, .text = document, .size = strlen(document)};
    if (!condition->is_document &&
        !vector_metadata_find(chunk_metadata, condition->name, condition->name_size, &value) &&
        !vector_metadata_find(document_metadata, condition->name, condition->name_size, &value))
        return false;
    for (size_t i = 0; i < condition->value_count; i++) {
        if (is_in_order(&value, condition->op, &condition->values[i]))
            return true;
    }
    return false;
}

bool vector_filter_accepts_document(const struct vector_filter *filter, const char *document)
{
    const struct vector_packed none = {NULL, 0};
    for (size_t i = 0; i < filter->count; i++) {
        if (filter->conditions[i].is_document &&
            !condition_holds(&filter->conditions[i], document, none, none))
            return false;
    }
    return true;
}

bool vector_filter_accepts(const struct vector_filter *filter, const char *document,
                           struct vector_packed document_metadata,
                           struct vector_packed chunk_metadata)
{
    for (size_t i = 0; i < filter->count; i++) {
        if (!condition_holds(&filter->conditions[i], document, document_metadata, chunk_metadata))
            return false;
    }
    return true;
}
