/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_tree: see yaml_tree.h. Built from libyaml's events; its document loader would expand aliases
 * into a graph. */
#include "common/yaml_tree.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/buffer.h"
#include "common/utf8.h"

#define PATH_TEXT_MAX 256

struct builder {
    struct arena *arena;
    const struct yaml_source *source;
    struct error *err;
    int node_count;
    struct buffer text;     /* a value being substituted */
    struct yaml_node *open; /* innermost unfinished list or map; NULL: the document */
    const char *key;        /* whose value comes next, in a map */
};

static int fail_at(struct builder *builder, size_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int fail_at(struct builder *builder, size_t line, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(builder->err, ERR_CONFIG, "%s:%zu: %s", builder->source->name, line, text);
}

static int fail_memory(struct builder *builder)
{
    return error_set(builder->err, ERR_MEMORY, "%s: out of memory", builder->source->name);
}

/* Writes the path of node ("groups[1].name") into out. */
static void format_path(const struct yaml_node *node, char *out, size_t size)
{
    const struct yaml_node *chain[YAML_DEPTH_MAX + 1];
    size_t depth = 0;
    for (; node->parent != NULL; node = node->parent)
        chain[depth++] = node;
    size_t length = 0;
    out[0] = '\0';
    while (depth > 0 && length < size) {
        const struct yaml_node *at = chain[--depth];
        int written = at->key != NULL ? snprintf(out + length, size - length, "%s%s",
                                                 length > 0 ? "." : "", at->key)
                                      : snprintf(out + length, size - length, "[%d]", at->index);
        length += (size_t)written;
    }
}

int yaml_fail(const struct yaml_node *node, struct error *err, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    char path[PATH_TEXT_MAX];
    format_path(node, path, sizeof path);
    return error_set(err, ERR_CONFIG, "%s:%d: %s%s%s", node->source->name, node->line, path,
                     path[0] != '\0' ? ": " : "", text);
}

/* The path of the value, or of the map whose key is read. */
static int fail_here(struct builder *builder, size_t line, const char *text)
{
    struct yaml_node at = {.key = builder->key, .parent = builder->open};
    if (at.parent != NULL && at.parent->kind == YAML_MAP && at.key == NULL)
        at = *at.parent;
    else if (at.parent != NULL && at.parent->kind == YAML_LIST)
        for (const struct yaml_node *child = at.parent->first; child != NULL; child = child->next)
            at.index++;
    at.line = (int)line;
    at.source = builder->source;
    return yaml_fail(&at, builder->err, "%s", text);
}

const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key)
{
    if (node->kind != YAML_MAP)
        return NULL;
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        if (strcmp(child->key, key) == 0)
            return child;
    }
    return NULL;
}

const struct yaml_node *yaml_name(const struct yaml_node *map)
{
    const struct yaml_node *name = yaml_get(map, "name");
    return name != NULL && name->kind == YAML_TEXT && !name->is_null ? name : NULL;
}

struct yaml_node *yaml_find(const struct yaml_node *list, const char *name)
{
    for (struct yaml_node *child = list->first; child != NULL; child = child->next) {
        const struct yaml_node *taken = yaml_name(child);
        if (taken != NULL && strcmp(taken->text, name) == 0)
            return child;
    }
    return NULL;
}

const char *yaml_line(const struct yaml_node *node, const struct yaml_node *other,
                      char text[YAML_LINE_SIZE])
{
    bool is_same = node->source == other->source;
    snprintf(text, YAML_LINE_SIZE, "line %d%s%.100s", node->line, is_same ? "" : " of ",
             is_same ? "" : node->source->name);
    return text;
}

static const char *skip_digits(const char *at)
{
    while (isdigit((unsigned char)*at))
        at++;
    return at;
}

enum yaml_scalar yaml_scalar(const struct yaml_node *node)
{
    const char *at = node->text;
    if (node->is_quoted)
        return YAML_SCALAR_TEXT;
    if (strcmp(at, "true") == 0 || strcmp(at, "false") == 0)
        return YAML_SCALAR_BOOL;
    at += *at == '-';
    const char *digits = at;
    at = skip_digits(at);
    if (at == digits || (*digits == '0' && at - digits > 1))
        return YAML_SCALAR_TEXT;
    if (*at == '\0')
        return YAML_SCALAR_INTEGER;
    if (*at == '.') {
        digits = at + 1;
        at = skip_digits(digits);
        if (at == digits)
            return YAML_SCALAR_TEXT;
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        digits = at;
        at = skip_digits(digits);
        if (at == digits)
            return YAML_SCALAR_TEXT;
    }
    return *at == '\0' ? YAML_SCALAR_REAL : YAML_SCALAR_TEXT;
}

/* Substitution */

static bool is_name_byte(char c, bool is_first)
{
    return c == '_' || isalpha((unsigned char)c) || (!is_first && isdigit((unsigned char)c));
}

/* Replaces the "${...}" at *at (behind the dollar sign) and moves *at behind it. */
static int substitute_variable(struct builder *builder, struct yaml_node *node, const char **at)
{
    const char *name = *at + 1;
    const char *end = name;
    while (is_name_byte(*end, end == name))
        end++;
    const char *fallback = strncmp(end, ":-", 2) == 0 ? end + 2 : NULL;
    const char *close = strchr(fallback != NULL ? fallback : end, '}');
    if (end == name || close == NULL || (fallback == NULL && close != end))
        return yaml_fail(node, builder->err,
                         "\"$\" must begin ${NAME}, ${NAME:-default} or $$ (a dollar sign)");
    char variable[128];
    if ((size_t)(end - name) >= sizeof variable)
        return yaml_fail(node, builder->err, "the name of the environment variable is too long");
    memcpy(variable, name, (size_t)(end - name));
    variable[end - name] = '\0';

    const char *value = getenv(variable);
    *at = close + 1;
    if (value != NULL && (value[0] != '\0' || fallback == NULL)) {
        if (!utf8_is_valid(value, strlen(value)))
            return yaml_fail(node, builder->err, "environment variable %s is not UTF-8", variable);
        buffer_append_text(&builder->text, value);
    } else if (fallback != NULL) {
        buffer_append(&builder->text, fallback, (size_t)(close - fallback));
    } else {
        return yaml_fail(node, builder->err, "environment variable %s is not set", variable);
    }
    return 0;
}

static int substitute(struct builder *builder, struct yaml_node *node)
{
    if (strchr(node->text, '$') == NULL)
        return 0;
    buffer_clear(&builder->text);
    for (const char *at = node->text; *at != '\0';) {
        if (*at != '$') {
            buffer_append_byte(&builder->text, (uint8_t)*at++);
        } else if (at[1] == '$') {
            buffer_append_byte(&builder->text, '$');
            at += 2;
        } else {
            at++;
            const char *open = at;
            int code = *open == '{' ? substitute_variable(builder, node, &at)
                                    : yaml_fail(node, builder->err,
                                                "\"$\" must begin ${NAME}, ${NAME:-default} or $$ "
                                                "(a dollar sign)");
            if (code != 0)
                return code;
            if (builder->text.size > YAML_SIZE_MAX)
                return yaml_fail(node, builder->err, "is longer than %zu bytes", YAML_SIZE_MAX);
        }
    }
    node->text = arena_strdup(builder->arena, buffer_text(&builder->text));
    if (node->text == NULL || builder->text.failed)
        return fail_memory(builder);
    return 0;
}

/* Building */

static struct yaml_node *add_node(struct builder *builder, struct yaml_node *parent,
                                  struct yaml_node *last, const char *key, size_t line)
{
    struct yaml_node *node = arena_calloc(builder->arena, 1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->line = (int)line;
    node->key = key;
    node->parent = parent;
    node->source = builder->source;
    node->index = last != NULL ? last->index + 1 : 0;
    if (last != NULL)
        last->next = node;
    else if (parent != NULL)
        parent->first = node;
    return node;
}

/* The text of node, or of a key (NULL). The NUL of \0 in quotes would hide what follows it. */
static int copy_scalar(struct builder *builder, const yaml_event_t *event,
                       const struct yaml_node *node, const char **ret_text)
{
    const char *value = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (memchr(value, '\0', length) != NULL)
        return node != NULL
                   ? yaml_fail(node, builder->err, "a text must not contain NUL")
                   : fail_here(builder, event->start_mark.line + 1, "a key must not contain NUL");
    const char *text = arena_strndup(builder->arena, value, length);
    if (text == NULL)
        return fail_memory(builder);
    *ret_text = text;
    return 0;
}

static int set_text(struct builder *builder, struct yaml_node *node, const yaml_event_t *event)
{
    int code = copy_scalar(builder, event, node, &node->text);
    if (code != 0)
        return code;
    node->kind = YAML_TEXT;
    node->written = node->text;
    node->is_quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    node->is_null = !node->is_quoted && (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
                                         strcmp(node->text, "null") == 0);
    return substitute(builder, node);
}

static int check_event(struct builder *builder, const yaml_event_t *event)
{
    size_t line = event->start_mark.line + 1;
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail_here(builder, line, "aliases are not supported");
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor != NULL)
        return fail_here(builder, line, "anchors are not supported");
    if (tag != NULL)
        return fail_here(builder, line, "tags are not supported");
    return 0;
}

static int next_event(struct builder *builder, yaml_parser_t *parser, yaml_event_t *event)
{
    if (!yaml_parser_parse(parser, event)) {
        if (parser->error == YAML_MEMORY_ERROR)
            return fail_memory(builder);
        return fail_here(builder, parser->problem_mark.line + 1,
                         parser->problem != NULL ? parser->problem : "not YAML");
    }
    int code = check_event(builder, event);
    if (code != 0)
        yaml_event_delete(event);
    return code;
}

static int take_key(struct builder *builder, const struct yaml_node *map, const yaml_event_t *event,
                    const char **ret_key)
{
    size_t line = event->start_mark.line + 1;
    if (event->type != YAML_SCALAR_EVENT)
        return fail_here(builder, line, "a key must be a text");
    int code = copy_scalar(builder, event, NULL, ret_key);
    if (code != 0)
        return code;
    const struct yaml_node *twin = yaml_get(map, *ret_key);
    if (twin == NULL)
        return 0;
    struct yaml_node again = *twin;
    again.line = (int)line;
    return yaml_fail(&again, builder->err, "was already given in line %d", twin->line);
}

/* Reads events until the document's root is complete. */
static int build(struct builder *builder, yaml_parser_t *parser, struct yaml_node *root)
{
    struct yaml_node *last[YAML_DEPTH_MAX + 1] = {NULL};
    size_t depth = 0;
    size_t key_line = 0;
    do {
        yaml_event_t event;
        int code = next_event(builder, parser, &event);
        if (code != 0)
            return code;
        size_t line = event.start_mark.line + 1;
        if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
            builder->open = builder->open->parent;
            last[depth--] = NULL;
        } else if (builder->open != NULL && builder->open->kind == YAML_MAP &&
                   builder->key == NULL) {
            code = take_key(builder, builder->open, &event, &builder->key);
            key_line = line;
        } else {
            struct yaml_node *node =
                builder->open == NULL ? root
                                      : add_node(builder, builder->open, last[depth], builder->key,
                                                 builder->key != NULL ? key_line : line);
            if (node == NULL)
                code = fail_memory(builder);
            else if (++builder->node_count > YAML_NODE_MAX)
                code = fail_at(builder, line, "more than %d values", YAML_NODE_MAX);
            else if (event.type == YAML_SCALAR_EVENT)
                code = set_text(builder, node, &event);
            else if (depth == YAML_DEPTH_MAX)
                code = fail_at(builder, line, "nested deeper than %d levels", YAML_DEPTH_MAX);
            last[depth] = node;
            builder->key = NULL;
            if (code == 0 && event.type != YAML_SCALAR_EVENT) {
                node->kind = event.type == YAML_MAPPING_START_EVENT ? YAML_MAP : YAML_LIST;
                builder->open = node;
                depth++;
            }
        }
        yaml_event_delete(&event);
        if (code != 0)
            return code;
    } while (builder->open != NULL);
    return 0;
}

/* Consumes one event, which must be of the type wanted. */
static int expect_event(struct builder *builder, yaml_parser_t *parser, yaml_event_type_t wanted,
                        bool *ret_is_wanted)
{
    yaml_event_t event;
    int code = next_event(builder, parser, &event);
    if (code != 0)
        return code;
    *ret_is_wanted = event.type == wanted;
    size_t line = event.start_mark.line + 1;
    bool is_second_document = event.type == YAML_DOCUMENT_START_EVENT && !*ret_is_wanted;
    yaml_event_delete(&event);
    return is_second_document ? fail_at(builder, line, "a second document is not supported") : 0;
}

static int parse_document(struct builder *builder, yaml_parser_t *parser, struct yaml_node *root)
{
    bool is_wanted;
    int code = expect_event(builder, parser, YAML_STREAM_START_EVENT, &is_wanted);
    if (code == 0)
        code = expect_event(builder, parser, YAML_DOCUMENT_START_EVENT, &is_wanted);
    if (code != 0 || !is_wanted) /* else the stream ended: an empty file */
        return code;
    code = build(builder, parser, root);
    if (code == 0)
        code = expect_event(builder, parser, YAML_DOCUMENT_END_EVENT, &is_wanted);
    if (code == 0)
        code = expect_event(builder, parser, YAML_STREAM_END_EVENT, &is_wanted);
    return code;
}

int yaml_parse(const char *text, size_t size, const struct yaml_source *source, struct arena *arena,
               struct yaml_node **ret_root, struct error *err)
{
    if (size > YAML_SIZE_MAX)
        return error_set(err, ERR_CONFIG, "%s: larger than %zu bytes", source->name, YAML_SIZE_MAX);
    struct builder builder = {.arena = arena, .source = source, .err = err};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return fail_memory(&builder);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    struct yaml_node *root = add_node(&builder, NULL, NULL, NULL, 1);
    int code = root != NULL ? 0 : fail_memory(&builder);
    if (code == 0) {
        root->kind = YAML_MAP;
        code = parse_document(&builder, &parser, root);
    }
    yaml_parser_delete(&parser);
    buffer_fini(&builder.text);
    if (code == 0)
        *ret_root = root;
    return code;
}
