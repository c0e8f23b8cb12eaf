/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_tree: a YAML text as a tree that remembers where each value stood.
 *
 * One document of maps, lists and texts. Not accepted, because a configuration does not need them
 * and hostile files do: anchors and aliases, tags, keys that are not texts, a key twice in one map.
 * Depth, nodes and size are bounded.
 *
 * In values (not in keys) `${NAME}` is the environment variable NAME, which must be set,
 * `${NAME:-text}` falls back to text when it is unset or empty, and `$$` is a dollar sign. It is
 * replaced after parsing: what a variable holds cannot change the document's structure.
 *
 * Threading: reads the environment while parsing; a tree is constant afterwards. Nodes live in the
 * arena given.
 */
#ifndef ARGOSY_COMMON_YAML_TREE_H
#define ARGOSY_COMMON_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/error.h"

#define YAML_SIZE_MAX  ((size_t)256 * 1024) /* fifty times a large fleet's file */
#define YAML_NODE_MAX  16384
#define YAML_DEPTH_MAX 32 /* an input schema of a dozen levels, each of which takes two */

enum yaml_kind { YAML_TEXT, YAML_LIST, YAML_MAP };

/* A file, shared by all nodes that stand in it. */
struct yaml_source {
    const char *name;   /* in errors */
    const char *folder; /* what relative paths in it start from; NULL where it has none */
};

struct yaml_node {
    enum yaml_kind kind;
    bool is_null;        /* a text that is empty, ~ or null, and not quoted */
    bool is_quoted;      /* a text that was written in quotes or as a block */
    int line;            /* where the key stands in a map, else the value; from 1 */
    int index;           /* place in the parent, from 0 */
    const char *key;     /* in a map, else NULL */
    const char *text;    /* of a text */
    const char *written; /* the same before variables were replaced */
    struct yaml_node *parent;
    struct yaml_node *first; /* child of a list or map, in the order of the file */
    struct yaml_node *next;  /* sibling */
    const struct yaml_source *source;
};

/* Parses text; source is borrowed for the tree's life. An empty text gives an empty map.
 * ERR_CONFIG ("fleet.yaml:3: ..."), ERR_MEMORY. */
int yaml_parse(const char *text, size_t size, const struct yaml_source *source, struct arena *arena,
               struct yaml_node **ret_root, struct error *err);

/* What a text that is not null would be in JSON: numbers are those of JSON's grammar, other words
 * than true and false are texts, and so is all that is quoted. */
enum yaml_scalar { YAML_SCALAR_TEXT, YAML_SCALAR_BOOL, YAML_SCALAR_INTEGER, YAML_SCALAR_REAL };
enum yaml_scalar yaml_scalar(const struct yaml_node *node);

/* The child of a map with that key, NULL when there is none or node is no map. */
const struct yaml_node *yaml_get(const struct yaml_node *node, const char *key);

/* The value of a map's key "name" where it is a text, and the first element of a list that has that
 * name; NULL when there is none. */
const struct yaml_node *yaml_name(const struct yaml_node *map);
struct yaml_node *yaml_find(const struct yaml_node *list, const char *name);

/* "line 3" of node, in a message about other; "line 3 of base.yaml" where that is another file.
 * Returns text. */
#define YAML_LINE_SIZE 160
const char *yaml_line(const struct yaml_node *node, const struct yaml_node *other,
                      char text[YAML_LINE_SIZE]);

/* Sets err to "file:line: key: text", the key as a path ("groups[1].queues[0].slots"); returns
 * ERR_CONFIG. */
int yaml_fail(const struct yaml_node *node, struct error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
