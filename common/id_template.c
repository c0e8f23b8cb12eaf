/* SPDX-License-Identifier: Apache-2.0 */
/* id_template: see id_template.h. */
#include "common/id_template.h"

#include <string.h>

#define TEMPLATE_SIZE_MAX 256

static const char *const out_of_memory = "takes more memory than there is";

/* Splits "a.b" into names. NULL or what is wrong. */
static const char *parse_path(char *text, struct arena *arena, struct id_part *part)
{
    size_t count = 1;
    for (const char *at = text; *at != '\0'; at++)
        count += *at == '.';
    if (count > ID_TEMPLATE_PARTS_MAX)
        return "has a path that is too long";
    const char **names = arena_calloc(arena, count, sizeof *names);
    if (names == NULL)
        return out_of_memory;
    for (size_t i = 0; i < count; i++) {
        char *end = strchr(text, '.');
        if (end != NULL)
            *end = '\0';
        if (text[0] == '\0')
            return "has a place with an empty name";
        names[i] = text;
        text = end != NULL ? end + 1 : text;
    }
    part->path = names;
    part->path_count = count;
    return NULL;
}

/* What stands between two braces. */
static const char *parse_place(const char *text, size_t length, struct arena *arena,
                               struct id_part *part)
{
    char *inside = arena_strndup(arena, text, length);
    if (inside == NULL)
        return out_of_memory;
    if (strcmp(inside, "uuid") == 0) {
        part->kind = ID_PART_UUID;
        return NULL;
    }
    part->kind = ID_PART_MEMBER;
    char *bar = strchr(inside, '|');
    if (bar != NULL) {
        if (strcmp(bar, "|uuid") != 0)
            return "may have nothing but |uuid behind a name";
        part->or_uuid = true;
        *bar = '\0';
    }
    part->text = arena_strdup(arena, inside);
    return part->text != NULL ? parse_path(inside, arena, part) : out_of_memory;
}

/* One part from *at, which moves behind it. */
static const char *parse_part(const char **at, struct arena *arena, struct id_part *part)
{
    size_t length = strcspn(*at, "{}");
    if (length > 0) {
        part->kind = ID_PART_TEXT;
        part->text = arena_strndup(arena, *at, length);
        *at += length;
        return part->text != NULL ? NULL : out_of_memory;
    }
    const char *inside = *at + 1;
    length = strcspn(inside, "{}");
    if (**at == '}' || inside[length] != '}')
        return "has a brace without its other half";
    *at = inside + length + 1;
    return parse_place(inside, length, arena, part);
}

const char *id_template_parse(const char *text, struct arena *arena,
                              const struct id_template **ret_template)
{
    if (strlen(text) > TEMPLATE_SIZE_MAX)
        return "is longer than 256 bytes";
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7F)
            return "has a control character";
    }
    struct id_template *template = arena_calloc(arena, 1, sizeof *template);
    if (template == NULL || (template->source = arena_strdup(arena, text)) == NULL)
        return out_of_memory;
    while (*text != '\0') {
        if (template->part_count == ID_TEMPLATE_PARTS_MAX)
            return "has more than 16 parts";
        const char *problem = parse_part(&text, arena, &template->parts[template->part_count++]);
        if (problem != NULL)
            return problem;
    }
    *ret_template = template;
    return NULL;
}

static bool is_sure(const struct id_part *part, const struct input_schema *schema)
{
    for (size_t i = 0; i < part->path_count; i++) {
        const struct input_property *property = input_schema_property(schema, part->path[i]);
        if (property == NULL || (!property->is_required && !part->or_uuid))
            return false;
        schema = property->schema;
    }
    unsigned good = INPUT_STRING | INPUT_INTEGER;
    return schema->types != 0 && (schema->types & ~good) == 0;
}

const char *id_template_unsure(const struct id_template *template,
                               const struct input_schema *schema)
{
    for (size_t i = 0; i < template->part_count; i++) {
        const struct id_part *part = &template->parts[i];
        if (part->kind == ID_PART_MEMBER && !is_sure(part, schema))
            return part->text;
    }
    return NULL;
}
