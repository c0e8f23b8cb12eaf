/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fleet_include: a configuration of several files as one tree. For fleet_config.c.
 *
 * `include: [FILE...]` at the top level of a file names others, relative to its own folder. Of a
 * folder all files *.yaml and *.yml are meant that do not begin with a dot, by name. They are laid
 * over each other in their order, and the file itself over them (yaml_merge): what stands nearer to
 * the file that the user named wins. Each file is checked for unknown keys by itself. A file must
 * not include itself; depth, number and size of the files are bounded.
 *
 * Threading: no state. Everything lives in the arena given.
 */
#ifndef ARGOSY_COMMON_FLEET_INCLUDE_H
#define ARGOSY_COMMON_FLEET_INCLUDE_H

#include <stddef.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/yaml_schema.h"

#define FLEET_INCLUDE_DEPTH_MAX 8
#define FLEET_INCLUDE_FILE_MAX  64
#define FLEET_INCLUDE_SIZE_MAX  YAML_SIZE_MAX /* of all files together */

/* Where files come from. */
struct fleet_reader {
    /* Appends what the file holds, at most YAML_SIZE_MAX + 1 bytes, and sets ret_path to its
     * absolute path without links. ERR_NOT_FOUND, ERR_CONFIG, ERR_MEMORY. */
    int (*read)(const struct fleet_reader *reader, const char *path, struct arena *arena,
                const char **ret_path, struct buffer *text, struct error *err);
    /* The names in a folder, sorted. ERR_NOT_FOUND where path is none. */
    int (*list)(const struct fleet_reader *reader, const char *path, struct arena *arena,
                const char *const **ret_names, size_t *ret_count, struct error *err);
};

/* The file system; regular files alone, so that reading does not wait. */
extern const struct fleet_reader fleet_reader_files;

struct fleet_tree {
    struct yaml_node *root;   /* a map, without the key include */
    const char *const *files; /* as they were named; the first is the one asked for */
    size_t file_count;
};

/* Reads a file and what it includes. problems: as in yaml_check. ERR_NOT_FOUND when there is
 * no such file; ERR_CONFIG. */
int fleet_include_read(const struct fleet_reader *reader, const char *path, struct arena *arena,
                       struct fleet_tree *ret_tree, struct yaml_problems *problems,
                       struct error *err);

#endif
