/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_filter: which chunks a search may return (docs/spec/06-storage.md, section "Vectors").
 *
 * A filter is a JSON object; each member is a condition on one name, and all must hold:
 *     {"lang": "en", "year": {"gte": 2020, "lt": 2024}, "tag": {"in": ["a", "b"]}}
 * A name's value is the chunk's, else the document's; "document_id" is the document's name. A
 * condition on a name that has no value, or one of another type, does not hold. Numbers compare as
 * doubles, texts by their bytes, booleans only for being equal.
 *
 * Threading: any thread; a parsed filter is never changed.
 */
#ifndef ARGOSY_STORAGE_VECTOR_FILTER_H
#define ARGOSY_STORAGE_VECTOR_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/arena.h"
#include "common/error.h"
#include "storage/vectors/vector_metadata.h"

#define VECTOR_FILTER_CONDITIONS_MAX 64
#define VECTOR_FILTER_VALUES_MAX     1000 /* of one "in" */
#define VECTOR_FILTER_DOCUMENT       "document_id"

enum vector_operator {
    VECTOR_OPERATOR_EQ,
    VECTOR_OPERATOR_GT,
    VECTOR_OPERATOR_GTE,
    VECTOR_OPERATOR_LT,
    VECTOR_OPERATOR_LTE,
    VECTOR_OPERATOR_IN,
};

struct vector_condition {
    const char *name;
    size_t name_size;
    bool is_document; /* the name is VECTOR_FILTER_DOCUMENT */
    enum vector_operator op;
    const struct vector_value *values; /* one; any number for "in" */
    size_t value_count;
};

struct vector_filter {
    struct vector_condition conditions[VECTOR_FILTER_CONDITIONS_MAX];
    size_t count; /* all must hold */
};

/* Parses text into a filter in arena. ERR_INVALID with the place ("filter.year.gte: ..."),
 * ERR_LIMIT over VECTOR_FILTER_SIZE_MAX or the bounds above. */
int vector_filter_parse(const char *text, struct arena *arena,
                        const struct vector_filter **ret_filter, struct error *err);

/* Whether a chunk passes. */
bool vector_filter_accepts(const struct vector_filter *filter, const char *document,
                           struct vector_packed document_metadata,
                           struct vector_packed chunk_metadata);

/* Whether chunks of this document can pass at all: the conditions on its name. */
bool vector_filter_accepts_document(const struct vector_filter *filter, const char *document);

#endif
