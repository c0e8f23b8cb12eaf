/* SPDX-License-Identifier: Apache-2.0 */
/* yaml_print: the printing half of yaml_schema.h. */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/utf8.h"
#include "common/yaml_schema.h"

struct printer {
    struct buffer *out;
    bool hides_secrets;
    bool names_files;                 /* a tree's: where the file changes it is named */
    const struct yaml_source *source; /* of the line before */
};

static void print_map(struct printer *printer, const struct yaml_schema *schema, const void *object,
                      int indent, bool has_indent);

static void print_indent(int indent, struct buffer *out)
{
    buffer_printf(out, "%*s", indent, "");
}

/* Whether text stands for itself, and as a text, without quotes. Conservative: letters, digits and
 * what paths, addresses and names need. */
static bool is_plain(const char *text)
{
    if (!isalnum((unsigned char)text[0]) && text[0] != '/')
        return false;
    struct yaml_node node = {.kind = YAML_TEXT, .text = text};
    if (strcmp(text, "null") == 0 || yaml_scalar(&node) != YAML_SCALAR_TEXT)
        return false;
    for (const char *at = text; *at != '\0'; at++) {
        if (!isalnum((unsigned char)*at) && strchr("/._-:", *at) == NULL)
            return false;
    }
    return text[strlen(text) - 1] != ':';
}

/* A double-quoted scalar in ASCII. In a value a dollar sign doubles, or it would be substituted. */
static void print_quoted(const char *text, bool is_value, struct buffer *out)
{
    size_t size = strlen(text);
    buffer_append_byte(out, '"');
    for (size_t at = 0; at < size;) {
        uint32_t point;
        size_t length = utf8_decode(text + at, size - at, &point);
        ASSERT(length > 0); /* libyaml and substitution let nothing else in */
        at += length;
        if (point == '"' || point == '\\')
            buffer_printf(out, "\\%c", (int)point);
        else if (point == '$' && is_value)
            buffer_append_text(out, "$$");
        else if (point >= 0x20 && point < 0x7F)
            buffer_append_byte(out, (uint8_t)point);
        else if (point < 0x10000)
            buffer_printf(out, "\\u%04x", (unsigned)point);
        else
            buffer_printf(out, "\\U%08x", (unsigned)point);
    }
    buffer_append_byte(out, '"');
}

static void print_text(const char *text, struct buffer *out)
{
    if (is_plain(text))
        buffer_append_text(out, text);
    else
        print_quoted(text, true, out);
}

/* The shortest decimal that reads back as the same double. */
static void print_number(double value, struct buffer *out)
{
    char text[32];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    buffer_append_text(out, text);
}

static void print_texts(const char *const *texts, size_t count, int indent, struct buffer *out)
{
    if (count == 0)
        buffer_append_text(out, " []");
    for (size_t i = 0; i < count; i++) {
        buffer_append_byte(out, '\n');
        print_indent(indent, out);
        buffer_append_text(out, "- ");
        print_text(texts[i], out);
    }
    buffer_append_byte(out, '\n');
}

/* In flow style: what JSON looks like. */
static void print_tree(const struct yaml_node *node, struct buffer *out)
{
    if (node->kind == YAML_TEXT) {
        if (node->is_null)
            buffer_append_text(out, "null");
        else if (yaml_scalar(node) == YAML_SCALAR_TEXT)
            print_quoted(node->text, true, out);
        else
            buffer_append_text(out, node->text);
        return;
    }
    buffer_append_byte(out, node->kind == YAML_MAP ? '{' : '[');
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        if (child->key != NULL) {
            print_quoted(child->key, false, out);
            buffer_append_text(out, ": ");
        }
        print_tree(child, out);
        if (child->next != NULL)
            buffer_append_text(out, ", ");
    }
    buffer_append_byte(out, node->kind == YAML_MAP ? '}' : ']');
}

void yaml_print_value(const struct yaml_field *field, const void *object, struct buffer *out)
{
    const void *value = (const char *)object + field->offset;
    switch (field->type) {
    case YAML_TYPE_TEXT:
    case YAML_TYPE_PATH:
        print_text(*(const char *const *)value, out);
        return;
    case YAML_TYPE_TEXTS:
    case YAML_TYPE_PATHS: {
        const char *const *texts = *(const char *const *const *)value;
        size_t count = *(const size_t *)(const void *)((const char *)object + field->count_offset);
        buffer_append_byte(out, '[');
        for (size_t i = 0; i < count; i++) {
            buffer_append_text(out, i > 0 ? ", " : "");
            print_text(texts[i], out);
        }
        buffer_append_byte(out, ']');
        return;
    }
    case YAML_TYPE_INT:
        buffer_printf(out, "%d", *(const int *)value);
        return;
    case YAML_TYPE_NUMBER:
        print_number(*(const double *)value, out);
        return;
    case YAML_TYPE_BOOL:
        buffer_append_text(out, *(const bool *)value ? "true" : "false");
        return;
    case YAML_TYPE_CHOICE:
        buffer_append_text(out, field->words[*(const int *)value]);
        return;
    case YAML_TYPE_TREE:
        print_tree(*(const struct yaml_node *const *)value, out);
        return;
    case YAML_TYPE_MAP:
    case YAML_TYPE_LIST:
    case YAML_TYPE_SPENT:
        break; /* not one line, or none */
    }
    UNREACHABLE();
}

static void print_list(struct printer *printer, const struct yaml_schema *schema,
                       const char *elements, size_t count, int indent)
{
    buffer_append_text(printer->out, count == 0 ? " []\n" : "\n");
    for (size_t i = 0; i < count; i++) {
        print_indent(indent, printer->out);
        buffer_append_text(printer->out, "- ");
        print_map(printer, schema, elements + i * schema->size, indent + 2, true);
    }
}

static void print_field(struct printer *printer, const struct yaml_field *field, const void *object,
                        int indent)
{
    const void *value = (const char *)object + field->offset;
    const size_t *count = (const void *)((const char *)object + field->count_offset);
    switch (field->type) {
    case YAML_TYPE_TEXTS:
    case YAML_TYPE_PATHS:
        print_texts(*(const char *const *const *)value, *count, indent + 2, printer->out);
        return;
    case YAML_TYPE_LIST:
        print_list(printer, field->schema, *(const char *const *)value, *count, indent + 2);
        return;
    case YAML_TYPE_MAP:
        buffer_append_byte(printer->out, '\n');
        print_map(printer, field->schema, value, indent + 2, false);
        return;
    default:
        buffer_append_byte(printer->out, ' ');
        if (printer->hides_secrets && field->is_secret)
            buffer_append_text(printer->out, "(hidden)");
        else
            yaml_print_value(field, object, printer->out);
        buffer_append_byte(printer->out, '\n');
    }
}

bool yaml_is_absent(const struct yaml_field *field, const void *object)
{
    const void *value = (const char *)object + field->offset;
    if (field->type == YAML_TYPE_SPENT || (field->excuse != NULL && field->excuse(object) != NULL))
        return true;
    if (field->type == YAML_TYPE_TREE)
        return *(const struct yaml_node *const *)value == NULL;
    return (field->type == YAML_TYPE_TEXT || field->type == YAML_TYPE_PATH) &&
           *(const char *const *)value == NULL;
}

/* has_indent: the first line's indent was already written, as for the first key behind "- ". */
static void print_map(struct printer *printer, const struct yaml_schema *schema, const void *object,
                      int indent, bool has_indent)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct yaml_field *field = &schema->fields[i];
        if (yaml_is_absent(field, object))
            continue;
        if (!has_indent)
            print_indent(indent, printer->out);
        has_indent = false;
        buffer_printf(printer->out, "%s:", field->key);
        print_field(printer, field, object, indent);
    }
}

void yaml_print(const struct yaml_schema *schema, const void *object, bool hides_secrets,
                struct buffer *out)
{
    struct printer printer = {.out = out, .hides_secrets = hides_secrets};
    print_map(&printer, schema, object, 0, false);
}

/* Trees as written */

static void print_written(struct printer *printer, const struct yaml_node *node, int indent,
                          bool has_indent);

static void print_origin(struct printer *printer, const struct yaml_node *node, int indent)
{
    if (!printer->names_files || node->source == printer->source)
        return;
    print_indent(indent, printer->out);
    buffer_printf(printer->out, "# %s\n", node->source->name);
    printer->source = node->source;
}

/* A plain text that was folded may have line breaks in it, of ASCII or Unicode. */
static bool is_one_line(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20)
            return false;
    }
    return strstr(text, "\xc2\x85") == NULL && strstr(text, "\xe2\x80\xa8") == NULL &&
           strstr(text, "\xe2\x80\xa9") == NULL;
}

/* What was plain stays plain: what is plain in any context is so behind a key. */
static void print_written_text(struct printer *printer, const struct yaml_node *node)
{
    if (node->is_null)
        buffer_append_text(printer->out, "null");
    else if (node->is_quoted || !is_one_line(node->written))
        print_quoted(node->written, false, printer->out);
    else
        buffer_append_text(printer->out, node->written);
    buffer_append_byte(printer->out, '\n');
}

static void print_key(const char *key, struct buffer *out)
{
    if (is_plain(key))
        buffer_append_text(out, key);
    else
        print_quoted(key, false, out);
    buffer_append_byte(out, ':');
}

/* Behind "key:". */
static void print_written_value(struct printer *printer, const struct yaml_node *node, int indent)
{
    if (node->kind != YAML_TEXT && node->first != NULL) {
        buffer_append_byte(printer->out, '\n');
        print_written(printer, node, indent + 2, false);
        return;
    }
    buffer_append_byte(printer->out, ' ');
    if (node->kind == YAML_TEXT)
        print_written_text(printer, node);
    else
        buffer_append_text(printer->out, node->kind == YAML_MAP ? "{}\n" : "[]\n");
}

/* A map or list that is not empty. */
static void print_written(struct printer *printer, const struct yaml_node *node, int indent,
                          bool has_indent)
{
    for (const struct yaml_node *child = node->first; child != NULL; child = child->next) {
        bool is_block = child->kind != YAML_TEXT && child->first != NULL;
        if (!has_indent) {
            print_origin(printer, node->kind == YAML_LIST && is_block ? child->first : child,
                         indent);
            print_indent(indent, printer->out);
        }
        has_indent = false;
        if (node->kind == YAML_MAP)
            print_key(child->key, printer->out);
        else
            buffer_append_byte(printer->out, '-');
        if (node->kind == YAML_LIST && is_block) {
            buffer_append_byte(printer->out, ' ');
            print_written(printer, child, indent + 2, true);
        } else {
            print_written_value(printer, child, indent);
        }
    }
}

void yaml_print_tree(const struct yaml_node *map, bool names_files, struct buffer *out)
{
    struct printer printer = {.out = out, .names_files = names_files};
    if (map->first != NULL)
        print_written(&printer, map, 0, false);
}
