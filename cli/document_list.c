/* SPDX-License-Identifier: Apache-2.0 */
/* document_list: see document_list.h. */
#include "cli/document_list.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/vectors.h"
#include "workflows/ingest/document_text.h"

#define LIST_BYTES_MAX ((size_t)1 << 30)

const char *document_id_of(const char *prefix, const char *path, struct arena *arena)
{
    size_t length = strlen(prefix);
    char *id = arena_alloc(arena, length + strlen(path) + 1);
    if (id == NULL)
        return NULL;
    memcpy(id, prefix, length);
    while (path[0] == '.' && path[1] == '/')
        for (path += 2; *path == '/'; path++)
            ;
    for (; *path != '\0'; path++)
        if (*path != '/' || length == 0 || id[length - 1] != '/')
            id[length++] = *path;
    id[length] = '\0';
    return id;
}

static int document_add(struct document_list *list, const char *path, uint64_t size,
                        struct error *err)
{
    if (list->count == DOCUMENT_LIST_MAX)
        return error_set(err, ERR_LIMIT, "more than %d documents in one command",
                         DOCUMENT_LIST_MAX);
    if ((list->count & (list->count - 1)) == 0) { /* room for the next power of two */
        size_t room = list->count == 0 ? 1 : list->count * 2;
        struct document *items = realloc(list->items, room * sizeof *items);
        if (items == NULL)
            return error_set(err, ERR_MEMORY, "out of memory");
        list->items = items;
    }
    struct document *document = &list->items[list->count];
    *document = (struct document){
        .path = arena_strdup(&list->arena, path),
        .id = document_id_of(list->prefix, path, &list->arena),
        .size = size,
    };
    if (document->path == NULL || document->id == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    if (strlen(document->id) > VECTOR_NAME_MAX)
        return error_set(err, ERR_INVALID, "%s: a document's id has at most %d bytes", path,
                         VECTOR_NAME_MAX);
    list->count++;
    return 0;
}

/* Whether a file that was not named itself is to be passed over. */
static bool is_no_document(const char *path)
{
    char head[DOCUMENT_HEAD_SIZE];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, head, sizeof head) : -1;
    if (fd >= 0)
        close(fd);
    enum document_type type;
    return size >= 0 && document_type_find(NULL, path, head, (size_t)size, &type, NULL) != 0;
}

/* One entry of a folder's tree. */
static int entry_add(struct document_list *list, FTS *tree, FTSENT *entry, struct error *err)
{
    bool is_hidden = entry->fts_level > FTS_ROOTLEVEL && entry->fts_name[0] == '.';
    struct stat st;
    switch (entry->fts_info) {
    case FTS_D:
        if (is_hidden)
            fts_set(tree, entry, FTS_SKIP);
        return 0;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        return error_set_errno(err, ERR_IO, entry->fts_errno, "could not read %s", entry->fts_path);
    case FTS_F:
    case FTS_SL: /* a link to a file counts as the file */
        if (is_hidden || stat(entry->fts_accpath, &st) != 0 || !S_ISREG(st.st_mode))
            return 0;
        if (!is_no_document(entry->fts_accpath))
            return document_add(list, entry->fts_path, (uint64_t)st.st_size, err);
        list->skipped++;
        return 0;
    default:
        return 0;
    }
}

static int folder_add(struct document_list *list, const char *path, struct error *err)
{
    char *root = strdup(path);
    if (root == NULL)
        return error_set(err, ERR_MEMORY, "out of memory");
    char *const roots[] = {root, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_COMFOLLOW, NULL);
    int code = 0;
    if (tree == NULL)
        code = error_set_errno(err, ERR_IO, errno, "could not read %s", path);
    FTSENT *entry;
    while (code == 0 && (entry = fts_read(tree)) != NULL)
        code = entry_add(list, tree, entry, err);
    if (tree != NULL)
        fts_close(tree);
    free(root);
    return code;
}

static int path_add(struct document_list *list, const char *path, struct error *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
                               "could not read %s", path);
    if (S_ISDIR(st.st_mode))
        return folder_add(list, path, err);
    if (!S_ISREG(st.st_mode))
        return error_set(err, ERR_INVALID, "%s is neither a file nor a folder", path);
    return document_add(list, path, (uint64_t)st.st_size, err);
}

/* A path that is there, else a pattern that the shell has not opened. */
static int argument_add(struct document_list *list, const char *argument, struct error *err)
{
    struct stat st;
    if (stat(argument, &st) == 0 || strpbrk(argument, "*?[") == NULL)
        return path_add(list, argument, err);
    glob_t found;
    int failed = glob(argument, 0, NULL, &found);
    if (failed == GLOB_NOMATCH)
        return error_set(err, ERR_NOT_FOUND, "no file matches %s", argument);
    if (failed != 0)
        return error_set(err, ERR_IO, "could not look for files that match %s", argument);
    int code = 0;
    for (size_t i = 0; code == 0 && i < found.gl_pathc; i++)
        code = path_add(list, found.gl_pathv[i], err);
    globfree(&found);
    return code;
}

static int document_compare(const void *a, const void *b)
{
    return strcmp(((const struct document *)a)->id, ((const struct document *)b)->id);
}

static void duplicates_drop(struct document_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++)
        if (kept == 0 || strcmp(list->items[kept - 1].id, list->items[i].id) != 0)
            list->items[kept++] = list->items[i];
    list->count = kept;
}

int document_list_read(const char *const *paths, size_t count, const char *prefix,
                       struct document_list *ret_list, struct error *err)
{
    struct document_list list = {.prefix = prefix};
    arena_init(&list.arena, LIST_BYTES_MAX);
    int code = 0;
    for (size_t i = 0; code == 0 && i < count; i++)
        code = argument_add(&list, paths[i], err);
    if (code != 0) {
        document_list_fini(&list);
        return code;
    }
    if (list.count > 0)
        qsort(list.items, list.count, sizeof list.items[0], document_compare);
    duplicates_drop(&list);
    *ret_list = list;
    return 0;
}

void document_list_fini(struct document_list *list)
{
    free(list->items);
    arena_fini(&list->arena);
    *list = (struct document_list){0};
}
