/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_schema: tables that tie YAML maps to C structs, for reading and for printing.
 *
 * One row per key: its type, where its value goes in the struct, its bounds. yaml_bind checks a
 * tree against a table (unknown keys name the nearest known one) and fills the struct; a key that
 * is absent or null leaves what init put there. yaml_print writes a struct as YAML that binds to an
 * equal one.
 *
 * Threading: no state. What is bound lives in the arena given; texts are borrowed from the tree.
 */
#ifndef ARGOSY_COMMON_YAML_SCHEMA_H
#define ARGOSY_COMMON_YAML_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"
#include "common/yaml_tree.h"

enum yaml_type {
    YAML_TYPE_TEXT,   /* const char * */
    YAML_TYPE_PATH,   /* const char *; made absolute */
    YAML_TYPE_INT,    /* int, min to max */
    YAML_TYPE_NUMBER, /* double, min to max */
    YAML_TYPE_BOOL,   /* bool */
    YAML_TYPE_CHOICE, /* an enum numbered from 0 like its words */
    YAML_TYPE_TEXTS,  /* const char *const * and a count */
    YAML_TYPE_PATHS,  /* the same, made absolute */
    YAML_TYPE_MAP,    /* a struct in place */
    YAML_TYPE_LIST,   /* a pointer to an array of structs and a count */
    YAML_TYPE_TREE,   /* const struct yaml_node *: a map as it stands, for its reader to judge */
};

struct yaml_field {
    const char *key;
    enum yaml_type type;
    size_t offset;
    size_t count_offset; /* TEXTS, PATHS, LIST: a size_t */
    bool is_required;
    bool may_be_empty; /* TEXT */
    bool is_private;   /* TEXT: errors and comparisons do not show what it is */
    bool is_ordered;   /* LIST: the order of the elements has a meaning */
    unsigned change;   /* what a change of the value takes, in the words of the table's owner; of a
                          LIST: of its being longer, shorter or in another order; 0 of a MAP */
    int min, max;      /* INT, NUMBER */
    const char *const *words;                  /* CHOICE: ends with NULL */
    const struct yaml_schema *schema;          /* MAP, LIST */
    const char *(*check)(const char *text);    /* TEXT, TEXTS: why it is wrong, or NULL */
    const char *(*excuse)(const void *object); /* why the key has no place here, or NULL; looks only
                                                  at fields of earlier rows */
};

/* In a LIST, a first field with key "name" must be different in every element. */
struct yaml_schema {
    const struct yaml_field *fields;
    size_t field_count;
    size_t size;                                              /* of the struct */
    void (*init)(void *object, const struct yaml_node *node); /* defaults; NULL: zeros */
};

/* Binds map to object, which is already initialised. folder is what relative paths start from.
 * ERR_CONFIG with file, line and key; ERR_MEMORY. object is half filled on failure. */
int yaml_bind(const struct yaml_schema *schema, const struct yaml_node *map, const char *folder,
              struct arena *arena, void *object, struct error *err);

/* path made absolute from folder, in arena; NULL when memory is exhausted. */
const char *yaml_path(struct arena *arena, const char *folder, const char *path);

/* Whether object has nothing to print for field: no text, or the key has no place there. */
bool yaml_is_absent(const struct yaml_field *field, const void *object);

/* Appends object as the lines of a YAML map. Absent texts are left out. */
void yaml_print(const struct yaml_schema *schema, const void *object, struct buffer *out);

/* Appends the value of one field of object, which is not absent, in one line; not of MAP, LIST. */
void yaml_print_value(const struct yaml_field *field, const void *object, struct buffer *out);

#endif
