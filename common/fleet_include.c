/* SPDX-License-Identifier: Apache-2.0 */
/* fleet_include: see fleet_include.h. */
#include "common/fleet_include.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/fleet_schema.h"

/* A file that is being read, and the one that includes it. */
struct frame {
    const struct frame *parent;    /* NULL for the first */
    const struct yaml_node *entry; /* where the parent names it */
    const char *path;              /* without links */
    const char *name;              /* in messages */
    int depth;
};

struct includer {
    const struct fleet_reader *reader;
    struct arena *arena;
    struct yaml_problems *problems;
    struct error *err;
    const char *files[FLEET_INCLUDE_FILE_MAX];
    size_t file_count;
    size_t size; /* of all files so far */
};

static int read_tree(struct includer *includer, const char *path, struct frame *frame,
                     struct yaml_node **ret_root);

static int fail_memory(struct includer *includer)
{
    return error_set(includer->err, ERR_MEMORY, "configuration: out of memory");
}

/* One file */

/* The reader's reason, with the place that names the file where there is one. */
static int fail_read(struct includer *includer, const struct frame *frame, int code,
                     const struct error *reason)
{
    if (frame->entry == NULL || code == ERR_MEMORY)
        return error_set(includer->err, code, "%s", reason->text);
    return yaml_fail(frame->entry, includer->err, "%s", reason->text);
}

static int check_bounds(struct includer *includer, const struct frame *frame)
{
    const struct yaml_node *entry = frame->entry;
    if (entry == NULL) /* the first file; the parser knows how large one may be */
        return 0;
    for (const struct frame *at = frame->parent; at != NULL; at = at->parent) {
        if (strcmp(at->path, frame->path) == 0)
            return yaml_fail(entry, includer->err, "%s includes itself", frame->name);
    }
    if (frame->depth > FLEET_INCLUDE_DEPTH_MAX)
        return yaml_fail(entry, includer->err, "included more than %d files deep",
                         FLEET_INCLUDE_DEPTH_MAX);
    if (includer->size > FLEET_INCLUDE_SIZE_MAX)
        return yaml_fail(entry, includer->err, "all files together are larger than %zu bytes",
                         FLEET_INCLUDE_SIZE_MAX);
    return 0;
}

static int parse(struct includer *includer, const struct frame *frame, struct buffer *text,
                 struct yaml_node **ret_root)
{
    const char *slash = strrchr(frame->path, '/');
    struct yaml_source *source = arena_calloc(includer->arena, 1, sizeof *source);
    if (source == NULL)
        return fail_memory(includer);
    source->name = frame->name;
    source->folder =
        slash == NULL || slash == frame->path
            ? arena_strdup(includer->arena, slash != NULL ? "/" : ".")
            : arena_strndup(includer->arena, frame->path, (size_t)(slash - frame->path));
    if (source->folder == NULL)
        return fail_memory(includer);
    int code =
        yaml_parse(buffer_text(text), text->size, source, includer->arena, ret_root, includer->err);
    struct yaml_node *root = *ret_root;
    if (code == 0 && root->is_null)
        root->kind = YAML_MAP;
    return code;
}

static int read_file(struct includer *includer, const char *path, struct frame *frame,
                     struct yaml_node **ret_root)
{
    if (includer->file_count == FLEET_INCLUDE_FILE_MAX)
        return yaml_fail(frame->entry, includer->err, "more than %d files", FLEET_INCLUDE_FILE_MAX);
    struct buffer text = {0};
    struct error reason = {0};
    int code = includer->reader->read(includer->reader, path, includer->arena, &frame->path, &text,
                                      &reason);
    if (code != 0) {
        code = fail_read(includer, frame, code, &reason);
    } else {
        includer->files[includer->file_count++] = frame->name;
        includer->size += text.size;
        code = check_bounds(includer, frame);
    }
    if (code == 0)
        code = parse(includer, frame, &text, ret_root);
    buffer_fini(&text);
    return code;
}

/* What it includes */

/* A name beside the file that has the name of the frame. */
static const char *name_beside(struct includer *includer, const struct frame *frame,
                               const char *name)
{
    const char *slash = strrchr(frame->name, '/');
    if (name[0] == '/' || slash == NULL)
        return name;
    return arena_printf(includer->arena, "%.*s/%s", (int)(slash - frame->name), frame->name, name);
}

/* Reads the file at path and lays it over *root, NULL at first. */
static int include_file(struct includer *includer, const struct frame *parent,
                        const struct yaml_node *entry, const char *path, const char *name,
                        struct yaml_node **root)
{
    if (path == NULL || name == NULL)
        return fail_memory(includer);
    struct frame frame = {
        .parent = parent, .entry = entry, .name = name, .depth = parent->depth + 1};
    struct yaml_node *included;
    int code = read_tree(includer, path, &frame, &included);
    if (code == 0)
        *root = *root == NULL ? included : yaml_merge(&fleet_schema, *root, included);
    return code;
}

static bool is_config_name(const char *name)
{
    const char *dot = strrchr(name, '.');
    return name[0] != '.' && dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

/* A file, or the files of a folder. */
static int include_entry(struct includer *includer, const struct frame *parent,
                         const struct yaml_node *entry, const char *path, struct yaml_node **root)
{
    const char *name = name_beside(includer, parent, entry->text);
    const char *const *names;
    size_t count;
    struct error reason = {0};
    int code =
        includer->reader->list(includer->reader, path, includer->arena, &names, &count, &reason);
    if (code == ERR_NOT_FOUND)
        return include_file(includer, parent, entry, path, name, root);
    if (code != 0)
        return yaml_fail(entry, includer->err, "%s", reason.text);
    for (size_t i = 0; i < count && code == 0; i++) {
        if (is_config_name(names[i]))
            code = include_file(includer, parent, entry,
                                arena_printf(includer->arena, "%s/%s", path, names[i]),
                                arena_printf(includer->arena, "%s/%s", name, names[i]), root);
    }
    return code;
}

struct includes {
    const char *const *paths;
    size_t count;
};

static const struct yaml_field include_fields[] = {
    {"include", YAML_TYPE_PATHS, .offset = offsetof(struct includes, paths),
     .count_offset = offsetof(struct includes, count)},
};
static const struct yaml_schema include_schema = {include_fields, 1, sizeof(struct includes), NULL};

/* Takes the key include out of a file's map. */
static const struct yaml_node *take_includes(struct yaml_node *root)
{
    const struct yaml_node *list = yaml_get(root, "include");
    for (struct yaml_node **at = &root->first; *at != NULL; at = &(*at)->next) {
        if (*at == list) {
            *at = list->next;
            break;
        }
    }
    return list;
}

static int read_tree(struct includer *includer, const char *path, struct frame *frame,
                     struct yaml_node **ret_root)
{
    struct yaml_node *root;
    int code = read_file(includer, path, frame, &root);
    if (code == 0)
        code = yaml_check(&fleet_schema, root, includer->problems, includer->err);
    struct includes includes = {0};
    if (code == 0)
        code = yaml_bind(&include_schema, root, includer->arena, &includes, NULL, includer->err);
    if (code != 0)
        return code;
    const struct yaml_node *list = take_includes(root);
    const struct yaml_node *entry = list != NULL ? list->first : NULL;
    struct yaml_node *base = NULL;
    for (size_t i = 0; i < includes.count && code == 0; i++, entry = entry->next)
        code = include_entry(includer, frame, entry, includes.paths[i], &base);
    if (code == 0)
        *ret_root = base == NULL ? root : yaml_merge(&fleet_schema, base, root);
    return code;
}

int fleet_include_read(const struct fleet_reader *reader, const char *path, struct arena *arena,
                       struct fleet_tree *ret_tree, struct yaml_problems *problems,
                       struct error *err)
{
    struct includer includer = {.reader = reader, .arena = arena, .problems = problems, .err = err};
    struct frame frame = {.name = arena_strdup(arena, path)};
    struct yaml_node *root;
    if (frame.name == NULL)
        return fail_memory(&includer);
    int code = read_tree(&includer, path, &frame, &root);
    if (code != 0)
        return code;
    const char *const *files =
        arena_memdup(arena, includer.files, includer.file_count * sizeof *files);
    if (files == NULL)
        return fail_memory(&includer);
    *ret_tree =
        (struct fleet_tree){.root = root, .files = files, .file_count = includer.file_count};
    return 0;
}

/* The file system */

/* Opens a regular file: a pipe may wait for a writer for ever, and who reads a configuration again
 * is a supervisor that has others to watch. */
static int open_file(const char *path, FILE **ret_file, struct error *err)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_CONFIG, errno,
                               "cannot read %s", path);
    int code = 0;
    FILE *file = NULL;
    if (fstat(fd, &status) != 0)
        code = error_set_errno(err, ERR_CONFIG, errno, "cannot read %s", path);
    else if (!S_ISREG(status.st_mode))
        code = error_set(err, ERR_CONFIG, "cannot read %s: not a regular file", path);
    else if ((file = fdopen(fd, "r")) == NULL)
        code = error_set_errno(err, ERR_MEMORY, errno, "cannot read %s", path);
    if (code != 0)
        close(fd);
    else
        *ret_file = file;
    return code;
}

static int read_from_disk(const struct fleet_reader *reader, const char *path, struct arena *arena,
                          const char **ret_path, struct buffer *text, struct error *err)
{
    (void)reader;
    FILE *file;
    int code = open_file(path, &file, err);
    if (code != 0)
        return code;
    /* One byte over the limit is enough to be refused by the parser. */
    uint8_t *room = buffer_reserve(text, YAML_SIZE_MAX + 1);
    if (room != NULL)
        text->size = fread(room, 1, YAML_SIZE_MAX + 1, file);
    char resolved[PATH_MAX];
    if (room == NULL)
        code = error_set(err, ERR_MEMORY, "%s: out of memory", path);
    else if (ferror(file) || realpath(path, resolved) == NULL)
        code = error_set_errno(err, ERR_CONFIG, errno, "cannot read %s", path);
    else if ((*ret_path = arena_strdup(arena, resolved)) == NULL)
        code = error_set(err, ERR_MEMORY, "%s: out of memory", path);
    fclose(file);
    return code;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int list_from_disk(const struct fleet_reader *reader, const char *path, struct arena *arena,
                          const char *const **ret_names, size_t *ret_count, struct error *err)
{
    (void)reader;
    struct dirent **entries;
    int count = scandir(path, &entries, NULL, compare_names);
    if (count < 0)
        return error_set_errno(err,
                               errno == ENOTDIR || errno == ENOENT ? ERR_NOT_FOUND : ERR_CONFIG,
                               errno, "cannot read %s", path);
    const char **names = arena_calloc(arena, (size_t)count, sizeof *names);
    bool is_whole = names != NULL;
    for (int i = 0; i < count; i++) {
        is_whole = is_whole && (names[i] = arena_strdup(arena, entries[i]->d_name)) != NULL;
        free(entries[i]);
    }
    free(entries);
    if (!is_whole)
        return error_set(err, ERR_MEMORY, "%s: out of memory", path);
    *ret_names = names;
    *ret_count = (size_t)count;
    return 0;
}

const struct fleet_reader fleet_reader_files = {read_from_disk, list_from_disk};
