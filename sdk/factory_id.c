/* SPDX-License-Identifier: Apache-2.0 */
/* factory_id: see factory.h. */
#include <string.h>

#include "common/buffer.h"
#include "common/limits.h"
#include "common/utf8.h"
#include "common/uuid.h"
#include "sdk/factory.h"

/* A value of a template. Ids are shown in tables and logs and looked for by people. */
#define VALUE_SIZE_MAX 256

/* The member at the part's path, NULL when the input has none. */
static const json_t *find_member(const struct id_part *part, const json_t *input)
{
    for (size_t i = 0; i < part->path_count && input != NULL; i++)
        input = json_object_get(input, part->path[i]);
    return input;
}

/* What is wrong with a string as a part of an id, or NULL. */
static const char *string_problem(const char *text, size_t size)
{
    if (size == 0)
        return "is empty";
    if (size > VALUE_SIZE_MAX)
        return "is longer than 256 bytes";
    for (size_t at = 0; at < size;) {
        uint32_t point = 0;
        at += utf8_decode(text + at, size - at, &point); /* jansson lets only UTF-8 in */
        if (point < 0x20 || (point >= 0x7F && point < 0xA0))
            return "has a control character";
    }
    return NULL;
}

static int append_member(const struct id_template *template, const struct id_part *part,
                         const json_t *input, struct buffer *out, struct error *err)
{
    const json_t *member = find_member(part, input);
    char uuid[UUID_TEXT_SIZE];
    const char *problem = NULL;
    if (member == NULL && part->or_uuid) {
        uuid_create(uuid);
        buffer_append_text(out, uuid);
    } else if (member == NULL) {
        problem = "is missing";
    } else if (json_is_integer(member)) {
        buffer_printf(out, "%lld", (long long)json_integer_value(member));
    } else if (json_is_string(member)) {
        problem = string_problem(json_string_value(member), json_string_length(member));
        if (problem == NULL)
            buffer_append(out, json_string_value(member), json_string_length(member));
    } else {
        problem = "is neither a string nor an integer";
    }
    return problem == NULL ? 0
                           : error_set(err, ERR_INVALID, "$.%.128s: %s, but \"%.128s\" needs it",
                                       part->text, problem, template->source);
}

static int append_parts(const struct id_template *template, const json_t *input, struct buffer *out,
                        struct error *err)
{
    char uuid[UUID_TEXT_SIZE];
    int code = 0;
    for (size_t i = 0; i < template->part_count && code == 0; i++) {
        const struct id_part *part = &template->parts[i];
        switch (part->kind) {
        case ID_PART_TEXT:
            buffer_append_text(out, part->text);
            break;
        case ID_PART_UUID:
            uuid_create(uuid);
            buffer_append_text(out, uuid);
            break;
        case ID_PART_MEMBER:
            code = append_member(template, part, input, out, err);
            break;
        }
    }
    return code;
}

int factory_id(const struct id_template *template, const json_t *input, struct arena *arena,
               const char **ret_text, struct error *err)
{
    struct buffer out = {0};
    const char *text = NULL;
    int code = append_parts(template, input, &out, err);
    if (code == 0 && out.size > LIMIT_ID_LENGTH)
        code = error_set(err, ERR_INVALID, "\"%.128s\" comes out with %zu bytes, more than %d",
                         template->source, out.size, LIMIT_ID_LENGTH);
    if (code == 0 && (out.failed || (text = arena_strdup(arena, buffer_text(&out))) == NULL))
        code = error_set(err, ERR_MEMORY, "out of memory");
    buffer_fini(&out);
    if (code == 0)
        *ret_text = text;
    return code;
}
