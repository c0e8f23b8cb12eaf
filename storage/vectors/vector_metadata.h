/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_metadata: the metadata of documents and chunks: flat JSON objects, in two forms.
 *
 * Text: canonical (keys sorted, no spaces): what is stored and returned. Packed: what filters read,
 * without parsing and without memory of its own: entries one after the other, each
 *     u8 type, u8 name size, u16 value size, name, value
 * where a number is 8 bytes (double), a boolean 1, a text its bytes; numbers in the machine's
 * order: packed metadata never leaves the process.
 *
 * Threading: any thread; no state.
 */
#ifndef ARGOSY_STORAGE_VECTOR_METADATA_H
#define ARGOSY_STORAGE_VECTOR_METADATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/buffer.h"
#include "common/error.h"

enum vector_value_type { VECTOR_VALUE_NUMBER = 1, VECTOR_VALUE_BOOLEAN = 2, VECTOR_VALUE_TEXT = 3 };

/* One scalar. */
struct vector_value {
    enum vector_value_type type;
    double number;
    bool is_true;
    const char *text; /* borrowed, not terminated */
    size_t size;
};

/* Packed metadata; size 0 where there is none. */
struct vector_packed {
    const uint8_t *data;
    size_t size;
};

/* The value of a JSON scalar, borrowing its text; false for anything that is no string, number or
 * boolean. */
bool vector_value_read(const json_t *json, struct vector_value *ret_value);

/* text as canonical metadata in arena; NULL stays NULL, and so does an empty object. ERR_INVALID
 * for what is no flat object of scalars, ERR_LIMIT over VECTOR_METADATA_SIZE_MAX. */
int vector_metadata_read(const char *text, struct arena *arena, const char **ret_text,
                         struct error *err);

/* Appends the packed form of canonical metadata (NULL: nothing). ERR_CORRUPT, ERR_MEMORY. */
int vector_metadata_pack(const char *text, struct buffer *out, struct error *err);

/* The entry of that name. */
bool vector_metadata_find(struct vector_packed packed, const char *name, size_t name_size,
                          struct vector_value *ret_value);

/* Document's and chunk's together, the chunk's first, canonical in arena; "{}" where there is none.
 * Either may be NULL. */
int vector_metadata_merge(const char *document, const char *chunk, struct arena *arena,
                          const char **ret_text, struct error *err);

#endif
