/* SPDX-License-Identifier: Apache-2.0 */
/*
 * section_list: which heading a place of a document stands under. Headings and places both come in
 * the order of the text, headings ahead of the places behind them.
 *
 * Threading: one thread at a time.
 */
#ifndef ARGOSY_WORKFLOWS_SECTION_LIST_H
#define ARGOSY_WORKFLOWS_SECTION_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

/* Bytes of a title that are kept. */
#define SECTION_TITLE_MAX 200

struct section {
    uint64_t offset;
    char title[SECTION_TITLE_MAX + 1];
};

/* Zero-initialised is empty. */
struct section_list {
    struct section *items; /* owned: the current one and those ahead */
    size_t count, capacity;
};

void section_list_fini(struct section_list *list);

/* The heading that begins at offset; white space in it becomes single spaces. ERR_MEMORY. */
int section_list_add(struct section_list *list, uint64_t offset, const char *title, size_t size,
                     struct error *err);

/* The title of the section in which offset lies, NULL for none; until the next call. */
const char *section_list_find(struct section_list *list, uint64_t offset);

#endif
