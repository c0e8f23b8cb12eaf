/* SPDX-License-Identifier: Apache-2.0 */
/*
 * min_heap: nodes with the smallest key first; a binary heap that knows where each node lies, so
 * that any node leaves in O(log n). Waiting tasks by age, pending requests by deadline.
 *
 * The heap borrows its nodes, which lie inside what they stand for. Running out of memory aborts,
 * as in common/hash.h. Zero-initialised is empty and valid. Threading: one thread at a time per
 * heap.
 */
#ifndef ARGOSY_QUEUES_MIN_HEAP_H
#define ARGOSY_QUEUES_MIN_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    int64_t key;
    int64_t rank;      /* decides between equal keys */
    uint64_t sequence; /* decides between equal ranks; no two nodes have all three equal */
    size_t index;      /* kept by the heap */
};

struct min_heap {
    struct heap_node **nodes;
    size_t count;
    size_t capacity;
};

void min_heap_fini(struct min_heap *heap);

bool heap_node_is_before(const struct heap_node *a, const struct heap_node *b);

void min_heap_add(struct min_heap *heap, struct heap_node *node);
void min_heap_remove(struct min_heap *heap, struct heap_node *node);

/* The smallest, or NULL. */
struct heap_node *min_heap_first(const struct min_heap *heap);

#endif
