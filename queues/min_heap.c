/* SPDX-License-Identifier: Apache-2.0 */
/* min_heap: see min_heap.h. */
#include "queues/min_heap.h"

#include <stdlib.h>

#include "common/assert.h"

#define CAPACITY_MIN 8

void min_heap_fini(struct min_heap *heap)
{
    free(heap->nodes);
    *heap = (struct min_heap){0};
}

bool heap_node_is_before(const struct heap_node *a, const struct heap_node *b)
{
    if (a->key != b->key)
        return a->key < b->key;
    return a->rank != b->rank ? a->rank < b->rank : a->sequence < b->sequence;
}

static void put(struct min_heap *heap, size_t index, struct heap_node *node)
{
    heap->nodes[index] = node;
    node->index = index;
}

static void sift_up(struct min_heap *heap, size_t index, struct heap_node *node)
{
    while (index > 0) {
        size_t parent = (index - 1) / 2;
        if (!heap_node_is_before(node, heap->nodes[parent]))
            break;
        put(heap, index, heap->nodes[parent]);
        index = parent;
    }
    put(heap, index, node);
}

static void sift_down(struct min_heap *heap, size_t index, struct heap_node *node)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->count)
            break;
        if (child + 1 < heap->count &&
            heap_node_is_before(heap->nodes[child + 1], heap->nodes[child]))
            child++;
        if (!heap_node_is_before(heap->nodes[child], node))
            break;
        put(heap, index, heap->nodes[child]);
        index = child;
    }
    put(heap, index, node);
}

void min_heap_add(struct min_heap *heap, struct heap_node *node)
{
    if (heap->count == heap->capacity) {
        size_t capacity = heap->capacity > 0 ? 2 * heap->capacity : CAPACITY_MIN;
        struct heap_node **nodes = realloc(heap->nodes, capacity * sizeof(struct heap_node *));
        if (nodes == NULL)
            abort();
        heap->nodes = nodes;
        heap->capacity = capacity;
    }
    sift_up(heap, heap->count++, node);
}

void min_heap_remove(struct min_heap *heap, struct heap_node *node)
{
    size_t index = node->index;
    ASSERT(index < heap->count && heap->nodes[index] == node);
    struct heap_node *last = heap->nodes[--heap->count];
    if (last == node)
        return;
    if (heap_node_is_before(last, node))
        sift_up(heap, index, last);
    else
        sift_down(heap, index, last);
}

struct heap_node *min_heap_first(const struct min_heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}
