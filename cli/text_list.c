/* SPDX-License-Identifier: Apache-2.0 */
/* text_list: see text_list.h. */
#include "cli/text_list.h"

#include <string.h>

#include "cli/input.h"
#include "common/buffer.h"
#include "workflows/text.h"

static int list_add(struct text_list *list, const char *text, size_t size, struct error *err)
{
    char *copy = arena_strndup(&list->arena, text, size);
    if (copy == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (list->count == TEXT_LIST_MAX)
        return error_set(err, ERR_INVALID, "more than %d texts", TEXT_LIST_MAX);
    list->items[list->count++] = copy;
    return 0;
}

static int lines_add(struct text_list *list, const char *text, size_t size, const char *file,
                     struct error *err)
{
    size_t line = 1;
    for (size_t offset = 0; offset < size; line++) {
        const char *start = text + offset;
        const char *end = memchr(start, '\n', size - offset);
        size_t length = end != NULL ? (size_t)(end - start) : size - offset;
        offset += length + 1;
        struct text_measure measure;
        int code = text_measure(start, length, &measure, err);
        if (code == 0 && memchr(start, '\0', length) != NULL)
            code = error_set(err, ERR_INVALID, "text holds a NUL byte");
        if (code != 0) {
            error_prefix(err, "%s, line %zu", strcmp(file, "-") == 0 ? "standard input" : file,
                         line);
            return code;
        }
        if (measure.blank)
            continue;
        code = list_add(list, start, length, err);
        if (code != 0)
            return code;
    }
    return 0;
}

static int arguments_add(struct text_list *list, const char *const *arguments, size_t count,
                         struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct text_measure measure;
        int code = text_measure(arguments[i], strlen(arguments[i]), &measure, err);
        if (code != 0) {
            error_prefix(err, "argument %zu", i + 1);
            return code;
        }
        code = list_add(list, arguments[i], strlen(arguments[i]), err);
        if (code != 0)
            return code;
    }
    return 0;
}

int text_list_read(const char *file, const char *const *arguments, size_t argument_count,
                   struct text_list *ret_list, struct error *err)
{
    struct text_list list = {0};
    arena_init(&list.arena, ARENA_NO_LIMIT);
    list.items = arena_calloc(&list.arena, TEXT_LIST_MAX, sizeof(*list.items));
    int code = list.items != NULL ? 0 : error_set(err, ERR_MEMORY, "out of memory");
    if (code == 0 && file != NULL) {
        struct buffer content = {0};
        code = input_read_file(file, TEXT_LIST_SIZE_MAX, &content, err);
        if (code == 0)
            code = lines_add(&list, (const char *)content.data, content.size, file, err);
        buffer_fini(&content);
    } else if (code == 0) {
        code = arguments_add(&list, arguments, argument_count, err);
    }
    if (code != 0) {
        text_list_fini(&list);
        return code;
    }
    *ret_list = list;
    return 0;
}

void text_list_fini(struct text_list *list)
{
    arena_fini(&list->arena);
    *list = (struct text_list){0};
}
