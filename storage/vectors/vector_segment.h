/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vector_segment: consecutive chunks of one document in the coarse form of vector_math.h, and the
 * scan over them that finds the candidates of a search.
 *
 * A search has two passes. The first scans segments: each row gives an interval that holds its
 * score. A collector keeps the rows that can still be among the k best: those whose upper end
 * reaches the k-th largest lower end so far. The second (the store's) computes the exact scores of
 * the candidates. Nothing that belongs among the k best, ties included, is lost on the way.
 *
 * Threading: segments are not changed once they are filled; any thread may scan them. A collector
 * belongs to one thread at a time.
 */
#ifndef ARGOSY_STORAGE_VECTOR_SEGMENT_H
#define ARGOSY_STORAGE_VECTOR_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "storage/vectors/vector_filter.h"
#include "storage/vectors/vector_math.h"

/* Small enough to be shared out between threads, large enough that its own size does not count. */
#define VECTOR_SEGMENT_ROWS 4096

/* The name and metadata that all rows of a segment have in common. */
struct vector_segment_document {
    const char *name;
    struct vector_packed metadata;
};

struct vector_segment {
    const struct vector_segment_document *document; /* borrowed */
    int64_t first_key;                              /* chunk key of row 0; the others follow */
    uint32_t dimension;
    uint32_t count;
    uint32_t capacity;
    /* One block of memory, owned through codes. */
    int8_t *codes; /* [capacity][VECTOR_STRIDE(dimension)] */
    float *scales;
    float *bounds;
    uint32_t *metadata_ends; /* where each row's part of metadata ends */
    struct buffer metadata;  /* packed; empty where no row has any */
    size_t place;            /* in the index that holds it; the index's */
};

/* An empty segment for capacity rows (1 to VECTOR_SEGMENT_ROWS). ERR_MEMORY. */
int vector_segment_create(const struct vector_segment_document *document, int64_t first_key,
                          uint32_t dimension, uint32_t capacity,
                          struct vector_segment **ret_segment, struct error *err);
/* NULL is fine. */
void vector_segment_destroy(struct vector_segment *segment);

/* Appends a row: a normalised vector, and canonical metadata or NULL. There must be room. */
int vector_segment_append(struct vector_segment *segment, const float *vector, const char *metadata,
                          struct error *err);

/* Bytes a segment of capacity rows takes, metadata aside; and what this one takes in all. */
size_t vector_segment_size(uint32_t dimension, uint32_t capacity);
size_t vector_segment_bytes(const struct vector_segment *segment);

struct vector_candidate {
    int64_t chunk_key;
    double upper; /* its score is not above */
};

struct vector_collector {
    uint32_t wanted; /* k */
    double *lowers;  /* heap, smallest first: the k largest lower ends so far */
    uint32_t lower_count;
    struct vector_candidate *candidates;
    size_t count, capacity;
    size_t compact_at; /* drops what has become hopeless when it holds this many */
    bool failed;       /* memory ran out */
};

/* ERR_MEMORY. */
int vector_collector_init(struct vector_collector *collector, uint32_t wanted, struct error *err);
void vector_collector_fini(struct vector_collector *collector);

/* Adds what other holds: as if its rows had been scanned here. */
void vector_collector_merge(struct vector_collector *collector,
                            const struct vector_collector *other);

/* When all is scanned: drops candidates that cannot be among the k best. ERR_MEMORY where some were
 * lost on the way: the others are no answer. */
int vector_collector_finish(struct vector_collector *collector, struct error *err);

/* What is looked for. */
struct vector_scan {
    const struct vector_isa *isa;
    const float *query;                 /* normalised, padded to VECTOR_STRIDE */
    const struct vector_filter *filter; /* NULL: all */
};

void vector_segment_scan(const struct vector_segment *segment, const struct vector_scan *scan,
                         struct vector_collector *collector);

#endif
