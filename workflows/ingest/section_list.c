/* SPDX-License-Identifier: Apache-2.0 */
/* section_list: see section_list.h. */
#include "workflows/ingest/section_list.h"

#include <stdlib.h>
#include <string.h>

void section_list_fini(struct section_list *list)
{
    free(list->items);
    *list = (struct section_list){0};
}

/* Copies what fits of title, cut between characters. */
static void title_copy(char ret_title[SECTION_TITLE_MAX + 1], const char *title, size_t size)
{
    size_t length = 0;
    for (size_t i = 0; i < size && length < SECTION_TITLE_MAX; i++) {
        char c = strchr(" \t\r\n\f\v", title[i]) != NULL ? ' ' : title[i];
        if (c != ' ' || (length > 0 && ret_title[length - 1] != ' '))
            ret_title[length++] = c;
    }
    if (length == SECTION_TITLE_MAX) /* it may end inside a character, which begins here */
        while (length > 0 && ((uint8_t)ret_title[--length] & 0xc0) == 0x80)
            ;
    ret_title[length] = '\0';
}

int section_list_add(struct section_list *list, uint64_t offset, const char *title, size_t size,
                     struct error *err)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 16 : list->capacity * 2;
        struct section *items = realloc(list->items, capacity * sizeof *items);
        if (items == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
        list->items = items;
        list->capacity = capacity;
    }
    struct section *section = &list->items[list->count++];
    section->offset = offset;
    title_copy(section->title, title, size);
    return 0;
}

const char *section_list_find(struct section_list *list, uint64_t offset)
{
    size_t passed = 0;
    while (passed + 1 < list->count && list->items[passed + 1].offset <= offset)
        passed++;
    if (passed > 0) {
        list->count -= passed;
        memmove(list->items, list->items + passed, list->count * sizeof *list->items);
    }
    return list->count > 0 && list->items[0].offset <= offset ? list->items[0].title : NULL;
}
