/* SPDX-License-Identifier: Apache-2.0 */
/* vector_segment: see vector_segment.h. */
#include "storage/vectors/vector_segment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/assert.h"

#define CACHE_LINE 64

/* Rows whose dots are computed before they are looked at: the dots stay in the first-level cache.
 */
#define BLOCK_ROWS 256

#define COMPACT_MIN 1024

size_t vector_segment_size(uint32_t dimension, uint32_t capacity)
{
    size_t row = VECTOR_STRIDE(dimension) + 2 * sizeof(float) + sizeof(uint32_t);
    return sizeof(struct vector_segment) + capacity * row;
}

size_t vector_segment_bytes(const struct vector_segment *segment)
{
    return vector_segment_size(segment->dimension, segment->capacity) + segment->metadata.capacity;
}

int vector_segment_create(const struct vector_segment_document *document, int64_t first_key,
                          uint32_t dimension, uint32_t capacity,
                          struct vector_segment **ret_segment, struct error *err)
{
    ASSERT(capacity >= 1 && capacity <= VECTOR_SEGMENT_ROWS);
    struct vector_segment *segment = malloc(sizeof *segment);
    void *block = NULL;
    size_t codes_size = capacity * VECTOR_STRIDE(dimension);
    size_t size = codes_size + capacity * (2 * sizeof(float) + sizeof(uint32_t));
    if (segment == NULL || posix_memalign(&block, CACHE_LINE, size) != 0) {
        free(segment);
        return error_set(err, ERR_MEMORY, "no memory for %zu bytes of vectors", size);
    }
    *segment = (struct vector_segment){.document = document,
                                       .first_key = first_key,
                                       .dimension = dimension,
                                       .capacity = capacity,
                                       .codes = block};
    segment->scales = (float *)(void *)(segment->codes + codes_size);
    segment->bounds = segment->scales + capacity;
    segment->metadata_ends = (uint32_t *)(void *)(segment->bounds + capacity);
    *ret_segment = segment;
    return 0;
}

void vector_segment_destroy(struct vector_segment *segment)
{
    if (segment == NULL)
        return;
    buffer_fini(&segment->metadata);
    free(segment->codes);
    free(segment);
}

int vector_segment_append(struct vector_segment *segment, const float *vector, const char *metadata,
                          struct error *err)
{
    uint32_t row = segment->count;
    ASSERT(row < segment->capacity);
    int code = vector_metadata_pack(metadata, &segment->metadata, err);
    if (code != 0)
        return code;
    vector_encode(vector, segment->dimension,
                  segment->codes + row * VECTOR_STRIDE(segment->dimension), &segment->scales[row],
                  &segment->bounds[row]);
    segment->metadata_ends[row] = (uint32_t)segment->metadata.size;
    segment->count++;
    return 0;
}

int vector_collector_init(struct vector_collector *collector, uint32_t wanted, struct error *err)
{
    *collector = (struct vector_collector){.wanted = wanted, .compact_at = COMPACT_MIN};
    collector->lowers = malloc(wanted * sizeof *collector->lowers);
    if (collector->lowers == NULL)
        return error_set(err, ERR_MEMORY, "no memory for a search");
    return 0;
}

void vector_collector_fini(struct vector_collector *collector)
{
    free(collector->lowers);
    free(collector->candidates);
}

/* What an upper end must reach. */
static double threshold(const struct vector_collector *collector)
{
    return collector->lower_count == collector->wanted ? collector->lowers[0] : -INFINITY;
}

static void add_lower(struct vector_collector *collector, double lower)
{
    double *heap = collector->lowers;
    uint32_t at;
    if (collector->lower_count < collector->wanted) {
        at = collector->lower_count++;
        for (; at > 0 && heap[(at - 1) / 2] > lower; at = (at - 1) / 2)
            heap[at] = heap[(at - 1) / 2];
    } else {
        if (lower <= heap[0])
            return;
        at = 0;
        for (uint32_t child; (child = 2 * at + 1) < collector->wanted; at = child) {
            if (child + 1 < collector->wanted && heap[child + 1] < heap[child])
                child++;
            if (heap[child] >= lower)
                break;
            heap[at] = heap[child];
        }
    }
    heap[at] = lower;
}

static void compact(struct vector_collector *collector)
{
    double least = threshold(collector);
    size_t kept = 0;
    for (size_t i = 0; i < collector->count; i++) {
        if (collector->candidates[i].upper >= least)
            collector->candidates[kept++] = collector->candidates[i];
    }
    collector->count = kept;
    collector->compact_at = kept * 2 > COMPACT_MIN ? kept * 2 : COMPACT_MIN;
}

static void add_candidate(struct vector_collector *collector, int64_t chunk_key, double upper)
{
    if (collector->count >= collector->compact_at)
        compact(collector);
    if (collector->count == collector->capacity) {
        size_t capacity = collector->capacity > 0 ? 2 * collector->capacity : COMPACT_MIN;
        struct vector_candidate *candidates =
            realloc(collector->candidates, capacity * sizeof *candidates);
        if (candidates == NULL) {
            collector->failed = true;
            return;
        }
        collector->candidates = candidates;
        collector->capacity = capacity;
    }
    collector->candidates[collector->count++] = (struct vector_candidate){chunk_key, upper};
}

void vector_collector_merge(struct vector_collector *collector,
                            const struct vector_collector *other)
{
    for (uint32_t i = 0; i < other->lower_count; i++)
        add_lower(collector, other->lowers[i]);
    for (size_t i = 0; i < other->count; i++) {
        if (other->candidates[i].upper >= threshold(collector))
            add_candidate(collector, other->candidates[i].chunk_key, other->candidates[i].upper);
    }
    collector->failed |= other->failed;
}

int vector_collector_finish(struct vector_collector *collector, struct error *err)
{
    if (collector->failed)
        return error_set(err, ERR_MEMORY, "no memory for the candidates of a search");
    compact(collector);
    return 0;
}

static struct vector_packed row_metadata(const struct vector_segment *segment, uint32_t row)
{
    uint32_t start = row > 0 ? segment->metadata_ends[row - 1] : 0;
    return (struct vector_packed){segment->metadata.data + start,
                                  segment->metadata_ends[row] - start};
}

static void scan_block(const struct vector_segment *segment, const struct vector_scan *scan,
                       const struct vector_filter *filter, uint32_t first, uint32_t count,
                       struct vector_collector *collector)
{
    float dots[BLOCK_ROWS];
    size_t stride = VECTOR_STRIDE(segment->dimension);
    scan->isa->dots(segment->codes + first * stride, stride, count, scan->query, dots);
    double least = threshold(collector);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = first + i;
        double score = (double)segment->scales[row] * (double)dots[i];
        double bound = segment->bounds[row];
        if (score + bound < least)
            continue;
        if (filter != NULL &&
            !vector_filter_accepts(filter, segment->document->name, segment->document->metadata,
                                   row_metadata(segment, row)))
            continue;
        add_lower(collector, score - bound);
        add_candidate(collector, segment->first_key + row, score + bound);
        least = threshold(collector);
    }
}

void vector_segment_scan(const struct vector_segment *segment, const struct vector_scan *scan,
                         struct vector_collector *collector)
{
    const struct vector_filter *filter = scan->filter;
    const struct vector_segment_document *document = segment->document;
    if (filter != NULL && !vector_filter_accepts_document(filter, document->name))
        return;
    if (filter != NULL && segment->metadata.size == 0) {
        /* All rows are alike to the filter. */
        if (!vector_filter_accepts(filter, document->name, document->metadata,
                                   (struct vector_packed){NULL, 0}))
            return;
        filter = NULL;
    }
    for (uint32_t first = 0; first < segment->count; first += BLOCK_ROWS) {
        uint32_t rest = segment->count - first;
        scan_block(segment, scan, filter, first, rest < BLOCK_ROWS ? rest : BLOCK_ROWS, collector);
    }
}
