/* SPDX-License-Identifier: Apache-2.0 */
/*
 * document_list: the files that a command line means: files, folders with all that can be read in
 * them, patterns.
 *
 * A document is called by its path as it was given ("docs/guide.md"), without "./" before it and
 * doubled slashes: the same command line means the same documents, and a file that was named twice
 * is one of them. A prefix tells apart what has the same path in different places. In folders,
 * hidden files and folders are passed over, symbolic links to folders are not followed, and files
 * that are neither text nor a type of document_text.h are skipped and counted. A file that is named
 * itself is always in the list; so is one that cannot be read, because its owner wants to know.
 *
 * Threading: none.
 */
#ifndef ARGOSY_CLI_DOCUMENT_LIST_H
#define ARGOSY_CLI_DOCUMENT_LIST_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"

#define DOCUMENT_LIST_MAX 1000000

struct document {
    const char *path;
    const char *id; /* the path, as it is remembered */
    uint64_t size;  /* bytes */
};

struct document_list {
    struct document *items; /* by id, each once; owned, as are the texts */
    size_t count;
    size_t skipped;
    const char *prefix; /* borrowed */
    struct arena arena;
};

/* prefix: before every id, not NULL. ERR_NOT_FOUND for a path or pattern that means nothing,
 * ERR_INVALID for an id that is too long, ERR_LIMIT, ERR_IO, ERR_MEMORY. document_list_fini frees.
 */
int document_list_read(const char *const *paths, size_t count, const char *prefix,
                       struct document_list *ret_list, struct error *err);

void document_list_fini(struct document_list *list);

/* The id of a path; in arena. NULL when memory is exhausted. */
const char *document_id_of(const char *prefix, const char *path, struct arena *arena);

#endif
