/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_schema: see yaml_schema.h. Reading; yaml_print.c is the other direction. */
#include "common/yaml_schema.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/nearest.h"

#define FIELD_MAX 32

struct binder {
    const char *folder;
    struct arena *arena;
    struct error *err;
};

static int bind_map(struct binder *binder, const struct yaml_schema *schema,
                    const struct yaml_node *map, void *object);

static int fail_memory(struct binder *binder, const struct yaml_node *node)
{
    return error_set(binder->err, ERR_MEMORY, "%s: out of memory", node->source);
}

static const char *const kind_names[] = {"a text", "a list", "a map"};

static int expect_kind(struct binder *binder, const struct yaml_node *node, enum yaml_kind kind)
{
    if (node->kind == kind && !node->is_null)
        return 0;
    return yaml_fail(node, binder->err, "expected %s, found %s", kind_names[kind],
                     node->is_null ? "nothing" : kind_names[node->kind]);
}

/* Single values */

static int bind_text(struct binder *binder, const struct yaml_field *field,
                     const struct yaml_node *node, const char **ret_text)
{
    int code = expect_kind(binder, node, YAML_TEXT);
    if (code != 0)
        return code;
    if (node->text[0] == '\0' && !field->may_be_empty)
        return yaml_fail(node, binder->err, "must not be empty");
    const char *reason = field->check != NULL ? field->check(node->text) : NULL;
    if (reason != NULL && field->is_private)
        return yaml_fail(node, binder->err, "%s", reason);
    if (reason != NULL)
        return yaml_fail(node, binder->err, "\"%.128s\" %s", node->text, reason);
    *ret_text = node->text;
    return 0;
}

const char *yaml_path(struct arena *arena, const char *folder, const char *path)
{
    if (path[0] == '/')
        return arena_strdup(arena, path);
    while (path[0] == '.' && path[1] == '/') {
        path += 2;
        while (path[0] == '/')
            path++;
    }
    if (path[0] == '\0' || strcmp(path, ".") == 0)
        return arena_strdup(arena, folder);
    return arena_printf(arena, "%s/%s", folder, path);
}

static int bind_path(struct binder *binder, const struct yaml_node *node, const char **ret_path)
{
    int code = expect_kind(binder, node, YAML_TEXT);
    if (code != 0)
        return code;
    if (node->text[0] == '\0')
        return yaml_fail(node, binder->err, "must not be empty");
    const char *path = yaml_path(binder->arena, binder->folder, node->text);
    if (path == NULL)
        return fail_memory(binder, node);
    *ret_path = path;
    return 0;
}

static int bind_int(struct binder *binder, const struct yaml_field *field,
                    const struct yaml_node *node, int *ret_value)
{
    int code = expect_kind(binder, node, YAML_TEXT);
    if (code != 0)
        return code;
    char *end;
    errno = 0;
    long value = strtol(node->text, &end, 10);
    if (end == node->text || *end != '\0' || isspace((unsigned char)node->text[0]))
        return yaml_fail(node, binder->err, "\"%.64s\" is not a whole number", node->text);
    if (errno != 0 || value < field->min || value > field->max)
        return yaml_fail(node, binder->err, "%.64s is out of range (%d to %d)", node->text,
                         field->min, field->max);
    *ret_value = (int)value;
    return 0;
}

static int bind_number(struct binder *binder, const struct yaml_field *field,
                       const struct yaml_node *node, double *ret_value)
{
    int code = expect_kind(binder, node, YAML_TEXT);
    if (code != 0)
        return code;
    char *end;
    double value = strtod(node->text, &end);
    if (end == node->text || *end != '\0' || isspace((unsigned char)node->text[0]))
        return yaml_fail(node, binder->err, "\"%.64s\" is not a number", node->text);
    if (!isfinite(value) || value < field->min || value > field->max)
        return yaml_fail(node, binder->err, "%.64s is out of range (%d to %d)", node->text,
                         field->min, field->max);
    *ret_value = value;
    return 0;
}

static int bind_bool(struct binder *binder, const struct yaml_node *node, bool *ret_value)
{
    int code = expect_kind(binder, node, YAML_TEXT);
    if (code != 0)
        return code;
    bool is_true = strcmp(node->text, "true") == 0;
    if (!is_true && strcmp(node->text, "false") != 0)
        return yaml_fail(node, binder->err, "\"%.64s\" is neither true nor false", node->text);
    *ret_value = is_true;
    return 0;
}

/* "a, b, c" of the words. */
static const char *list_words(const char *const *words, size_t count, char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count && length < size; i++)
        length +=
            (size_t)snprintf(out + length, size - length, "%s%s", i > 0 ? ", " : "", words[i]);
    return out;
}

static int bind_choice(struct binder *binder, const struct yaml_field *field,
                       const struct yaml_node *node, int *ret_value)
{
    int code = expect_kind(binder, node, YAML_TEXT);
    if (code != 0)
        return code;
    size_t count = 0;
    for (; field->words[count] != NULL; count++) {
        if (strcmp(node->text, field->words[count]) == 0) {
            *ret_value = (int)count;
            return 0;
        }
    }
    char words[256];
    list_words(field->words, count, words, sizeof words);
    const char *near = nearest_name(node->text, field->words, count);
    if (near == NULL)
        return yaml_fail(node, binder->err, "\"%.64s\" is none of %s", node->text, words);
    return yaml_fail(node, binder->err, "\"%.64s\" is none of %s (did you mean \"%s\"?)",
                     node->text, words, near);
}

/* Lists */

static size_t count_children(const struct yaml_node *node)
{
    size_t count = 0;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next)
        count++;
    return count;
}

static int bind_texts(struct binder *binder, const struct yaml_field *field,
                      const struct yaml_node *node, const char *const **ret_texts,
                      size_t *ret_count)
{
    int code = expect_kind(binder, node, YAML_LIST);
    if (code != 0)
        return code;
    size_t count = count_children(node);
    const char **texts = arena_calloc(binder->arena, count, sizeof *texts);
    if (texts == NULL)
        return fail_memory(binder, node);
    size_t i = 0;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next, i++) {
        code = field->type == YAML_TYPE_PATHS ? bind_path(binder, child, &texts[i])
                                              : bind_text(binder, field, child, &texts[i]);
        if (code != 0)
            return code;
    }
    *ret_texts = texts;
    *ret_count = count;
    return 0;
}

/* Elements of a list are found by their names, so no two may share one. */
static int check_names(struct binder *binder, const struct yaml_node *list)
{
    for (const struct yaml_node *child = list->first; child != NULL; child = child->next) {
        const struct yaml_node *name = yaml_get(child, "name");
        for (const struct yaml_node *other = list->first; other != child; other = other->next) {
            const struct yaml_node *taken = yaml_get(other, "name");
            if (strcmp(name->text, taken->text) == 0)
                return yaml_fail(name, binder->err, "\"%.64s\" was already given in line %d",
                                 name->text, taken->line);
        }
    }
    return 0;
}

static int bind_list(struct binder *binder, const struct yaml_field *field,
                     const struct yaml_node *node, void **ret_elements, size_t *ret_count)
{
    int code = expect_kind(binder, node, YAML_LIST);
    if (code != 0)
        return code;
    const struct yaml_schema *schema = field->schema;
    size_t count = count_children(node);
    if (count > (size_t)field->max)
        return yaml_fail(node, binder->err, "more than %d entries", field->max);
    char *elements = arena_calloc(binder->arena, count, schema->size);
    if (elements == NULL)
        return fail_memory(binder, node);
    char *element = elements;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        if ((code = expect_kind(binder, child, YAML_MAP)) != 0)
            return code;
        if (schema->init != NULL)
            schema->init(element, child);
        if ((code = bind_map(binder, schema, child, element)) != 0)
            return code;
        element += schema->size;
    }
    if (strcmp(schema->fields[0].key, "name") == 0 && (code = check_names(binder, node)) != 0)
        return code;
    *ret_elements = elements;
    *ret_count = count;
    return 0;
}

/* Maps */

static int bind_field(struct binder *binder, const struct yaml_field *field,
                      const struct yaml_node *node, void *object)
{
    void *value = (char *)object + field->offset;
    size_t *count = (size_t *)(void *)((char *)object + field->count_offset);
    switch (field->type) {
    case YAML_TYPE_TEXT:
        return bind_text(binder, field, node, value);
    case YAML_TYPE_PATH:
        return bind_path(binder, node, value);
    case YAML_TYPE_INT:
        return bind_int(binder, field, node, value);
    case YAML_TYPE_NUMBER:
        return bind_number(binder, field, node, value);
    case YAML_TYPE_BOOL:
        return bind_bool(binder, node, value);
    case YAML_TYPE_CHOICE:
        return bind_choice(binder, field, node, value);
    case YAML_TYPE_TEXTS:
    case YAML_TYPE_PATHS:
        return bind_texts(binder, field, node, value, count);
    case YAML_TYPE_LIST:
        return bind_list(binder, field, node, value, count);
    case YAML_TYPE_MAP: {
        int code = expect_kind(binder, node, YAML_MAP);
        return code != 0 ? code : bind_map(binder, field->schema, node, value);
    }
    case YAML_TYPE_TREE: {
        int code = expect_kind(binder, node, YAML_MAP);
        if (code == 0)
            *(const struct yaml_node **)value = node;
        return code;
    }
    }
    UNREACHABLE();
}

static int check_keys(struct binder *binder, const struct yaml_schema *schema,
                      const struct yaml_node *map)
{
    const char *keys[FIELD_MAX];
    ASSERT(schema->field_count <= FIELD_MAX);
    for (size_t i = 0; i < schema->field_count; i++)
        keys[i] = schema->fields[i].key;
    for (const struct yaml_node *child = map->first; child != NULL; child = child->next) {
        bool is_known = false;
        for (size_t i = 0; i < schema->field_count && !is_known; i++)
            is_known = strcmp(child->key, keys[i]) == 0;
        if (is_known)
            continue;
        const char *near = nearest_name(child->key, keys, schema->field_count);
        if (near != NULL)
            return yaml_fail(child, binder->err, "unknown key (did you mean \"%s\"?)", near);
        char known[256];
        list_words(keys, schema->field_count, known, sizeof known);
        return yaml_fail(child, binder->err, "unknown key (known: %s)", known);
    }
    return 0;
}

static int bind_map(struct binder *binder, const struct yaml_schema *schema,
                    const struct yaml_node *map, void *object)
{
    int code = check_keys(binder, schema, map);
    for (size_t i = 0; i < schema->field_count && code == 0; i++) {
        const struct yaml_field *field = &schema->fields[i];
        const struct yaml_node *node = yaml_get(map, field->key);
        const char *excuse = field->excuse != NULL ? field->excuse(object) : NULL;
        if (node == NULL || node->is_null) {
            if (field->is_required)
                code = yaml_fail(map, binder->err, "key \"%s\" is missing", field->key);
        } else if (excuse != NULL) {
            code = yaml_fail(node, binder->err, "%s", excuse);
        } else {
            code = bind_field(binder, field, node, object);
        }
    }
    return code;
}

int yaml_bind(const struct yaml_schema *schema, const struct yaml_node *map, const char *folder,
              struct arena *arena, void *object, struct error *err)
{
    struct binder binder = {.folder = folder, .arena = arena, .err = err};
    if (map->kind == YAML_TEXT && map->is_null)
        return 0;
    int code = expect_kind(&binder, map, YAML_MAP);
    return code != 0 ? code : bind_map(&binder, schema, map, object);
}
