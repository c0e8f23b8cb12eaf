/* SPDX-License-Identifier: Apache-2.0 */
/* vector_index: see vector_index.h. */
#include "storage/vectors/vector_index.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"
#include "common/hash.h"
#include "storage/vectors/parallel.h"

/* Rows below which a second thread costs more than it brings. */
#define PARALLEL_ROWS_MIN 8192

/* Turns each thread takes, so that they end at about the same time. */
#define TURNS_PER_THREAD  64
#define TURN_SEGMENTS_MAX 1024

struct vector_document {
    struct vector_segment_document shared; /* name and metadata are owned */
    struct buffer metadata;
    uint32_t dimension;
    uint32_t chunk_count; /* that are to come in all */
    int64_t first_key;
    struct vector_segment **segments; /* owned; all but the last are full */
    size_t segment_count;
    UT_hash_handle hh;
};

struct vector_index {
    uint32_t dimension;
    struct vector_document *documents; /* by name, owned */
    /* The segments of all documents, in no order, so that threads can share them out. */
    struct vector_segment **segments;
    size_t segment_count, segment_capacity;
    uint64_t row_count;
    size_t bytes;
};

int vector_index_create(uint32_t dimension, struct vector_index **ret_index, struct error *err)
{
    struct vector_index *index = calloc(1, sizeof *index);
    if (index == NULL)
        return error_set(err, ERR_MEMORY, "no memory for an index of vectors");
    index->dimension = dimension;
    *ret_index = index;
    return 0;
}

void vector_index_destroy(struct vector_index *index)
{
    if (index == NULL)
        return;
    struct vector_document *document, *next;
    HASH_ITER (hh, index->documents, document, next) {
        HASH_DEL(index->documents, document);
        vector_document_destroy(document);
    }
    free(index->segments);
    free(index);
}

int vector_document_create(const char *name, const char *metadata, uint32_t dimension,
                           int64_t first_key, uint32_t chunk_count,
                           struct vector_document **ret_document, struct error *err)
{
    struct vector_document *document = calloc(1, sizeof *document);
    if (document == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a document");
    size_t segment_count = (chunk_count + (size_t)VECTOR_SEGMENT_ROWS - 1) / VECTOR_SEGMENT_ROWS;
    document->dimension = dimension;
    document->chunk_count = chunk_count;
    document->first_key = first_key;
    document->shared.name = strdup(name);
    document->segments = calloc(segment_count, sizeof(struct vector_segment *));
    int code = document->shared.name == NULL || (document->segments == NULL && segment_count > 0)
                   ? error_set(err, ERR_MEMORY, "no memory for a document")
                   : vector_metadata_pack(metadata, &document->metadata, err);
    if (code != 0) {
        vector_document_destroy(document);
        return code;
    }
    document->shared.metadata =
        (struct vector_packed){document->metadata.data, document->metadata.size};
    *ret_document = document;
    return 0;
}

void vector_document_destroy(struct vector_document *document)
{
    if (document == NULL)
        return;
    for (size_t i = 0; i < document->segment_count; i++)
        vector_segment_destroy(document->segments[i]);
    free(document->segments);
    buffer_fini(&document->metadata);
    free((char *)document->shared.name);
    free(document);
}

int vector_document_append(struct vector_document *document, const float *vector,
                           const char *metadata, struct error *err)
{
    size_t count = document->segment_count;
    struct vector_segment *segment = count > 0 ? document->segments[count - 1] : NULL;
    if (segment == NULL || segment->count == segment->capacity) {
        uint32_t appended = (uint32_t)(count * VECTOR_SEGMENT_ROWS);
        uint32_t rest = document->chunk_count - appended;
        ASSERT(appended < document->chunk_count);
        int code = vector_segment_create(
            &document->shared, document->first_key + appended, document->dimension,
            rest < VECTOR_SEGMENT_ROWS ? rest : VECTOR_SEGMENT_ROWS, &segment, err);
        if (code != 0)
            return code;
        document->segments[document->segment_count++] = segment;
    }
    return vector_segment_append(segment, vector, metadata, err);
}

static size_t document_bytes(const struct vector_document *document)
{
    size_t bytes = sizeof *document + strlen(document->shared.name) + document->metadata.capacity +
                   2 * document->segment_count * sizeof(struct vector_segment *);
    for (size_t i = 0; i < document->segment_count; i++)
        bytes += vector_segment_bytes(document->segments[i]);
    return bytes;
}

static int reserve_segments(struct vector_index *index, size_t more, struct error *err)
{
    size_t wanted = index->segment_count + more;
    if (wanted <= index->segment_capacity)
        return 0;
    size_t capacity = wanted > 2 * index->segment_capacity ? wanted : 2 * index->segment_capacity;
    struct vector_segment **segments =
        realloc(index->segments, capacity * sizeof(struct vector_segment *));
    if (segments == NULL)
        return error_set(err, ERR_MEMORY, "no memory for an index of vectors");
    index->segments = segments;
    index->segment_capacity = capacity;
    return 0;
}

int vector_index_put(struct vector_index *index, struct vector_document *document,
                     struct error *err)
{
    ASSERT(document->dimension == index->dimension);
    int code = reserve_segments(index, document->segment_count, err);
    if (code != 0)
        return code;
    vector_index_remove(index, document->shared.name);
    HASH_ADD_KEYPTR(hh, index->documents, document->shared.name, strlen(document->shared.name),
                    document);
    for (size_t i = 0; i < document->segment_count; i++) {
        struct vector_segment *segment = document->segments[i];
        segment->place = index->segment_count;
        index->segments[index->segment_count++] = segment;
    }
    index->row_count += document->chunk_count;
    index->bytes += document_bytes(document);
    return 0;
}

void vector_index_remove(struct vector_index *index, const char *name)
{
    struct vector_document *document;
    HASH_FIND_STR(index->documents, name, document);
    if (document == NULL)
        return;
    HASH_DEL(index->documents, document);
    for (size_t i = 0; i < document->segment_count; i++) {
        struct vector_segment *last = index->segments[--index->segment_count];
        last->place = document->segments[i]->place;
        index->segments[last->place] = last;
    }
    index->row_count -= document->chunk_count;
    index->bytes -= document_bytes(document);
    vector_document_destroy(document);
}

size_t vector_index_bytes(const struct vector_index *index)
{
    return index->bytes;
}

size_t vector_index_estimate(uint32_t dimension, uint64_t document_count, uint64_t chunk_count)
{
    size_t row = vector_segment_size(dimension, 1) - sizeof(struct vector_segment);
    uint64_t segment_count = document_count + chunk_count / VECTOR_SEGMENT_ROWS;
    return document_count * sizeof(struct vector_document) +
           segment_count * sizeof(struct vector_segment) + chunk_count * row;
}

/* A scan that threads share. */
struct scan_work {
    const struct vector_index *index;
    const struct vector_scan *scan;
    struct vector_collector *collectors; /* of each thread */
    size_t turn_size;                    /* segments taken at a time */
    _Atomic size_t next;
};

static void scan_part(void *context, unsigned thread)
{
    struct scan_work *work = context;
    const struct vector_index *index = work->index;
    for (;;) {
        size_t first = atomic_fetch_add(&work->next, work->turn_size);
        if (first >= index->segment_count)
            return;
        size_t end = first + work->turn_size;
        end = end < index->segment_count ? end : index->segment_count;
        for (size_t i = first; i < end; i++)
            vector_segment_scan(index->segments[i], work->scan, &work->collectors[thread]);
    }
}

int vector_index_scan(const struct vector_index *index, const struct vector_scan *scan,
                      unsigned thread_count, struct vector_collector *collector, struct error *err)
{
    unsigned threads = index->row_count < PARALLEL_ROWS_MIN ? 1 : thread_count;
    struct vector_collector collectors[PARALLEL_THREADS_MAX] = {0};
    struct scan_work work = {.index = index, .scan = scan, .collectors = collectors};
    work.turn_size = index->segment_count / (threads * TURNS_PER_THREAD) + 1;
    if (work.turn_size > TURN_SEGMENTS_MAX)
        work.turn_size = TURN_SEGMENTS_MAX;
    int code = 0;
    for (unsigned i = 0; code == 0 && i < threads; i++)
        code = vector_collector_init(&collectors[i], collector->wanted, err);
    if (code == 0) {
        parallel_run(threads, scan_part, &work);
        for (unsigned i = 0; i < threads; i++)
            vector_collector_merge(collector, &collectors[i]);
        code = vector_collector_finish(collector, err);
    }
    for (unsigned i = 0; i < threads; i++)
        vector_collector_fini(&collectors[i]);
    return code;
}
