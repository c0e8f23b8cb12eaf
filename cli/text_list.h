/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_list: the texts a command works on: its arguments, the lines of a file or of standard input.
 *
 * Blank lines of a file are skipped; a blank argument is kept, since somebody wrote it. Everything
 * is UTF-8 without NUL. Threading: none.
 */
#ifndef ARGOSY_CLI_TEXT_LIST_H
#define ARGOSY_CLI_TEXT_LIST_H

#include <stddef.h>

#include "common/arena.h"
#include "common/error.h"

#define TEXT_LIST_MAX      2000
#define TEXT_LIST_SIZE_MAX ((size_t)64 << 20)

struct text_list {
    const char **items; /* owned, as are the texts */
    size_t count;
    struct arena arena;
};

/* file ("-": standard input) when not NULL, else the arguments. ERR_INVALID for more than
 * TEXT_LIST_MAX texts or bytes that are not UTF-8 (with the line), ERR_NOT_FOUND, ERR_IO.
 * text_list_fini frees. */
int text_list_read(const char *file, const char *const *arguments, size_t argument_count,
                   struct text_list *ret_list, struct error *err);
void text_list_fini(struct text_list *list);

#endif
