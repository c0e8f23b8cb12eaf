/* SPDX-License-Identifier: Apache-2.0 */
/*
 * input_schema: what the input of a workflow must look like, read from the config: a subset of JSON
 * Schema (2020-12), documented in docs/factory.md.
 *
 * Keywords: type, description, enum, const, minimum, maximum, exclusiveMinimum, exclusiveMaximum,
 * minLength, maxLength, minItems, maxItems, items, properties, required, additionalProperties. Each
 * means what the standard says; what is stricter here: other keywords are errors, so is a keyword
 * that the schema's type makes pointless, `required` names only what `properties` describes, and
 * the values of enum and const are texts, numbers, booleans and null. Schemas that promise more
 * than is checked are the ones that hurt.
 *
 * The schema is compiled once, when the config is read; sdk/input_check.h holds inputs against it.
 * Threading: a compiled schema is constant. It lives in the arena given and borrows the tree.
 */
#ifndef ARGOSY_COMMON_INPUT_SCHEMA_H
#define ARGOSY_COMMON_INPUT_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/error.h"
#include "common/yaml_tree.h"

/* Bits: a schema may allow several. NUMBER includes INTEGER, which includes 2.0. */
enum input_type {
    INPUT_NULL = 1,
    INPUT_BOOLEAN = 2,
    INPUT_INTEGER = 4,
    INPUT_NUMBER = 8,
    INPUT_STRING = 16,
    INPUT_ARRAY = 32,
    INPUT_OBJECT = 64,
};
#define INPUT_TYPE_COUNT 7

/* A value that enum or const allows. A long double holds every 64-bit integer and every double. */
struct input_value {
    enum input_type type; /* NULL, BOOLEAN, NUMBER or STRING */
    const char *text;     /* STRING: its bytes; else the word as written */
    long double number;   /* NUMBER */
    bool is_true;         /* BOOLEAN */
};

struct input_schema;

struct input_property {
    const char *name;
    const struct input_schema *schema;
    bool is_required;
};

struct input_schema {
    unsigned types;                   /* bits of enum input_type; 0: any */
    const struct input_value *values; /* of enum or const; NULL: any */
    size_t value_count;
    long double minimum, maximum;                     /* minus and plus infinity: no bound */
    long double exclusive_minimum, exclusive_maximum; /* the same */
    size_t length_min, length_max;                    /* of strings, in code points */
    size_t items_min, items_max;
    const struct input_schema *items; /* NULL: any */
    struct input_property *properties;
    size_t property_count;
    const struct input_schema *additional; /* of members without a property; NULL: any */
    bool refuses_additional;               /* there may be none */
};

/* Reads the map node. ERR_CONFIG names file, line, the path of the keyword and the nearest known
 * one; ERR_MEMORY. */
int input_schema_compile(const struct yaml_node *node, struct arena *arena,
                         const struct input_schema **ret_schema, struct error *err);

/* "string", "object"; the name of the lowest bit set. */
const char *input_type_name(unsigned types);

/* Names of all the bits, for people: "string or object". Returns out. */
const char *input_types_text(unsigned types, char *out, size_t size);

/* The property of that name, NULL when there is none. */
const struct input_property *input_schema_property(const struct input_schema *schema,
                                                   const char *name);

#endif
