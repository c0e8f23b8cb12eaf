/* SPDX-License-Identifier: Apache-2.0 */
/*
 * yaml_schema: tables that tie YAML maps to C structs, for reading and for printing.
 *
 * One row per key: its type, where its value goes in the struct, its bounds. yaml_check finds
 * unknown keys and names the nearest known one; yaml_merge lays one tree over another; yaml_bind
 * checks values and fills the struct; a key that is absent or null leaves what init put there.
 * yaml_print writes a struct as YAML that binds to an equal one.
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
    YAML_TYPE_SPENT,  /* nothing: who read the tree has dealt with the key and taken it out */
};

struct yaml_field {
    const char *key;
    enum yaml_type type;
    size_t offset;
    size_t count_offset; /* TEXTS, PATHS, LIST: a size_t */
    bool is_required;
    bool may_be_empty; /* TEXT */
    bool is_private;   /* TEXT: an error does not show what it is */
    bool is_secret;    /* TEXT: nothing for people shows what it is */
    bool is_ordered;   /* LIST: the order of the elements has a meaning */
    unsigned change;   /* what a change of the value takes, in the words of the table's owner; of a
                          LIST: of its being longer, shorter or in another order; 0 of a MAP */
    int min, max;      /* INT, NUMBER */
    const char *const *words;                  /* CHOICE, TEXT: what it may be; ends with NULL */
    const struct yaml_schema *schema;          /* MAP, LIST */
    const char *(*check)(const char *text);    /* TEXT, TEXTS: why it is wrong, or NULL */
    const char *(*excuse)(const void *object); /* why the key has no place here, or NULL; looks only
                                                  at fields of earlier rows */
};

/* Of a LIST: its first field is the key "name", which is required and different in every element.
 */
struct yaml_schema {
    const struct yaml_field *fields;
    size_t field_count;
    size_t size;                                              /* of the struct */
    void (*init)(void *object, const struct yaml_node *node); /* defaults; NULL: zeros */
};

/* The row of a key, NULL when there is none. */
const struct yaml_field *yaml_field_find(const struct yaml_schema *schema, const char *key);

/* Where all errors go and not only the first one. Zero-initialised is empty and valid. */
struct yaml_problems {
    struct error first;
    struct buffer text; /* a line for each */
    size_t count;
};
#define YAML_PROBLEM_MAX 100 /* then it is not the file that was meant */

void yaml_problems_fini(struct yaml_problems *problems);

/* Takes note of err, which has code, and returns 0: go on. Returns code where problems is NULL or
 * full, and where memory is exhausted. */
int yaml_problem_note(struct yaml_problems *problems, int code, const struct error *err);

/* Finds in a map, and in maps and lists below it, keys that the table does not have, and elements
 * of one list that share a name. ERR_CONFIG with file, line and key. With problems, for which err
 * must not be NULL, all are noted and 0 is returned. */
int yaml_check(const struct yaml_schema *schema, const struct yaml_node *map,
               struct yaml_problems *problems, struct error *err);

/* Lays the map over, whose keys win, on the map base and returns what comes of it: over, with
 * base's nodes. Maps are merged key by key and lists of maps element by element, found by their
 * names; any other value of over replaces base's, and a null makes it absent. What does not fit the
 * table is left for yaml_bind to report. */
struct yaml_node *yaml_merge(const struct yaml_schema *schema, struct yaml_node *base,
                             struct yaml_node *over);

/* Binds map to object, which is already initialised; unknown keys are left out. Relative paths
 * start from the folder of the file that they stand in. ERR_CONFIG with file, line and key;
 * ERR_MEMORY. object is half filled on failure. problems: as in yaml_check, and object is not
 * filled where one was noted. */
int yaml_bind(const struct yaml_schema *schema, const struct yaml_node *map, struct arena *arena,
              void *object, struct yaml_problems *problems, struct error *err);

/* path made absolute from folder, in arena; NULL when memory is exhausted. */
const char *yaml_path(struct arena *arena, const char *folder, const char *path);

/* Whether object has nothing to print for field: no text, or the key has no place there. */
bool yaml_is_absent(const struct yaml_field *field, const void *object);

/* Appends object as the lines of a YAML map. Absent texts are left out. hides_secrets: what is
 * secret reads "(hidden)". */
void yaml_print(const struct yaml_schema *schema, const void *object, bool hides_secrets,
                struct buffer *out);

/* Appends a map as the lines of a YAML map, with its texts as they are written: before variables
 * were replaced. names_files: a comment says where another file goes on. */
void yaml_print_tree(const struct yaml_node *map, bool names_files, struct buffer *out);

/* Appends the value of one field of object, which is not absent, in one line; not of MAP, LIST. */
void yaml_print_value(const struct yaml_field *field, const void *object, struct buffer *out);

#endif
