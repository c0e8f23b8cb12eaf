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
    struct arena *arena;
    struct yaml_problems *problems;
    struct error *err;
};

static int bind_map(struct binder *binder, const struct yaml_schema *schema,
                    const struct yaml_node *map, void *object);

static int fail_memory(struct binder *binder, const struct yaml_node *node)
{
    return error_set(binder->err, ERR_MEMORY, "%s: out of memory", node->source->name);
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

/* The place of the text among the field's words. */
static int find_word(struct binder *binder, const struct yaml_field *field,
                     const struct yaml_node *node, int *ret_index)
{
    size_t count = 0;
    for (; field->words[count] != NULL; count++) {
        if (strcmp(node->text, field->words[count]) == 0) {
            *ret_index = (int)count;
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
    int word;
    if (field->words != NULL && (code = find_word(binder, field, node, &word)) != 0)
        return code;
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
    return arena_printf(arena, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path);
}

static int bind_path(struct binder *binder, const struct yaml_node *node, const char **ret_path)
{
    int code = expect_kind(binder, node, YAML_TEXT);
    if (code != 0)
        return code;
    if (node->text[0] == '\0')
        return yaml_fail(node, binder->err, "must not be empty");
    const char *path = yaml_path(binder->arena, node->source->folder, node->text);
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

static int bind_choice(struct binder *binder, const struct yaml_field *field,
                       const struct yaml_node *node, int *ret_value)
{
    int code = expect_kind(binder, node, YAML_TEXT);
    return code != 0 ? code : find_word(binder, field, node, ret_value);
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

static int bind_element(struct binder *binder, const struct yaml_schema *schema,
                        const struct yaml_node *node, void *element)
{
    int code = expect_kind(binder, node, YAML_MAP);
    if (code != 0)
        return code;
    if (schema->init != NULL)
        schema->init(element, node);
    return bind_map(binder, schema, node, element);
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
        code = bind_element(binder, schema, child, element);
        if (code != 0 && (code = yaml_problem_note(binder->problems, code, binder->err)) != 0)
            return code;
        element += schema->size;
    }
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
    case YAML_TYPE_SPENT:
        return 0;
    }
    UNREACHABLE();
}

/* has_problem: of this map something was noted, so that what other rows say of a key's place there
 * cannot be trusted. */
static int bind_row(struct binder *binder, const struct yaml_field *field,
                    const struct yaml_node *map, void *object, bool has_problem)
{
    const struct yaml_node *node = yaml_get(map, field->key);
    if (field->excuse != NULL && has_problem)
        return 0;
    if (node == NULL || node->is_null)
        return field->is_required ? yaml_fail(map, binder->err, "key \"%s\" is missing", field->key)
                                  : 0;
    const char *excuse = field->excuse != NULL ? field->excuse(object) : NULL;
    return excuse != NULL ? yaml_fail(node, binder->err, "%s", excuse)
                          : bind_field(binder, field, node, object);
}

static int bind_map(struct binder *binder, const struct yaml_schema *schema,
                    const struct yaml_node *map, void *object)
{
    bool has_problem = false;
    for (size_t i = 0; i < schema->field_count; i++) {
        int code = bind_row(binder, &schema->fields[i], map, object, has_problem);
        has_problem |= code != 0;
        if (code != 0 && (code = yaml_problem_note(binder->problems, code, binder->err)) != 0)
            return code;
    }
    return 0;
}

int yaml_bind(const struct yaml_schema *schema, const struct yaml_node *map, struct arena *arena,
              void *object, struct yaml_problems *problems, struct error *err)
{
    struct binder binder = {.arena = arena, .problems = problems, .err = err};
    ASSERT(problems == NULL || err != NULL);
    if (map->kind == YAML_TEXT && map->is_null)
        return 0;
    int code = expect_kind(&binder, map, YAML_MAP);
    return code != 0 ? code : bind_map(&binder, schema, map, object);
}

/* Keys */

/* What one check works on. */
struct checker {
    const struct yaml_schema *root;
    struct yaml_problems *problems;
    struct error *err;
};

#define ELSEWHERE_MAX 3 /* more places than that are no help */

/* Adds to out the paths of the key in the table and below it; returns how many. */
static int find_elsewhere(const struct yaml_schema *schema, const char *path, const char *key,
                          struct buffer *out)
{
    int count = 0;
    for (size_t i = 0; i < schema->field_count && count <= ELSEWHERE_MAX; i++) {
        const struct yaml_field *field = &schema->fields[i];
        char below[128];
        snprintf(below, sizeof below, "%s%s%s", path, field->key,
                 field->type == YAML_TYPE_LIST ? "[]." : ".");
        if (strcmp(field->key, key) == 0) {
            buffer_printf(out, "%s%s%s", out->size > 0 ? ", " : "", path, key);
            count++;
        } else if (field->schema != NULL) {
            count += find_elsewhere(field->schema, below, key, out);
        }
    }
    return count;
}

static int fail_key(const struct checker *checker, const struct yaml_schema *schema,
                    const struct yaml_node *node)
{
    const char *keys[FIELD_MAX];
    ASSERT(schema->field_count <= FIELD_MAX);
    for (size_t i = 0; i < schema->field_count; i++)
        keys[i] = schema->fields[i].key;
    const char *near = nearest_name(node->key, keys, schema->field_count);
    if (near != NULL)
        return yaml_fail(node, checker->err, "unknown key (did you mean \"%s\"?)", near);
    struct buffer paths = {0};
    char known[ERROR_TEXT_MAX];
    int count = find_elsewhere(checker->root, "", node->key, &paths);
    int code;
    if (count > 0 && count <= ELSEWHERE_MAX)
        code = yaml_fail(node, checker->err, "unknown key here (did you mean %s?)",
                         buffer_text(&paths));
    else
        code = yaml_fail(node, checker->err, "unknown key (known: %s)",
                         list_words(keys, schema->field_count, known, sizeof known));
    buffer_fini(&paths);
    return code;
}

const struct yaml_field *yaml_field_find(const struct yaml_schema *schema, const char *key)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].key, key) == 0)
            return &schema->fields[i];
    }
    return NULL;
}

/* Elements of a list are found by their names, so no two may share one. */
static int check_name(const struct yaml_node *list, const struct yaml_node *element,
                      struct error *err)
{
    const struct yaml_node *name = yaml_name(element);
    const struct yaml_node *twin = name != NULL ? yaml_find(list, name->text) : element;
    if (twin == element)
        return 0;
    return yaml_fail(name, err, "\"%.64s\" was already given in line %d", name->text,
                     yaml_name(twin)->line);
}

static int check_map(const struct checker *checker, const struct yaml_schema *schema,
                     const struct yaml_node *map);

static int check_list(const struct checker *checker, const struct yaml_schema *schema,
                      const struct yaml_node *list)
{
    int code = 0;
    for (const struct yaml_node *at = list->first; at != NULL && code == 0; at = at->next) {
        code = check_name(list, at, checker->err);
        if (code != 0)
            code = yaml_problem_note(checker->problems, code, checker->err);
        if (code == 0)
            code = check_map(checker, schema, at);
    }
    return code;
}

static int check_map(const struct checker *checker, const struct yaml_schema *schema,
                     const struct yaml_node *map)
{
    int code = 0;
    if (map->kind != YAML_MAP) /* which is reported when it is bound */
        return 0;
    for (const struct yaml_node *node = map->first; node != NULL && code == 0; node = node->next) {
        const struct yaml_field *field = yaml_field_find(schema, node->key);
        if (field == NULL) {
            code = fail_key(checker, schema, node);
            code = yaml_problem_note(checker->problems, code, checker->err);
        } else if (field->type == YAML_TYPE_MAP) {
            code = check_map(checker, field->schema, node);
        } else if (field->type == YAML_TYPE_LIST && node->kind == YAML_LIST) {
            code = check_list(checker, field->schema, node);
        }
    }
    return code;
}

int yaml_check(const struct yaml_schema *schema, const struct yaml_node *map,
               struct yaml_problems *problems, struct error *err)
{
    ASSERT(problems == NULL || err != NULL);
    return check_map(&(struct checker){schema, problems, err}, schema, map);
}

void yaml_problems_fini(struct yaml_problems *problems)
{
    buffer_fini(&problems->text);
    *problems = (struct yaml_problems){0};
}

int yaml_problem_note(struct yaml_problems *problems, int code, const struct error *err)
{
    if (problems == NULL || code == ERR_MEMORY || problems->count == YAML_PROBLEM_MAX)
        return code;
    if (problems->count++ == 0)
        problems->first = *err;
    buffer_printf(&problems->text, "%s\n", err->text);
    return 0;
}
